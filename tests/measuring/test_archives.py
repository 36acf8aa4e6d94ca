"""Archives of arrays that anybody may have made: damaged, encrypted, absurd; each is one line."""

from __future__ import annotations

import os
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Cli

from qopt.core.errors import InputError
from qopt.measuring.archives import read_arrays
from qopt.measuring.checkpoint import Checkpoint


def member(header: str, body: bytes = b"") -> bytes:
    """A .npy file with this header."""
    text = header.encode()
    text += b" " * ((-11 - len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def shaped(shape: str, kind: str = "<f4") -> bytes:
    return member(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}")


HOSTILE = {
    "absurd": shaped("(1000000000000000, 6)"),
    "beyond int64": shaped(f"({10**30},)"),
    "negative": shaped("(-5, 6)"),
    "nested": member("{'descr': " + "[" * 400 + "]" * 400 + ", 'fortran_order': False, 'shape': (1,)}"),
    "unfinished": member("{'descr': (((('"),
    "unknown type": shaped("(1,)", "<q99"),
    "object": member("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"abc"),
    "record": member("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", b"abcd"),
    "no npy": b"hello",
    "empty": b"",
}


def packed(path: Path) -> bytes:
    np.savez_compressed(path, x=np.random.default_rng(0).random((50, 6), dtype="f4"), labels=np.arange(50) % 4)
    return path.read_bytes()


def patched(raw: bytes, at: tuple[int, int], value: int) -> bytes:
    """An archive with a byte of every member's headers changed: offset in the central directory, and at the member."""
    found = bytearray(raw)
    for mark, offset in ((b"PK\x01\x02", at[0]), (b"PK\x03\x04", at[1])):
        start = found.find(mark)
        while start >= 0:
            found[start + offset] = value
            start = found.find(mark, start + 4)
    return bytes(found)


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "encrypted": lambda raw: patched(raw, (8, 6), 1),
    "unknown method": lambda raw: patched(raw, (10, 8), 99),
    "lzma that is none": lambda raw: patched(raw, (10, 8), 14),
    "cut short": lambda raw: raw[: len(raw) // 2],
    "stream": lambda raw: raw[:60] + bytes(20) + raw[80:],
}


@pytest.mark.parametrize("name", [*HOSTILE, *DAMAGED])
def test_what_cannot_be_read_is_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    if name in HOSTILE:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("x.npy", HOSTILE[name])
    else:
        path.write_bytes(DAMAGED[name](packed(path)))
    for field, names in ((None, ("x", "labels")), ("checkpoint", None)):
        with pytest.raises(InputError) as caught:
            read_arrays(path, "an archive", names, field=field)
        assert "\n" not in str(caught.value)
        assert "x.npz" in str(caught.value)


def test_random_damage_is_one_line_or_none(tmp_path: Path) -> None:
    rng, path = random.Random(0), tmp_path / "x.npz"
    raw, refused = packed(path), 0
    for _ in range(int(os.environ.get("QOPT_DAMAGED", "150"))):
        found = bytearray(raw)
        for _ in range(rng.choice([1, 1, 2, 5])):
            found[rng.randrange(len(found))] = rng.randrange(256)
        path.write_bytes(found)
        said = ""
        try:
            read_arrays(path, "an archive")
        except InputError as error:
            said = str(error)
        assert "\n" not in said
        refused += said != ""
    assert refused


def test_a_unit_with_other_arrays_is_not_used(tmp_path: Path) -> None:
    saved = Checkpoint(tmp_path, {})
    good = {"noise": np.arange(3.0), "score": np.ones(2)}
    saved.unit("a", lambda: good)
    again = saved.unit("a", dict)
    assert {name: array.tolist() for name, array in again.items()} == {n: a.tolist() for n, a in good.items()}
    with np.load(tmp_path / "a.npz") as stored:
        seal = stored["sha256"]
    for arrays in (
        {"noise": np.arange(3.0)},
        {**good, "sha256": np.array("0")},
        {"noise": np.arange(4.0), "score": np.ones(2), "sha256": seal},
        {**good, "other": np.ones(1), "sha256": seal},
        {**good, "sha256": np.array([seal, seal])},
    ):
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(InputError, match="other arrays than were written"):
            saved.unit("a", dict)


@pytest.mark.parametrize("name", ["absurd", "encrypted"])
def test_measure_says_what_is_wrong_with_its_examples(name: str, tmp_path: Path, qopt_cli: Cli) -> None:
    pytest.importorskip("torch")
    (tmp_path / "net.py").write_text(
        "import torch\n\ndef net():\n    return torch.nn.Linear(6, 4), torch.zeros(1, 6)\n"
    )
    path = tmp_path / "x.npz"
    if name in HOSTILE:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("x.npy", HOSTILE[name])
            file.writestr("labels.npy", HOSTILE[name])
    else:
        path.write_bytes(DAMAGED[name](packed(path)))
    call = qopt_cli("measure", f"{tmp_path / 'net.py'}:net", path)
    assert call.code == 2
    assert len([line for line in call.err.splitlines() if line.startswith("qopt:")]) == 1
