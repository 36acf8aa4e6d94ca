"""Curves, forecasts and what they write into a problem: the equations hold, and what is not known is wide."""

from __future__ import annotations

import itertools
import json
import warnings

import numpy as np
import pytest

import qopt
from qopt.core.errors import InputError, MethodError
from qopt.jqodi.estimators.curves import Curve, read_curves, save_curves
from qopt.jqodi.estimators.forecast import Forecast
from qopt.jqodi.estimators.registry import ESTIMATORS, estimator


def curve(
    bits: int = 4, epochs: int = 8, noise: float = 0.05, seed: int = 0, model: str = "net", power: float = 0.8
) -> Curve:
    """A curve of a power law with relative noise; quantizing anew takes half of an epoch's gain back."""
    rng = np.random.default_rng([bits, seed])
    trained = (0.1 + 2.0 * np.arange(1, epochs + 1) ** -power) * np.exp(noise * rng.standard_normal(epochs))
    quantized = np.concatenate([[3.0 + 2.0**-bits], np.sqrt(trained[:-1] * trained[1:])])
    updated = trained * 1.02
    return Curve(model, bits, 3.0, tuple(quantized), tuple(trained), tuple(updated), seed=seed)


HISTORY = [curve(bits, 12, seed=seed) for bits, seed in itertools.product((1, 2, 3, 6, 8), range(2))]

FAST = [name for name in ESTIMATORS if name != "learned"]


def test_changes_sum_to_losses(tmp_path):
    """Eqs. 11-12 by definition, and a file gives back what was written."""
    one = curve()
    steps = one.loss + one.gamma + np.cumsum(one.run + one.update)
    np.testing.assert_allclose(steps, one.trained)
    np.testing.assert_allclose(one.after[1:], one.trained)
    assert one.epochs_to(one.trained[4]) <= 5
    assert one.epochs_to(0.0) is None
    save_curves([one, *HISTORY], tmp_path / "curves.json")
    again = read_curves(tmp_path / "curves.json")
    np.testing.assert_allclose(again[0].trained, one.trained, rtol=1e-5)
    assert [c.bits for c in again[1:]] == [c.bits for c in HISTORY]


@pytest.mark.parametrize("name", FAST)
def test_every_estimator(name):
    """Epochs seen stay as they are, later ones are finite and positive, intervals are nested and hold the truth."""
    whole = curve(epochs=12)
    found = estimator(name).forecast(whole.first(5), 12, HISTORY)
    assert found.trained.shape == (1000, 12)
    assert (found.trained[:, :5] == whole.trained[:5]).all()
    assert (found.trained > 0).all()
    np.testing.assert_allclose(found.loss + found.gamma + (found.run + found.update).sum(axis=1), found.trained[:, -1])
    (a, b), (c, d) = found.interval(0.5), found.interval(0.95)
    assert (c <= a).all()
    assert (b <= d).all()
    if name in ("power-law", "others"):
        assert 0.9 * c[-1] <= whole.trained[-1] <= 1.1 * d[-1]
    gammas = estimator(name).gamma(whole, HISTORY)
    assert gammas.shape == (1000,)
    assert np.median(gammas) == pytest.approx(whole.gamma, abs=0.3)
    again = estimator(name).forecast(whole.first(5), 12, HISTORY)
    assert (again.trained == found.trained).all()


@pytest.mark.sweep
def test_learned():
    """The LSTM and its networks forecast curves like those they were trained on, the same each time."""
    pytest.importorskip("torch")
    from qopt.jqodi.estimators import learned_torch

    learned_torch.STEPS, steps = 60, learned_torch.STEPS
    try:
        whole = curve(epochs=12)
        found = estimator("learned").forecast(whole.first(4), 12, HISTORY, draws=200)
        again = estimator("learned").forecast(whole.first(4), 12, HISTORY, draws=200)
        assert (again.trained == found.trained).all()
        assert 0.3 < found.losses()[-1] / whole.trained[-1] < 3.0
        assert estimator("learned").gamma(whole, HISTORY, draws=50).shape == (50,)
    finally:
        learned_torch.STEPS = steps
        learned_torch._members.cache_clear()


def test_power_law_is_found():
    """Of a law without noise the median goes on along it, and more epochs make the interval narrower."""
    whole = curve(epochs=30, noise=0.0)
    widths = []
    for seen in (4, 8, 16):
        found = estimator("power-law").forecast(whole.first(seen), 30)
        low, high = found.interval(0.8)
        widths.append(np.log(high[-1] / low[-1]))
        assert low[-1] <= whole.trained[-1] <= high[-1]
    assert found.losses()[-1] == pytest.approx(whole.trained[-1], rel=0.1)
    assert widths[0] > widths[1] > widths[2]


def test_calibration_widens():
    """Curves that break away from their laws make intervals of the next one wider."""
    broken = [
        Curve("other", 4, 3.0, c.quantized, c.trained[:6] + tuple(2 * x for x in c.trained[6:]), c.updated)
        for c in HISTORY
    ]
    seen = curve(epochs=6)
    ends = [estimator("power-law").forecast(seen, 12, history).interval(0.8) for history in (HISTORY, broken)]
    narrow, wide = (float(high[-1] / low[-1]) for low, high in ends)
    assert wide > 1.5 * narrow


def test_rising_losses_are_wide():
    """A loss that rises is forecast by no confident number: the interval holds both what it was and a further rise."""
    rising = (1.0, 1.3, 1.6, 2.1)
    for name in ("power-law", "last", "mean"):
        seen = Curve("net", 4, 1.0, rising, tuple(1.1 * x for x in rising), rising)
        found = estimator(name).forecast(seen, 20)
        low, high = found.interval(0.8)
        assert high[-1] / low[-1] > 2.0
        assert high[-1] > 3.0
        assert found.epochs_to(0.3, 0.9) is None


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (lambda: estimator("power-law").forecast(curve(epochs=2), 9), "2 epochs of net at 4 bits; allowed: at least 3"),
        (lambda: estimator("others").forecast(curve(), 9), "no finished curve; allowed: finished curves"),
        (
            lambda: estimator("others").forecast(curve(), 99, HISTORY),
            "history: found 0 curves of 99 epochs or more; allowed",
        ),
        (lambda: estimator("last").gamma(curve(), []), "history: found no curve"),
        (lambda: estimator("last").forecast(curve(epochs=4), 3), "epochs: found 3; allowed: a whole number from 4"),
        (lambda: Curve("net", 4, 1.0, (1.0,), (float("nan"),), (1.0,)), "trained[0]: found nan; allowed: a finite"),
        (lambda: Curve("net", 4, 1.0, (1.0, 2.0), (1.0,), (1.0, 2.0)), "trained: found 1 entries; allowed: 2"),
        (lambda: Curve("net", 40, 1.0, (), (), ()), "bits: found 40"),
        (lambda: Curve("net", 4, 10**400, (), (), ()), "loss: found 1000"),
        (
            lambda: Curve("net", 4, 10**5000, (), (), ()),
            "loss: found a value (int) too long to be written out",
        ),
        (
            lambda: Curve("net", 4, 1.0, (1e300,), (1.0,), (1.0,)),
            "quantized[0]: found 1e+300; allowed: a finite",
        ),
        (
            lambda: qopt.forecast_losses("jqodi/fig5", [curve(model="M1")], limits={"M1": 10**400}),
            "limits['M1']: found 1000",
        ),
        (
            lambda: qopt.forecast_losses("jqodi/fig5", [curve(model="M1")], limits={"M1": float("nan")}),
            "limits['M1']: found nan; allowed: a number >= 0 and <= 1e+100",
        ),
        (lambda: qopt.forecast_losses("jqodi/fig5", [curve()]), "model 'net'; allowed: models of the problem: M1"),
        (
            lambda: qopt.forecast_losses("jqodi/fig5", [curve(model="M1")], quantile=0.3),
            "quantile: found 0.3; allowed: a number from 0.5",
        ),
        (
            lambda: qopt.forecast_losses("jqodi/data1", [curve(model="lenet")]),
            "models[0].loss_limit: found nothing; allowed: L_max",
        ),
    ],
)
def test_bad_input_is_one_line(ask, line):
    with pytest.raises(InputError) as error:
        ask()
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        (["M1"], "--limit: found 'M1'; allowed: MODEL=L_MAX"),
        (["M1=1", "M1=2"], "--limit: found M1 twice; allowed: each model once"),
        (["M1=1" + "0" * 400], "--limit M1: found 1000"),
        (["M1=1e999"], "--limit M1: found inf; allowed: a number >= 0"),
        (["M1=low"], "--limit M1: found 'low'; allowed: a number >= 0"),
    ],
)
def test_limits_of_the_command_are_refused_by_its_name(tmp_path, qopt_cli, limits, line):
    curves = tmp_path / "curves.json"
    save_curves([curve(model="M1", bits=8)], curves)
    code, _, error = qopt_cli("forecast", "jqodi/fig5", str(curves), *(w for each in limits for w in ("--limit", each)))
    assert (code, error.count("\n")) == (2, 1)
    assert line in error


def test_the_largest_losses_are_forecast():
    """Nothing overflows at the bounds of what is taken, and nothing is warned of."""
    values = tuple(1e100 * x for x in (0.9, 0.8, 0.75, 0.7, 0.69))
    seen = Curve("M1", 8, 1e100, values, values, values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("power-law", "last", "mean"):
            found = qopt.forecast_losses("jqodi/fig5", [seen], limits={"M1": 6e99}, estimator=name, draws=50)
            assert found.problem.models[0].loss == 1e100


def test_unknown_estimator():
    with pytest.raises(MethodError, match=r"found 'oracle'; allowed: power-law, learned"):
        estimator("oracle")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ([1], "found list; allowed: format"),
        ({"format": "qopt/curves", "version": 1, "curves": [{"model": "m"}]}, "curves[0].bits: found nothing"),
        ({"format": "qopt/curves", "version": 1, "curves": [{"speed": 1}]}, "curves[0].speed: found a field of no"),
    ],
)
def test_bad_files(tmp_path, content, line):
    path = tmp_path / "curves.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as error:
        read_curves(path)
    assert line in str(error.value)


def test_estimates_keep_quantiles():
    """What is written sums up to the quantiles of the losses, so K^rob >= K^exp by Eq. 12."""
    found = estimator("power-law").forecast(curve(epochs=4), 20)
    written = found.estimates(0.9)
    for name, quantile in (("expected", 0.5), ("robust", 0.9)):
        changes = np.array(written["update"][name]) + np.array(written["run"][name])
        losses = found.loss + written["quantization"][name] + np.cumsum(changes)
        np.testing.assert_allclose(losses, found.losses(quantile))
    limit = float(found.losses()[10])
    assert found.epochs_to(limit, 0.5) <= (found.epochs_to(limit, 0.7) or np.inf)


def test_problem_with_estimates_is_solved():
    """Losses and K in a problem, at the quantile asked for; widths without a curve are said, and kept."""
    curves = [curve(bits, 5, model="M1") for bits in (4, 8)]
    for write in ("loss", "epochs"):
        found = qopt.forecast_losses("jqodi/fig5", curves, limits={"M1": 0.5}, history=HISTORY, write=write)
        rows = {row.bits: row for row in found.rows}
        assert rows[2].note.startswith("no curve")
        assert 5 <= rows[4].expected <= rows[4].robust
        model = found.problem.models[0]
        assert model.epochs(model.width(4)) == (rows[4].expected, rows[4].robust)
        assert (model.width(4).loss is None) == (write == "epochs")
        solution = qopt.solve(found.problem.replace({"time_limit": 1e4, "mode": "choice", "switching": {}}))
        assert solution.status == "optimal"
        assert str(rows[4].expected) in str(found)
    never = qopt.forecast_losses("jqodi/fig5", curves, limits={"M1": 0.01}, history=HISTORY)
    assert "does not reach 0.01" in never.rows[-1].note
    assert never.rows[-1].expected is None


def test_runs_of_one_width_are_pooled():
    """Several runs count alike; another L_a is another device's data."""
    runs = [curve(8, 5, seed=seed, model="M1") for seed in range(3)]
    found = qopt.forecast_losses("jqodi/fig5", runs, limits={"M1": 0.6})
    assert found.rows[-1].seen == 5
    other = Curve("M1", 8, 2.0, *(getattr(runs[0], name) for name in ("quantized", "trained", "updated")))
    with pytest.raises(InputError, match="L_a 3 and 2"):
        qopt.forecast_losses("jqodi/fig5", [*runs, other], limits={"M1": 0.6})


def test_draws_that_never_reach_it():
    """K beyond the horizon is none, not a number; a quantile that enough draws reach is one."""
    trained = np.array([[2.0, 1.0], [2.0, 0.5], [2.0, 0.4], [2.0, 3.0]])
    found = Forecast(3.0, trained + 0.1, trained, 0, "by hand")
    assert [found.epochs_to(0.5, q) for q in (0.25, 0.5, 0.75)] == [2, 2, None]
    with pytest.raises(InputError, match="not finite"):
        Forecast(3.0, trained, trained * np.inf, 0, "by hand")


def test_pictures():
    """Losses end with a mark that says whether they meet L_max; bars add up to what the certificate says."""
    import matplotlib as mpl

    mpl.use("Agg")
    from qopt import plots
    from qopt.jqodi.estimators.plots import cut_cost, inference_costs

    problem = qopt.load("jqodi/data1")
    problem = problem.replace({"models[0].loss_limit": 0.5})
    plan = qopt.solve(problem).plan
    count = len(plan.cuts)
    cost = qopt.jqodi.breakdown(problem, plan)
    for what, total in (("energy", cost.energy), ("time", cost.time)):
        assert sum(cut_cost(problem, plan, plan.cuts[0], what).values()) == pytest.approx(total)
    request = inference_costs(problem, plan)[f"pi5 + {plan.servers[0]}"]
    assert sum(request.values()) == pytest.approx(cost.inference.energy)
    own = [curve(plan.bits, count, noise=0.0, model=plan.model, power=power) for power in (0.1, 0.9)]
    for one, mark in zip(own, "so", strict=True):
        ax = plots.plot_losses(problem, {"best": plan}, [one], "energy")
        assert ax.lines[0].get_xdata()[-1] == pytest.approx(cost.energy)
        assert ax.lines[1].get_marker() == mark
    assert len(plots.plot_cuts(problem, plan).patches) > 5
    assert len(plots.plot_inference(problem, {"best": plan}, "time").get_xticks()) == 3
    found = estimator("power-law").forecast(own[1].first(5), count)
    assert len(plots.plot_forecast(own[1], found, 0.5).collections) == 3
    counted = Curve("net", 4, 1.0, (0.9,), (0.8,), (0.8,), accuracy=(0.7,))
    assert len(plots.plot_accuracy({"one": counted}).lines) == 1
    for ask, line in (
        (lambda: plots.plot_accuracy({"none": own[0]}), "'none' without accuracies"),
        (lambda: plots.plot_losses(problem, {"best": plan}, []), f"none of {plan.model} at {plan.bits} bits"),
        (lambda: plots.plot_cuts(problem, plan, "money"), "what: found 'money'; allowed: energy, time"),
        (lambda: plots.plot_inference(problem, {}), "plans: found {}"),
    ):
        with pytest.raises(InputError) as error:
            ask()
        assert line in str(error.value)
