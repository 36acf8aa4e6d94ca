"""Model, bit-width, server and cut, epoch by epoch: what a plan costs, which limits can be met, and how it is drawn.

Modules and the most used functions load when first used: ``qopt.jqodi.breakdown(problem, plan)``,
``qopt.jqodi.smallest_limits(problem)``, ``qopt.jqodi.diagram.diagram(problem)``, ``qopt.jqodi.labels.labels(problem)``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qopt.jqodi.costs import breakdown as breakdown
    from qopt.jqodi.diagram import plan_vertices as plan_vertices
    from qopt.jqodi.diagram import write_diagram as write_diagram
    from qopt.jqodi.front import breakpoints as breakpoints
    from qopt.jqodi.limits import smallest_limits as smallest_limits
    from qopt.jqodi.plan import JqodiPlan as JqodiPlan

_MODULES = ("costs", "diagram", "front", "instances", "labels", "limits", "plan", "terms")
_HOME = {
    "breakdown": "costs",
    "breakpoints": "front",
    "JqodiPlan": "plan",
    "plan_vertices": "diagram",
    "smallest_limits": "limits",
    "write_diagram": "diagram",
}

__all__ = [*_MODULES, *_HOME]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"qopt.jqodi.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(f"qopt.jqodi.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'qopt.jqodi' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
