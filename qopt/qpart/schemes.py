"""The schemes that the QPART paper compares in section V, at every cut of a request: Figs. 5 and 7 to 10.

* `no optimization`: the segment is sent as it is stored, 32 or 64 bits a value.
* `auto-encoder`: an encoder of z to k values behind the segment, on the device, and a decoder on the server, both one
  fully connected layer. The segment is sent as it is stored, *and the encoder with it*: against the paper's words
  ("slightly reduces communication payload", Fig. 10) that raises the payload wherever the encoder has more weights than
  what it saves of the activation, which is at nearly every cut.
* `pruning`: a share of the neurons of layers 1..p is kept, so that weights, work and what crosses the cut shrink.
* `qpart-paper`: the published rule at this cut, and `exact`, the optimum.

How far an auto-encoder or pruning may go within the accuracy level is a measurement. It is taken from `carried`, what
somebody carried out (`instances/mnist/schemes.py` does), else assumed, and the status says which.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qopt.core.arguments import check_time_limit, real, whole
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.limits import within
from qopt.core.reading import problem_of, read_json
from qopt.core.solving import solve
from qopt.qpart.costs import Cost, account, breakdown, computing, fixed_upload, split_macs
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import QPart

if TYPE_CHECKING:
    import pandas as pd

SCHEMES = ("no optimization", "auto-encoder", "pruning", "qpart-paper", "exact")
"""In the order of a table's rows at a cut."""

CARRIED = (*SCHEMES, "qpart-published")
"""Schemes that rows of what was carried out may name."""

COLUMNS = (
    "cut", "scheme", "status", "size", "objective", "time", "energy", "price", "payload", "download", "upload",
    "device_macs", "server_macs", "breaks", "plan",
)  # fmt: skip

STORED = (32, 64)
"""Bits of a parameter as it is stored: single precision, or the paper's double (section III.C)."""


@dataclass(frozen=True)
class Segment:
    """What a scheme leaves on each side of a cut, and what it sends: everything that Eqs. 5-17 look at.

    Attributes
    ----------
    device_macs, server_macs : O_1 and O_2 [MACs].
    download, upload : bits in either direction.
    """

    device_macs: float
    server_macs: float
    download: float
    upload: float


def cost_of(problem: QPart, segment: Segment) -> Cost:
    """Cost of a segment by Eqs. 5-8 and 14-17, whatever scheme it comes from.

    Parameters
    ----------
    problem : whose device, server, channel and weights price it; without tables.
    """
    device, server = computing(problem, segment.device_macs, segment.server_macs)
    return account(problem, segment.download, segment.upload, device, server)


def as_it_is(problem: QPart, cut: int, stored: int = 32) -> Segment:
    """No optimization: weights and what crosses at `stored` bits a value, the raw input at its own.

    Parameters
    ----------
    cut : p.
    stored : 32 or 64 bits.
    """
    net = problem.network
    on_device, on_server = split_macs(problem)
    plain = problem.replace({"network.overhead_activations": None})  # values as they are stored have no scales
    up = fixed_upload(plain, cut)
    up += sum(stored * float(net.activations[i - 1] if i else net.input_size) for i in crossing_activations(plain, cut))
    return Segment(float(on_device[cut]), float(on_server[cut]), stored * float(net.sent[:cut].sum()), up)


def with_encoder(problem: QPart, cut: int, k: int, stored: int = 32) -> Segment:
    """An auto-encoder at a cut that one tensor crosses: z k MACs and z k weights more on the device, k values up.

    Parameters
    ----------
    cut : p >= 1.
    k : values that are sent.
    stored : 32 or 64 bits.
    """
    plain, z = as_it_is(problem, cut, stored), float(problem.network.activations[cut - 1])
    return Segment(plain.device_macs + z * k, plain.server_macs + z * k, plain.download + stored * z * k, stored * k)


def pruned(problem: QPart, cut: int, share: float, stored: int = 32) -> Segment:
    """A share of the neurons (or channels) of layers 1..p kept, rounded up to whole ones; the network's outputs all.

    Parameters
    ----------
    cut : p >= 1, of a chain.
    share : in (0, 1].
    stored : 32 or 64 bits.
    """
    net, last = problem.network, len(problem.network)
    left = [1.0] * (last + 1)  # of each tensor 0..L
    for layer in range(1, min(cut, last - 1) + 1):
        z = float(net.activations[layer - 1])
        left[layer] = min(math.ceil(share * z), z) / z if z else 1.0
    part = [left[layer - 1] * left[layer] for layer in range(1, last + 1)]
    macs = [float(o) * x for o, x in zip(net.macs, part, strict=True)]
    down = stored * sum(float(z) * x for z, x in zip(net.sent[:cut], part[:cut], strict=True))
    up = stored * float(net.activations[cut - 1]) * left[cut] if crossing_activations(problem, cut) else 0.0
    return Segment(sum(macs[:cut]), sum(macs[cut:]), down, up)


def read_carried(source: str | os.PathLike[str] | Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], Any]:
    """What was carried out, by scheme and cut: values that an auto-encoder sends, the share that is kept, or None.

    Parameters
    ----------
    source : rows with `scheme`, `cut` and `size` (null: infeasible), or a JSON file of them: a list, in ``rows``, or of
        `instances/mnist/schemes.py`, in the ``rows`` of the first of its ``seeds``. A size counts for auto-encoder and
        pruning; plans of the other schemes are worked out anew. A row whose ``status`` is ``infeasible`` has no size.

    Raises
    ------
    InputError
        A file that is no such list, an unknown scheme, a scheme twice at a cut, or a size that is none.
    """
    data: Any = read_json(source) if isinstance(source, str | os.PathLike) else source
    if isinstance(data, Mapping) and isinstance(data.get("seeds"), list) and data["seeds"]:
        data = data["seeds"][0]
    rows = data.get("rows") if isinstance(data, Mapping) else data
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise InputError("carried", shown(data), "rows with scheme, cut and size, or a JSON file of them")
    found: dict[tuple[str, int], Any] = {}
    for k, row in enumerate(rows):
        if not isinstance(row, Mapping) or not {"scheme", "cut", "size"} <= set(row):
            raise InputError(f"carried[{k}]", shown(row), "an object with scheme, cut and size")
        scheme, cut, size = row["scheme"], whole(f"carried[{k}].cut", row["cut"], 1), row["size"]
        if not isinstance(scheme, str) or scheme not in CARRIED:
            raise InputError(f"carried[{k}].scheme", shown(scheme), ", ".join(CARRIED))
        if scheme not in ("auto-encoder", "pruning"):
            continue
        if (scheme, cut) in found:
            raise InputError(f"carried[{k}]", f"{scheme} at cut {cut} twice", "one size for each scheme and cut")
        if row.get("status") == "infeasible":
            size = None
        if size is not None and scheme == "auto-encoder":
            size = whole(f"carried[{k}].size", size, 1)
        elif size is not None:
            size = real(f"carried[{k}].size", size, 0, 1, above=True)
        found[scheme, cut] = size
    return found


def schemes(
    problem: QPart | str | os.PathLike[str],
    *,
    code: float = 0.5,
    keep: float = 0.5,
    carried: str | os.PathLike[str] | Sequence[Mapping[str, Any]] | None = None,
    stored: int = 32,
    time_limit: float | None = None,
) -> pd.DataFrame:
    """What each scheme of the QPART paper's section V costs at every admissible cut (Eqs. 5-17).

    Parameters
    ----------
    problem : a request, a bundled name or a path.
    code : share of the activation's values that the auto-encoder sends, in (0, 1], where nothing was carried out.
    keep : share of the neurons that pruning keeps, in (0, 1], where nothing was carried out.
    carried : sizes that were found by carrying the schemes out: rows with `scheme`, `cut` and `size` (None:
        infeasible), or a JSON file of them, that of `instances/mnist/schemes.py` too (its first seed).
    stored : bits of a parameter as it is stored, 32 or 64.
    time_limit : seconds for the exact plan of each cut.

    Returns
    -------
    DataFrame, a row for each cut and scheme: status, size (values sent, share kept, widths), objective, time [s],
    energy [J], price, payload, download and upload [bits], MACs on both sides, what it breaks, plan.
    Status is that of `qopt.solve` for plans; else ``kept`` (as carried out), ``assumed``, ``infeasible`` where even the
    largest size loses more than the level, or ``impossible``, with the reason in `breaks`.

    Raises
    ------
    InputError
        An argument outside these.
    MethodError
        The problem has tables of time or energy: they say nothing of layers that a scheme has changed.
    """
    import pandas as pd

    problem = problem_of(QPart, problem, named=True)
    real("code", code, 0, 1, above=True)
    real("keep", keep, 0, 1, above=True)
    check_time_limit(time_limit)
    if stored not in STORED:
        raise InputError("stored", shown(stored), "32 or 64")
    if problem.tables is not None:
        raise MethodError(f"{problem.name}: tables say what layers take, and nothing of layers that a scheme changed")
    sizes = {} if carried is None else read_carried(carried)
    records: list[dict[str, Any]] = []
    for cut in problem.admissible_cuts.tolist():
        records.append(_row(problem, cut, SCHEMES[0], "kept", stored, as_it_is(problem, cut, stored)))
        records += _changed(problem, cut, sizes, code, keep, stored)
        records += _planned(problem, cut, time_limit)
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def _changed(
    problem: QPart, cut: int, sizes: dict[tuple[str, int], Any], code: float, keep: float, stored: int
) -> Iterator[dict[str, Any]]:
    """Rows of the auto-encoder and of pruning."""
    net = problem.network
    z = float(net.activations[cut - 1]) if cut else 0.0
    chain = net.last_reader is None or all(int(x) == i + 1 for i, x in enumerate(net.last_reader))
    why = {
        "auto-encoder": "" if len(crossing_activations(problem, cut)) == 1 else "not one tensor that crosses the cut",
        "pruning": "" if chain else "layers that others read too cannot be pruned alone",
    }
    for scheme, assumed in (("auto-encoder", max(1, math.ceil(code * z))), ("pruning", keep)):
        if cut == 0 or why[scheme]:
            yield _none(cut, scheme, "impossible", why[scheme] if cut else "no layer runs on the device")
            continue
        size = sizes.get((scheme, cut), assumed)
        if size is None:
            yield _none(cut, scheme, "infeasible", "accuracy: no size that was tried keeps the level")
            continue
        if scheme == "auto-encoder" and size > z:
            raise InputError("carried", f"{size} values at cut {cut}", f"at most the {z:g} that cross it")
        segment = (with_encoder if scheme == "auto-encoder" else pruned)(problem, cut, size, stored)
        yield _row(problem, cut, scheme, "kept" if (scheme, cut) in sizes else "assumed", size, segment)


def _planned(problem: QPart, cut: int, time_limit: float | None) -> Iterator[dict[str, Any]]:
    """Rows of the published rule and of the exact plan."""
    one = problem.replace({"cuts": [cut]})
    for scheme, method in (("qpart-paper", "qpart-paper"), ("exact", "auto")):
        try:
            solution = solve(one, method, time_limit=time_limit)
        except MethodError as reason:
            yield _none(cut, scheme, "impossible", str(reason))
            continue
        plan = solution.plan
        if not isinstance(plan, QPartPlan):
            why = "no layer runs on the device" if cut == 0 else solution.message
            yield _none(cut, scheme, "impossible" if scheme == "qpart-paper" else solution.status, why)
            continue
        on_device, on_server = split_macs(problem)
        cost = breakdown(problem, plan)
        segment = Segment(float(on_device[cut]), float(on_server[cut]), cost.download, cost.upload)
        yield {
            **_row(problem, cut, scheme, solution.status, [list(plan.weights), list(plan.activations)], segment),
            "breaks": "; ".join(solution.certificate.violations),
            "plan": plan,
        }


def _row(problem: QPart, cut: int, scheme: str, status: str, size: object, segment: Segment) -> dict[str, Any]:
    cost = cost_of(problem, segment)
    used = {"time": cost.time, "energy": cost.energy, "price": cost.price, "payload": cost.payload}
    limits = dict(problem.given_limits)
    if problem.device.memory is not None:
        used["memory"], limits["memory"] = segment.download, problem.device.memory
    broken = [
        f"{name}: {used[name]:g}, allowed {limit:g}"
        for name, limit in limits.items()
        if not within([used[name]], limit)
    ]
    return {
        "cut": cut,
        "scheme": scheme,
        "status": status,
        "size": size,
        "objective": cost.objective,
        "time": cost.time,
        "energy": cost.energy,
        "price": cost.price,
        "payload": cost.payload,
        "download": cost.download,
        "upload": cost.upload,
        "device_macs": segment.device_macs,
        "server_macs": segment.server_macs,
        "breaks": "; ".join(broken),
        "plan": None,
    }


def _none(cut: int, scheme: str, status: str, why: str) -> dict[str, Any]:
    """A row without a plan, and why."""
    return {**dict.fromkeys(COLUMNS), "cut": cut, "scheme": scheme, "status": status, "breaks": why}
