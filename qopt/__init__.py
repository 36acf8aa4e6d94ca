"""qopt: optimization models for neural networks at the edge, solved exactly and proved.

>>> import qopt
>>> problem = qopt.load("qpart/teaching-3")
>>> solution = qopt.solve(problem)
>>> solution.status
'optimal'

Everything loads when first used: importing qopt costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qopt import formulations as formulations
    from qopt import jqodi as jqodi
    from qopt import kernels as kernels
    from qopt import plots as plots
    from qopt.certificates.certificate import Certificate as Certificate
    from qopt.comparison import compare as compare
    from qopt.errors import InputError as InputError
    from qopt.errors import MethodError as MethodError
    from qopt.errors import QoptError as QoptError
    from qopt.jqodi.plan import JqodiPlan as JqodiPlan
    from qopt.placement.front import front as front
    from qopt.placement.front import recommend as recommend
    from qopt.placement.plan import PlacementPlan as PlacementPlan
    from qopt.placement.strategies import strategies as strategies
    from qopt.plan import QPartPlan as QPartPlan
    from qopt.plan import read_plan as read_plan
    from qopt.plan import save_plan as save_plan
    from qopt.problems import generate as generate
    from qopt.problems.jqodi import Jqodi as Jqodi
    from qopt.problems.placement import Placement as Placement
    from qopt.problems.qpart import QPart as QPart
    from qopt.problems.reading import bundled as bundled
    from qopt.problems.reading import load as load
    from qopt.problems.reading import save as save
    from qopt.serving.requests import Requests as Requests
    from qopt.serving.requests import fading_rates as fading_rates
    from qopt.serving.table import decide as decide
    from qopt.serving.table import offline as offline
    from qopt.serving.table_file import load_table as load_table
    from qopt.solution import Solution as Solution
    from qopt.solving import breakpoints as breakpoints
    from qopt.solving import certify as certify
    from qopt.solving import methods as methods
    from qopt.solving import solve as solve

__version__ = "0.1.0"

_HOME = {
    "load": "qopt.problems.reading",
    "save": "qopt.problems.reading",
    "bundled": "qopt.problems.reading",
    "QPart": "qopt.problems.qpart",
    "QPartPlan": "qopt.plan",
    "Placement": "qopt.problems.placement",
    "PlacementPlan": "qopt.placement.plan",
    "Jqodi": "qopt.problems.jqodi",
    "JqodiPlan": "qopt.jqodi.plan",
    "strategies": "qopt.placement.strategies",
    "recommend": "qopt.placement.front",
    "front": "qopt.placement.front",
    "read_plan": "qopt.plan",
    "save_plan": "qopt.plan",
    "solve": "qopt.solving",
    "methods": "qopt.solving",
    "certify": "qopt.solving",
    "Certificate": "qopt.certificates.certificate",
    "Solution": "qopt.solution",
    "compare": "qopt.comparison",
    "Requests": "qopt.serving.requests",
    "fading_rates": "qopt.serving.requests",
    "offline": "qopt.serving.table",
    "decide": "qopt.serving.table",
    "load_table": "qopt.serving.table_file",
    "breakpoints": "qopt.solving",
    "InputError": "qopt.errors",
    "MethodError": "qopt.errors",
    "QoptError": "qopt.errors",
}
_MODULES = {
    "formulations": "qopt.formulations",
    "generate": "qopt.problems.generate",
    "instances": "qopt.instances",
    "jqodi": "qopt.jqodi",
    "kernels": "qopt.kernels",
    "plots": "qopt.plots",
}

__all__ = ["__version__", *_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'qopt' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
