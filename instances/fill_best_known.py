"""Writes the proved optimum of every bundled instance into its file.

    python instances/fill_best_known.py

An instance whose optimum was worked by hand keeps it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qopt
from qopt.allocation.plan import AllocationPlan
from qopt.core.reading import bundled, load, save
from qopt.jqodi.plan import JqodiPlan
from qopt.qpart.plan import QPartPlan


def decision(plan: Any) -> dict[str, Any]:
    """What a plan of any family decides."""
    if isinstance(plan, QPartPlan):
        widths = {"weights": [int(b) for b in plan.weights], "activations": [int(b) for b in plan.activations]}
        return {"cut": plan.cut, **widths}
    if isinstance(plan, JqodiPlan):
        return {"model": plan.model, "bits": plan.bits, "servers": list(plan.servers), "cuts": list(plan.cuts)}
    if isinstance(plan, AllocationPlan):
        return {"formats": dict(plan.formats), **({"pools": dict(plan.pools)} if plan.pools else {})}
    return {"operator": plan.operator, "tiers": dict(plan.tiers)}


def main() -> None:
    """Solve, insist on a proof, write."""
    folder = Path(__file__).parent
    for name in bundled():
        problem = load(name)
        known = problem.best_known
        if known and known.get("how", "").startswith("worked by hand"):
            continue
        solution = qopt.solve(problem)
        if solution.status != "optimal" or solution.plan is None:
            raise SystemExit(f"{name}: {solution.status}, nothing written")
        found = {
            "objective": solution.objective,
            **decision(solution.plan),
            "how": f"method {solution.method}, proved by {solution.certificate.kind}",
        }
        save(problem.replace({"best_known": found}), folder / f"{name}.json")
        print(name, found["objective"])


if __name__ == "__main__":
    main()
