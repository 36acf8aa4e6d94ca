"""The pages as the site has them: docs/ is its root, and what they link to elsewhere stands under ``repository/``.

A link to a file becomes a link to a page of the site: another page, a source as a page of code, a folder as its README
or the list of its files. Other files are copied and offered as they are. `docs/index.md` is the table of contents: each
of its sections, with the links that begin its rows.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

FENCE = re.compile(r"(^(?P<mark>```+|~~~+).*?^(?P=mark)[`~]*$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)#\s]+)(?P<rest>[^)]*)\)")
ROW = re.compile(r"^\| \[(?P<label>[^\]]*)\]\((?P<target>[^)#\s]+)\)", re.MULTILINE)
CODE = {".py": "python", ".toml": "toml", ".js": "javascript", ".css": "css", ".cff": "yaml"}
"""Sources that are shown, by their suffix."""


def placed(path: Path) -> Path:
    """Where a file of the repository stands in the site."""
    return path.relative_to(DOCS) if path.is_relative_to(DOCS) else Path("repository") / path.relative_to(ROOT)


def page_of(path: Path) -> Path:
    """The page, or the file, of the site that stands for a file or a folder of the repository."""
    if path.is_dir():
        return placed(path / "README.md") if (path / "README.md").exists() else placed(path) / "index.md"
    return placed(path).with_name(f"{path.name}.md") if path.suffix in CODE else placed(path)


def relinked(text: str, path: Path) -> tuple[str, list[Path]]:
    """The text of a page with the site's links, and the files of the repository that they lead to."""
    found: list[Path] = []
    here = page_of(path).parent

    def link(match: re.Match[str]) -> str:
        if re.match(r"[a-z]+:", match["target"]):
            return match[0]
        target = Path(os.path.normpath(path.parent / match["target"]))
        found.append(target)
        return f"]({Path(os.path.relpath(page_of(target), here)).as_posix()}{match['rest']})"

    pieces = FENCE.split(text)  # text, a fence, its mark, text, ...
    pieces[::3] = [LINK.sub(link, piece) for piece in pieces[::3]]
    del pieces[2::3]
    return "".join(pieces), found


def shown(path: Path) -> tuple[str, list[Path]]:
    """The page of a file or a folder, and what it links to."""
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir() and not (path / "README.md").exists():
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        books = [file for file in files if file.suffix == ".ipynb"]
        opened = any(path in paths for _, paths in sections())  # of other folders the names are enough
        linked = books or [file for file in files if opened and file.suffix == ".py" and not file.name.startswith("_")]
        items = [
            f"[`{file.name}`]({page_of(file).name})" if file in linked else f"`{file.name}`" for file in books or files
        ]
        return f"# `{name}/`\n\n" + "".join(f"* {item}\n" for item in items), linked
    if path.suffix in CODE:
        code = path.read_text(encoding="utf-8")
        return f"# `{name}`\n\n~~~~~~{CODE[path.suffix]}\n{code.rstrip()}\n~~~~~~\n", []
    path = path / "README.md" if path.is_dir() else path
    return relinked(path.read_text(encoding="utf-8"), path)


def notebook(path: Path, executed: Path) -> tuple[str, list[Path]]:
    """A notebook with the site's links, and what it links to."""
    data = json.loads((executed / path.name).read_text(encoding="utf-8"))
    found: list[Path] = []
    for cell in data["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"], more = relinked("".join(cell["source"]), path)
            found += more
    return json.dumps(data), found


def stage(into: Path, executed: Path) -> None:
    """Write the pages of docs/, and everything that they lead to.

    Parameters
    ----------
    into : an empty folder.
    executed : the folder of the executed notebooks.
    """
    contents = sections()
    pending, done = [*DOCS.glob("*.md"), *(path for _, paths in contents for path in paths)], set()
    while pending:
        path = pending.pop()
        if path in done:
            continue
        done.add(path)
        target = into / page_of(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".ipynb":
            text, found = notebook(path, executed)
            target.write_text(text, encoding="utf-8")
            pending += found
            continue
        if path.suffix != ".md" and path.suffix not in CODE and not path.is_dir():
            target.write_bytes(path.read_bytes())
            continue
        text, found = shown(path)
        pending += found
        if path.suffix != ".md" or path.parent != DOCS:
            text = f"---\norphan: true\n---\n\n{text}"
        if path == DOCS / "index.md":
            names = labels()
            text += "".join(
                toctree(caption, [(names.get(path, ""), page_of(path)) for path in paths])
                for caption, paths in contents
            )
        target.write_text(text, encoding="utf-8")


def toctree(caption: str | None, pages: Iterable[tuple[str, Path]]) -> str:
    """A list of pages for the sidebar, which the page itself does not show; a page without a label has its title."""
    names = [(label, page.with_suffix("").as_posix()) for label, page in pages]
    lines = "".join(f"{label} </{name}>\n" if label else f"/{name}\n" for label, name in names)
    title = "" if caption is None else f":caption: {caption}\n"
    return f"\n```{{toctree}}\n:hidden:\n{title}\n{lines}```\n"


def labels() -> dict[Path, str]:
    """The words that `docs/index.md` has for the pages of its rows, with a capital."""
    rows = ROW.finditer((DOCS / "index.md").read_text(encoding="utf-8"))
    return {
        Path(os.path.normpath(DOCS / row["target"])): row["label"][:1].upper() + row["label"][1:]
        if not row["target"].endswith(".py")
        else row["label"]
        for row in rows
    }


def sections() -> list[tuple[str, list[Path]]]:
    """The sections of `docs/index.md` in order, each with the files of its rows.

    A folder stands for its notebooks. A page ``X-theory.md`` without a row of its own follows ``X.md``.
    """
    parts = re.split(r"^## (.+)$", (DOCS / "index.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    rows = {
        heading: [Path(os.path.normpath(DOCS / row["target"])) for row in ROW.finditer(body)]
        for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }
    own = {path for paths in rows.values() for path in paths}
    found = []
    for heading, paths in rows.items():
        entries: list[Path] = []
        for path in paths:
            if path.suffix == ".md":
                entries += [path, *(more for more in followers(path) if more not in own)]
            elif path.is_dir() and (notebooks := sorted(path.glob("*.ipynb"))):
                entries += notebooks
            else:
                entries.append(path)
        if entries:
            found.append((heading, entries))
    return found


def followers(path: Path) -> list[Path]:
    """Pages beside one whose names begin with its name."""
    return sorted(path.parent.glob(f"{path.stem}-*.md")) if path.parent == DOCS else []
