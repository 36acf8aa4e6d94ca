"""Pictures of a request and its plans. Each function draws on one Axes and returns it.

matplotlib loads when the first picture is drawn. Colours are those of Okabe and Ito, which colour-blind readers
tell apart; no meaning hangs on colour alone. Axes have their unit in brackets, where they have one. A picture is whole
under a plain ``savefig``; `qopt.plots.style.save_figure` writes it whole or not at all.
"""

from __future__ import annotations

from qopt.allocation.plots import plot_budgets, plot_formats
from qopt.comparison.plots import plot_comparison, plot_gaps, plot_latencies, plot_profile, plot_ratios
from qopt.core import plot_style as style
from qopt.core.plots import plot_trade_off
from qopt.fleet.plots import plot_capacities, plot_options
from qopt.jqodi.estimators.plots import plot_accuracy, plot_cuts, plot_forecast, plot_inference, plot_losses
from qopt.jqodi.plots import plot_breakdown, plot_diagram, plot_energy_time
from qopt.measuring.plots import plot_additivity, plot_law, plot_loss, plot_sensitivity
from qopt.placement.plots import plot_break_even, plot_front, plot_placement
from qopt.qpart.plots.payload import plot_payload
from qopt.qpart.plots.requests import plot_bits, plot_cut_by_rate, plot_noise, plot_objective_by_cut
from qopt.qpart.plots.schemes import (
    plot_parameter_reduction,
    plot_scheme_energy,
    plot_scheme_objective,
    plot_scheme_payload,
    plot_scheme_performance,
    plot_scheme_time,
    plot_size_by_level,
)
from qopt.qpart.plots.serving import plot_breakpoints, plot_fading, plot_published
from qopt.qpart.plots.water import plot_water_level

__all__ = [
    "style",
    "plot_water_level",
    "plot_objective_by_cut",
    "plot_cut_by_rate",
    "plot_bits",
    "plot_payload",
    "plot_noise",
    "plot_comparison",
    "plot_profile",
    "plot_gaps",
    "plot_ratios",
    "plot_latencies",
    "plot_breakpoints",
    "plot_fading",
    "plot_published",
    "plot_parameter_reduction",
    "plot_scheme_performance",
    "plot_size_by_level",
    "plot_scheme_objective",
    "plot_scheme_energy",
    "plot_scheme_time",
    "plot_scheme_payload",
    "plot_placement",
    "plot_break_even",
    "plot_front",
    "plot_diagram",
    "plot_energy_time",
    "plot_breakdown",
    "plot_losses",
    "plot_cuts",
    "plot_inference",
    "plot_accuracy",
    "plot_forecast",
    "plot_sensitivity",
    "plot_law",
    "plot_additivity",
    "plot_loss",
    "plot_formats",
    "plot_budgets",
    "plot_trade_off",
    "plot_capacities",
    "plot_options",
]
