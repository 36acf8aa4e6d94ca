"""The front of deadline and energy of qpart/mnist-mlp6 on hardware that runs 2, 4 and 8 bits, every point proved.

`python benchmarks/deadline.py` writes docs/img/deadline.png and prints the front as a table; a few minutes.

The instance's network, noise and link; every tensor takes 2, 4 or 8 bits, and 10 000 inferences share a download.
The instance says MACs and no times by width. Assumed here: an 8-bit layer takes what its MACs say, 4-bit weights 1.2
and 2-bit weights 1.5 times as long, because they are unpacked first. So few bits are cheap to send and slow to run.

The front is found by solving, and each point twice: least energy within a deadline, then least time within that energy.
Both optima are proved, so no plan is faster with as little energy. The next deadline lies just below that time. When
the last deadline leaves no plan, that is proved too. The offline table lists the same front at once and must agree.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import qopt
from qopt.core.limits import limit_below
from qopt.core.plot_style import INK, MARKERS, SEQUENCE, axes_for, save_figure

DOCS = Path(__file__).parents[1] / "docs"
MENU = (2, 4, 8)
SLOWER = (1.5, 1.2, 1.0)
"""Time of a layer at each width of the menu, as a multiple of what its MACs say."""


class Point(NamedTuple):
    """A plan that no other beats in time and energy."""

    time: float
    energy: float
    plan: qopt.QPartPlan


def request() -> qopt.QPart:
    """The instance with a menu, times by width, and a download that many inferences share."""
    problem = qopt.load("qpart/mnist-mlp6")
    seconds = problem.network.macs * (problem.device.cycles_per_mac / problem.device.clock)
    tables = {"bits": MENU, "device_time": np.outer(seconds, SLOWER)}
    changed: qopt.QPart = problem.replace({"bits.menu": MENU, "tables": tables, "inferences": 10_000})
    return changed


def front(problem: qopt.QPart) -> list[Point]:
    """All plans that none beats in time and energy, slowest first.

    Parameters
    ----------
    problem : a request without limits.
    """
    frugal = problem.replace({"objective": {"time": 0.0, "energy": 1.0, "price": 0.0}})
    fast = problem.replace({"objective": {"time": 1.0, "energy": 0.0, "price": 0.0}})
    points: list[Point] = []
    deadline = None
    while True:
        least = qopt.solve(frugal.replace({"limits.time": deadline}))
        if least.plan is None:
            assert least.certificate.infeasible
            return points
        quickest = qopt.solve(fast.replace({"limits.energy": least.certificate.cost.energy}))
        assert least.certificate.proved
        assert quickest.plan is not None
        assert quickest.certificate.proved
        cost = quickest.certificate.cost
        points.append(Point(cost.time, cost.energy, quickest.plan))
        deadline = limit_below(cost.time)


def from_table(problem: qopt.QPart) -> list[tuple[float, float]]:
    """The same times and energies from the offline table, which lists every plan that may matter."""
    (entries,) = (plans for (_, row), plans in qopt.offline(problem).whole.items() if row == problem.level_row)
    costs = []
    for e, cut in enumerate(entries.cut.tolist()):
        widths = entries.widths[entries.start[e] : entries.start[e + 1]].astype(float).tolist()
        plan = qopt.QPartPlan(cut=cut, weights=tuple(widths[:cut]), activations=tuple(widths[cut:]))
        cost = qopt.certify(problem, plan, labels=0).cost
        costs.append((cost.time, cost.energy))
    found: list[tuple[float, float]] = []
    for time, energy in sorted(costs):
        if not found or energy < found[-1][1] * (1 - 1e-12):
            found.append((time, energy))
    return found[::-1]


def draw(points: list[Point], path: Path) -> None:
    """The front as a staircase, a colour for each width of the first layer."""
    ax: Any = axes_for(None, 6.5, 3.8)
    points = points[::-1]  # by deadline: what a point takes is the least until the next one's time
    time, energy = (1e3 * np.array([getattr(point, name) for point in points]) for name in ("time", "energy"))
    ax.step(time, energy, where="post", color="#cccccc", linewidth=1.2)
    for k, width in enumerate(MENU):
        mine = np.array([point.plan.weights[0] == width for point in points])
        label = f"first layer at {width} bits: {int(mine.sum())} plans"
        look: dict[str, Any] = {"linestyle": "none", "marker": MARKERS[k], "markersize": 4, "color": SEQUENCE[k]}
        ax.plot(time[mine], energy[mine], label=label, **look)
    ax.set_xlabel("deadline: time of one inference [ms]")
    ax.set_ylabel("least energy of one inference [mJ]")
    ax.set_title("Every point is proved: nothing within its time takes less energy", loc="left", fontsize=9, color=INK)
    ax.legend(frameon=False, fontsize=8)
    save_figure(ax, path, dots=130)


def main() -> None:
    """Find the front, compare it with the table's, draw it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=DOCS / "img" / "deadline.png", help="picture to write")
    asked = parser.parse_args()
    problem = request()
    points = front(problem)
    assert np.allclose([point[:2] for point in points], from_table(problem), rtol=1e-9)
    draw(points, asked.out)
    print("time [ms]  energy [mJ]  cut  weights and output")
    for point in points:
        widths = " ".join(f"{b:.0f}" for b in (*point.plan.weights, *point.plan.activations))
        print(f"{1e3 * point.time:9.4f}  {1e3 * point.energy:11.5f}  {point.plan.cut:3d}  {widths}")
    print(f"{len(points)} plans, all proved; the offline table has the same")


if __name__ == "__main__":
    main()
