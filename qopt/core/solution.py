"""What a method hands back: a plan, what it claims of it, and the certificate that says what is true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from qopt.core.certificate import Certificate, relative_gap
from qopt.core.display import Brief, one_line
from qopt.core.errors import InputError
from qopt.core.html import InNotebooks, preformatted

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from qopt.core.clock import Clock
    from qopt.core.problem import Problem

Status = Literal[
    "optimal",  # the certificate proves it
    "optimal-by-solver",  # a solver or method says so; no proof was produced
    "feasible",  # stopped by its own rule with a plan; `message` says which
    "heuristic",  # a rule without a promise
    "time-limit",  # stopped by the clock, with or without a plan
    "infeasible",  # no plan exists, proved
    "infeasible-by-solver",  # a solver or method says so; no proof was produced
    "failed",  # a solver gave up or broke off
]
"""Why a method stopped. Whether there is a plan is a second question: `Solution.plan`."""


def stopped(clock: Clock, plan: object) -> Status:
    """The status of a search that ended early: by the clock, or by a rule of its own, with or without a plan."""
    if clock.over:
        return "time-limit"
    return "failed" if plan is None else "feasible"


@dataclass(frozen=True, repr=False)
class Outcome(Brief):
    """What one method returns: its claim, unchecked.

    Attributes
    ----------
    status : "optimal" where the method claims optimality; `qopt.solve` turns the claim into "optimal" or
        "optimal-by-solver" after looking at the certificate.
    plan : the best plan found (of the family's class), or None.
    bound : the method's own lower bound on the objective, or None.
    witness : a proof that anyone can check (`qopt.qpart.certificate.witness`), or None.
    message : one line for the user, for example why it failed.
    details : numbers worth keeping: rounds, nodes, multipliers.
    refuted : the claim of a method that a plan refutes which `qopt.solve` knows (`qopt.core.claims.refuted`); the
        status is "failed" then. A method leaves it empty.
    """

    status: Status
    # A plan is of the family's class, which only who asks knows: as a `Plan` every `plan.cut` would need a cast. So it
    # is with `Certificate.cost` and with what `qopt.load` returns.
    plan: Any = None
    bound: float | None = None
    witness: dict[str, object] | None = None
    message: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    refuted: str = ""


@dataclass(frozen=True, repr=False)
class Solution(InNotebooks):
    """A solved problem.

    Attributes
    ----------
    problem, method, solver, bits : what was solved, how, and over which bits (``whole`` or ``real``; None for a
        family without bits).
    status : why the method stopped (`Status`).
    plan, objective, bound : None where there is none. `bound` is the method's claim; the proved one is the
        certificate's.
    seconds : seconds of wall time of the method, model building and the first plan included; the certificate's is its
        own. A time limit is for both together.
    certificate : what is true of the plan.
    witness, message, details : as the method handed them back (`Outcome`).
    refuted : the method's claim that turned out false, in words; empty for none. The status is "failed" then, and the
        plan the better one.
    instance : the problem itself, for `report`.
    """

    problem: str
    method: str
    solver: str | None
    bits: str | None
    status: Status
    plan: Any
    objective: float | None
    bound: float | None
    seconds: float
    certificate: Certificate
    witness: dict[str, object] | None = None
    message: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    refuted: str = ""
    instance: Problem | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        shown = (("problem", self.problem), ("method", self.method), ("status", self.status))
        return one_line("Solution", (*shown, ("objective", self.objective), ("plan", self.plan)))

    def __str__(self) -> str:
        how = f"{self.problem} by {self.method}: {self.status}, {self.seconds:.3g} s"
        return "\n".join(filter(None, (how, self.message, str(self.plan or ""), str(self.certificate))))

    def report(self) -> str:
        """What the command line prints: the plan, what it costs, and its certificate.

        Raises
        ------
        InputError
            The solution was made without its problem, so not by `qopt.solve`.
        """
        from qopt.core.report import as_text

        return as_text(self.rendered())

    def _parts(self) -> str:
        from qopt.core.rich_html import of

        return preformatted(self) if self.instance is None else of(self.rendered())

    def rendered(self) -> RenderableType:
        """The report for a console of rich; errors as `report`."""
        from rich.console import Group
        from rich.text import Text

        from qopt.core.families import family_of
        from qopt.core.report import certificate_table, scaled

        if self.instance is None:
            raise InputError("instance", "nothing", "the problem that was solved, as qopt.solve keeps it")
        own = family_of(self.instance).part("report")
        head = Text.assemble((self.instance.name, "bold"), f"  {own.heading(self)}  ")
        head.append(self.status, style="bold green" if self.status == "optimal" else "bold yellow")
        head.append(f"  {scaled(self.seconds, 's')}", style="dim")
        parts: list[RenderableType] = [head]
        if self.message:
            parts.append(Text(self.message))
        if self.plan is not None and self.certificate.cost is not None:
            parts += [Text(), *own.plan_parts(self.instance, self)]
        parts += [Text(), Text("Certificate", style="bold"), certificate_table(self.instance, self.certificate)]
        return Group(*parts)

    @property
    def late(self) -> bool:
        """Whether the time limit left it unproved."""
        proved = self.certificate.proved or self.certificate.infeasible
        return not proved and (self.status == "time-limit" or self.certificate.stopped is not None)

    @property
    def gap(self) -> float | None:
        """(objective - bound) / \\|objective\\|, None where either is missing or the plan is not feasible."""
        return relative_gap(self.objective, self.bound) if self.certificate.feasible else None

    def to_dataframe(self) -> pd.DataFrame:
        """A row of `qopt.compare`'s table: what was found, and what is proved of it (seconds, the family's own units).

        Rows of several solutions are put together by ``pandas.concat``, and drawn by `qopt.plots.plot_comparison`.
        """
        import pandas as pd

        return pd.DataFrame.from_records([self.row])

    @property
    def row(self) -> dict[str, Any]:
        """The solution as a row of a table: the certificate's bound and gap, not the method's."""
        from qopt.core.families import family_of

        found, own = self.certificate, {}
        if self.instance is not None:
            own = family_of(self.instance).part("report").facts(self.instance, self)
        return {
            "problem": self.problem,
            "method": self.method,
            **({} if self.bits is None else {"bits": self.bits}),
            "status": self.status,
            "objective": self.objective,
            "bound": found.bound,
            "gap": found.gap if found.feasible else None,
            "seconds": self.seconds,
            "verified": found.feasible if self.plan else None,
            "proved": found.proved or found.infeasible,
            **own,
            "refuted": self.refuted,
            "message": self.message,
        }

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON (``qopt solve --json``)."""
        return {
            "format": "qopt/solution",
            "version": 1,
            "problem": self.problem,
            "method": self.method,
            "solver": self.solver,
            "bits": self.bits,
            "status": self.status,
            "objective": self.objective,
            "bound": self.bound,
            "gap": self.gap,
            "seconds": self.seconds,
            "message": self.message,
            "plan": self.plan.to_dict() if self.plan else None,
            "certificate": self.certificate.to_dict(),
            "witness": self.witness,
            "details": self.details,
            "refuted": self.refuted,
        }
