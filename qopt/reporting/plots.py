"""Pictures inside a page, drawn by the families' functions: SVG in the text, or pixels where that would be large."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING

from qopt.core.errors import QoptError
from qopt.core.html import escaped
from qopt.core.showing import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 150_000
"""Characters of an SVG; a larger one becomes pixels."""

HEAD = ("Date", "Creator", "Type", "Format")
"""What matplotlib would say of a file."""

DOTS = 130
"""Dots per inch of such pixels."""


def figure(picture: Picture, name: str) -> str:
    """A picture with its caption as HTML; where it cannot be drawn, the reason.

    Parameters
    ----------
    picture : what to draw.
    name : begins the ids in its SVG, which are to be unique on a page.
    """
    import matplotlib
    import matplotlib.pyplot as plt

    caption = escaped(picture.caption)
    with plt.ioff(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        before = set(plt.get_fignums())
        try:
            drawn = picture.draw().figure.get_figure()
            assert drawn is not None
            inner = _svg(drawn, name)
            if len(inner) > LARGEST:
                inner = _pixels(drawn, caption)
        except (QoptError, ValueError) as error:  # matplotlib's of a text that is no formula
            return f'<p class="note">Left out: {caption} {escaped(error)}</p>'
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
    return f'<figure><div class="picture">{inner}</div><figcaption>{caption}</figcaption></figure>'


def _svg(drawn: Figure, name: str) -> str:
    """A figure as an element: without what makes it a file, with ids of its own."""
    file = io.StringIO()
    drawn.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(HEAD))
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(?:xmlns(?::xlink)?|version)="[^"]*"', "", text.split(">", 1)[0]) + ">" + text.split(">", 1)[1]
    text = re.sub(r'(\sid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", text).replace("xlink:href", "href")
    width = re.search(r'<svg[^>]*?\swidth="([\d.]+)pt"', text)
    wide = f' style="max-width:{float(width[1]):.0f}pt"' if width else ""
    text = re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", text, count=1)
    return re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', rf'\1{wide} role="img"', text, count=1)


def _pixels(drawn: Figure, caption: str) -> str:
    """A figure as pixels in the text itself."""
    file = io.BytesIO()
    drawn.savefig(file, format="png", dpi=DOTS)
    content = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{caption}" src="data:image/png;base64,{content}">'
