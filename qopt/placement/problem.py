"""Placement: which operator to apply to a network, and which tier runs which of its operations.

The question of "On the Impact of Black-box Deployment Strategies for Edge AI on Latency and Model Performance" as
frozen data. Tiers stand in a line (mobile, edge, cloud), with a link between neighbours; data only moves up the
line. The network is a graph of operations in an order in which they can run, with the tensors between them. An
operator (identity, quantized, early exit, both) changes sizes, times and accuracy of the whole network; a plan
takes one of them and gives each operation that it keeps a tier.

*Pre- and post-processing* are operations as any others (section 4.4.1 and Fig. 3 count their latency with the
model's): the first reads the raw input and writes the tensor that the model reads, the last reads the model's
output. Their seconds stand in `graph.time`, since they are not work over speed. The study moves them with the model;
`graph.together` says so where it must hold, otherwise where they run is part of the decision.

Units: seconds, joules, watts; memory in bytes, everything that is sent in bits; work in MACs, or in whatever the
tiers' speeds are per second.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from qopt.core.arrays import BoolArray
from qopt.core.checks import check_length, twice, unknown
from qopt.core.columns import Quantities, QuantityRows, complaint
from qopt.core.errors import shown
from qopt.core.problem import Flag, Frozen, PositiveQuantity, Problem, Quantity, Rate, UpperLimit
from qopt.placement.graph import Graph, Name, Names

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]


class Input(Frozen):
    """The raw input.

    Attributes
    ----------
    sizes : bits of one or more inputs. Their mean is what the objective counts; a plan's cost reports each.
    readers : operations that read it.
    tier : where it is born; by default the first tier.
    private : it may not leave that tier, so its readers run there.
    """

    sizes: Quantities
    readers: Annotated[Names, Field(min_length=1)]
    tier: Name | None = None
    private: Flag = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.sizes) == 0:
            raise complaint(".sizes", "none", "at least one size in bits")
        if twice(self.readers) is not None:
            raise complaint(".readers", f"{shown(twice(self.readers))} twice", "each reader once")
        return self

    @property
    def size(self) -> float:
        """Mean of the sizes [bits]."""
        return math.fsum(self.sizes.tolist()) / len(self.sizes)


class Output(Frozen):
    """The result's way back: `size` bits from the tier of `operation` to `tier`, link by link.

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
    power : watts while it computes.
    price : per second while it computes.
    """

    name: Name
    speed: PositiveQuantity | None = None
    memory: UpperLimit = None
    power: Quantity = 0.0
    price: Quantity = 0.0


class Link(Frozen):
    """The link from a tier to the next.

    Attributes
    ----------
    rate, down_rate : bits per second, up and (for an output that returns) down; down as up unless given.
    latency : seconds for each message, and each tensor is one.
    overhead : bits on the link for each bit of a tensor: 4/3 for base64.
    energy, price : joules, and price, of a bit on the link.
    """

    rate: Rate
    down_rate: Rate | None = None
    latency: Quantity = 0.0
    overhead: PositiveQuantity = 1.0
    energy: Quantity = 0.0
    price: Quantity = 0.0


class Operator(Frozen):
    """One way to treat the whole network.

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

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.speeds is not None and np.any(self.speeds <= 0):
            raise complaint(".speeds", shown(self.speeds.tolist()), "speeds > 0")
        for name in ("weight", "tensor"):
            if getattr(self, f"{name}s") is not None and getattr(self, f"{name}_factor") != 1:
                raise complaint(f".{name}s", f"{name}s beside {name}_factor", "one or the other")
        return self


class Weights(Frozen):
    """Objective: weights of a second of latency, a joule and a unit of price. By default latency alone.

    Attributes
    ----------
    time : w_t [1/s].
    energy : w_e [1/J].
    price : w_c, of a unit of price.
    """

    time: Quantity = 1.0
    energy: Quantity = 0.0
    price: Quantity = 0.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.time == self.energy == self.price == 0:
            raise complaint("", "weights that are all 0", "at least one weight > 0")
        return self


class Targets(Frozen):
    """What the operator and the plan must reach: accuracy at least, latency [s] at most.

    Attributes
    ----------
    accuracy : in [0, 1]; 0 asks for none.
    latency : seconds; none given is no limit.
    """

    accuracy: Share = 0.0
    latency: UpperLimit = None


class Placement(Problem):
    """Minimise time, energy and price of one inference over the operator and the tier of each operation.

    Latency is the sum of computing and sending, one after the other, as the study measures it.

    Attributes
    ----------
    graph, input, output : the network, its raw input, and where its result goes (nowhere unless given).
    tiers, links : each of the line, from the device up; ``links[i]`` leads from ``tiers[i]`` to the next.
    operators : one of them is chosen for the whole network.
    pins : tiers on which an operation may run, where not all.
    objective, targets : what is minimised, and what must be reached.
    """

    format: Literal["qopt/placement"] = "qopt/placement"
    version: Literal[1] = 1
    graph: Graph
    input: Input
    output: Output | None = None
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=64)]
    links: tuple[Link, ...] = ()
    operators: Annotated[tuple[Operator, ...], Field(min_length=1)]
    pins: dict[Name, Names] = Field(default={})
    objective: Weights = Weights()
    targets: Targets = Targets()

    @model_validator(mode="after")
    def _check(self) -> Self:
        graph, names, tiers = self.graph, self.graph.operations, self.tier_names
        for where, known in (("tiers", tiers), ("operators", tuple(o.name for o in self.operators))):
            again = twice(known)
            if again is not None:
                raise complaint(f".{where}", f"{shown(again)} twice", "names that differ")
        check_length(".links", self.links, len(tiers) - 1, "pair of neighbouring tiers")
        self._check_names(tiers)
        for name, seconds in graph.time.items():
            check_length(f".graph.time.{name}", seconds, len(tiers), "tier")
        read = {*self.input.readers, *(r for tensor in graph.tensors for r in tensor.readers)}
        for name in names:
            if name not in read:
                allowed = "a connected graph: operations that read the input or a tensor"
                raise complaint(".graph.operations", f"{shown(name)}, which reads nothing", allowed)
        for o, operator in enumerate(self.operators):
            self._check_operator(f".operators[{o}]", operator)
        self._check_pins()
        return self

    def summary(self) -> list[str]:
        """Graph, tiers and operators, in three lines."""
        targets = {"accuracy at least": self.targets.accuracy, "latency at most": self.targets.latency}
        asked = "".join(f", {words} {value:g}" for words, value in targets.items() if value)
        return [
            f"{len(self.graph)} operations, {len(self.graph.tensors)} tensors",
            f"tiers {', '.join(self.tier_names)}",
            f"operators {', '.join(operator.name for operator in self.operators)}{asked}",
        ]

    def _check_names(self, tiers: Names) -> None:
        names = self.graph.operations
        for reader in self.input.readers:
            if reader not in self.graph.place:
                raise unknown(".input.readers", reader, names, "an operation")
        for where, part in ((".input", self.input), (".output", self.output)):
            if part is not None and part.tier is not None and part.tier not in tiers:
                raise unknown(f"{where}.tier", part.tier, tiers, "a tier")
        if self.output is not None and self.output.operation not in self.graph.place:
            raise unknown(".output.operation", self.output.operation, names, "an operation")
        for name, allowed in self.pins.items():
            if name not in self.graph.place:
                raise unknown(".pins", name, names, "an operation")
            if not allowed:
                raise complaint(f".pins.{name}", "no tier", "at least one tier")
            for tier in allowed:
                if tier not in tiers:
                    raise unknown(f".pins.{name}", tier, tiers, "a tier")

    def _check_operator(self, at: str, operator: Operator) -> None:
        graph, n, tiers = self.graph, len(self.graph), len(self.tiers)
        for name in operator.skips:
            if name not in graph.place:
                raise unknown(f"{at}.skips", name, graph.operations, "an operation")
        if len(set(operator.skips)) == n:
            raise complaint(f"{at}.skips", "all operations", "at least one operation kept")
        if self.output is not None and self.output.operation in operator.skips:
            raise complaint(f"{at}.skips", shown(self.output.operation), "operations other than the output's")
        check_length(f"{at}.weights", operator.weights, n, "operation")
        check_length(f"{at}.tensors", operator.tensors, len(graph.tensors), "tensor")
        check_length(f"{at}.speeds", operator.speeds, tiers, "tier")
        check_length(f"{at}.time", operator.time, n, "operation")
        if operator.time is not None and operator.time.shape[1] != tiers:
            raise complaint(f"{at}.time", f"rows of {operator.time.shape[1]} entries", f"{tiers}, one for each tier")
        if operator.time is None and operator.speeds is None and len(graph.time) < n:
            for t, tier in enumerate(self.tiers):
                if tier.speed is None:
                    allowed = f"a speed, or speeds or a time table in {at.removeprefix('.')}"
                    raise complaint(f".tiers[{t}].speed", "nothing", allowed)

    def _check_pins(self) -> None:
        """Refuse pins that leave an operation no tier, because data moves up the line and groups stay together."""
        if not self.pins and not self.input.private:
            return
        names, tiers, graph = self.graph.operations, self.tier_names, self.graph
        birth = tiers[self.birth]
        for name, pinned in self.pins.items():
            if self.input.private and name in self.input.readers and birth not in pinned:
                found = f"{', '.join(pinned)}, while input.private keeps what it reads on {birth}"
                raise complaint(f".pins.{name}", found, f"{birth} among them, or an input that is not private")
            if all(tiers.index(tier) < self.birth for tier in pinned):
                found = f"{', '.join(pinned)}, below {birth}, where input.tier says that the data start"
                raise complaint(f".pins.{name}", found, f"{birth} or a tier above it, since data only moves up")
        groups = [[graph.place[name] for name in group] for group in graph.together]
        edges = [(graph.place[t.producer], graph.place[r]) for t in graph.tensors for r in t.readers]
        allowed, changed = self.allowed.copy(), True
        while changed:  # at most tiers x operations rounds; usually two
            before = allowed.copy()
            for u, v in edges:  # v at least as high as the lowest u may be
                allowed[v] &= np.cumsum(allowed[u]) > 0
            for u, v in reversed(edges):  # u at most as high as the highest v may be
                allowed[u] &= np.cumsum(allowed[v][::-1])[::-1] > 0
            for group in groups:
                allowed[group] = allowed[group].all(axis=0)
            empty = np.flatnonzero(~allowed.any(axis=1))
            if empty.size:
                name = names[int(empty[0])]
                left = [tiers[k] for k in np.flatnonzero(self.allowed[int(empty[0])])]
                found = f"pins that contradict each other: {shown(name)}, pinned to {', '.join(left)},"
                raise complaint(".pins", f"{found} has no tier left", "pins that rise along the data")
            changed = not np.array_equal(before, allowed)

    @property
    def layers(self) -> int:
        """How many operations the network has."""
        return len(self.graph)

    @property
    def tier_names(self) -> Names:
        """Names of the tiers, from the device up."""
        return tuple(tier.name for tier in self.tiers)

    @property
    def birth(self) -> int:
        """Index of the tier where the input is born."""
        return 0 if self.input.tier is None else self.tier_names.index(self.input.tier)

    @cached_property
    def worked_out(self) -> dict[object, Any]:
        """What operators make of the graph, kept because a solve asks for it many times (`qopt.placement.terms`)."""
        return {}

    @cached_property
    def allowed(self) -> BoolArray:
        """(n, tiers) where each operation may run by its pins, the input's birth and its privacy."""
        tiers = self.tier_names
        allowed = np.zeros((len(self.graph), len(tiers)), dtype=bool)
        allowed[:, self.birth :] = True
        for name, pinned in self.pins.items():
            allowed[self.graph.place[name]] &= [tier in pinned for tier in tiers]
        if self.input.private:
            readers = [self.graph.place[name] for name in self.input.readers]
            allowed[readers] &= np.arange(len(tiers)) == self.birth
        allowed.flags.writeable = False
        return allowed

    def operator(self, name: str) -> Operator:
        """The operator of a name.

        Raises
        ------
        KeyError
            There is none.
        """
        return {operator.name: operator for operator in self.operators}[name]

    @property
    def eligible(self) -> tuple[Operator, ...]:
        """Operators that reach the accuracy target, in their order."""
        return tuple(o for o in self.operators if o.accuracy >= self.targets.accuracy)
