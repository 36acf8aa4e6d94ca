"""A QPART plan's parts as ONNX files: the plan's own quantizer, the plan's bytes, and a device without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from sweeps import swept  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import qopt  # noqa: E402
from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring.grids import Grid, Range  # noqa: E402
from qopt.measuring.network import Network  # noqa: E402
from qopt.measuring.profile import trace  # noqa: E402
from qopt.measuring.segment import DeviceSegment, ServerSegment, make  # noqa: E402
from qopt.measuring.segment_file import SegmentFile  # noqa: E402
from qopt.qpart.plan import QPartPlan  # noqa: E402
from qopt.runtime.device import OpenPart  # noqa: E402
from qopt.runtime.manifest import run_parts  # noqa: E402
from qopt.runtime.messages import pack_codes, unpack_codes  # noqa: E402
from qopt.runtime.qdq import export_network, export_parts  # noqa: E402


class Residual(nn.Module):
    """Convolutions around a shortcut, one linear layer used twice, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.one = nn.Conv2d(4, 4, 3, padding=1)
        self.twice, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.stem(x)))
        x = F.relu(x + self.one(x)).mean((2, 3))
        return self.head(F.relu(self.twice(F.relu(self.twice(x)))))  # type: ignore[no-any-return]


def traced(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return trace(Residual().eval(), torch.zeros(1, 1, 6, 6))


def segment_of(network: Network, cut: int, grid: Grid, x: Any, first: int = 0, keep: bool = False) -> SegmentFile:
    """Widths 2, 4 and 8 in turn; activations of any width."""
    leader = {number: group[0] for group in network.shared for number in group}
    weights = [(2, 4, 8)[(leader.get(n, n) + first) % 3] for n in range(1, cut + 1)]
    crossing = [i for i in network.crossing(cut) if i][: -1 if keep else None]
    plan = QPartPlan(cut=cut, weights=weights, activations=[(4, 8, 3, 9)[(i + first) % 4] for i in crossing])
    values = network.tensors(x)
    ranges = {i: Range.of(values[i]) for i in crossing}
    return make(network, plan, grid, ranges, Grid(symmetric=grid.symmetric))


GRIDS = [Grid(per, symmetric) for per in ("tensor", "channel") for symmetric in (False, True)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("grid", "first"), swept([(g, f) for g in GRIDS for f in range(3)], lambda c: c[1] > 0 or c[0] != GRIDS[0])
)
def test_every_cut_gives_what_the_plans_quantizer_gives(grid: Grid, first: int, tmp_path: Path) -> None:
    network = traced()
    x = torch.randn(3, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    x[2] = 0.0  # zeros lie halfway between two points of a symmetric grid
    for cut in range(len(network) + 1):
        own = segment_of(network, cut, grid, x, first)
        folder = tmp_path / f"{cut}"
        parts = export_network(own, network, folder)
        device, server = DeviceSegment(own, network), ServerSegment(own, network)
        for example in x.split(1):
            sent = device.run(example)
            want = server.run(sent).numpy()
            found = run_parts(folder, {"input": example.numpy()})
            assert np.abs(found["output"] - want).max() <= 1e-6 * max(1.0, np.abs(want).max())
        if cut:
            mobile = OpenPart(folder, "mobile")
            made = mobile.run({"input": x[:1].numpy()})
            want_sent = {f"tensor.{i}.codes": t for i, t in device.run(x[:1]).items() if i}
            assert {n: pack_codes(made[n], mobile.bits[n] or 0) for n in made} == {
                name: tensor.numpy().tobytes() for name, tensor in want_sent.items()
            }
            assert sum(row.bytes or 0 for row in parts.tensors) == sum(t.numel() for t in want_sent.values())


def test_the_file_is_the_plans_payload_and_a_header_of_the_structure_alone(tmp_path: Path) -> None:
    x = torch.randn(2, 1, 6, 6)
    sizes = set()
    for seed in (0, 1):
        network = traced(seed)
        own = segment_of(network, 4, GRIDS[2], x)
        device = export_network(own, network, tmp_path / f"{seed}").parts[0]
        assert device.payload == own.size.codes + own.size.overhead + own.size.biases
        file = tmp_path / f"{seed}" / device.file
        proto = onnx.load(file)
        held = {t.name: len(t.raw_data) for t in proto.graph.initializer}
        assert sum(held[f"weight.{n}.codes"] for n in own.weights) == own.size.codes
        sizes.add(file.stat().st_size - device.payload)
    assert len(sizes) == 1


def test_a_device_that_keeps_the_output(tmp_path: Path) -> None:
    network, x = traced(), torch.randn(1, 1, 6, 6)
    own = segment_of(network, len(network), GRIDS[0], x, keep=True)
    parts = export_network(own, network, tmp_path / "parts")
    assert [(p.tier, p.writes) for p in parts.parts] == [("mobile", ("output",))]
    found = run_parts(tmp_path / "parts", {"input": x.numpy()})["output"]
    want = ServerSegment(own, network).run(DeviceSegment(own, network).run(x)).numpy()
    np.testing.assert_allclose(found, want, atol=1e-6)


def test_what_onnx_has_no_form_for_is_refused(tmp_path: Path) -> None:
    network, x = traced(), torch.randn(1, 1, 6, 6)
    plan = QPartPlan(cut=1, weights=[3], activations=[8])
    odd = make(network, plan, Grid(), {1: Range(0.0, 1.0)})
    groups = make(network, plan.model_copy(update={"weights": (4,)}), Grid("group-32"), {1: Range(0.0, 1.0)})
    fits = segment_of(network, 1, GRIDS[0], x)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("keep me")
    for own, folder, options, why in (
        (odd, "new", {}, r"weights\[0\]: found 3 bits; allowed: 2, 4 or 8"),
        (groups, "new", {}, "groups-of-32.*; allowed: per-tensor or per-channel"),
        (fits, "full", {}, "something that is there already"),
        (fits, "new", {"tiers": ("a", "a")}, "two names"),
    ):
        with pytest.raises(InputError, match=why):
            export_network(own, network, tmp_path / folder, **options)
    other = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    with pytest.raises(InputError, match="another one than the segment was made from"):
        export_parts(fits, other, x, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert qopt.export_parts is export_parts


ALONE = """
import sys
sys.modules["torch"] = sys.modules["onnx"] = sys.modules["safetensors"] = None  # as if they were not installed
import numpy as np
import qopt.runtime.service
from qopt.runtime.device import OpenPart
made = OpenPart(sys.argv[1], "mobile").run({"input": np.ones((1, 1, 6, 6), np.float32)})
print({name: int(value.sum()) for name, value in made.items()})
"""


def test_the_device_needs_neither_torch_nor_onnx(tmp_path: Path) -> None:
    network, x = traced(), torch.ones(1, 1, 6, 6)
    own = segment_of(network, 2, GRIDS[3], x)
    export_network(own, network, tmp_path / "parts")
    made = OpenPart(tmp_path / "parts", "mobile").run({"input": x.numpy()})
    done = subprocess.run([sys.executable, "-c", ALONE, tmp_path / "parts"], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str({name: int(value.sum()) for name, value in made.items()}), done.stderr


@pytest.mark.parametrize("bits", range(1, 17))
def test_codes_travel_as_the_segments_file_packs_them(bits: int) -> None:
    from qopt.measuring.packing import pack

    kind = "uint8" if bits <= 8 else "uint16"
    codes = np.random.default_rng(bits).integers(0, 2**bits, 13).astype(kind)
    data = pack_codes(codes, bits)
    assert data == pack(torch.from_numpy(codes.astype(np.int32)), bits).numpy().tobytes()
    np.testing.assert_array_equal(unpack_codes(data, bits, 13, kind), codes)


class Tied(nn.Module):
    """A weight that comes again behind another layer, of the shape of both."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.d = (nn.Linear(4, 4, bias=False) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.d(torch.relu(self.a(torch.relu(self.b(torch.relu(self.a(x)))))))


@pytest.mark.parametrize("cut", [0, 4])
def test_tied_layers_keep_their_weights_apart(cut: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, x = trace(Tied().eval(), torch.zeros(1, 4)), torch.randn(1, 4)
    own = segment_of(network, cut, Grid(), x)
    export_network(own, network, tmp_path / "parts")
    want = ServerSegment(own, network).run(DeviceSegment(own, network).run(x)).numpy()
    np.testing.assert_allclose(run_parts(tmp_path / "parts", {"input": x.numpy()})["output"], want, atol=1e-6)
