"""JQODI as data: what is refused and in which words, epochs from losses, limits, files, the generator."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from command_line import Cli
from jqodi_problems import data, problem
from qopt.instances import make_schema

import qopt
from qopt.cli.app import main
from qopt.core.errors import InputError
from qopt.core.families import FAMILIES
from qopt.core.method import Method, Options
from qopt.core.reading import load, save
from qopt.jqodi.breakpoints import breakpoints
from qopt.jqodi.generate import jqodi
from qopt.jqodi.limits import smallest_limits
from qopt.jqodi.losses import MAX_EPOCHS, fewest_epochs
from qopt.jqodi.plan import JqodiPlan, checked_plan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import candidate_at, candidates

NAN, INF = float("nan"), float("inf")
SERVERS = [{"name": "A", "speed": 1.0, "energy": 1.0}] * 2
BAD: list[tuple[str, Any, str, str]] = [
    ("mode", "tree", "mode", "'tree'"),
    ("mode", "schedule", "mode", "'schedule' beside a switching that costs"),
    ("time_limit", 0, "time_limit", "0"),
    ("time_limit", NAN, "time_limit", "nan"),
    ("time_limit", INF, "time_limit", "inf"),
    ("cloud.speed", 0, "cloud.speed", "0"),
    ("cloud.energy", -1, "cloud.energy", "-1"),
    ("servers", [], "servers", ""),
    ("servers", SERVERS, "servers", "'A' twice"),
    ("servers[1].cloud_rate", -8.0, "servers[1].cloud_rate", "-8.0"),
    ("servers[1].cloud_rate", 0.0, "servers[1].cloud_rate", "0.0"),
    ("servers[0].speed", "8", "servers[0].speed", "'8'"),
    ("devices", [], "devices", ""),
    ("devices[0].links", [], "devices[0].links", ""),
    ("devices[0].links[0].rate", -4.0, "devices[0].links[0].rate", "-4.0"),
    ("devices[0].links[0].snr", 3.0, "devices[0].links[0].rate", "a rate beside snr"),
    ("devices[0].links[0].rate", None, "devices[0].links[0].rate", "nothing"),
    ("devices[0].links[1].snr", None, "devices[0].links[1].rate", "only bandwidth"),
    ("devices[0].links[1].server", "A", "devices[0].links", "'A' twice"),
    ("devices[1].links[0].server", "moon", "devices[1].links[0].server", "'moon'"),
    ("devices[1].name", "camera", "devices", "'camera' twice"),
    ("devices[0].training", -1, "devices[0].training", "-1"),
    ("device", "moon", "device", "'moon'"),
    ("training_passes", 0, "training_passes", "0"),
    ("models", [], "models", ""),
    ("models[1].name", "given", "models", "'given' twice"),
    ("models[0].macs", [], "models[0].macs", "no layers"),
    ("models[0].macs", [1, -2, 3], "models[0].macs[1]", "-2"),
    ("models[0].macs", [1e308, 1e308, 1], "models[0].macs", "too large"),
    ("models[0].weights", [4, 2], "models[0].weights", "2 entries"),
    ("models[0].activations", [4, NAN, 2], "models[0].activations[1]", "nan"),
    ("models[0].layers", ["a"], "models[0].layers", "1 entries"),
    ("models[0].cuts", [], "models[0].cuts", "[]"),
    ("models[0].cuts", [1, 1], "models[0].cuts", "[1, 1]"),
    ("models[0].cuts", [0, 4], "models[0].cuts", "[0, 4]"),
    ("models[0].cuts", [0.5], "models[0].cuts[0]", "0.5"),
    ("models[0].widths", [], "models[0].widths", ""),
    ("models[0].widths[1].bits", 2, "models[0].widths", "2 bits twice"),
    ("models[0].widths[1].bits", 33, "models[0].widths[1].bits", "33"),
    ("models[0].widths[1].quantize_time", -1, "models[0].widths[1].quantize_time", "-1"),
    ("models[0].widths[1].work", 0, "models[0].widths[1].work", "0"),
    ("models[0].widths[0].epochs.robust", 2, "models[0].widths[0].epochs.robust", "2"),
    ("models[0].widths[0].epochs.expected", 0, "models[0].widths[0].epochs.expected", "0"),
    ("models[0].widths[0].epochs.expected", 2.5, "models[0].widths[0].epochs.expected", "2.5"),
    ("models[1].widths[0].epochs", {"expected": 1}, "models[1].widths[0].epochs", "epochs beside loss"),
    ("models[1].loss", None, "models[1].loss", "nothing"),
    ("models[1].loss_limit", None, "models[1].loss_limit", "nothing"),
    ("models[1].loss_limit", -0.1, "models[1].loss_limit", "-0.1"),
    ("models[1].widths[0].loss.update.robust", -1.0, "models[1].widths[0].loss", "1 robust epochs and 3 expected"),
    ("models[1].widths[0].loss.run.expected", [-0.1, NAN], "models[1].widths[0].loss.run.expected[1]", "nan"),
    ("models[1].widths[0].loss.run.robust", "-0.1", "models[1].widths[0].loss.run.robust", "'-0.1'"),
    ("models[1].widths[0].loss.quantization.robust", INF, "models[1].widths[0].loss.quantization.robust", "inf"),
    ("widths", [], "widths", ""),
    ("widths", [2, 2], "widths", "2 bits twice"),
    ("widths", [2, 5], "widths[1]", "5"),
    ("estimate", "mean", "estimate", "'mean'"),
    ("conditions.servers", {"moon": {}}, "conditions.servers", "'moon'"),
    ("conditions.servers", {"A": {"speed": [1, 1]}}, "conditions.servers.A.speed", "2 entries"),
    ("conditions.servers", {"A": {"available": [True]}}, "conditions.servers.A.available", "1 entries"),
    ("conditions.servers", {"A": {"available": [1] * 3}}, "conditions.servers.A.available[0]", "1"),
    ("conditions.cloud_speed", [1, 1, -1], "conditions.cloud_speed[2]", "-1"),
    ("conditions.device_speed", [1, 1], "conditions.device_speed", "2 entries"),
    ("switching.server_time", -2.0, "switching.server_time", "-2.0"),
    ("switching.server_time", True, "switching.server_time", "True"),
    ("switching.server_time", [[0, 1]], "switching.server_time", "1 entries"),
    ("switching.server_energy", [[0, 1], [1, 2]], "switching.server_energy[1][1]", "2"),
    ("switching.server_energy", [[0, 1], [-1, 0]], "switching.server_energy[1][0]", "-1"),
    ("switching.cut_time", [[0, 1], [1, 0]], "switching.cut_time", "2 entries"),
    ("switching.cut_time", [[0, 1]] * 4, "switching.cut_time", "rows of 2"),
    ("inference.requests", -1, "inference.requests", "-1"),
    ("colour", "red", "colour", "an unknown field"),
]


@pytest.mark.parametrize(("path", "value", "field", "words"), BAD, ids=[f"{b[0]}={str(b[1])[:30]}" for b in BAD])
def test_bad_input_is_one_line(path: str, value: Any, field: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        problem(**{path: value})
    assert error.value.field == field
    assert words in error.value.found
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("missing", ["mode", "time_limit", "cloud", "servers", "devices", "models"])
def test_required_fields(missing: str) -> None:
    given = data()
    del given[missing]
    with pytest.raises(InputError, match=f"{missing}: found nothing"):
        Jqodi(**given)


def test_requests_need_sizes() -> None:
    with pytest.raises(InputError, match=r"models\[1\]\.activations: found nothing"):
        problem(**{"inference.requests": 5.0, "models[1].activations": None})
    with pytest.raises(InputError, match=r"models\[0\]\.input_size: found nothing"):
        problem(**{"inference.requests": 5.0, "models[0].cuts": [0, 1]})
    only_last = {"models[1].activations": None, "models[1].cuts": [2], "inference.requests": 5.0}
    assert problem(**only_last).inference.requests == 5


def test_conditions_may_be_longer_and_must_cover_the_robust_epochs() -> None:
    assert problem().horizon == 7
    with pytest.raises(InputError, match=r"found 3 entries; allowed: at least 4, the epochs of given at 2 bits"):
        problem(estimate="robust", widths=[2, 4], conditions={"device_speed": [1, 1, 1]})
    assert problem(widths=[2, 4], conditions={"device_speed": [1, 1, 1]}).horizon == 3
    short = problem(widths=[4], conditions={"device_speed": [1, 1]})
    with pytest.raises(InputError, match=r"conditions: found 2 epochs; allowed: at least 3, the epochs of given at 2"):
        candidate_at(short, "given", 2)


def test_numbers_that_are_too_large_together() -> None:
    for path in ("cloud.speed", "servers[0].speed", "devices[0].speed"):
        with pytest.raises(InputError, match="too large"):
            candidates(problem(**{path: 1e-305}))
    with pytest.raises(InputError, match="too large"):
        candidates(problem(**{"servers[0].energy": 1e300}))


# --- epochs ----------------------------------------------------------------------------------------------------------


def test_epochs_given_derived_and_never() -> None:
    asked = problem()
    given, derived = asked.models
    assert [given.epochs(width) for width in given.widths] == [(3, 4), (2, 2), (None, None)]
    # 0.5 + 0.25 - 3/16 - 3/16 - 2/16 = 0.25 after three epochs; 0.875 - k 3/32 <= 0.25 from k = 6.67 on
    assert derived.epochs(derived.widths[0]) == (3, 7)
    assert [own.epochs for own in candidates(asked)] == [3, 2, 3]
    robust = problem(estimate="robust")
    assert [(own.epochs, own.counted) for own in candidates(robust)] == [(4, 3), (2, 2), (7, 3)]
    # A robust number that is missing is never reached: out under that estimate, and only there.
    missing = problem(**{"models[0].widths[0].epochs": {"expected": 3}})
    assert [own.key for own in candidates(missing)] == ["given/2", "given/4", "derived/8"]
    assert [own.key for own in candidates(missing.replace({"estimate": "robust"}))] == ["given/4", "derived/8"]


def slowly(start: list[float], changes: list[Any], limit: float, most: int = 3000) -> int | None:
    """Epochs by adding up, epoch by epoch, in rationals."""
    loss = sum(map(Fraction, start), Fraction(0))
    for k in range(most):
        if any(not isinstance(c, float) and k >= len(c) for c in changes):
            return None
        loss += sum(Fraction(c if isinstance(c, float) else float(c[k])) for c in changes)
        if loss <= Fraction(limit * (1 + 1e-12)):
            return k + 1
    return None


def test_fewest_epochs_are_those_of_the_sum() -> None:
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(300):
        start = [float(rng.uniform(0, 2)), float(rng.uniform(-0.1, 1))]
        constant = float(rng.choice([rng.uniform(-0.2, -0.002), rng.uniform(0, 0.02)], p=[0.9, 0.1]))
        listed = rng.uniform(-0.3, 0.1, int(rng.integers(0, 30)))
        several: list[list[Any]] = [[constant, 0.0], [constant, listed], [listed, listed[:5]]]
        for changes in several:
            limit = float(rng.uniform(0, 2))
            found = fewest_epochs(tuple(start), tuple(changes), limit)
            assert found == slowly(start, changes, limit)
            seen.add(found is None)
    assert seen == {True, False}


def test_loss_that_meets_its_limit_exactly() -> None:
    """0.1 three times is not 0.3 in floats; the limit's slack lets it pass, as everywhere."""
    assert fewest_epochs((0.5,), (-0.1, 0.0), 0.2) == 3
    assert fewest_epochs((0.5,), (-0.1, 0.0), 0.5) == 1, "one epoch at the least"
    assert fewest_epochs((0.5,), (0.0, 0.0), 0.4) is None
    assert fewest_epochs((1.0,), (-1e-9, 0.0), 0.0) is None, f"more than {MAX_EPOCHS} count as never"


# --- plans -----------------------------------------------------------------------------------------------------------


def plan(**changes: Any) -> JqodiPlan:
    return JqodiPlan(**{"model": "given", "bits": 4, "servers": ("A", "B"), "cuts": (1, 2), **changes})


def test_plans_that_fit() -> None:
    asked = problem()
    assert checked_plan(asked, plan()) == plan()
    # Where the loss is never reached, any number of epochs fits, as far as conditions are known.
    assert checked_plan(asked, plan(bits=32, servers=("A",) * 5, cuts=(1,) * 5)).bits == 32
    with pytest.raises(InputError, match="found 8 epochs; allowed: 7, for which conditions are given"):
        checked_plan(asked, plan(bits=32, servers=("A",) * 8, cuts=(1,) * 8))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": "moon"}, "plan.model"),
        ({"bits": 8}, "plan.bits"),
        ({"servers": ("A",) * 3, "cuts": (1,) * 3}, "plan.servers"),
        ({"cuts": (1,)}, "plan.cuts"),
        ({"servers": ("A", "C")}, "plan.servers[1]"),
        ({"cuts": (0, 1)}, "plan.cuts[0]"),
        ({"cuts": (1, 3)}, "plan.cuts[1]"),
    ],
)
def test_plans_that_do_not_fit(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as error:
        checked_plan(problem(), plan(**changes))
    assert error.value.field == field


def test_plan_files(tmp_path: Path) -> None:
    qopt.save_plan(plan(), tmp_path / "plan.json")
    assert qopt.read_plan(tmp_path / "plan.json") == plan()
    bad: list[dict[str, Any]] = [{"servers": []}, {"cuts": [-1]}, {"bits": "4"}]
    for wrong in bad:
        (tmp_path / "bad.json").write_text(json.dumps({**plan().to_dict(), **wrong}), encoding="utf-8")
        with pytest.raises(InputError, match=next(iter(wrong))):
            qopt.read_plan(tmp_path / "bad.json")


# --- the relative gap ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [0, -0.1, NAN, INF, "0.1", True])
def test_gap_is_checked_before_anything_is_solved(gap: Any) -> None:
    method = Method(name="m", summary="", proves="", target="", options=("gap",))
    with pytest.raises(InputError, match=r"gap: found .*; allowed: a number > 0"):
        method.check(problem(), Options(gap=gap))
    method.check(problem(), Options(gap=0.1))


def test_gap_is_refused_where_a_method_has_none() -> None:
    with pytest.raises(InputError, match=r"gap: found 0\.1, which chain-dp does not take"):
        qopt.solve("placement/teaching-5", "chain-dp", gap=0.1)
    assert main(["solve", "placement/teaching-5", "--method", "chain-dp", "--gap", "0.1"]) == 2


# --- the command line ------------------------------------------------------------------------------------------------


def test_command_line(qopt_cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "problem.json"
    save(problem(mode="choice"), path)
    solved = qopt_cli("solve", path, "--save-plan", tmp_path / "plan.json")
    assert solved.code == 0
    # 2 J for quantizing and 4 + 8 + 4 + 2 (8 + 4) J in each of three epochs; the other model takes 76 J twice.
    for words in ("model derived at 8 bits, 3 epochs for camera", "122 J", "feasible and optimal, proved"):
        assert words in solved.out
    assert qopt_cli("check", path, tmp_path / "plan.json").code == 0
    tight = qopt_cli("solve", path, "--set", "time_limit=5", "--json")
    assert tight.code == 1
    found = json.loads(tight.out)
    assert (found["status"], found["objective"], found["plan"]) == ("infeasible", None, None)
    assert found["message"] == smallest_limits(problem(mode="choice", time_limit=5.0)).message
    bad = qopt_cli("solve", path, "--set", "servers[0].cloud_rate=-1")
    assert (bad.code, bad.err) == (2, "qopt: servers[0].cloud_rate: found -1; allowed: a number > 0\n")
    assert "inspection" in qopt_cli("methods", "--family", "jqodi").out
    assert qopt_cli("instances", "--family", "jqodi").code == 0


# --- files -----------------------------------------------------------------------------------------------------------


def test_round_trip(tmp_path: Path) -> None:
    for number, each in enumerate(
        (problem(), jqodi(4, seed=1), jqodi(4, seed=2, losses=True, mode="choice"), jqodi(3, seed=3, conditions=False))
    ):
        save(each, tmp_path / f"{number}.json")
        assert load(tmp_path / f"{number}.json") == each


def test_schema_is_current_and_admits_instances() -> None:
    family = FAMILIES["qopt/jqodi"]
    schema = make_schema.schema(family)
    assert make_schema.path(family).read_text(encoding="utf-8") == make_schema.text(family)
    plain = [problem(), jqodi(3, seed=1), jqodi(3, seed=2, losses=True)]
    for each in plain:
        jsonschema.validate(json.loads(json.dumps(each.model_dump(exclude_none=True))), schema)
    for field, value in (("mode", "tree"), ("time_limit", -1), ("colour", 1), ("widths", [0])):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**problem().model_dump(exclude_none=True), field: value}, schema)


def test_bundled_instances_are_sound() -> None:
    for name in qopt.bundled():
        if name.startswith("jqodi/"):
            asked = load(name)
            assert isinstance(asked, Jqodi)
            assert candidates(asked)


# --- generator -------------------------------------------------------------------------------------------------------


def test_generator_is_seeded_feasible_and_varied() -> None:
    assert jqodi(5, seed=3) == jqodi(5, seed=3)
    assert jqodi(5, seed=3) != jqodi(5, seed=4)
    states = set()
    for seed in range(10):
        asked = jqodi(6, seed=seed, servers=3, cuts=3, mode="schedule", conditions=bool(seed % 2))
        front = breakpoints(asked)
        piece = front.at(asked.time_limit)
        assert piece.plan is not None
        states |= set(zip(piece.plan.servers, piece.plan.cuts, strict=True))
        assert smallest_limits(asked).feasible
    assert len(states) >= 4


def test_generated_sizes() -> None:
    asked = jqodi(40, seed=1, servers=20, cuts=30, models=1, widths=(8,))
    own = candidates(asked)[0]
    assert own.time.shape == (40, 600)
    assert asked.switching.costs
    derived = jqodi(40, seed=1, servers=2, cuts=3, widths=(8,), losses=True)
    counts = [model.epochs(model.width(8)) for model in derived.models]
    assert counts[0] == (40, 48)
    assert counts == [model.epochs(model.width(8)) for model in jqodi(40, seed=1, cuts=3, widths=(8,)).models]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"epochs": 0}, "epochs"),
        ({"seed": -1}, "seed"),
        ({"mode": "tree"}, "mode"),
        ({"servers": 0}, "servers"),
        ({"cuts": 201}, "cuts"),
        ({"models": 1.5}, "models"),
        ({"widths": []}, "widths"),
        ({"widths": [0]}, "widths[0]"),
        ({"conditions": 1}, "conditions"),
        ({"switching": True, "mode": "choice"}, "switching"),
        ({"estimate": "mean"}, "estimate"),
        ({"losses": "yes"}, "losses"),
        ({"requests": np.nan}, "requests"),
        ({"tightness": 1.5}, "tightness"),
    ],
)
def test_generator_refuses(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as error:
        jqodi(**{"epochs": 3, "seed": 1, **arguments})
    assert error.value.field == field
