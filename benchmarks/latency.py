"""Prediction beside measurement: every strategy of the small networks, parts as processes, links at three rates.

    python benchmarks/latency.py [--rates 2e6,20e6,200e6] [--examples 20] [--repetitions 5] [--runs 100] [--pause 0.02]
        [--only residual] [--out FOLDER]

For each network (the two of instances/networks, one with the stages of ResNet-18, untrained) four
operators are made (as it is, quantized, early exit, both) and profiled on this machine with one thread as the mobile
and with two as the edge. `qopt.strategies` predicts: each operator on either tier, and the largest and the smallest
model in halves. Each is then cut, run by `qopt.time_parts` and measured: the mobile asks the edge, both processes on
loopback, the link held to a rate. Requests come with a pause between them, and the whole is profiled with the same
pause: caches and threads that went cold are part of what a request takes. Predicted seconds of computing are shares of
that whole (`Profile.as_deployed`). A link has its rate, and what a request takes on the way besides, measured once with
a model that does nothing; what calling that model takes is added for every part but the first.

Printed are, for each network and rate, a row for each strategy, the median error of computing, the rank correlation
among strategies within a factor of 2 of the best with its interval, and how far the recommended one is above the best.
With --out the logs and predictions are kept, for `qopt latency`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

import qopt
from qopt.comparison.agreement import agreement
from qopt.comparison.latencies import read_logs
from qopt.core.report import scaled
from qopt.placement.costs import breakdown
from qopt.placement.merge import merge
from qopt.placement.plan import PlacementPlan
from qopt.runtime.exits import exit_onnx
from qopt.runtime.profiling import profile_onnx
from qopt.runtime.quantizing import quantize_onnx
from qopt.runtime.splitting import split_onnx

HERE = Path(__file__).parents[1] / "instances" / "networks"
sys.path.insert(0, str(HERE))
import models as networks  # noqa: E402

SHAPES = {"residual": (1, 1, 28, 28), "segmenter": (1, 3, 64, 64), "wide": (1, 1, 28, 28)}
STAGES = ((64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2))
"""Of the wide network, as ResNet-18's."""
THREADS = {"mobile": 1, "edge": 2}


def operators(name: str, folder: Path) -> dict[str, Path]:
    """The network's file for each operator."""
    whole, shape = folder / f"{name}.onnx", SHAPES[name]
    if name == "wide":
        onnx.save(networks.residual(stages=STAGES), whole)
    else:
        shutil.copyfile(HERE / f"{name}.onnx", whole)
    seen = np.random.default_rng(0).random((32, *shape[1:]), dtype=np.float32)
    files = {"identity": whole} | {o: folder / f"{name}-{o}.onnx" for o in ("exit", "quantized", "exit-quantized")}
    exit_onnx(whole, files["exit"], shapes={"image": shape})
    quantize_onnx(whole, {"image": seen}, files["quantized"])
    quantize_onnx(files["exit"], {"image": seen}, files["exit-quantized"])
    return files


def hop(folder: Path, pause: float) -> tuple[float, float]:
    """Seconds of a request on the link besides its bytes, and of calling a model that does nothing."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "nop.onnx")
    plan = PlacementPlan(operator="identity", tiers={"y": "edge"})
    split_onnx(folder / "nop.onnx", plan, folder / "nop")
    x = {"x": np.ones((100, 1), np.float32)}
    table = qopt.time_parts(folder / "nop", x, roles=("mobile", "edge"), pause=pause).requests
    return float((table["total"] - table["compute"]).median()), float(table["compute"].median())


def study(name: str, rates: list[float], folder: Path, arguments: argparse.Namespace) -> None:
    """Profile, predict, measure, print."""
    files = operators(name, folder)
    profiles, raw = {}, {}
    runs = max(10, arguments.runs // 5) if name == "wide" else arguments.runs
    for operator, path in files.items():
        for tier, threads in THREADS.items():
            own = profile_onnx(
                path,
                shapes={"image": SHAPES[name]},
                of=None if operator == "identity" else files["identity"],
                tier=tier,
                operator=operator,
                threads=threads,
                optimization="extended",
                warmup=runs,
                runs=runs,
                pause=arguments.pause,
            )
            raw[operator, tier] = profiles[f"{operator}-{tier}"] = own
    each, call = hop(folder, arguments.pause)
    x = np.random.default_rng(1).random((arguments.examples, *SHAPES[name][1:]), dtype=np.float32)
    errors = []
    for rate in rates:
        problem = merge(profiles, [{"rate": rate, "latency": each / 2}], deployed=True)
        predicted, log = {}, folder / f"{name}-{rate:g}.jsonl"
        for row in qopt.strategies(problem).itertuples():
            cost = breakdown(problem, row.plan)
            link, calls = sum(cost.sending) + cost.returning, call * row.tiers.count("-")
            computing = sum(cost.computing) + calls
            predicted[row.strategy] = {"total": cost.latency + calls, "compute": computing, "link": link}
            parts = folder / f"{rate:g}-{row.strategy}".replace(" ", "_")
            split_onnx(files[row.operator], row.plan, parts, profile=raw[row.operator, "mobile"])
            asked = ("mobile",) if row.tiers == "mobile" else ("mobile", "edge")
            qopt.time_parts(
                parts,
                {"image": x},
                roles=asked,
                rates=(rate,) * (len(asked) - 1),
                threads=tuple(THREADS[tier] for tier in asked),
                repetitions=arguments.repetitions,
                warmup=arguments.examples,
                pause=arguments.pause,
                strategy=row.strategy,
                log=log,
            )
        (folder / f"{name}-{rate:g}.json").write_text(json.dumps(predicted, indent=1))
        found = agreement(read_logs([log]).requests, {k.replace(" split on ", " on "): v for k, v in predicted.items()})
        print(f"\n{name}, {rate:g} bit/s, {scaled(each, 's')} a request besides, load {os.getloadavg()[0]:.1f}\n")
        print("| strategy | computing, predicted | measured | error | latency, predicted | measured | error |")
        print("|---" * 7 + "|")
        for row in found.table.itertuples():
            cells = [row.strategy]
            for part in ("compute", "total"):
                said, measured, error = (getattr(row, f"{k}_{part}") for k in ("predicted", "measured", "error"))
                cells += [scaled(said, "s"), scaled(measured, "s"), f"{100 * error:+.0f} %"]
            print("| " + " | ".join(cells) + " |")
        own = found.table["error_compute"].abs().tolist()
        errors += own
        rank = (
            "none"
            if found.rank is None or found.rank_interval is None
            else (f"{found.rank:.2f} [{found.rank_interval[0]:.2f}, {found.rank_interval[1]:.2f}]")
        )
        error, near = 100 * statistics.median(own), len(found.close)
        print(f"\nmedian error of computing {error:.0f} %; rank correlation of the {near}")
        print(f"within a factor of 2 of the best: {rank}; recommended: {found.recommended},")
        print(f"{100 * found.excess:.1f} % above the best measured, {found.best}", flush=True)
    print(f"\n{name}, all rates: median error of computing {100 * statistics.median(errors):.0f} %")


def main() -> None:
    """Print a table for each network and rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", default="2e6,20e6,200e6")
    parser.add_argument("--examples", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--runs", type=int, default=100, help="of a repetition of a profile")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds before each request")
    parser.add_argument("--only", choices=tuple(SHAPES))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rates = [float(text) for text in arguments.rates.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        for name in SHAPES if arguments.only is None else (arguments.only,):
            folder = (arguments.out or Path(temporary)) / name
            if folder.exists():  # a log there would be read with the new one
                parser.error(f"--out: {folder} is there already")
            folder.mkdir(parents=True)
            study(name, rates, folder, arguments)


if __name__ == "__main__":
    main()
