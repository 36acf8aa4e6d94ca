"""Turns pydantic's report on a malformed problem into one line."""

from __future__ import annotations

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


def _join(path: str, tail: str) -> str:
    return path + tail if not path or tail.startswith(("[", ".")) or not tail else f"{path}.{tail}"


def _field(location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        path = _join(path, f"[{step}]" if isinstance(step, int) else str(step))
    return path


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Names of the fields of the model that stands at a location."""
    for step in location:
        field = model.model_fields.get(str(step))
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        inner = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not inner:
            break
        model = inner[0]
    return ", ".join(model.model_fields)


def _complaints(error: ValidationError) -> list[ErrorDetails]:
    """pydantic's entries, without those that only follow from another: a list short of entries that are wrong."""
    entries = error.errors(include_url=False)
    places = [entry["loc"] for entry in entries]

    def follows(entry: ErrorDetails) -> bool:
        at = entry["loc"]
        return entry["type"] == "too_short" and any(len(p) > len(at) and p[: len(at)] == at for p in places)

    return [entry for entry in entries if not follows(entry)]


def as_input_error(error: ValidationError, model: type[BaseModel]) -> InputError:
    """The first complaint of a `ValidationError` as an `InputError`, the number of others behind it."""
    entries = _complaints(error)
    entry = entries[0]
    field, context = _field(entry["loc"]), entry.get("ctx", {})
    more = f" ({len(entries) - 1} more like this)" if len(entries) > 1 else ""
    inner = context.get("error")
    if isinstance(inner, InputError):
        return InputError(_join(field, inner.field), inner.found, inner.allowed + more)
    if entry["type"] == "qopt":
        path = _join(field, context["where"]).removeprefix(".")
        return InputError(path, context["found"], context["allowed"] + more)
    if entry["type"] == "missing":
        return InputError(field, "nothing", "this field is required" + more)
    if entry["type"] == "extra_forbidden":
        return InputError(field, "an unknown field", _fields_at(model, entry["loc"][:-1]) + more)
    if entry["type"] in ("model_type", "model_attributes_type"):
        return InputError(field, shown(entry["input"]), f"an object with {_fields_at(model, entry['loc'])}" + more)
    if entry["type"] == "float_type" and is_whole(entry["input"]):
        return InputError(field, shown(entry["input"]), "a finite number" + more)  # more digits than a double holds
    allowed = _ALLOWED.get(entry["type"])
    text = allowed.format(**context) if allowed else entry["msg"][:1].lower() + entry["msg"][1:]
    return InputError(field, shown(entry["input"]), text + more)
