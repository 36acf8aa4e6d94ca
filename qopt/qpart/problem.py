"""QPART: how many bits per tensor, and where to cut a network between device and server.

The request of "QPART: Adaptive Model Quantization and Dynamic Workload Balancing for Accuracy-aware
Edge Inference" as frozen data. Layers 1..L run in order; a cut p in {0..L} leaves layers 1..p to the
device and the rest to the server. p = 0 sends the raw input up.

Units: seconds, joules, bits, multiply-accumulates (MACs), hertz, watts.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.checks import check_lengths
from qopt.core.columns import Counts, Quantities, QuantityRows, RobustnessRows, Shares, Widths, complaint
from qopt.core.errors import shown
from qopt.core.problem import Flag, Frozen, PositiveQuantity, Problem, Quantity, Rate, UpperLimit
from qopt.qpart.network import NetworkColumns, Width

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


class NoiseTable(Frozen):
    """Measured noise N_i(b): a row for each tensor, a column for each width in `bits`.

    Attributes
    ----------
    bits : (k,) consecutive widths.
    weights : (L, k) noise of the weights of each layer.
    activations : (L, k) noise of the output of each layer.
    """

    bits: Widths
    weights: QuantityRows
    activations: QuantityRows

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.bits) == 0 or np.any(np.diff(self.bits) != 1):
            raise complaint(".bits", shown(self.bits.tolist()), "consecutive widths, ascending")
        columns = {"weights": self.weights, "activations": self.activations}
        check_lengths(columns, len(self.bits), "width", axis=1)
        return self


class Noise(Frozen):
    """Noise that quantizing one tensor adds to the logits (Eqs. 18-19), mean squared norm.

    Attributes
    ----------
    model : ``law`` is s 4^-b, ``grid`` is s (2^b - 1)^-2 (what the grid of Eq. 9 implies), ``table`` is measured.
    s_weights, s_activations : (L,) coefficients s of the law.
    table : the measured noise, used as it is.
    """

    model: Literal["law", "grid", "table"] = "law"
    s_weights: Quantities | None = None
    s_activations: Quantities | None = None
    table: NoiseTable | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.model == "table" and self.table is None:
            raise complaint(".table", "nothing", "a table, because model is 'table'")
        if self.model != "table":
            for name in ("s_weights", "s_activations"):
                if getattr(self, name) is None:
                    raise complaint(f".{name}", "nothing", f"a column, because model is {self.model!r}")
        return self


class Accuracy(Frozen):
    """What each accuracy level allows (Eqs. 20-23): a row for each level.

    Attributes
    ----------
    levels : (K,) accepted losses a, absolute (0.01 is one point), ascending.
    delta : (K, L) noise limit Delta(a, p) of cuts p = 1..L.
    rho_weights, rho_activations : (K, L) robustness of each tensor; null where the loss is never reached,
        so that its noise does not count. Default 1.
    """

    levels: Shares
    delta: QuantityRows
    rho_weights: RobustnessRows | None = None
    rho_activations: RobustnessRows | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.levels) == 0 or np.any(np.diff(self.levels) <= 0):
            raise complaint(".levels", shown(self.levels.tolist()), "at least one level, ascending")
        columns = {
            "delta": self.delta,
            "rho_weights": self.rho_weights,
            "rho_activations": self.rho_activations,
        }
        check_lengths(columns, len(self.levels), "level")
        return self


class BitRange(Frozen):
    """Admissible bit-widths.

    Attributes
    ----------
    lo, hi : least and largest width.
    """

    lo: Width = 1
    hi: Width = 16

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.lo > self.hi:
            raise complaint("", f"lo {self.lo} above hi {self.hi}", "lo <= hi")
        return self


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
    bits : admissible widths.
    cuts : admissible cuts, default all of 0..L.
    inferences : how many inferences share one download of the weights (the paper: 1).
    tie_cut : Eq. 14 to the letter, the activation of layer p has its weights' width b_p; by default it has its own.
    send_output : whether cut L still returns the output, as Eq. 14 counts it.
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
    cuts: Counts | None = None
    inferences: PositiveWhole = 1
    tie_cut: Flag = False
    send_output: Flag = True

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
        if noise.model == "table" and noise.table is not None:
            first, last = int(noise.table.bits[0]), int(noise.table.bits[-1])
            if self.bits.lo < first or self.bits.hi > last:
                raise complaint(".bits", f"{self.bits.lo}..{self.bits.hi}", f"widths of noise.table, {first}..{last}")
        cuts = self.cuts
        if cuts is not None and (len(cuts) == 0 or np.any(np.diff(cuts) <= 0) or cuts[-1] > n):
            raise complaint(".cuts", shown(cuts.tolist()), f"at least one cut from 0 to {n}, ascending, none twice")
        return self

    def summary(self) -> list[str]:
        """Network, accuracy, and what a request brings, in three lines."""
        net = self.network
        weights, macs = float(net.weights.sum()), float(net.macs.sum())
        memory = "" if self.device.memory is None else f", {self.device.memory:.4g} bits of memory"
        shared = "" if self.inferences == 1 else f", {self.inferences} inferences share a download"
        widths = f"{self.bits.lo} to {self.bits.hi}"
        return [
            f"{len(net)} layers, {weights:,.0f} weights, {macs:,.0f} MACs",
            f"accuracy loss {self.level:g} at most, noise by {self.noise.model}, widths {widths}",
            f"{len(self.admissible_cuts)} admissible cuts, uplink {self.channel.uplink:.4g} bit/s{memory}{shared}",
        ]

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
