"""The small problem of Fig. 5's kind, with numbers that a reader can add up."""

from __future__ import annotations

from typing import Any

from qopt.jqodi.problem import Jqodi


def fig5() -> Jqodi:
    """A problem as small as Fig. 5's: its limits and its first loss, everything else made up."""

    def change(expected: Any, robust: Any) -> dict[str, Any]:
        return {"expected": expected, "robust": robust}

    def width(bits: int, time: float, energy: float, gamma: tuple[float, float], run: dict[str, Any]) -> dict[str, Any]:
        loss = {"quantization": change(*gamma), "update": change(-0.002, -0.0015), "run": run}
        return {"bits": bits, "quantize_time": time, "quantize_energy": energy, "loss": loss}

    never = width(2, 0.05, 0.3, (0.07, 0.072), change([-0.01, -0.004, 0.0, 0.002], [-0.009, -0.003, 0.0, 0.002]))
    content: dict[str, Any] = {
        "name": "fig5",
        "description": (
            "A time-energy diagram small enough to draw. One model with loss 0.02, three bit-widths, T_max 3.5 s and "
            "L_max 0.035 are those of Fig. 5; every other number is invented. An epoch is 400 pictures. On the device "
            "layers 1 and 2 take 0.2 and 0.4 s, 0.4 and 0.8 J. Beyond cut 1, fast takes 0.15 s and 12 J, frugal 0.6 s "
            "and 4.8 J; beyond cut 2, 0.05 s and 4 J, or 0.2 s and 1.6 J; the cloud 0.1 s and 3.2 J. At 2 bits the "
            "loss never comes down. At 4 bits it does in 3 epochs (0.049, then 0.005 less each); sending takes 0.2 s "
            "and 2 J with the cloud, 0.08 s and 0.4 J at cut 1, 0.4 s and 2 J at cut 2: an epoch at cut 1 takes 0.73 "
            "s and 18 J with fast, 1.18 s and 10.8 J with frugal. Quantizing takes 0.1 s and 0.4 J, and three frugal "
            "epochs 3.54 s, too long; fast once, then frugal twice takes 0.1 + 0.73 + 0.15 + 2 x 1.18 = 3.34 s and "
            "0.4 + 18 + 0.3 + 2 x 10.8 = 40.3 J. At 8 bits 2 epochs (0.044, then 0.005 less each) and twice the "
            "sending: at cut 1 1.01 s and 20.4 J with fast, 1.46 s and 13.2 J with frugal. Quantizing takes 0.7 s and "
            "0.6 J, so two frugal epochs take 3.62 s; fast, then frugal takes 0.7 + 1.01 + 0.15 + 1.46 = 3.32 s and "
            "0.6 + 20.4 + 0.3 + 13.2 = 34.5 J, the optimum. The other way round, changing costs 0.2 J more."
        ),
        "source": "made up, after Fig. 5",
        "best_known": {
            "objective": 34.5,
            "model": "M1",
            "bits": 8,
            "servers": ["fast", "frugal"],
            "cuts": [1, 1],
            "how": "worked by hand in the description",
        },
        "mode": "path",
        "time_limit": 3.5,
        "cloud": {"speed": 1.6e10, "energy": 2e-9},
        "servers": [
            {"name": "fast", "speed": 8e9, "energy": 1e-8, "cloud_rate": 1e6, "cloud_energy": 1e-5},
            {"name": "frugal", "speed": 2e9, "energy": 4e-9, "cloud_rate": 1e6, "cloud_energy": 1e-5},
        ],
        "devices": [
            {
                "name": "device",
                "speed": 2e9,
                "energy": 1e-9,
                "training": 100.0,
                "validation": 100.0,
                "links": [{"server": name, "rate": 1e5, "energy": 5e-5} for name in ("fast", "frugal")],
            }
        ],
        "models": [
            {
                "name": "M1",
                "loss": 0.02,
                "loss_limit": 0.035,
                "macs": [1e6, 2e6, 1e6],
                "weights": [1000.0, 4000.0, 20000.0],
                "activations": [400.0, 200.0, 10.0],
                "input_size": 300.0,
                "input_bits": 8,
                "widths": [
                    never,
                    width(4, 0.1, 0.4, (0.029, 0.029), change(-0.003, -0.0025)),
                    width(8, 0.7, 0.6, (0.024, 0.024), change(-0.003, -0.0025)),
                ],
            }
        ],
        "switching": {
            "server_time": [[0.0, 0.15], [0.25, 0.0]],
            "server_energy": [[0.0, 0.3], [0.5, 0.0]],
            "cut_time": 0.05,
            "cut_energy": 0.2,
        },
    }
    return Jqodi(**content)
