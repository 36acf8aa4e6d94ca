"""Writes docs/ledger.md: every claim of the three papers with a verdict, from ledger.toml and the study's own data.

    python docs/make_ledger.py

The strategies study's statements and tables of effects stand as data in `instances/placement/study/`; their verdicts
are computed here, from the reconstructed medians and the bundled instances.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE, DATA = ROOT / "docs" / "ledger.md", ROOT / "docs" / "ledger.toml"
STUDY = "Strategies"
VERDICTS = ("reproduced", "under an assumption", "contradicted", "cannot be tested here")
PAPERS = {
    "QPART": "QPART: Adaptive Model Quantization and Dynamic Workload Balancing for Accuracy-aware Edge Inference",
    "JQODI": "JQODI: model, bit-width, cut and edge server, epoch by epoch",
    STUDY: "The study of deployment strategies (Singh, Adams and Hassan)",
}
TESTS = {
    "medians": "tests/placement/test_study.py::test_medians_meet_every_statement_but_the_errata",
    "errata": "tests/placement/test_study.py::test_errata_are_listed",
    "drops": "tests/placement/test_study.py::test_accuracy_drops_are_table_6s",
    "sizes": "tests/placement/test_study.py::test_subjects_sizes_and_parameters",
    "accuracies": "tests/comparison/test_statistics.py::test_the_studys_accuracies",
    "signs": "tests/placement/test_study.py::test_signs",
}

HEAD = """# Ledger: what the three papers claim, and what holds

Every equation, algorithm, table, figure and numeric claim, with a verdict, our figure, and the test or the reason
behind it. Written by `python docs/make_ledger.py` from [ledger.toml](ledger.toml) and from the data of the strategies'
study; the tests see that every test named here exists and that no claim is without a verdict.

* **reproduced**: holds as it is printed, in the model or by its arithmetic.
* **under an assumption**: holds where something that the paper does not print is taken as said.
* **contradicted**: by the paper itself, by mathematics, or by what was measured.
* **cannot be tested here**: data, machines or samples that are not published or cannot be had, or no claim on numbers.

What is measured on MNIST is of networks that we trained ([simulation.md](simulation.md)). See too
[figure5.md](figure5.md), [placement-study.md](placement-study.md) and
[the study of JQODI](../instances/jqodi/study/README.md).
"""


@dataclass(frozen=True)
class Claim:
    """One claim: what is said where, the verdict, our figure, the tests and the reason behind it."""

    paper: str
    where: str
    says: str
    verdict: str
    ours: str = ""
    tests: tuple[str, ...] = ()
    reason: str = ""


def written() -> list[Claim]:
    """The claims of ledger.toml."""
    with DATA.open("rb") as file:
        data = tomllib.load(file)
    return [Claim(**{**entry, "tests": tuple(entry.get("tests", ()))}) for entry in data["claim"]]


def study() -> Iterator[Claim]:
    """The study's statements, a claim for each, and its tables of effects, a claim for each."""
    folder = str(ROOT / "instances" / "placement" / "study")
    sys.path.insert(0, folder)
    try:
        import data
        import signs

        latencies = signs.latencies()
        errata = {e["name"]: e for e in data.read("errata")["errata"]}
        medians = data.read("medians")["medians"]
        for statement in data.read("statements")["statements"]:
            yield _statement(data, statement, errata, medians, latencies)
        yield from _effects(data, latencies)
    finally:
        sys.path.remove(folder)


def _statement(
    data: Any, statement: dict[str, Any], errata: dict[str, Any], medians: dict[str, Any], model: dict[str, Any]
) -> Claim:
    """The verdict on one statement of section 5."""
    quantity, found = statement["quantity"], errata.get(statement.get("erratum", ""))
    of, over = statement["of"], statement.get("over")
    subjects = "all" if len(statement["subjects"]) == 4 else ", ".join(statement["subjects"])
    figures = statement.get("range", statement.get("value", statement.get("mean", "")))
    text = (
        " to ".join(f"{x:g}" for x in figures) if isinstance(figures, list) else f"{figures:g}" if figures != "" else ""
    )
    mean = "mean " if "mean" in statement else ""
    says = f"{mean}{quantity} of {of}{f' and {over}' if over else ''}, {subjects}: {text}".removesuffix(": ")
    where = f"Section {statement['where']}, {statement['id']}"
    if found is not None:
        return Claim(STUDY, where, says, "contradicted", found["found"], (TESTS["errata"],))
    if quantity in ("median", "difference", "ratio"):
        met = all(data.within(value, data.implied(statement, medians)[name]) for name, value in data.stated(statement))
        ours = " to ".join(f"{data.implied(statement, model)[name]:.2f}" for name, _ in data.stated(statement))
        verdict = "under an assumption" if met else "contradicted"
        reason = "samples are not published: medians were reconstructed from all printed figures together"
        return Claim(STUDY, where, says, verdict, f"{ours} in the instance", (TESTS["medians"],), reason)
    known = {
        "accuracy-drop": ("drops", "from Table 6's accuracies"),
        "size-ratio": ("sizes", "from the shapes"),
        "wilcoxon-p": ("accuracies", "2 / 2^18 = 7.6e-6"),
        "accuracy-delta": ("accuracies", "from Table 6's accuracies"),
    }
    if quantity in known:
        test, ours = known[quantity]
        return Claim(STUDY, where, says, "reproduced", ours, (TESTS[test],))
    why = {
        "cuda-share": "nodes of the study's graphs on its accelerator; neither is published",
        "conover-p": "samples are not published",
        "no-difference": "samples are not published",
    }
    return Claim(STUDY, where, says, "cannot be tested here", reason=why[quantity])


def _effects(data: Any, model: dict[str, Any]) -> Iterator[Claim]:
    """The signs of each table of effects."""
    tables: dict[Any, list[dict[str, Any]]] = {}
    for effect in data.effects():
        tables.setdefault(effect["table"], []).append(effect)
    for table, effects in sorted(tables.items(), key=lambda item: int(item[0])):
        signed = [e for e in effects if e["letter"]]
        met = sum(
            (model[e["subject"]][e["left"]] < model[e["subject"]][e["right"]]) == e["letter"].startswith("-")
            for e in signed
        )
        says = f"signs of {len(signed)} effects, {len(effects) - len(signed)} pairs without one"
        reason = (
            ""
            if met == len(signed)
            else "early exit of DUC in the cloud: slower by a negligible effect, though it does less"
        )
        verdict = "under an assumption" if met == len(signed) else "contradicted"
        ours = f"{met} of {len(signed)} signs in the instances"
        yield Claim(STUDY, f"Table {table}", says, verdict, ours, (TESTS["signs"],), reason or "times are fitted")


def claims() -> list[Claim]:
    """All claims, in the order of the page."""
    return [*written(), *study()]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _links(claim: Claim) -> str:
    """Tests as links to their files, then the reason."""
    named = [f"[{t.partition('::')[2]}](../{t.partition('::')[0]})" for t in claim.tests]
    return "; ".join([*named, *([_cell(claim.reason)] if claim.reason else [])])


def page() -> str:
    """The page."""
    found = claims()
    lines = [HEAD, "| paper | " + " | ".join(VERDICTS) + " | all |", "|---|" + "---:|" * (len(VERDICTS) + 1)]
    for paper in [*PAPERS, "all"]:
        mine = [c for c in found if paper in (c.paper, "all")]
        counts = Counter(c.verdict for c in mine)
        lines.append(f"| {paper} | " + " | ".join(str(counts[v]) for v in VERDICTS) + f" | {len(mine)} |")
    for paper, title in PAPERS.items():
        lines += [
            "",
            f"## {paper}",
            "",
            title,
            "",
            "| where | says | verdict | ours | shown by, or why |",
            "|---|---|---|---|---|",
        ]
        for c in (c for c in found if c.paper == paper):
            lines.append(f"| {_cell(c.where)} | {_cell(c.says)} | {c.verdict} | {_cell(c.ours)} | {_links(c)} |")
    return "\n".join(lines) + "\n"


def missing_tests(found: list[Claim]) -> list[str]:
    """Tests that are named and do not exist."""
    lines = []
    for test in sorted({t for c in found for t in c.tests}):
        path, _, name = test.partition("::")
        file = ROOT / path
        if not file.is_file() or not re.search(rf"^\s*def {re.escape(name)}\(", file.read_text(encoding="utf-8"), re.M):
            lines.append(test)
    return lines


def main() -> None:
    """Write the page."""
    from qopt.core.files import write_text

    for test in missing_tests(claims()):
        print(f"no such test: {test}")
    write_text(PAGE, page())


if __name__ == "__main__":
    main()
