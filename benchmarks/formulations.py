"""What a form of the joint model is worth: rows, columns, LP bound, nodes and seconds of each.

    python benchmarks/formulations.py [--layers 6 12 20] [--seed 1] [--time-limit 60]

The LP bound is given relative to the optimum (1 is tight). Solved by HiGHS to gap 0 on one thread.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import pyomo.environ as pyo
from qopt.formulations.qpart import FORMS, joint

from qopt.core.method import Options
from qopt.core.solvers.pyomo import run_highs
from qopt.qpart.generate import qpart
from qopt.qpart.problem import QPart


def size(model: Any) -> tuple[int, int, int]:
    """Rows, columns and nonzeros of a linear Pyomo model, as a solver receives them."""
    from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

    matrix = LinearStandardFormCompiler().write(model, mixed_form=True).A
    return int(matrix.shape[0]), int(matrix.shape[1]), int(matrix.nnz)


def lp_bound(problem: QPart, form: str) -> float:
    """Optimum of the LP relaxation, in the problem's units."""
    model = joint(problem, form)
    pyo.TransformationFactory("core.relax_integer_vars").apply_to(model)
    answer = run_highs(model, None, Options(threads=1))
    if answer.status != "optimal":
        raise RuntimeError(f"the LP relaxation of {form} was not solved: {answer.status} {answer.message}")
    return float(pyo.value(model.cost))


def measure(problem: QPart, form: str, time_limit: float | None = None) -> dict[str, Any]:
    """One row of the table."""
    bound = lp_bound(problem, form)
    start = time.perf_counter()
    model = joint(problem, form)
    build = time.perf_counter() - start
    rows, columns, nonzeros = size(model)
    start = time.perf_counter()
    answer = run_highs(model, time_limit, Options(threads=1))
    seconds = time.perf_counter() - start
    return {
        "form": form,
        "rows": rows,
        "columns": columns,
        "nonzeros": nonzeros,
        "lp": bound,
        "objective": float(pyo.value(model.cost)) if answer.point else None,
        "status": answer.status,
        "nodes": answer.nodes,
        "build": build,
        "seconds": seconds,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, nargs="+", default=[6, 12, 20])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time-limit", type=float, default=60.0)
    arguments = parser.parse_args()
    print(
        f"{'layers':>6} {'form':>10} {'rows':>6} {'columns':>8} {'nonzeros':>9} {'LP bound':>9} {'nodes':>6} "
        f"{'build s':>8} {'solve s':>8}  status"
    )
    for layers in arguments.layers:
        problem = qpart(layers, seed=arguments.seed)
        table = [measure(problem, form, arguments.time_limit) for form in FORMS]
        best = min((row["objective"] for row in table if row["status"] == "optimal"), default=None)
        for row in table:
            lp = f"{row['lp'] / best:9.6f}" if best else f"{row['lp']:9.3g}"
            nodes = "-" if row["nodes"] is None else row["nodes"]
            print(
                f"{layers:6} {row['form']:>10} {row['rows']:6} {row['columns']:8} {row['nonzeros']:9} {lp} {nodes:>6} "
                f"{row['build']:8.2f} {row['seconds']:8.2f}  {row['status']}"
            )


if __name__ == "__main__":
    main()
