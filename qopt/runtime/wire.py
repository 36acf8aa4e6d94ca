"""A look at a protobuf before it is parsed: a parser makes hundreds of bytes of two, so what it would make is counted.

Only the structure is walked: nodes, attributes, types, graphs within graphs. Raw numbers are stepped over. The walk
ends at the first limit that is passed, so a file that declares a billion nodes costs what the limit allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAX_NODES = 100_000
"""Operations, of all graphs together: as many as a placement may have."""

MAX_FIELDS = 4_000_000
"""Fields of all messages; parsed, each costs some hundred bytes."""

MAX_PACKED = 256 * 2**20
"""Bytes of packed whole numbers, which become eight times as many."""

MAX_TEXT = 256 * 2**20
"""Bytes of names, texts and whatever else is neither a message that is walked nor raw numbers."""

_TENSOR, _SPARSE, _ATTRIBUTE, _NODE, _GRAPH, _VALUE, _TYPE, _SHAPED, _SHAPE = (
    "tensor",
    "sparse",
    "attribute",
    "node",
    "graph",
    "value",
    "type",
    "shaped",
    "shape",
)
_INNER: dict[str, dict[int, str]] = {
    "model": {7: _GRAPH, 8: "leaf", 14: "leaf", 25: "function"},
    "function": {7: _NODE, 11: _ATTRIBUTE, 12: _VALUE, 9: "leaf"},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE, 11: _VALUE, 12: _VALUE, 13: _VALUE, 14: "annotation", 16: "leaf"},
    "annotation": {2: "leaf"},
    _NODE: {5: _ATTRIBUTE, 9: "leaf"},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 14: _TYPE, 15: _TYPE, 22: _SPARSE, 23: _SPARSE},
    _TENSOR: {13: "leaf", 16: "leaf"},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _VALUE: {2: _TYPE, 4: "leaf"},
    _TYPE: {1: _SHAPED, 4: "element", 5: "map", 8: _SHAPED, 9: "element"},
    "element": {1: _TYPE},
    "map": {2: _TYPE},
    _SHAPED: {2: _SHAPE},
    _SHAPE: {1: "leaf"},
    "leaf": {},
}
"""Messages within messages, by the numbers of onnx.proto."""

_RAW = {(_TENSOR, 4), (_TENSOR, 9), (_TENSOR, 10)}
"""Numbers that are kept as they stand."""

_PACKED = {(_TENSOR, 1), (_TENSOR, 5), (_TENSOR, 7), (_TENSOR, 11), (_ATTRIBUTE, 8), (_SPARSE, 3)}
"""Whole numbers of one byte or more."""


_TEXT: dict[str, frozenset[int]] = {
    "model": frozenset({2, 3, 4, 6}),
    "function": frozenset({1, 4, 5, 6, 8, 10, 13}),
    _GRAPH: frozenset({2, 10}),
    _NODE: frozenset({1, 2, 3, 4, 6, 7, 8}),
    _ATTRIBUTE: frozenset({1, 13, 21}),
    _TENSOR: frozenset({8, 12}),
    _VALUE: frozenset({1, 3}),
    _TYPE: frozenset({6}),
    "annotation": frozenset({1}),
    "leaf": frozenset({1, 2, 3}),
}
"""Names and descriptions, which must be UTF-8: where they are not, the parser hands out bytes."""


class BrokenFile(ValueError):
    """What is wrong with the bytes, and what would be right."""

    def __init__(self, found: str, allowed: str) -> None:
        self.found, self.allowed = found, allowed
        super().__init__(found)


@dataclass
class Counted:
    """What a file would make of the memory.

    Attributes
    ----------
    nodes, fields : how many.
    packed, text : bytes.
    """

    nodes: int = 0
    fields: int = 0
    packed: int = 0
    text: int = 0

    def check(self) -> None:
        """Raise where a limit is passed."""
        if self.nodes > MAX_NODES:
            raise BrokenFile(f"more than {MAX_NODES} operations", f"at most {MAX_NODES}")
        if self.fields > MAX_FIELDS or self.packed > MAX_PACKED or self.text > MAX_TEXT:
            raise BrokenFile("a structure that would not fit into memory", f"at most {MAX_FIELDS} fields")


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise BrokenFile("a file that is cut off or damaged", "a whole ONNX file")


def _check_text(data: memoryview) -> None:
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        raise BrokenFile("a name that is not UTF-8", "names in UTF-8") from None


def count(data: memoryview) -> Counted:
    """Walk a model.

    Parameters
    ----------
    data : the file's bytes.

    Raises
    ------
    BrokenFile
        It is no protobuf, cut off, or larger in memory than the limits of this file.
    """
    found = Counted()
    todo = [("model", 0, len(data))]
    while todo:
        kind, at, end = todo.pop()
        inner = _INNER[kind]
        while at < end:
            key, at = _varint(data, at, end)
            number, wire = key >> 3, key & 7
            found.fields += 1
            if wire == 0:
                _, at = _varint(data, at, end)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            elif wire == 2:
                length, at = _varint(data, at, end)
                if number in inner:
                    found.nodes += inner[number] == _NODE
                    if 0 < length <= end - at:
                        todo.append((inner[number], at, at + length))
                elif (kind, number) in _PACKED:
                    found.packed += length
                elif (kind, number) not in _RAW:
                    found.text += length
                    if number in _TEXT.get(kind, ()) and at + length <= end:
                        _check_text(data[at : at + length])
                at += length
            else:
                raise BrokenFile("bytes that are no protobuf", "an ONNX file")
            if number == 0:
                raise BrokenFile("bytes that are no protobuf", "an ONNX file")
            if at > end:
                raise BrokenFile("a file that is cut off or damaged", "a whole ONNX file")
            if not found.fields & 0xFF or found.nodes > MAX_NODES:
                found.check()
    found.check()
    return found


def beside(data: memoryview) -> frozenset[str]:
    """Files in which a model says that constants lie, as it names them.

    Parameters
    ----------
    data : the file's bytes.

    Raises
    ------
    BrokenFile
        It is no protobuf, or cut off.
    """
    found = set()
    todo = [("model", 0, len(data))]
    while todo:
        kind, begin, end = todo.pop()
        word, value = b"", b""
        for number, at, stop in _chunks(data, begin, end):
            if kind == "entry":
                text = bytes(data[at:stop])
                word, value = (text if number == 1 else word), (text if number == 2 else value)
            elif (kind, number) == (_TENSOR, 13):
                todo.append(("entry", at, stop))
            elif number in _INNER[kind]:
                todo.append((_INNER[kind][number], at, stop))
        if word == b"location":
            found.add(value.decode(errors="replace"))
    return frozenset(found)


def _chunks(data: memoryview, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of every field of a message that has a length."""
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        length = 8 if wire == 1 else 4 if wire == 5 else 0
        if wire in (0, 2):
            length, at = _varint(data, at, end)
        if number == 0 or wire not in (0, 1, 2, 5):
            raise BrokenFile("bytes that are no protobuf", "an ONNX file")
        if wire == 0:
            continue
        if at + length > end:
            raise BrokenFile("a file that is cut off or damaged", "a whole ONNX file")
        if wire == 2:
            yield number, at, at + length
        at += length
