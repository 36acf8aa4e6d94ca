"""Bad input: one `InputError`, one line that names the field, what was found and what is allowed."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweeps import examples

from qopt.core import reading
from qopt.core.errors import InputError
from qopt.core.reading import from_data, load, read_json, save
from qopt.qpart.generate import qpart
from qopt.qpart.problem import QPart

GOOD: dict[str, Any] = {
    "format": "qopt/qpart",
    "version": 1,
    "network": {
        "macs": [32, 32, 64],
        "weights": [16, 32, 64],
        "activations": [112, 16, 16],
        "input_size": 64,
    },
    "device": {"cycles_per_mac": 1, "clock": 1000},
    "server": {"cycles_per_mac": 1, "clock": 16000},
    "channel": {"rate": 2000},
    "noise": {"model": "law", "s_weights": [512, 64, 32], "s_activations": [56, 4, 2]},
    "accuracy": {"levels": [0.005, 0.01], "delta": [[1, 1, 1], [2, 2, 2]]},
    "level": 0.01,
}
TABLE = {"bits": [1, 2], "weights": [[1, 2]] * 3, "activations": [[1, 2]] * 3}
SHANNON = {"bandwidth": 1e6, "gain": 1, "noise_power": 1}
MISSING = object()


def with_change(path: str, value: Any) -> dict[str, Any]:
    data: Any = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    at = data
    for step in parents:
        at = at.setdefault(step, {})
    if value is MISSING:
        del at[last]
    else:
        at[last] = value
    return data  # type: ignore[no-any-return]


def refusal(call: Any, *arguments: Any) -> InputError:
    """The one complaint, after checking that it is one printable line with all three parts."""
    with pytest.raises(InputError) as caught:
        call(*arguments)
    error = caught.value
    line = str(error)
    assert line.isprintable()
    assert len(line) < 700
    assert line == f"{error.field}: found {error.found}; allowed: {error.allowed}"
    assert error.field
    assert error.found
    assert error.allowed
    return error


def test_the_good_request_is_good() -> None:
    assert len(from_data(GOOD).network) == 3


BAD = [
    # change, value, field complained of, found, allowed
    ("network.macs", [32, -1, 2], "network.macs[1]", "-1", "a finite number >= 0"),
    ("network.macs", [32, math.nan, 2], "network.macs[1]", "nan", "a finite number >= 0"),
    ("network.macs", [32, 2, math.inf], "network.macs[2]", "inf", "a finite number >= 0"),
    ("network.macs", [None, 2, 2], "network.macs[0]", "None", "a finite number >= 0"),
    ("network.macs", [32, True, 2], "network.macs[1]", "True", "a finite number >= 0"),
    ("network.macs", [32, "3", 2], "network.macs[1]", "'3'", "a finite number >= 0"),
    ("network.macs", [32, [3], 2], "network.macs[1]", "[3]", "a finite number >= 0"),
    ("network.macs", [32, 10**400, 2], "network.macs[1]", "1000", "a finite number >= 0"),
    ("network.macs", np.array(5.0), "network.macs", "5.0", "a list of finite numbers >= 0"),
    ("network.macs", np.array([True, False, True]), "network.macs[0]", "True", "a finite number >= 0"),
    ("network.macs", 5, "network.macs", "5", "a list of finite numbers >= 0"),
    ("network.macs", "32", "network.macs", "'32'", "a list of finite numbers >= 0"),
    ("network.macs", None, "network.macs", "None", "a list of finite numbers >= 0"),
    ("network.macs", MISSING, "network.macs", "nothing", "required"),
    ("network.macs", [], "network.macs", "no layers", "at least one layer"),
    ("network.weights", [1, 2], "network.weights", "2 entries", "3, one for each layer"),
    ("network.activations", [1, 2, 3, 4], "network.activations", "4 entries", "3, one for each layer"),
    ("network.input_size", -1, "network.input_size", "-1", "a number >= 0"),
    ("network.input_size", math.nan, "network.input_size", "nan", "a finite number"),
    ("network.input_size", math.inf, "network.input_size", "inf", "a finite number"),
    ("network.input_size", 10**400, "network.input_size", "1000", "a finite number"),
    ("network.input_size", "64", "network.input_size", "'64'", "a number"),
    ("network.input_size", True, "network.input_size", "True", "a number"),
    ("network.input_size", None, "network.input_size", "None", "a number"),
    ("network.input_size", MISSING, "network.input_size", "nothing", "required"),
    ("network.input_bits", 0, "network.input_bits", "0", ">= 1"),
    ("network.input_bits", 65, "network.input_bits", "65", "<= 64"),
    ("network.input_bits", 8.5, "network.input_bits", "8.5", "a whole number"),
    ("network.last_reader", [1, 2, 3], "network.last_reader", "3 entries", "4, one for each tensor"),
    ("network.last_reader", [1, 1, 3, 4], "network.last_reader[1]", "1", "from 2 to 4"),
    ("network.last_reader", [1, 5, 3, 4], "network.last_reader[1]", "5", "from 2 to 4"),
    ("network.last_reader", [1, 2.5, 3, 4], "network.last_reader[1]", "2.5", "a whole number"),
    ("network.last_reader", [1, 1e300, 3, 4], "network.last_reader[1]", "1e+300", "a whole number from 0"),
    ("network.layers", ["a"], "network.layers", "1 name", "3, one for each layer"),
    ("network.layers", ["a", "b", 3], "network.layers[2]", "3", "a string"),
    ("network.layers", "abc", "network.layers", "'abc'", "a list"),
    ("network.biases", [1, 2, 3], "network.biases", "an unknown field", "macs, weights, activations"),
    ("network", {}, "network.macs", "nothing", "required (3 more"),
    ("network", [1], "network", "[1]", "an object with macs"),
    ("network", MISSING, "network", "nothing", "required"),
    ("colour", "red", "colour", "an unknown field", "network, device, server"),
    ("two\nlines\x1b[2J", 1, "'two\\nlines\\x1b[2J'", "an unknown field", "network, device, server"),
    ("device.clock", 0, "device.clock", "0", "> 0"),
    ("device.clock", -2.0, "device.clock", "-2.0", "> 0"),
    ("device.clock", MISSING, "device.clock", "nothing", "required"),
    ("device.memory", -1, "device.memory", "-1", ">= 0"),
    ("device.energy_coefficient", math.nan, "device.energy_coefficient", "nan", "a finite number"),
    ("server.charge_energy", "yes", "server.charge_energy", "'yes'", "true or false"),
    ("server.charge_energy", 1, "server.charge_energy", "1", "true or false"),
    ("channel.rate", 0, "channel.rate", "0", "> 0"),
    ("channel.bandwidth", 1e6, "channel.rate", "a rate beside bandwidth", "one or the other"),
    ("channel", {}, "channel", "no rate and no bandwidth", "rate, or bandwidth, gain and noise_power"),
    ("channel", {"bandwidth": 1.0, "gain": 1.0}, "channel", "no noise_power", "rate, or bandwidth, gain"),
    ("channel", SHANNON, "channel", "a rate of 0.0", "a positive rate"),
    ("objective.time", -1, "objective.time", "-1", ">= 0"),
    ("noise.model", "laws", "noise.model", "'laws'", "'law', 'grid' or 'table'"),
    ("noise.model", "table", "noise.table", "nothing", "a table, because model is 'table'"),
    ("noise.s_weights", MISSING, "noise.s_weights", "nothing", "a column, because model is 'law'"),
    ("noise.s_weights", [1, 2], "noise.s_weights", "2 entries", "3, one for each layer"),
    ("noise.s_activations", [1, 2, -3], "noise.s_activations[2]", "-3", "a finite number >= 0"),
    ("noise.table", {**TABLE, "bits": [1, 3]}, "noise.table.bits", "[1, 3]", "consecutive widths"),
    ("noise.table", {**TABLE, "bits": []}, "noise.table.bits", "[]", "consecutive widths"),
    ("noise.table", {**TABLE, "bits": [0, 1]}, "noise.table.bits[0]", "0", "a whole number from 1 to 64"),
    (
        "noise.table",
        {**TABLE, "weights": [[1, 2]] * 2},
        "noise.table.weights",
        "2 entries",
        "3, one for each layer",
    ),
    (
        "noise.table",
        {**TABLE, "weights": [[1, 2, 3]] * 3},
        "noise.table.weights",
        "3 entries",
        "2, one for each width",
    ),
    (
        "noise.table",
        {**TABLE, "weights": [[1, 2], [1], [1, 2]]},
        "noise.table.weights",
        "rows of 1 and of 2",
        "equal",
    ),
    ("noise", {"model": "table", "table": TABLE}, "bits", "1..16", "widths of noise.table, 1..2"),
    ("accuracy.levels", [], "accuracy.levels", "[]", "at least one level, ascending"),
    ("accuracy.levels", [0.02, 0.01], "accuracy.levels", "[0.02, 0.01]", "ascending"),
    ("accuracy.levels", [0.01, 1.5], "accuracy.levels[1]", "1.5", "an accuracy loss in (0, 1]"),
    ("accuracy.levels", [0, 0.01], "accuracy.levels[0]", "0", "an accuracy loss in (0, 1]"),
    ("accuracy.delta", [[1, 1, 1]], "accuracy.delta", "1 entr", "2, one for each level"),
    ("accuracy.delta", [[1, 1]] * 2, "accuracy.delta", "2 entries", "3, one for each layer"),
    ("accuracy.delta", [[1, 1, 1], [1]], "accuracy.delta", "rows of 1 and of 3 entries", "equal length"),
    ("accuracy.delta", [], "accuracy.delta", "no rows", "at least one row"),
    ("accuracy.delta", [1, 1, 1], "accuracy.delta[0]", "1", "a row of finite numbers >= 0"),
    ("accuracy.delta", [[1, 1, 1], [1, -1, 1]], "accuracy.delta[1][1]", "-1", "a finite number >= 0"),
    ("accuracy.delta", [[1, 1, 1], [1, None, 1]], "accuracy.delta[1][1]", "None", "a finite number >= 0"),
    (
        "accuracy.rho_weights",
        [[1, None, 1], [1, 0, 1]],
        "accuracy.rho_weights[1][1]",
        "0",
        "a number > 0, or null",
    ),
    ("level", 0.02, "level", "0.02", "one of 0.005, 0.01"),
    ("level", 0, "level", "0", "> 0"),
    ("level", 1.01, "level", "1.01", "<= 1"),
    ("level", -0.1, "level", "-0.1", "> 0"),
    ("level", "0.01", "level", "'0.01'", "a number"),
    ("level", True, "level", "True", "a number"),
    ("level", MISSING, "level", "nothing", "required"),
    ("bits", {"lo": 4, "hi": 2}, "bits", "lo 4 above hi 2", "lo <= hi"),
    ("bits", [1, 16], "bits", "[1, 16]", "an object with lo, hi"),
    ("bits.lo", 0, "bits.lo", "0", ">= 1"),
    ("bits.hi", 65, "bits.hi", "65", "<= 64"),
    ("bits.hi", 2.5, "bits.hi", "2.5", "a whole number"),
    ("cuts", [], "cuts", "[]", "at least one cut from 0 to 3"),
    ("cuts", [1, 1], "cuts", "[1, 1]", "none twice"),
    ("cuts", [3, 1], "cuts", "[3, 1]", "ascending"),
    ("cuts", [4], "cuts", "[4]", "at least one cut from 0 to 3"),
    ("cuts", [-1, 2], "cuts[0]", "-1", "a whole number from 0"),
    ("cuts", [1.5], "cuts[0]", "1.5", "a whole number from 0"),
    ("cuts", 2, "cuts", "2", "a list of whole numbers"),
    ("inferences", 0, "inferences", "0", ">= 1"),
    ("inferences", 1.5, "inferences", "1.5", "a whole number"),
    ("inferences", True, "inferences", "True", "a whole number"),
    ("tie_cut", "no", "tie_cut", "'no'", "true or false"),
    ("version", 2, "version", "2", "1"),
    ("format", "other/thing", "format", "'other/thing'", "qopt/qpart"),
    ("format", ["qopt/qpart"], "format", "['qopt/qpart']", "qopt/qpart"),
    ("format", MISSING, "format", "nothing", "qopt/qpart"),
    ("name", 3, "name", "3", "a string"),
    ("best_known", [1], "best_known", "[1]", "an object"),
]


@pytest.mark.parametrize(
    ("path", "value", "field", "found", "allowed"), BAD, ids=[f"{i}-{case[0]}" for i, case in enumerate(BAD)]
)
def test_bad_field(path: str, value: Any, field: str, found: str, allowed: str) -> None:
    error = refusal(from_data, with_change(path, value))
    assert error.field == field
    assert found in error.found
    assert allowed in error.allowed


def test_other_complaints_are_counted_once_each() -> None:
    """A list whose only entry is wrong is not also too short."""
    toy = load("jqodi/fig5")
    one = refusal(toy.replace, {"models[0].widths": [{"bits": 8, "unknown": 1}]})
    assert "more like this" not in one.text
    two = refusal(toy.replace, {"models[0].widths": [{"bits": 99}, {"bits": -1}]})
    assert two.text.endswith("(1 more like this)")
    assert refusal(toy.replace, {"models": []}).allowed == "a list of 1 or more entries"


def test_the_constructor_complains_as_the_reader_does() -> None:
    data = with_change("accuracy.delta", [[1, 1, 1], [1, -1, 1]])
    assert str(refusal(lambda: QPart(**data))) == str(refusal(from_data, data))


@pytest.mark.parametrize("content", [[1], 3, None, "text", True])
def test_not_an_object(content: Any) -> None:
    error = refusal(from_data, content)
    assert error.field == "file"
    assert error.found == repr(content)


FILES = [
    (b"", "no JSON at line 1, column 1"),
    (b"{", "no JSON at line 1, column 2"),
    (b'{"format": "qopt/qpart",}', "no JSON at line 1"),
    (b'\n\n  "a" "b"', "no JSON at line 3, column 7"),
    (b"PK\x03\x04", "no JSON"),
    (b'{"name": "\xff"}', "byte 10 that is not UTF-8"),
    ("{}".encode("utf-16"), "byte 0 that is not UTF-8"),
    (b"[" * 100_000 + b"]" * 100_000, "brackets nested too deeply"),
    (b'{"a":' * 100_000, "brackets nested too deeply"),
    (b'{"level": ' + b"1" * 10_000 + b"}", "limit"),
]


@pytest.mark.parametrize(("content", "found"), FILES, ids=range(len(FILES)))
@pytest.mark.parametrize("reader", [load, read_json], ids=["load", "read_json"])
def test_not_a_json_file(tmp_path: Path, reader: Any, content: bytes, found: str) -> None:
    path = tmp_path / "request.json"
    path.write_bytes(content)
    error = refusal(reader, path)
    assert error.field == str(path)
    assert found in error.found


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_json_has_not(tmp_path: Path, constant: str) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(GOOD).replace("0.005", constant))
    error = refusal(load, path)
    assert constant in error.found
    assert "finite" in error.allowed


def test_number_beyond_double(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(GOOD).replace("16000", "1e999"))
    error = refusal(load, path)
    assert (error.field, error.found, error.allowed) == ("server.clock", "inf", "a finite number")


@pytest.mark.parametrize("key", ["level", "two\\nlines"])
def test_duplicate_key(tmp_path: Path, key: str) -> None:
    path = tmp_path / "request.json"
    path.write_text(f'{{"{key}": 1, "{key}": 2}}')
    error = refusal(load, path)
    assert key in error.field
    assert error.found == "the field twice in one object"
    assert error.allowed == "once"


@pytest.mark.parametrize("depth", [10, 300, 900, 950, 980, 985, 990, 995, 1100])
def test_nested_field(tmp_path: Path, depth: int) -> None:
    """Where the parser still copes, the complaint must not stumble over showing what it found."""
    path = tmp_path / "request.json"
    path.write_text(json.dumps(GOOD).replace("[32, 32, 64]", "[" * depth + "]" * depth))
    error = refusal(load, path)
    assert error.field in ("network.macs[0]", str(path))
    assert "[[[" in error.found or "nested" in error.found


def test_too_large_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "request.json"
    text = json.dumps(GOOD)
    path.write_text(text + " " * (2**20 + 1 - len(text)))
    assert load(path) == from_data(GOOD)
    monkeypatch.setattr(reading, "MAX_BYTES", 2**20)
    error = refusal(load, path)
    assert (error.field, error.found, error.allowed) == (str(path), "more than 1 MiB", "at most 1 MiB")


def test_an_endless_file_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 2**16)
    assert refusal(read_json, "/dev/zero").found.startswith("more than")


def test_directory(tmp_path: Path) -> None:
    error = refusal(load, tmp_path)
    assert error.field == str(tmp_path)
    assert "directory" in error.found


@pytest.mark.parametrize(
    "name", ["qpart/teaching-4", "teaching3", "no/such/thing", "", "a\0b", "two\nlines", "x" * 5000]
)
def test_unknown_name(name: str) -> None:
    error = refusal(load, name)
    assert error.field == "instance"
    assert "the path of a file" in error.allowed
    assert "qpart/" in error.allowed


def test_a_misspelled_name_is_recognized() -> None:
    error = refusal(load, "qpart/teching-3")
    assert error.field == "instance"
    assert error.found == "'qpart/teching-3'"
    assert "qpart/teaching-3" in error.allowed


def test_missing_file_given_to_read_json(tmp_path: Path) -> None:
    assert "no such file" in refusal(read_json, tmp_path / "nothing.json").found


def test_a_failed_save_leaves_nothing_and_changes_nothing(tmp_path: Path) -> None:
    refusal(save, from_data(GOOD), tmp_path / "no-such-folder" / "request.json")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder").mkdir()
    refusal(save, from_data(GOOD), tmp_path / "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"channel.speed": 1.0}, "channel.speed"),
        ({"radio.rate": 1.0}, "radio.rate"),
        ({"level.x": 1.0}, "level.x"),
        ({"level": 0.5}, "level"),
        ({"network.macs": [1, 2]}, "network.weights"),
    ],
)
def test_bad_replacement(changes: dict[str, Any], field: str) -> None:
    assert refusal(from_data(GOOD).replace, changes).field == field


ARGUMENTS = [
    ({"layers": 0}, "layers", "1 to 1000000"),
    ({"layers": 2.0}, "layers", "a whole number"),
    ({"layers": True}, "layers", "a whole number"),
    ({"seed": -1}, "seed", ">= 0 | from 0"),
    ({"seed": None}, "seed", "a whole number"),
    ({"spread": -1}, "spread", ">= 0"),
    ({"spread": math.nan}, "spread", ">= 0"),
    ({"noise": "laws"}, "noise", "'table'"),
    ({"bits": (4, 2)}, "bits", "lo <= hi"),
    ({"bits": (0, 2)}, "bits.lo", ">= 1"),
    ({"bits": 4}, "bits", "a pair (lo, hi)"),
    ({"bits": (1, 4), "reference_bits": 5}, "reference_bits", "from 1 to 4"),
    ({"memory": -1.0}, "memory", ">= 0"),
    ({"memory": math.inf}, "memory", "<= 1e+300"),
    ({"cuts": [7]}, "cuts", "from 0 to 3"),
    ({"tie_cut": 1}, "tie_cut", "true or false"),
    ({"branches": 1}, "branches", "true or false"),
    ({"insensitive": 1.5}, "insensitive", "<= 1"),
    ({"objective_scale": 0}, "objective_scale", "> 0"),
    ({"noise_scale": "1"}, "noise_scale", "> 0"),
]


@pytest.mark.parametrize(("arguments", "field", "allowed"), ARGUMENTS, ids=[str(a[0]) for a in ARGUMENTS])
def test_bad_arguments_of_the_generator(arguments: dict[str, Any], field: str, allowed: str) -> None:
    error = refusal(lambda: qpart(**{"layers": 3, "seed": 0, **arguments}))
    assert error.field == field
    assert any(part in error.allowed for part in allowed.split(" | "))


def leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything in a request, containers included."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(p for key, value in inner for p in leaves(value, (*path, key)))]


FULL = json.loads(reading.to_json(qpart(2, seed=1, noise="table", bits=(1, 3), branches=True, memory=1.0, cuts=[0, 2])))
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@examples(400)
@given(st.sampled_from(leaves(FULL)[1:]), JUNK)
def test_junk_anywhere_is_refused_in_one_line_or_read(path: tuple[Any, ...], junk: Any) -> None:
    data = copy.deepcopy(FULL)
    at = data
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = junk
    try:
        problem = from_data(data)
    except InputError:
        refusal(from_data, data)
    else:
        assert from_data(json.loads(reading.to_json(problem))) == problem
