"""What a placement costs and keeps, from the definitions alone, and the best of all: a second reading of every field.

Nothing here asks `qopt.placement` for a sum: problems are read as the plain data of their files.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from qopt.core.limits import within
from qopt.placement.problem import Placement

Data = dict[str, Any]


class Reading:
    """One operator of a problem, by names and numbers of a file."""

    def __init__(self, problem: Placement, operator: str) -> None:
        self.data: Data = problem.model_dump()
        self.graph: Data = self.data["graph"]
        self.of: Data = {o["name"]: o for o in self.data["operators"]}
        self.operator: Data = self.of[operator]
        self.tiers: list[Data] = list(self.data["tiers"])
        self.names = [tier["name"] for tier in self.tiers]
        self.operations: list[str] = list(self.graph["operations"])
        self.kept = [name for name in self.operations if name not in self.operator["skips"]]
        self.inputs: list[Data] = [self.data["input"]] if self.data["input"] else list(self.data["inputs"])
        self.outputs: list[Data] = [self.data["output"]] if self.data["output"] else list(self.data["outputs"])
        self.cases = max(len(part["sizes"]) for part in self.inputs)
        given = [part["shares"] for part in self.inputs if part["shares"] is not None]
        shares = [float(x) for x in given[0]] if given else [1.0] * self.cases
        self.shares = [x / math.fsum(shares) for x in shares]
        self.readers = self._readers()

    def _readers(self) -> dict[tuple[str, int], list[str]]:
        """Who reads each tensor, and each input, once what is skipped passes on what it reads."""
        found = {("tensor", t): list(tensor["readers"]) for t, tensor in enumerate(self.graph["tensors"])}
        found |= {("input", i): list(part["readers"]) for i, part in enumerate(self.inputs)}
        for name in reversed([name for name in self.operations if name in self.operator["skips"]]):
            behind = {
                reader
                for t, tensor in enumerate(self.graph["tensors"])
                if tensor["producer"] == name
                for reader in found["tensor", t]
            }
            for readers in found.values():
                if name in readers:
                    readers[:] = sorted({*readers} - {name} | behind, key=self.operations.index)
        return found

    def treats(self, name: str | None, tier: str) -> Data:
        """The operator that treats an operation on a tier; of None what belongs to no single one."""
        if not self.operator["tiers"]:
            return self.operator
        return self.of[self.operator["operations"].get(name) or self.operator["tiers"][tier]]

    def seconds(self, name: str, tier: str, case: int) -> float:
        """Time of an operation on a tier at a size of the input."""
        part, v, k = self.treats(name, tier), self.operations.index(name), self.names.index(tier)
        if part["time_at"] is not None:
            return float(part["time_at"][case][v][k])
        if part["time"] is not None:
            return float(part["time"][v][k])
        if name in self.graph["time"]:
            return float(self.graph["time"][name][k])
        speed = self.tiers[k]["speed"] if part["speeds"] is None else part["speeds"][k]
        return float(self.graph["work"][v]) / float(speed)

    def bits(self, t: int, tier: str, case: int) -> float:
        """Size of a tensor that is written on a tier."""
        part, tensor = self.treats(self.graph["tensors"][t]["producer"], tier), self.graph["tensors"][t]
        if part["tensors_at"] is not None:
            return float(part["tensors_at"][case][t])
        return float(tensor["size"] * part["tensor_factor"] if part["tensors"] is None else part["tensors"][t])

    def keeps_order(self, at: dict[str, str]) -> bool:
        """Pins, births, privacy, groups and the order of data."""
        rank = self.names.index
        for name, tier in at.items():
            for part in (self.operator, self.treats(name, tier)):
                if part["on"] and tier not in part["on"]:
                    return False
        for name, tiers in self.data["pins"].items():
            if name in at and at[name] not in tiers:
                return False
        for i, part in enumerate(self.inputs):
            birth = rank(part["tier"]) if part["tier"] else 0
            for reader in self.readers["input", i]:
                if rank(at[reader]) < birth or (part["private"] and rank(at[reader]) != birth):
                    return False
        for t, tensor in enumerate(self.graph["tensors"]):
            if tensor["producer"] in at and any(
                rank(at[r]) < rank(at[tensor["producer"]]) for r in self.readers["tensor", t]
            ):
                return False
        return all(len({at[name] for name in group if name in at}) <= 1 for group in self.graph["together"])

    def crossing(self, at: dict[str, str], case: int) -> list[tuple[int, float]]:
        """Every link that every tensor crosses, and its bits there."""
        rank, found = self.names.index, []
        for (kind, t), readers in self.readers.items():
            if not readers:
                continue
            if kind == "input":
                part = self.inputs[t]
                low = rank(part["tier"]) if part["tier"] else 0
                size = float(part["sizes"][case if len(part["sizes"]) > 1 else 0])
            elif self.graph["tensors"][t]["producer"] not in at:
                continue
            else:
                tier = at[self.graph["tensors"][t]["producer"]]
                low, size = rank(tier), self.bits(t, tier, case)
            found += [(link, size) for link in range(low, max(rank(at[r]) for r in readers))]
        return found

    def costs(self, at: dict[str, str], case: int) -> tuple[float, float, float]:
        """Latency, energy and price at one size of the input."""
        rank = self.names.index
        latency, energy, price = [0.0], [0.0], [0.0]
        for name, tier in at.items():
            spent, where = self.seconds(name, tier, case), self.tiers[rank(tier)]
            latency.append(spent)
            energy.append(spent * where["power"])
            price.append(spent * where["price"])
        sent = [(link, bits, self.data["links"][link]["rate"]) for link, bits in self.crossing(at, case)]
        forward = len(sent)
        for output in self.outputs:
            start, goal = rank(at[output["operation"]]), rank(output["tier"])
            for link in range(min(start, goal), max(start, goal)):
                there = self.data["links"][link]
                down = there["rate"] if there["down_rate"] is None else there["down_rate"]
                sent.append((link, output["size"], down if start > goal else there["rate"]))
        birth = min(rank(part["tier"]) if part["tier"] else 0 for part in self.inputs)
        messages = [link for link in range(birth, len(self.data["links"])) if any(rank(k) > link for k in at.values())]
        messages += [link for link, _, _ in sent[forward:]]
        latency += [self.data["links"][link]["latency"] for link in messages]
        for link, bits, rate in sent:
            there = self.data["links"][link]
            latency.append(there["overhead"] * bits / rate)
            energy.append(there["energy"] * there["overhead"] * bits)
            price.append(there["price"] * there["overhead"] * bits)
        return math.fsum(latency), math.fsum(energy), math.fsum(price)

    def held(self, at: dict[str, str], tier: str) -> float:
        """Bytes that a tier must hold: weights, and what is alive at the worst step where it holds tensors."""
        rank, k = self.names.index, self.names.index(tier)
        stored = []
        for name in (name for name, place in at.items() if place == tier):
            part, v = self.treats(name, tier), self.operations.index(name)
            own = self.graph["weights"][v] * part["weight_factor"] if part["weights"] is None else part["weights"][v]
            stored.append(float(own))
        for g, group in enumerate(self.graph["shared"]):
            if any(at.get(name) == tier for name in group["operations"]):
                part = self.treats(None, tier)
                stored.append(group["size"] * part["weight_factor"] if part["shared"] is None else part["shared"][g])
        if not self.tiers[k]["activations"]:
            return math.fsum(stored)
        most = 0.0
        for step, name in enumerate(self.kept):
            now = []
            if at[name] == tier and self.graph["scratch"] is not None:
                now.append(float(self.graph["scratch"][self.operations.index(name)]))
            for (kind, t), readers in self.readers.items():
                producer = None if kind == "input" else self.graph["tensors"][t]["producer"]
                if not readers or (producer is not None and producer not in at):
                    continue
                begin = 0 if producer is None else self.kept.index(producer)
                low = (self.inputs[t]["tier"] or self.names[0]) if producer is None else at[producer]
                if not begin <= step <= max(self.kept.index(r) for r in readers):
                    continue
                if rank(low) <= k <= max(rank(at[r]) for r in readers):
                    if producer is None:
                        size = max(float(x) for x in self.inputs[t]["sizes"])
                    else:
                        size = max(self.bits(t, on, case) for on in self.names for case in range(self.cases))
                    now.append(size / 8.0)
            most = max(most, math.fsum(now))
        return math.fsum([*stored, most])

    def objective(self, at: dict[str, str]) -> float:
        """Weighted mean over the sizes of the input."""
        w = self.data["objective"]
        costs = [self.costs(at, case) for case in range(self.cases)]
        sums = [math.fsum(share * cost[i] for share, cost in zip(self.shares, costs, strict=True)) for i in range(3)]
        return float(w["time"] * sums[0] + w["energy"] * sums[1] + w["price"] * sums[2])

    def target(self, at: dict[str, str]) -> float:
        """The latency that a target is about."""
        quantile = self.data["targets"]["quantile"]
        if quantile is None:
            return math.fsum(share * self.costs(at, s)[0] for s, share in enumerate(self.shares))
        sizes = [[float(x) for x in part["sizes"]] for part in self.inputs]
        total = [sum(row[s if len(row) > 1 else 0] for row in sizes) for s in range(self.cases)]
        order = sorted((s for s in range(self.cases) if self.shares[s] > 0), key=lambda s: total[s])
        for i, s in enumerate(order):
            if math.fsum(self.shares[j] for j in order[: i + 1]) >= quantile - 1e-12:
                return self.costs(at, s)[0]
        return self.costs(at, order[-1])[0]

    def keeps(self, at: dict[str, str]) -> bool:
        """Memory of every tier, and the latency target."""
        for tier in self.tiers:
            if tier["memory"] is not None and not within([self.held(at, tier["name"])], tier["memory"]):
                return False
        limit = self.data["targets"]["latency"]
        return limit is None or within([self.target(at)], limit)


def best_of_all(problem: Placement) -> tuple[float, str, dict[str, str]] | None:
    """Least objective of all plans that keep everything, its operator and its tiers; None if there is none."""
    best: tuple[float, str, dict[str, str]] | None = None
    for operator in problem.operators:
        if operator.accuracy < problem.targets.accuracy:
            continue
        reading = Reading(problem, operator.name)
        for tiers in itertools.product(reading.names, repeat=len(reading.kept)):
            at = dict(zip(reading.kept, tiers, strict=True))
            if not reading.keeps_order(at):
                continue
            value = reading.objective(at)
            if (best is None or value < best[0]) and reading.keeps(at):
                best = (value, operator.name, at)
    return best
