"""Table IV of the QPART paper on the data that can be had without a download: train, measure, solve, pack, run.

    python instances/table4/table.py [--sets digits,images10,images100] [--out FILE]    # some minutes, one core

makes the cells that FILE (cells.json beside this script) does not have yet, so that a run that was stopped goes on, and
writes the table of docs/table4.md from them. MNIST's networks are those that are kept in instances/mnist, as they were
measured there, run on the kept test images; the others are trained here, from seed 0.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cell
import pictures

import qopt
from qopt.core.files import write_text
from qopt.core.scripts import exit_code
from qopt.measuring.extra import need_torch

HERE = Path(__file__).resolve().parent
MNIST = HERE.parent / "mnist"
DATA, PAGE = HERE / "cells.json", HERE.parents[1] / "docs" / "table4.md"
MARK = "<!-- cells -->"
KINDS = ("mlp", "residual")
KEPT, LEVELS = ("mlp6", "cnn", "resnet"), (0.005, 0.01)

Say = Callable[[str], None]


def kept(name: str) -> list[dict[str, Any]]:
    """The cells of a kept network on MNIST's kept test images."""
    from qopt.measuring.examples import read
    from qopt.measuring.loading import load_module
    from qopt.measuring.profile import trace
    from qopt.measuring.sensitivity import Sensitivity

    network = trace(*load_module(f"{MNIST / 'networks.py'}:{name}", MNIST / f"{name}.safetensors"))
    measured, test = Sensitivity.load(MNIST / f"{name}-sensitivity.json"), read(MNIST, (1, 28, 28), "t10k")
    problem = qopt.load(f"qpart/mnist-{name}")
    tags = {"data": "MNIST", "network": name}
    return [{**tags, **cell.cell(network, problem, measured, test, level)} for level in LEVELS]


def made(name: str, kind: str, say: Say, *, epochs: int | None = None) -> list[dict[str, Any]]:
    """The cells of a network that is trained here.

    Parameters
    ----------
    name, kind : of the data set and of the network.
    epochs : by default the network's own.
    """
    import nets

    found, parts = pictures.SETS[name], pictures.parts(name)
    module = nets.trained(name, kind, *parts["training"], epochs=epochs or nets.EPOCHS[name])
    say(f"{name}, {kind}: trained")
    _, example = nets.BUILDERS[name, kind]()
    rows = cell.cells(
        module,
        example,
        parts["held"],
        parts["test"],
        names=(name, kind),
        levels=found.levels,
        sizes=found.measured,
    )
    say(f"{name}, {kind}: measured and run")
    return rows


def known(path: Path) -> list[dict[str, Any]]:
    """The cells of a file, none where there is no file."""
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.exists() else []
    return found


def text(rows: Sequence[dict[str, Any]]) -> str:
    """What the page says of the cells."""
    done = [row for row in rows if "loss" in row]
    ratios = [100 * row["optimized_bytes"] / row["initial_bytes"] for row in done]
    sure = sum(row["verdict"] == "within the level" for row in done)
    broken = sum(row["verdict"] == "above the level" for row in done)
    lost = [100 * row["loss"][0] for row in done]
    return (
        f"{len(done)} of {len(rows)} cells have a plan. Their ratios go from {min(ratios):.2f} to {max(ratios):.2f} %, "
        f"the accuracy lost from {min(lost):.2f} to {max(lost):.2f} points. On the test images {sure} keep their level "
        f"with the whole interval, {len(done) - sure - broken} with a part of it, {broken} lose more.\n\n"
        f"{cell.table(rows)}\n"
    )


def run(options: argparse.Namespace) -> None:
    """Make what the file has not yet, and write the page."""
    need_torch()
    import torch

    torch.set_num_threads(1)  # sums are then added in one order, whatever the machine's number of cores
    start = time.perf_counter()

    def say(line: str) -> None:
        print(f"{time.perf_counter() - start:7.1f} s  {line}", flush=True)

    rows = known(options.out)
    wanted = [("MNIST", name) for name in KEPT]
    wanted += [(name, kind) for name in pictures.chosen(options.sets) for kind in KINDS]
    for name, kind in wanted:
        if any((row["data"], row["network"]) == (name, kind) for row in rows):
            continue
        rows += kept(kind) if name == "MNIST" else made(name, kind, say)
        write_text(options.out, json.dumps({"cells": rows}, indent=1) + "\n")
        say(f"{name}, {kind}: written")
    if options.out.resolve() == DATA:
        write_page(rows)


def write_page(rows: Sequence[dict[str, Any]]) -> None:
    """Put the table into the page, between its marks."""
    page = PAGE.read_text(encoding="utf-8")
    write_text(PAGE, re.sub(f"{MARK}\n.*?{MARK}", lambda _: f"{MARK}\n{text(rows)}{MARK}", page, flags=re.DOTALL))


@exit_code
def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", default=",".join(pictures.SETS))
    parser.add_argument("--out", type=Path, default=DATA, help="file of the cells")
    options = parser.parse_args(arguments)
    run(options)


if __name__ == "__main__":
    sys.exit(main())
