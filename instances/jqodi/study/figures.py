"""Figs. 2, 3, 5 and 7 to 12 of the paper, made from our own curves, and what of the paper's statements holds in them.

    python instances/jqodi/study/figures.py [--out FOLDER]

Three small networks (`curve_networks.py`) on the nodes of `jqodi/data1`, a device with 1500 training and 600 validation
images. *Turned* digits stand for Data 1, *inverted* ones, which are further from the cloud's data, for Data 2. K is
counted in the curves: the expected one is the median of three runs, the robust one the largest; a width of which any
run does not meet L_max within 16 epochs has no robust K, and no K at all if two do not. L_max is what the best network
in full precision has after 8 epochs, times 1.5. The verdicts go to `figures.json`; pictures are written with --out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from curve_networks import NETWORKS, SIDE, sizes

import qopt
from qopt.core.files import write_text
from qopt.jqodi.costs import breakdown
from qopt.jqodi.estimators.curves import Curve, read_curves
from qopt.jqodi.estimators.plots import cut_cost, inference_costs
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi

HERE = Path(__file__).resolve().parent
DATA = {"data1": "turned", "data2": "inverted"}
WIDTHS = (2, 4, 6, 8)
"""Those that the paper admits."""

METHODS = {
    "Optimum": "inspection",
    "JQODI": "jqodi-paper",
    "Full Model": "full-model",
    "Minimal Model": "minimal-model",
}
TIGHT = 1.5
"""T_max, in terms of the fastest plan at admissible widths."""

Verdict = dict[str, Any]


def limit_of(curves: Sequence[Curve], data: str) -> float:
    """L_max of a data set."""
    full = [c for c in curves if c.data == data and c.bits == 32]
    return round(1.5 * min(median(c.trained[7] for c in full if c.model == name) for name in NETWORKS), 3)


def counted(curves: Sequence[Curve], limit: float) -> dict[str, int | None] | None:
    """K^exp and K^rob of the runs of one model at one width; None where most never meet the limit."""
    found = [curve.epochs_to(limit) for curve in curves]
    met = sorted(k for k in found if k is not None)
    middle = (len(found) - 1) // 2
    if len(met) <= middle:
        return None
    return {"expected": met[middle], "robust": met[-1] if len(met) == len(found) else None}


def instance(curves: Sequence[Curve], data: str) -> Jqodi:
    """Our networks and epochs on the published instance's nodes."""
    content: dict[str, Any] = qopt.load("jqodi/data1").model_dump(mode="json")
    shift, limit = DATA[data], limit_of(curves, DATA[data])
    models = []
    for name in NETWORKS:
        own, size = [c for c in curves if (c.model, c.data) == (name, shift)], sizes(name)
        widths = [
            {"bits": bits, "epochs": counted([c for c in own if c.bits == bits], limit)}
            for bits in sorted({c.bits for c in own})
        ]
        models.append(
            {
                "name": name,
                "loss": own[0].loss,
                "loss_limit": limit,
                "macs": list(size.macs),
                "weights": list(size.weights),
                "activations": list(size.activations),
                "input_size": SIDE * SIDE,
                "input_bits": 8,
                "widths": widths,
            }
        )
    device = content["devices"][0] | {"training": 1500.0, "validation": 600.0}
    content |= {"name": f"ours-{data}", "description": "", "source": "", "devices": [device], "models": models}
    problem = Jqodi.model_validate(content | {"widths": list(WIDTHS), "time_limit": 1e6})
    fastest = min(time for time, _ in points(problem))
    return problem.replace({"time_limit": round(TIGHT * fastest, 2)})


def points(problem: Jqodi) -> list[tuple[float, float]]:
    """Seconds and joules of every choice at admissible widths."""
    from qopt.jqodi.terms import candidates, totals

    found = []
    for own in candidates(problem):
        found += [totals(own, [s] * own.epochs)[::-1] for s in range(len(own.states))]
    return found


def plans(problem: Jqodi) -> dict[str, JqodiPlan]:
    """What the paper's four strategies decide; those that find nothing are left out."""
    found = {name: qopt.solve(problem, method).plan for name, method in METHODS.items()}
    return {name: plan for name, plan in found.items() if isinstance(plan, JqodiPlan)}


def verdict(figure: str, says: str, holds: bool | None, ours: str) -> Verdict:
    """A statement of the paper, whether it holds in our data, and the numbers."""
    return {"figure": figure, "says": says, "holds": holds, "ours": ours}


def of_curves(curves: Sequence[Curve]) -> list[Verdict]:
    """Fig. 2 and the signs of Eqs. 11-12."""

    def ends(model: str, bits: int) -> float:
        return median(c.accuracy[-1] for c in curves if (c.model, c.bits, c.data) == (model, bits, "turned"))

    drop = [c.gamma > 0 for c in curves if c.bits < 32]
    late = [c.update[1:] < 0 for c in curves if c.bits < 32]
    run = [c.run < 0 for c in curves if c.bits < 32]
    one, four, full = (ends("lenet", bits) for bits in (1, 4, 32))
    share = {name: float(np.mean(np.concatenate(x))) for name, x in (("update", late), ("run", run))}
    return [
        verdict("Fig. 2", "at 1 bit accuracy stays below full precision's however long it is tuned", one < full - 0.05,
                f"LeNet-like, 16 epochs: {one:.2f} at 1 bit, {four:.2f} at 4, {full:.2f} in full precision"),
        verdict("Fig. 2", "quantizing makes the loss jump up: gamma > 0 (Eq. 12)", bool(np.mean(drop) > 0.9),
                f"in {np.mean(drop):.0%} of the curves: what is wrong on the device's data is less so with fewer bits"),
        verdict("Eq. 11", "gamma^run < 0", share["run"] > 0.9, f"in {share['run']:.0%} of the epochs"),
        verdict("Eq. 11", "gamma^update < 0", share["update"] > 0.9,
                f"in {share['update']:.0%} of the epochs: quantizing anew usually costs some of what training won"),
    ]  # fmt: skip


def of_cuts(problem: Jqodi, plan: JqodiPlan) -> list[Verdict]:
    """Fig. 3."""
    cuts = range(len(problem.model(plan.model)) + 1)
    energy = [sum(cut_cost(problem, plan, cut, "energy").values()) for cut in cuts]
    steps = np.sign(np.diff(energy))
    falls_then_rises = steps[0] < 0 < steps[-1] and bool((np.diff(steps) >= 0).all())
    return [
        verdict("Fig. 3", "over the cuts energy first falls, then rises", bool(falls_then_rises),
                f"{plan.model} at {plan.bits} bits, cuts 0 to {cuts[-1]}: " + ", ".join(f"{x:.1f} J" for x in energy))
    ]  # fmt: skip


def of_plans(data: str, problem: Jqodi, found: dict[str, JqodiPlan]) -> list[Verdict]:
    """Figs. 7 to 12."""
    at = {"data1": ("Fig. 7", "Fig. 8"), "data2": ("Fig. 11", "Fig. 12")}[data]
    cost = {name: breakdown(problem, plan) for name, plan in found.items()}
    told = "; ".join(
        f"{name}: {plan.model}, {plan.bits} bits, {plan.servers[0]}, cut {plan.cuts[0]}, {len(plan.cuts)} epochs, "
        f"{cost[name].energy or 0:.1f} J, {cost[name].time or 0:.2f} s" for name, plan in found.items()
    )  # fmt: skip
    verdicts = [verdict(at[0], f"decisions within T_max of {problem.time_limit:g} s, L_max "
                        f"{problem.models[0].loss_limit:g}", None, told)]  # fmt: skip
    if {"Optimum", "JQODI", "Full Model"} <= set(found):
        best, jqodi, full = (cost[name] for name in ("Optimum", "JQODI", "Full Model"))
        ratio = (jqodi.energy or 0) / (best.energy or 1)
        verdicts.append(verdict(at[0], "JQODI's energy is close to the Optimum's", ratio <= 1.1, f"{ratio:.3f} times"))
        more = (full.energy or 0) / (jqodi.energy or 1)
        verdicts.append(verdict(at[0], "the Full Model takes more energy than JQODI", more > 1, f"{more:.2f} times"))
    if "Minimal Model" in found:
        plan = found["Minimal Model"]
        never = problem.model(plan.model).width(1).epochs is None
        if data == "data1":
            verdicts.append(verdict(at[0], "the Minimal Model never meets L_max", never, f"{plan.model} at 1 bit"))
        else:
            verdicts.append(verdict(at[0], "all strategies meet L_max", not never, f"{plan.model} at 1 bit"))
    for name in ("Optimum", "JQODI"):
        if name in cost:
            time, energy = cost[name].node_times, cost[name].node_energies
            slow = [time[node] or 0.0 for node in ("device", "edge", "cloud")]
            dear = [energy[node] for node in ("device", "edge", "cloud")]
            holds = slow[0] > slow[1] > slow[2] and dear[0] < dear[1] < dear[2]
            told = ", ".join(f"{s:.3g} s" for s in slow) + "; " + ", ".join(f"{e:.3g} J" for e in dear)
            says = f"{name}: device > server > cloud in time, the reverse in energy"
            verdicts.append(verdict(at[1], says, holds, told))
    if data == "data2" and "Minimal Model" in cost:
        shares = {name: (c.node_times["device"] or 0) / (c.time or 1) for name, c in cost.items()}
        verdicts.append(verdict("Fig. 12", "the Minimal Model has the largest share of its time on the device",
                                max(shares, key=lambda name: shares[name]) == "Minimal Model",
                                ", ".join(f"{name} {share:.0%}" for name, share in shares.items())))  # fmt: skip
    if data == "data1":
        verdicts += of_inference(problem, found)
    return verdicts


def of_inference(problem: Jqodi, found: dict[str, JqodiPlan]) -> list[Verdict]:
    """Figs. 9 and 10."""
    plan = found.get("JQODI", next(iter(found.values())))
    by = {what: {name: sum(parts.values()) for name, parts in inference_costs(problem, plan, what).items()}
          for what in ("time", "energy")}  # type: ignore[arg-type]  # fmt: skip
    device = problem.decided.name
    others = [name for name in by["time"] if name != device]
    text = "; ".join(f"{name} {by['time'][name]:.3g} s, {by['energy'][name]:.3g} J" for name in by["time"])
    return [
        verdict("Fig. 9", "inference on the device alone takes less energy than with either server",
                all(by["energy"][device] < by["energy"][name] for name in others), text),
        verdict("Fig. 10", "for small models a server does not make inference faster",
                all(by["time"][device] < by["time"][name] for name in others), text),
    ]  # fmt: skip


def draw(folder: Path, curves: Sequence[Curve], problems: dict[str, Jqodi]) -> None:
    """All pictures."""
    import matplotlib as mpl

    mpl.use("Agg")
    from qopt import plots

    folder.mkdir(parents=True, exist_ok=True)

    def keep(name: str, ax: Any) -> None:
        plots.style.save_figure(ax, folder / f"{name}.png", dots=110)

    named = {f"{c.model}, {c.bits} bits": c for c in curves if c.model in ("lenet", "resnet") and c.bits in (1, 4, 32)
             and c.data == "turned" and c.seed == 0}  # fmt: skip
    keep("fig2", plots.plot_accuracy(named))
    keep("fig5", plots.plot_diagram("jqodi/fig5", qopt.solve("jqodi/fig5").plan))
    for data, (loss, nodes) in {"data1": ("fig7", "fig8"), "data2": ("fig11", "fig12")}.items():
        problem = problems[data]
        found, own = plans(problem), [c for c in curves if c.data == DATA[data]]
        for letter, against in (("a", "energy"), ("b", "time")):
            keep(f"{loss}{letter}", plots.plot_losses(problem, found, own, against))  # type: ignore[arg-type]
        keep(f"{loss}c", plots.plot_energy_time(problem, found))
        for what in ("energy", "time"):
            keep(f"{nodes}-{what}", plots.plot_breakdown(problem, found, what))  # type: ignore[arg-type]
        if data == "data1":
            plan = found["Optimum"]
            for what in ("energy", "time"):
                keep(f"fig3-{what}", plots.plot_cuts(problem, plan, what))  # type: ignore[arg-type]
                keep(f"fig9-{what}", plots.plot_inference(problem, found, what))  # type: ignore[arg-type]
                one = {"JQODI": found.get("JQODI", plan)}
                keep(f"fig10-{what}", plots.plot_inference(problem, one, what))  # type: ignore[arg-type]


def verdicts(curves: Sequence[Curve], problems: dict[str, Jqodi]) -> list[Verdict]:
    """Everything that can be said of the paper's statements with our data."""
    found = of_curves(curves)
    for data, problem in problems.items():
        decided = plans(problem)
        if data == "data1":
            found += of_cuts(problem, decided["Optimum"])
        found += of_plans(data, problem, decided)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--curves", type=Path, default=HERE / "curves.json")
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    options = parser.parse_args(arguments)
    curves = read_curves(options.curves)
    problems = {data: instance(curves, data) for data in DATA}
    found = verdicts(curves, problems)
    write_text(HERE / "figures.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    for entry in found:
        holds = {None: "", True: "holds", False: "does not"}[entry["holds"]]
        print(f"{entry['figure']:8} {holds:9} {entry['says']}: {entry['ours']}")
    if options.out is not None:
        draw(options.out, curves, problems)
    return 0


if __name__ == "__main__":
    sys.exit(main())
