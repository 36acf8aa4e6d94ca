"""Share i of n of some work, for as many processes or machines."""

from __future__ import annotations

from typing import NamedTuple

from qopt.core.arguments import is_whole
from qopt.core.errors import InputError, shown


class Shard(NamedTuple):
    """Share i of n, i from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``i/n``."""
        number, slash, of = (part.strip() for part in text.partition("/"))
        if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise InputError("--shard", shown(text), "i/n, whole numbers with 1 <= i <= n, such as 2/8")
        return cls(int(number), int(of))

    @classmethod
    def checked(cls, shard: object) -> Shard:
        """A shard from two numbers (i, n).

        Raises
        ------
        InputError
            Something else, or not 1 <= i <= n.
        """
        if isinstance(shard, tuple) and len(shard) == 2 and all(map(is_whole, shard)) and 1 <= shard[0] <= shard[1]:
            return cls(*shard)
        raise InputError("shard", shown(shard), "(i, n), whole numbers with 1 <= i <= n")
