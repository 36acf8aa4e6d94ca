"""A solution as a file that a stranger's checker reads: instances of kernels, each with its witness."""

from __future__ import annotations

import math
import os
from typing import Any

from qopt.core.arguments import is_number
from qopt.core.errors import InputError, shown
from qopt.core.families import FAMILIES, family_of
from qopt.core.plan import Plan, read_answer
from qopt.core.problem import Problem
from qopt.core.reading import as_problem
from qopt.core.solution import Solution
from qopt.kernels.checker import check_proof

GAP = 1e-9
"""Share of its cost by which something may be cheaper than the answer, by default."""


def proof_of(
    problem: Problem | str | os.PathLike[str],
    solution: Solution | Plan | str | os.PathLike[str] | None,
    *,
    gap: float | None = None,
    checked: bool = True,
) -> dict[str, object]:
    """What `qopt/kernels/checker.py` reads, in one object: that nothing is better than a plan, or that there is none.

    Parameters
    ----------
    problem : a problem, a bundled name, or the path of an instance file.
    solution : a solution, a plan, the path of a file with either, or None for the claim that there is no plan.
    gap : share of the plan's cost by which something may be cheaper; by default 1e-9, or what the solution's
        certificate leaves open, if that is more. Whoever checks states their own.
    checked : whether to put it to the checker at once.

    Returns
    -------
    An object of format ``qopt/kernel-proof`` for JSON.

    Raises
    ------
    InputError
        The plan is of another problem or breaks a limit, nothing is known that proves it, or the family or its numbers
        are beyond what the checker reads.
    """
    asked = as_problem(problem)
    if gap is not None and not (is_number(gap) and 0.0 <= gap < math.inf):
        raise InputError("gap", shown(gap), "a share >= 0")
    family = family_of(asked)
    if not family.proof:
        able = " or ".join(f.a_problem for f in FAMILIES.values() if f.proof)
        raise InputError("problem", f"{shown(asked.name)}, {family.a_problem}", able)
    plan: Any = solution
    if isinstance(solution, str | os.PathLike):
        plan = read_answer(solution, asked)[0]
    if isinstance(solution, Solution):
        plan = solution.plan
        if plan is None and not solution.certificate.infeasible:
            raise InputError("solution", f"no plan, {solution.status}", "a plan, or a proof that there is none")
        if gap is None and not solution.certificate.proved:
            left = solution.certificate.gap
            gap = None if left is None else left * (1.0 + GAP)
    if plan is not None and not isinstance(plan, family.part("plan")):
        raise InputError("solution", f"a {type(plan).__name__}", f"a solution of {family.a_problem}")
    share = GAP if gap is None else max(GAP, gap)
    found: dict[str, object] = family.part("proof")(asked, plan, share)
    if checked:
        verdict = check_proof(found, share)
        if not verdict.accepted:
            raise InputError("solution", f"no proof: {verdict.reason}", "a solution that is proved, or a wider gap")
    return found
