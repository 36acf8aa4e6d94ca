"""The parts of a table as a file: one npz archive with a JSON header and plain arrays, no pickle.

A file is untrusted: what `decide` relies on is checked here, and every complaint is one line.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from qopt.core.errors import InputError, shown
from qopt.core.files import write_whole
from qopt.core.reading import MAX_BYTES, from_data
from qopt.qpart.costs import fixed_upload, split_macs
from qopt.qpart.plan import crossing_activations
from qopt.qpart.problem import QPart
from qopt.qpart.serving.entries import Entries

FORMAT = "qopt/qpart-table"
FIELDS = tuple(Entries.__dataclass_fields__)

Networks = dict[str, QPart]
Whole = dict[tuple[str, int], Entries]


def write_parts(bits: str, networks: Networks, whole: Whole, path: str | os.PathLike[str]) -> None:
    """Write the parts of a table."""
    header = {
        "format": FORMAT,
        "version": 1,
        "bits": bits,
        "networks": {name: problem.model_dump() for name, problem in networks.items()},
        "tables": [[name, row] for name, row in whole],
    }
    arrays: dict[str, Any] = {"header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)}
    for i, plans in enumerate(whole.values()):
        arrays |= {f"{i}.{name}": getattr(plans, name) for name in FIELDS}
    write_whole(path, lambda file: np.savez(file, **arrays))


def read_parts(name: str) -> tuple[str, Networks, Whole]:
    """The bits, networks and plans of a table file; to be called within `one_line`."""
    with zipfile.ZipFile(name) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_BYTES:
        raise InputError(name, f"{size >> 20} MiB of arrays", f"at most {MAX_BYTES >> 20} MiB")
    with np.load(name, allow_pickle=False) as file:
        header = json.loads(bytes(file["header"]).decode())
        for field, known in (("format", (FORMAT,)), ("version", (1,)), ("bits", ("whole", "real"))):
            if header[field] not in known:
                raise InputError(f"{name}: {field}", shown(header[field]), " or ".join(map(str, known)))
        networks: Networks = {str(key): from_data(data) for key, data in header["networks"].items()}
        if not all(isinstance(problem, QPart) for problem in networks.values()):
            raise ValueError
        whole: Whole = {}
        for i, (key, row) in enumerate(header["tables"]):
            plans = Entries(**{field: file[f"{i}.{field}"] for field in FIELDS})
            _check(plans, networks[key], row)
            whole[str(key), int(row)] = plans
    expected = {(key, row) for key, problem in networks.items() for row in range(len(problem.accuracy.levels))}
    if header["bits"] == "whole" and set(whole) != expected:
        raise ValueError
    return header["bits"], networks, whole


@contextmanager
def one_line(name: str) -> Iterator[None]:
    """Whatever goes wrong while a table file is read, said in one line."""
    try:
        yield
    except OSError as error:
        raise InputError(name, (error.strerror or "an unreadable file").lower(), "a table file") from None
    except InputError:
        raise
    except (EOFError, LookupError, MemoryError, RuntimeError, TypeError, AttributeError, ValueError) as error:
        raise _no_table(name) from error
    except (ArithmeticError, zlib.error, zipfile.BadZipFile) as error:
        raise _no_table(name) from error
    except NotImplementedError as error:  # zipfile's word for a compression that it does not know
        raise _no_table(name) from error


def _no_table(name: str) -> InputError:
    return InputError(name, "no table, or a damaged one", "a file written by Table.save")


def _check(plans: Entries, problem: QPart, row: object) -> None:
    """Raise a ValueError where arrays do not fit each other or the network."""
    n, layers = len(plans.cut), len(problem.network)
    columns = (plans.cut, plans.device_macs, plans.server_macs, plans.download, plans.upload, plans.extreme)
    fits = all(column.shape == (n,) for column in columns) and plans.start.shape == (n + 1,)
    kinds = all(a.dtype.kind == "i" for a in (plans.cut, plans.widths, plans.start)) and plans.extreme.dtype == bool
    numbers = all(a.dtype == np.float64 and bool(np.isfinite(a).all()) for a in columns[1:5])
    if not (fits and kinds and numbers and plans.widths.ndim == 1):
        raise ValueError
    inside = n == 0 or (plans.cut.min() >= 0 and plans.cut.max() <= layers and bool(plans.extreme.any()))
    runs = plans.start[0] == 0 and plans.start[-1] == len(plans.widths) and bool(np.all(np.diff(plans.start) >= 0))
    if not (inside and runs and isinstance(row, int) and 0 <= row < len(problem.accuracy.levels)):
        raise ValueError
    # What a plan costs is worked out anew from its widths.
    net, (on_device, on_server) = problem.network, split_macs(problem)
    for e, cut in enumerate(plans.cut.tolist()):
        widths = plans.widths[plans.start[e] : plans.start[e + 1]]
        outputs = np.array(crossing_activations(problem, cut), dtype=np.int64)
        if len(widths) != cut + len(outputs) or np.any((widths < problem.bits.lo) | (widths > problem.bits.hi)):
            raise ValueError
        found = (plans.device_macs[e], plans.server_macs[e], plans.download[e], plans.upload[e])
        down = widths[:cut] @ net.sent[:cut] + net.sent_overhead[:cut].sum()
        up = widths[cut:] @ net.activations[outputs - 1] + fixed_upload(problem, cut)
        if not np.allclose(found, (on_device[cut], on_server[cut], down, up), rtol=1e-12, atol=0):
            raise ValueError
