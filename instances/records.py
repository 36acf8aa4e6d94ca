"""Records of the best plans known, as they stand in `best/`; written by `best.py` alone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, cast

from qopt.instances import rcsp_records

from qopt.core.reading import bundled, read_json

BEST = Path(__file__).resolve().parent / "best"

Record = dict[str, Any]


def names() -> list[str]:
    """Every instance that has a record: the bundled ones, and the paths of the OR-Library."""
    return [*bundled(), *rcsp_records.names()]


def record(name: str) -> Record | None:
    """The record of an instance; None if it has none."""
    path = BEST / f"{name}.json"
    return cast("Record", read_json(path)) if path.exists() else None


def proof(name: str) -> dict[str, Any] | None:
    """The claims of a record's proof, and what they add up to; None if there are none."""
    path = BEST / f"{name}.proof.json.gz"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return found
