"""Draws the pictures of the pages into docs/img: one function a picture, named after its file.

    python docs/make_pictures.py [NAME ...]

Pictures of a study are its script's: benchmarks/deadline.py, figure5.py and serving.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

import qopt
from qopt import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "img"


def break_even() -> Axes:
    """The README's picture, and that of the first steps: the request's own cuts, at every rate."""
    return plots.plot_breakpoints(qopt.load("qpart/mnist-mlp6"), "rate", low=3e4, high=3e7)


def qpart_cuts() -> Axes:
    """The request that the page solves."""
    return plots.plot_objective_by_cut(qopt.load("qpart/mnist-mlp6"))


def qpart_water() -> Axes:
    """The closed form that the theory works by hand."""
    return plots.plot_water_level(qopt.load("qpart/teaching-3"), cut=2)


def serving_break_even() -> Axes:
    """Break-even rates of the page on serving."""
    network = qopt.load("qpart/mnist-mlp6").replace({"cuts": None})
    return plots.plot_breakpoints(network, "rate", low=1e5, high=1e7)


def measuring_law() -> Axes:
    """Measured noise beside the law: weights of the first and the last layer, output of the fifth."""
    return plots.plot_noise(qopt.load("qpart/mnist-mlp6"), [1, 6, -5])


def simulation_schemes() -> Axes:
    """Schemes at the sizes that keep one point of accuracy on MNIST."""
    table = qopt.schemes("qpart/table2", carried=ROOT / "instances" / "mnist" / "schemes.json")
    return plots.plot_scheme_objective(table)


def jqodi_diagram() -> Axes:
    """Fig. 5 of the JQODI paper with the optimal plan."""
    import matplotlib.pyplot as plt

    problem = qopt.load("jqodi/fig5")
    _, ax = plt.subplots(figsize=(8, 4.6), layout="constrained")
    plots.plot_diagram(problem, qopt.solve(problem).plan, ax=ax)
    ax.legend(frameon=False, fontsize=8, loc="lower left")
    return ax


def jqodi_energies() -> Axes:
    """Where the four published strategies spend their energy on Data 1."""
    methods = {"Optimum": "inspection", "JQODI": "jqodi-paper", "Full": "full-model", "Minimal": "minimal-model"}
    found = {name: qopt.solve("jqodi/data1", method).plan for name, method in methods.items()}
    return plots.plot_breakdown("jqodi/data1", {name: plan for name, plan in found.items() if plan is not None})


def jqodi_front() -> Axes:
    """Least energy for every time limit, with one state for all epochs and with one an epoch."""
    problem = qopt.load("jqodi/data1")
    ax = plots.plot_energy_time(problem)
    ax.get_lines()[0].set_label("one state for all epochs")
    front = qopt.breakpoints(problem.replace({"mode": "schedule"}), "time_limit")
    limits = [piece.start for piece in front if piece.plan is not None]
    energies = [front.objective(limit) for limit in limits]
    ax.step(limits, energies, where="post", color=plots.style.ORANGE, linestyle="--", label="a state an epoch")
    ax.set_xlim(58, 190)
    ax.legend(frameon=False, fontsize=8)
    return ax


def learning_forecast() -> Axes:
    """Five epochs of a network at 6 bits, their forecast, and what came."""
    curves = qopt.read_curves(ROOT / "instances" / "jqodi" / "study" / "curves.json")
    true = next(c for c in curves if (c.model, c.data, c.bits, c.seed) == ("resnet", "turned", 6, 0))
    history = [c for c in curves if c.model != "resnet"]
    return plots.plot_forecast(true, qopt.forecast(true.first(5), 16, history), limit=0.5)


PICTURES = {
    "break-even": break_even,
    "qpart-cuts": qpart_cuts,
    "qpart-water": qpart_water,
    "serving-break-even": serving_break_even,
    "measuring-law": measuring_law,
    "simulation-schemes": simulation_schemes,
    "jqodi-diagram": jqodi_diagram,
    "jqodi-energies": jqodi_energies,
    "jqodi-front": jqodi_front,
    "learning-forecast": learning_forecast,
}


def main(names: list[str]) -> None:
    """Draw the pictures named, or all."""
    matplotlib.use("Agg")
    for name in names or PICTURES:
        figure = PICTURES[name]().get_figure(root=True)
        assert figure is not None
        figure.savefig(IMAGES / f"{name}.png", dpi=90, bbox_inches="tight")


if __name__ == "__main__":
    main(sys.argv[1:])
