"""Writes schema/qpart-1.json, the JSON Schema of QPART instance files.

    python instances/make_schema.py

It is generated from the classes that validate, so that it cannot say something else. Relations between fields
(equal lengths, lo <= hi, a level that is in the table) are beyond JSON Schema and are checked on reading.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qopt.problems.qpart import QPart

PATH = Path(__file__).resolve().parent / "schema" / "qpart-1.json"


def _without_titles(node: Any) -> Any:
    """The schema without the titles that pydantic derives from the names of fields."""
    if isinstance(node, list):
        return [_without_titles(x) for x in node]
    if isinstance(node, dict):
        return {k: _without_titles(v) for k, v in node.items() if not (k == "title" and isinstance(v, str))}
    return node


def schema() -> dict[str, Any]:
    """The published schema as plain data."""
    generated = _without_titles(QPart.model_json_schema(mode="validation"))
    required = ["format", *generated.pop("required")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:qopt:schema:qpart-1",
        "title": "QPART request, version 1 (qopt instance file)",
        **generated,
        "required": required,
    }


def text() -> str:
    """The schema as it stands in its file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
