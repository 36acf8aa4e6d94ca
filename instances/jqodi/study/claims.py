"""Observations 1-4 of section II and the orders of Figs. 8, 9, 10 and 12 as inequalities in the model's own terms.

    python instances/jqodi/study/claims.py

Nearly all are linear: a claim is a list of pairs (less, more) of vectors over seconds and joules of one MAC or bit,
(14,) each, and it holds where less < more in every pair. So it can be asked of many parameter sets at once, and of all
at once: whether any parameters within their ranges give the totals and the claim (`parameters_with`).

Fig. 8 is read as computing alone, in each node's own work. Inference (Figs. 9 and 10) is of one picture: device work up
to the cut, the cut's outputs over Wi-Fi at the plan's bits, the rest on the server. Speeds do not depend on bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from data import Choice, decision, images
from decisions import FULL_EPOCHS
from model import PARTS, Floats, unit_costs, work
from numpy.typing import NDArray
from possible import System, add_totals
from profiles import PROFILES

Pair = tuple[Floats, Floats]

WIFI = PARTS.index("wifi")


@dataclass(frozen=True)
class Claim:
    """One statement: where it stands, what it says, and its inequalities."""

    name: str
    where: str
    says: str
    pairs: tuple[Pair, ...]

    def holds(self, z: Floats) -> NDArray[np.bool_]:
        """Whether it holds, (sets,)."""
        units = np.concatenate(unit_costs(z), axis=-1)
        less, more = (np.array(side) for side in zip(*self.pairs, strict=True))
        return np.asarray((units @ less.T < units @ more.T).all(axis=-1))


def seconds(amounts: Floats) -> Floats:
    """(14,) of the time of amounts on parts."""
    return np.concatenate([amounts, np.zeros(7)])


def joules(amounts: Floats) -> Floats:
    """(14,) of the energy of amounts on parts."""
    return np.concatenate([np.zeros(7), amounts])


def both(less: Floats, more: Floats) -> tuple[Pair, Pair]:
    """Less time and less energy."""
    return (seconds(less), seconds(more)), (joules(less), joules(more))


def only(asked: Floats, part: int) -> Floats:
    """What is asked of one part."""
    return np.where(np.arange(7) == part, asked, 0.0)


def request(choice: Choice) -> Floats:
    """(7,) MACs and bits of one inference; cut n is the device alone."""
    profile, found = PROFILES[choice.model], np.zeros(7)
    found[0] = sum(profile.macs[: choice.cut])
    found[PARTS.index(choice.server)] = sum(profile.macs[choice.cut :])
    if choice.cut < len(profile.layers):
        found[WIFI] = profile.outputs[choice.cut - 1] * choice.bits
    return found


def alone(choice: Choice) -> Choice:
    """The same with every layer on the device."""
    return replace(choice, cut=len(PROFILES[choice.model].layers))


def _orders(data: str, names: tuple[str, ...]) -> tuple[Pair, ...]:
    """Device > server > cloud in time, the reverse in energy."""
    pairs: list[Pair] = []
    for name in names:
        chosen = decision(data, name)
        asked = work(chosen, images(data))
        nodes = [only(asked, PARTS.index(node)) for node in ("pi5", chosen.server, "a100")]
        for slow, fast in pairwise(nodes):
            pairs += [(seconds(fast), seconds(slow)), (joules(slow), joules(fast))]
    return tuple(pairs)


def claims() -> tuple[Claim, ...]:
    """Every claim that is a list of inequalities, for Data 1's numbers of images."""
    count = images("data1")
    own = {name: decision("data1", name) for name in ("optimum", "jqodi", "full")}

    def epoch(model: str, bits: int, cut: int) -> Floats:
        return work(Choice(model, bits, cut, "rtx3090"), count)

    bits_less = tuple(pair for model in ("lenet", "resnet20") for pair in both(epoch(model, 1, 1), epoch(model, 4, 1)))
    on_device, on_server = epoch("lenet", 4, 5), epoch("lenet", 4, 0)
    whole = only(on_device, 0), only(on_server, 1)
    falls = joules(epoch("lenet", 4, 1)), joules(epoch("lenet", 4, 0))
    rises = joules(epoch("lenet", 4, 3)), joules(epoch("lenet", 4, 4))
    paired = {s: {name: request(replace(c, server=s)) for name, c in own.items()} for s in ("rtx3090", "rtx4090")}
    lone = {name: request(alone(c)) for name, c in own.items()}
    small, large = own["jqodi"], own["full"]
    fourth = request(replace(small, server="rtx4090"))
    return (
        Claim("1-bits", "Observation 1", "1 bit takes less time and energy in an epoch than 4 bits", bits_less),
        Claim(
            "1-models-1-bit", "Observation 1", "LeNet-like at 1 bit: less time and energy an epoch than ResNet20",
            both(epoch("lenet", 1, 1), epoch("resnet20", 1, 1)),
        ),
        Claim(
            "1-models-4-bit", "Observation 1", "LeNet-like at 4 bits: less time and energy an epoch than ResNet20",
            both(epoch("lenet", 4, 1), epoch("resnet20", 4, 1)),
        ),
        Claim(
            "3", "Observation 3", "the device computes with less energy than the RTX 3090, and longer",
            ((joules(whole[0]), joules(whole[1])), (seconds(whole[1]), seconds(whole[0]))),
        ),
        Claim("4", "Observation 4", "over the cuts 0 to 4 energy first falls, then rises", (falls, rises)),
        Claim(
            "8-optimum-jqodi", "Fig. 8", "Optimum and JQODI: device > server > cloud in time, the reverse in energy",
            _orders("data1", ("optimum", "jqodi")),
        ),
        Claim(
            "8-full", "Fig. 8", "Full Model: device > server > cloud in time, the reverse in energy",
            _orders("data1", ("full",)),
        ),
        Claim(
            "9-jqodi-pairs", "Fig. 9", "JQODI infers with less time and energy than the others, with a server",
            tuple(p for row in paired.values() for name in ("optimum", "full") for p in both(row["jqodi"], row[name])),
        ),
        Claim(
            "9-jqodi-device", "Fig. 9", "JQODI infers with less time and energy than Optimum on the device alone",
            both(lone["jqodi"], lone["optimum"]),
        ),
        Claim(
            "9-between", "Fig. 9", "JQODI's time on the device alone is between those with RTX 3090 and RTX 4090",
            (
                (seconds(paired["rtx3090"]["jqodi"]), seconds(lone["jqodi"])),
                (seconds(lone["jqodi"]), seconds(paired["rtx4090"]["jqodi"])),
            ),
        ),
        Claim(
            "9-cheap", "Fig. 9", "JQODI's energy on the device alone is below those with either server",
            tuple((joules(lone["jqodi"]), joules(paired[s]["jqodi"])) for s in paired),
        ),
        Claim(
            "10-small", "Fig. 10", "small models: the RTX 4090's time exceeds the device's",
            ((seconds(only(fourth, 0)), seconds(only(fourth, 2))),),
        ),
        Claim(
            "10-large", "Fig. 10", "large models: faster with the RTX 3090, less energy with the RTX 4090",
            (
                (seconds(request(replace(large, server="rtx3090"))), seconds(request(large))),
                (joules(request(large)), joules(request(replace(large, server="rtx3090")))),
            ),
        ),
    )  # fmt: skip


def device_share(data: str, name: str, z: Floats) -> Floats:
    """Fig. 12: part of an epoch's time that the device computes."""
    asked = work(decision(data, name), images(data))
    inverse = unit_costs(z)[0]
    return np.asarray(inverse[..., 0] * asked[0] / (inverse @ asked))


def most_on_device(z: Floats) -> NDArray[np.bool_]:
    """Whether Data 2's Minimal Model has the largest part of its time on the device."""
    others = [device_share("data2", name, z) for name in ("optimum", "jqodi", "full")]
    return np.asarray(device_share("data2", "minimal", z) > np.max(others, axis=0))


def parameters_with(
    radio: str, chosen: tuple[Claim, ...], count: int | None = None, demand: Callable[[System], None] | None = None
) -> Floats | None:
    """Parameters that give Data 1's totals within 2 % and these claims; None where there are none."""
    system = System(radio)
    add_totals(system, "data1", count or FULL_EPOCHS["data1"])
    if demand is not None:
        demand(system)
    scale = np.concatenate([system.seconds, system.joules])
    for claim in chosen:
        for less, more in claim.pairs:
            row = (more - less) * scale
            if not row.any():
                return None  # equal whatever the parameters
            system.row({i: c for i, c in enumerate(row / np.abs(row).max()) if c}, 0.0, np.inf)
    return system.solve()
