"""QPART: how many bits per tensor, and where to cut a network between device and server.

The request of "QPART: Adaptive Model Quantization and Dynamic Workload Balancing for Accuracy-aware
Edge Inference" as frozen data. Layers 1..L run in order; a cut p in {0..L} leaves layers 1..p to the
device and the rest to the server. p = 0 sends the raw input up.

Units: seconds, joules, bits, multiply-accumulates (MACs), hertz, watts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.checks import check_length, check_lengths
from qopt.core.columns import Counts, complaint
from qopt.core.errors import shown
from qopt.core.problem import Flag, Frozen, PositiveQuantity, Problem, Quantity, Rate, UpperLimit
from qopt.qpart.accuracy import Accuracy, Noise
from qopt.qpart.layer_tables import LayerTables
from qopt.qpart.menus import BitRange
from qopt.qpart.network import NetworkColumns
from qopt.qpart.shapes import Conv, Linear, network_of
from qopt.qpart.table2 import nested

PositiveWhole = Annotated[int, Field(ge=1, le=2**53, strict=True)]

SAME_LEVEL = 1e-12
"""Levels that differ by this share are one: 0.01 and 1 % of 1 are. A level is looked up, it is no limit on a sum."""


def serving_rows(levels: FloatArray, asked: FloatArray | float) -> IntArray:
    """Row of the largest level that does not exceed the one asked for, or each of them; -1 where none does."""
    rows: IntArray = np.searchsorted(levels * (1.0 - SAME_LEVEL), asked, side="right") - 1
    return rows


class Device(Frozen):
    """The device: g_d cycles per MAC, clock f_d, energy k_d f_d^2 per cycle (Eqs. 5-6), memory for weights [bits].

    Attributes
    ----------
    cycles_per_mac : g_d.
    clock : f_d [Hz].
    energy_coefficient : k_d [J s^2].
    memory : for weights [bits]; none given is no limit.
    """

    cycles_per_mac: PositiveQuantity
    clock: PositiveQuantity
    energy_coefficient: Quantity = 0.0
    memory: UpperLimit = None


class Server(Frozen):
    """The server: g_s cycles per MAC, clock f_s, price zeta per second (Eqs. 7-8).

    Its energy (k_s) is known but, as in the paper's text, charged only with `charge_energy`.

    Attributes
    ----------
    cycles_per_mac : g_s.
    clock : f_s [Hz].
    price : zeta, per second.
    energy_coefficient : k_s [J s^2].
    charge_energy : whether its energy is part of the objective.
    """

    cycles_per_mac: PositiveQuantity
    clock: PositiveQuantity
    price: Quantity = 0.0
    energy_coefficient: Quantity = 0.0
    charge_energy: Flag = False


class Channel(Frozen):
    """The link: a rate [bit/s], or bandwidth, gain and noise power for Eq. 13.

    Attributes
    ----------
    rate : bits per second, for both directions unless `download_rate` is given.
    bandwidth, gain, fading, noise_power : B [Hz], alpha, h and N0 [W] of ``B log2(1 + P alpha h / N0)``.
    download_rate : bits per second from server to device.
    transmit_power : P of the device [W].
    charge_download : whether P is charged for what the device receives, as Eq. 16 does.
    """

    rate: Rate | None = None
    bandwidth: PositiveQuantity | None = None
    gain: PositiveQuantity | None = None
    fading: PositiveQuantity | None = None
    noise_power: PositiveQuantity | None = None
    download_rate: Rate | None = None
    transmit_power: Quantity = 0.0
    charge_download: Flag = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        shannon = {"bandwidth": self.bandwidth, "gain": self.gain, "noise_power": self.noise_power}
        given = [name for name, value in shannon.items() if value is not None]
        if self.rate is not None and (given or self.fading is not None):
            raise complaint(".rate", "a rate beside bandwidth, gain, fading or noise_power", "one or the other")
        if self.rate is None and len(given) < 3:
            missing = [name for name in shannon if name not in given]
            raise complaint("", f"no rate and no {missing[0]}", "rate, or bandwidth, gain and noise_power")
        if not (math.isfinite(self.uplink) and self.uplink > 0):
            raise complaint("", f"a rate of {self.uplink} bit/s", "a positive rate: check gain, power and noise")
        return self

    @property
    def uplink(self) -> float:
        """Rate from device to server [bit/s] (Eq. 13)."""
        if self.rate is not None:
            return self.rate
        assert self.bandwidth is not None
        assert self.gain is not None
        assert self.noise_power is not None
        snr = self.transmit_power * self.gain * (self.fading or 1.0) / self.noise_power
        return self.bandwidth * math.log1p(snr) / math.log(2.0)

    @property
    def downlink(self) -> float:
        """Rate from server to device [bit/s]."""
        return self.download_rate or self.uplink


class Objective(Frozen):
    """Weights w_t [1/s], w_e [1/J], w_c [1/price] of Eq. 17.

    Attributes
    ----------
    time : w_t [1/s].
    energy : w_e [1/J].
    price : w_c [1/price].
    """

    time: Quantity = 1.0
    energy: Quantity = 1.0
    price: Quantity = 1.0


class Limits(Frozen):
    """What a plan may use of what it costs, for one inference. None given is no limit.

    Memory for weights is `Device.memory`, noise is `Accuracy.delta`.

    Attributes
    ----------
    time : seconds, a deadline: device, server and transmission together.
    energy : joules, of all that the objective counts as energy.
    price : of the server.
    payload : Z, bits sent in both directions (Eq. 14).
    """

    time: UpperLimit = None
    energy: UpperLimit = None
    price: UpperLimit = None
    payload: UpperLimit = None

    @property
    def given(self) -> dict[str, float]:
        """The limits that there are, by name."""
        return {name: value for name in LIMITS if (value := getattr(self, name)) is not None}


LIMITS = ("time", "energy", "price", "payload")
"""Names of the limits on what a plan costs."""

UNITS = {"time": "s", "energy": "J", "price": "", "payload": "bit"}
"""Their units; a price has the unit that the server's price brings."""


class QPart(Problem):
    """One QPART request: minimise Eq. 17 over cut and bit-widths under the accuracy constraint.

    Attributes
    ----------
    network : L layers as columns.
    device, server, channel : who computes, and the link between them.
    objective : weights of Eq. 17.
    noise : of every tensor by its width (Eq. 18, or measured).
    accuracy : levels a, and Delta(a, p), the noise that each allows at a cut.
    level : accuracy level a of this request, one of ``accuracy.levels``.
    bits : admissible widths: a range, and menus.
    tables : measured time and energy of the layers, in place of MACs times a constant; optional.
    limits : on time, energy, price and payload of a plan; optional.
    cuts : admissible cuts, default all of 0..L.
    inferences : how many inferences share one download of the weights (the paper: 1).
    tie_cut : Eq. 14 to the letter, the activation of layer p has its weights' width b_p; by default it has its own.
    send_output : whether cut L still returns the output, as Eq. 14 counts it.
    quantize_input : whether the raw input, where it is sent, is a tensor with a width to choose like any other; by
        default it goes up in `network.input_bits` bits, without noise.
    """

    format: Literal["qopt/qpart"] = "qopt/qpart"
    version: Literal[1] = 1
    network: NetworkColumns
    device: Device
    server: Server
    channel: Channel
    objective: Objective = Objective()
    noise: Noise
    accuracy: Accuracy
    level: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, strict=True)]
    bits: BitRange = BitRange()
    tables: LayerTables | None = None
    limits: Limits | None = None
    cuts: Counts | None = None
    inferences: PositiveWhole = 1
    tie_cut: Flag = False
    send_output: Flag = True
    quantize_input: Flag = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        n = len(self.network)
        noise, accuracy = self.noise, self.accuracy
        check_lengths({"noise.s_weights": noise.s_weights, "noise.s_activations": noise.s_activations}, n, "layer")
        if noise.table is not None:
            rows = {
                "noise.table.weights": noise.table.weights,
                "noise.table.activations": noise.table.activations,
            }
            check_lengths(rows, n, "layer")
        rows = {
            "accuracy.delta": accuracy.delta,
            "accuracy.rho_weights": accuracy.rho_weights,
            "accuracy.rho_activations": accuracy.rho_activations,
        }
        check_lengths(rows, n, "layer", axis=1)
        if not np.any(np.isclose(accuracy.levels, self.level, rtol=SAME_LEVEL, atol=0)):
            raise complaint(".level", f"{self.level:g}", "one of " + ", ".join(f"{a:g}" for a in accuracy.levels))
        cuts = self.cuts
        if cuts is not None and (len(cuts) == 0 or np.any(np.diff(cuts) <= 0) or cuts[-1] > n):
            raise complaint(".cuts", shown(cuts.tolist()), f"at least one cut from 0 to {n}, ascending, none twice")
        if self.bits.has_menus:
            for name in ("weights", "activations"):
                check_length(f".bits.{name}", getattr(self.bits, name), n, "layer")
        if noise.model == "table" and noise.table is not None:
            first, last = int(noise.table.bits[0]), int(noise.table.bits[-1])
            lo, hi = int(self.widths[0]), int(self.widths[-1])
            if lo < first or hi > last:
                raise complaint(".bits", f"{lo}..{hi}", f"widths of noise.table, {first}..{last}")
        if self.bits.has_menus:
            self._check_shared_widths()
        if self.tables is not None:
            self.tables.check(self.bits.menus(n, False)[0], self.network.names)
        self._check_input()
        return self

    def _check_shared_widths(self) -> None:
        """Refuse menus of tensors that share a width and have none in common."""
        weights, outputs = self.bits.menus(len(self.network), False)
        for t, tie in enumerate(self.network.ties):
            if not set.intersection(*(set(weights[layer - 1].tolist()) for layer in tie.layers)):
                found = f"menus without a width in common for layers {shown(tie.layers.tolist())}"
                raise complaint(f".network.ties[{t}]", found, "layers whose menus in bits.weights share a width")
        if not self.tie_cut:
            return
        first = self.network.leaders
        for cut in self.admissible_cuts.tolist():
            if cut == 0 or (cut == len(self.network) and not self.send_output):
                continue
            group = [layer for layer in range(1, cut + 1) if first[layer - 1] == first[cut - 1]]
            menus = [outputs[cut - 1], *(weights[layer - 1] for layer in group)]
            if not set.intersection(*(set(menu.tolist()) for menu in menus)):
                found = f"menus without a width in common for weights and output of layer {cut}"
                raise complaint(".bits", found, "menus that share one, since tie_cut gives both the same width")

    def _check_input(self) -> None:
        """Refuse a quantized input of unknown noise, and what is said of an input that is not quantized."""
        noise, accuracy = self.noise, self.accuracy
        of_table = None if noise.table is None else noise.table.input
        if not self.quantize_input:
            given = {
                "bits.input": self.bits.input,
                "noise.s_input": noise.s_input,
                "noise.table.input": of_table,
                "accuracy.delta_input": accuracy.delta_input,
                "accuracy.rho_input": accuracy.rho_input,
            }
            for name, value in given.items():
                if value is not None:
                    plain = value.tolist() if isinstance(value, np.ndarray) else value
                    raise complaint(f".{name}", shown(plain), "nothing, unless quantize_input is true")
            return
        if noise.model == "table" and of_table is None:
            raise complaint(
                ".noise.table.input", "nothing", "the noise of the raw input, because quantize_input is true"
            )
        if noise.model != "table" and noise.s_input is None:
            raise complaint(".noise.s_input", "nothing", "a number, because quantize_input is true")
        if accuracy.delta_input is None and 0 in self.admissible_cuts:
            allowed = "the noise limit of cut 0 at each level, because quantize_input is true"
            raise complaint(".accuracy.delta_input", "nothing", allowed)

    @classmethod
    def from_layers(
        cls,
        layers: Sequence[Linear | Conv],
        *,
        noise: Any,
        accuracy: Any,
        level: float,
        names: Sequence[str] | None = None,
        input_bits: int = 32,
        **fields: Any,
    ) -> Self:
        """A request from the shapes of a chain of layers, whose MACs are counted (Eqs. 1-2); no torch.

        Parameters
        ----------
        layers : `Linear` and `Conv`, in the order in which they run.
        noise, accuracy, level : as the fields of these names.
        names : of the layers, one each.
        input_bits : of each value of the raw input.
        fields : any other, such as ``channel={"rate": 1e6, "transmit_power": 1.0}``; device, server, channel and
            objective that are not given are those of Table II.

        Raises
        ------
        InputError
            A layer that does not fit the one before, or a field that is not admissible.
        """
        network = {**network_of(layers, names), "input_bits": input_bits}
        given = {**nested(), **fields, "network": network, "noise": noise, "accuracy": accuracy, "level": level}
        return cls(**given)

    def summary(self) -> list[str]:
        """Network, accuracy, and what a request brings, in three lines."""
        net = self.network
        weights, macs = float(net.weights.sum()), float(net.macs.sum())
        memory = "" if self.device.memory is None else f", {self.device.memory:.4g} bits of memory"
        shared = "" if self.inferences == 1 else f", {self.inferences} inferences share a download"
        own = self.bits.weights or self.bits.activations
        widths = f"{self.bits.lo} to {self.bits.hi}"
        if self.bits.menu is not None or own:
            widths = ", ".join(map(str, self.widths)) + (" (a menu a tensor)" if own else "")
        kept = "".join(f", {name} at most {x:.4g} {UNITS[name]}".rstrip() for name, x in self.given_limits.items())
        measured = "" if self.tables is None else ", layers measured"
        return [
            f"{len(net)} layers, {weights:,.0f} weights, {macs:,.0f} MACs{measured}",
            f"accuracy loss {self.level:g} at most, noise by {self.noise.model}, widths {widths}",
            f"{len(self.admissible_cuts)} admissible cuts, uplink {self.channel.uplink:.4g} bit/s{memory}{shared}"
            + kept,
        ]

    @property
    def given_limits(self) -> dict[str, float]:
        """Limits on time, energy, price and payload that there are, by name."""
        return {} if self.limits is None else self.limits.given

    @property
    def widths(self) -> IntArray:
        """(k,) widths that some tensor may have, ascending."""
        if not self.bits.has_menus:
            return np.arange(self.bits.lo, self.bits.hi + 1)
        weights, outputs = self.bits.menus(len(self.network), self.quantize_input)
        return np.unique(np.concatenate((*weights, *outputs)))

    def noise_limit(self, cut: int) -> float:
        """Delta(a, p) at this request's level; infinite at a cut 0 that sends the raw input as it is.

        Parameters
        ----------
        cut : p.
        """
        if cut:
            return float(self.delta[cut - 1])
        if not self.quantize_input or self.accuracy.delta_input is None:
            return math.inf
        return float(self.accuracy.delta_input[self.level_row])

    @property
    def level_row(self) -> int:
        """Row of this request's level in the accuracy tables."""
        return int(np.argmin(np.abs(self.accuracy.levels - self.level)))

    @property
    def admissible_cuts(self) -> IntArray:
        """Cuts that may be chosen, ascending."""
        return np.arange(len(self.network) + 1) if self.cuts is None else self.cuts

    @property
    def delta(self) -> FloatArray:
        """(L,) noise limit of cuts 1..L at this request's level."""
        row: FloatArray = self.accuracy.delta[self.level_row]
        return row

    @property
    def layers(self) -> int:
        """L."""
        return len(self.network)
