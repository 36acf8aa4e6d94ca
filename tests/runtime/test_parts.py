"""Parts of a model compute what the whole computes, whatever the cut; files are written all or none."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import onnx
import pytest
import sweeps
from onnx_networks import (
    NAMES,
    down_set,
    example,
    feeds_of,
    folded,
    in_two,
    models,
    node,
    outputs_of,
    saved,
    single_cuts,
    small,
    through_parts,
)

from qopt.core.errors import InputError
from qopt.placement.plan import PlacementPlan
from qopt.runtime.folding import Folded
from qopt.runtime.manifest import file_digest, read_parts, run_parts
from qopt.runtime.splitting import split_onnx


def check(own: Folded, cuts: list[set[str]], *, fused: bool = True) -> None:
    feeds = feeds_of(own)
    whole, fast = outputs_of(own, feeds), outputs_of(own, feeds, "all")
    for inside in cuts:
        tiers = in_two(own, inside)
        parts = through_parts(own, tiers, feeds, "off")
        assert all(np.array_equal(parts[name], whole[name]) for name in whole)
        if fused:
            parts = through_parts(own, tiers, feeds, "all")
            for name, value in fast.items():
                assert np.abs(parts[name] - value).max() <= 1e-5 * max(1.0, np.abs(value).max())


@pytest.mark.sweep
@pytest.mark.parametrize("name", NAMES)
def test_every_cut_at_one_tensor_gives_the_whole(name: str) -> None:
    own = example(name)
    check(own, single_cuts(own))


@pytest.mark.parametrize("name", NAMES)
def test_random_down_sets_give_the_whole(name: str) -> None:
    own, rng = example(name), random.Random(name)
    check(own, [down_set(own, rng) for _ in range(4 if sweeps.quick else 200)])


def test_three_tiers_and_an_input_that_two_of_them_read() -> None:
    nodes = [node("Mul", "x w", "a"), node("Add", "a x", "b"), node("Sub", "b y", "c"), node("Abs", "a", "d")]
    own = folded(small(nodes, {"x": [4], "y": [4]}, "c d", {"w": [1, 2, 3, 4]}))
    feeds = feeds_of(own)
    tiers = {"a": ("mobile",), "b": ("edge",), "c": ("cloud",), "d": ("cloud",)}
    found = through_parts(own, tiers, feeds, "off")
    whole = outputs_of(own, feeds)
    assert {*found} == {"c", "d"}
    assert all(np.array_equal(found[name], whole[name]) for name in whole)


def test_tiers_that_wait_for_each_other_are_refused() -> None:
    own = folded(small([node("Abs", "x", "a"), node("Neg", "a", "b"), node("Exp", "b", "c")], {"x": [4]}, "c"))
    with pytest.raises(InputError, match=r"tiers that wait for each other, .* allowed: a plan whose data move one way"):
        through_parts(own, {"a": ("mobile",), "b": ("edge",), "c": ("mobile",)}, feeds_of(own), "off")


def test_what_is_no_tensor_does_not_cross() -> None:
    nodes = [node("SplitToSequence", "x", "s", axis=0), node("ConcatFromSequence", "s", "y", axis=0)]
    own = folded(small(nodes, {"x": [4]}, "y"), optimize=False)
    with pytest.raises(InputError, match="'s', which is no tensor"):
        through_parts(own, {"s": ("a",), "y": ("b",)}, feeds_of(own), "off")


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    nodes = [node("Mul", "x w", "a"), node("Abs", "a", "b"), node("Add", "b v", "y")]
    return saved(small(nodes, {"x": ["n", 4]}, "y", {"w": [1, -2, 3, -4], "v": [1, 1, 1, 1]}), tmp_path)


def plan_of(**tiers: str) -> PlacementPlan:
    return PlacementPlan(operator="identity", tiers=tiers)


def test_a_folder_of_parts_says_what_crosses_and_runs(chain: Path, tmp_path: Path) -> None:
    plan = plan_of(a="mobile", b="edge 5/6", y="cloud")
    parts = split_onnx(chain, plan, tmp_path / "parts", shapes={"x": (2, 4)})
    assert [(p.tier, p.reads, p.writes) for p in parts.parts] == [
        ("mobile", ("x",), ("a",)),
        ("edge 5/6", ("a",), ("b",)),
        ("cloud", ("b",), ("y",)),
    ]
    assert [(t.name, t.type, t.shape, t.bytes, t.sender, t.readers) for t in parts.tensors] == [
        ("a", "float32", (2, 4), 32, "mobile", ("edge 5/6",)),
        ("b", "float32", (2, 4), 32, "edge 5/6", ("cloud",)),
    ]
    assert read_parts(tmp_path / "parts") == parts
    for part in parts.parts:
        onnx.checker.check_model(tmp_path / "parts" / part.file)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    found = run_parts(tmp_path / "parts", {"x": x}, optimization="off")
    np.testing.assert_array_equal(found["y"], np.abs(x * np.array([1, -2, 3, -4], np.float32)) + 1)


def test_a_plan_of_another_operator_needs_the_profile_of_its_file(chain: Path, tmp_path: Path) -> None:
    """Which file an operator's is, its profile says: the model as it is would run something else."""
    plan = plan_of(a="mobile", b="mobile", y="cloud").model_copy(update={"operator": "quantized"})
    with pytest.raises(InputError, match=r"plan.operator: found 'quantized'; allowed: identity; .* the profile"):
        split_onnx(chain, plan, tmp_path / "parts", shapes={"x": (2, 4)})
    assert not (tmp_path / "parts").exists()


def test_weights_beside_a_part_that_would_be_too_large(tmp_path: Path) -> None:
    big = saved(models.residual(), tmp_path, "residual.onnx")
    own = example("residual")
    plan = PlacementPlan(
        operator="identity",
        tiers={row.name: "a" if i < 20 else "b" for i, row in enumerate(own.network.operations)},
    )
    shapes = {"image": (1, 1, 28, 28)}
    split_onnx(big, plan, tmp_path / "plain", shapes=shapes)
    split_onnx(big, plan, tmp_path / "beside", shapes=shapes, large=10_000)
    assert (tmp_path / "beside" / "1-b.onnx.data").stat().st_size > 100_000
    assert (tmp_path / "beside" / "1-b.onnx").stat().st_size < 10_000
    feeds = feeds_of(own)
    for level in ("off", "all"):
        one, two = (run_parts(tmp_path / f, feeds, optimization=level)["logits"] for f in ("plain", "beside"))
        np.testing.assert_array_equal(one, two)


def test_nothing_half_written(chain: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("keep me")
    refused = [
        (plan_of(a="m", b="m", y="m"), "full", {}, "something that is there already"),
        (plan_of(a="m", b="m"), "new", {}, "no tier for 'y' of model.onnx; allowed: a plan of model.onnx"),
        (plan_of(a="m", b="m", y="m", z="m"), "new", {}, "z: found an operation that model.onnx does not have"),
        (plan_of(a="m", b="c", y="m"), "new", {}, "tiers that wait for each other"),
        (plan_of(a="m", b="m", y="m"), "no/such/folder", {}, "no such file"),
    ]
    before = sorted(tmp_path.rglob("*"))
    for plan, folder, options, why in refused:
        with pytest.raises(InputError, match=why):
            split_onnx(chain, plan, tmp_path / folder, shapes={"x": (2, 4)}, **options)
        assert sorted(tmp_path.rglob("*")) == before


def test_parts_that_changed_are_not_run(chain: Path, tmp_path: Path) -> None:
    split_onnx(chain, plan_of(a="m", b="c", y="c"), tmp_path / "parts", shapes={"x": (1, 4)})
    with pytest.raises(InputError, match="nothing for 'x'"):
        run_parts(tmp_path / "parts", {})
    manifest = tmp_path / "parts" / "parts.json"
    kept = json.loads(manifest.read_text())
    for change, why in (
        ({"file": "../0-m.onnx"}, "parts"),
        ({"fingerprint": "0" * 64}, "another file than the manifest names"),
        ({"file": "9.onnx"}, "no file"),
        ({"reads": ["q"]}, "'q'"),
    ):
        manifest.write_text(json.dumps({**kept, "parts": [{**kept["parts"][0], **change}, *kept["parts"][1:]]}))
        with pytest.raises(InputError, match=why):
            run_parts(tmp_path / "parts", {"x": np.zeros((1, 4), np.float32)})


@pytest.mark.parametrize("place", ["other.bin", "../w.bin", "{file}.data"])
def test_weights_lie_in_no_file_that_the_fingerprint_does_not_cover(place: str, tmp_path: Path) -> None:
    model = saved(small([node("Mul", "x w", "y")], {"x": [1, 4]}, "y", {"w": [1, 2, 3, 4]}), tmp_path)
    folder = tmp_path / "parts"
    split_onnx(model, PlacementPlan(operator="identity", tiers={"y": "edge"}), folder)
    (file,) = (part.file for part in read_parts(folder).parts)
    place = place.format(file=file)
    (folder / place).write_bytes(np.ones(4, np.float32).tobytes())
    proto = onnx.load(folder / file)
    (weight,) = proto.graph.initializer
    weight.ClearField("raw_data")
    weight.ClearField("float_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=place)
    (folder / file).write_bytes(proto.SerializeToString())
    manifest = json.loads((folder / "parts.json").read_text())
    manifest["parts"][0]["fingerprint"] = file_digest(folder / file)
    (folder / "parts.json").write_text(json.dumps(manifest))
    if place.endswith(".data"):
        assert read_parts(folder).parts[0].file == file
    else:
        with pytest.raises(InputError, match="weights in"):
            read_parts(folder)
