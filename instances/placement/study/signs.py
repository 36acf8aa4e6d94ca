"""Whether the instances give the signs of the study's effects: Tables 5 and 7-16 against the model's latencies.

python instances/placement/study/signs.py
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import shapes
from data import HERE, SUBJECTS, effects, read, strategies
from model import OPERATORS, TIERS, Parameters, latency, split

from qopt.core.reading import load
from qopt.placement.costs import breakdown
from qopt.placement.plan import PlacementPlan
from qopt.placement.problem import Placement

NAMES = {"M": "mobile", "E": "edge", "C": "cloud"}

BASE64 = 4 / 3

SHORTEST = 0.01
"""Seconds left for computing where the picture alone takes the whole median."""


def plan(problem: Placement, subject: str, strategy: str) -> PlacementPlan:
    """A strategy as a plan: one tier, or two with the study's halves."""
    letter, tiers = strategy.split("@")
    operator = problem.operator({o["letter"]: o["name"] for o in read("setup")["operators"]}[letter])
    names = problem.graph.operations
    at = names.index(shapes.cut(subject, letter)) if len(tiers) == 2 else len(names)
    first, last = NAMES[tiers[0]], NAMES[tiers[-1]]
    placed = {n: first if i < at else last for i, n in enumerate(names) if n not in operator.skips}
    return PlacementPlan(problem=problem.name, operator=operator.name, tiers=placed)


def latencies() -> dict[str, dict[str, float]]:
    """Seconds of every subject and strategy, from the instances."""
    found = {}
    for subject in SUBJECTS:
        problem = load(HERE.parent / f"{subject}.json")
        found[subject] = {t: breakdown(problem, plan(problem, subject, t)).latency for t in strategies()}
    return found


def predicted() -> dict[str, dict[str, float]]:
    """Seconds if nothing were fitted to the halves: times from the whole models' medians, base64 alone, MACs alone.

    Only the pictures' sizes come from the fit.
    """
    medians, fitted, found = read("medians")["medians"], read("fit")["subjects"], {}
    for subject in SUBJECTS:
        bare = Parameters({}, fitted[subject]["picture_Mbit"], 0.0, (BASE64, BASE64))
        times = {
            (o, t): max(medians[subject][f"{o}@{t}"] - bare.sending(bare.picture, "M", t), SHORTEST)
            for o in OPERATORS
            for t in TIERS
        }
        parameters = replace(bare, times=times)
        halves = {o: split(subject, o) for o in ("I", "QE")}
        found[subject] = {t: latency(t, halves, parameters) for t in strategies()}
    return found


def judged(seconds: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Every printed effect, the ratio of its two latencies, and whether they have its sign (None without a letter)."""
    records = []
    for effect in effects():
        a, b = seconds[effect["subject"]][effect["left"]], seconds[effect["subject"]][effect["right"]]
        lower = effect["letter"].startswith("-")
        agrees = (a < b) == lower if effect["letter"] else None
        split_one = any(len(effect[side].split("@")[1]) == 2 for side in ("left", "right"))
        records.append({**effect, "ratio": a / b, "agrees": agrees, "split": split_one})
    return records


def shares() -> list[str]:
    """Table: signs given by fitted instances, by the prediction, and by the medians themselves."""
    judgements = [judged(x) for x in (latencies(), predicted(), read("medians")["medians"])]
    lines = [
        "| subject | pairs | instance | predicted | medians | with halves | instance | predicted | no sign |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for subject in (*SUBJECTS, "all"):
        mine = [[r for r in rows if subject in (r["subject"], "all")] for rows in judgements]
        signed = [[r for r in rows if r["letter"]] for rows in mine]
        right = [sum(r["agrees"] for r in rows) for rows in signed]
        halves = [[r for r in rows if r["split"]] for rows in signed]
        right_halves = [sum(r["agrees"] for r in rows) for rows in halves]
        lines.append(
            f"| {subject} | {len(signed[0])} | {right[0]} | {right[1]} | {right[2]} | {len(halves[0])} "
            f"| {right_halves[0]} | {right_halves[1]} | {len(mine[0]) - len(signed[0])} |"
        )
    return lines


def missed() -> list[str]:
    """Table: every sign that instance, prediction or medians do not give."""
    lines = [
        "| table | subject | pair | printed | instance | predicted | medians |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for rows in zip(*(judged(x) for x in (latencies(), predicted(), read("medians")["medians"])), strict=True):
        if any(r["agrees"] is False for r in rows):
            first = rows[0]
            ratios = " | ".join(f"{r['ratio']:.3f}{'' if r['agrees'] else ' ✗'}" for r in rows)
            pair = f"{first['left']}, {first['right']}"
            lines.append(f"| {first['table']} | {first['subject']} | {pair} | {first['letter']} | {ratios} |")
    return lines


def main() -> None:
    """Print the two tables."""
    for table in (shares(), missed()):
        print("\n".join(table), end="\n\n")


if __name__ == "__main__":
    main()
