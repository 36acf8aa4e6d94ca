"""Writes the tables of README.md anew, between their marks.

python instances/jqodi/study/page.py
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from claims import claims, device_share, most_on_device, parameters_with
from data import HERE, SETS, read
from fit import printed
from make import RADIO
from model import PARTS, RADIOS, Floats, ranges

from qopt.core.files import write_text

PAGE = HERE / "README.md"


def stored(data: str, radio: str = RADIO, kind: str = "decisions") -> Floats:
    """Parameters of fit.json, log speeds and log powers (14,)."""
    values = read("fit")[data][radio][kind]["parameters"]
    return np.log([values[part][key] for key in ("speed", "power") for part in PARTS])


def fitted() -> list[str]:
    """Parameters of the instances, their ranges, and what the totals leave."""
    allowed, lines = ranges(RADIO), []
    for data in SETS:
        entry = read("fit")[data][RADIO]
        lines += [
            f"| {data} | speed | range | left by the totals | power [W] | range | J a MAC or bit, left by the totals |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for i, part in enumerate(PARTS):
            values = entry["decisions"]["parameters"][part]
            speeds, energies = entry["intervals"]["speed_and_energy"][part]
            speed = f"{values['speed']:.3g} | {_span([allowed.slowest[i], allowed.fastest[i]])} | {_span(speeds)}"
            power = f"{values['power']:.3g} | {_span([allowed.least[i], allowed.most[i]])} | {_span(energies)}"
            lines.append(f"| {part} | {speed} | {power} |")
        lines.append("")
    return lines[:-1]


def _span(pair: Any) -> str:
    return f"{pair[0]:.3g} – {pair[1]:.3g}"


def residuals() -> list[str]:
    """Every printed total against both fits."""
    lines = [
        "| data | total | printed | fitted to totals | fitted to decisions too |",
        "| --- | --- | --- | --- | --- |",
    ]
    for data in SETS:
        for name, quantity, value in printed(data)[0]:
            both = [
                read("fit")[data][RADIO][kind]["residuals"][f"{name} {quantity}"] for kind in ("totals", "decisions")
            ]
            unit = "s" if quantity == "time" else "J"
            lines.append(f"| {data} | {name}, {quantity} | {value:g} {unit} | {both[0]:+.1e} | {both[1]:+.1e} |")
    return lines


def decided() -> list[str]:
    """What the fits decide."""
    lines = [
        "| data | Wi-Fi | fitted to | Optimum | Full right | others need at 32 bits | Minimal | risk needed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for data in SETS:
        for radio in RADIOS:
            for kind in ("totals", "decisions"):
                found = read("fit")[data][radio][kind]["verdicts"]
                others = ", ".join(f"{name} {count}" for name, count in found["full_others_need"].items())
                risk = f"{found['risk_needed']:.3f}" if found["risk_needed"] else "none"
                lines.append(
                    f"| {data} | {radio} | {kind} | {found['optimum']} | {'yes' if found['full_right'] else 'no'} "
                    f"| {others} | {found['minimal']} | {risk} |"
                )
    return lines


def asked() -> list[str]:
    """Which printed decisions can hold together."""
    answers = read("possible")
    lines = ["| data 1: totals, and | Wi-Fi as link | as message |", "| --- | --- | --- |"]
    for name in answers[RADIOS[0]]["data1"]:
        first, second = (_runs(answers[radio]["data1"][name]) for radio in RADIOS)
        lines.append(f"| {name} | {first} | {second} |")
    lines += ["", "| others | Wi-Fi as link | as message |", "| --- | --- | --- |"]
    for group in ("data2", "others"):
        for name in answers[RADIOS[0]][group]:
            cells: list[Any] = [answers[radio][group][name] for radio in RADIOS]
            words = [_runs(cell) if isinstance(cell, list) else _yes(cell) for cell in cells]
            lines.append(f"| {'data 2: ' if group == 'data2' else ''}{name} | {words[0]} | {words[1]} |")
    return lines


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _runs(numbers: list[int]) -> str:
    if not numbers:
        return "none"
    whole = numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]} – {numbers[-1]}" if whole and len(numbers) > 1 else ", ".join(map(str, numbers))


def shares() -> list[str]:
    """How many of 1000 sets decide as printed, with intervals."""
    rows = read("robustness")
    names = [name for name in rows[0]["shares"] if not name.startswith("claim")]
    head = [f"{row['data']}, {row['wifi']}, K = {row['full_epochs']}" for row in rows]
    lines = ["| of 1000 | " + " | ".join(head) + " |", "| --- |" + " --- |" * len(rows)]
    for name in names:
        cells = []
        for row in rows:
            entry = row["shares"][name]
            low, high = (round(1000 * v) for v in entry["interval"])
            cells.append(f"{entry['of']} ({low} – {high})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines.append("| commonest optima | " + " | ".join(_instead(row) for row in rows) + " |")
    return lines


def _instead(row: dict[str, Any]) -> str:
    found = [(name, count) for name, count in row["instead"].items() if ", 1 bits" not in name]
    return "; ".join(f"{name}: {count}" for name, count in found[:2])


def claimed() -> list[str]:
    """Every claim: in the instance, whether it can hold, and in how many of the sets."""
    rows = {row["wifi"]: row for row in read("robustness") if row["data"] == "data1" and row["full_epochs"] == 4}
    second = {row["wifi"]: row for row in read("robustness") if row["data"] == "data2"}
    lines = [
        "| where | claim | in the instance | can hold with the totals | of 1000, link | of 1000, message |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    z = stored("data1")
    for claim in claims():
        can = [parameters_with(radio, (claim,)) is not None for radio in RADIOS]
        counts = [rows[radio]["shares"][f"claim {claim.name}"]["of"] for radio in RADIOS]
        held = "holds" if claim.holds(z) else "does not"
        lines.append(
            f"| {claim.where} | {claim.says} | {held} | {'yes' if all(can) else 'no'} | {counts[0]} | {counts[1]} |"
        )
    z = stored("data2")
    share = ", ".join(f"{n} {device_share('data2', n, z):.0%}" for n in ("minimal", "optimum", "jqodi", "full"))
    counts = [second[radio]["shares"]["claim 12"]["of"] for radio in RADIOS]
    held = f"holds: {share}" if most_on_device(z) else f"does not: {share}"
    says = "data 2's Minimal Model has the largest share of its time on the device"
    lines.append(f"| Fig. 12 | {says} | {held} | yes | {counts[0]} | {counts[1]} |")
    return lines


BLOCKS: dict[str, Callable[[], list[str]]] = {
    "fitted": fitted,
    "residuals": residuals,
    "decided": decided,
    "asked": asked,
    "shares": shares,
    "claimed": claimed,
}


def filled(text: str) -> str:
    """The page with every table made anew."""
    for name, make in BLOCKS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        parts = pattern.split(text)  # before, opening mark, closing mark, after
        if len(parts) != 4:
            raise SystemExit(f"{PAGE.name}: {len(parts) // 3} blocks {name}; allowed: 1")
        text = parts[0] + parts[1] + "\n".join(make()) + "\n" + parts[2] + parts[3]
    return text


def main() -> None:
    """Rewrite the page."""
    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
