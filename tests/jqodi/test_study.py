"""JQODI's published figures: what the fitted instances give, what any parameters can give, and what none can."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, ks_2samp
from scripts import ROOT, scripts

import qopt
from qopt.core.reading import load
from qopt.jqodi.costs import breakdown
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import candidate_at, candidates

STUDY = ROOT / "instances/jqodi/study"
SETS = ("data1", "data2")
SCRIPTS = (
    "data", "profiles", "model", "decisions", "possible", "fit", "sampling", "claims", "robustness", "fig5", "make",
    "page",
)  # fmt: skip


def raw(name: str) -> Any:
    return json.loads((STUDY / f"{name}.json").read_text(encoding="utf-8"))


def problem(name: str) -> Jqodi:
    found = load(f"jqodi/{name}")
    assert isinstance(found, Jqodi)
    return found


@pytest.fixture(scope="module")
def study() -> Iterator[SimpleNamespace]:
    """The scripts as modules."""
    with scripts("instances/jqodi/study", *SCRIPTS) as modules:
        yield modules


def parameters(instance: Jqodi) -> np.ndarray:
    """Log speeds and log powers of an instance, in the study's order of parts."""
    device, cloud, servers = instance.decided, instance.cloud, instance.servers
    rates = [float(s.cloud_rate or 0) for s in servers]
    speeds = np.array([device.speed, *(s.speed for s in servers), cloud.speed, *rates, device.links[0].bits_per_second])
    units = [device.energy, *(s.energy for s in servers), cloud.energy, *(s.cloud_energy for s in servers)]
    return np.asarray(np.log(np.concatenate([speeds, speeds * [*units, device.links[0].energy]])))


def constant_plan(instance: Jqodi, chosen: dict[str, Any], epochs: int) -> JqodiPlan:
    return JqodiPlan(
        problem=instance.name,
        model=chosen["model"],
        bits=chosen["bits"],
        servers=(chosen["server"],) * epochs,
        cuts=(chosen["cut"],) * epochs,
    )


def cheapest(instance: Jqodi) -> tuple[float, str, int, str, int]:
    """The optimum of mode choice by the sums of the equations, one plan after another."""
    found = []
    for model, width in instance.admissible:
        count = model.epochs(width)[0]
        if count is not None:
            for server, cut in itertools.product(instance.server_names, model.admissible_cuts):
                chosen = {"model": model.name, "bits": width.bits, "server": server, "cut": cut}
                cost = breakdown(instance, constant_plan(instance, chosen, count))
                if cost.time is not None and cost.time <= instance.time_limit:
                    found.append((float(cost.objective or 0), model.name, width.bits, server, cut))
    return min(found)


# --- transcription ---------------------------------------------------------------------------------


def test_tables_are_complete_and_agree_with_each_other() -> None:
    tables, allowed = raw("tables"), raw("ranges")
    for name in SETS:
        entry = tables["data"][name]
        for row in (entry["epochs"][model] for model in ("lenet", "resnet20", "vgg")):
            assert list(row) == ["2", "4", "6", "8"]
            assert all(pair is None or 0 < pair[0] <= pair[1] <= 1.15 * pair[0] for pair in row.values())
        assert entry["epochs"]["resnet20"]["2"] is None
        assert entry["totals"]["jqodi"]["energy"] == entry["overhead"]["total"]
        assert set(entry["decisions"]) - {"where"} == {"optimum", "jqodi", "full", "minimal"}
    for node in tables["nodes"]["entries"]:
        assert allowed["compute"][node["name"]]["power"] == [node["idle"], node["rated"]]
    shares = [1000 * e["algorithm"] / e["total"] for e in (tables["data"][name]["overhead"] for name in SETS)]
    assert shares == pytest.approx([3.705, 3.039], abs=0.001)


def test_profiles_follow_the_shapes(study: Any) -> None:
    """Numbers worked out by hand: 9 x in x out x side^2, side 32, 16, 8."""
    lenet, resnet, vgg = (study.profiles.PROFILES[name] for name in ("lenet", "resnet20", "vgg"))
    assert lenet.macs == (1_769_472, 18_874_368, 9_437_184, 2_097_152, 10_240)
    assert lenet.weights == (1_728, 73_728, 147_456, 2_097_152, 10_240)
    assert lenet.outputs == (16_384, 8_192, 2_048, 1_024, 10)
    assert resnet.macs == (442_368, 14_155_776, 12_976_128, 12_976_128, 640)
    assert resnet.weights == (432, 13_824, 50_688, 202_752, 640)
    assert vgg.macs == (3_538_944, 150_994_944, 75_497_472, 150_994_944, 16_777_216, 10_240)
    assert vgg.weights == (3_456, 147_456, 294_912, 589_824, 16_777_216, 10_240)
    totals = [(sum(p.macs) / 1e6, sum(p.weights) / 1e6) for p in (lenet, vgg, resnet)]
    for found, stated in zip(totals, ((32.19, 2.330), (397.8, 17.82), (40.55, 0.268)), strict=True):
        assert found == pytest.approx(stated, rel=2e-3)
    assert [len(p.cuts) for p in (lenet, resnet, vgg)] == [4, 4, 5]


# --- instances -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_instances_give_the_printed_totals(name: str) -> None:
    entry, instance = raw("tables")["data"][name], problem(name)
    for which, values in entry["totals"].items():
        if which == "where":
            continue
        chosen = entry["decisions"][which]
        count = instance.model(chosen["model"]).epochs(instance.model(chosen["model"]).width(chosen["bits"]))[0]
        assert count is not None
        cost = breakdown(instance, constant_plan(instance, chosen, count))
        assert {key: getattr(cost, key) for key in values} == pytest.approx(values, rel=1e-5)


@pytest.mark.parametrize("name", SETS)
def test_instances_stay_in_their_ranges_and_are_the_fit(study: Any, name: str) -> None:
    z, allowed = parameters(problem(name)), study.model.ranges("message")
    slack = 1e-5  # six digits
    assert np.all((z >= allowed.low - slack) & (z <= allowed.high + slack))
    assert z == pytest.approx(study.page.stored(name), abs=1e-5)
    made = study.make.instance(name)
    assert problem(name) == made.replace({"best_known": problem(name).best_known})


@pytest.mark.parametrize("name", SETS)
def test_scalar_products_are_the_librarys_terms(study: Any, name: str) -> None:
    instance = problem(name)
    z = parameters(instance)
    listed = study.decisions.published(name)
    seconds, joules = listed.totals(z)
    for k, chosen in enumerate(listed.choices.listed):
        own = candidate_at(instance, chosen.model, chosen.bits)
        s = own.index[chosen.server, chosen.cut]
        assert own.epochs == listed.expected[k]
        assert (own.time[:, s].sum(), own.energy[:, s].sum()) == pytest.approx((seconds[k], joules[k]), rel=1e-9)


@pytest.mark.parametrize("name", SETS)
def test_optimum_of_the_instance_is_the_printed_one(study: Any, name: str) -> None:
    instance, wanted = problem(name), raw("tables")["data"][name]["decisions"]["optimum"]
    value, *best = cheapest(instance)
    assert best == [wanted["model"], wanted["bits"], wanted["server"], wanted["cut"]]
    solution = qopt.solve(instance)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(value, rel=1e-12)
    plan = solution.plan
    assert (plan.model, plan.bits, plan.servers[0], plan.cuts[0]) == tuple(best)
    assert instance.best_known is not None
    assert instance.best_known["objective"] == pytest.approx(value, rel=1e-12)
    listed = study.decisions.published(name)
    assert listed.choices.listed[int(study.decisions.optimum(listed, parameters(instance)))] == study.data.decision(
        name, "optimum"
    )


@pytest.mark.parametrize("name", SETS)
def test_full_and_minimal_of_the_instance_are_the_printed_ones(study: Any, name: str) -> None:
    instance, decided = problem(name), study.decisions
    z = parameters(instance)
    assert decided.full_right(name, z)
    assert decided.minimal_right(name, z)
    full = study.data.decision(name, "full")
    for model, count in decided.needed_epochs(name, z).items():
        assumed = instance.model(model).epochs(instance.model(model).width(32))[0]
        assert assumed is not None
        assert assumed > count > 0
    own = instance.model(full.model).epochs(instance.model(full.model).width(32))[0]
    assert own == decided.FULL_EPOCHS[name]


@pytest.mark.parametrize("name", SETS)
def test_algorithm_4_takes_the_printed_choice_only_with_the_assumed_risk(study: Any, name: str) -> None:
    """Scores from the equations: energy of K^rob epochs x risk, over K^exp / K^rob."""
    instance, wanted = problem(name), study.data.decision(name, "jqodi")
    scores = {}
    for model, width in instance.admissible:
        expected, robust = model.epochs(width)
        if expected is None or robust is None:
            continue
        for server, cut in itertools.product(instance.server_names, model.admissible_cuts):
            chosen = {"model": model.name, "bits": width.bits, "server": server, "cut": cut}
            cost = breakdown(instance.replace({"estimate": "robust"}), constant_plan(instance, chosen, robust))
            if cost.time is not None and cost.time <= instance.time_limit:
                energy = math.fsum(row.energy or 0.0 for row in cost.epochs)
                key = study.data.Choice(model.name, width.bits, cut, server)
                scores[key] = energy * robust / expected, width.risk or 1.0
    plain = min(scores, key=lambda c: scores[c][0])
    assert plain != wanted
    assert min(scores, key=lambda c: scores[c][0] * scores[c][1]) == wanted
    others = min(v for c, (v, _) in scores.items() if (c.model, c.bits) != (wanted.model, wanted.bits))
    needed = others / scores[wanted][0]
    assert needed == pytest.approx(raw("fit")[name]["message"]["decisions"]["verdicts"]["risk_needed"], rel=1e-3)
    assert scores[wanted][1] <= needed


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    ("method", "printed"), [("jqodi-paper", "jqodi"), ("full-model", "full"), ("minimal-model", "minimal")]
)
def test_qopts_methods_take_the_printed_decisions(name: str, method: str, printed: str) -> None:
    instance, wanted = problem(name), raw("tables")["data"][name]["decisions"][printed]
    plan = qopt.solve(instance, method=method).plan
    assert set(zip(plan.servers, plan.cuts, strict=True)) == {(wanted["server"], wanted["cut"])}
    assert (plan.model, plan.bits) == (wanted["model"], wanted["bits"])


def test_data2_orders_its_strategies_as_printed() -> None:
    """Fig. 11: Optimum and JQODI before Full Model and Minimal Model in energy, all within T_max."""
    instance = problem("data2")
    energies = []
    for method in ("auto", "jqodi-paper", "full-model", "minimal-model"):
        cost = breakdown(instance, qopt.solve(instance, method=method).plan)
        assert cost.time is not None
        assert cost.time <= instance.time_limit
        assert cost.energy is not None
        energies.append(cost.energy)
    assert energies == sorted(energies)


@pytest.mark.parametrize("method", ["highs-mip", "pyomo", "cvxpy"])
@pytest.mark.parametrize("name", SETS)
def test_other_methods_find_the_same_optimum(name: str, method: str) -> None:
    instance = problem(name)
    assert instance.best_known is not None
    assert qopt.solve(instance, method=method).objective == pytest.approx(instance.best_known["objective"], rel=1e-9)


def test_data2_jqodi_costs_more_than_optimum_whatever_the_parameters(study: Any) -> None:
    """8 bits need more epochs than 6 and more work or bits of every part in each."""
    six, eight = (study.data.decision("data2", name) for name in ("optimum", "jqodi"))
    works = [study.model.work(c, study.data.images("data2")) for c in (six, eight)]
    counts = [study.data.epochs("data2", c.model, c.bits)[0] for c in (six, eight)]
    assert counts == [47, 50]
    assert np.all(works[0] <= works[1])


def test_data1_in_the_other_modes() -> None:
    """Energy: choice >= path >= schedule; without changing costs, path and schedule are one problem."""
    # At this limit neither 8 bits nor anything else fits at the cheapest state in all epochs.
    instance = problem("data1").replace({"time_limit": 135.0})
    switching = {"server_time": 0.05, "server_energy": 2.0, "cut_time": 0.1, "cut_energy": 1.0}
    problems = [
        instance,
        instance.replace({"mode": "path", "switching": switching}),
        instance.replace({"mode": "path"}),
        instance.replace({"mode": "schedule"}),
    ]
    solutions = [qopt.solve(p) for p in problems]
    assert {s.status for s in solutions} == {"optimal"}
    choice, path, free, schedule = (s.objective or 0.0 for s in solutions)
    assert choice > path > schedule
    assert free == pytest.approx(schedule, rel=1e-12)
    assert len(set(zip(solutions[3].plan.servers, solutions[3].plan.cuts, strict=True))) > 1


def test_more_time_does_not_move_the_cut() -> None:
    """Section V-D expects more work on the device; in the fits Wi-Fi costs more than that saves."""
    for name in SETS:
        instance = problem(name)
        wanted = raw("tables")["data"][name]["decisions"]["optimum"]
        plan = qopt.solve(instance.replace({"time_limit": 10 * instance.time_limit})).plan
        assert (plan.model, plan.bits, plan.servers[0], plan.cuts[0]) == tuple(
            wanted[key] for key in ("model", "bits", "server", "cut")
        )


def test_eighteen_seconds_on_the_device_are_five_hundred_pictures(study: Any) -> None:
    """Not fitted: Fig. 9's Full Model on the device alone. The printed text does not say of how many pictures."""
    seconds = 500 * sum(study.profiles.PROFILES["vgg"].macs) / problem("data1").decided.speed
    assert seconds == pytest.approx(raw("tables")["inference"]["full_on_device"], rel=0.06)


def test_fig5_is_worked_out_in_its_description(study: Any) -> None:
    instance = problem("fig5")
    assert instance == study.fig5.fig5()
    assert (instance.time_limit, instance.models[0].loss, instance.models[0].loss_limit) == (3.5, 0.02, 0.035)
    epochs = {width.bits: instance.models[0].epochs(width) for width in instance.models[0].widths}
    assert epochs == {2: (None, None), 4: (3, 4), 8: (2, 3)}
    found = []
    for own in candidates(instance):
        for states in itertools.product(own.states, repeat=own.epochs):
            plan = JqodiPlan(
                problem="fig5",
                model=own.model,
                bits=own.bits,
                servers=tuple(x for x, _ in states),
                cuts=tuple(j for _, j in states),
            )
            cost = breakdown(instance, plan)
            if cost.time is not None and cost.time <= instance.time_limit:
                found.append((cost.objective or 0.0, own.bits, plan.servers, plan.cuts))
    best = min(found)
    assert best[1:] == (8, ("fast", "frugal"), (1, 1))
    second = min(f for f in found if f[1] == 4)
    assert second[1:] == (4, ("fast", "frugal", "frugal"), (1, 1, 1))
    assert [best[0], second[0]] == pytest.approx([34.5, 40.3], rel=1e-12)
    solution = qopt.solve(instance)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(34.5, rel=1e-12)
    assert (solution.plan.bits, solution.plan.servers, solution.plan.cuts) == best[1:]


# --- the fit and what the totals say ---------------------------------------------------------------


def test_kept_fits_meet_totals_and_have_their_verdicts(study: Any) -> None:
    fits = raw("fit")
    for name, radio, kind in itertools.product(SETS, ("link", "message"), ("totals", "decisions")):
        z, entry = study.page.stored(name, radio, kind), fits[name][radio][kind]
        assert study.fit.verdicts(name, z) == entry["verdicts"] | {
            key: pytest.approx(entry["verdicts"][key], rel=2e-3) for key in ("risk_needed", "risk_needed_within_model")
        }
        met = np.abs(study.fit.log_ratios(name, z)).max()
        assert met < 1e-4 or (name, radio, kind) == ("data1", "link", "decisions")
        shortfalls = [float(d.shortfall(z).max()) for d in study.fit.demands(name)]
        assert shortfalls == pytest.approx(entry["shortfalls"], abs=1e-4)
    # With Wi-Fi from 1 Mbit/s the three decisions of Data 1 exclude each other: the best is a compromise.
    assert max(fits["data1"]["link"]["decisions"]["shortfalls"]) > 0
    assert max(fits["data1"]["message"]["decisions"]["shortfalls"]) == 0


def test_fit_again_from_the_middle(study: Any) -> None:
    """One start is enough for the totals; the optimum that nobody asked for is on the other server."""
    z = study.fit.fit("data1", "message", decided=False, starts=0)
    assert np.abs(study.fit.log_ratios("data1", z)).max() < 1e-5
    assert study.fit.verdicts("data1", z)["optimum"] == "lenet, 8 bits, cut 1, rtx4090"


@pytest.mark.parametrize(("name", "rank"), [("data1", 6), ("data2", 1)])
def test_totals_identify_as_many_combinations_as_there_are(study: Any, name: str, rank: int) -> None:
    """The Jacobian by differences has the rank of the analytic one, and its kernel leaves the totals alone."""
    z = study.page.stored(name)
    values, directions = study.fit.identified(name, z)
    assert len(values) == rank
    step = 1e-5
    numeric = np.array(
        [study.fit.log_ratios(name, z + step * e) - study.fit.log_ratios(name, z - step * e) for e in np.eye(14)]
    ).T / (2 * step)
    assert np.linalg.svd(numeric)[1][:rank] == pytest.approx(values, rel=1e-5)
    rest = np.eye(14) - directions.T @ directions
    assert np.abs(numeric @ rest).max() < 1e-6


def test_what_an_epoch_of_the_printed_plans_takes() -> None:
    """Two plans that differ in bits and epochs alone: computing and sending, each by itself."""
    entry = raw("tables")["data"]["data1"]
    for key, computing, sending in (("time", 1.611, 0.4504), ("energy", 121.1, 18.46)):
        eight = entry["totals"]["optimum"][key] / entry["epochs"]["lenet"]["8"][0]
        six = entry["totals"]["jqodi"][key] / entry["epochs"]["lenet"]["6"][0]
        per_bit = (eight - six) / 2
        assert (eight - 8 * per_bit, per_bit) == pytest.approx((computing, sending), rel=1e-3)


def test_intervals_hold_every_set_and_are_reached(study: Any) -> None:
    entry = raw("fit")["data1"]["message"]["intervals"]["speed_and_energy"]
    row = next(r for r in raw("robustness") if (r["data"], r["wifi"], r["full_epochs"]) == ("data1", "message", 4))
    for kept in row["kept"]:
        inverse, joules = study.model.unit_costs(np.array(kept["z"]))
        for part, (speed, energy) in zip(study.model.PARTS, entry.values(), strict=True):
            i = study.model.PARTS.index(part)
            assert speed[0] * 0.999 <= 1 / inverse[i] <= speed[1] * 1.001
            assert energy[0] * 0.999 <= joules[i] <= energy[1] * 1.001
    system = study.possible.System("message")
    study.possible.add_totals(system, "data1", 4)
    z = system.solve({4: -1.0})  # slowest link of the RTX 3090 with the cloud: 10 Mbit/s, its range's end
    assert np.exp(z[4]) == pytest.approx(entry["a100-rtx3090"][0][0], rel=1e-4)


# --- what can hold together ------------------------------------------------------------------------


def test_what_is_possible_is_shown_by_parameters(study: Any) -> None:
    """A 'yes' comes with parameters: totals, ranges and decisions are judged by listing, not by the program."""
    decided = study.decisions
    for radio, full, asked in (
        ("link", 6, {"optimum": True}),
        ("link", 4, {"optimum": True, "full": True}),
        ("message", 5, {"optimum": True, "full": True, "minimal": "any"}),
    ):
        z = study.possible.build("data1", radio, {**asked, "epochs": full}).solve()
        assert np.abs(np.expm1(study.fit.log_ratios("data1", z, full))).max() <= 0.02 + 1e-6
        allowed = study.model.ranges(radio)
        assert np.all((z >= allowed.low - 1e-6) & (z <= allowed.high + 1e-6))
        listed = decided.published("data1")
        assert listed.choices.listed[int(decided.optimum(listed, z))] == study.data.decision("data1", "optimum")
        assert "full" not in asked or decided.full_right("data1", z, full)
        assert "minimal" not in asked or decided.minimal_right("data1", z)


def test_answers_are_those_kept(study: Any) -> None:
    """All questions again, but for the long lists of numbers: those beside where the answer changes."""
    kept, ask = raw("possible"), study.possible.possible
    tried = range(2, 11)
    for radio in ("link", "message"):
        for name, asked in study.possible.DEMANDS.items():
            yes = [k for k in tried if ask("data1", radio, {**asked, "epochs": k})]
            assert yes == [k for k in kept[radio]["data1"][name] if k in tried], name
        decided = {"optimum": True, "full": True}
        assert [ask("data2", radio, {**decided, "minimal": k}) for k in (52, 53, 113)] == [True, False, False]
        assert kept[radio]["data2"]["optimum, full and minimal"] == list(range(1, 53))
        literal = study.possible.literal()
        assert sum(literal["resnet20"].weights) < sum(study.profiles.PROFILES["resnet20"].weights)
        assert not ask("data1", radio, {"optimum": True}, literal)
        assert study.possible.joint(radio, {"data1": {}, "data2": {}})
        assert not study.possible.joint(radio, {"data1": {"optimum": True}, "data2": {"optimum": True}})


def test_data2_minimal_with_113_epochs_is_beyond_the_device(study: Any) -> None:
    """By hand: the device's part alone, at its peak speed."""
    chosen = study.data.decision("data2", "minimal")
    on_device = study.model.work(chosen, study.data.images("data2"))[0]
    assert on_device == (3_538_944 + 150_994_944) * 16_000
    peak = study.model.ranges("link").fastest[0]
    assert math.floor(2000 / (on_device / peak)) == 62
    assert study.data.epochs("data2", "vgg", 2)[0] == 113


# --- how often -------------------------------------------------------------------------------------


def test_kept_sets_fit_and_are_judged_as_before(study: Any) -> None:
    rows = raw("robustness")
    assert [(r["data"], r["wifi"], r["full_epochs"]) for r in rows] == [tuple(r) for r in study.robustness.ROWS]
    for row in rows:
        assert row["sets"] == row["fit"] == 1000
        z = np.array([kept["z"] for kept in row["kept"]])
        target = study.sampling.Target(row["data"], study.model.ranges(row["wifi"]), 0.02, row["full_epochs"])
        assert target.inside(z).all()
        truths = study.robustness.judged(row["data"], z, row["full_epochs"])
        assert set(truths) == set(row["shares"])
        for i, kept in enumerate(row["kept"]):
            assert [name for name, holds in truths.items() if holds[i]] == kept["holds"]
        for entry in row["shares"].values():
            interval = binomtest(entry["of"], 1000).proportion_ci(0.95, "exact")
            assert entry["interval"] == pytest.approx([interval.low, interval.high], abs=1e-4)


def test_impossible_decisions_are_in_no_set() -> None:
    """Two ways to one answer: the program proves that there are none, and the draws find none."""
    kept = raw("possible")
    for row in raw("robustness"):
        if row["data"] == "data1" and row["full_epochs"] not in kept[row["wifi"]]["data1"]["optimum"]:
            assert row["shares"]["optimum"]["of"] == 0


@pytest.mark.sweep
def test_draws_are_those_of_plain_rejection(study: Any) -> None:
    """Data 2's one total is loose enough to draw from the ranges and keep what fits."""
    draws, allowed = np.random.default_rng(4), study.model.ranges("link")
    target = study.sampling.Target("data2", allowed, 0.02, 33)
    z = draws.uniform(allowed.low, allowed.high, (300_000, 14))
    z = z[target.inside(z)]
    assert len(z) > 1500
    row = next(r for r in raw("robustness") if (r["data"], r["wifi"]) == ("data2", "link"))
    truths = study.robustness.judged("data2", z, 33)
    for name in ("optimum's server", "optimum's model and bits", "optimum's cut", "full", "jqodi, some risk"):
        mean, kept = truths[name].mean(), row["shares"][name]["of"] / 1000
        spread = math.sqrt(mean * (1 - mean) * (1 / 1000 + 1 / len(z)))
        assert abs(mean - kept) < 4 * spread, name


@pytest.mark.sweep
def test_draws_are_those_of_plain_rejection_with_all_totals(study: Any) -> None:
    """Six totals, each within a factor: every solved coordinate, and those drawn before it, are uniform."""
    draws, allowed = np.random.default_rng(5), study.model.ranges("message")
    target = study.sampling.Target("data1", allowed, 0.95, 4)
    z = draws.uniform(allowed.low, allowed.high, (300_000, 14))
    z = z[target.inside(z)]
    assert len(z) > 500
    found = study.sampling.draw(target, 2000, seed=6, batches=1)
    assert target.inside(found).all()
    for mine, other in zip(found.T, z.T, strict=True):
        assert ks_2samp(mine, other).pvalue > 1e-4
    for i, j in itertools.combinations(range(14), 2):
        assert ks_2samp(found[:, i] - found[:, j], z[:, i] - z[:, j]).pvalue > 1e-5


def test_a_row_drawn_again(study: Any) -> None:
    """Another seed, within what chance allows; and a small share is a small share."""
    kept = next(r for r in raw("robustness") if (r["data"], r["wifi"], r["full_epochs"]) == ("data1", "message", 4))
    target = study.sampling.Target("data1", study.model.ranges("message"), 0.02, 4)
    z = study.sampling.draw(target, 1000, seed=99, batches=3)
    assert target.inside(z).all()
    for name, holds in study.robustness.judged("data1", z, 4).items():
        share, before = holds.mean(), kept["shares"][name]["of"] / 1000
        pooled = (share + before) / 2
        assert abs(share - before) <= 4 * math.sqrt(2 * pooled * (1 - pooled) / 1000) + 0.005, name


# --- observations and orders -----------------------------------------------------------------------

CLAIMS = {
    # name: in data1's instance, with some parameters that give the totals
    "1-bits": (True, True),
    "1-models-1-bit": (False, True),
    "1-models-4-bit": (False, False),
    "3": (True, True),
    "4": (True, True),
    "8-optimum-jqodi": (False, True),
    "8-full": (False, True),
    "9-jqodi-pairs": (True, True),
    "9-jqodi-device": (False, False),
    "9-between": (False, True),
    "9-cheap": (True, True),
    "10-small": (False, True),
    "10-large": (False, True),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claim(study: Any, name: str) -> None:
    claim = next(c for c in study.claims.claims() if c.name == name)
    here, anywhere = CLAIMS[name]
    assert bool(claim.holds(parameters(problem("data1")))) == here
    for radio in ("link", "message"):
        assert (study.claims.parameters_with(radio, (claim,)) is not None) == anywhere


def test_every_claim_has_a_verdict(study: Any) -> None:
    assert {claim.name for claim in study.claims.claims()} == set(CLAIMS)


def test_observation_1_fewer_bits_take_less_in_an_epoch_and_more_in_all() -> None:
    instance = problem("data1")
    one, four = (candidate_at(instance, "lenet", bits, epochs=1) for bits in (1, 4))
    assert np.all(one.time < four.time)
    assert np.all(one.energy < four.energy)
    totals = [candidate_at(instance, "lenet", bits).energy[:, 0].sum() for bits in (2, 4, 6, 8)]
    assert totals == sorted(totals, reverse=True)


def test_observation_2_what_never_reaches_its_loss_is_no_candidate() -> None:
    instance = problem("data1")
    listed = {(own.model, own.bits) for own in candidates(instance.replace({"widths": None}))}
    assert ("lenet", 1) not in listed
    assert ("resnet20", 2) not in listed
    assert ("lenet", 8) in listed


def test_observation_3_the_device_takes_less_energy_and_more_time_to_compute() -> None:
    instance = problem("data1").replace({"models[0].cuts": [0, 5]})
    server, device = (
        breakdown(instance, constant_plan(instance, {"model": "lenet", "bits": 4, "server": "rtx3090", "cut": j}, 44))
        for j in (0, 5)
    )
    assert (server.node_energies["device"], device.node_energies["edge"]) == (0, 0)
    assert device.node_energies["device"] < server.node_energies["edge"]
    assert (device.node_times["device"] or 0) > (server.node_times["edge"] or 0)


def test_observation_4_energy_falls_and_then_rises_along_the_cuts(study: Any) -> None:
    """In the instance it does both; and whatever the parameters it never rises and then falls."""
    instance = problem("data1").replace({"models[0].cuts": [0, 1, 2, 3, 4, 5]})
    own = candidate_at(instance, "lenet", 4, epochs=1)
    steps = np.diff([own.energy[0, own.index["rtx3090", j]] for j in range(6)])
    assert steps[0] < 0 < steps[3]
    draws, allowed = np.random.default_rng(7), study.model.ranges("message")
    joules = study.model.unit_costs(draws.uniform(allowed.low, allowed.high, (2000, 14)))[1]
    turns = 0
    for model, profile in study.profiles.PROFILES.items():
        asked = [
            study.model.work(study.data.Choice(model, 4, j, "rtx3090"), 6500.0) for j in range(len(profile.layers) + 1)
        ]
        rising = np.diff(joules @ np.array(asked).T, axis=1) > 0
        assert np.all(rising[:, 1:] >= rising[:, :-1])
        turns += int((rising[:, -1] > rising[:, 0]).sum())
    assert turns > 100


def test_figures_8_and_10_contradict_each_other(study: Any) -> None:
    """Fig. 8's Full Model needs a server 111 times as fast as the device, Fig. 10's small model at most 17 times."""
    claims = {claim.name: claim for claim in study.claims.claims()}
    lenet, vgg = (study.profiles.PROFILES[name].macs for name in ("lenet", "vgg"))
    at_least, at_most = sum(vgg[1:]) / vgg[0], sum(lenet[1:]) / lenet[0]
    assert (at_least, at_most) == pytest.approx((111.4, 17.19), rel=1e-3)
    for radio in ("link", "message"):
        assert study.claims.parameters_with(radio, (claims["8-full"], claims["10-small"])) is None
        assert study.claims.parameters_with(radio, (claims["8-full"], claims["1-models-1-bit"])) is None
        assert study.claims.parameters_with(radio, (claims["8-full"], claims["10-large"])) is not None


def test_figure_12_minimal_has_the_largest_share_of_its_time_on_the_device(study: Any) -> None:
    assert study.claims.most_on_device(parameters(problem("data2")))
    instance = problem("data2")
    shares = {}
    for name, chosen in raw("tables")["data"]["data2"]["decisions"].items():
        if name != "where":
            model = instance.model(chosen["model"])
            count = model.epochs(model.width(chosen["bits"]))[0]
            assert count is not None
            cost = breakdown(instance, constant_plan(instance, chosen, count))
            assert cost.time is not None
            assert cost.time <= instance.time_limit
            shares[name] = (cost.node_times["device"] or 0) / cost.time
    assert max(shares, key=lambda n: shares[n]) == "minimal"
    assert all(row["shares"]["claim 12"]["of"] == 1000 for row in raw("robustness") if row["data"] == "data2")


def test_page_is_up_to_date(study: Any) -> None:
    text = (STUDY / "README.md").read_text(encoding="utf-8")
    assert study.page.filled(text) == text
