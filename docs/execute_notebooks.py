"""Builds and executes the notebooks in place: python docs/execute_notebooks.py [--check] [NAME ...]

Each notebook has a plain Python source beside it, ``notebooks/NAME.py``, whose cells begin with ``# %%`` (code) or
``# %% [markdown]``; what stands before the first is left out. Edit the source; this writes ``NAME.ipynb`` with fresh
outputs. The same code gives the same bytes: no execution times, no kernel versions, cell ids by number. With --check
nothing is written.

``# %% [solution]`` and ``# %% [markdown] [solution]`` are cells of a solution to an exercise. They run with all others
and are folded: code with its outputs by what JupyterLab (``source_hidden``, ``outputs_hidden``) and MyST-NB
(``hide-cell``) read, text as a ``<details>`` that opens with a click wherever Markdown is shown.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from qopt.core.files import write_text

FOLDER = Path(__file__).parent / "notebooks"
TIMEOUT = 120
"""Seconds for one cell."""

MARK = re.compile(r"^# %%(?P<markdown> \[markdown\])?(?P<solution> \[solution\])?\s*$", re.MULTILINE)
FOLDED = {"jupyter": {"outputs_hidden": True, "source_hidden": True}, "tags": ["hide-cell"]}
"""Metadata of the code of a solution."""
DETAILS = "<details>\n<summary>Solution</summary>\n\n{}\n\n</details>"
"""A solution's text; blank lines, so that what is inside is Markdown."""


def cells(source: str) -> list[Any]:
    """Cells of a source in the percent format."""
    marks = list(MARK.finditer(source))
    if not marks:
        raise ValueError("a source has cells that begin with '# %%'")
    found = []
    for k, mark in enumerate(marks):
        end = marks[k + 1].start() if k + 1 < len(marks) else len(source)
        text = source[mark.end() : end].strip("\n")
        if mark["markdown"]:
            lines = [line.removeprefix("#").removeprefix(" ") for line in text.splitlines()]
            told = "\n".join(lines)
            cell = nbformat.v4.new_markdown_cell(DETAILS.format(told) if mark["solution"] else told)
        else:
            cell = nbformat.v4.new_code_cell(text, metadata=copy.deepcopy(FOLDED) if mark["solution"] else {})
        cell["id"] = f"cell-{k + 1:02d}"
        found.append(cell)
    return found


def build(source: Path) -> Any:
    """The notebook of a source, without outputs."""
    notebook = nbformat.v4.new_notebook(cells=cells(source.read_text(encoding="utf-8")))
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def execute(notebook: Any) -> Any:
    """Run a notebook in a fresh kernel, in its own folder, and leave out what changes from run to run."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # pictures, whatever the caller draws with
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": FOLDER}},
        extra_arguments=["--log-level=ERROR"],  # a kernel warns at each start that it speaks without a key, to itself
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        # Warnings of other people's libraries name paths of this machine.
        if cell.cell_type == "code":
            kept = [o for o in cell.outputs if not (o.output_type == "stream" and o.name == "stderr")]
            cell.outputs = _joined(kept)
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    """Outputs with neighbouring pieces of text made one: where a kernel breaks a text is a matter of timing."""
    found: list[Any] = []
    for output in outputs:
        if found and output.output_type == found[-1].output_type == "stream":
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def sources(names: list[str]) -> list[Path]:
    """Sources by name, or all."""
    return [FOLDER / f"{name}.py" for name in names] if names else sorted(FOLDER.glob("*.py"))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks, without suffix; default all")
    parser.add_argument("--check", action="store_true", help="execute and write nothing")
    arguments = parser.parse_args()
    for source in sources(arguments.names):
        notebook = execute(build(source))
        if not arguments.check:
            write_text(source.with_suffix(".ipynb"), nbformat.writes(notebook) + "\n")
        print(f"{source.stem}: {len(notebook.cells)} cells")


if __name__ == "__main__":
    main()
