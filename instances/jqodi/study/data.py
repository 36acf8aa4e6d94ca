"""What the paper printed, and what its parameters may be, read from the files beside this one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

SETS = ("data1", "data2")
SERVERS = ("rtx3090", "rtx4090")
PUBLISHED_BITS = (2, 4, 6, 8)


def read(name: str) -> Any:
    """The contents of one file of this folder."""
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


TABLES: dict[str, Any] = read("tables")


@dataclass(frozen=True, order=True)
class Choice:
    """One model, bit-width, cut and server for all epochs."""

    model: str
    bits: int
    cut: int
    server: str


def decision(data: str, name: str) -> Choice:
    """A printed decision: optimum, jqodi, full or minimal."""
    return Choice(**TABLES["data"][data]["decisions"][name])


def epochs(data: str, model: str, bits: int) -> tuple[int, int] | None:
    """Printed K^exp and K^rob; None where the loss is never reached."""
    found = TABLES["data"][data]["epochs"][model][str(bits)]
    return None if found is None else (found[0], found[1])


def images(data: str) -> float:
    """Inferences that an epoch is worth: three for a training image (forward, backward twice), one to validate."""
    entry = TABLES["data"][data]
    return 3.0 * float(entry["training"]) + float(entry["validation"])


def time_limit(data: str) -> float:
    """T_max [s]."""
    return float(TABLES["data"][data]["time_limit"])


def totals(data: str) -> list[tuple[str, str, float]]:
    """Printed totals: decision, quantity (energy [J] or time [s]), value."""
    listed = TABLES["data"][data]["totals"]
    return [(name, key, float(v)) for name, row in listed.items() if name != "where" for key, v in row.items()]
