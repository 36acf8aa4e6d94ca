"""Writes the proved optimum of every bundled instance into its file.

    python instances/fill_best_known.py

An instance whose optimum was worked by hand keeps it.
"""

from __future__ import annotations

from pathlib import Path

import qopt
from qopt.problems.reading import bundled, load, save


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
            "cut": solution.plan.cut,
            "weights": [int(b) for b in solution.plan.weights],
            "activations": [int(b) for b in solution.plan.activations],
            "how": f"method {solution.method}, proved by {solution.certificate.kind}",
        }
        save(problem.replace({"best_known": found}), folder / f"{name}.json")
        print(name, found["objective"], "cut", found["cut"])


if __name__ == "__main__":
    main()
