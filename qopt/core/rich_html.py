"""What the console prints with rich, as HTML: the tables of the reports in notebooks and on pages."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from qopt.core.html import escaped, preformatted, table
from qopt.core.report import Fitted, as_text

COLORS = ("red", "yellow", "green")
"""Colours of texts that become classes, for a page to give them a shade."""


def of(shown: RenderableType) -> str:
    """What the console would print, as HTML: texts, tables and groups of them.

    Parameters
    ----------
    shown : as the reports of the families make them.
    """
    if isinstance(shown, Group):
        return "".join(map(of, shown.renderables))
    if isinstance(shown, Text):
        return f"<p>{_styled(shown)}</p>" if shown.plain.strip() else ""
    if isinstance(shown, Table):
        return _rich_table(shown)
    if isinstance(shown, Fitted):
        rows = [[row[name] for name in shown.columns] for row in shown.rows]
        left = [k for k, name in enumerate(shown.columns) if name in shown.left]
        return table(shown.columns, rows, left=left)
    return preformatted(shown if isinstance(shown, str) else as_text(shown))


def _rich_table(shown: Table) -> str:
    """A table of rich: its columns, and what stands in them."""
    columns = shown.columns
    head = [_plain(column.header) for column in columns] if shown.show_header else []
    rows = [list(map(_plain, row)) for row in zip(*(column.cells for column in columns), strict=True)]
    left = [k for k, column in enumerate(columns) if column.justify != "right"]
    return table(head, rows, left=left)


def _plain(cell: RenderableType) -> str:
    """The text of a cell."""
    return cell.plain if isinstance(cell, Text) else str(cell)


def _styled(text: Text) -> str:
    """A text with what is bold of it, and its colour as a class."""
    styles = str(text.style).split()
    inner, at = "", 0
    for span in sorted(text.spans, key=lambda span: span.start):
        if span.start < at:
            continue
        inner += escaped(text.plain[at : span.start]) + _tagged(
            text.plain[span.start : span.end], str(span.style).split()
        )
        at = span.end
    rest = text.plain[at:]
    return inner + escaped(rest) if inner else _tagged(rest, styles)


def _tagged(text: str, styles: Sequence[str]) -> str:
    color = next((style for style in styles if style in COLORS), None)
    tag = "strong" if "bold" in styles else "span"
    named = f' class="{color}"' if color else ""
    return f"<{tag}{named}>{escaped(text)}</{tag}>" if named or tag == "strong" else escaped(text)
