"""Writes placement/resnet.json, resnext.json, fcn.json and duc.json: the study's subjects as placement problems.

    python instances/placement/study/fit.py    # times, pictures, overheads
    python instances/placement/study/make.py

Shapes come from shapes.py, accuracies and sizes from Table 6, tiers and links from section 4.3, times from fit.json.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapes
from data import HERE, SUBJECTS, read
from model import OPERATORS, RATES, TIERS, skipped

import qopt
from qopt.core.reading import save
from qopt.placement.problem import Placement

DIGITS = 6

ASSUMPTIONS = """\
Shapes, parameters and cut tensors agree with the study's Table 2 and sections 4.5.4 and 5.4; work is computed from \
shapes. Operations are stem, bottleneck blocks and head, with normalization, activation and addition folded in. \
Times are fitted to medians reconstructed from section 5's text (study/fit.py): a whole network's time on a tier, \
spread over its operations by MACs and by weights in parts 1 - b and b; pre-processing goes with the stem and \
post-processing with the head, as in the study. The raw picture is the fitted median within the printed range. Link \
overheads are fitted: base64's 4/3, headers, encoding and decoding. Operators that quantize send floating-point \
tensors (the hybrid's medians ask for it). The result's way back costs nothing. Accuracy is the smallest of the \
three tiers'. Memory is the tiers', and no weights come near it. Cloud times of resnet, resnext and duc are not \
identified by the medians."""


def main() -> None:
    """Write the four instances, each with its proved optimum."""
    data = read("fit")
    for subject in SUBJECTS:
        problem = instance(subject, data)
        solution = qopt.solve(problem)
        if solution.status != "optimal" or solution.certificate is None:
            raise SystemExit(f"{subject}: {solution.status}, nothing written")
        how = f"method {solution.method}, proved by {solution.certificate.kind}"
        found = {"operator": solution.plan.operator, "tiers": dict(solution.plan.tiers), "how": how}
        save(
            problem.replace({"best_known": {"objective": solution.objective, **found}}), HERE.parent / f"{subject}.json"
        )
        print(subject, solution.objective)


def instance(subject: str, data: dict[str, Any]) -> Placement:
    """One subject as a problem."""
    net, fitted = shapes.build(subject), data["subjects"][subject]
    setup = read("setup")
    title = {entry["name"]: entry["title"] for entry in read("subjects")["subjects"]}[subject]
    links = [
        {"rate": rate * 1e6, "overhead": overhead} for rate, overhead in zip(RATES, data["overheads"], strict=True)
    ]
    return Placement(
        name=subject,
        description=(
            f"{title} ({shapes.KINDS[subject].name}) of the edge deployment study on mobile, edge and cloud, four "
            f"operators. {ASSUMPTIONS} Here b = {fitted['weights_part']}."
        ),
        source=f"{read('subjects')['source']}: Table 6, sections 4.3, 5",
        graph={
            "operations": net.operations,
            "work": net.work,
            "weights": [4.0 * w for w in net.weights],
            "tensors": [{"producer": p, "readers": r, "size": 32.0 * v} for p, r, v in net.tensors],
        },
        input={"sizes": [round(fitted["picture_Mbit"] * 1e6)], "readers": ["stem"], "tier": "mobile"},
        tiers=[{"name": tier["name"], "memory": float(tier["memory_GB"] * 2**30)} for tier in setup["tiers"]],
        links=links,
        operators=[_operator(subject, net, letter, fitted) for letter in OPERATORS],
    )


def _operator(subject: str, net: shapes.Network, letter: str, fitted: dict[str, Any]) -> dict[str, Any]:
    """Accuracy, size and times of one operator."""
    row = next(r for r in read("accuracies")["rows"] if (r["subject"], r["operator"]) == (subject, letter))
    name = {o["letter"]: o["name"] for o in read("setup")["operators"]}[letter]
    left_out = skipped(letter)
    kept = np.array([operation not in left_out for operation in net.operations])
    work, weights = np.array(net.work) * kept, np.array(net.weights) * kept
    b = fitted["weights_part"]
    share = (1 - b) * work / work.sum() + b * weights / weights.sum()
    whole = np.array([fitted["times"][f"{letter}@{tier}"] for tier in TIERS])
    return {
        "name": name,
        "accuracy": min(row.get("top1") or row["miou"]) / 100,
        "skips": list(left_out),
        "weight_factor": round(row["size"] * 2**20 / (4.0 * weights.sum()), DIGITS),
        "time": [[float(f"{t:.{DIGITS}g}") for t in s * whole] for s in share],
    }


if __name__ == "__main__":
    main()
