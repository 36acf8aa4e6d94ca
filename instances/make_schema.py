"""Writes schema/FAMILY-1.json, the JSON Schema of every family's instance files.

    python instances/make_schema.py

They are generated from the classes that validate, so that they cannot say something else. Relations between fields
(equal lengths, lo <= hi, a level that is in the table, operations in order) are beyond JSON Schema and are checked on
reading.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qopt.core.families import FAMILIES, Family
from qopt.core.files import write_text

FOLDER = Path(__file__).resolve().parent / "schema"

TITLES = {
    "qpart": "QPART request",
    "placement": "Placement of operations on tiers",
    "jqodi": "JQODI fine-tuning",
    "allocation": "Allocation of formats",
    "fleet": "Fleet of requests",
}


def path(family: Family) -> Path:
    """Where a family's schema stands."""
    return FOLDER / f"{family.name}-1.json"


def _without_titles(node: Any) -> Any:
    """The schema without the titles that pydantic derives from the names of fields."""
    if isinstance(node, list):
        return [_without_titles(x) for x in node]
    if isinstance(node, dict):
        return {k: _without_titles(v) for k, v in node.items() if not (k == "title" and isinstance(v, str))}
    return node


def schema(family: Family) -> dict[str, Any]:
    """The published schema of a family as plain data."""
    generated = _without_titles(family.part("problem").model_json_schema(mode="validation"))
    required = ["format", *generated.pop("required")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:qopt:schema:{family.name}-1",
        "title": f"{TITLES[family.name]}, version 1 (qopt instance file)",
        **generated,
        "required": required,
    }


def text(family: Family) -> str:
    """The schema as it stands in its file."""
    return json.dumps(schema(family), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in FAMILIES.values():
        write_text(path(each), text(each))
