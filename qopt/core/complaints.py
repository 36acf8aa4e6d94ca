"""Turns pydantic's report on a malformed problem into one line."""

from __future__ import annotations

import re

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from qopt.core.arguments import is_whole
from qopt.core.errors import InputError, shown

_ALLOWED = {
    "greater_than": "a number > {gt:g}",
    "greater_than_equal": "a number >= {ge:g}",
    "less_than": "a number < {lt:g}",
    "less_than_equal": "a number <= {le:g}",
    "finite_number": "a finite number",
    "int_parsing_size": "a whole number of ordinary size",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "a string",
    "tuple_type": "a list",
    "dict_type": "an object",
    "literal_error": "{expected}",
    "too_short": "a list of {min_length} or more entries",
    "too_long": "a list of {max_length} entries or fewer",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
}


_TYPES = {
    "number": "a number",
    "integer": "a whole number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}

NAMED = 3
"""Fields of each kind that one line names besides the first."""

LONGEST = 500
"""Letters of a line about what is allowed, beyond which no other kind is added."""

REQUIRED = "; the field is required"


def _join(path: str, tail: str) -> str:
    return path + tail if not path or tail.startswith(("[", ".")) or not tail else f"{path}.{tail}"


def _field(location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        path = _join(path, f"[{step}]" if isinstance(step, int) else str(step))
    return path


def _models_in(annotation: object) -> list[type[BaseModel]]:
    """Models in an annotation: of a field that is one, may be one, or lists some."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    """The model that stands at a location."""
    for step in location:
        field = model.model_fields.get(step) if isinstance(step, str) else None
        inner = _models_in(field.annotation) if field else []
        model = inner[0] if inner else model
    return model


def _required(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """What a missing field should hold, in words."""
    own, name = _model_at(model, location[:-1]), str(location[-1])
    inner = _models_in(own.model_fields[name].annotation) if name in own.model_fields else []
    schema = own.model_json_schema().get("properties", {}).get(name, {})
    kind = schema.get("type")
    if inner:
        fields = f"an object with {', '.join(inner[0].model_fields)}"
        words = f"a list, each entry {fields}" if kind == "array" else fields
    else:
        words = _TYPES.get(kind, "a value")
    return words + REQUIRED


def _complaints(error: ValidationError) -> list[ErrorDetails]:
    """pydantic's entries, without those that only follow from another: a list short of entries that are wrong."""
    entries = error.errors(include_url=False)
    places = [entry["loc"] for entry in entries]

    def follows(entry: ErrorDetails) -> bool:
        at = entry["loc"]
        return entry["type"] == "too_short" and any(len(p) > len(at) and p[: len(at)] == at for p in places)

    return [entry for entry in entries if not follows(entry)]


def as_input_error(error: ValidationError, model: type[BaseModel]) -> InputError:
    """The first complaint of a `ValidationError` as an `InputError`; behind it those like it, one of each other kind.

    Complaints are alike if they are about the same field of another entry, if what is allowed is the same, or if fields
    are missing.
    """
    every = [found for entry in _complaints(error) for found in _those_of(entry, model)]
    groups: list[list[InputError]] = []
    for found in every:
        alike = next((group for group in groups if _alike(group[0], found)), None)
        if alike is None:
            groups.append([found])
        else:
            alike.append(found)
    first, *others = groups
    allowed = first[0].allowed + _more(first)
    for i, group in enumerate(others):
        line = f"; also {group[0]}{_more(group)}"
        if len(allowed) + len(line) > LONGEST:
            allowed += f"; and {sum(len(group) for group in others[i:])} more, not like these"
            break
        allowed += line
    return InputError(first[0].field, first[0].found, allowed, every=every)


def _alike(one: InputError, other: InputError) -> bool:
    missing = all(error.allowed.endswith(REQUIRED) for error in (one, other))
    return missing or one.allowed == other.allowed or _pattern(one) == _pattern(other)


def _pattern(error: InputError) -> str:
    """The field without the numbers of entries."""
    return re.sub(r"\[\d+\]", "[]", error.field)


def _more(group: list[InputError]) -> str:
    """How many complaints are like the first of a group, by name where they are about other fields."""
    first, *rest = group
    if not rest:
        return ""
    fields = list(dict.fromkeys(error.field for error in rest if _pattern(error) != _pattern(first)))
    names = ", ".join(field[:60] for field in fields[:NAMED]) + (", …" if len(fields) > NAMED else "")
    return f" ({len(rest)} more like this{f': {names}' if names else ''})"


def _those_of(entry: ErrorDetails, model: type[BaseModel]) -> list[InputError]:
    """What an entry complains of; a part of a problem complains for itself, and perhaps of several things."""
    inner = entry.get("ctx", {}).get("error")
    if not isinstance(inner, InputError):
        return [_complaint(entry, model)]
    at = _field(entry["loc"])
    return [InputError(_join(at, one.field), one.found, one.allowed) for one in inner.every or [inner]]


def _complaint(entry: ErrorDetails, model: type[BaseModel]) -> InputError:
    """One entry of pydantic's own."""
    field, context = _field(entry["loc"]), entry.get("ctx", {})
    if entry["type"] == "qopt":
        path = _join(field, context["where"]).removeprefix(".")
        return InputError(path, context["found"], context["allowed"])
    if entry["type"] == "missing":
        return InputError(field, "nothing", _required(model, entry["loc"]))
    if entry["type"] == "extra_forbidden":
        return InputError(field, "an unknown field", _fields_at(model, entry["loc"][:-1]))
    if entry["type"] in ("model_type", "model_attributes_type"):
        return InputError(field, shown(entry["input"]), f"an object with {_fields_at(model, entry['loc'])}")
    if entry["type"] == "float_type" and is_whole(entry["input"]):
        return InputError(field, shown(entry["input"]), "a finite number")  # more digits than a double holds
    allowed = _ALLOWED.get(entry["type"])
    text = allowed.format(**context) if allowed else entry["msg"][:1].lower() + entry["msg"][1:]
    return InputError(field, shown(entry["input"]), text)


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Names of the fields of the model that stands at a location."""
    return ", ".join(_model_at(model, location).model_fields)
