"""Objects as HTML, for notebooks and for pages: the tables that the console prints, every text escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

MOST = 40
"""Rows of a table in a notebook; of a longer one the first and the last."""

TAIL = 5
"""Of those, rows from the end."""


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


class InNotebooks:
    """For classes whose objects show themselves in a notebook: what is printed, or better what `_parts` gives."""

    def _repr_html_(self) -> str:
        return f'<div class="qopt">{self._parts()}</div>'

    def _parts(self) -> str:
        """The object as HTML, every text of it escaped."""
        return preformatted(self)
