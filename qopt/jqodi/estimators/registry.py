"""The estimators by name."""

from __future__ import annotations

from collections.abc import Sequence

from qopt.core.errors import MethodError, shown
from qopt.jqodi.estimators.curves import Curve
from qopt.jqodi.estimators.estimator import Estimator
from qopt.jqodi.estimators.learned_torch import Learned
from qopt.jqodi.estimators.naive import CROWD, LastValue, MeanChange, OtherCurves
from qopt.jqodi.estimators.power_law import PowerLaw

ESTIMATORS: dict[str, type[Estimator]] = {
    kind.name: kind for kind in (PowerLaw, Learned, OtherCurves, LastValue, MeanChange)
}
"""In the order in which they are listed."""


def estimator(name: str) -> Estimator:
    """The estimator of a name.

    Parameters
    ----------
    name : power-law, learned, others, last or mean.

    Raises
    ------
    MethodError
        There is none of that name.
    """
    if name not in ESTIMATORS:
        raise MethodError(f"estimator: found {shown(name)}; allowed: {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name]()


def automatic(epochs: int, history: Sequence[Curve]) -> Estimator:
    """The estimator that did best on curves that were left out, of those that can be asked (docs/learning.md).

    The factors of other curves, where at least `CROWD` of them reach as far; otherwise a power law.

    Parameters
    ----------
    epochs : up to which epoch.
    history : list of finished curves.
    """
    reach = sum(other.epochs >= epochs for other in history)
    return OtherCurves() if reach >= CROWD else PowerLaw()
