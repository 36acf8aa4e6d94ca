"""What can be wrong with a question, said in one line: the field, what was found, what is allowed."""

from __future__ import annotations

from collections.abc import Sequence


class QoptError(Exception):
    """Base of every error that qopt raises on purpose."""


class InputError(QoptError, ValueError):
    """A malformed problem, plan or option.

    Parameters
    ----------
    field : str
        Path of the field, as written in the instance file (``network.macs[3]``).
    found : str
        What stands there.
    allowed : str
        What may stand there.
    every : sequence of InputError
        Where the line stands for several faults, each by itself.
    """

    def __init__(self, field: str, found: str, allowed: str, *, every: Sequence[InputError] = ()) -> None:
        self.field, self.found, self.allowed, self.every = (
            one_line(field),
            printable(found),
            printable(allowed),
            tuple(every),
        )
        super().__init__(f"{self.field}: {self.text}" if field else self.text)

    @property
    def text(self) -> str:
        """The line without the field's path."""
        return f"found {self.found}; allowed: {self.allowed}"


def one_line(field: str, width: int = 200) -> str:
    """A field's path, or a name, as it is, unless it would break the line: then escaped and cut."""
    return field if field.isprintable() and len(field) <= width else shown(field, width)


def printable(text: str) -> str:
    """A text with what would break its line, from a name in it perhaps, escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


class MethodError(QoptError, ValueError):
    """A method that does not exist, is not installed, or cannot solve this problem."""


def shown(value: object, width: int = 60) -> str:
    """``repr`` of a value found, cut to one short line."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a deeply nested {type(value).__name__}"
    except ValueError:  # Python writes out whole numbers of some thousand digits only
        text = f"a value ({type(value).__name__}) too long to be written out"
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"
