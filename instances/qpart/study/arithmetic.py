"""What follows from what in Tables II to IV of the QPART paper as they are printed (`tables.json`).

    python instances/qpart/study/arithmetic.py

A printed figure is met where the one computed from the other printed figures may round to it: all of them carry half a
unit of their last digit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

PARAMETERS = {"ResNet18 (ImageNet)": 11_678_912, "ResNet34 (ImageNet)": 21_779_648}
"""Weights of the published architectures, biases and batch normalization left out (instances/README.md)."""


@dataclass(frozen=True)
class Check:
    """One printed figure.

    Attributes
    ----------
    where, what : it stands, and is.
    printed, low, high : as printed, and between what the printed figures that it follows from put it.
    """

    where: str
    what: str
    printed: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the printed figure may be a rounding of what it follows from."""
        return self.low - 0.005 - 1e-9 <= self.printed <= self.high + 0.005 + 1e-9


def tables() -> dict[str, Any]:
    """Tables II to IV as printed."""
    found: dict[str, Any] = json.loads((HERE / "tables.json").read_text(encoding="utf-8"))
    return found


def checks() -> list[Check]:
    """Every figure of Tables III and IV that follows from others."""
    t = tables()["table4"]
    found, half = [], 0.005
    for k, data in enumerate(t["data"]):
        small, large = t["optimized_mb"][k], t["initial_mb"][k]
        low, high = 100 * (small - half) / (large + half), 100 * (small + half) / (large - half)
        found.append(Check("Table IV", f"{data}: payload ratio [%]", t["ratio"][k], low, high))
        lost = t["initial_accuracy"][k] - t["optimized_accuracy"][k]
        found.append(
            Check("Table IV", f"{data}: degradation [points]", t["degradation"][k], lost - 2 * half, lost + 2 * half)
        )
    return found


def sentences() -> dict[str, bool]:
    """Sentences of section V and the abstract about these tables, and whether the printed figures bear them out."""
    t = tables()
    third, fourth = t["table3"], t["table4"]
    points, ours, coded = range(6), third["qpart"], third["auto-encoder"]
    plain = max(third["no optimization"])
    lost, ratios = fourth["degradation"], fourth["ratio"]
    deeper = all(coded[k] <= coded[k + 1] for k in range(5))
    worst = plain - min(third["qpart"])
    return {
        "ratios range from 11.88 to 18.12 %": (min(ratios), max(ratios)) == (11.88, 18.12),
        "degradation ranges from 0.08 to 0.66 %": (min(fourth["degradation"]), max(fourth["degradation"]))
        == (0.08, 0.66),
        "payload reduced by over 80 % in every column": max(ratios) < 20,
        "degradation below 1 % in every column": max(lost) < 1,
        "QPART within 1 % of no optimization at every point": worst < 1,
        "no optimization is the same at every point": len(set(third["no optimization"])) == 1,
        "QPART surpasses pruning at every point": all(ours[k] > third["pruning"][k] for k in points),
        "QPART surpasses the auto-encoder at every point": all(
            third["qpart"][k] > third["auto-encoder"][k] for k in points
        ),
        "the auto-encoder improves with every layer that is local": deeper,
    }


def bits_a_weight() -> dict[str, float]:
    """Bits a weight that the printed initial sizes of the ResNets come to (1 MB = 10^6 bytes)."""
    t = tables()["table4"]
    size = dict(zip(t["data"], t["initial_mb"], strict=True))
    return {name: 8e6 * size[name] / count for name, count in PARAMETERS.items()}


def main() -> None:
    """Print all of it."""
    for check in checks():
        said = "follows" if check.holds else f"does not follow: {check.low:.3f} to {check.high:.3f}"
        print(f"{check.where}, {check.what}: {check.printed} {said}")
    for text, holds in sentences().items():
        print(f"{'holds' if holds else 'does not hold'}: {text}")
    for name, bits in bits_a_weight().items():
        print(f"{name}: the initial size is {bits:.1f} bits a weight")


if __name__ == "__main__":
    main()
