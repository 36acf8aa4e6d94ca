"""Profiles of one network, a file for each machine and operator, as one placement problem.

Times are those that were measured, by operation, tier, operator and size of the input; none is made of another. An
operator that was not measured on a tier does not run there. What the files do not say (links, memory, power, targets)
is for the caller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, shown
from qopt.placement.problem import Placement
from qopt.placement.profile import Profile

BITS = 8.0
"""Bits of a byte."""

DESCRIPTION = "Times are medians of runs on every machine; nothing is scaled from another."
SHARES = " Operations have their shares of the whole as it is deployed."


def merge(
    profiles: Mapping[str, Profile],
    links: Sequence[Mapping[str, Any]],
    *,
    mixtures: Sequence[Mapping[str, str]] = (),
    shares: Sequence[float] | None = None,
    output_tier: str | None = None,
    deployed: bool = False,
) -> Placement:
    """A placement of the network that some profiles are of.

    Tiers stand in the order in which they first come. Pre- and post-processing that stays with the input or with the
    result is pinned there; what the last of these read returns as an output, link by link, since data only moves up.

    Parameters
    ----------
    profiles : by the names of their files, which errors name.
    links : fields of each link, from the first tier up.
    mixtures : operators of tiers, by tier, for each mixture; called by these operators. Its accuracy is taken to be the
        least of theirs.
    shares : how often each size of the input comes; default equally often.
    output_tier : the tier that wants the results; default the first, where the input is born.
    deployed : whether operations' times are taken to the whole as it is deployed (`Profile.as_deployed`).

    Raises
    ------
    InputError
        No profile, profiles of different files, or what does not fit together: a tier or an operator twice.
    """
    files = _Files({name: own.as_deployed() for name, own in profiles.items()} if deployed else profiles)
    tiers = files.tiers
    if len(links) != len(tiers) - 1:
        found = f"{len(links)} link{'' if len(links) == 1 else 's'} for the tiers {', '.join(tiers)}"
        raise InputError("link", found, f"{len(tiers) - 1}, one for each pair of neighbouring tiers, as in 200e6,1e6")
    goal = tiers[0] if output_tier is None else output_tier
    if goal not in tiers:
        raise InputError("output_tier", shown(goal), ", ".join(tiers))
    network = _Network(files, goal)
    inputs = network.inputs(shares)
    data: dict[str, Any] = {
        "name": files.first.name,
        "description": DESCRIPTION + (SHARES if deployed else ""),
        "source": ", ".join(f"{name}: {p.operator} on {p.tier}" for name, p in profiles.items()),
        "graph": network.graph(),
        "outputs": network.outputs(),
        "tiers": [{"name": tier} for tier in tiers],
        "links": list(links),
        "operators": [*(network.operator(name) for name in files.operators), *_mixtures(files, mixtures)],
        "pins": network.pins(),
    }
    data |= {"input": inputs[0]} if len(inputs) == 1 else {"inputs": inputs}
    return Placement(**data)


class _Files:
    """Profiles that belong together."""

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        if not profiles:
            raise InputError("profiles", "none", "a profile of every machine")
        self.all = dict(profiles)
        first_file, self.first = next(iter(self.all.items()))
        self.tiers = list(dict.fromkeys(p.tier for p in self.all.values()))
        self.operators = list(dict.fromkeys(p.operator for p in self.all.values()))
        self.of: dict[tuple[str, str], Profile] = {}
        for file, profile in self.all.items():
            key = (profile.operator, profile.tier)
            if key in self.of:
                raise InputError(file, f"{key[0]} on {key[1]} a second time", "each operator once on each tier")
            self.of[key] = profile
            self._check_same(first_file, file, profile)
            one = self.one(profile.operator)
            if one.skips != profile.skips:
                found = f"{profile.operator} on {profile.tier} skips other operations than on {one.tier}"
                raise InputError(file, found, "profiles of one operator's network")

    def _check_same(self, first_file: str, file: str, profile: Profile) -> None:
        """Refuse a profile of another network, or of other sizes of its input."""
        mine, other = (p.base or p.source for p in (self.first, profile))
        if mine.fingerprint != other.fingerprint:
            found = f"a profile of {other.file} ({other.fingerprint[:12]}…)"
            raise InputError(file, found, f"one of {mine.file} ({mine.fingerprint[:12]}…), as {first_file}")
        if self.first.structure != profile.structure:
            found = "other operations, tensors or sizes of the input"
            raise InputError(file, found, f"those of {first_file}: profile all machines alike")

    def one(self, operator: str) -> Profile:
        """The first profile of an operator: sizes and weights are the same in all."""
        return next(p for (name, _), p in self.of.items() if name == operator)


class _Network:
    """The operations, tensors and weights that all profiles list."""

    def __init__(self, files: _Files, goal: str) -> None:
        self.files, self.goal = files, goal
        self.first = files.first
        self.names = [own.name for own in self.first.operations]
        self.after = {own.name for own in self.first.operations if own.stays == "output"}
        self.writer = {name: own.name for own in self.first.operations for name in own.writes}
        self.readers: dict[str, list[str]] = {}
        for own in self.first.operations:
            for name in dict.fromkeys(own.reads):
                if own.name not in self.after or self._comes_along(name):
                    self.readers.setdefault(name, []).append(own.name)
        self.tensors = [t.name for t in self.first.tensors if t.name in self.writer and t.name in self.readers]
        groups = {o: _groups(files.one(o)) for o in files.operators}
        self.groups = list(dict.fromkeys(key for found in groups.values() for key in found))
        self.bytes = groups

    def _comes_along(self, tensor: str) -> bool:
        """Whether what an operation reads that stays with the result is written where it runs."""
        writer = self.writer.get(tensor)
        return self.goal == self.files.tiers[0] if writer is None else writer in self.after

    def graph(self) -> dict[str, Any]:
        """The fields of the graph."""
        size = dict(zip(self.tensors, self._mean_bits(self.first), strict=True))
        shared = self.bytes[self.first.operator]
        return {
            "operations": self.names,
            "work": [0.0] * len(self.names),
            "weights": self._weights(self.first),
            "tensors": [
                {"producer": self.writer[name], "readers": self.readers[name], "size": size[name]}
                for name in self.tensors
            ],
            "together": self._together(),
            "shared": [{"operations": list(key), "size": shared.get(key, 0.0)} for key in self.groups],
        }

    def _together(self) -> list[list[str]]:
        """Operations that some machine runs as one; groups that overlap are one."""
        found: list[set[str]] = []
        for profile in self.files.all.values():
            for group in profile.together:
                joined = {*group}
                for other in [other for other in found if other & joined]:
                    joined |= other
                    found.remove(other)
                found.append(joined)
        place = {name: i for i, name in enumerate(self.names)}
        return [sorted(group, key=place.__getitem__) for group in found if len(group) > 1]

    def inputs(self, shares: Sequence[float] | None) -> list[dict[str, Any]]:
        """The raw inputs that something reads, their sizes those of the first profile."""
        bits = {t.name: (t.bytes * BITS).tolist() for t in self.first.tensors}
        there = [name for name in self.first.inputs if name in self.readers]
        if not there:
            raise InputError("profiles", "no operation that reads an input", "a network with an input")
        count = len(self.first.sizes)
        if shares is not None and len(shares) != count:
            raise InputError("shares", f"{len(shares)} entries", f"{count}, one for each size of the input")
        given = None if shares is None else list(shares)
        return [{"sizes": bits[name], "readers": self.readers[name], "shares": given} for name in there]

    def outputs(self) -> list[dict[str, Any]]:
        """What returns: the results, and what operations read that stay with them."""
        back = [name for name in self.first.outputs if self.writer.get(name) not in self.after]
        for own in self.first.operations:
            if own.name in self.after:
                back += [name for name in own.reads if not self._comes_along(name)]
        found = []
        for name in dict.fromkeys(back):
            writer = self.writer.get(name)
            if writer is not None:
                found.append({"operation": writer, "size": self._returned(name), "tier": self.goal})
            elif self.goal != self.files.tiers[0]:
                raise InputError("output_tier", f"{self.goal}, with {name}, an input, as a result", self.files.tiers[0])
        return found

    def _returned(self, name: str) -> float:
        """Mean bits of a result, of the operator under which they are most."""
        sizes = []
        for operator in self.files.operators:
            (of,) = (t.bytes for t in self.files.one(operator).tensors if t.name == name)
            sizes.append(BITS * float(of.mean()))
        return max(sizes)

    def pins(self) -> dict[str, list[str]]:
        """Operations that stay with the input, or with the result."""
        where = {"input": self.files.tiers[0], "output": self.goal}
        return {own.name: [where[own.stays]] for own in self.first.operations if own.stays is not None}

    def operator(self, name: str) -> dict[str, Any]:
        """The fields of an operator: a table of times, and bits, for each size of the input."""
        one = self.files.one(name)
        count = len(one.sizes)
        times, bits = self._times(name), self._bits(one)
        there = [tier for tier in self.files.tiers if (name, tier) in self.files.of]
        return {
            "name": name,
            "accuracy": 1.0 if one.accuracy is None else one.accuracy,
            "skips": list(one.skips),
            "weights": self._weights(one),
            "shared": [self.bytes[name].get(key, 0.0) for key in self.groups],
            "on": [] if len(there) == len(self.files.tiers) else there,
            **({"time": times[0], "tensors": bits[0]} if count == 1 else {"time_at": times, "tensors_at": bits}),
        }

    def _times(self, operator: str) -> list[FloatArray]:
        """(operations, tiers) seconds at each size; 0 on tiers where it does not run, and for what it skips."""
        tables = [np.zeros((len(self.names), len(self.files.tiers))) for _ in self.first.sizes]
        for k, tier in enumerate(self.files.tiers):
            profile = self.files.of.get((operator, tier))
            for v, own in enumerate(profile.operations if profile is not None else ()):
                for s, table in enumerate(tables):
                    table[v, k] = 0.0 if own.time is None else own.time.seconds[s]
        return tables

    def _bits(self, profile: Profile) -> list[list[float]]:
        """Bits of the tensors at each size."""
        of = {t.name: t.bytes * BITS for t in profile.tensors}
        return [[float(of[name][s]) for name in self.tensors] for s in range(len(profile.sizes))]

    def _mean_bits(self, profile: Profile) -> list[float]:
        return [math.fsum(column) / len(profile.sizes) for column in zip(*self._bits(profile), strict=True)]

    def _weights(self, profile: Profile) -> list[float]:
        """Bytes that each operation holds alone."""
        size = {weight.name: float(weight.bytes) for weight in profile.weights}
        holders = _holders(profile)
        return [sum(size[w] for w in {*own.weights} if len(holders[w]) == 1) for own in profile.operations]


def _holders(profile: Profile) -> dict[str, tuple[str, ...]]:
    """Operations that hold each weight."""
    found: dict[str, tuple[str, ...]] = {}
    for own in profile.operations:
        for weight in dict.fromkeys(own.weights):
            found[weight] = (*found.get(weight, ()), own.name)
    return found


def _groups(profile: Profile) -> dict[tuple[str, ...], float]:
    """Bytes that several operations hold together, by these operations."""
    size = {weight.name: float(weight.bytes) for weight in profile.weights}
    found: dict[tuple[str, ...], float] = {}
    for weight, nodes in _holders(profile).items():
        if len(nodes) > 1:
            found[nodes] = found.get(nodes, 0.0) + size[weight]
    return found


def _mixtures(files: _Files, mixtures: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The fields of operators that treat tiers in different ways."""
    found = []
    for mixture in mixtures:
        for tier in files.tiers:
            if tier not in mixture:
                raise InputError("mix", f"no operator for {shown(tier)}", "an operator for every tier")
        for tier, operator in mixture.items():
            if tier not in files.tiers:
                raise InputError("mix", shown(tier), ", ".join(files.tiers))
            if (operator, tier) not in files.of:
                known = ", ".join(name for name, at in files.of if at == tier)
                raise InputError("mix", f"{shown(operator)} on {tier}", f"an operator measured there: {known}")
        parts = [files.one(mixture[tier]) for tier in files.tiers]
        accuracy = min(1.0 if part.accuracy is None else part.accuracy for part in parts)
        name = "-".join(part.operator for part in parts)
        found.append({"name": name, "accuracy": accuracy, "skips": list(parts[0].skips), "tiers": dict(mixture)})
    return found
