"""The estimators by name."""

from __future__ import annotations

from collections.abc import Sequence

from qopt.core.errors import MethodError, shown
from qopt.jqodi.estimators.curves import Curve
from qopt.jqodi.estimators.estimator import Estimator
from qopt.jqodi.estimators.learned_torch import Learned
from qopt.jqodi.estimators.naive import LastValue, MeanChange, OtherCurves
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


def automatic(curve: Curve, epochs: int, history: Sequence[Curve]) -> Estimator:
    """The estimator that did best on curves that were left out, of those that can be asked (docs/learning.md).

    Parameters
    ----------
    curve : what was seen.
    epochs : up to which epoch.
    history : finished curves.
    """
    long = [other for other in history if other.epochs >= epochs]
    if curve.epochs < PowerLaw.least_seen and len(long) >= OtherCurves.CROWD:
        return OtherCurves()
    return PowerLaw()
