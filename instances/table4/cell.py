"""A cell of the QPART paper's Table IV from your own network and images: measured, solved, packed, run on others.

    python cell.py NET.py:FUNCTION HELD.npz TEST.npz --weights W.safetensors [--levels 0.005,0.01] [--out FILE]

HELD has labelled images that the network was not trained on, divided into those for coefficients and for calibration.
TEST has others, for the accuracies alone. Both are ``.npz`` files with ``x`` (n, ...) and ``labels`` (n,). The steps
are those of `qopt measure`, for one cut: the whole network is on the device (cut L), as in the paper's table. Its
payload is what the file of `qopt pack` holds, codes, scales and biases, over weights and biases in float32.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import qopt
from qopt.core.files import write_text
from qopt.core.scripts import exit_code
from qopt.measuring.extra import need_torch
from qopt.measuring.losses import binomial_end

HERE = Path(__file__).resolve().parent
PRINTED = HERE.parent / "qpart" / "study" / "tables.json"
GRID = "per-channel,clipped"
CONFIDENCE = 0.95
HEAD = (
    "data", "network", "level [points]", "initial size [MB]", "optimized size [MB]", "ratio [%]",
    "initial accuracy [%]", "optimized accuracy [%]", "degradation [points]", "on test images",
)  # fmt: skip


def share(right: float, n: int) -> list[float]:
    """A share of n examples with its 95 % interval (Clopper and Pearson)."""
    count = round(right * n)
    low, high = 1.0 - float(binomial_end(n - count, n, CONFIDENCE)), float(binomial_end(count, n, CONFIDENCE))
    return [round(v, 6) for v in (right, low, high)]


def cell(network: Any, problem: qopt.QPart, measured: Any, test: Any, level: float) -> dict[str, Any]:
    """One cell: the plan of least payload with all layers on the device, packed, read back and run.

    Parameters
    ----------
    network : as it was measured, traced.
    problem, measured : the instance and the sensitivities of a measurement.
    test : examples that neither training nor measurement saw.
    level : accuracy level a, one of those measured.
    """
    from qopt.measuring.delivery import check, measured_ranges
    from qopt.measuring.plans import PlanRunner
    from qopt.measuring.segment import make
    from qopt.measuring.segment_file import read_segment

    asked = {"cuts": [len(network)], "level": level, "inferences": 1, "device.memory": None}
    solution = qopt.solve(problem.replace(asked))
    again = {layer for group in network.shared for layer in group[1:]}
    numbers = sum(x.biases + (0 if x.number in again else x.parameters) for x in network.layers)
    found: dict[str, Any] = {
        "level": level,
        "status": solution.status,
        "images": len(test),
        "initial_bytes": 4 * numbers,
    }
    if solution.plan is None:
        before = float(PlanRunner(network, test, measured).reference.mean())
        return {**found, "initial_accuracy": share(before, len(test))}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "segment.safetensors"
        ranges = measured_ranges(measured, network, solution.plan)
        make(network, solution.plan, measured.grid, ranges, measured.activation_grid).save(path)
        segment = read_segment(path)
        size, run = segment.size, check(segment, network, test)
    return {
        **found,
        "optimized_bytes": size.codes + size.overhead + size.biases,
        "initial_accuracy": share(run.reference, len(test)),
        "optimized_accuracy": share(run.score, len(test)),
        "loss": [round(v, 6) for v in (run.loss.value, run.loss.low, run.loss.high)],
        "verdict": run.verdict(level),
        "widths": [list(map(int, solution.plan.weights)), list(map(int, solution.plan.activations))],
        "identical": run.identical,
    }


def cells(
    module: Any,
    example: Any,
    held: Any,
    test: Any,
    *,
    names: tuple[str, str],
    levels: Sequence[float] | None = None,
    sizes: Sequence[int] | None = None,
    device: str = "cpu",
    say: Any = None,
) -> list[dict[str, Any]]:
    """The cells of one network on one data set, one for each level.

    Parameters
    ----------
    module, example : as for `qopt.measure`.
    held, test : labelled examples, in any form that it takes: for measuring, and for the accuracies alone.
    names : of the data set and of the network.
    levels : accuracy levels a, ascending; by default those of `qopt.measure` that the examples can decide.
    sizes : how many of `held` are for coefficients and for calibration; by default a third and two thirds.
    device : where to measure.
    say : receives a line for each tensor and level.
    """
    from qopt.measuring.calibration import calibrate_cuts
    from qopt.measuring.coefficients import instance
    from qopt.measuring.command import Settings
    from qopt.measuring.examples import as_examples
    from qopt.measuring.grids import Grid
    from qopt.measuring.profile import trace
    from qopt.measuring.progress import ignore_line
    from qopt.measuring.sensitivity import measure

    network, say = trace(module, example).to(device), say or ignore_line
    given, unseen = (as_examples(part, network.input_shape, "train", network.inputs) for part in (held, test))
    third = len(given) // 3
    coefficients, calibration = given.split(sizes or (third, len(given) - third), seed=0)
    wanted, _ = Settings(levels=levels).levels_for(len(calibration))
    found = measure(network, coefficients, levels=wanted, grid=Grid.parse(GRID), say=say)
    cuts = calibrate_cuts(network, calibration, found, cuts=[len(network)], say=say)
    problem = instance(network, found, cuts, name="-".join(names), level=wanted[0], input_bits=8)
    tags = dict(zip(("data", "network"), names, strict=True))
    return [{**tags, **cell(network, problem, found, unseen, level)} for level in wanted]


def _points(value: Sequence[float]) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*(100 * v for v in value))


def _size(size: float) -> str:
    return f"{size / 1e6:.4f}"


def line(row: Mapping[str, Any]) -> list[str]:
    """A cell as a row of the table."""
    first = [row["data"], row["network"], f"{100 * row['level']:g}", _size(row["initial_bytes"])]
    if "loss" not in row:
        return [*first, "–", "–", _points(row["initial_accuracy"]), "–", "–", f"no plan ({row['status']})"]
    ratio = f"{100 * row['optimized_bytes'] / row['initial_bytes']:.2f}"
    accuracies = [_points(row[name]) for name in ("initial_accuracy", "optimized_accuracy", "loss")]
    return [*first, _size(row["optimized_bytes"]), ratio, *accuracies, row["verdict"]]


def published() -> list[list[str]]:
    """The columns of Table IV as printed, as rows."""
    printed = json.loads(PRINTED.read_text(encoding="utf-8"))["table4"]
    names = ("initial_mb", "optimized_mb", "ratio", "initial_accuracy", "optimized_accuracy", "degradation")
    return [
        [data, "as published", "–", *(f"{printed[name][k]:.2f}" for name in names), "–"]
        for k, data in enumerate(printed["data"])
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Cells and the published ones beneath them, in Markdown."""
    lines = [[*HEAD], ["---"] * 2 + ["---:"] * (len(HEAD) - 3) + ["---"], *map(line, rows), *published()]
    return "\n".join("| " + " | ".join(entries) + " |" for entries in lines)


@exit_code
def main(arguments: Sequence[str] | None = None) -> None:
    """Make the cells of one network and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("network", help="NET.py:FUNCTION, which returns a module and one input")
    parser.add_argument("held", type=Path, help=".npz file of images for measuring, not used in training")
    parser.add_argument("test", type=Path, help=".npz file of images for the accuracies alone")
    parser.add_argument("--weights", type=Path, help="safetensors file of the network's weights")
    parser.add_argument("--levels", help="accuracy losses, ascending; default those that the images can decide")
    parser.add_argument("--sizes", help="images of HELD for coefficients and for calibration; default 1/3, 2/3")
    parser.add_argument("--data", default="own data", help="name of the data set")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="write the cells to this file too, as JSON")
    options = parser.parse_args(arguments)
    need_torch()
    from qopt.measuring.command import numbers
    from qopt.measuring.loading import load_module

    levels = None if options.levels is None else numbers("--levels", options.levels, float)
    sizes = None if options.sizes is None else numbers("--sizes", options.sizes, int, 2)
    found = cells(
        *load_module(options.network, options.weights),
        options.held,
        options.test,
        names=(options.data, options.network.rpartition(":")[2]),
        levels=levels,
        sizes=sizes,
        device=options.device,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )
    if options.out is not None:
        write_text(options.out, json.dumps({"cells": found}, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    sys.exit(main())
