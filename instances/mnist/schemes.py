"""The schemes of the QPART paper's section V carried out on its six-layer network, at every cut, for five seeds.

    python schemes.py FOLDER [--seeds 0,1,2,3,4] [--out FILE]     # train, measure, carry out; minutes a seed

FOLDER holds MNIST's four ``.gz`` archives. Seed 0 is the kept network of qpart/table2; other seeds train theirs
(train.py, 3 epochs in place of 30) and measure it anew, on 1500 and 4000 images, so that a seed is a network, its
auto-encoders and its plans. A seed that FILE has already is left out, so a run that was stopped goes on.

* no optimization: the network as it is, 32 bits.
* auto-encoder: at a cut, an encoder (z to k values, linear) on the device and a decoder on the server, trained on
  training images (40 000 for seed 0, 5000 for the others: `images` in the file) so that the logits change least; k is
  halved from z / 2 on for as long as the level is kept.
* pruning: of each of layers 1..p the neurons whose incoming weights have the smallest norm; the share kept, the same in
  all layers, is found by halving an interval until it is 1/64 wide. Nothing is trained afterwards.
* the exact plan, `qpart-paper` and `qpart-published` of Table II.

A size keeps the level where the upper end of the paired interval on the calibration images does (one point); where not
even the largest does, the scheme is `infeasible` at that cut. Test images are for the accuracies alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import data
import networks
import numpy as np
import torch
import train as training
from make import GRID, MEMORY
from torch import nn

import qopt
from qopt.core.files import write_text
from qopt.core.scripts import exit_code
from qopt.measuring.calibration import calibrate_cuts
from qopt.measuring.coefficients import instance
from qopt.measuring.examples import Examples
from qopt.measuring.losses import paired_loss
from qopt.measuring.plans import PlanRunner, Widths
from qopt.measuring.profile import trace
from qopt.measuring.sensitivity import Sensitivity, measure
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart
from qopt.qpart.table2 import TABLE_II

HERE = Path(__file__).resolve().parent
OUT = HERE / "schemes.json"
LEVEL = 0.01
CUTS = range(1, 7)
EPOCHS, BATCH, RATE = 4, 256, 2e-3
"""Of an auto-encoder: it is small, and the network around it is trained already."""
IMAGES = {0: 40_000}
FEWER, SHORTER = 5_000, 3
"""Images of the other seeds' auto-encoders, epochs of their networks."""
MEASURED, CALIBRATED = 1_500, 4_000
"""Images that the other seeds are measured and calibrated on: a level of one point takes at least 381."""
FINEST = 1 / 64
"""How far the share of neurons is halved."""

Say = Callable[[str], None]
Forward = Callable[[torch.Tensor], torch.Tensor]


def halves(module: nn.Module, cut: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The layers 1..p with their activation functions, and the rest."""
    parts = list(module.children())
    ends = [k for k, part in enumerate(parts) if isinstance(part, nn.Linear)]
    after = ends[cut] if cut < len(ends) else len(parts)
    return nn.Sequential(*parts[:after]), nn.Sequential(*parts[after:])


@torch.no_grad()
def scores(forward: Forward, x: torch.Tensor, labels: torch.Tensor) -> Any:
    """(n,) whether each is classified rightly."""
    right = [forward(part).argmax(1) == want for part, want in zip(x.split(2500), labels.split(2500), strict=True)]
    return torch.cat(right).double().numpy()


class Judge:
    """What a changed network loses on the calibration images, and how accurate it is on the test images."""

    def __init__(self, module: nn.Module, parts: dict[str, Examples]) -> None:
        self._parts = {name: parts[name] for name in ("calibration", "test")}
        self._plain = {name: scores(module, p.x, p.labels) for name, p in self._parts.items()}
        self.accuracy = float(self._plain["test"].mean())

    def row(self, scheme: str, cut: int, size: Any, found: dict[str, Any]) -> dict[str, Any]:
        """A line of the data: loss on calibration images with its interval, accuracy on test images."""
        loss = paired_loss(self._plain["calibration"], found["calibration"])
        return {
            "scheme": scheme,
            "cut": cut,
            "size": size,
            "status": "kept" if loss.high <= LEVEL else "infeasible",
            "loss": [round(float(v), 6) for v in (loss.value, loss.low, loss.high)],
            "accuracy": round(float(found["test"].mean()), 6),
        }

    def judge(self, scheme: str, cut: int, size: Any, forward: Callable[[str], Forward]) -> dict[str, Any]:
        """The line of a network that is changed so."""
        found = {name: scores(forward(name), p.x, p.labels) for name, p in self._parts.items()}
        return self.row(scheme, cut, size, found)


def encoder(first: nn.Sequential, rest: nn.Sequential, k: int, x: torch.Tensor, seed: int) -> nn.Sequential:
    """An encoder to k values and its decoder, trained so that the logits change least."""
    torch.manual_seed(seed)
    with torch.no_grad():
        inner = first(x)
        wanted = rest(inner)
    z = inner.shape[1]
    found = nn.Sequential(nn.Linear(z, k), nn.Linear(k, z))
    optimizer = torch.optim.Adam(found.parameters(), lr=RATE)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.mse_loss(rest(found(inner[chosen])), wanted[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return found


def encoders(module: nn.Module, judge: Judge, x: torch.Tensor, seed: int) -> list[dict[str, Any]]:
    """The smallest auto-encoder that keeps the level at every cut; the largest tried where none does."""
    rows = []
    for cut in CUTS:
        first, rest = halves(module, cut)
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        z, best = networks.SIZES[cut], None
        k = z // 2
        while k >= 1:
            found = encoder(first, rest, k, x, seed)
            row = judge.judge("auto-encoder", cut, k, lambda _, f=found, a=first, b=rest: lambda t: b(f(a(t))))
            if row["status"] != "kept":
                best = best or {**row, "size": None}
                break
            best, k = row, k // 2
        rows.append(best)
    return [row for row in rows if row is not None]


def pruned(module: nn.Module, cut: int, share: float) -> tuple[nn.Module, list[int]]:
    """The network with the weakest neurons of layers 1..p at zero, and how many are left of each."""
    import copy

    found = copy.deepcopy(module)
    linear = [part for part in found.children() if isinstance(part, nn.Linear)]
    left = []
    with torch.no_grad():
        for layer in linear[: min(cut, len(linear) - 1)]:
            n = layer.weight.shape[0]
            keep = max(1, int(np.ceil(share * n)))
            weakest = layer.weight.norm(dim=1).argsort()[: n - keep]
            layer.weight[weakest] = 0.0
            layer.bias[weakest] = 0.0  # ReLU of 0 is 0: the neuron is gone
            left.append(keep)
    return found, left


def pruning(module: nn.Module, judge: Judge) -> list[dict[str, Any]]:
    """The smallest share of neurons that keeps the level at every cut; share 1 always does."""
    rows = []
    for cut in CUTS:
        low, high, best = 0.0, 1.0, judge.judge("pruning", cut, 1.0, lambda _: module)
        while high - low > FINEST:
            middle = (low + high) / 2
            network, _ = pruned(module, cut, middle)
            row = judge.judge("pruning", cut, middle, lambda _, n=network: n)
            if row["status"] == "kept":
                high, best = middle, row
            else:
                low = middle
        rows.append(best)
    return rows


def plans(problem: QPart, runners: dict[str, PlanRunner], judge: Judge) -> list[dict[str, Any]]:
    """The exact plan and the published rules at every cut of Table II."""
    rows = []
    for cut in CUTS:
        for scheme, method in (
            ("exact", "auto"),
            ("qpart-paper", "qpart-paper"),
            ("qpart-published", "qpart-published"),
        ):
            plan = qopt.solve(problem.replace({"cuts": [cut]}), method).plan
            if not isinstance(plan, QPartPlan):
                rows.append({"scheme": scheme, "cut": cut, "size": None, "status": "infeasible"})
                continue
            widths = Widths.of(plan)
            found = {name: runner.run(widths)[0] for name, runner in runners.items()}
            size = [list(widths.weights), list(widths.activations)]
            rows.append(judge.row(scheme, cut, size, found))
    return rows


def network_of(seed: int, parts: dict[str, Examples], say: Say) -> tuple[nn.Module, QPart, Sensitivity]:
    """The trained module of a seed, its request under Table II and what was measured."""
    if seed == 0:
        from qopt.measuring.loading import load_module

        module, _ = load_module(f"{HERE / 'networks.py'}:mlp6", HERE / "mlp6.safetensors")
        return module, qopt.load("qpart/table2"), Sensitivity.load(HERE / "mlp6-sensitivity.json")
    training.EPOCHS["mlp6"] = SHORTER
    module = training.train("mlp6", parts["training"], seed, say)
    network = trace(module, networks.example())
    found = measure(network, parts["coefficients"][:MEASURED], levels=(LEVEL,), grid=GRID, seed=seed, memory=MEMORY)
    say(f"seed {seed}: measured")
    cuts = calibrate_cuts(network, parts["calibration"][:CALIBRATED], found, shared_by=(1,), seed=seed, memory=MEMORY)
    problem = instance(network, found, cuts, name=f"table2-{seed}", level=LEVEL, input_bits=8)
    return module, problem.replace({**TABLE_II, "network.overhead": None}), found


def carried_out(seed: int, parts: dict[str, Examples], say: Say) -> dict[str, Any]:
    """All schemes of one seed."""
    module, problem, found = network_of(seed, parts, say)
    module.eval()
    judge, network = Judge(module, parts), trace(module, networks.example())
    runners = {name: PlanRunner(network, parts[name], found) for name in ("calibration", "test")}
    rows = plans(problem, runners, judge)
    say(f"seed {seed}: plans")
    rows += pruning(module, judge)
    say(f"seed {seed}: pruning")
    rows += encoders(module, judge, parts["training"].x[: IMAGES.get(seed, FEWER)], seed)
    say(f"seed {seed}: auto-encoders")
    return {"seed": seed, "accuracy": judge.accuracy, "images": IMAGES.get(seed, FEWER), "rows": rows}


def run(options: argparse.Namespace) -> None:
    """Carry out what the file has not yet."""
    start = time.perf_counter()

    def say(line: str) -> None:
        print(f"{time.perf_counter() - start:7.1f} s  {line}", flush=True)

    parts = {**data.divided(options.folder), "test": data.test_images(options.folder)}
    done = json.loads(options.out.read_text(encoding="utf-8"))["seeds"] if options.out.exists() else []
    for seed in map(int, options.seeds.split(",")):
        if all(entry["seed"] != seed for entry in done):
            done.append(carried_out(seed, parts, say))
            write_text(options.out, json.dumps({"network": "mlp6", "level": LEVEL, "seeds": done}, indent=1) + "\n")
            say(f"seed {seed}: written")


@exit_code
def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder of MNIST's four .gz archives")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--out", type=Path, default=OUT, help="file of the results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums are then added in one order, whatever the machine's number of cores
    run(options)


if __name__ == "__main__":
    sys.exit(main())
