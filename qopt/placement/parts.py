"""The parts of a placement problem: raw inputs, outputs, tiers, links, operators."""

from __future__ import annotations

import math
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from qopt.core.checks import check_length, twice
from qopt.core.columns import Quantities, QuantityRows, complaint
from qopt.core.errors import shown
from qopt.core.problem import Flag, Frozen, PositiveQuantity, Quantity, Rate, UpperLimit
from qopt.placement.graph import Name, Names

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]


class Input(Frozen):
    """The raw input.

    Attributes
    ----------
    sizes : bits of one or more inputs. Their mean is what the objective counts; a plan's cost reports each.
    shares : how often each size comes, relative to the others; default equally often.
    readers : operations that read it.
    tier : where it is born; by default the first tier.
    private : it may not leave that tier, so its readers run there.
    """

    sizes: Quantities
    shares: Quantities | None = None
    readers: Annotated[Names, Field(min_length=1)]
    tier: Name | None = None
    private: Flag = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.sizes) == 0:
            raise complaint(".sizes", "none", "at least one size in bits")
        if twice(self.readers) is not None:
            raise complaint(".readers", f"{shown(twice(self.readers))} twice", "each reader once")
        check_length(".shares", self.shares, len(self.sizes), "size")
        if self.shares is not None and not np.any(self.shares > 0):
            raise complaint(".shares", "shares that are all 0", "at least one share > 0")
        return self

    @property
    def size(self) -> float:
        """Mean of the sizes [bits]."""
        if self.shares is not None:
            return math.fsum((self.sizes * self.shares).tolist()) / math.fsum(self.shares.tolist())
        return math.fsum(self.sizes.tolist()) / len(self.sizes)


class Output(Frozen):
    """A result's way back: `size` bits from the tier of `operation` to `tier`, link by link.

    Attributes
    ----------
    operation : name of the one whose result goes back.
    size : bits.
    tier : name of the tier that wants it.
    """

    operation: Name
    size: Quantity
    tier: Name


class Tier(Frozen):
    """A place that computes.

    Attributes
    ----------
    name : of the tier, each once.
    speed : MACs per second; an operator may have its own.
    memory : bytes for weights; none given, or infinity, is no limit.
    activations : memory holds tensors too. The operations run in the listed order; a tensor is held on every tier
        from its producer's to its highest reader's, from its producer's step to its last reader's.
    power : watts while it computes.
    price : per second while it computes.
    """

    name: Name
    speed: PositiveQuantity | None = None
    memory: UpperLimit = None
    activations: Flag = False
    power: Quantity = 0.0
    price: Quantity = 0.0


class Link(Frozen):
    """The link from a tier to the next.

    Attributes
    ----------
    rate, down_rate : bits per second, up and (for an output that returns) down; down as up unless given.
    latency : seconds of a message: all tensors that cross the link are one, and an output that returns another.
    overhead : bits on the link for each bit of a tensor: 4/3 for base64.
    energy, price : joules, and price, of a bit on the link.
    """

    rate: Rate
    down_rate: Rate | None = None
    latency: Quantity = 0.0
    overhead: PositiveQuantity = 1.0
    energy: Quantity = 0.0
    price: Quantity = 0.0


OWN = ("weight_factor", "weights", "tensor_factor", "tensors", "speeds", "time", "shared", "time_at", "tensors_at")
"""Fields of an operator that a mixture takes from others."""


class Operator(Frozen):
    """One way to treat the whole network, or by `tiers` and `operations` a mixture of others.

    Attributes
    ----------
    name : of the operator, each once.
    accuracy : of the network so treated, in [0, 1].
    skips : operations that it leaves out (an early exit). What read their outputs reads their inputs instead, which
        for a skipped block is the tensor that enters it.
    weight_factor : multiplies all weights; `weights`, (n,) bytes, replaces them instead.
    weights : (n,) bytes.
    tensor_factor : multiplies the tensors between operations; `tensors`, bits of each, replaces them instead.
    tensors : bits, one for each tensor.
    speeds : MACs per second of each tier under this operator; default the tiers'.
    time : (n, tiers) seconds of each operation on each tier; default work / speed. Rows of skipped operations count
        for nothing.
    shared : bytes of each of `graph.shared`; default theirs times `weight_factor`.
    time_at, tensors_at : such a table of times, and such a list of bits, for each size of the input: work and tensors
        that grow with it. The objective counts their mean, memory the largest tensors.
    on : tiers where it can be used, where not all: of others no time is known.
    tiers : name of the operator that treats what runs on a tier, for every tier. What an operation writes is as large
        as on its own tier, wherever it goes. The accuracy must be reached wherever the network is cut.
    operations : name of the operator of single operations, wherever they run; those not named follow `tiers`.
    """

    name: Name
    accuracy: Share
    skips: Names = ()
    weight_factor: Quantity = 1.0
    weights: Quantities | None = None
    tensor_factor: Quantity = 1.0
    tensors: Quantities | None = None
    speeds: Quantities | None = None
    time: QuantityRows | None = None
    shared: Quantities | None = None
    time_at: tuple[QuantityRows, ...] | None = None
    tensors_at: tuple[Quantities, ...] | None = None
    on: Names = ()
    tiers: dict[Name, Name] = Field(default={})
    operations: dict[Name, Name] = Field(default={})

    @property
    def mixed(self) -> bool:
        """Whether it is a mixture of other operators."""
        return bool(self.tiers)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.speeds is not None and np.any(self.speeds <= 0):
            raise complaint(".speeds", shown(self.speeds.tolist()), "speeds > 0")
        for name in ("weight", "tensor"):
            if getattr(self, f"{name}s") is not None and getattr(self, f"{name}_factor") != 1:
                raise complaint(f".{name}s", f"{name}s beside {name}_factor", "one or the other")
        for one, other in (("time_at", "time"), ("time_at", "speeds"), ("tensors_at", "tensors")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise complaint(f".{one}", f"{one} beside {other}", "one or the other")
        if self.tensors_at is not None and self.tensor_factor != 1:
            raise complaint(".tensors_at", "tensors_at beside tensor_factor", "one or the other")
        if self.operations and not self.tiers:
            raise complaint(".tiers", "nothing beside operations", "an operator for every tier")
        if self.mixed:
            for name in OWN:
                value = getattr(self, name)
                if value is not None and not (isinstance(value, float) and value == 1.0):
                    raise complaint(f".{name}", f"{name} beside tiers", "one or the other: a mixture has no own")
        return self
