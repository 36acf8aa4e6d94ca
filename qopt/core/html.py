"""Objects as HTML, for notebooks and for pages: the tables that the console prints, every text escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

MOST = 40
"""Rows of a table in a notebook; of a longer one the first and the last."""

TAIL = 5
"""Of those, rows from the end."""

COLORS = ("red", "yellow", "green")
"""Colours of texts that become classes, for a page to give them a shade."""


def escaped(text: object) -> str:
    """A text as HTML shows it, literally, in an element or in an attribute.

    Parameters
    ----------
    text : anything; its print counts.
    """
    return html.escape(str(text), quote=True)


def paragraph(text: object) -> str:
    """A text as a paragraph, its lines kept.

    Parameters
    ----------
    text : anything; its print counts.
    """
    return f'<p style="white-space:pre-wrap">{escaped(text)}</p>'


def preformatted(text: object) -> str:
    """A text as it is printed.

    Parameters
    ----------
    text : anything; its print counts.
    """
    return f'<pre style="white-space:pre-wrap">{escaped(text)}</pre>'


def cut_rows(rows: Sequence[Sequence[str]], most: int = MOST) -> list[Sequence[str]]:
    """Rows of a table, of too many the first and the last and a line between them that says how many are left out.

    Parameters
    ----------
    rows : cells of each row.
    most : rows that are kept.
    """
    hidden = len(rows) - most + 1
    if hidden <= 1:
        return list(rows)
    return [*rows[: most - TAIL - 1], (f"… {hidden} more",), *rows[len(rows) - TAIL :]]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,), kind: str = "") -> str:
    """A table in a box that scrolls by itself.

    Parameters
    ----------
    head : names of the columns; none for a table without a head.
    rows : texts of each row's cells; a short row is filled up.
    left : positions of columns of texts; the others are numbers, at the right.
    kind : class of the box.
    """
    listed = [list(row) for row in rows]
    width = max([len(head), *map(len, listed)], default=0)

    def cells(row: Sequence[str], tag: str) -> str:
        filled = [*row, *[""] * (width - len(row))]
        side = ["left" if k in left else "right" for k in range(width)]
        return "".join(
            f'<{tag} style="text-align:{s}">{escaped(text)}</{tag}>' for s, text in zip(side, filled, strict=True)
        )

    top = f"<thead><tr>{cells(head, 'th')}</tr></thead>" if head else ""
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in listed)
    box = f"box {kind or ('' if head else 'facts')}".rstrip()
    return f'<div class="{box}" style="overflow-x:auto"><table>{top}<tbody>{body}</tbody></table></div>'


def of(shown: RenderableType) -> str:
    """What the console would print, as HTML: texts, tables and groups of them.

    Parameters
    ----------
    shown : as the reports of the families make them.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from qopt.core.report import Fitted, as_text

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
    from rich.text import Text

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


class InNotebooks:
    """For classes whose objects show themselves in a notebook: what is printed, or better what `_parts` gives."""

    def _repr_html_(self) -> str:
        return f'<div class="qopt">{self._parts()}</div>'

    def _parts(self) -> str:
        """The object as HTML, every text of it escaped."""
        return preformatted(self)
