"""How often each printed decision is the model's, over parameter sets that fit the totals: writes robustness.json.

    python instances/jqodi/study/robustness.py        # a minute or two

Each row of the table is 1000 sets whose totals are all within 2 %, drawn uniformly in logarithms (sampling.py), for one
data set, one reading of the Wi-Fi's rate and one assumed number of epochs of the Full Model. Intervals are Clopper and
Pearson's, 95 %. They are of this way of drawing: another measure over the same sets has other frequencies.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
from claims import claims, most_on_device
from data import HERE, decision
from decisions import FULL_EPOCHS, full_right, minimal_choice, minimal_right, optimum, published, risk_needed, scores
from model import RADIOS, Floats, ranges
from possible import TOLERANCE
from sampling import Target, draw
from scipy.stats import binomtest

from qopt.core.files import write_text

COUNT = 1000
KEPT = 10
DIGITS = 12

ROWS = [
    *(("data1", radio, 4) for radio in RADIOS),
    *(("data1", "message", full) for full in (3, 5, 6, 8, 12)),
    *(("data2", radio, FULL_EPOCHS["data2"]) for radio in RADIOS),
]
"""Data, reading of the Wi-Fi's rate, epochs of the Full Model."""


def judged(data: str, z: Floats, full: int) -> dict[str, np.ndarray]:
    """Truths over sets (n,): what the model decides as printed, in whole and in part."""
    listed = published(data)
    best = [listed.choices.listed[p] for p in optimum(listed, z)]
    paper = [listed.choices.listed[p] for p in np.argmin(scores(listed, z), axis=-1)]
    wanted, picked = decision(data, "optimum"), decision(data, "jqodi")
    seconds, joules = listed.totals(z)
    at = listed.choices.at(wanted)
    ours = np.where(seconds <= listed.limit, joules, np.inf).min(axis=-1)
    risk = risk_needed(listed, z, picked)[0]
    found = {
        "optimum": np.array([b == wanted for b in best]),
        "optimum's model and bits": np.array([(b.model, b.bits) == (wanted.model, wanted.bits) for b in best]),
        "optimum's cut": np.array([b.cut == wanted.cut for b in best]),
        "optimum's server": np.array([b.server == wanted.server for b in best]),
        "optimum, with its server alone": _alone(data, z, wanted.server),
        "optimum within 5 % of the best": (seconds[:, at] <= listed.limit) & (joules[:, at] <= 1.05 * ours),
        "jqodi, risk 1": np.array([p == picked for p in paper]),
        "jqodi, risk 0.87": risk >= 0.87,
        "jqodi, some risk": risk > 0,
        "full": full_right(data, z, full),
        "minimal": minimal_right(data, z),
    }
    found["optimum, full and minimal"] = found["optimum"] & found["full"] & found["minimal"]
    if data == "data1":
        found.update({f"claim {claim.name}": claim.holds(z) for claim in claims()})
    else:
        found["claim 12"] = most_on_device(z)
    return found


def _alone(data: str, z: Floats, server: str) -> np.ndarray:
    """Whether the printed Optimum is the best of its own server's choices."""
    listed = published(data)
    seconds, joules = listed.totals(z)
    own = np.array([c.server == server for c in listed.choices.listed])
    cost = np.where(own & (seconds <= listed.limit), joules, np.inf)
    return np.asarray(np.argmin(cost, axis=-1) == listed.choices.at(decision(data, "optimum")))


def instead(data: str, z: Floats, most: int = 4) -> dict[str, int]:
    """The commonest optima, and Minimal Models."""
    listed, (found, cheapest) = published(data), minimal_choice(data, z)
    counts = Counter(_words(listed.choices.listed[p]) for p in optimum(listed, z)).most_common(most)
    counts += Counter(_words(found.listed[p]) for p in cheapest).most_common(most)
    return dict(counts)


def _words(choice: Any) -> str:
    return f"{choice.model}, {choice.bits} bits, cut {choice.cut}, {choice.server}"


def row(data: str, radio: str, full: int, count: int = COUNT) -> dict[str, Any]:
    """One row of the table."""
    target = Target(data, ranges(radio), TOLERANCE, full)
    z = draw(target, count, seed=full)
    truths = judged(data, z, full)
    shares = {}
    for name, holds in truths.items():
        interval = binomtest(int(holds.sum()), count).proportion_ci(0.95, "exact")
        shares[name] = {"of": int(holds.sum()), "interval": [round(interval.low, 4), round(interval.high, 4)]}
    kept = [
        {"z": np.round(z[i], DIGITS).tolist(), "holds": [n for n, h in truths.items() if h[i]]} for i in range(KEPT)
    ]
    return {
        "data": data,
        "wifi": radio,
        "full_epochs": full,
        "sets": count,
        "fit": int(target.inside(z).sum()),
        "shares": shares,
        "instead": instead(data, z),
        "kept": kept,
    }


def main() -> None:
    """Draw, judge, write."""
    rows = []
    for data, radio, full in ROWS:
        rows.append(row(data, radio, full))
        print(data, radio, full, {name: entry["of"] for name, entry in rows[-1]["shares"].items()}, flush=True)
    write_text(HERE / "robustness.json", json.dumps(rows) + "\n")


if __name__ == "__main__":
    main()
