"""Fading channels (Eqs. 11-13): what the rate is when a request is made, during its download and during its upload.

Each request has three moments, and a device's moments follow each other in the order of its requests. How long the
channel stays as it is, is the model:

* `transmission`: another fading at each moment, drawn independently: "the transmission time is comparable to the
  channel coherence period" (section III.D), and what the server was told is out of date.
* `block`: one fading for so many requests of a device: what was told holds.
* `markov`: two states, good and bad, each lasting a geometric number of moments (Gilbert and Elliott), with another
  Rayleigh fading at each moment and a gain that is lower in the bad state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qopt.core.arguments import real, whole
from qopt.core.arrays import FloatArray
from qopt.core.columns import MOST
from qopt.core.errors import InputError, shown

MODELS = ("transmission", "block", "markov")
MOMENTS = 3
"""Of a request: made, downloaded for, uploaded from."""
FORGOTTEN = 10
"""Of (1 + r) / (1 - r) moments, twice the correlation time: a stretch so long is all but independent of the next."""
HIGHEST = 1e3
"""No fading drawn is as high: e^-1000."""
LEAST = 1e-12
"""Of a fading: below it, once in 10^12 draws, the channel would be off."""


@dataclass(frozen=True)
class Channel:
    """A Rayleigh channel of rate ``B log2(1 + P alpha h / N0)``, h exponential of mean 1 (Eqs. 11-13).

    Attributes
    ----------
    bandwidth : B [Hz].
    gain : alpha, the mean gain.
    noise_power : N0 [W].
    transmit_power : P [W].
    model : ``transmission``, ``block`` or ``markov``.
    block : requests of a device that one fading lasts, for ``block``.
    bad_gain : factor of the gain in the bad state, for ``markov``.
    to_bad, to_good : probability at each moment to leave the good state, and the bad one, for ``markov``.
    """

    bandwidth: float = 1e6
    gain: float = 1e-9
    noise_power: float = 1e-11
    transmit_power: float = 1.0
    model: Literal["transmission", "block", "markov"] = "transmission"
    block: int = 10
    bad_gain: float = 0.01
    to_bad: float = 0.05
    to_good: float = 0.2

    def __post_init__(self) -> None:
        for name in ("bandwidth", "gain", "noise_power", "transmit_power"):
            value = real(f"channel.{name}", getattr(self, name), 0.0, math.inf)
            if not 0.0 < value < math.inf:
                found = f"{value:g}, a channel that is off" if value == 0 else f"{value:g}"
                raise InputError(f"channel.{name}", found, "a finite number > 0")
        best = math.log(self.transmit_power) + math.log(self.gain) - math.log(self.noise_power) + math.log(HIGHEST)
        rate = self.bandwidth / math.log(2.0) * max(best, 1.0) * 2.0  # more than the best fading gives
        if best > math.log(MOST) or rate > MOST:
            allowed = f"bandwidth, gain, noise_power and transmit_power whose SNR and rate stay below {MOST:g}"
            raise InputError("channel", f"an SNR of e^{best:.3g} and a bandwidth of {self.bandwidth:g}", allowed)
        if not isinstance(self.model, str) or self.model not in MODELS:
            raise InputError("channel.model", shown(self.model), ", ".join(MODELS))
        whole("channel.block", self.block, 1, 2**31)
        for name in ("bad_gain", "to_bad", "to_good"):
            real(f"channel.{name}", getattr(self, name), 0.0, 1.0, above=True)

    def stretch(self) -> int:
        """Requests of a device after which the channel has forgotten: 1, a block, or 20 correlation times (`markov`).

        What two states are at a distance of m moments correlates by ``(1 - to_bad - to_good)^m``.
        """
        if self.model == "block":
            return self.block
        if self.model == "transmission":
            return 1
        kept = abs(1.0 - self.to_bad - self.to_good)
        moments = FORGOTTEN * (1.0 + kept) / max(1.0 - kept, math.ulp(1.0))
        return min(math.ceil(moments / MOMENTS), 2**31)

    def rates(self, requests: int, rng: np.random.Generator) -> FloatArray:
        """(n, 3) rates [bit/s] of one device at the moments of its requests.

        Parameters
        ----------
        requests : n, of the device, in their order.
        rng : that draws.
        """
        if self.model == "block":
            drawn = rng.exponential(1.0, -(-requests // self.block))
            fading = np.repeat(np.repeat(drawn, self.block)[:requests, None], MOMENTS, axis=1)
        else:
            fading = rng.exponential(1.0, (requests, MOMENTS))
        if self.model == "markov":
            bad = self._states(requests * MOMENTS, rng).reshape(requests, MOMENTS)
            fading = np.where(bad, self.bad_gain, 1.0) * fading
        snr = self.transmit_power * self.gain * np.maximum(fading, LEAST) / self.noise_power
        found: FloatArray = self.bandwidth * np.log1p(snr) / math.log(2.0)
        return found

    def _states(self, moments: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(moments,) whether the state is bad: stays of geometric lengths, from the stationary state on."""
        first_bad = bool(rng.random() < self.to_bad / (self.to_bad + self.to_good))
        parts: list[np.ndarray[tuple[int], np.dtype[np.bool_]]] = []
        held = 0
        mean = 1.0 / self.to_bad + 1.0 / self.to_good
        while held < moments:
            pairs = int((moments - held) / mean * 1.1) + 8
            lengths = np.stack((rng.geometric(self.to_good, pairs), rng.geometric(self.to_bad, pairs)), axis=1)
            bad = np.broadcast_to(np.array([True, False]), lengths.shape)
            if not first_bad:
                lengths, bad = lengths[:, ::-1], bad[:, ::-1]
            # A stay longer than what is left is cut there, so that one draw of a rare state takes no memory.
            chunk = np.repeat(bad.ravel(), np.minimum(lengths.ravel(), moments - held))[: moments - held]
            parts.append(chunk)
            held += len(chunk)
        return np.concatenate(parts) if parts else np.empty(0, dtype=bool)
