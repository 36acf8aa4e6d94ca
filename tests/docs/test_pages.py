"""What the documentation shows is run here: every block of Python, every `qopt` command, every notebook.

A block of ```text that follows a block of Python is what it prints. Lines after ``$ qopt ...`` in a block of
```console are its output. Times and rounding errors are not compared. A block of Python that begins with the comment
``# qopt/FOLDER/FILE.py`` (or formulations/) becomes that file. `python tests/docs/test_pages.py [PAGE ...]` fills the
outputs in, with --check it compares them.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "helpers"))  # also where this file runs as a script
from sweeps import swept

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"] if path.exists())
GUIDE = ROOT / "CONTRIBUTING.md"
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))

BLOCK = re.compile(r"^```(?P<kind>python|console|text)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?P<line>qopt .*)$", re.MULTILINE)
FILE = re.compile(r"# ((?:qopt|formulations)/[\w/]+)\.py\n")
CODES = "# exit code "
CLONE = ("docs", "instances")
"""Folders of a clone that pages read."""


def run_command(line: str) -> tuple[int, str]:
    """Exit code and output of a `qopt` command, which may end in ``> FILE`` and be followed by a comment."""
    from qopt.cli.app import main

    words = shlex.split(line, comments=True)[1:]
    target = None
    if ">" in words:
        words, target = words[: words.index(">")], words[words.index(">") + 1]
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = main(words)
    if target is not None:
        Path(target).write_text(out.getvalue(), encoding="utf-8")
        out = io.StringIO()
    return code, "\n".join(text.rstrip() for text in (out.getvalue() + errors.getvalue()).splitlines())


def comparable(text: str) -> str:
    """Text without what differs from run to run: times, rounding errors, spaces."""
    text = re.sub(r"\d[\d.,]* ?(ns|µs|ms|s)\b", "TIME", text)
    text = re.sub(r"-?\d[\d.]*e-(1[0-9]|[2-9]\d)\b", "0", text)
    return " ".join(re.sub(r"[─-╿]", " ", text).split())


NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
WITHIN = re.compile(r"numbers? (?:here )?agrees? within (?P<percent>\d+) %")
"""How a page says that its numbers depend on the processor: its own words give the tolerance."""


def tolerance(page: str) -> float:
    """The share by which numbers of a page may differ from those found: 0 where it does not say so."""
    said = WITHIN.search(" ".join(page.split()))
    return int(said["percent"]) / 100 if said else 0.0


def same(shown: str, found: str, within: float = 0.0) -> bool:
    """Whether an output is the one shown; ``...`` in it stands for anything, numbers may differ by a share."""
    shown, found = comparable(shown), comparable(found)
    if within:
        wanted = NUMBER.findall(shown)
        parts = [re.split(NUMBER, part.strip()) for part in shown.split("...")]
        any_numbers = ".*".join(f"({NUMBER.pattern})".join(map(re.escape, texts)) for texts in parts)
        told = re.fullmatch(any_numbers.strip(), found, re.DOTALL)
        return told is not None and all(near(a, b, within) for a, b in zip(wanted, told.groups(), strict=True))
    pattern = ".*".join(re.escape(part.strip()) for part in shown.split("..."))
    return re.fullmatch(pattern.strip(), found, re.DOTALL) is not None


def near(shown: str, found: str, within: float) -> bool:
    """Two printed numbers: within a share of the larger, or two units of the last digit shown."""
    a, b = (float(text.replace(",", "")) for text in (shown, found))
    if shown.isdigit() and a < 10:
        return a == b
    mantissa, _, power = shown.partition("e")
    unit = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
    return abs(a - b) <= max(within * max(a, b), 2.01 * unit)


def write(stem: str, body: str) -> None:
    """Write a file that a page adds to the package; its folder joins the package that it lies in."""
    path = Path(f"{stem}.py").resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body, encoding="utf-8")
    folder, steps = path.parent, stem.replace("formulations/", "qopt/formulations/", 1).split("/")[:-1]
    while True:  # the innermost folder that is a package already
        with contextlib.suppress(ModuleNotFoundError):
            package = importlib.import_module(".".join(steps))
            if str(folder) not in list(package.__path__):
                package.__path__.append(str(folder))
            break
        folder, steps = folder.parent, steps[:-1]
    importlib.invalidate_caches()


def executed(page: str, name: str) -> Iterator[tuple[str, str, str]]:
    """Runs a page from top to bottom: (what was run, output shown, output found) of each block and command."""
    names: dict[str, Any] = {"__name__": "__docs__"}
    blocks = list(BLOCK.finditer(page))
    for k, block in enumerate(blocks):
        body = block["body"]
        if block["kind"] == "python":
            line = page[: block.start("body")].count("\n")
            out = io.StringIO()
            file = FILE.match(body)
            if file is not None:
                write(file[1], body)
            else:
                with contextlib.redirect_stdout(out):
                    exec(compile("\n" * line + body, name, "exec"), names)
            after = blocks[k + 1] if k + 1 < len(blocks) else None
            follows = after is not None and after["kind"] == "text" and not page[block.end() : after.start()].strip()
            yield body, after["body"] if after is not None and follows else "", out.getvalue()
        elif block["kind"] == "console":
            commands = list(COMMAND.finditer(body))
            for j, command in enumerate(commands):
                end = commands[j + 1].start() if j + 1 < len(commands) else len(body)
                shown = body[command.end() : end]
                code, found = run_command(command["line"])
                expected = int(command["line"].rpartition(CODES)[2]) if CODES in command["line"] else 0
                assert code == expected, f"{command['line']}: exit code {code}\n{found}"
                yield command["line"], shown, found


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in CLONE:
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("MPLBACKEND", "Agg")


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize(
    "path",
    swept(
        PAGES,
        lambda path: (
            path.stem
            in (
                "allocation",
                "fleet",
                "jqodi-runs",
                "jqodi-study",
                "language-model",
                "learning",
                "measuring",
                "onnx",
                "running",
            )
            or path.stem.endswith("-theory")
        ),
    ),
    ids=lambda path: path.name,
)
def test_pages_run_and_show_what_they_print(path: Path) -> None:
    check(path)


def check(path: Path) -> None:
    """Run a page and compare what it prints."""
    within = tolerance(path.read_text(encoding="utf-8"))
    for code, shown, found in executed(path.read_text(encoding="utf-8"), path.name):
        assert not shown.strip() or same(shown, found, within), f"{code}\n--- shown\n{shown}\n--- found\n{found}"


def test_the_examples_for_contributors_run_and_show_what_they_print() -> None:
    """In a process of its own, since they add a method and a family."""
    command = [sys.executable, __file__, "--check", str(GUIDE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_documentation_has_blocks_that_run() -> None:
    kinds = [block["kind"] for path in PAGES for block in BLOCK.finditer(path.read_text(encoding="utf-8"))]
    assert kinds.count("python") >= 8
    assert kinds.count("console") >= 4


@pytest.mark.parametrize("path", [*PAGES, GUIDE], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), target


def heads(path: Path) -> list[str]:
    """Headings of a page, without those inside of code."""
    text = re.sub(r"^(```+|~~~+).*?^\1$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """What a link may name after ``#``, as GitHub makes it of headings."""
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads(path)}


def test_links_to_headings_lead_to_headings() -> None:
    """GitHub says nothing where there is none, and opens the page at its top."""
    sources = [*PAGES, GUIDE, *ROOT.glob("*/README.md"), *(ROOT / "docs" / "notebooks").glob("*.py")]
    for source in sources:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", source.read_text(encoding="utf-8")):
            page = source.parent / target if target else source
            if page.suffix == ".md" and not re.match(r"[a-z]+:", target):
                assert anchor in anchors(page), f"{source.name}: {target}#{anchor}"


ORDER = ("Question", "Mathematics", "Data", "Example", "Reading the solution", "Methods and what each proves")
"""Sections of the page of a problem; then where others err, and where to go on."""


@pytest.mark.parametrize("name", ["qpart", "jqodi", "placement", "allocation", "fleet"])
def test_the_page_of_a_problem_has_one_order_and_few_words(name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert tuple(sections[:-2]) == ORDER
    assert sections[-2].rpartition(" ")[2] in ("err", "errs")
    assert sections[-1] == "Where to go on"
    assert len(page.split()) <= 1500


@pytest.mark.parametrize("path", [*PAGES, GUIDE], ids=lambda path: path.name)
def test_inline_mathematics_has_no_escape_that_markdown_takes_away(path: Path) -> None:
    """GitHub shows ``$\\{1, 2\\}$`` without braces and ``$a\\,b$`` with a comma: the backslash is Markdown's there."""
    text = re.sub(
        r"^```.*?^```$|\$\$.*?\$\$|`[^`]*`", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    for formula in re.findall(r"\$[^$]+\$", text):
        assert not re.search(r"\\[^\w\s]", formula), formula


def _execute_notebooks() -> Any:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import execute_notebooks
    finally:
        sys.path.pop(0)
    return execute_notebooks


def _printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def _pictures(cell: Any) -> int:
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)


@pytest.mark.parametrize(
    "path",
    swept(NOTEBOOKS, lambda path: path.stem != "9_congestion_prices"),
    ids=lambda path: path.stem,
)
def test_notebook_runs_in_a_fresh_kernel_and_its_outputs_are_committed(path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="the extra 'notebooks' is not installed")
    tool = _execute_notebooks()
    committed = nbformat.read(path, as_version=4)
    fresh = tool.execute(tool.build(path.with_suffix(".py")))
    within = tolerance("".join(cell.source for cell in committed.cells))
    assert [c.source for c in committed.cells] == [c.source for c in fresh.cells], "run docs/execute_notebooks.py"
    for old, new in zip(committed.cells, fresh.cells, strict=True):
        if new.cell_type == "code":
            assert old.execution_count == new.execution_count
            assert same(_printed(old), _printed(new), within), old.source
            assert _pictures(old) == _pictures(new), old.source
    assert sum(_pictures(c) for c in committed.cells if c.cell_type == "code") >= 5
    assert not any(c.metadata.get("execution") for c in committed.cells)


def test_printed_text_is_one_piece_however_it_arrived() -> None:
    nbformat = pytest.importorskip("nbformat", reason="the extra 'notebooks' is not installed")

    def text(piece: str) -> Any:
        return nbformat.v4.new_output("stream", name="stdout", text=piece)

    picture = nbformat.v4.new_output("display_data", data={"image/png": ""})
    joined = _execute_notebooks()._joined([text("a\n"), text("b\n"), picture, text("c\n")])
    assert [output.get("text") for output in joined] == ["a\nb\n", None, "c\n"]


MIXED = re.compile(r"SolverFactory\(\"appsi_highs\"\)\.solve\((\w+)\)")
"""A model given to HiGHS at its own tolerances."""


@pytest.mark.parametrize(
    "path", [p for p in PAGES if "appsi_highs" in p.read_text(encoding="utf-8")], ids=lambda p: p.name
)
def test_whole_models_are_not_solved_at_tolerances_that_call_worse_plans_optimal(path: Path) -> None:
    """What a reader copies to add a row of his own; linear programs, all of them relaxed, may stay as they are."""
    page = path.read_text(encoding="utf-8")
    for model in MIXED.findall(page):
        made = re.findall(rf"^ *{model} = .*", page, re.MULTILINE)
        relaxed = any("relaxed=True" in line or '"lp"' in line for line in made)
        assert relaxed or f'relax_integer_vars").apply_to({model})' in page, model


def test_every_notebook_has_its_source_and_its_place_in_the_order() -> None:
    folder = ROOT / "docs" / "notebooks"
    assert {p.stem for p in NOTEBOOKS} == {p.stem for p in folder.glob("*.py")}
    assert [p.stem.partition("_")[0] for p in NOTEBOOKS] == [str(k) for k in range(1, 10)]


def _folded(cell: Any) -> bool:
    """Whether a cell is hidden until somebody asks for it, in JupyterLab and on the site."""
    if cell.cell_type == "markdown":
        return bool(re.fullmatch(r"<details>\n<summary>[^<]+</summary>\n\n.*\n\n</details>", cell.source, re.DOTALL))
    hidden = cell.metadata.get("jupyter", {})
    return bool(hidden.get("source_hidden") and hidden.get("outputs_hidden")) and "hide-cell" in cell.metadata["tags"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_ends_with_three_exercises_whose_solutions_are_folded_and_run(path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="the extra 'notebooks' is not installed")
    cells = nbformat.read(path, as_version=4).cells
    heads = [re.search(r"^### Exercise (\d)", cell.source, re.MULTILINE) for cell in cells]
    starts = [k for k, head in enumerate(heads) if head and cells[k].cell_type == "markdown"]
    assert [heads[k][1] for k in starts] == ["1", "2", "3"]
    assert 10 <= starts[0] <= 20, "cells of the lecture"
    assert cells[0].source.startswith(f"# {path.stem[0]}. ")
    assert "After this notebook the reader can" in cells[0].source
    assert not any(map(_folded, cells[: starts[0]]))
    for start, stop in zip(starts, [*starts[1:], len(cells)], strict=True):
        solution = cells[start + 1 : stop]
        code = [cell for cell in solution if cell.cell_type == "code"]
        assert all(map(_folded, solution))
        assert any("*Learned*" in cell.source for cell in solution)
        assert code
        assert all(cell.execution_count and cell.outputs for cell in code)


def test_links_of_notebooks_lead_somewhere() -> None:
    for path in NOTEBOOKS:
        for target in re.findall(r"\]\(([^)#\s]+)\)", path.with_suffix(".py").read_text(encoding="utf-8")):
            assert re.match(r"[a-z]+:", target) or (path.parent / target).exists(), f"{path.stem}: {target}"


def fill(path: Path) -> None:
    """Write a page again with the outputs found."""
    page, done, position = path.read_text(encoding="utf-8"), "", 0
    results = executed(page, path.name)
    blocks = list(BLOCK.finditer(page))
    for k, block in enumerate(blocks):
        if block["kind"] == "python":
            _, _, found = next(results)
            after = blocks[k + 1] if k + 1 < len(blocks) else None
            if after is not None and after["kind"] == "text" and not page[block.end() : after.start()].strip():
                done += page[position : after.start("body")] + found
                position = after.end("body")
        elif block["kind"] == "console":
            lines = []
            for command in COMMAND.finditer(block["body"]):
                _, shown, found = next(results)
                elided = "..." in shown.split("\n")
                lines += [f"$ {command['line']}", *([shown.strip("\n") if elided else found] if found else [])]
            done += page[position : block.start("body")] + "\n".join(lines) + "\n"
            position = block.end("body")
    path.write_text(done + page[position:], encoding="utf-8")


if __name__ == "__main__":
    import os
    import tempfile

    os.environ.update(COLUMNS="110", MPLBACKEND="Agg")
    arguments = sys.argv[1:]
    act = check if "--check" in arguments else fill
    asked = [Path(name).resolve() for name in arguments if name != "--check"]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for linked in CLONE:
            Path(linked).symlink_to(ROOT / linked)
        for asked_page in asked or [p for p in PAGES if p.parent.name == "docs"]:
            act(asked_page)
