"""What estimates of K promise, and what fresh draws say of it: missed limits, and the energy paid.

`python benchmarks/promises.py [--out benchmarks/promises.md]`; a minute.

Ten problems (`qopt.generate.jqodi`, mode schedule, nominal conditions), whose loss falls by the law of
`qopt.jqodi.worlds`: a factor of the model with a standard deviation of 10 %, one of each epoch with 15 %. From 1000
draws of K come two plans for a confidence of 90 %: `chance` takes the quantile of the draws as if they were the law;
`promised` the fewest epochs of which Clopper and Pearson's interval says so. `robust` is the estimate that stands in
the problem, 1.2 times the expected K, and promises no number. Of 10 000 fresh draws each, a run is late if it needs
more epochs than were planned, which are what fits T_max; of the worst problem, the upper end of the exact 95 % interval
stands beside. Energy is that of the epochs that a run takes which is not late, over what a plan of the same problem
takes that knows K.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import numpy as np

import qopt
from qopt.core.files import write_whole
from qopt.jqodi.drawing import chances, drawn_epochs, missed_at_most, promised_epochs
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import candidate_at, states_of, terms_of

OUT = Path(__file__).with_suffix(".md")
CONFIDENCE, KNOWN, FRESH, EPOCHS = 0.9, 1000, 10_000, 60
PROBLEMS = 10
ERRORS = {"model_error": 0.1, "epoch_error": 0.15}


def fixed(base: Jqodi, expected: int, robust: int, **more: object) -> Jqodi:
    """The problem with K given."""
    epochs: dict[str, object] = {"expected": expected, "robust": robust}
    if "chances" in more:
        epochs["chances"] = more.pop("chances")
    named = {"models[0].widths[0].loss": None, "models[0].widths[1].loss": None, "models[0].widths[0].epochs": epochs}
    return base.replace({**named, "estimate": "robust", **more})


def spent(problem: Jqodi, plan: qopt.JqodiPlan, most: int) -> np.ndarray:
    """(most + 1,) joules of a run that ends after so many epochs, the plan's last state going on."""
    planned = candidate_at(problem, plan.model, plan.bits, epochs=len(plan.servers), all_count=True)
    states = states_of(planned, plan).tolist()
    states += [states[-1]] * (most - len(states))
    long = candidate_at(problem, plan.model, plan.bits, epochs=len(states), all_count=True)
    energy = terms_of(long, states)[0]
    return np.concatenate(([np.nan], energy[0] + np.cumsum(energy[1:])))[: most + 1]


def main() -> None:
    """Run, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    rows: dict[str, list[tuple[int, float, int]]] = {"expected": [], "robust": [], "chance": [], "promised": []}
    for seed in range(PROBLEMS):
        base = qopt.generate.jqodi(
            15, seed=seed, mode="schedule", models=1, widths=[8], losses=True, conditions=False, tightness=0.5
        )
        expected, robust = base.models[0].epochs(base.models[0].widths[0])
        assert expected is not None
        assert robust is not None
        draw = {"epochs": EPOCHS, **ERRORS}
        known = drawn_epochs(base, "model1", 8, KNOWN, seed=2 * seed, **draw)
        fresh = drawn_epochs(base, "model1", 8, FRESH, seed=2 * seed + 1, **draw)
        promised = promised_epochs(known, CONFIDENCE)
        assert promised is not None
        room = {"time_limit": 1.3 * base.time_limit}
        plans = {
            "expected": fixed(base, expected, expected, **room),
            "robust": fixed(base, expected, robust, **room),
            "chance": fixed(
                base, expected, robust, chances=chances(known), estimate="chance", confidence=CONFIDENCE, **room
            ),
            "promised": fixed(base, expected, promised, **room),
        }
        needed = np.array([EPOCHS if k is None else k for k in fresh])
        clairvoyant = np.full(EPOCHS + 1, np.nan)
        for k in sorted(set(needed.tolist())):
            best = qopt.solve(fixed(base, k, k, **room))
            clairvoyant[k] = np.nan if best.plan is None else best.objective
        for name, problem in plans.items():
            solution = qopt.solve(problem)
            if solution.plan is None:
                rows[name].append((FRESH, float("nan"), 0))
                continue
            planned = len(solution.plan.servers)
            late = int((needed > planned).sum())
            kept = needed[(needed <= planned) & np.isfinite(clairvoyant[needed])]
            joules = spent(problem, solution.plan, EPOCHS)
            rows[name].append((late, 100.0 * float((joules[kept] / clairvoyant[kept]).mean() - 1.0), planned))
        print(f"problem {seed + 1} of {PROBLEMS}")
    lines = [
        "| plan | late, of all draws | most of a problem [upper end] | energy over clairvoyance | epochs |",
        "|---|---|---|---|---|",
    ]
    for name, each in rows.items():
        late = [row[0] for row in each]
        worst = max(late)
        planned = sorted(row[2] for row in each)
        energy = np.nanmean([row[1] for row in each])
        upper = missed_at_most(worst, FRESH)
        shares = f"{sum(late) / (FRESH * PROBLEMS):.2%} | {worst / FRESH:.2%} [{upper:.2%}]"
        lines.append(f"| {name} | {shares} | {energy:.2f} % | {planned[0]} to {planned[-1]} |")
    print("\n".join(lines))
    text = ["# What estimates of K promise", "", *(__doc__ or "").split("\n")[4:], *lines, ""]
    text += [f"qopt {qopt.__version__}, {platform.machine()}, Python {platform.python_version()}.", ""]
    write_whole(options.out, lambda file: file.write("\n".join(text).encode()))


if __name__ == "__main__":
    main()
