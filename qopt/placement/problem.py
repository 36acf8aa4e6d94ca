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

import itertools
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from qopt.core.arrays import BoolArray, FloatArray
from qopt.core.checks import check_length, twice, unknown
from qopt.core.columns import complaint
from qopt.core.errors import shown
from qopt.core.problem import Frozen, Problem, Quantity, UpperLimit
from qopt.placement.graph import Graph, Name, Names
from qopt.placement.networks import graph_data, read_input
from qopt.placement.parts import Input, Link, Operator, Output, Share, Tier

if TYPE_CHECKING:
    import networkx


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
    quantile : of the sizes of the input, in [0, 1]: `latency` holds at the size that this share of all inputs does not
        exceed; default at their mean.
    """

    accuracy: Share = 0.0
    latency: UpperLimit = None
    quantile: Share | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.quantile is not None and self.latency is None:
            raise complaint(".quantile", f"{self.quantile:g} without latency", "a latency beside it")
        return self


class Placement(Problem):
    """Minimise time, energy and price of one inference over the operator and the tier of each operation.

    Latency is the sum of computing and sending, one after the other, as the study measures it.

    Attributes
    ----------
    graph, input, output : the network, its raw input, and where its result goes (nowhere unless given).
    inputs, outputs : lists of them, instead of `input` and of `output`.
    tiers, links : each of the line, from the device up; ``links[i]`` leads from ``tiers[i]`` to the next.
    operators : one of them is chosen for the whole network.
    pins : tiers on which an operation may run, where not all.
    objective, targets : what is minimised, and what must be reached.
    """

    format: Literal["qopt/placement"] = "qopt/placement"
    version: Literal[1] = 1
    graph: Graph
    input: Input | None = None
    inputs: tuple[Input, ...] = ()
    output: Output | None = None
    outputs: tuple[Output, ...] = ()
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=64)]
    links: tuple[Link, ...] = ()
    operators: Annotated[tuple[Operator, ...], Field(min_length=1)]
    pins: dict[Name, Names] = Field(default={})
    objective: Weights = Weights()
    targets: Targets = Targets()

    @classmethod
    def from_networkx(cls, graph: networkx.DiGraph[Any], **fields: Any) -> Self:
        """A placement of a `networkx.DiGraph`: its nodes are operations, its edges say who reads what.

        Parameters
        ----------
        graph : nodes with ``work`` [MACs], ``weights`` and ``scratch`` [bytes], ``time`` [s, for each tier] and
            ``size`` [bits] of the tensor that they write, all optional; edges with ``size`` [bits] where a node writes
            several tensors, and with the same ``tensor`` where several edges are one.
        fields : all others of a placement. An ``input`` without ``readers`` is read by every node that nothing leads
            to.

        Raises
        ------
        InputError
            No directed graph, a cycle, an edge without a size; or as every placement.
        """
        data = graph_data(graph)
        if isinstance(fields.get("input"), dict):
            fields["input"] = read_input(fields["input"], data)
        return cls(**{"graph": data, **fields})

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
        used = {r for part in self.sources for r in part.readers} | {part.operation for part in self.results}
        used |= {name for tensor in graph.tensors for name in (tensor.producer, *tensor.readers)} | {*self.pins}
        for name in names:
            if name not in used:
                allowed = "a connected graph: operations that read something, or that something reads"
                found = f"{shown(name)}, which reads nothing and which nothing reads"
                raise complaint(".graph.operations", found, allowed)
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
        if (self.input is None) == (not self.inputs):
            found = "nothing" if self.input is None else "input beside inputs"
            raise complaint(".input", found, "an input, or inputs" if self.input is None else "one or the other")
        if self.output is not None and self.outputs:
            raise complaint(".output", "output beside outputs", "one or the other")
        for i, source in enumerate(self.sources):
            at = ".input" if self.input is not None else f".inputs[{i}]"
            for reader in source.readers:
                if reader not in self.graph.place:
                    raise unknown(f"{at}.readers", reader, names, "an operation")
            if source.tier is not None and source.tier not in tiers:
                raise unknown(f"{at}.tier", source.tier, tiers, "a tier")
            if len(source.sizes) not in (1, self.cases):
                raise complaint(f"{at}.sizes", f"{len(source.sizes)} entries", f"1, or {self.cases} as other inputs")
            given = self._shares() if len(source.sizes) == self.cases else None  # those of a single size say nothing
            if given is not None and source.shares is not None and not np.array_equal(source.shares, given):
                raise complaint(f"{at}.shares", "others than another input's", "equal shares, or none")
        for i, result in enumerate(self.results):
            at = ".output" if self.output is not None else f".outputs[{i}]"
            if result.tier not in tiers:
                raise unknown(f"{at}.tier", result.tier, tiers, "a tier")
            if result.operation not in self.graph.place:
                raise unknown(f"{at}.operation", result.operation, names, "an operation")
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
        for result in self.results:
            if result.operation in operator.skips:
                raise complaint(f"{at}.skips", shown(result.operation), "operations other than the output's")
        for name in operator.on:
            if name not in self.tier_names:
                raise unknown(f"{at}.on", name, self.tier_names, "a tier")
        if operator.mixed:
            self._check_mixture(at, operator)
            return
        check_length(f"{at}.shared", operator.shared, len(graph.shared), "entry of graph.shared")
        for name, column in (("time_at", operator.time_at), ("tensors_at", operator.tensors_at)):
            check_length(f"{at}.{name}", column, self.cases, "size of the input")
        for s, bits in enumerate(operator.tensors_at or ()):
            check_length(f"{at}.tensors_at[{s}]", bits, len(graph.tensors), "tensor")
        for s, table in enumerate(operator.time_at or ()):
            check_length(f"{at}.time_at[{s}]", table, n, "operation")
            if table.shape[1] != tiers:
                found = f"rows of {table.shape[1]} entries"
                raise complaint(f"{at}.time_at[{s}]", found, f"{tiers}, one for each tier")
        check_length(f"{at}.weights", operator.weights, n, "operation")
        check_length(f"{at}.tensors", operator.tensors, len(graph.tensors), "tensor")
        check_length(f"{at}.speeds", operator.speeds, tiers, "tier")
        check_length(f"{at}.time", operator.time, n, "operation")
        if operator.time is not None and operator.time.shape[1] != tiers:
            raise complaint(f"{at}.time", f"rows of {operator.time.shape[1]} entries", f"{tiers}, one for each tier")
        timed = operator.time is not None or operator.time_at is not None or operator.speeds is not None
        if not timed and len(graph.time) < n:
            for t, tier in enumerate(self.tiers):
                if tier.speed is None:
                    allowed = f"a speed, or speeds or a time table in {at.removeprefix('.')}"
                    raise complaint(f".tiers[{t}].speed", "nothing", allowed)

    def _check_mixture(self, at: str, operator: Operator) -> None:
        """Refuse a mixture that leaves a tier out, or of operators that are mixtures or keep other operations."""
        known = {other.name: other for other in self.operators}
        plain = tuple(name for name, other in known.items() if not other.mixed)
        for name in self.tier_names:
            if name not in operator.tiers:
                raise complaint(f"{at}.tiers", f"no operator for {shown(name)}", "an operator for every tier")
        for where, entries, names in (
            ("tiers", operator.tiers, self.tier_names),
            ("operations", operator.operations, self.graph.operations),
        ):
            for name, treated in entries.items():
                if name not in names:
                    raise unknown(f"{at}.{where}", name, names, "a tier" if where == "tiers" else "an operation")
                if treated not in plain:
                    raise unknown(f"{at}.{where}.{name}", treated, plain, "an operator that is no mixture")
                if set(known[treated].skips) != set(operator.skips):
                    found = f"{shown(treated)}, which skips other operations"
                    raise complaint(f"{at}.{where}.{name}", found, f"an operator of the same skips as {at[1:]}")

    def _check_pins(self) -> None:
        """Refuse pins that leave an operation no tier, because data moves up the line and groups stay together."""
        private = any(part.private for part in self.sources)
        if not self.pins and not private and len(self.sources) == 1:
            return
        names, tiers, graph = self.graph.operations, self.tier_names, self.graph
        floors = self.floors
        for name, pinned in self.pins.items():
            for part, at in zip(self.sources, self.births, strict=True):
                if part.private and name in part.readers and tiers[at] not in pinned:
                    found = f"{', '.join(pinned)}, while input.private keeps what it reads on {tiers[at]}"
                    raise complaint(f".pins.{name}", found, f"{tiers[at]} among them, or an input that is not private")
            floor = int(floors[graph.place[name]])
            birth = tiers[floor]
            if all(tiers.index(tier) < floor for tier in pinned):
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
    def sources(self) -> tuple[Input, ...]:
        """The raw inputs: `input`, or `inputs`."""
        return self.inputs if self.input is None else (self.input,)

    @property
    def results(self) -> tuple[Output, ...]:
        """The outputs that return: `output`, or `outputs`."""
        return self.outputs if self.output is None else (self.output,)

    @property
    def births(self) -> tuple[int, ...]:
        """Index of the tier where each raw input is born."""
        return tuple(0 if part.tier is None else self.tier_names.index(part.tier) for part in self.sources)

    @property
    def birth(self) -> int:
        """Index of the lowest tier where an input is born."""
        return min(self.births)

    @property
    def cases(self) -> int:
        """How many sizes the input has."""
        return max(len(part.sizes) for part in self.sources)

    def _shares(self) -> FloatArray | None:
        """Of the first input that has all sizes and says them."""
        return next((p.shares for p in self.sources if p.shares is not None and len(p.sizes) == self.cases), None)

    @cached_property
    def shares(self) -> FloatArray:
        """(cases,) how often each size of the input comes; they add up to 1."""
        given = self._shares()
        of = np.ones(self.cases) if given is None else given
        found: FloatArray = of / of.sum()
        return found

    @cached_property
    def quantile_case(self) -> int | None:
        """Index of the size at `targets.quantile`, by the bits of all inputs together; None without one."""
        if self.targets.quantile is None:
            return None
        bits = sum((np.broadcast_to(part.sizes, self.cases) for part in self.sources), np.zeros(self.cases))
        order = [int(s) for s in np.argsort(bits, kind="stable") if self.shares[s] > 0]
        reached = itertools.accumulate(self.shares[s] for s in order)
        at_least = self.targets.quantile * (1.0 - 1e-12)
        return next((s for s, share in zip(order, reached, strict=True) if share >= at_least), order[-1])

    @cached_property
    def worked_out(self) -> dict[object, Any]:
        """What operators make of the graph, kept because a solve asks for it many times (`qopt.placement.terms`)."""
        return {}

    @cached_property
    def floors(self) -> tuple[int, ...]:
        """(n,) lowest tier to which the raw inputs that an operation is made of let it."""
        graph = self.graph
        found = [0] * len(graph)
        for part, birth in zip(self.sources, self.births, strict=True):
            for name in part.readers:
                found[graph.place[name]] = max(found[graph.place[name]], birth)
        if any(found):
            for t in sorted(range(len(graph.tensors)), key=lambda t: graph.writes[t]):  # producers in order
                for reader in graph.reads[t]:
                    found[reader] = max(found[reader], found[graph.writes[t]])
        return tuple(found)

    @cached_property
    def allowed(self) -> BoolArray:
        """(n, tiers) where each operation may run by its pins, the inputs' births and their privacy."""
        tiers = self.tier_names
        allowed: BoolArray = np.array(self.floors)[:, None] <= np.arange(len(tiers))
        for name, pinned in self.pins.items():
            allowed[self.graph.place[name]] &= [tier in pinned for tier in tiers]
        for part, birth in zip(self.sources, self.births, strict=True):
            if part.private:
                readers = [self.graph.place[name] for name in part.readers]
                allowed[readers] &= np.arange(len(tiers)) == birth
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
