"""The parts of a table as a file: one npz archive with a JSON header and plain arrays, no pickle.

A file is untrusted, and every complaint is one line. A digest tells damage. What `decide` relies on is worked out anew
from the plans' widths and must be what the file says: that each plan keeps its noise limit, what it costs, that none of
the list beats another and which are corners, that no admissible cut is left out, and that no weight could be stored in
fewer bits as it is. So a value of `decide` is the cost of a plan that keeps the limits. What cannot be told without
working out the table again is whether somebody who made the file on purpose left out a better combination: that is
`Table.verify`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.errors import InputError, shown
from qopt.core.files import write_whole
from qopt.core.limits import within
from qopt.core.reading import MAX_BYTES, from_data
from qopt.qpart.costs import fixed_upload, split_macs, upload_values
from qopt.qpart.problem import QPart
from qopt.qpart.serving.entries import Entries, front, measured_of
from qopt.qpart.subproblem import Subproblem, subproblems

FORMAT = "qopt/qpart-table"
VERSION = 2
"""1 had no digest."""

FIELDS = tuple(name for name in Entries.__dataclass_fields__ if name != "measured")
"""What tables of layers say of plans is worked out anew."""

MARGIN = 1e-9
"""What could be stored in fewer bits, by more than this share, is a fault; less is the tolerance of a proof."""

Networks = dict[str, QPart]
Whole = dict[tuple[str, int], Entries]


def write_parts(bits: str, networks: Networks, whole: Whole, path: str | os.PathLike[str]) -> None:
    """Write the parts of a table."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "bits": bits,
        "networks": {name: problem.model_dump() for name, problem in networks.items()},
        "tables": [[name, row] for name, row in whole],
    }
    arrays: dict[str, Any] = {"header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)}
    for i, plans in enumerate(whole.values()):
        arrays |= {f"{i}.{name}": getattr(plans, name) for name in FIELDS}
    arrays["digest"] = digest(arrays)
    write_whole(path, lambda file: np.savez(file, **arrays))


def read_parts(name: str) -> tuple[str, Networks, Whole]:
    """The bits, networks and plans of a table file; to be called within `one_line`."""
    with zipfile.ZipFile(name) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_BYTES:
        raise InputError(name, f"{size >> 20} MiB of arrays", f"at most {MAX_BYTES >> 20} MiB")
    with np.load(name, allow_pickle=False) as file:
        header = json.loads(bytes(file["header"]).decode())
        for field, known in (("format", (FORMAT,)), ("version", (VERSION,)), ("bits", ("whole", "real"))):
            if header[field] not in known:
                raise InputError(f"{name}: {field}", shown(header[field]), " or ".join(map(str, known)))
        networks: Networks = {str(key): from_data(data) for key, data in header["networks"].items()}
        if not all(isinstance(problem, QPart) for problem in networks.values()):
            raise ValueError
        whole: Whole = {}
        for i, (key, row) in enumerate(header["tables"]):
            plans = Entries(**{field: file[f"{i}.{field}"] for field in FIELDS})
            _check_shape(plans, networks[key], row)
            _check_plans(plans, networks[key], row)
            whole[str(key), int(row)] = _measured(plans, networks[key])
        if not np.array_equal(file["digest"], digest({key: file[key] for key in file.files if key != "digest"})):
            raise ValueError
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


def digest(arrays: dict[str, Any]) -> Any:
    """SHA-256 of all arrays with their names, kinds and shapes."""
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return np.frombuffer(found.digest(), dtype=np.uint8)


def _check_shape(plans: Entries, problem: QPart, row: object) -> None:
    """Raise a ValueError where arrays do not fit each other or the network."""
    n, layers = len(plans.cut), len(problem.network)
    columns = (plans.cut, plans.device_macs, plans.server_macs, plans.download, plans.upload, plans.extreme)
    fits = all(column.shape == (n,) for column in columns) and plans.start.shape == (n + 1,)
    kinds = all(a.dtype.kind == "i" for a in (plans.cut, plans.widths, plans.start)) and plans.extreme.dtype == bool
    numbers = all(a.dtype == np.float64 and bool(np.isfinite(a).all()) for a in columns[1:5])
    if not (fits and kinds and numbers and plans.widths.ndim == 1):
        raise ValueError
    inside = n == 0 or (plans.cut.min() >= 0 and plans.cut.max() <= layers and bool(np.all(np.diff(plans.cut) >= 0)))
    runs = plans.start[0] == 0 and plans.start[-1] == len(plans.widths) and bool(np.all(np.diff(plans.start) >= 0))
    if not (inside and runs and type(row) is int and 0 <= row < len(problem.accuracy.levels)):
        raise ValueError


def _measured(plans: Entries, problem: QPart) -> Entries:
    """The plans with the times and energies that the network's tables say of them."""
    if problem.tables is None:
        return plans
    ends = itertools.pairwise(plans.start.tolist())
    found = [measured_of(problem, cut, plans.widths[a:b]) for cut, (a, b) in zip(plans.cut.tolist(), ends, strict=True)]
    return replace(plans, measured=np.array(found).reshape(-1, 4).T.copy())


def _check_plans(plans: Entries, problem: QPart, row: int) -> None:
    """Raise a ValueError where a plan is none, is not as the columns say, or is missing as far as can be told."""
    at_level = problem.replace({"level": float(problem.accuracy.levels[row]), "device.memory": None, "limits": None})
    by_width = problem.tables is not None and problem.tables.by_width
    table, net = subproblems(at_level), problem.network
    on_device, on_server = split_macs(problem)
    if not np.all(np.isin(plans.cut, problem.admissible_cuts)):
        raise ValueError
    for cut in problem.admissible_cuts.tolist():
        subproblem = table.at(cut)
        own = np.flatnonzero(plans.cut == cut)
        for e in own.tolist():
            widths = plans.widths[plans.start[e] : plans.start[e + 1]]
            if len(widths) != len(subproblem.owner):
                raise ValueError
            _check_widths(subproblem, widths, leanest=not by_width)
            outputs = subproblem.outputs - 1
            down = widths[:cut] @ net.sent[:cut] + net.sent_overhead[:cut].sum()
            up = widths[cut:] @ upload_values(problem)[outputs] + fixed_upload(problem, cut)
            found = (plans.device_macs[e], plans.server_macs[e], plans.download[e], plans.upload[e])
            if not np.allclose(found, (on_device[cut], on_server[cut], down, up), rtol=1e-12, atol=0):
                raise ValueError
        if by_width:
            kept, extreme = list(range(len(own))), [True] * len(own)
        else:
            kept, extreme = front(plans.download[own], plans.upload[own])
        if kept != list(range(len(own))) or extreme != plans.extreme[own].tolist():
            raise ValueError
        if not len(own) and within(subproblem.noise.min(axis=1, initial=np.inf).tolist(), subproblem.limit):
            raise ValueError  # the plan of least noise is one


def _check_widths(subproblem: Subproblem, widths: IntArray, leanest: bool) -> None:
    """Raise a ValueError where a width is off its menu, tied ones differ, noise exceeds the limit, or less would do.

    Less bits for one weight, that is, where the plan is to be the leanest.
    """
    columns = np.minimum(subproblem.columns_of(widths), len(subproblem.bits) - 1)
    if np.any(subproblem.bits[columns] != widths) or not subproblem.on_menu[subproblem.owner, columns].all():
        raise ValueError
    items = np.empty(len(subproblem.tensors), dtype=np.int64)
    items[subproblem.owner] = columns
    if not np.array_equal(items[subproblem.owner], columns) or not subproblem.keeps(items):
        raise ValueError
    if not leanest:
        return
    each = np.arange(len(items))
    noise, stored = subproblem.noise[each, items], subproblem.storage
    room = subproblem.limit * (1.0 - MARGIN) - float(noise.sum())
    spared = stored[each, items][:, None] - stored
    less = (subproblem.noise - noise[:, None] <= room) & (spared > MARGIN * float(stored[each, items].sum()))
    less[subproblem.uploads] = False
    if room > 0 and less.any():
        raise ValueError
