"""Writes allocation/*.json from the tables they come from; teaching-4 is written by hand.

    python instances/make_allocation.py HAWQ.json GGUF.json

The tables are public: HAWQ-V3's as its notebook prints it, and one model's of the GGUF Tool Suite, by Thireus and its
contributors, in the layouts that `qopt.read_table` takes. Then run best.py update.
"""

from __future__ import annotations

import sys
from pathlib import Path

import qopt
from qopt.allocation.problem import Allocation
from qopt.core.reading import save

FOLDER = Path(__file__).resolve().parent / "allocation"


def hawq(path: str) -> Allocation:
    """ResNet18 at most halfway between all layers at 4 and all at 8 bits, in bytes, as one of the notebook's runs."""
    table = qopt.read_table(path, name="hawq-resnet18")
    low, high = table.range_of("bytes")
    about = (
        "HAWQ-V3's ResNet18: 4 or 8 bits for each of 19 convolutions, at most halfway between all at 4 and all at 8. "
    )
    return table.replace({"resources.bytes.budget": (low + high) / 2, "description": about + table.description})


def gguf(path: str) -> Allocation:
    """A language model under 400 MB."""
    table = qopt.read_table(path, name="qwen3.5-0.8b", budgets={"bytes": 400_000_000})
    about = "A language model under 400 MB: one of 37 block formats for each of 187 tensors. "
    return table.replace({"description": about + table.description})


if __name__ == "__main__":
    for problem in (hawq(sys.argv[1]), gguf(sys.argv[2])):
        save(problem, FOLDER / f"{problem.name}.json")
