"""Figures of JQODI: exact methods at scale, the published algorithm on growing K, the approximation scheme.

python benchmarks/jqodi.py [--quick] [--only SECTION] [--out FILE] [--plot FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import qopt
from qopt.core.files import write_text
from qopt.core.solution import Solution
from qopt.jqodi.generate import jqodi
from qopt.jqodi.problem import Jqodi

Row = dict[str, Any]


def scale(quick: bool) -> Iterator[tuple[str, dict[str, Any], str, dict[str, Any], int]]:
    """Rows of the section `scale`: name, arguments of the generator, method, its options, problems."""
    one = {"models": 1, "widths": [8]}
    small, large = {"epochs": 50, "servers": 4, "cuts": 5}, {"epochs": 500, "servers": 20, "cuts": 30}
    seeds, few = (2, 1) if quick else (11, 5)
    yield "path, 50 x 20", {**small, **one}, "rcsp", {}, seeds
    yield "path, 50 x 20", {**small, **one}, "highs-mip", {"time_limit": 10.0 if quick else 60.0}, seeds
    yield "path, 50 x 20, robust", {**small, **one, "estimate": "robust"}, "rcsp", {}, seeds
    yield "path, 50 x 20, four candidates", small, "rcsp", {}, seeds
    yield "schedule, 50 x 20", {**small, "mode": "schedule"}, "mckp", {}, seeds
    yield "choice, 50 x 20", {**small, "mode": "choice"}, "inspection", {}, seeds
    yield "path, 500 x 600, within 0.001", {**large, **one}, "rcsp", {"gap": 1e-3}, few
    yield "schedule, 500 x 600", {**large, "mode": "schedule"}, "mckp", {}, few
    equal = {**large, "mode": "schedule", "conditions": False}
    yield "schedule, 500 x 600, no conditions", equal, "mckp", {}, few
    if not quick:
        yield "path, 500 x 600", {**large, **one}, "rcsp", {}, few
        yield "path, 500 x 600, four candidates", large, "rcsp", {}, few
        yield "path, 500 x 600, robust, within 0.001", {**large, **one, "estimate": "robust"}, "rcsp", {"gap": 1e-3}, 2
        yield "choice, 500 x 600", {**large, "mode": "choice"}, "inspection", {}, few


def measured(problems: list[Jqodi], method: str, options: dict[str, Any]) -> Row:
    """Medians over problems: seconds of the method and of its certificate, what was proved, gaps."""
    found: list[Solution] = [qopt.solve(problem, method, **options) for problem in problems]
    gaps = [s.certificate.gap for s in found if s.certificate.gap is not None]
    return {
        "method": method,
        "seconds": statistics.median(s.seconds for s in found),
        "slowest": max(s.seconds for s in found),
        "certificate": statistics.median(s.certificate.seconds for s in found),
        "proved": sum(s.certificate.proved or s.certificate.infeasible for s in found),
        "problems": len(found),
        "gap": max(gaps, default=None),
    }


def scales(quick: bool) -> list[Row]:
    """Exact methods and their certificates on generated problems of fixed sizes."""
    rows: list[Row] = []
    for name, arguments, method, options, count in scale(quick):
        given = dict(arguments)
        epochs = given.pop("epochs")
        problems = [jqodi(epochs, seed=seed, **given) for seed in range(count)]
        qopt.solve(jqodi(3, seed=0, mode=given.get("mode", "path")), method)  # what is loaded on first use
        rows.append({"row": name, **measured(problems, method, options)})
        print(line(rows[-1]), flush=True)
    return rows


def line(row: Row) -> str:
    """One row for people."""
    gap = "-" if row["gap"] is None else f"{row['gap']:.1e}"
    return (
        f"{row['row']:40s} {row['method']:11s} {row['seconds']:9.3f} s (slowest {row['slowest']:.3f}) "
        f"certificate {row['certificate']:7.3f} s, proved {row['proved']} of {row['problems']}, gap {gap}"
    )


def growth(quick: bool) -> list[Row]:
    """`jqodi-paper` on growing K, two servers and two cuts, beside the exact path: seconds, vertices, loss."""
    rows: list[Row] = []
    for epochs in (*range(1, 8), *(() if quick else (8, 9, 12, 16, 24, 40))):  # from some K on it lists constants only
        problem = jqodi(
            epochs, seed=1, servers=2, cuts=2, models=1, widths=[8], tightness=0.6, estimate="robust", conditions=False
        )
        paper, exact = qopt.solve(problem, "jqodi-paper"), qopt.solve(problem, "rcsp")
        loss = None
        if paper.certificate.feasible and paper.objective is not None and exact.objective is not None:
            loss = paper.objective / exact.objective - 1
        effort = {"vertices": paper.details.get("vertices"), "listed": paper.details.get("listed")}
        states = 0 if paper.plan is None else len(paper.plan.servers)
        rows.append({"K": states, "paper": paper.seconds, **effort, "exact": exact.seconds, "loss": loss})
        print(
            f"K = {states:2d}: jqodi-paper {paper.seconds:8.4f} s, {effort['vertices']} vertices, {effort['listed']} "
            f"paths, {'no plan' if loss is None else f'{loss:.2%}'} above the optimum; rcsp {exact.seconds:.4f} s",
            flush=True,
        )
    return rows


def schemes(quick: bool) -> list[Row]:
    """`fptas` for falling eps: seconds, and how far above the proved optimum it is."""
    rows: list[Row] = []
    seeds = range(2 if quick else 5)
    problems = [jqodi(30, seed=s, servers=4, cuts=4, models=1, widths=[8], tightness=0.4) for s in seeds]
    optima = [qopt.solve(problem).objective for problem in problems]
    for eps in (1.0, 0.1, 0.01, 3e-3, 1e-3, *(() if quick else (3e-4, 1e-4))):
        found = [qopt.solve(problem, "fptas", gap=eps) for problem in problems]
        pairs = zip(found, optima, strict=True)
        above = max(s.objective / best - 1 for s, best in pairs if s.objective is not None and best is not None)
        seconds = statistics.median(s.seconds for s in found)
        rows.append({"eps": eps, "seconds": seconds, "above": above, "kept": above <= eps})
        print(
            f"eps = {eps:6g}: {seconds:8.4f} s, at most {above:.1e} above the optimum, kept: {above <= eps}", flush=True
        )
    return rows


def drawn(found: dict[str, list[Row]], file: str) -> None:
    """Growth over K, and time over 1 / eps, to a file."""
    import matplotlib.pyplot as plt

    from qopt.core.plot_style import save_figure

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    rows = found.get("growth", [])
    trees = [r for r in rows if r["listed"] == "all"]
    left.loglog([r["K"] for r in trees], [r["paper"] for r in trees], "o-", label="jqodi-paper, all paths")
    left.loglog([r["K"] for r in rows], [r["exact"] for r in rows], "s-", label="rcsp, with its proof")
    left.set_xlabel("epochs K")
    left.set_ylabel("time [s]")
    left.legend()
    rows = found.get("fptas", [])
    right.loglog([1 / r["eps"] for r in rows], [r["seconds"] for r in rows], "o-", label="fptas")
    right.set_xlabel("1 / eps")
    right.set_ylabel("time [s]")
    right.legend()
    save_figure(figure, file)


SECTIONS: dict[str, Callable[[bool], list[Row]]] = {"scale": scales, "growth": growth, "fptas": schemes}


def main() -> None:
    """Measure, print, and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small samples, seconds")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="sections to run; repeatable")
    parser.add_argument("--out", help="JSON file for the figures")
    parser.add_argument("--plot", help="image file for growth over K and time over 1 / eps")
    given = parser.parse_args()
    start = time.perf_counter()
    found = {name: run(given.quick) for name, run in SECTIONS.items() if not given.only or name in given.only}
    print(f"{time.perf_counter() - start:.0f} s in all")
    if given.out:
        write_text(given.out, json.dumps(found, indent=1))
    if given.plot:
        drawn(found, given.plot)


if __name__ == "__main__":
    main()
