"""Writes placement/branches-30.json, a synthetic network with branches.

    python instances/make_placement.py

Then run best.py update. (placement/teaching-5.json is written by hand, as its description works it out by hand.)
"""

from __future__ import annotations

from pathlib import Path

from qopt.core.reading import save
from qopt.placement.generate import placement
from qopt.placement.problem import Placement

FOLDER = Path(__file__).resolve().parent / "placement"


def branches_30() -> Placement:
    """Thirty operations, some of which read further back, tensors of several readers, three tiers, four operators."""
    drawn = placement(30, seed=39, branches=0.4, name="branches-30")
    about = (
        "A synthetic network of 30 operations with branches and shared tensors, accuracy at least 0.78. The best "
        "placement uses all three tiers. "
        "Sizes, speeds and rates are drawn, not measured, and so are the operators' accuracies."
    )
    return drawn.replace({"description": about, "targets.accuracy": 0.78})


if __name__ == "__main__":
    save(branches_30(), FOLDER / "branches-30.json")
