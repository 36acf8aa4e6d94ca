"""Writes jqodi/data1.json and data2.json, of the fit that also sees the decisions, and the small fig5.json.

python instances/jqodi/study/fit.py     # parameters
python instances/jqodi/study/make.py
"""

from __future__ import annotations

from typing import Any

from data import HERE, PUBLISHED_BITS, SERVERS, SETS, TABLES, epochs, read
from decisions import FULL_EPOCHS, MINIMAL_EPOCHS
from fig5 import fig5
from profiles import INPUT, PROFILES, Profile

import qopt
from qopt.core.reading import save
from qopt.jqodi.problem import Jqodi

RADIO = "message"
"""Data 1's Minimal Model, beside Optimum and Full Model, needs this reading of the Wi-Fi's rate (possible.json)."""

OTHER_FULL = {"data1": {"lenet": 45, "resnet20": 95}, "data2": {"resnet20": 45, "vgg": 10}}
"""Assumed epochs at 32 bits of the models that the Full Model is not: enough for it to be the cheapest."""

RISK = {"data1": ("lenet", 6, 0.86), "data2": ("resnet20", 8, 0.92)}
"""Assumed risk of the model and width that Algorithm 4 shall prefer, the others' being 1."""

ASSUMED = """\
Layers are what lies between the printed partition points, MACs and parameters computed from the printed shapes; an \
epoch is three passes over the training pictures and one over the validation pictures. Speeds and energies are one of \
many fits (study/fit.json) to the printed totals and decisions, each inside a physical range (study/ranges.json); \
Wi-Fi's rate stands for small messages with their latency. Assumed: speeds do not depend on bits; quantizing costs \
nothing; """

PARTICULAR = {
    "data1": "at 32 bits VGG-like needs 4 epochs, LeNet-like 45, ResNet20 95; at 1 bit no model ever reaches its loss "
    "(printed of LeNet-like); the risk of LeNet-like at 6 bits is 0.86, all others 1.",
    "data2": "at 32 bits LeNet-like needs 33 epochs, ResNet20 45, VGG-like 10; at 1 bit VGG-like needs 15, and the "
    "others never reach their loss; the risk of ResNet20 at 8 bits is 0.92, all others 1.",
}


def instance(data: str) -> Jqodi:
    """One data set as a problem."""
    entry = TABLES["data"][data]
    fitted = read("fit")[data][RADIO]["decisions"]["parameters"]
    unit = {part: values["power"] / values["speed"] for part, values in fitted.items()}
    content: dict[str, Any] = {
        "name": data,
        "description": f"{entry['what']}, a Raspberry Pi 5, two edge servers and a cloud. {ASSUMED}{PARTICULAR[data]}",
        "source": f"{TABLES['source']}: Tables II-VII, section V",
        "mode": "choice",
        "time_limit": float(entry["time_limit"]),
        "cloud": {"speed": fitted["a100"]["speed"], "energy": _digits(unit["a100"])},
        "servers": [
            {
                "name": name,
                "speed": fitted[name]["speed"],
                "energy": _digits(unit[name]),
                "cloud_rate": fitted[f"a100-{name}"]["speed"],
                "cloud_energy": _digits(unit[f"a100-{name}"]),
            }
            for name in SERVERS
        ],
        "devices": [
            {
                "name": "pi5",
                "speed": fitted["pi5"]["speed"],
                "energy": _digits(unit["pi5"]),
                "training": float(entry["training"]),
                "validation": float(entry["validation"]),
                "links": [
                    {"server": name, "rate": fitted["wifi"]["speed"], "energy": _digits(unit["wifi"])}
                    for name in SERVERS
                ],
            }
        ],
        "models": [_model(data, profile) for profile in PROFILES.values()],
        "widths": list(PUBLISHED_BITS),
    }
    return Jqodi(**content)


def _digits(value: float, count: int = 6) -> float:
    return float(f"{value:.{count}g}")


def _model(data: str, profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "loss": TABLES["data"][data]["loss"][profile.name],
        "macs": list(profile.macs),
        "weights": list(profile.weights),
        "activations": list(profile.outputs),
        "layers": list(profile.layers),
        "input_size": float(INPUT),
        "input_bits": 8,
        "widths": [_width(data, profile.name, bits) for bits in (1, *PUBLISHED_BITS, 32)],
    }


def _width(data: str, model: str, bits: int) -> dict[str, Any]:
    count = _epochs(data, model, bits)
    found: dict[str, Any] = {"bits": bits}
    if count is not None:
        found["epochs"] = {"expected": count[0], "robust": count[1]}
    if RISK[data][:2] == (model, bits):
        found["risk"] = RISK[data][2]
    return found


def _epochs(data: str, model: str, bits: int) -> tuple[int, int] | None:
    """Printed, or assumed at 1 and 32 bits."""
    if bits in PUBLISHED_BITS:
        return epochs(data, model, bits)
    decisions = TABLES["data"][data]["decisions"]
    if bits == 1:
        count = MINIMAL_EPOCHS[data] if decisions["minimal"]["model"] == model else None
    else:
        count = FULL_EPOCHS[data] if decisions["full"]["model"] == model else OTHER_FULL[data][model]
    return None if count is None else (count, count)


def main() -> None:
    """Write the three instances, the fitted ones with their proved optimum."""
    save(fig5(), HERE.parent / "fig5.json")
    for data in SETS:
        problem = instance(data)
        solution = qopt.solve(problem)
        if solution.status != "optimal" or solution.certificate is None:
            raise SystemExit(f"{data}: {solution.status}, nothing written")
        plan = solution.plan
        known = {
            "objective": solution.objective,
            "model": plan.model,
            "bits": plan.bits,
            "servers": list(plan.servers),
            "cuts": list(plan.cuts),
            "how": f"method {solution.method}, proved by {solution.certificate.kind}",
        }
        save(problem.replace({"best_known": known}), HERE.parent / f"{data}.json")
        print(data, solution.objective)


if __name__ == "__main__":
    main()
