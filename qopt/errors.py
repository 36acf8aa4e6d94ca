"""What can be wrong with a question, said in one line: the field, what was found, what is allowed."""

from __future__ import annotations


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
    """

    def __init__(self, field: str, found: str, allowed: str) -> None:
        self.field, self.found, self.allowed = field, found, allowed
        super().__init__(f"{field}: {self.text}" if field else self.text)

    @property
    def text(self) -> str:
        """The line without the field's path."""
        return f"found {self.found}; allowed: {self.allowed}"


class MethodError(QoptError, ValueError):
    """A method that does not exist, is not installed, or cannot solve this problem."""


def shown(value: object, width: int = 60) -> str:
    """``repr`` of a value found, cut to one short line."""
    text = repr(value)
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"
