"""Labelled examples from archives and files, and what is refused."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring.examples import Examples, read  # noqa: E402
from qopt.measuring.idx import MAX_ENTRIES, read_examples, read_idx  # noqa: E402
from qopt.measuring.signature import Inputs  # noqa: E402


def archive(path: Path, array: np.ndarray[Any, Any], *, shape: tuple[int, ...] | None = None, kind: int = 8) -> Path:
    header = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *(shape or array.shape))
    path.write_bytes(gzip.compress(header + array.tobytes()))
    return path


def test_an_archive_comes_back_as_written(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 2), dtype=np.uint8)
    labels = np.arange(5, dtype=np.uint8)
    x, y = read_examples(archive(tmp_path / "x.gz", images), archive(tmp_path / "y.gz", labels))
    assert np.array_equal(x, images)
    assert np.array_equal(y, labels)


def test_bad_archives_give_one_line(tmp_path: Path) -> None:
    labels = np.arange(5, dtype=np.uint8)
    plain = tmp_path / "plain.gz"
    plain.write_bytes(b"not an archive")
    cut = tmp_path / "cut.gz"
    cut.write_bytes(archive(tmp_path / "y.gz", np.arange(200, dtype=np.uint8)).read_bytes()[:-20])
    short = tmp_path / "short.gz"
    short.write_bytes(gzip.compress(b"\0\0\10"))
    for path, found in [
        (tmp_path / "absent.gz", "no such file"),
        (tmp_path, "is a directory"),
        (plain, "gzip"),
        (cut, "end"),
        (short, "ends after 3 bytes"),
        (archive(tmp_path / "float.gz", labels, kind=13), "first bytes"),
        (archive(tmp_path / "images.gz", labels.reshape(5, 1, 1)), "first bytes"),
        (archive(tmp_path / "fewer.gz", labels, shape=(6,)), "5 bytes"),
        (archive(tmp_path / "more.gz", labels, shape=(4,)), "behind the last"),
        (archive(tmp_path / "huge.gz", labels, shape=(MAX_ENTRIES + 1,)), "entries"),
    ]:
        with pytest.raises(InputError) as caught:
            read_idx(path, 1)
        assert caught.value.field == str(path)
        assert found in caught.value.found
        assert "\n" not in str(caught.value)
    images = archive(tmp_path / "x.gz", np.zeros((4, 2, 2), np.uint8))
    with pytest.raises(InputError, match="5 labels"):
        read_examples(images, archive(tmp_path / "y5.gz", labels))


def test_a_folder_of_archives_gives_what_the_network_takes(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 2), dtype=np.uint8)
    archive(tmp_path / "t10k-images-idx3-ubyte.gz", images)
    archive(tmp_path / "t10k-labels-idx1-ubyte.gz", np.arange(5, dtype=np.uint8))
    found = read(tmp_path, (1, 3, 2), "t10k")
    assert found.x.shape == (5, 1, 3, 2)
    assert np.allclose(found.x[:, 0].numpy() * 255, images)
    assert found.labels.tolist() == [0, 1, 2, 3, 4]
    assert read(tmp_path, (6,), "t10k").x.shape == (5, 6)
    with pytest.raises(InputError, match="7 numbers"):
        read(tmp_path, (7,), "t10k")
    with pytest.raises(InputError, match="train-images"):
        read(tmp_path, (6,))


def test_an_npz_file_comes_back(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(7, 2, 3))
    np.savez(tmp_path / "data.npz", x=x, labels=np.arange(7, dtype=np.int32))
    found = read(tmp_path / "data.npz", (2, 3))
    assert found.x.dtype == torch.float32
    assert np.allclose(found.x.numpy(), x)
    assert found.labels.dtype == torch.int64


def test_bad_npz_files_give_one_line(tmp_path: Path) -> None:
    x, labels = np.ones((3, 2)), np.arange(3)
    cases = {
        "absent": None,
        "no-labels": {"x": x},
        "bytes": {"x": x.astype(np.uint8), "labels": labels},
        "shares": {"x": x, "labels": labels / 2},
        "fewer": {"x": x, "labels": labels[:2]},
        "columns": {"x": x, "labels": labels[:, None]},
        "infinite": {"x": x * np.inf, "labels": labels},
        "wide": {"x": np.ones((3, 4)), "labels": labels},
        "objects": {"x": np.array([[1, None]] * 3, dtype=object), "labels": labels},
    }
    for name, arrays in cases.items():
        path = tmp_path / f"{name}.npz"
        if arrays is not None:
            np.savez(path, **arrays)  # type: ignore[arg-type]
        with pytest.raises(InputError) as caught:
            read(path, (2,))
        assert "\n" not in str(caught.value), name
    for name, content in {"pickle.npz": pickle.dumps([1]), "text.npz": b"x,labels", "empty.npz": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="something else"):
            read(tmp_path / name, (2,))
    np.save(tmp_path / "one.npy", x)
    with pytest.raises(InputError, match="something else"):
        read(tmp_path / "one.npy", (2,))


def test_several_inputs_come_by_name_and_tokens_as_whole_numbers(tmp_path: Path) -> None:
    inputs = Inputs(("x", "tokens"), ((2,), (3,)), (torch.float32, torch.int64), "name")
    x, tokens = np.arange(8.0).reshape(4, 2), np.arange(12).reshape(4, 3)
    path = tmp_path / "data.npz"
    np.savez(path, x=x, tokens=tokens, labels=np.zeros((4, 2), dtype=int))
    found = read(path, (5,), inputs=inputs)
    assert found.x.tolist() == np.hstack([x, tokens]).tolist()
    assert found.labels.shape == (4, 2)
    parts, named = inputs.arguments(found.x)
    assert parts == ()
    assert [(name, part.dtype, part.tolist()) for name, part in named.items()] == [
        ("x", torch.float32, x.tolist()),
        ("tokens", torch.int64, tokens.tolist()),
    ]
    for change, match in (
        ({"tokens": tokens + 0.5}, "tokens: found numbers of type float64; allowed: whole numbers"),
        ({"tokens": tokens + 2**25}, "tokens: found 33554443; allowed: whole numbers up to 16777216"),
        ({"tokens": tokens[:, :2]}, r"tokens: found shape \(4, 2\)"),
        ({"tokens": None}, "found no tokens"),
        ({"x": x.astype(int)}, "x: found numbers of type int64; allowed: floating-point"),
    ):
        arrays = {"x": x, "tokens": tokens, "labels": np.zeros(4, dtype=int), **change}
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        with pytest.raises(InputError, match=match):
            read(path, (5,), inputs=inputs)


def test_parts_are_disjoint_and_the_same_for_a_seed() -> None:
    data = Examples(torch.arange(20.0)[:, None], torch.arange(20))
    parts = data.split([5, 7, 3], seed=1)
    taken = torch.cat([part.labels for part in parts])
    assert [len(part) for part in parts] == [5, 7, 3]
    assert len(set(taken.tolist())) == 15
    assert all(torch.equal(part.x[:, 0].long(), part.labels) for part in parts)
    assert torch.equal(torch.cat([part.labels for part in data.split([5, 7, 3], seed=1)]), taken)
    assert not torch.equal(torch.cat([part.labels for part in data.split([5, 7, 3], seed=2)]), taken)
    for sizes in ([0, 5], [21], [10, 11]):
        with pytest.raises(InputError, match="20 or less"):
            data.split(sizes, seed=0)
