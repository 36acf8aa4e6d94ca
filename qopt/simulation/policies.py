"""Policies: how the server answers. Each is a table of plans for every network and level, and `qopt.decide` on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qopt.core.errors import InputError, shown
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import QPart
from qopt.qpart.serving.published import entries_of, published_table
from qopt.qpart.serving.table import Table, offline

POLICIES = {
    "exact": "the exact table, which knows every limit",
    "published": "Algorithms 1 and 2 as published: Eq. 40 as printed, widths fixed under Table II",
    "restored": "the same with the eps that Eq. 40 lost",
    "device": "the whole network on the device, at the leanest widths that keep the level",
    "server": "the raw input goes up, the server runs all",
    "float": "no optimization: every cut at 32 bits, the cheapest taken",
}
"""What each is, by name."""


@dataclass(frozen=True)
class Policy:
    """A table of plans, and whether what chooses from it looks at memory and limits.

    Attributes
    ----------
    name : how it is called.
    table : plans of every network and level.
    looks : whether memory and limits of a request are seen; Algorithm 2 sees neither.
    exempt : whether its plans are the network as it is, stored at 32 bits, so that no level is missed.
    """

    name: str
    table: Table
    looks: bool = False
    exempt: bool = False


def _at_one_cut(name: str, networks: Mapping[str, QPart], last: bool) -> Table:
    """The table in which every network has one cut."""
    changed = []
    for network in networks.values():
        cut = len(network.network) if last else 0
        if cut not in network.admissible_cuts:
            found = f"{name!r}, where {network.name} does not admit cut {cut}"
            raise InputError("policies", found, f"networks with cut {cut} among their cuts")
        changed.append(network.replace({"cuts": [cut]}))
    return offline(changed)


def _float_table(networks: Mapping[str, QPart]) -> Table:
    """Every cut at 32 bits."""
    whole = {}
    for name, network in networks.items():
        plans = [
            QPartPlan(
                problem=name, cut=p, weights=(32.0,) * p, activations=(32.0,) * len(crossing_activations(network, p))
            )
            for p in network.admissible_cuts.tolist()
        ]
        for row in range(len(network.accuracy.levels)):
            whole[name, row] = entries_of(network.replace({"network.overhead": None}), plans)
    return Table("whole", dict(networks), whole, {})


def policies(networks: Mapping[str, QPart], names: Sequence[str]) -> list[Policy]:
    """The policies of some names, for networks.

    Parameters
    ----------
    networks : by name.
    names : list of names of `POLICIES`.

    Raises
    ------
    InputError
        An unknown name, a name twice, or one that a network does not admit.
    """
    unnamed = next((name for name in names if not isinstance(name, str)), None)
    if unnamed is not None:
        raise InputError("policies", shown(unnamed), ", ".join(POLICIES))
    if not names or len(set(names)) < len(names):
        raise InputError("policies", shown(list(names)), "names, at least one and none twice")
    found = []
    for name in names:
        if name == "exact":
            found.append(Policy(name, offline(networks.values()), looks=True))
        elif name in ("published", "restored"):
            equation = "printed" if name == "published" else "restored"
            found.append(Policy(name, published_table(networks.values(), equation=equation)))
        elif name in ("device", "server"):
            found.append(Policy(name, _at_one_cut(name, networks, name == "device")))
        elif name == "float":
            found.append(Policy(name, _float_table(networks), exempt=True))
        else:
            raise InputError("policies", shown(name), ", ".join(POLICIES))
    return found
