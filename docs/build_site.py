"""Builds the site: python docs/build_site.py [--quick]

Executes the notebooks, computes a report, gathers the pages and hands them to Sphinx; any warning is an error. The site
is build/docs/index.html; no page of it loads anything from elsewhere. With --quick the notebooks are taken as they are.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from building import reference, stage  # noqa: E402

BUILD = HERE.parent / "build"
SOURCE, SITE, NOTEBOOKS = BUILD / "site", BUILD / "docs", BUILD / "notebooks"

REPORTED = ("qpart/mnist-mlp6", "placement/resnet", "jqodi/fig5", "allocation/teaching-4")
"""Instances on the page that shows what `qopt report` writes."""

LOADED = re.compile(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"(https?:)?//|<link[^>]*\shref=\"(https?:)?//")
"""What a page would load from elsewhere. Links that a reader may follow are no matter."""


def execute_notebooks() -> None:
    """Execute every notebook, one on each core, and write it where the site takes it from."""
    import execute_notebooks as tool

    with ProcessPoolExecutor() as processes:
        list(processes.map(execute, tool.sources([])))


def execute(source: Path) -> None:
    """Execute the notebook of a source."""
    import execute_notebooks as tool
    import nbformat

    found = tool.execute(tool.build(source))
    (NOTEBOOKS / f"{source.stem}.ipynb").write_text(nbformat.writes(found) + "\n", encoding="utf-8")


def copy_notebooks() -> None:
    """Take the notebooks as they were committed."""
    for path in (HERE / "notebooks").glob("*.ipynb"):
        shutil.copy(path, NOTEBOOKS)


def write_report() -> None:
    """Compute one page of `qopt report`, and link it from the page about reports."""
    import qopt

    extra = SOURCE / "_extra"
    extra.mkdir()
    qopt.report(list(REPORTED), time_limit=10).save(extra / "example-report.html")
    page = SOURCE / "report.md"
    link = '<a href="example-report.html">A page that this command wrote</a>'
    names = ", ".join(f"`{name}`" for name in REPORTED)
    text = page.read_text(encoding="utf-8")
    title, rest = text.split("\n", 1)
    page.write_text(f"{title}\n\n{link}: {names}.\n{rest}", encoding="utf-8")


def write_reference() -> None:
    """Write the pages of the reference, and list them on its own page."""
    folder = SOURCE / "reference"
    folder.mkdir()
    pages = [path.relative_to(SOURCE) for path in reference.write(folder)]
    page = SOURCE / "reference.md"
    page.write_text(
        page.read_text(encoding="utf-8") + stage.toctree(None, [("", page) for page in pages]), encoding="utf-8"
    )


def sphinx() -> None:
    """Build the site; a warning is an error."""
    options = ["-W", "--keep-going", "-q", "-j", "2", "-b", "html", "-c", str(HERE)]
    subprocess.run([sys.executable, "-m", "sphinx", *options, str(SOURCE), str(SITE)], check=True)


def check_pages() -> None:
    """Refuse pages that load something from elsewhere."""
    faults = [
        f"{path.relative_to(SITE)}: {match[0]}"
        for path in sorted(SITE.rglob("*.html"))
        for match in LOADED.finditer(path.read_text(encoding="utf-8"))
    ]
    if faults:
        raise SystemExit("pages load something from elsewhere:\n" + "\n".join(faults))


def timed(what: str, step: Callable[[], None]) -> None:
    """Run a step and say how long it took."""
    start = time.perf_counter()
    step()
    print(f"{what}: {time.perf_counter() - start:.0f} s", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="do not execute the notebooks")
    quick = parser.parse_args().quick
    for folder in (SOURCE, SITE, NOTEBOOKS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    timed("notebooks", copy_notebooks if quick else execute_notebooks)
    timed("pages", lambda: stage.stage(SOURCE, NOTEBOOKS))
    timed("report", write_report)
    timed("reference", write_reference)
    timed("site", sphinx)
    check_pages()
    print(SITE / "index.html")


if __name__ == "__main__":
    main()
