"""Formulas as MathML, written into the pages while they are built.

Browsers draw MathML themselves: the pages need no script and no fonts, from this site or from elsewhere, formulas are
there without JavaScript, in print and for screen readers, and what cannot be converted stops the build.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

logger = logging.getLogger(__name__)


def formula(node: nodes.Element, display: str) -> str:
    """The MathML of a node of mathematics."""
    try:
        return str(convert(node.astext().strip(), display=display))
    except Exception as error:
        logger.warning("no MathML (%s) for %s", error, node.astext(), location=node)
        return ""


def inline(translator: Any, node: nodes.math) -> None:
    """Write a formula of a line."""
    translator.body.append(f'<span class="math">{formula(node, "inline")}</span>')
    raise nodes.SkipNode


def block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula of its own."""
    translator.body.append(f'<div class="math">{formula(node, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
