"""The certificate of a plan: what is true of it, recomputed from the problem and the plan alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from qopt.core.display import gap_text, number, one_line
from qopt.core.html import InNotebooks, cut_rows, escaped, paragraph, table


def relative_gap(objective: float | None, bound: float | None) -> float | None:
    """(objective - bound) / \\|objective\\|; None where either is missing, or for a gap to an objective of 0."""
    if objective is None or bound is None:
        return None
    if objective == bound:
        return 0.0
    return (objective - bound) / abs(objective) if objective else None


SAME = 1e-12
"""Sums of the same numbers in another order differ by less than this share."""


@dataclass(frozen=True)
class Slack:
    """One constraint: what the plan uses, what is allowed, and whether the exact test holds.

    With `at_least` the limit is one from below: `used` is what the plan reaches, and must be `limit` or more. With
    `yes_no` there is no amount: `used` counts or measures what is wrong, and must be 0.

    Attributes
    ----------
    name : of the constraint.
    used, limit : amounts in the unit of the constraint.
    holds : whether it does in the exact test (`qopt.core.limits`).
    at_least : whether the limit is one from below.
    yes_no : whether there is no amount to tell.
    """

    name: str
    used: float
    limit: float
    holds: bool
    at_least: bool = False
    yes_no: bool = False

    @classmethod
    def whether(cls, name: str, wrong: float) -> Slack:
        """A constraint that holds or does not: it does if nothing is wrong.

        Parameters
        ----------
        name : of the constraint.
        wrong : how much or how many are wrong; 0 for none.
        """
        return cls(name, float(wrong), 0.0, float(wrong) == 0.0, yes_no=True)

    @property
    def slack(self) -> float:
        """How far the limit is: allowed less used, or reached less asked for."""
        return self.used - self.limit if self.at_least else self.limit - self.used

    @property
    def text(self) -> str:
        """``100 of 150``, or ``0.78, at least 0.75``, or ``yes``."""
        if self.yes_no:
            return "yes" if self.holds else "no"
        return f"{self.used:.6g}{', at least' if self.at_least else ' of'} {self.limit:.6g}"


@dataclass(frozen=True)
class WholeSlack(Slack):
    """A limit in whole units: said to the last one."""

    @property
    def text(self) -> str:
        """``399999872 of 400000000``."""
        return f"{self.used:.0f} of {self.limit:.0f}"


@dataclass(frozen=True)
class KKT:
    """Relative residuals of the optimality conditions at the plan's cut (real-valued bits), and the multiplier.

    Attributes
    ----------
    stationarity, complementarity, primal, dual : residuals, relative: 0 at an optimum.
    multiplier : lambda of the accuracy constraint, objective for a unit of noise.
    """

    stationarity: float
    complementarity: float
    primal: float
    dual: float
    multiplier: float

    @property
    def worst(self) -> float:
        """Largest of the four residuals."""
        return max(self.stationarity, self.complementarity, self.primal, self.dual)


STOPPED = {
    "time-limit": "the time limit stopped the proof",
    "labels": "the proof was given up after the sums that it may make",
}
"""Why proving ended early, in words."""


@dataclass(frozen=True, repr=False)
class Certificate(InNotebooks):
    """What is true of a plan, or of the absence of one.

    Attributes
    ----------
    bits : ``whole`` or ``real``: the problem the statement is about; None for families without bits.
    feasible : every constraint holds in the exact test.
    objective, cost : recomputed from the problem; None without a plan. A family's costs are a class of its own
        (`qopt.qpart.costs.Cost`, `qopt.placement.costs.PlacementCost`).
    constraints : slack of every constraint.
    violations : a line for each constraint that fails.
    bound : proved lower bound on every feasible plan's objective, None if there is none to give.
    kind : kind of the bound: ``kkt-dual``, ``lagrangian``, ``witness``, ``enumeration``, ``flow``, ``cheapest``.
    proved : the plan is feasible and optimal within tolerance, by this bound.
    infeasible : no plan exists, proved.
    kkt : residuals, real-valued bits only.
    notes : a line for each remark, for example why a witness was rejected.
    stopped : why proving ended early: ``time-limit``, or ``labels`` where the sums that an enumeration may make were
        used up; None where it came to its end. Feasibility is always certified; `notes` say what is left undone.
    seconds : seconds that it took to certify.
    """

    bits: str | None
    feasible: bool
    objective: float | None
    cost: Any
    constraints: tuple[Slack, ...] = ()
    violations: tuple[str, ...] = ()
    bound: float | None = None
    kind: str | None = None
    proved: bool = False
    infeasible: bool = False
    kkt: KKT | None = None
    notes: tuple[str, ...] = field(default=())
    seconds: float = 0.0
    stopped: Literal["time-limit", "labels"] | None = None

    @property
    def verdict(self) -> str:
        """What is true, in a few words, and what stopped the proof of more."""
        unfinished = not self.proved and not self.infeasible and self.stopped is not None
        return f"{self._truth}; {STOPPED[self.stopped]}" if unfinished and self.stopped else self._truth

    @property
    def _truth(self) -> str:
        if self.infeasible:
            return "infeasible: no plan exists, proved"
        if self.objective is None:
            return "nothing is proved"
        if not self.feasible:
            return "NOT FEASIBLE"
        if self.proved:
            return "feasible and optimal, proved"
        gap = "" if self.gap is None else f", at most {max(self.gap, 0.0):.3g} (relative) above the optimum"
        return f"feasible{gap}"

    def __repr__(self) -> str:
        return one_line(
            "Certificate", (("verdict", self.verdict), ("objective", self.objective), ("bound", self.bound))
        )

    def __str__(self) -> str:
        lines = [self.verdict]
        if self.objective is not None:
            lines.append(f"objective {number(self.objective, 12)}, proved bound {number(self.bound, 12)}")
        return "\n".join([*lines, *self.violations, *self.notes])

    def _parts(self) -> str:
        facts = [("objective", number(self.objective, 12)), ("lower bound", number(self.bound, 12))]
        told = table((), [*facts, ("gap", gap_text(self.gap))], left=(0, 1)) if self.objective is not None else ""
        notes = "".join(map(paragraph, (*self.violations, *self.notes)))
        return f"<p><strong>{escaped(self.verdict)}</strong></p>{told}{self.limits_table()}{notes}"

    def limits_table(self) -> str:
        """Every constraint with what is used, allowed and left, as a table of HTML; what does not hold comes first."""
        if not self.constraints:
            return ""
        rows = []
        for row in sorted(self.constraints, key=lambda row: row.holds):
            amounts = ("", "", "") if row.yes_no else tuple(number(x, 9) for x in (row.used, row.limit, row.slack))
            allowed = f"at least {amounts[1]}" if row.at_least else amounts[1]
            rows.append((row.name, amounts[0], allowed, amounts[2], "yes" if row.holds else "NO"))
        return table(("constraint", "used", "limit", "left", "holds"), cut_rows(rows))

    @property
    def gap(self) -> float | None:
        """(objective - bound) / \\|objective\\|, None where either is missing or the plan is not feasible."""
        return relative_gap(self.objective, self.bound) if self.feasible else None

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        data = asdict(self)
        data["cost"] = self.cost.to_dict() if self.cost else None
        data["constraints"] = [{**asdict(s), "slack": s.slack} for s in self.constraints]
        data["gap"] = self.gap
        return data


def claimed(bound: float | None, certificate: Certificate) -> float | None:
    """A method's own bound, beside the objective that the certificate gives the method's plan.

    Both add up the same numbers in another order: a bound that is above the objective by no more than rounding is the
    objective. One above it by more is false, and shown as it is.
    """
    objective = certificate.objective if certificate.feasible else None
    if bound is None or objective is None or not 0.0 < bound - objective <= SAME * abs(objective):
        return bound
    return objective
