"""Intervals by resampling, beside resampling written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qopt.core.errors import InputError
from qopt.measuring.intervals import Estimate, Resamples, quantiles


def test_resampled_means_are_means_of_examples_drawn_again() -> None:
    columns = np.random.default_rng(0).normal(size=(50, 3))
    means = Resamples(50, seed=4, draws=250).means(columns)
    # The same draws, written out: blocks of a hundred draws of examples with replacement.
    rng, expected = np.random.default_rng(4), []
    for rows in (100, 100, 50):
        expected += [columns[taken].mean(axis=0) for taken in rng.integers(0, 50, size=(rows, 50))]
    assert means == pytest.approx(np.array(expected))


def test_figures_of_one_measurement_share_their_draws() -> None:
    columns = np.random.default_rng(0).normal(size=(80, 4))
    resamples = Resamples(80, seed=1, draws=120)
    one_by_one = [resamples.means(columns[:, [i]])[:, 0] for i in range(4)]
    assert resamples.means(columns) == pytest.approx(np.array(one_by_one).T)


def test_the_interval_of_a_mean_is_nearly_normal() -> None:
    values = np.random.default_rng(2).normal(3.0, 2.0, size=4000)
    drawn = Resamples(4000, seed=0).means(values[:, None])[:, 0]
    found = Estimate.of(float(values.mean()), drawn)
    spread = 1.96 * values.std() / np.sqrt(4000)
    assert found.low == pytest.approx(values.mean() - spread, abs=0.15 * spread)
    assert found.high == pytest.approx(values.mean() + spread, abs=0.15 * spread)


def test_infinite_draws_are_order_statistics_like_others() -> None:
    drawn = np.array([1.0] * 96 + [np.inf] * 4)
    assert quantiles(drawn).tolist() == [1.0, np.inf]
    assert Estimate.of(0.5, drawn) == Estimate(0.5, 0.5, np.inf)


def test_figures_that_are_nearly_all_zero_have_the_same_means() -> None:
    columns = np.random.default_rng(0).normal(size=(300, 2)) * (np.arange(300) % 7 == 0)[:, None]
    resamples = Resamples(300, seed=2, draws=150)
    assert resamples.means(columns) == pytest.approx(resamples.means(columns + 1.0) - 1.0)
    assert np.all(resamples.means(np.zeros((300, 1))) == 0.0)


def test_points_are_for_people() -> None:
    assert Estimate(0.0123, 0.01, 0.015).points() == "1.23 points [1.00, 1.50]"


@pytest.mark.parametrize(
    "call",
    [
        lambda: Resamples(0, seed=0),
    ],
)
def test_bad_input_gives_one_line(call: Any) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
