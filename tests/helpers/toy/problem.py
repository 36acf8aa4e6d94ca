"""Pick one item: minimise its price, its weight within the budget."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from qopt.core.limits import within
from qopt.core.plan import Plan
from qopt.core.problem import Amount, Frozen, Problem


class Item(Frozen):
    """What may be picked."""

    name: str
    price: Amount
    weight: Amount


class Toy(Problem):
    """Items and a budget; every unit of weight costs `rate` beside the price."""

    format: Literal["qopt/toy"] = "qopt/toy"
    version: Literal[1] = 1
    items: Annotated[tuple[Item, ...], Field(min_length=1)]
    budget: Amount
    rate: Amount = 1.0

    @property
    def layers(self) -> int:
        """How many items there are."""
        return len(self.items)

    def cost(self, item: Item) -> float:
        """The objective of an item."""
        return item.price + self.rate * item.weight

    def fits(self, item: Item) -> bool:
        """Whether an item keeps the budget."""
        return within([item.weight], self.budget)


class ToyPlan(Plan):
    """The item picked."""

    format: Literal["qopt/toy-plan"] = "qopt/toy-plan"
    version: Literal[1] = 1
    item: str
