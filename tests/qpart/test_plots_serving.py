"""Pictures of serving carry the right numbers."""

from __future__ import annotations

import numpy as np
import pytest

import qopt
from qopt import plots


def test_breakpoints_are_drawn_with_the_envelope_below_every_cut() -> None:
    problem = qopt.load("qpart/mnist-mlp6").replace({"cuts": None})
    ax = plots.plot_breakpoints(problem, "rate", low=1e5, high=1e7)
    envelope, *rest = [np.asarray(line.get_ydata(), dtype=float) for line in ax.lines]
    np.testing.assert_allclose(envelope, np.min(rest[:7], axis=0), rtol=1e-12)
    assert [text.get_text().split("\n")[0] for text in ax.texts] == ["cut 5 | cut 1", "cut 1 | cut 0"]
    with pytest.raises(qopt.InputError, match="low"):
        plots.plot_breakpoints(problem, "rate", low=0, high=1)
    changes = qopt.breakpoints(problem, "rate").values
    low, high = plots.plot_breakpoints(problem, "rate").get_xlim()  # by default all changes, and a decade around them
    assert (low, high) == pytest.approx((changes[0] / 10, changes[-1] * 10))
    with pytest.raises(qopt.InputError, match="low: found nothing; allowed: the range to draw"):
        plots.plot_breakpoints(problem.replace({"cuts": [0]}), "rate")


def test_fading_shares_add_up() -> None:
    table = qopt.offline([qopt.load("qpart/mnist-mlp6")])
    decisions = qopt.decide(table, qopt.Requests.of({"channel.rate": np.geomspace(1e5, 1e6, 500)}))
    ax = plots.plot_fading(decisions)
    assert sum(patch.get_height() for patch in ax.patches) == pytest.approx(1)
    assert len(ax.containers) == len(np.unique(decisions.cut)) == 2
    with pytest.raises(qopt.InputError, match="rate"):
        plots.plot_fading(qopt.decide(table, qopt.Requests.of({"inferences": [1]})))


def test_published_plans_lie_on_the_side_the_certificate_says() -> None:
    camera = qopt.load("qpart/mnist-mlp6")
    ax = plots.plot_published([camera.replace({"channel.rate": r}) for r in (2e5, 2e6)])
    kept, broken = ax.lines[:2]
    assert float(kept.get_xdata()[0]) < 1 < float(broken.get_xdata()[0])
    assert float(broken.get_xdata()[0]) == pytest.approx(316.52675529222608 / 43.139146434644275)
