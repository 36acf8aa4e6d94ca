"""A kernel's proof in VIPR, a format that checkers of others read: small trees of Lagrangian leaves, and flows.

K. K. H. Cheung, A. Gleixner and D. E. Steffy, Verifying integer programming results, IPCO 2017; version 1.0 of the
format. The integer program has a variable for each column, arc, or node and label, and only whole numbers: costs and
weights are divided by what they are all multiples of. Then

    split   the named variables sum up to 1 or more, or to 0 or less: two assumptions (``asm``), joined again (``uns``)
    leaf    a linear combination (``lin``) of the rows, rounded up (``rnd``) where costs are whole
    flow    one linear combination

Leaves that are made of sums or labels are no linear combinations: they have no translation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from qopt.core.errors import InputError
from qopt.kernels import checker

MAX_NODES = 10_000
"""Nodes of a tree that are translated: each leaf names every variable."""

Sparse = dict[int, int | Fraction]
Terms = list[tuple[int, Fraction]]


def vipr(instance: Mapping[str, Any], witness: Mapping[str, Any], gap: float = checker.GAP) -> str:
    """The text of a VIPR file with the claim of a witness.

    Parameters
    ----------
    instance, witness : of a kernel, as `qopt.kernels.exchange` writes them.
    gap : share of the answer's cost by which something may be cheaper.

    Raises
    ------
    InputError
        The checker refuses the witness; or it has leaves that have no translation, too many nodes, or a graph with
        cycles.
    """
    verdict = checker.check(dict(instance), dict(witness), gap)
    if not verdict.accepted:
        raise InputError("witness", verdict.reason, "a witness that the checker accepts")
    if verdict.objective is None and witness.get("below") is not None:
        raise InputError("witness", "a claim without an answer", "an answer, or the claim that there is none")
    share = Fraction(gap) if witness.get("gap") is None else max(Fraction(witness["gap"]), Fraction(min(gap, 1e-9)))
    if instance["kind"] == "cut":
        return _cut(instance, witness, verdict, share)
    others = sorted({str(node[0]) for node in witness["tree"]} & {"sums", "labels", "rounded"})
    if others:
        raise InputError("tree", f"leaves of kind {', '.join(others)}", "splits and Lagrangian leaves alone")
    if len(witness["tree"]) > MAX_NODES:
        raise InputError("tree", f"{len(witness['tree'])} nodes", f"at most {MAX_NODES}")
    return _Tree(dict(instance), witness, verdict, share).text()


class _File:
    """An integer program and derivations: binary variables, rows, and what follows from them."""

    def __init__(self, names: list[str], cost: Sparse) -> None:
        self.names, self.cost = names, cost
        self.rows: list[str] = []
        self.derived: list[str] = []
        self.nonnegative: list[int] = []

    def row(self, sense: str, right: int | Fraction, terms: Sparse) -> int:
        """One more row; its number."""
        self.rows.append(f"C{len(self.rows)} {sense} {right} {_sparse(terms)}")
        return len(self.rows) - 1

    def bounds(self) -> None:
        """Variables are not negative: the last rows."""
        self.nonnegative = [self.row("G", 0, {x: 1}) for x in range(len(self.names))]

    def derive(self, sense: str, right: int | Fraction, terms: Sparse | None, reason: str) -> int:
        """One more derivation; `terms` None for the objective."""
        left = "OBJ" if terms is None else _sparse(terms)
        number = len(self.rows) + len(self.derived)
        self.derived.append(f"D{number} {sense} {right} {left} {{ {reason} }} -1")
        return number

    def lin(self, sense: str, right: int | Fraction, terms: Sparse | None, used: Terms) -> int:
        """A linear combination of rows and derivations."""
        parts = [(at, factor) for at, factor in used if factor]
        listed = " ".join(f"{at} {factor}" for at, factor in parts)
        return self.derive(sense, right, terms, f"lin {len(parts)} {listed}".strip())

    def text(self, lower: int | Fraction | None, upper: int | None, solution: Sequence[int]) -> str:
        """The file; lower None: nothing is feasible."""
        lines = ["VER 1.0", f"VAR {len(self.names)}", *self.names, f"INT {len(self.names)}"]
        lines += [" ".join(map(str, range(len(self.names)))), "OBJ min", _sparse(self.cost)]
        lines += [f"CON {len(self.rows)} {len(self.nonnegative)}", *self.rows]
        lines.append("RTP infeas" if lower is None else f"RTP range {lower} {upper}")
        lines.append(f"SOL {0 if lower is None else 1}")
        if lower is not None:
            lines.append(f"best {_sparse(dict.fromkeys(solution, 1))}")
        return "\n".join([*lines, f"DER {len(self.derived)}", *self.derived]) + "\n"


def _sparse(terms: Mapping[int, int | Fraction]) -> str:
    kept = [(x, a) for x, a in sorted(terms.items()) if a]
    return " ".join([str(len(kept)), *(f"{x} {a}" for x, a in kept)])


class _Tree:
    """A knapsack or a path with its tree."""

    def __init__(
        self, instance: dict[str, Any], witness: Mapping[str, Any], verdict: checker.Verdict, gap: Fraction
    ) -> None:
        self.witness, self.verdict = witness, verdict
        made: Any = checker.KINDS[instance["kind"]][0](instance)
        self.problem = made
        self.problem.reset()
        self.is_path = instance["kind"] == "rcsp"
        if self.is_path and self.problem.cyclic:
            raise InputError("instance", "a graph with cycles", "one without: cycles apart from a path are flows too")
        cost = self.problem.cost
        starts = [] if self.is_path else self.problem.starts
        self.span = list(pairwise(starts))
        base = [0] * len(cost.values)
        for a, b in self.span:
            base[a:b] = [cost.values[a]] * (b - a)
        self.cost = [(c - b) // cost.step for c, b in zip(cost.values, base, strict=True)]
        self.base = cost.base
        self.rows = [(row.values, limit) for row, limit in self.problem.rows]
        present = self.problem.everything if self.is_path else bytes([1]) * len(self.cost)
        self.columns = [x for x in range(len(self.cost)) if present[x]]
        self.number = {x: at for at, x in enumerate(self.columns)}
        self.file = _File([f"x{x}" for x in self.columns], {at: self.cost[x] for at, x in enumerate(self.columns)})
        self.needed: int | None = None
        if verdict.objective is not None:
            least = checker._needed(verdict.objective * (1 << cost.shift), gap)
            self.needed = (cost.up(least, cost.shift) - self.base) // cost.step
        self._model()

    def _terms(self, columns: Sequence[int], values: Sequence[int] | None = None) -> Sparse:
        return {self.number[x]: 1 if values is None else values[x] for x in columns if x in self.number}

    def _model(self) -> None:
        file, problem = self.file, self.problem
        if self.is_path:
            self.vertices = sorted(
                {*(problem.tails[x] for x in self.columns), problem.source, problem.target}
                | {problem.heads[x] for x in self.columns}
            )
            self.flow = {}
            for v in self.vertices:
                terms: Sparse = {}
                for x in self.columns:
                    if v in (problem.tails[x], problem.heads[x]):
                        terms[self.number[x]] = 1 if problem.tails[x] == v else -1
                right = (v == problem.source) - (v == problem.target)
                self.flow[v] = file.row("E", right, terms)
            order: dict[int, int] = {}
            for x in self.columns:  # tails come in an order in which arcs lead on
                order.setdefault(problem.tails[x], len(order))
            self.rank = {v: order.get(v, len(order)) for v in self.vertices}
        else:
            self.classes = [file.row("E", 1, self._terms(range(a, b))) for a, b in self.span]
        self.limits = [
            None if limit is None else file.row("L", limit, self._terms(self.columns, values))
            for values, limit in self.rows
        ]
        file.bounds()

    def _group(self, node: Sequence[Any]) -> tuple[int, list[int], list[int]]:
        """The row of a sum that is 1, its columns, and those that a split names."""
        problem = self.problem
        if not self.is_path:
            a, b = self.span[node[1]]
            return self.classes[node[1]], list(range(a, b)), [a + c for c in node[2]]
        v = node[1]
        if node[0] == "out":
            inside = {u for u in self.vertices if self.rank[u] <= self.rank[v]}
        else:
            inside = {u for u in self.vertices if u <= v}
        crossing = [x for x in self.columns if problem.tails[x] in inside and problem.heads[x] not in inside]
        used: Terms = [(self.flow[u], Fraction(1)) for u in self.vertices if u in inside]
        row = self.file.lin("E", 1, self._terms(crossing), used)
        return row, crossing, [problem.place[k] for k in node[2]]

    def text(self) -> str:
        """The file."""
        nodes = iter(self.witness["tree"])
        # Of each split: the node of its first side or None, and the two assumptions.
        around: list[tuple[int | None, int, int, list[int]]] = []
        closed: list[tuple[int, set[int]]] = []  # what is excluded by derivations here
        for node in nodes:
            if node[0] != "leaf":
                row, group, named = self._group(node)
                some = self.file.derive("G", 1, self._terms(named), "asm")
                none = self.file.derive("L", 0, self._terms(named), "asm")
                rest = [x for x in group if x not in set(named)]
                excluded = self.file.lin("L", 0, self._terms(rest), [(row, Fraction(1)), (some, Fraction(-1))])
                around.append((None, some, none, named))
                closed.append((excluded, set(rest)))
                continue
            done = self._leaf(node, closed)
            while around and around[-1][0] is not None:
                first, some, none, _ = around.pop()
                closed.pop()
                reason = f"uns {first} {some} {done} {none}"
                done = self.file.derive(
                    "G", 1 if self.needed is None else self.needed, {} if self.needed is None else None, reason
                )
            if around:
                _, some, none, named = around.pop()
                closed.pop()
                around.append((done, some, none, named))
                closed.append((none, set(named)))
        answer = self.witness["path" if self.is_path else "choice"]
        chosen = [] if answer is None else [self.number[x] for x in self.problem.answer(answer)]
        upper = sum(int(self.file.cost[x]) for x in chosen)
        return self.file.text(self.needed, upper, chosen)

    def _leaf(self, node: Sequence[Any], closed: list[tuple[int, set[int]]]) -> int:
        """The derivation of a leaf: a bound on the objective, or a falsehood."""
        scale, lam = int(node[1]), [Fraction(x) for x in node[2:]]
        if self.needed is None and scale:  # accepted, so that it holds no path at all: no numbers are needed
            scale, lam = 0, [Fraction(0)] * len(lam)
        # The cost of a unit here is the step of the instance's.
        cost = self.problem.cost
        shifts = [row.shift for row, _ in self.problem.rows]
        unit = Fraction(cost.step, 1 << cost.shift)
        lam = [x / (1 << shift) / unit for x, shift in zip(lam, shifts, strict=True)]
        length = {}
        for x in self.columns:
            priced = sum((m * values[x] for m, (values, _) in zip(lam, self.rows, strict=True)), Fraction(0))
            length[x] = scale * Fraction(self.cost[x]) + priced
        out = set[int]().union(*(gone for _, gone in closed))
        used: Terms = [(at, -m) for m, at in zip(lam, self.limits, strict=True) if at is not None]
        bound = -sum(
            (m * limit for m, (_, limit) in zip(lam, self.rows, strict=True) if limit is not None), Fraction(0)
        )
        reduced = dict(length)
        if self.is_path:
            far = 2 * sum(map(abs, length.values()), Fraction(0)) + abs(bound) + abs(self.needed or 0) + 1
            rest = dict.fromkeys(self.vertices, far)
            rest[self.problem.target] = Fraction(0)
            for x in reversed(self.columns):
                tail, head = self.problem.tails[x], self.problem.heads[x]
                if x not in out and length[x] + rest[head] < rest[tail]:
                    rest[tail] = length[x] + rest[head]
            used += [(self.flow[v], rest[v]) for v in self.vertices]
            bound += rest[self.problem.source] - rest[self.problem.target]
            for x in self.columns:
                reduced[x] += rest[self.problem.heads[x]] - rest[self.problem.tails[x]]
        else:
            for at, (a, b) in zip(self.classes, self.span, strict=True):
                least = min(length[x] for x in range(a, b) if x not in out)
                used.append((at, least))
                bound += least
                for x in range(a, b):
                    reduced[x] -= least
        for row, gone in closed:  # what is excluded may pay: it is charged for
            short = max((-reduced[x] for x in gone if x in reduced), default=Fraction(0))
            if short > 0:
                used.append((row, -short))
                for x in gone:
                    if x in reduced:
                        reduced[x] += short
        used += [(self.file.nonnegative[self.number[x]], reduced[x]) for x in self.columns]
        if not scale:
            return self.file.lin("G", bound, {}, used)
        found = self.file.lin("G", bound, None, used)
        if self.needed is not None and bound < self.needed:
            found = self.file.derive("G", math.ceil(bound), None, f"rnd 1 {found} 1")
        return found


def _cut(instance: Mapping[str, Any], witness: Mapping[str, Any], verdict: checker.Verdict, gap: Fraction) -> str:
    """A minimum cut with its flow; variables say which label a node has, and which links of a tensor are crossed."""
    problem: Any = checker.KINDS["cut"][0](dict(instance))
    counts = verdict.objective is not None
    labels, unit = problem.labels, 1 << problem.shift
    names: list[str] = []
    cost: Sparse = {}
    at: dict[tuple[int, int], int] = {}
    for v, row in enumerate(problem.unary):
        for label, x in enumerate(row):
            if x is not None:
                at[v, label] = len(names)
                cost[len(names)] = int(Fraction(x) * unit)
                names.append(f"z{v}_{label}")
    crossed = {}
    for t, (_, _, weights) in enumerate(problem.tensors):
        for link, x in enumerate(weights):
            if x is not None:
                crossed[t, link] = len(names)
                cost[len(names)] = int(Fraction(x) * unit)
                names.append(f"y{t}_{link}")
    file = _File(names, cost)
    one = [
        file.row("E", 1, {at[v, label]: 1 for label in range(labels) if (v, label) in at})
        for v in range(len(problem.unary))
    ]
    above: dict[tuple[int, int, int], int] = {}
    paid: dict[tuple[int, int, int], int] = {}
    for t, (producer, readers, _) in enumerate(problem.tensors):
        for link in range(labels - 1):
            for j, reader in enumerate(readers):
                terms: Sparse = {}
                for label in range(link + 1, labels):
                    for v, sign in ((reader, 1), (producer, -1)):
                        if (v, label) in at:
                            terms[at[v, label]] = terms.get(at[v, label], 0) + sign
                above[t, link, j] = file.row("G", 0, terms)
                more = {x: -a for x, a in terms.items()}
                if (t, link) in crossed:
                    more[crossed[t, link]] = 1
                paid[t, link, j] = file.row("G", 0, more)
    file.bounds()
    used: Terms = []
    left: dict[int, Fraction] = {x: Fraction(c if counts else 0) for x, c in cost.items()}
    for t, link, j, amount in witness["flow"]:
        value = Fraction(amount) * unit
        producer, readers, _ = problem.tensors[t]
        used.append((paid[t, link, j], value) if value > 0 else (above[t, link, j], -value))
        for label in range(link + 1, labels):
            for v, sign in ((readers[j], 1), (producer, -1)):
                if (v, label) in at:
                    left[at[v, label]] += sign * value
        if value > 0 and (t, link) in crossed:
            left[crossed[t, link]] -= value
    bound = Fraction(0)
    for v, row in enumerate(one):
        own = [at[v, label] for label in range(labels) if (v, label) in at]
        least = min((left[x] for x in own), default=Fraction(1))
        used.append((row, least))
        bound += least
        for x in own:
            left[x] -= least
    used += [(file.nonnegative[x], left[x]) for x in range(len(names))]
    if not counts:
        file.lin("G", bound, {}, used)
        return file.text(None, None, [])
    found = file.lin("G", bound, None, used)
    if bound.denominator > 1:
        file.derive("G", math.ceil(bound), None, f"rnd 1 {found} 1")
    chosen = [at[v, label] for v, label in enumerate(witness["labels"])]
    for t, (producer, readers, _) in enumerate(problem.tensors):
        ends = [witness["labels"][v] for v in (producer, *readers)]
        chosen += [crossed[t, link] for link in range(ends[0], max(ends))]
    assert verdict.objective is not None
    needed = (
        math.ceil(verdict.objective * unit * (1 - gap))
        if verdict.objective >= 0
        else math.ceil(verdict.objective * unit * (1 + gap))
    )
    return file.text(needed, sum(int(cost[x]) for x in chosen), chosen)
