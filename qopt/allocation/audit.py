"""`qopt.audit`: somebody's plan against the best there is: what it weighs, its true gap, the better plan and its proof.

A plan is measured within the problem's budgets, if it keeps them. Where it breaks one, or none is given, or on request,
it is measured against its own use: the best plan that takes no more of anything that counts than this one does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qopt.allocation.certificate.certify import certify
from qopt.allocation.plan import AllocationPlan, places
from qopt.allocation.problem import DAMAGE, Allocation
from qopt.allocation.recipe import from_object, read_foreign_plan
from qopt.allocation.report import amount
from qopt.allocation.tables.read import read_table
from qopt.core.certificate import Certificate
from qopt.core.display import Brief, number
from qopt.core.errors import InputError, shown
from qopt.core.solution import Solution
from qopt.core.solving import solve

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, repr=False)
class Audit(Brief):
    """A plan and the best one beside it.

    Attributes
    ----------
    problem : as asked.
    plan, certificate : the plan that was handed in, and what is true of it under the problem's budgets.
    reference : the problem that the best plan answers: the same, or with the plan's own use as budgets.
    best : the best plan of the reference, with its certificate.
    notes : remarks on the plan's file, one a line.
    """

    problem: Allocation
    plan: AllocationPlan
    certificate: Certificate
    reference: Allocation
    best: Solution
    notes: tuple[str, ...] = ()

    @property
    def own_use(self) -> bool:
        """Whether the plan is measured against its own use."""
        return self.reference is not self.problem

    @property
    def objective(self) -> float:
        """What the plan is worth, in what is minimised."""
        found = self.certificate.objective
        assert found is not None
        return found

    @property
    def above(self) -> float | None:
        """How far the plan is above the best one, as a share of the best; None without one, or for a best of 0."""
        best = self.best.objective
        return None if not best else (self.objective - best) / abs(best)

    @property
    def gap(self) -> float | None:
        """(objective - proved bound) / \\|objective\\|, how much better a plan can be; None where nothing is proved."""
        bound = self.best.certificate.bound
        return None if bound is None or not self.objective else (self.objective - bound) / abs(self.objective)

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """Group, this plan's format and the best plan's, where they differ."""
        if self.best.plan is None:
            return []
        theirs, ours = self.plan.formats, self.best.plan.formats
        return [(group, theirs[group], ours[group]) for group in self.problem.groups if theirs[group] != ours[group]]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """What there is to say, a line each."""
        cost = self.certificate.cost
        found = []
        for name, resource in self.problem.resources.items():
            used = amount(cost.resources[name], resource.unit)
            if resource.budget is None:
                found.append(f"{name}: {used}")
                continue
            over = cost.resources[name] - resource.budget
            verdict = f"{amount(over, resource.unit)} over" if over > 0 else f"{amount(-over, resource.unit)} to spare"
            found.append(f"{name}: {used}, {verdict} (budget {amount(resource.budget, resource.unit)})")
        found += [f"breaks {line}" for line in self.certificate.violations]
        against = "that takes no more than this one" if self.own_use else "within the budgets"
        what = self.problem.minimise
        if self.best.objective is None:
            found.append(f"{what} {number(self.objective, 8)}; best plan {against}: none found ({self.best.status})")
        else:
            best = f"best plan {against}: {number(self.best.objective, 8)}, {self.best.status}"
            share = "" if self.above is None else f", {100 * self.above:.3g} % above it"
            found.append(f"{what} {number(self.objective, 8)}{share}; {best}")
            found.append(f"{len(self.changes)} of {len(self.problem.groups)} groups have another format there")
        return found + list(self.notes)

    def rendered(self) -> RenderableType:
        """For a console of rich: the lines, then the best plan and its certificate."""
        from rich.console import Group
        from rich.text import Text

        head = Text("The plan", style="bold")
        parts: list[RenderableType] = [
            head,
            *(Text(line) for line in self.lines()),
            Text(),
            Text("The best", style="bold"),
        ]
        return Group(*parts, self.best.rendered())

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "format": "qopt/audit",
            "version": 1,
            "problem": self.problem.name,
            "plan": self.plan.to_dict(),
            "certificate": self.certificate.to_dict(),
            "own_use": self.own_use,
            "above": self.above,
            "gap": self.gap,
            "changes": [list(change) for change in self.changes],
            "notes": list(self.notes),
            "best": self.best.to_dict(),
        }


def audit(
    table: Allocation | str | os.PathLike[str],
    plan: AllocationPlan | Mapping[str, object] | str | os.PathLike[str],
    *,
    budgets: Mapping[str, float | None] | None = None,
    own_use: bool = False,
    time_limit: float | None = None,
) -> Audit:
    """Measure somebody's plan against the best there is.

    Parameters
    ----------
    table : an allocation, a bundled name, or a table that `qopt.read_table` takes.
    plan : a plan, formats by group, or the path of a recipe or JSON file (`qopt.allocation.recipe`).
    budgets : of resources, in place of the table's.
    own_use : measure against the plan's own use, even if it keeps the budgets.
    time_limit : seconds for the best plan.

    Returns
    -------
    The plan with its certificate, the best plan beside it, and how far they are apart.

    Raises
    ------
    InputError
        The table or the plan cannot be read, or the plan does not fit.
    """
    problem = table if isinstance(table, Allocation) else read_table(table)
    if budgets:
        problem = problem.with_budgets(**dict(budgets))
    notes: list[str] = []
    if isinstance(plan, AllocationPlan):
        taken = plan
        places(problem, taken)
    elif isinstance(plan, Mapping):
        taken, notes = from_object(plan, problem)
    elif isinstance(plan, str | os.PathLike):
        taken, notes = read_foreign_plan(plan, problem)
    else:
        raise InputError("plan", shown(plan), "a plan, formats by group, or the path of a file")
    limited = problem.damage_limit is not None or problem.pools is not None
    limited = limited or any(resource.budget is not None for resource in problem.resources.values())
    certificate = certify(problem, taken, labels=0)
    reference = problem
    if own_use or not certificate.feasible or not limited:
        reference = as_used(problem, certificate)
    return Audit(problem, taken, certificate, reference, solve(reference, time_limit=time_limit), tuple(notes))


def as_used(problem: Allocation, certificate: Certificate) -> Allocation:
    """The problem with what a plan uses as its budgets: of resources that have one, else of the first."""
    cost = certificate.cost
    limited = [name for name, resource in problem.resources.items() if resource.budget is not None]
    limited = limited or [name for name in list(problem.resources)[:1] if name != problem.minimise]
    changes: dict[str, object] = {f"resources.{name}.budget": cost.resources[name] for name in limited}
    if problem.minimise != DAMAGE:
        changes["damage_limit"] = cost.damage
    if problem.pools is not None:
        for pool, budget in problem.pools.budgets.items():
            if budget is not None:
                changes[f"pools.budgets.{pool}"] = cost.pools[pool]
    return problem.replace({**changes, "best_known": None, "name": f"{problem.name}, as used"})
