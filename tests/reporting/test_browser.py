"""The page in a real browser, without a window: sliders moved by a script, read back, and no error said."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pages import Reader

import qopt
from qopt.fleet.showing import LOADS, changed

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

DRIVER = """
<pre id="driven"></pre>
<script>
const read = (box) => [Number(box.dataset.value), Number(box.dataset.objective), Number(box.dataset.piece),
  box.querySelector("[data-field=plan]").textContent, range.getAttribute("aria-valuetext")];
const box = document.querySelector(".explorer"), range = box.querySelector("input[type=range]");
const seen = [read(box)];
const [back, forth] = box.querySelectorAll("button");
for (const position of [0, 250, 500, 750, 1000]) {
  range.value = position;
  range.dispatchEvent(new Event("input"));
  seen.push(read(box));
}
for (let k = 0; k < 3; k++) { back.click(); seen.push(read(box)); }
forth.click();
seen.push(read(box));
const exact = box.querySelector("input[type=number]");
exact.value = "12345.678";
exact.dispatchEvent(new Event("input"));
seen.push(read(box));
const marks = [...box.querySelectorAll("tr.here")].length, ticks = box.querySelectorAll(".tick").length;
const load = [...document.querySelectorAll(".explorer")].pop(), points = [];
const moved = load.querySelector("input[type=range]");
for (const position of [0, 300, 640, 1000]) {
  moved.value = position;
  moved.dispatchEvent(new Event("input"));
  points.push([Number(load.dataset.value), Number(load.dataset.objective)]);
}
moved.dispatchEvent(new Event("change"));
const solved = load.querySelectorAll(".solved").length;
const wide = document.documentElement.scrollWidth <= window.innerWidth;
document.getElementById("driven").textContent = JSON.stringify({ seen, marks, ticks, wide, points, solved });
</script>
"""


def browser() -> str:
    """The browser's program; without one the test is skipped."""
    for name in BROWSERS:
        if (found := shutil.which(name)) is not None:
            return found
    pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the path")


def test_the_slider_moves_along_the_envelope_in_a_browser(tmp_path: Path) -> None:
    program = browser()
    html = qopt.report(["qpart/teaching-3", "fleet/teaching-4"]).html
    path = tmp_path / "page.html"
    path.write_text(html.replace("</body>", f"{DRIVER}</body>"), encoding="utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    run = subprocess.run(
        [program, *options, profile, "--virtual-time-budget=5000", path.as_uri()],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    said = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    assert said == []
    page = Reader(run.stdout)
    driven: dict[str, Any] = json.loads(next(text for text in page.texts if text.startswith('{"seen"')))
    envelope = qopt.breakpoints("qpart/teaching-3", "rate")
    values = [row[0] for row in driven["seen"]]
    assert values[0] == 2000.0  # as in the instance
    assert values[1] < values[2] < values[3] < values[4] < values[5]
    assert values[6] == envelope.values[0]  # back from the end: the break-even value, to the last bit
    assert values[-1] == 12345.678
    cuts = set()
    for value, objective, piece, plan, told in driven["seen"]:
        assert objective == envelope.objective(value)
        assert plan == str(envelope.at(value).plan)
        assert piece == envelope.pieces.index(envelope.at(value))
        assert plan in told
        cuts.add(envelope.at(value).plan.cut)
    assert cuts == {0, 2}  # the cut was seen to move
    assert driven["marks"] == 1
    assert driven["ticks"] == 1
    assert driven["wide"]
    assert driven["solved"] == len(LOADS)  # where no curve is known, only what was solved can be stood on
    assert [value for value, _ in driven["points"]] == [0.25, 1.0, 2.0, 3.0]
    fleet = qopt.load("fleet/teaching-4")
    for value, objective in driven["points"]:
        assert objective == qopt.solve(changed(fleet, "load", value)).objective
