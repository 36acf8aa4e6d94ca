"""Files that nobody vouches for: one clear line each, memory bounded, nothing outside the model's folder is read."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx_networks import (
    FAST,
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
from sweeps import few

from qopt.core.errors import InputError
from qopt.runtime.folding import fold
from qopt.runtime.profiling import profile_onnx
from qopt.runtime.reading import read_model
from qopt.runtime.sessions import options, run, session


def model() -> ModelProto:
    return small([node("Mul", "x w", "a"), node("Add", "a w", "y")], {"x": [4]}, "y", {"w": [1, 2, 3, 4]})


def external(proto: ModelProto, location: str, offset: str = "0", length: str = "16") -> ModelProto:
    weight = proto.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        weight.external_data.add(key=key, value=value)
    return proto


def changed(change: Callable[[ModelProto], object]) -> bytes:
    proto = model()
    change(proto)
    return proto.SerializeToString()


def dims(*extents: int) -> Callable[[ModelProto], object]:
    def change(proto: ModelProto) -> None:
        del proto.graph.initializer[0].dims[:]
        proto.graph.initializer[0].dims.extend(extents)

    return change


def billion_nodes() -> bytes:
    """What declares more operations than there are bytes for: the parser would make hundreds of bytes of two."""
    nodes = b"\x0a\x00" * 300_000
    return b"\x3a" + helper_varint(len(nodes)) + nodes


def helper_varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def sparse(*extents: int) -> Callable[[ModelProto], object]:
    """One number in a tensor of any size, which a runtime makes dense."""
    values = onnx.helper.make_tensor("few", TensorProto.FLOAT, [1], [1.0])
    indices = onnx.helper.make_tensor("where", TensorProto.INT64, [1], [0])
    return lambda p: p.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, indices, list(extents)))


def function_with(weight: TensorProto) -> Callable[[ModelProto], object]:
    """A function of the file's own whose body brings a constant."""
    body = [onnx.helper.make_node("Constant", [], ["c"], value=weight), node("Mul", "x c", "y")]
    opset = [onnx.helper.make_opsetid("", 17)]
    return lambda p: p.functions.append(onnx.helper.make_function("own", "Scaled", ["x"], ["y"], body, opset))


def hidden(location: str) -> TensorProto:
    weight = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    return weight


BROKEN = {
    "empty": (b"", "no operations"),
    "text": (b"this is no model at all", "cut off or damaged|no protobuf|no ONNX"),
    "cut off": (model().SerializeToString()[:-20], "cut off or damaged"),
    "half": (model().SerializeToString()[:40], "cut off or damaged"),
    "a billion nodes": (billion_nodes(), "more than 100000 operations"),
    "a length beyond the file": (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "cut off or damaged"),
    "cyclic": (changed(lambda p: p.graph.node[0].input.append("y")), "a cycle, "),
    "reads nothing known": (changed(lambda p: p.graph.node[0].input.append("q")), "'q', which nothing writes"),
    "written twice": (changed(lambda p: p.graph.node.append(node("Abs", "x", "a"))), "'a' written twice"),
    "overflowing size": (changed(dims(2**40, 2**40)), "16 stored for shape"),
    "negative size": (changed(dims(-4)), "extents >= 0"),
    "fewer numbers than declared": (changed(dims(5)), "16 stored for shape .5.; allowed: 20"),
    "unknown operation": (changed(lambda p: p.graph.node.append(node("Warp", "a", "z"))), "'Warp', which nobody"),
    "unknown set": (changed(lambda p: p.graph.node.append(node("Warp", "a", "z", domain="my.own"))), "of 'my.own'"),
    "unknown type": (changed(lambda p: setattr(p.graph.initializer[0], "data_type", 99)), "type 99"),
    "no outputs": (changed(lambda p: p.graph.ClearField("output")), "no outputs"),
    "climbing path": (external(model(), "../secret").SerializeToString(), "external data in '../secret'"),
    "absolute path": (external(model(), "/etc/passwd").SerializeToString(), "external data in '/etc/passwd'"),
    "link that leads out": (external(model(), "link").SerializeToString(), "external data in 'link'"),
    "beyond the end": (external(model(), "data", "1000000000000").SerializeToString(), "beyond the end of 'data'"),
    "negative offset": (external(model(), "data", "-1").SerializeToString(), "offset -1"),
    "no number": (external(model(), "data", "ten").SerializeToString(), "no number"),
    "too long": (external(model(), "data", "0", "17").SerializeToString(), "length 17"),
    "a pipe": (external(model(), "pipe").SerializeToString(), "'pipe', which is no file"),
    "a sparse tensor without end": (changed(sparse(2**40)), "larger than half of this machine's memory"),
    "a sparse tensor of no size": (changed(sparse(-4)), "extents >= 0"),
    "a climbing path in a function": (changed(function_with(hidden("../secret"))), "external data in '../secret'"),
    "not there": (external(model(), "nothing").SerializeToString(), "no such file"),
}


def read_or_refused(path: Path, data: bytes) -> None:
    """A file with these bytes is folded, or the complaint is one line."""
    path.write_bytes(data)
    said = ""
    try:
        fold(path, optimize=False)
    except InputError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 1000


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_or_hostile_file_is_one_clear_line(name: str, tmp_path: Path) -> None:
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(bytes(16))
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "data").write_bytes(bytes(16))
    os.mkfifo(inside / "pipe")
    data, why = BROKEN[name]
    (inside / "m.onnx").write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=why) as caught:
        fold(inside / "m.onnx")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def test_external_data_in_the_folder_are_weights_like_others(tmp_path: Path) -> None:
    plain = saved(model(), tmp_path, "plain.onnx")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "data").write_bytes(bytes(8) + np.array([1, 2, 3, 4], np.float32).tobytes())
    other = saved(external(model(), "deep/data", "8"), tmp_path, "other.onnx")
    one, two = read_model(plain), read_model(other)
    assert one.fingerprint != two.fingerprint
    assert fold(one).digest == fold(two).digest
    (tmp_path / "deep" / "data").write_bytes(bytes(8) + np.array([1, 2, 3, 5], np.float32).tobytes())
    assert read_model(other).fingerprint != two.fingerprint  # of the data too


def test_every_prefix_of_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    data = model().SerializeToString()
    for end in range(0, len(data), 7 // few(7)):
        read_or_refused(tmp_path / "m.onnx", data[:end])


@pytest.mark.sweep
def test_files_with_changed_bytes_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = np.frombuffer(models.residual().SerializeToString()[:4000] + model().SerializeToString(), np.uint8)
    small_data = np.frombuffer(model().SerializeToString(), np.uint8)
    for trial in range(int(os.environ.get("QOPT_ONNX_MUTATIONS", "300"))):
        own = (small_data if trial % 4 else data).copy()
        own[rng.integers(0, len(own), size=1 + trial % 5)] = rng.integers(0, 256, size=1 + trial % 5)
        read_or_refused(tmp_path / "m.onnx", own.tobytes())


SHAPES = [
    ([("x", ["n", 3])], {}, "'n' without a value; allowed: a shape: --shape x="),
    ([("x", [-1, 3])], {}, "axis 0 without a value"),
    ([("x", None)], {}, "no shape"),
    ([("x", ["n", 3])], {"x": (2, 4)}, "extent 4 in axis 1; allowed: 3"),
    ([("x", ["n", 3])], {"x": (2,)}, "1 extents; allowed: 2"),
    ([("x", ["n", 3])], {"z": (2, 3)}, "'z', which is no input; allowed: inputs: x"),
    ([("x", ["n"]), ("z", ["n"])], {"x": (2,), "z": (3,)}, "3 for 'n', which was 2"),
    ([("x", ["n"]), ("z", ["n"])], {"": (2,)}, "a shape for each of x, z"),
]


@pytest.mark.parametrize(("inputs", "given", "why"), SHAPES)
def test_open_shapes_need_a_value(
    inputs: list[tuple[str, list[object]]], given: dict[str, tuple[int]], why: str
) -> None:
    nodes = [node("Sum", " ".join(name for name, _ in inputs), "y")]
    with pytest.raises(InputError, match=why):
        folded(small(nodes, dict(inputs), "y"), given)


def test_a_symbol_that_is_known_from_one_input_is_known_in_all() -> None:
    nodes = [node("Add", "x z", "y")]
    own = folded(small(nodes, {"x": ["n", 3], "z": ["n", 3]}, "y"), {"x": (5, 3)})
    assert own.shapes == {"x": (5, 3), "z": (5, 3)}


def test_a_tensor_that_does_not_fit_into_memory_is_never_made(tmp_path: Path) -> None:
    nodes = [node("ConstantOfShape", "s", "c"), node("ReduceSum", "c", "r", keepdims=0), node("Add", "x r", "y")]
    path = saved(small(nodes, {"x": [2]}, "y", {"s": np.array([2**20, 2**20, 8])}), tmp_path)
    with pytest.raises(InputError, match=r"tensors take .* GiB"):
        profile_onnx(path, **FAST)


def test_a_loop_that_does_not_end_is_given_up() -> None:
    boolean, number = TensorProto.BOOL, TensorProto.FLOAT
    inner = helper.make_graph(
        [node("Identity", "go", "on"), node("Abs", "v", "w")],
        "inner",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", boolean, []),
            helper.make_tensor_value_info("v", number, [4]),
        ],
        [helper.make_tensor_value_info("on", boolean, []), helper.make_tensor_value_info("w", number, [4])],
    )
    loop = helper.make_node("Loop", ["times", "yes", "x"], ["y"], body=inner)
    own = folded(small([loop], {"x": [4]}, "y", {"times": np.array(2**62), "yes": np.array(True)}))
    made = session(own.network.proto, own.name, options("off"))
    with pytest.raises(InputError, match=r"a run that does not end in 0\.1 s"):
        run(made, own.name, feeds_of(own), limit=0.1)


def test_old_files_list_their_weights_as_inputs() -> None:
    proto = small(
        [node("Mul", "x w", "a"), node("Abs", "a", "y")], {"x": [4], "w": [4]}, "y", {"w": [1, 2, 3, 4]}, ir=3, opset=7
    )
    own = folded(proto)
    assert own.network.inputs == ("x",)
    feeds = {"x": np.array([1, -1, 1, -1], np.float32)}
    np.testing.assert_array_equal(outputs_of(own, feeds)["y"], [1, 2, 3, 4])


def test_weights_that_hide_in_nodes_are_weights(tmp_path: Path) -> None:
    value = numpy_helper.from_array(np.ones((4, 4), np.float32), "inside")
    nodes = [node("Constant", "", "w", value=value), node("MatMul", "x w", "y")]
    found = profile_onnx(saved(small(nodes, {"x": [2, 4]}, "y"), tmp_path), **FAST)
    assert [(own.name, own.weights) for own in found.operations] == [("y", ("w",))]
    assert [(weight.name, weight.bytes) for weight in found.weights] == [("w", 64)]


def body(name: str, kind: str, outer: str) -> onnx.GraphProto:
    out = helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])
    return helper.make_graph([node(kind, outer, name)], name, [], [out])


def test_a_condition_is_one_operation_that_reads_what_its_bodies_capture(tmp_path: Path) -> None:
    nodes = [
        node("Abs", "x", "a"),
        node("Neg", "x", "b"),
        node("ReduceSum", "x", "s", keepdims=0),
        node("Less", "s zero", "c"),
        helper.make_node("If", ["c"], ["i"], then_branch=body("t", "Mul", "a w"), else_branch=body("e", "Add", "b w")),
        node("Add", "i x", "y"),
    ]
    proto = small(nodes, {"x": [4]}, "y", {"zero": 0.0, "w": [1, 2, 3, 4]})
    own = folded(proto)
    condition = own.network.writer["i"]
    assert {*condition.reads} == {"c", "a", "b"}
    assert condition.weights == ("w",)
    for seed in range(2):
        feeds = feeds_of(own, seed)
        whole = outputs_of(own, feeds)["y"]
        for inside in single_cuts(own):
            np.testing.assert_array_equal(through_parts(own, in_two(own, inside), feeds, "off")["y"], whole)
    found = profile_onnx(saved(proto, tmp_path), **FAST)
    assert [o.kind for o in found.operations].count("If") == 1


def test_a_shape_that_the_data_decide_is_measured(tmp_path: Path) -> None:
    nodes = [node("NonZero", "x", "n"), node("Cast", "n", "f", to=TensorProto.FLOAT), node("Abs", "f", "y")]
    found = profile_onnx(saved(small(nodes, {"x": [3, 4]}, "y"), tmp_path), **FAST)
    sizes = {tensor.name: (tensor.shapes[0], tensor.bytes[0]) for tensor in found.tensors}
    assert sizes["n"] == ((2, 12), 192)  # random numbers, none of which is 0
    assert sizes["y"] == ((2, 12), 96)
