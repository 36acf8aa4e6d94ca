"""Writes qpart/table2.json: the QPART paper's own setting, Table II, with the network that we trained and measured.

    python instances/make_table2.py

Then run best.py update qpart/table2.
"""

from __future__ import annotations

from pathlib import Path

from qopt.core.reading import load, save
from qopt.qpart.problem import QPart
from qopt.qpart.table2 import TABLE_II

FOLDER = Path(__file__).resolve().parent / "qpart"


def table2() -> QPart:
    """Table II, cuts 1..6 (the paper's partition points 0..5), no scales: bits as Eq. 14 counts them."""
    network = load("qpart/mnist-mlp6")
    about = (
        "Table II of the QPART paper, with its six layers as we trained and measured them. The paper's own network "
        "is not published: this is 784-512-256-128-64-32-10 of qpart/mnist-mlp6. 200 Mbit/s, one download for one "
        "inference, cuts 1..6, which are the paper's partition points 0..5. Scales and zero points are not counted, "
        "as in Eq. 14. Table II has no price, so it is 0; the server's energy is known and not charged, as in the text."
    )
    changes = {
        **TABLE_II,
        "name": "qpart/table2",
        "description": about,
        "source": "Table II of the QPART paper; shapes of its Fig. 4; noise, rho and Delta of qpart/mnist-mlp6",
        "best_known": None,
        "network.overhead": None,
        "cuts": [1, 2, 3, 4, 5, 6],
        "server.charge_energy": False,
    }
    request: QPart = network.replace(changes)
    return request


if __name__ == "__main__":
    save(table2(), FOLDER / "table2.json")
