"""Optimal placement against the study's equal-size halves: how much faster, proved by qopt.

python instances/placement/study/gains.py
"""

from __future__ import annotations

from collections.abc import Iterable

from data import HERE, SUBJECTS, read
from signs import NAMES, plan

import qopt
from qopt.core.reading import load
from qopt.placement.costs import breakdown
from qopt.placement.plan import PlacementPlan
from qopt.placement.problem import Placement

PAIRS = ("ME", "EC", "MC")


def problem(subject: str) -> Placement:
    """The instance of one subject."""
    found = load(HERE.parent / f"{subject}.json")
    assert isinstance(found, Placement)
    return found


def under(instance: Placement, letter: str) -> Placement:
    """The problem with one operator alone."""
    name = {o["letter"]: o["name"] for o in read("setup")["operators"]}[letter]
    return instance.replace({"operators": [instance.operator(name).model_dump()]})


def best_split(instance: Placement, letter: str, pair: str) -> tuple[float, PlacementPlan]:
    """The fastest placement on two tiers, the first operation on the first and the last on the last."""
    only = under(instance, letter)
    names, tiers = only.graph.operations, [NAMES[t] for t in pair]
    pins = dict.fromkeys(names, tiers) | {names[0]: tiers[:1], names[-1]: tiers[1:]}
    return solved(only.replace({"pins": pins}))


def solved(instance: Placement) -> tuple[float, PlacementPlan]:
    """Proved optimum: latency and plan."""
    answer = qopt.solve(instance)
    assert answer.status == "optimal", answer.status
    return answer.objective, answer.plan


def where(instance: Placement, chosen: PlacementPlan) -> str:
    """First operations of the parts on each tier, in words."""
    parts, before = [], ""
    for name in instance.graph.operations:
        tier = chosen.tiers.get(name, before)
        if tier != before:
            parts.append(tier if not before else f"{tier} from {name}")
            before = tier
    return ", ".join(parts)


def halves() -> list[str]:
    """Table: equal-size halves against the best halves on the same two tiers."""
    lines = [
        "| subject | operator | tiers | equal size [s] | best [s] | times faster | best cut |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for subject in SUBJECTS:
        instance = problem(subject)
        for letter in ("I", "QE"):
            for pair in PAIRS:
                equal = breakdown(instance, plan(instance, subject, f"{letter}@{pair}")).latency
                best, chosen = best_split(instance, letter, pair)
                lines.append(
                    f"| {subject} | {letter} | {pair} | {equal:.2f} | {best:.2f} | {equal / best:.2f} "
                    f"| {where(instance, chosen)} |"
                )
    return lines


def overall() -> list[str]:
    """Table: the optimum of each operator against the study's strategies with that operator."""
    lines = [
        "| subject | operator | best whole [s] | best halves [s] | optimum [s] | over whole | over halves | plan |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for subject in SUBJECTS:
        instance = problem(subject)
        for letter in ("I", "Q", "E", "QE"):
            whole = min(_seconds(instance, subject, letter, "MEC"))
            split_ones = min(_seconds(instance, subject, letter, PAIRS))
            best, chosen = solved(under(instance, letter))
            lines.append(
                f"| {subject} | {letter} | {whole:.3f} | {split_ones:.3f} | {best:.3f} | {whole / best:.3f} "
                f"| {split_ones / best:.3f} | {where(instance, chosen)} |"
            )
    return lines


def _seconds(instance: Placement, subject: str, letter: str, tiers: Iterable[str]) -> list[float]:
    """Latencies of an operator's strategies on the given tiers or pairs."""
    return [breakdown(instance, plan(instance, subject, f"{letter}@{t}")).latency for t in tiers]


def main() -> None:
    """Print both tables."""
    for table in (halves(), overall()):
        print("\n".join(table), end="\n\n")


if __name__ == "__main__":
    main()
