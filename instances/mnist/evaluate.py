"""What the plans of the three instances lose on the kept test images: every level and cut. No download.

    python evaluate.py [NETWORK ...] [--data FOLDER]
    python evaluate.py --write

Nothing but kept files is needed: weights, measured ranges, instances and MNIST's test images. The second form puts the
tables of all networks into README.md.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import data
import torch

import qopt
from qopt.core.errors import QoptError
from qopt.core.files import write_text
from qopt.core.reading import load
from qopt.core.scripts import exit_code
from qopt.measuring.command import weights_left
from qopt.measuring.intervals import CONFIDENCE, Estimate
from qopt.measuring.loading import load_module
from qopt.measuring.losses import binomial_end, changes, holm, p_value, paired_loss
from qopt.measuring.network import Network
from qopt.measuring.plans import PlanRunner, Widths
from qopt.measuring.profile import trace
from qopt.measuring.sensitivity import Sensitivity
from qopt.qpart.problem import QPart

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"
MARK = "<!-- losses -->"


def kept(name: str, folder: Path = HERE) -> Network:
    """A network with its kept weights."""
    return trace(*load_module(f"{HERE / 'networks.py'}:{name}", folder / f"{name}.safetensors"))


def least_payload(problem: QPart, level: float, cut: int, inferences: int = 1) -> Widths | None:
    """The widths of least payload at a cut, proved; None where no plan keeps the level.

    Whatever the request asks, at one cut computing costs the same for all plans, so what is left to choose is the
    payload, an inference's share of the download.
    """
    changes = {"level": level, "cuts": [cut], "inferences": inferences, "device.memory": None}
    solution = qopt.solve(problem.replace(changes))
    if solution.status not in ("optimal", "infeasible"):
        raise QoptError(f"cut {cut} at level {level:g} was not proved: {solution.status}")
    return None if solution.plan is None else Widths.of(solution.plan)


def with_biases(network: Network, plan: Widths, left: float) -> float:
    """Share of float32 that is sent for weights and biases, which stay at float32, from the weights' share."""
    layers = network.layers[: plan.cut]
    weights, biases = sum(layer.parameters for layer in layers), sum(layer.biases for layer in layers)
    return (left * weights + biases) / (weights + biases)


@dataclass(frozen=True)
class Row:
    """One plan on the test images.

    Attributes
    ----------
    level, cut : what it was made for.
    shared : how many inferences share its download.
    plan : its widths.
    left, with_biases : share of float32 that is sent for weights; the same with biases.
    loss : accuracy lost.
    lost, gained, of : test images that were right and are wrong, that were wrong and are right, and all.
    """

    level: float
    cut: int
    shared: int
    plan: Widths
    left: float
    with_biases: float
    loss: Estimate
    lost: int
    gained: int
    of: int

    @property
    def verdict(self) -> str:
        """What the interval says of the level."""
        if self.loss.high <= self.level:
            return "kept"
        return "open" if self.loss.low <= self.level else "broken"


def rows(
    problem: QPart,
    network: Network,
    found: Sensitivity,
    runner: PlanRunner,
    levels: Sequence[float] | None = None,
    cuts: Sequence[int] | None = None,
) -> Iterator[Row]:
    """Plans of least payload, for one inference and for the request's number, at every level and cut that has one."""
    for level in map(float, problem.accuracy.levels) if levels is None else levels:
        for cut in range(1, len(network) + 1) if cuts is None else cuts:
            for shared in dict.fromkeys((1, problem.inferences)):
                plan = least_payload(problem, level, cut, shared)
                if plan is None:
                    continue
                left, after = weights_left(network, found, plan), runner.run(plan)[0]
                counts = changes(runner.reference - after)
                assert counts is not None  # an image is right or wrong
                loss = paired_loss(runner.reference, after)
                both = with_biases(network, plan, left)
                yield Row(level, cut, shared, plan, left, both, loss, *counts, len(after))


def listed(found: Sequence[Row]) -> list[str]:
    """A line for each plan."""
    head = (
        f"{'level':>6} {'cut':>3} {'shared':>6} {'left':>7} {'biases':>7}  {'lost [points], 95 %':23} verdict  widths"
    )
    lines = [head]
    for row in found:
        lost = f"{100 * row.loss.value:5.2f} [{100 * row.loss.low:5.2f}, {100 * row.loss.high:5.2f}]"
        lines.append(
            f"{row.level:6g} {row.cut:3d} {row.shared:6d} {row.left:7.2%} {row.with_biases:7.2%}  {lost:23} "
            f"{row.verdict:7}  {row.plan}"
        )
    return lines


def compact(found: Sequence[Row]) -> str:
    """A Markdown table of the plans that are made for one inference: a row for each cut, a column for each level."""
    levels = sorted({row.level for row in found})
    head = ["cut, level [points]", *(f"{100 * level:g}" for level in levels)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for cut in sorted({row.cut for row in found}):
        cells = []
        for level in levels:
            here = [row for row in found if (row.cut, row.level, row.shared) == (cut, level, 1)]
            cells += [f"{r.left:.1%}: {100 * r.loss.value:.2f} [{100 * r.loss.low:.2f}, {100 * r.loss.high:.2f}]"
                      for r in here] or ["no plan"]  # fmt: skip
        lines.append("| " + " | ".join([str(cut), *cells]) + " |")
    return "\n".join(lines)


def counted(found: Sequence[Row]) -> str:
    """How many plans keep their level."""
    verdicts = [row.verdict for row in found]
    kept, in_part, broken = (verdicts.count(verdict) for verdict in ("kept", "open", "broken"))
    return (
        f"Of {len(found)} plans, for one inference and for the request's number, {kept} keep their level with the "
        f"whole interval and {in_part} with a part of it; {broken} lose more."
    )


def together(found: Sequence[Row]) -> str:
    """Whether the levels are kept as often as they are said to be, all plans of all networks taken together."""
    p = [float(p_value(row.lost, row.gained, row.of, row.level)) for row in found]
    more, n = sum(row.loss.value > row.level for row in found), len(found)
    low, high = 1.0 - float(binomial_end(n - more, n, CONFIDENCE)), float(binomial_end(more, n, CONFIDENCE))
    return (
        f"Of all {n} plans {more} lose more on the test images than their level, a share of {more / n:.1%} "
        f"[{low:.1%}, {high:.1%}] where the calibration allows {(1.0 - CONFIDENCE) / 2.0:.1%}; of "
        f"{sum(holm(p))} of them this is sure after Holm's correction for {n} tests."
    )


def filled(page: str, found: dict[str, list[Row]], float32: dict[str, float]) -> str:
    """The page with its tables, each between its marks."""
    parts = []
    for name, plans in found.items():
        parts.append(f"**{name}**, float32: {float32[name]:.2%}. {counted(plans)}\n\n{compact(plans)}\n")
    text = "\n".join([*parts, together([row for plans in found.values() for row in plans]) + "\n"])
    return re.sub(f"{MARK}\n.*?{MARK}", lambda _: f"{MARK}\n{text}{MARK}", page, flags=re.DOTALL)


@exit_code
def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="mlp6, cnn or resnet; default all")
    parser.add_argument("--data", type=Path, default=HERE, help="folder of the t10k archives")
    parser.add_argument("--write", action="store_true", help="put the tables of all networks into README.md")
    options = parser.parse_args(arguments)
    if options.write and options.networks:
        parser.error("--write is for all networks")
    torch.set_num_threads(1)  # sums are then added in one order, whatever the machine's number of cores
    names, test = data.chosen(options.networks), data.test_images(options.data)
    found, float32 = {}, {}
    for name in names:
        network, problem = kept(name), load(f"qpart/mnist-{name}")
        measured = Sensitivity.load(HERE / f"{name}-sensitivity.json")
        runner = PlanRunner(network, test, measured)
        float32[name] = float(runner.reference.mean())
        print(f"{name}: accuracy on {len(test)} test images, float32: {float32[name]:.2%}", flush=True)
        found[name] = list(rows(problem, network, measured, runner))
        print("\n".join([*listed(found[name]), counted(found[name])]), end="\n\n", flush=True)
    print(together([row for plans in found.values() for row in plans]))
    if options.write:
        write_text(PAGE, filled(PAGE.read_text(encoding="utf-8"), found, float32))


if __name__ == "__main__":
    sys.exit(main())
