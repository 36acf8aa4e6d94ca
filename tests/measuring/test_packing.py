"""Packed codes: exact sizes, little-endian bit order, every width."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring.packing import pack, packed_bytes, unpack  # noqa: E402


def reference(codes: list[int], bits: int) -> bytes:
    """One large number whose bits i b .. i b + b - 1 are code i, lowest byte first."""
    whole = sum(code << (i * bits) for i, code in enumerate(codes))
    return whole.to_bytes(-(-len(codes) * bits // 8), "little")


@pytest.mark.parametrize("bits", range(1, 17))
def test_every_width_and_length(bits: int) -> None:
    rng = np.random.default_rng(bits)
    for count in (*range(18), 63, 64, 65, 1001):
        codes = rng.integers(0, 2**bits, count)
        packed = pack(torch.from_numpy(codes), bits)
        assert packed.dtype == torch.uint8
        assert len(packed) == packed_bytes(count, bits)
        assert bytes(packed.numpy()) == reference(codes.tolist(), bits)
        assert torch.equal(unpack(packed, bits, count), torch.from_numpy(codes).int())


@pytest.mark.parametrize("bits", [1, 3, 8, 13, 16])
def test_rows_are_packed_one_by_one(bits: int) -> None:
    codes = torch.from_numpy(np.random.default_rng(0).integers(0, 2**bits, (2, 5, 11)))
    packed = pack(codes, bits)
    assert packed.shape == (2, 5, packed_bytes(11, bits))
    for i in range(2):
        for j in range(5):
            assert torch.equal(packed[i, j], pack(codes[i, j], bits))
    assert torch.equal(unpack(packed, bits, 11), codes.int())


def test_the_ends_of_the_range() -> None:
    for bits in range(1, 17):
        codes = torch.tensor([2**bits - 1, 0, 2**bits - 1])
        assert torch.equal(unpack(pack(codes, bits), bits, 3), codes.int())


@pytest.mark.parametrize(
    ("codes", "bits", "field"),
    [
        (torch.tensor([4]), 2, "codes"),
        (torch.tensor([-1]), 2, "codes"),
        (torch.tensor([1.0]), 2, "codes"),
        (torch.tensor([True]), 2, "codes"),
        (torch.tensor(1), 2, "codes"),
        (torch.tensor([1]), 0, "bits"),
        (torch.tensor([1]), 17, "bits"),
        (torch.tensor([1]), True, "bits"),
    ],
)
def test_what_does_not_fit_is_refused(codes: torch.Tensor, bits: int, field: str) -> None:
    with pytest.raises(InputError) as error:
        pack(codes, bits)
    assert error.value.field == field


@pytest.mark.parametrize(
    "packed",
    [
        torch.zeros(2, dtype=torch.uint8),
        torch.zeros(4, dtype=torch.uint8),
        torch.zeros(3, dtype=torch.int32),
        torch.tensor([0, 0, 128], dtype=torch.uint8),
        torch.tensor(0, dtype=torch.uint8),
    ],
)
def test_bytes_that_are_no_codes_are_refused(packed: torch.Tensor) -> None:
    with pytest.raises(InputError) as error:
        unpack(packed, 7, 3)
    assert error.value.field == "packed"
