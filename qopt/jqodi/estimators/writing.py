"""Estimates into a problem: `widths[].loss`, or K^exp and K^rob, from curves of the epochs seen so far."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from qopt.core.arguments import real
from qopt.core.display import Brief, listed
from qopt.core.errors import InputError, one_line, shown
from qopt.core.reading import problem_of
from qopt.jqodi.estimators.curves import LARGEST_LOSS, Curve, read_curves
from qopt.jqodi.estimators.forecast import Forecast, robust_quantile
from qopt.jqodi.estimators.registry import automatic, estimator
from qopt.jqodi.problem import Jqodi

HORIZON = 50
"""Epochs that a forecast reaches where none are asked for."""

QUANTILE = 0.9
"""Of the robust estimate where none is asked for."""

Curves = Sequence[Curve] | str | os.PathLike[str]


@dataclass(frozen=True)
class Row:
    """What was estimated of a model at a width.

    Attributes
    ----------
    model, bits : which.
    seen : epochs that the estimate rests on.
    estimator : what made it; none where there is no curve.
    expected, robust : K^exp and K^rob; None where the loss is not reached within the horizon.
    note : what a reader should know, or nothing.
    """

    model: str
    bits: int
    seen: int
    estimator: str
    expected: int | None
    robust: int | None
    note: str = ""


@dataclass(frozen=True, repr=False)
class Estimated(Brief):
    """A problem with estimates in it, and what was estimated.

    Attributes
    ----------
    problem : with the estimates.
    rows : one for each model and width of the problem.
    quantile : of the robust estimates.
    epochs : how far the forecasts reach.
    """

    problem: Jqodi
    rows: tuple[Row, ...]
    quantile: float
    epochs: int

    def __str__(self) -> str:
        lines = [
            f"{row.model} at {row.bits} bits: "
            + f"K {_count(row.expected)} expected, {_count(row.robust)} robust"
            + (f" ({row.estimator}, {row.seen} seen)" if row.estimator else "")
            + (f"; {row.note}" if row.note else "")
            for row in self.rows
        ]
        head = f"{self.problem.name}: epochs within {self.epochs}, robust at {self.quantile:g}"
        return listed(head, lines)

    def table(self) -> str:
        """All rows, in columns."""
        lines = [f"{'model':16} {'bits':>4} {'seen':>4} {'K^exp':>6} {'K^rob':>6}  estimator"]
        for row in self.rows:
            counts = f"{_count(row.expected):>6} {_count(row.robust):>6}"
            tail = "; ".join(filter(None, (row.estimator, row.note)))
            lines.append(f"{row.model:16} {row.bits:4} {row.seen:4} {counts}  {tail}")
        lines.append(
            f"robust: {self.quantile:g} of the draws need at most so many epochs; never: not within {self.epochs}"
        )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        rows = [dict(row.__dict__) for row in self.rows]
        return {"quantile": self.quantile, "epochs": self.epochs, "widths": rows}


def _count(epochs: int | None) -> str:
    return "never" if epochs is None else str(epochs)


def forecast(
    curve: Curve, epochs: int, history: Curves = (), *, estimator: str = "auto", draws: int = 1000, seed: int = 0
) -> Forecast:
    """How the losses of a curve go on, with their uncertainty (Eqs. 11-12).

    Parameters
    ----------
    curve : the epochs seen so far.
    epochs : up to which epoch.
    history : list of finished curves, or their file: other widths, models, data or runs.
    estimator : a name (power-law, learned, others, last, mean), or auto.
    draws : how many.
    seed : of the draws.

    Raises
    ------
    InputError
        Fewer epochs were seen than the estimator needs, or it needs finished curves and there are none.
    """
    return _forecast(curve, epochs, _listed("history", history), estimator, draws, seed)


def _forecast(curve: Curve, epochs: int, history: Sequence[Curve], name: str, draws: int, seed: int) -> Forecast:
    made = automatic(epochs, history) if name == "auto" else estimator(name)
    return made.forecast(curve, epochs, history, draws=draws, seed=seed)


def forecast_losses(
    problem: Jqodi | str | os.PathLike[str],
    curves: Curves,
    *,
    epochs: int = HORIZON,
    quantile: float = QUANTILE,
    estimator: str = "auto",
    history: Curves = (),
    write: Literal["loss", "epochs"] = "loss",
    limits: Mapping[str, float] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Estimated:
    """Estimates of gamma, gamma^run, gamma^update and K, from the epochs seen, in a problem.

    Parameters
    ----------
    problem : with models of the curves' names; a problem, a bundled name or a path.
    curves : list of what was seen of its models and widths, or a file of such curves; several of one model and width
        count as equally likely. Widths without a curve keep their K, or loss changes if L_a and L_max are what they
        were, and are left out otherwise; the answer says so.
    epochs : how far the forecasts reach; a loss that is not met by then is never met.
    quantile : of the robust estimate, from 0.5 to below 1.
    estimator : a name (power-law, learned, others, last, mean), or auto.
    history : finished curves beside the others among `curves`.
    write : ``loss`` for the loss changes, from which K follows; ``epochs`` for K itself, by its own quantiles.
    limits : L_max by the name of a model, where the problem has none or another.
    draws, seed : of the forecasts.

    Raises
    ------
    InputError
        A curve of no model, models without L_max, curves of one model with different L_a, or too few epochs.
    """
    problem = problem_of(Jqodi, problem, named=True)
    quantile = robust_quantile(quantile)
    if write not in ("loss", "epochs"):
        raise InputError("write", shown(write), "loss, epochs")
    given, known = _listed("curves", curves), _listed("history", history)
    names = [model.name for model in problem.models]
    for where, asked in (("curves", [curve.model for curve in given]), ("limits", list(limits or {}))):
        for name in asked:
            if name not in names:
                raise InputError(where, f"model {shown(name)}", "models of the problem: " + ", ".join(names))
    asked_limits = {name: loss_limit(f"limits[{shown(name)}]", value) for name, value in (limits or {}).items()}
    changes: dict[str, object] = {}
    rows = []
    for m, model in enumerate(problem.models):
        own = [curve for curve in given if curve.model == model.name]
        limit = asked_limits.get(model.name, model.loss_limit)
        if own:
            _check_same_start(model.name, own)
            if limit is None:
                raise InputError(f"models[{m}].loss_limit", "nothing", "L_max, in the problem or among the limits")
            changes |= {f"models[{m}].loss": own[0].loss, f"models[{m}].loss_limit": float(limit)}
        for w, width in enumerate(model.widths):
            seen = [curve for curve in own if curve.bits == width.bits]
            if not seen or limit is None:
                rows.append(Row(model.name, width.bits, 0, "", *model.epochs(width), note="no curve"))
                if own and width.loss is not None and (model.loss != own[0].loss or model.loss_limit != limit):
                    changes[f"models[{m}].widths[{w}].loss"] = None
                    note = "no curve, and loss changes that went with another L_a or L_max: left out"
                    rows[-1] = Row(model.name, width.bits, 0, "", None, None, note)
                continue
            others = [curve for curve in (*given, *known) if curve not in seen]
            found = _pooled([_forecast(curve, epochs, others, estimator, draws, seed) for curve in seen])
            k = found.epochs_to(limit), found.epochs_to(limit, quantile)
            estimates = found.estimates(quantile)
            if write == "epochs":
                value = None if k[0] is None else {"expected": k[0], "robust": k[1]}
                changes |= {f"models[{m}].widths[{w}].{name}": x for name, x in (("epochs", value), ("loss", None))}
            else:
                changes |= {f"models[{m}].widths[{w}].{name}": x for name, x in (("loss", estimates), ("epochs", None))}
            note = ""
            if k[0] is None:
                note = f"the expected loss does not reach {limit:g} within {epochs} epochs"
            elif k[1] is None:
                note = f"the robust loss does not reach {limit:g} within {epochs} epochs"
            rows.append(Row(model.name, width.bits, min(c.epochs for c in seen), found.estimator, *k, note=note))
    changed = problem.replace(changes) if changes else problem
    if write == "loss":
        rows = [_as_written(changed, row) for row in rows]
    return Estimated(changed, tuple(rows), quantile, epochs)


def loss_limit(field: str, value: object) -> float:
    """L_max as a float, from 0 to the largest loss of a curve.

    Parameters
    ----------
    field, value : what is complained about, and what was given.

    Raises
    ------
    InputError
        It is no number, or out of range.
    """
    return real(field, value, 0.0, LARGEST_LOSS)


def _as_written(problem: Jqodi, row: Row) -> Row:
    """K as it follows from what was written: quantiles of losses, which noise moves less than quantiles of K."""
    model = next(model for model in problem.models if model.name == row.model)
    expected, robust = model.epochs(model.width(row.bits))
    return replace(row, expected=expected, robust=robust)


def _listed(where: str, curves: Curves) -> list[Curve]:
    found = read_curves(curves) if isinstance(curves, str | os.PathLike) else list(curves)
    for i, curve in enumerate(found):
        if not isinstance(curve, Curve):
            raise InputError(f"{where}[{i}]", shown(curve), "a curve")
    return found


def _check_same_start(name: str, curves: Sequence[Curve]) -> None:
    """One model has one L_a."""
    first = curves[0].loss
    for curve in curves:
        if abs(curve.loss - first) > 1e-5 * max(first, curve.loss):
            found = f"{one_line(name, 60)} with L_a {first:g} and {curve.loss:g}"
            raise InputError("curves", found, "curves of one model on one device's data")


def _pooled(forecasts: Sequence[Forecast]) -> Forecast:
    """Forecasts of several runs of one model and width as one, all runs equally likely."""
    first = forecasts[0]
    quantized, trained = (
        np.concatenate([getattr(found, name) for found in forecasts]) for name in ("quantized", "trained")
    )
    names = ", ".join(dict.fromkeys(found.estimator for found in forecasts))
    return Forecast(first.loss, quantized, trained, min(found.seen for found in forecasts), names)
