"""The text: Python's own manual, as the standard library ships it for ``help()``, in characters.

Every distinct paragraph stands in one part, chosen by its checksum, so no sentence of the held-out part was trained on.
Other versions of Python ship other text; most of it is the same.
"""

from __future__ import annotations

import hashlib
import zlib
from pydoc_data.topics import topics

import needs as needs  # says what is missing, before anything else is imported
import torch

from qopt.measuring.examples import Examples

CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))
VOCABULARY = len(CHARACTERS)
TOKENS = 64
"""Characters in a sequence."""

HELD_OUT = 5
"""One paragraph in so many is held out."""


def paragraphs() -> list[str]:
    """Every distinct paragraph of the manual, sorted."""
    found = {part for text in topics.values() for part in text.split("\n\n") if part.strip()}
    return sorted("".join(c for c in part if c in CHARACTERS) for part in found)


def divided() -> dict[str, torch.Tensor]:
    """Tokens of the training text and of the held-out text."""
    parts: dict[str, list[str]] = {"training": [], "held out": []}
    for part in paragraphs():
        parts["held out" if zlib.crc32(part.encode()) % HELD_OUT == 0 else "training"].append(part)
    return {name: encoded("\n\n".join(part)) for name, part in parts.items()}


def encoded(text: str) -> torch.Tensor:
    """Numbers of characters within `CHARACTERS`."""
    number = {c: i for i, c in enumerate(CHARACTERS)}
    return torch.tensor([number[c] for c in text])


def sequences(tokens: torch.Tensor) -> Examples:
    """Sequences one behind the other; the label of a character is the one that follows it."""
    count = (len(tokens) - 1) // TOKENS
    x, labels = tokens[: count * TOKENS], tokens[1 : count * TOKENS + 1]
    return Examples(x.reshape(count, TOKENS).float(), labels.reshape(count, TOKENS))


def digest() -> str:
    """SHA-256 of the text, to tell one Python's manual from another's."""
    return hashlib.sha256("\n\n".join(paragraphs()).encode()).hexdigest()
