"""Names of this package in the text of a page, `qopt.solve`, lead to the reference."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

NAME = re.compile(r"(qopt(?:\.\w+)+)(?:\(.*\))?", re.DOTALL)


class ApiLinks(SphinxTransform):
    """Turns ``qopt.NAME`` in code spans into references; what the reference does not have stays as it is."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        """Change the document."""
        for node in list(self.document.findall(nodes.literal)):
            name = NAME.fullmatch(node.astext())
            around: Any = node.parent
            while around is not None and not isinstance(around, nodes.title | nodes.reference | addnodes.pending_xref):
                around = around.parent
            if name is None or around is not None:
                continue
            reference = addnodes.pending_xref(
                "", refdomain="py", reftype="obj", reftarget=name[1], refdoc=self.env.docname, refexplicit=False
            )
            node.replace_self(reference)
            reference += node


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_transform(ApiLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
