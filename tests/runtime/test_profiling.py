"""A profile lists what runs, what passes and what is held; a treated file is laid beside the untreated one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command_line import Cli
from onnx import TensorProto, numpy_helper
from onnx_networks import FAST, example, feeds_of, folded, models, node, outputs_of, saved, small, through_parts

from qopt.core.errors import InputError
from qopt.placement.plan import PlacementPlan
from qopt.placement.profile import Profile, read_profile
from qopt.runtime.exits import early_exit, exit_onnx
from qopt.runtime.folding import fold
from qopt.runtime.manifest import run_parts
from qopt.runtime.mapping import match
from qopt.runtime.profiling import profile_onnx
from qopt.runtime.quantizing import quantize_onnx
from qopt.runtime.sessions import options, run, session, write_model
from qopt.runtime.shapes import parse_sizes
from qopt.runtime.splitting import assigned, split_onnx
from qopt.runtime.timing import Protocol, timed

IMAGE = {"image": (1, 1, 28, 28)}
SHORT = ((8, 1, 1), (8, 3, 2))
"""Stages of a residual network that is quickly quantized: the last two blocks are alike."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A residual network, shortened, quantized, and both."""
    folder = tmp_path_factory.mktemp("onnx")
    found = {name: folder / f"{name}.onnx" for name in ("whole", "exit", "quantized", "both")}
    found["whole"].write_bytes(models.residual(stages=SHORT).SerializeToString())
    exit_onnx(found["whole"], found["exit"], shapes=IMAGE)
    images = {"image": np.random.default_rng(0).standard_normal((4, 1, 28, 28)).astype(np.float32)}
    quantize_onnx(found["whole"], images, found["quantized"])
    quantize_onnx(found["exit"], images, found["both"])
    return found


@pytest.fixture(scope="module")
def profiles(files: dict[str, Path]) -> dict[str, Profile]:
    """Of each file."""
    found = {"whole": profile_onnx(files["whole"], shapes=IMAGE, **FAST)}
    for name in ("exit", "quantized", "both"):
        found[name] = profile_onnx(files[name], of=files["whole"], shapes=IMAGE, operator=name, **FAST)
    return found


def test_what_is_timed_has_run_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a warm-up too: the first run of a session sets its memory up."""
    done: list[Any] = []

    def told(made: Any, *rest: Any, **more: Any) -> Any:
        done.append(made)
        return run(made, *rest, **more)

    def asked(made: Any, *_: Any) -> float:
        assert any(made is one for one in done)
        return 1.0

    monkeypatch.setattr("qopt.runtime.timing.run", told)
    monkeypatch.setattr("qopt.runtime.timing.served", asked)
    proto = small([node("Relu", "x", "y", name="y")], {"x": [1, 4]}, "y", {})
    found = timed(proto, "f", {"x": np.ones((1, 4), np.float32)}, Protocol(0, 1, 1))
    assert found.deployed.seconds == 1.0


def test_operations_bytes_and_shared_weights(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "a"), node("Relu", "a", "b"), node("MatMul", "b w", "c"), node("Mul", "c b", "y")]
    proto = small(nodes, {"x": ["n", 4]}, "y", {"w": np.ones((4, 4), np.float32)})
    shapes = [{"x": (1, 4)}, {"x": (3, 4)}]
    found = profile_onnx(saved(proto, tmp_path), shapes=shapes, tier="mobile", accuracy=0.5, **FAST)
    assert [(o.name, o.kind, o.reads, o.writes, o.weights) for o in found.operations] == [
        ("a", "MatMul", ("x",), ("a",), ("w",)),
        ("b", "Relu", ("a",), ("b",), ()),
        ("c", "MatMul", ("b",), ("c",), ("w",)),
        ("y", "Mul", ("c", "b"), ("y",), ()),
    ]
    assert [(t.name, t.shapes, t.bytes.tolist()) for t in found.tensors] == [
        (name, ((1, 4), (3, 4)), [16, 48]) for name in "xabcy"
    ]
    assert [(w.name, w.bytes) for w in found.weights] == [("w", 64)]  # held twice, counted once
    assert (found.inputs, found.outputs, found.tier, found.accuracy) == (("x",), ("y",), "mobile", 0.5)
    for timing in [found.whole, found.deployed, *(own.time for own in found.operations)]:
        assert timing is not None
        assert np.all(timing.low <= timing.seconds)
        assert np.all(timing.seconds <= timing.high)
    assert found.measuring.confidence == 0.5


def test_types_that_are_no_bytes_weigh_what_they_take(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "h", to=TensorProto.FLOAT16), node("Cast", "h", "y", to=TensorProto.FLOAT)]
    found = profile_onnx(saved(small(nodes, {"x": [8]}, "y"), tmp_path), optimize=False, **FAST)
    assert [(t.name, t.type, t.bytes[0]) for t in found.tensors] == [
        ("x", "float32", 32),
        ("h", "float16", 16),
        ("y", "float32", 32),
    ]


def test_pre_and_post_processing_are_operations(files: dict[str, Path]) -> None:
    calls = []

    def scale(shapes: dict[str, tuple[int, ...]]) -> Any:
        raw = np.zeros(shapes["image"], np.uint8)
        return (lambda image: calls.append(1) or image / np.float32(255)), raw

    found = profile_onnx(
        files["whole"],
        shapes=IMAGE,
        pre=scale,
        post=lambda outputs: outputs["logits"].argmax(1),
        pinned=("pre",),
        **FAST,
    )
    first, last = found.operations[0], found.operations[-1]
    assert (first.name, first.kind, first.reads, first.writes, first.stays) == (
        "image", "python", ("raw:input",), ("image",), "input",
    )  # fmt: skip
    assert (last.kind, last.reads, last.writes, last.stays) == ("python", ("logits",), ("post:result",), None)
    assert (found.inputs, found.outputs) == (("raw:input",), ("post:result",))
    assert [t.bytes[0] for t in (found.tensors[0], found.tensors[-1])] == [784, 8]
    assert len(calls) == 1 + FAST["warmup"] + FAST["repetitions"] * FAST["runs"]
    stated = profile_onnx(files["whole"], shapes=IMAGE, pre=0.25, raw_bytes=[100], **FAST)
    assert stated.operations[0].kind == "given"
    assert stated.operations[0].time is not None
    assert stated.operations[0].time.seconds.tolist() == [0.25]
    assert stated.tensors[0].bytes.tolist() == [100]


def test_all_profiles_of_a_network_list_the_same_operations(profiles: dict[str, Profile]) -> None:
    whole = profiles["whole"]
    assert {found.structure for found in profiles.values()} == {whole.structure}
    assert {(found.base or found.source).fingerprint for found in profiles.values()} == {whole.source.fingerprint}
    block = tuple(f"s2b{k}.{name}" for k in (2, 3) for name in ("c1", "c2", "out"))
    assert {*block} <= {*profiles["exit"].skips} == {*profiles["both"].skips}
    assert whole.skips == profiles["quantized"].skips == ()


def test_a_quantized_tensor_crosses_as_bytes_and_fused_operations_stay_together(profiles: dict[str, Profile]) -> None:
    own, whole = profiles["quantized"], profiles["whole"]
    assert ("s1b1.c1", "relu3") in own.together
    bytes_of = {t.name: t.bytes[0] for t in own.tensors}
    for tensor in whole.tensors:
        if tensor.name in ("relu1", "s1b1.out", "s2b1.c2"):
            assert bytes_of[tensor.name] * 4 == tensor.bytes[0]
    assert sum(w.bytes for w in own.weights) < 0.4 * sum(w.bytes for w in whole.weights)
    times = {o.name: o.time.seconds[0] for o in own.operations if o.time is not None}
    assert times["s1b1.c1"] == 0 < times["relu3"]  # the two became one


@pytest.mark.parametrize("name", ["exit", "quantized", "both"])
def test_parts_of_treated_files_equal_them(name: str, files: dict[str, Path], profiles: dict[str, Profile]) -> None:
    own, profile = fold(files[name], IMAGE), profiles[name]
    feeds = feeds_of(own)
    whole = outputs_of(own, feeds)["logits"]
    kept = [o.name for o in profile.operations if o.time is not None]
    bound = {member: group[-1] for group in profile.together for member in group}
    for k in range(2, len(kept), 7):
        inside = {member for member in kept[:k] if bound.get(member, member) in kept[:k]}
        plan = PlacementPlan(operator=name, tiers={o: "mobile" if o in inside else "cloud" for o in kept})
        tiers = assigned(own, plan, profile)
        np.testing.assert_array_equal(through_parts(own, tiers, feeds, "off")["logits"], whole)


def test_a_quantized_input_with_two_readers_is_quantized_where_it_is_read() -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("Neg", "d", "a"),
        node("Abs", "d", "b"),
        node("Add", "a b", "y"),
    ]
    base = folded(small([node("Neg", "x", "a"), node("Abs", "x", "b"), node("Add", "a b", "y")], {"x": [4]}, "y"))
    own = folded(small(nodes, {"x": [4]}, "y", {"s": 0.1, "z": np.array(128, np.uint8)}), optimize=False)
    found = match(own.network, base.network)
    assert {*found.owners["q"]} == {"a", "b"}
    tiers = {
        name: tuple({"a": "cloud", "b": "mobile", "y": "cloud"}[o] for o in found.owners[name]) for name in found.owners
    }
    feeds = feeds_of(own)
    np.testing.assert_array_equal(through_parts(own, tiers, feeds, "off")["y"], outputs_of(own, feeds)["y"])


def test_a_profile_of_another_file(files: dict[str, Path], profiles: dict[str, Profile], tmp_path: Path) -> None:
    plan = PlacementPlan(operator="quantized", tiers={o.name: "m" for o in profiles["whole"].operations})
    with pytest.raises(InputError, match=r"profile: found that of another file, exit.onnx; .* quantized.onnx"):
        split_onnx(files["quantized"], plan, tmp_path / "p", profile=profiles["exit"])
    with pytest.raises(InputError, match="does not have"):
        split_onnx(files["quantized"], plan, tmp_path / "p", shapes=IMAGE)
    with pytest.raises(InputError, match=r"plan.operator: found 'quantized'; allowed: identity, of which the profile"):
        split_onnx(files["whole"], plan, tmp_path / "p", profile=profiles["whole"])
    other = saved(small([node("Abs", "x", "y")], {"x": [4]}, "y"), tmp_path)
    with pytest.raises(InputError, match=r"inputs \['image'\] and outputs \['logits'\]"):
        profile_onnx(files["exit"], of=other, **FAST)


def test_sizes_that_fold_to_different_operations(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x shape", "r"), node("Abs", "r", "y")]
    path = saved(small(nodes, {"x": ["n", 4]}, "y", {"shape": np.array([-1, 4])}), tmp_path)
    alike = profile_onnx(path, shapes=[{"x": (1, 4)}, {"x": (3, 4)}], **FAST)
    assert [t.bytes.tolist() for t in alike.tensors] == [[16, 48]] * len(alike.tensors)
    nodes = [node("MatMul", "x w", "m"), node("Add", "m b", "y")]  # one product of matrices or a stack of them
    path = saved(small(nodes, {"x": None}, "y", {"w": np.ones((4, 4), np.float32), "b": [1, 2, 3, 4]}), tmp_path)
    with pytest.raises(InputError, match=r"sizes for which model.onnx folds to different operations"):
        profile_onnx(path, shapes=[{"x": (2, 4)}, {"x": (2, 2, 2, 4)}], **FAST)


def test_what_a_network_returns_untouched_or_constant(tmp_path: Path) -> None:
    nodes = [node("Abs", "x", "y"), node("Add", "v w", "c")]
    proto = small(nodes, {"x": [2], "z": [2]}, "y z c", {"v": [1, 2], "w": [3, 4]})
    found = profile_onnx(saved(proto, tmp_path), **FAST)
    assert {*found.outputs} >= {"y", "z"}
    own = folded(proto)
    plan = PlacementPlan(operator="identity", tiers={row.name: "cloud" for row in own.network.operations})
    split_onnx(saved(proto, tmp_path), plan, tmp_path / "parts", profile=found)
    x, z = np.array([-1, 2], np.float32), np.array([5, 6], np.float32)
    parts = run_parts(tmp_path / "parts", {"x": x, "z": z})
    assert {name: value.tolist() for name, value in parts.items()} == {"y": [1, 2], "z": [5, 6], "c": [4, 6]}


def test_weights_that_no_protobuf_holds_go_through_files(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).standard_normal((600, 600)).astype(np.float32)
    proto = small([node("MatMul", "x w", "m"), node("Abs", "m", "y")], {"x": [1, 600]}, "y", {"w": wide})
    own = folded(proto)  # the runtime writes what is larger than 1 MiB beside the folded graph
    feeds = feeds_of(own)
    beside = session(own.network.proto, own.name, options("off"), large=1000)
    np.testing.assert_array_equal(run(beside, own.name, feeds)["y"], outputs_of(own, feeds)["y"])
    assert write_model(own.network.proto, str(tmp_path / "m.onnx"), large=1000) == ["m.onnx", "m.onnx.data"]
    assert (tmp_path / "m.onnx").stat().st_size < 2000
    assert fold(tmp_path / "m.onnx").digest == own.digest


def test_an_old_file_is_raised_before_it_is_quantized_by_channel(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c", kernel_shape=[3, 3]), node("Relu", "c", "y")]
    weights = {"w": np.random.default_rng(0).standard_normal((4, 2, 3, 3)).astype(np.float32)}
    path = saved(small(nodes, {"x": ["n", 2, 6, 6]}, "y", weights, opset=11, ir=6), tmp_path)
    found = quantize_onnx(path, {"x": np.ones((2, 2, 6, 6), np.float32)}, tmp_path / "q.onnx")
    assert next(s.version for s in found.opset_import if s.domain == "") >= 13
    onnx.checker.check_model(tmp_path / "q.onnx")
    scales = [numpy_helper.to_array(i) for i in found.graph.initializer if i.name == "w_scale"]
    assert scales[0].shape == (4,)
    profile = profile_onnx(tmp_path / "q.onnx", of=path, shapes={"x": (1, 2, 6, 6)}, **FAST)
    assert [o.name for o in profile.operations] == ["c", "y"]


@pytest.mark.parametrize(
    ("examples", "why"),
    [
        ({}, "arrays of numbers"),
        ({"z": np.ones((2, 1, 28, 28))}, "'image' without a value|'n' without a value|nothing for"),
        ({"image": np.ones((2, 28, 28))}, "3 extents|of shape"),
        ({"image": np.ones((0, 1, 28, 28))}, "too few"),
        ({"image": np.array(["a"])}, "arrays of numbers"),
    ],
)
def test_calibration_that_does_not_fit(examples: dict[str, Any], why: str, files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=why):
        quantize_onnx(files["whole"], examples)


def test_blocks_are_found_in_a_branch_beside_another() -> None:
    found = early_exit(example("segmenter"))
    assert (found.alike, found.blocks, found.entry) == (3, 2, "relu9")
    assert found.skips[0] == "b2.c1"
    assert found.skips[-1] == found.end == "relu19"


def test_a_shortened_network_is_the_one_built_without_the_blocks(tmp_path: Path) -> None:
    long = models.residual(stages=((8, 1, 1), (8, 3, 2)))
    weights = {w.name: numpy_helper.to_array(w) for w in long.graph.initializer}
    short = folded(models.residual(stages=((8, 1, 1), (8, 1, 2)), weights=weights), IMAGE)
    found = exit_onnx(saved(long, tmp_path), tmp_path / "exit.onnx", shapes=IMAGE)
    own = fold(tmp_path / "exit.onnx")
    feeds = feeds_of(own)
    np.testing.assert_array_equal(outputs_of(own, feeds)["logits"], outputs_of(short, feeds)["logits"])
    assert found.alike == 2
    assert len(own.network.operations) == len(short.network.operations)
    with pytest.raises(InputError, match="blocks: found 3; allowed: at most 2"):
        exit_onnx(saved(long, tmp_path), shapes=IMAGE, blocks=3)


@pytest.mark.parametrize("change", ["channels", "kernel", "activation", "skip"])
def test_blocks_that_differ_are_not_alike(change: str) -> None:
    nodes, weights, x = [], {}, "x"
    for k in range(2):
        differs = k == 1
        size = 1 if differs and change == "kernel" else 3
        inner = 3 if differs and change == "channels" else 2
        weights[f"w{k}"] = np.ones((inner, 2, size, size), np.float32)
        weights[f"v{k}"] = np.ones((2, inner, 3, 3), np.float32)
        side = f"r{k}" if differs and change == "skip" else x
        nodes += [
            node("Conv", f"{x} w{k}", f"c{k}", pads=[size // 2] * 4),
            node("Tanh" if differs and change == "activation" else "Relu", f"c{k}", f"r{k}"),
            node("Conv", f"r{k} v{k}", f"d{k}", pads=[1] * 4),
        ]
        if change == "skip":
            weights[f"v{k}"] = np.ones((2, 2, 3, 3), np.float32)
        nodes.append(node("Add", f"d{k} {side}", f"a{k}"))
        x = f"a{k}"
    nodes.append(node("Exp", x, "y"))
    own = folded(small(nodes, {"x": [1, 2, 6, 6]}, "y", weights))
    with pytest.raises(InputError, match="no two blocks that are alike"):
        early_exit(own)


def test_from_a_file_to_parts_at_the_command_line(files: dict[str, Path], tmp_path: Path, qopt_cli: Cli) -> None:
    few = ["--warmup", 0, "--repetitions", 2, "--runs", 1]
    profile = tmp_path / "mobile.json"
    call = qopt_cli(
        "profile", files["whole"], "--shape", "image=1,1,28,28", "--tier", "mobile", "--save", profile, *few
    )
    assert call.code == 0, call.err
    assert "s2b3.out" in call.out
    names = [own.name for own in read_profile(profile).operations]
    plan = {"format": "qopt/placement-plan", "version": 1, "operator": "identity"}
    plan["tiers"] = {name: "mobile" if i < 6 else "cloud" for i, name in enumerate(names)}  # type: ignore[assignment]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    call = qopt_cli(
        "split", files["whole"], tmp_path / "plan.json", "--out", tmp_path / "parts", "--profile", profile, "--json"
    )
    assert [part["tier"] for part in json.loads(call.out)["parts"]] == ["mobile", "cloud"]
    call = qopt_cli("exit", files["whole"], "--shape", "1,1,28,28", "--save", tmp_path / "e.onnx")
    assert call.code == 0
    assert "2 of 2 equal blocks left out" in call.out
    np.savez(tmp_path / "calibration.npz", image=np.ones((2, 1, 28, 28), np.float32))
    call = qopt_cli("quantize", files["exit"], tmp_path / "calibration.npz", "--save", tmp_path / "q.onnx", "--json")
    assert json.loads(call.out)["quantizing"] > 5


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"runs": 0}, "runs: found 0"),
        ({"threads": True}, "threads: found True"),
        ({"pause": -1.0}, "pause: found -1.0"),
        ({"pinned": ("pre",)}, "pinned: found 'pre'"),
        ({"optimization": "most"}, "optimization: found 'most'"),
        ({"pre": -1.0}, "pre: found -1.0"),
        ({"pre": lambda shapes: shapes}, "gives .callable, raw input."),
        ({"pre": lambda shapes: (len, shapes)}, r"\[\] for input 'image'; allowed: shape"),
        ({"post": lambda outputs: outputs["segments"]}, "post: found KeyError"),
        ({"accuracy": 2.0}, "accuracy: found 2.0"),
    ],
)
def test_options_that_are_not_allowed(options: dict[str, Any], why: str, files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=why):
        profile_onnx(files["whole"], **{"shapes": IMAGE, **FAST, **options})


@pytest.mark.parametrize("text", ["image=1,a", "image=1,-2", "image=0", "x=1,99999999999999999999"])
def test_shapes_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="--shape: found"):
        parse_sizes([text])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["profile", "WHOLE"], "'n' without a value; allowed: a shape: --shape image="),
        (["profile", "WHOLE", "--shape", "1,1,28,28", "--weights", "w"], "an ONNX file has its weights"),
        (["profile", "WHOLE", "--shape", "1,1,28,28", "--pre", "soon"], "--pre: found 'soon'"),
        (["profile", "WHOLE", "--shape", "1,1,28,28", "--save", "no/such/file"], "--save"),
        (["profile", "net.py:f", "--tier", "mobile"], "--tier: found an option of ONNX files"),
        (["split", "WHOLE", "WHOLE", "--out", "x"], "not UTF-8|no JSON"),
        (["quantize", "WHOLE", "WHOLE", "--save", "x"], "npz"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], why: str, files: dict[str, Path], qopt_cli: Cli, tmp_path: Path
) -> None:
    call = qopt_cli(*[files["whole"] if a == "WHOLE" else a for a in arguments])
    assert call.code == 2
    assert re.search(why, call.err), call.err
    assert call.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
