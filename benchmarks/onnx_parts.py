"""Any ONNX file: does it fold, do its parts equal it, how close are measured operations to the whole, is there an exit?

    python benchmarks/onnx_parts.py MODEL.onnx [...] [--shape NAME=1,3,224,224] [--down-sets 200] [--runs 20] [--made]

Nothing is fetched: name files that you have; `--made` adds the three that instances/networks/models.py makes. For each
file one row: operations of the file and of the folded graph, seconds of folding, cuts at one tensor and random
down-sets whose parts equal the whole bit for bit (runtime optimization off) and their largest difference with it on,
relative to the largest output, the sum of the operations' medians over the median of the whole, and the early exit.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qopt.core.errors import InputError, QoptError
from qopt.runtime.exits import early_exit
from qopt.runtime.folding import Folded, fold
from qopt.runtime.parts import cut
from qopt.runtime.reading import read_model
from qopt.runtime.sessions import Array, examples, options, run, session
from qopt.runtime.shapes import Shape, parse_sizes
from qopt.runtime.timing import Protocol, timed


def single_cuts(own: Folded) -> Iterator[set[str]]:
    """For each tensor, the operations that it needs."""
    needs: dict[str, set[str]] = {}
    for row in own.network.operations:
        before = [needs[own.network.writer[name].name] for name in row.reads if name in own.network.writer]
        needs[row.name] = set().union(*before, {row.name})
    yield from needs.values()


def down_sets(own: Folded, count: int, seed: int) -> Iterator[set[str]]:
    """Random sets of operations that can run first."""
    rng = random.Random(seed)
    for _ in range(count):
        share, inside = rng.random(), set[str]()
        for row in own.network.operations:
            before = (own.network.writer[name].name for name in row.reads if name in own.network.writer)
            if rng.random() < share and all(name in inside for name in before):
                inside.add(row.name)
        yield inside


def through(own: Folded, inside: set[str], feeds: dict[str, Array], level: str) -> dict[str, Array]:
    """Outputs of the two parts, one after the other."""
    tiers = {row.name: ("first",) if row.name in inside else ("second",) for row in own.network.operations}
    there = dict(feeds)
    for piece in cut(own, tiers):
        made = session(piece.proto, own.name, options(level))
        there.update(run(made, own.name, {name: there[name] for name in piece.reads}))
    return {name: there[name] for name in own.network.outputs}


def compared(own: Folded, sets: list[set[str]], feeds: dict[str, Array]) -> tuple[int, float]:
    """How many cuts give the whole bit for bit, and the largest difference with optimization on."""
    whole = run(session(own.network.proto, own.name, options("off")), own.name, feeds)
    fast = run(session(own.network.proto, own.name, options("all")), own.name, feeds)
    equal, worst = 0, 0.0
    for inside in sets:
        parts = through(own, inside, feeds, "off")
        equal += all(np.array_equal(parts[name], whole[name], equal_nan=True) for name in whole)
        parts = through(own, inside, feeds, "all")
        for name, value in fast.items():
            scale = float(np.abs(value).max(initial=0.0)) or 1.0
            worst = max(worst, float(np.abs(parts[name] - value).max(initial=0.0)) / scale)
    return equal, worst


def row(path: Path, shapes: dict[str, Shape], options_: argparse.Namespace) -> list[str]:
    """One file's figures."""
    read = read_model(path)
    start = time.perf_counter()
    own = fold(read, shapes)
    seconds = time.perf_counter() - start
    feeds = examples(own.types, own.network.inputs)
    singles, downs = list(single_cuts(own)), list(down_sets(own, options_.down_sets, options_.seed))
    found = [compared(own, sets, feeds) for sets in (singles, downs)]
    protocol = Protocol(options_.runs, 5, options_.runs)
    times = timed(own.network.proto, own.name, feeds, protocol, optimization="off")
    total = sum(entry.seconds for entry in times.nodes.values())
    try:
        exit_ = early_exit(own)
        said = f"{exit_.blocks} of {exit_.alike} blocks, {len(exit_.skips)} operations"
    except InputError:
        said = "none"
    return [
        path.name,
        f"{len(read.proto.graph.node)} to {len(own.network.operations)}",
        f"{seconds:.2f}",
        f"{found[0][0]} of {len(singles)}",
        f"{found[1][0]} of {len(downs)}",
        f"{max(found[0][1], found[1][1]):.1e}",
        f"{1e3 * times.whole.seconds:.3g}",
        f"{total / times.whole.seconds:.2f}",
        said,
    ]


HEAD = (
    "file",
    "operations",
    "folding s",
    "equal: one tensor",
    "equal: down-sets",
    "largest difference",
    "whole ms",
    "sum of operations / whole",
    "early exit",
)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--shape", action="append", default=[])
    parser.add_argument("--down-sets", type=int, default=200)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--made", action="store_true")
    found = parser.parse_args()
    shapes = parse_sizes(found.shape)[0]
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "---|" * len(HEAD))
    for path in found.files:
        try:
            print("| " + " | ".join(row(path, shapes, found)) + " |", flush=True)
        except QoptError as error:
            print(f"{path}: {error}", file=sys.stderr)
    if found.made:
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "instances" / "networks"))
        import models

        with tempfile.TemporaryDirectory() as folder:
            for name, build in models.MODELS.items():
                path = Path(folder) / f"{name}.onnx"
                path.write_bytes(build().SerializeToString())
                print("| " + " | ".join(row(path, {"": models.SHAPES[name]}, found)) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
