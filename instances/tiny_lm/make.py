"""Measure the language model and write the instance `qpart/tiny-lm` and its sensitivities.

    python make.py [--checkpoint FOLDER [--shard I/N | --cut P]] [--out FOLDER]
    python make.py --table

The weights are those that train.py keeps, the sequences those that it held out: some for the coefficients, others for
Delta, the rest for the test. Levels are relative: 0.005 is 0.5 % more loss per token. With a checkpoint, a run that was
stopped goes on where it was, and several processes may share the work: first the tensors, each with its ``--shard``,
then the cuts, each with one ``--cut``; a run without either then finds everything done. ``--table`` measures nothing
anew: it prints what the cheapest plan leaves of the weights and loses on the test sequences, beside uniform widths, and
perplexities.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import model
import numpy as np
import text
import torch

from qopt.core.files import write_text
from qopt.core.reading import save
from qopt.core.scripts import exit_code
from qopt.core.shard import Shard
from qopt.measuring.calibrated import Calibrated
from qopt.measuring.calibration import calibrate_cuts, exact_widths
from qopt.measuring.coefficients import instance, payload_request
from qopt.measuring.command import weights_left
from qopt.measuring.examples import Examples
from qopt.measuring.grids import Grid
from qopt.measuring.intervals import Estimate
from qopt.measuring.language import LossPerToken, perplexity, token_loss, token_margin
from qopt.measuring.network import Network
from qopt.measuring.plans import PlanRunner, Widths, crossing_outputs
from qopt.measuring.profile import trace
from qopt.measuring.sensitivity import Sensitivity, measure
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import SubproblemTable

HERE = Path(__file__).resolve().parent
LEVELS = (0.005, 0.02)
LEVEL = 0.005
GRID = Grid.parse("groups-of-32,symmetric,clipped,scales-8")
BITS = range(2, 10)
SIZES = (48, 200, 400)
"""Sequences for the coefficients, for Delta and for the test."""

SHARED_BY = (1, 1000)
SEED = 0
MEMORY = 2**31

DESCRIPTION = (
    "A tiny language model on characters, trained on Python's manual, at 0.5 % more loss per character. It is a "
    "decoder-only transformer, two blocks of 64 channels, the head tied to the embedding. A keyboard keeps what is "
    "typed: at least its first block runs on it. It has 48 KiB for weights, scales included; 1000 sequences share a "
    "download over a slow link, and completions are wanted on the device, so at cut 14 nothing goes up. Without the "
    "memory limit that is best; with it the first block alone fits."
)
SOURCE = (
    "Noise table, s, rho and Delta: measured on the kept weights by instances/tiny_lm/make.py, seed 0, grids {grid}, "
    "ranges of activations fixed in advance ({sizes[0]} sequences of {tokens} characters for the coefficients, "
    "{sizes[1]} others for Delta). A level is relative: minus the loss per character over the unquantized model's, "
    "intervals from resampling whole sequences. Delta of cuts 1, 7, 13 and 14 alone (behind the embedding, the blocks, "
    "the head); 0 says that a cut was not calibrated. Table II of QPART: device and server; link and memory are ours."
)


def kept(path: Path = model.WEIGHTS) -> Network:
    """The traced network with its kept weights."""
    return trace(model.kept(path), model.network()[1])


def parts() -> list[Examples]:
    """Sequences for coefficients, Delta and test, none of them trained on."""
    return text.sequences(text.divided()["held out"]).split(SIZES, SEED)


def losses(network: Network, examples: Examples) -> np.ndarray:
    """(n,) loss per token of the unquantized network, in nats."""
    pieces = zip(examples.x.split(100), examples.labels.split(100), strict=True)
    return torch.cat([token_loss(network(x), labels) for x, labels in pieces]).numpy()


def cuts_of(network: Network) -> list[int]:
    """Behind the embedding, behind each block, behind the head: one tensor crosses."""
    return [1, *(layer.number for layer in network.layers if layer.name.endswith("down")), len(network)]


def score_of(network: Network) -> LossPerToken:
    """Minus the loss per token, relative to the unquantized network's on the coefficients' sequences."""
    return LossPerToken(round(float(losses(network, parts()[0]).mean()), 4))


def request(network: Network, found: Sensitivity, cuts: Sequence[Sequence[Calibrated]]) -> QPart:
    """The bundled request around the measured coefficients."""
    source = SOURCE.format(grid=str(found.grid).replace(",", ", "), sizes=SIZES, tokens=text.TOKENS)
    plain = instance(network, found, cuts, name="qpart/tiny-lm", level=LEVEL, input_bits=7)
    fields = {"channel.rate": 1e5, "inferences": 1000, "device.memory": 393216.0, "cuts": [7, 13, 14]}
    return plain.replace({"description": DESCRIPTION, "source": source, "send_output": False, **fields})


def make(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Measure, calibrate, write."""
    network, (coefficients, calibration, _) = kept(), parts()
    score = score_of(network)
    say(f"{len(network)} layers, cuts {cuts_of(network)}, loss {score.unit:.4f} nats per character")
    folder = options.checkpoint
    found = measure(
        network,
        coefficients,
        levels=LEVELS,
        bits=BITS,
        grid=GRID,
        score=score,
        margin=token_margin,
        seed=SEED,
        memory=MEMORY,
        shard=None if options.shard is None else Shard.parse(options.shard),
        checkpoint=folder and folder / "coefficients",
        say=say,
    )
    if options.shard is not None:
        return
    found.save(options.out / "tiny_lm" / "sensitivity.json")
    cuts = calibrate_cuts(
        network,
        calibration,
        found,
        shared_by=SHARED_BY,
        cuts=cuts_of(network) if options.cut is None else [options.cut],
        score=score,
        seed=SEED,
        memory=MEMORY,
        checkpoint=folder and folder / "calibration",
        say=say,
    )
    if options.cut is not None:
        return
    ends = [[[c.delta.value, c.delta.low, c.delta.high] for c in row] for row in cuts]
    kept_ends = {"levels": list(found.levels), "delta": ends}
    write_text(options.out / "tiny_lm" / "delta.json", json.dumps(kept_ends, indent=1) + "\n")
    save(request(network, found, cuts), options.out / "qpart" / "tiny-lm.json")
    say("wrote qpart/tiny-lm")


def table(options: argparse.Namespace) -> None:
    """Weights left and loss on the test sequences, of plans and of uniform widths, with the whole network quantized."""
    network, test = kept(), parts()[2]
    found, score = Sensitivity.load(options.out / "tiny_lm" / "sensitivity.json"), score_of(network)
    limits = json.loads((options.out / "tiny_lm" / "delta.json").read_text())
    runner = PlanRunner(network, test, found, score=score, memory=MEMORY)
    before, cut = losses(network, test), len(network)
    print(f"perplexity of the unquantized model {shown(perplexity(before))}, {len(test)} sequences")
    print(f"{'whole network':<17}{'weights left (%)':>24}{'more loss per token (%)':>28}  perplexity")

    def row(name: str, plan: Widths, others: Sequence[Widths]) -> None:
        lost, after = runner.loss(plan), -runner.run(plan)[0] * score.unit
        left, *ends = (100 * weights_left(network, found, x) for x in (plan, *others))
        weights = f"{left:.2f}" + (f" [{min(left, *ends):.2f}, {max(left, *ends):.2f}]" if ends else "")
        change = f"{100 * lost.value:+.2f} [{100 * lost.low:+.2f}, {100 * lost.high:+.2f}]"
        print(f"{name:<17}{weights:>24}{change:>28}  {shown(perplexity(after))}")

    for bits in (8, 6, 5, 4, 3):
        row(f"uniform {bits} bits", Widths((bits,) * cut, (BITS[-1],) * len(crossing_outputs(network, cut))), ())
    for level, cuts in zip(limits["levels"], limits["delta"], strict=True):
        segment = SubproblemTable(payload_request(network, found, level, 1)).at(cut)
        plans = [exact_widths(segment, limit) for limit in cuts[cut - 1]]
        some = [plan for plan in plans if plan is not None]
        if plans[0] is not None:
            row(f"planned, {100 * level:g} %", plans[0], some)


def shown(x: Estimate) -> str:
    """A perplexity for people."""
    return f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]"


@exit_code
def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--checkpoint", type=Path, help="folder for finished work; a stopped run goes on from there")
    parser.add_argument("--shard", help="I/N: every N-th tensor from the I-th on, into the checkpoint")
    parser.add_argument("--cut", type=int, help="calibrate this cut alone, into the checkpoint")
    parser.add_argument("--out", type=Path, default=HERE.parent, help="folder that gets tiny_lm/ and qpart/")
    parser.add_argument("--table", action="store_true", help="print what plans and uniform widths leave and lose")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    if options.table:
        table(options)
    else:
        make(options, lambda line: print(f"{time.perf_counter() - start:7.1f} s  {line}", flush=True))


if __name__ == "__main__":
    sys.exit(main())
