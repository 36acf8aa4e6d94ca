"""The paper's schemes: what each leaves on both sides and sends, by sums of our own, and their pictures."""

from __future__ import annotations

import functools
import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

import qopt
from qopt import plots
from qopt.core.errors import InputError, MethodError
from qopt.qpart.costs import breakdown
from qopt.qpart.generate import qpart
from qopt.qpart.schemes import SCHEMES, Segment, as_it_is, cost_of, pruned, read_carried, with_encoder

SIZES = (784, 512, 256, 128, 64, 32, 10)
TABLE_II = qopt.load("qpart/table2")


@functools.cache
def whole_table() -> Any:
    return qopt.schemes(TABLE_II)


def weights(sizes: tuple[int, ...]) -> list[int]:
    return [a * b for a, b in itertools.pairwise(sizes)]


@pytest.mark.parametrize("cut", [1, 3, 6])
def test_segments_are_those_of_the_networks_written_out(cut: int) -> None:
    w, z = weights(SIZES), SIZES[cut]
    assert as_it_is(TABLE_II, cut) == Segment(sum(w[:cut]), sum(w[cut:]), 32 * sum(w[:cut]), 32 * z)
    assert as_it_is(TABLE_II, cut, 64).download == 64 * sum(w[:cut])
    coded = Segment(sum(w[:cut]) + 5 * z, sum(w[cut:]) + 5 * z, 32 * (sum(w[:cut]) + 5 * z), 160)
    assert with_encoder(TABLE_II, cut, 5) == coded
    left = (784, *(math.ceil(0.3 * s) if k <= cut else s for k, s in enumerate(SIZES[1:-1], start=1)), 10)
    v = weights(left)
    found = pruned(TABLE_II, cut, 0.3)
    assert found.device_macs == pytest.approx(sum(v[:cut]))
    assert found.server_macs == pytest.approx(sum(v[cut:]))
    assert (found.download, found.upload) == pytest.approx((32 * sum(v[:cut]), 32 * left[cut]))


@pytest.mark.parametrize("seed", range(4))
def test_a_segment_costs_what_its_plan_does(seed: int) -> None:
    """`cost_of` and `breakdown` read Eqs. 5-17 apart from each other."""
    options: dict[str, Any] = [{}, {"branches": True}, {"inferences": 7}, {"charge_download": False}][seed]
    p = qpart(5, seed=seed, **({"branches": True} if options.get("branches") else {}))
    p = p.replace({"inferences": options.get("inferences", 1), "server.price": 0.3, "channel.download_rate": 3e6})
    p = p.replace({"channel.charge_download": options.get("charge_download", True), "network.overhead": None})
    for cut in p.admissible_cuts.tolist():
        crossing = [i for i in p.network.crossing(cut) if 0 < i < 5 or (i == 5 and p.send_output)]
        plan = qopt.QPartPlan(cut=cut, weights=(32.0,) * cut, activations=(32.0,) * len(crossing))
        mine, theirs = cost_of(p, as_it_is(p, cut)), breakdown(p, plan)
        for name, value in theirs.to_dict().items():
            assert getattr(mine, name) == pytest.approx(value, rel=1e-12), name


def test_table_ii_by_scheme() -> None:
    """An encoder raises the payload at every cut of the paper's network; the optimum is the cheapest that is kept."""
    table = whole_table()
    assert list(table["scheme"]) == list(SCHEMES) * 6
    at = table.set_index(["cut", "scheme"])
    for cut in range(1, 7):
        row = at.loc[cut]
        assert row.loc["auto-encoder", "payload"] > row.loc["no optimization", "payload"]
        assert row.loc["exact", "status"] == "optimal"
        alone = qopt.solve(TABLE_II.replace({"cuts": [cut]}))
        assert row.loc["exact", "objective"] == pytest.approx(alone.objective, rel=1e-12)
        assert row["objective"].drop("qpart-paper").idxmin() == "exact"
        assert bool(row.loc["qpart-paper", "breaks"]) == (cut >= 4)


def test_sizes_that_were_carried_out_and_those_that_cannot_be() -> None:
    carried: list[dict[str, Any]] = [
        {"scheme": "auto-encoder", "cut": 1, "size": 16},
        {"scheme": "pruning", "cut": 1, "size": None},
        {"scheme": "exact", "cut": 1, "size": [[2], [2]]},
    ]
    at = qopt.schemes(TABLE_II.replace({"cuts": [1]}), carried=carried).set_index("scheme")
    assert list(at["status"]) == ["kept", "kept", "infeasible", "heuristic", "optimal"]
    assert at.loc["auto-encoder", "upload"] == 512
    assert math.isnan(at.loc["pruning", "objective"])
    branched = qpart(5, seed=1, branches=True)
    rows = qopt.schemes(branched)
    status = dict(zip(zip(rows["cut"], rows["scheme"], strict=True), rows["status"], strict=True))
    assert {status[p, "pruning"] for p in branched.admissible_cuts.tolist()} == {"impossible"}
    assert (0, "auto-encoder") not in status or status[0, "auto-encoder"] == "impossible"
    small = qopt.schemes(TABLE_II.replace({"device.memory": 1e6, "cuts": [1]})).set_index("scheme")
    assert "memory" in small.loc["no optimization", "breaks"]


def test_the_file_of_what_was_carried_out_is_taken() -> None:
    path = Path(__file__).parents[2] / "instances" / "mnist" / "schemes.json"
    at = qopt.schemes(TABLE_II.replace({"cuts": [1, 6]}), carried=path).set_index(["cut", "scheme"])
    assert at.loc[(1, "auto-encoder"), ["status", "size"]].tolist() == ["kept", 8]
    assert at.loc[(1, "pruning"), ["status", "size"]].tolist() == ["kept", 0.78125]
    assert at.loc[(6, "auto-encoder"), "status"] == "infeasible"
    lost = [{"scheme": "auto-encoder", "cut": 1, "size": 8, "status": "infeasible"}]
    assert read_carried(lost) == {("auto-encoder", 1): None}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"code": 0}, "code: found 0"),
    ({"keep": 1.5}, "keep: found 1.5"),
    ({"stored": 16}, "stored: found 16; allowed: 32 or 64"),
    ({"carried": 3}, "carried: found 3"),
    ({"carried": [{"cut": 1}]}, r"carried\[0\]"),
    ({"carried": [{"scheme": "pruning", "cut": 1, "size": 2}]}, r"carried\[0\].size: found 2"),
    ({"carried": [{"scheme": "auto-encoder", "cut": 1, "size": 999}]}, "at most the 512"),
    ({"carried": [{"scheme": "autoencoder", "cut": 1, "size": 9}]}, r"carried\[0\].scheme: found 'autoencoder'"),
    ({"carried": [{"scheme": "pruning", "cut": 1, "size": 0.5}] * 2}, r"carried\[1\]: found pruning at cut 1 twice"),
    ({"time_limit": -1}, "time_limit"),
]


@pytest.mark.parametrize(("arguments", "line"), BAD)
def test_bad_arguments_are_one_line(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        qopt.schemes(TABLE_II, **arguments)


def test_tables_of_time_are_refused() -> None:
    measured = TABLE_II.replace({"tables": {"server_time": [1.0] * 6}})
    with pytest.raises(MethodError, match="tables say what layers take"):
        qopt.schemes(measured)


def test_the_command(qopt_cli: Cli) -> None:
    told = qopt_cli("schemes", "qpart/table2", "--set", "cuts=[2]", "--json")
    assert told.code == 0
    rows = json.loads(told.out)
    assert [row["scheme"] for row in rows] == list(SCHEMES)
    for arguments in (("--figure", "4", "--out", "x.png"), ("--figure", "7"), ("--csv", "--json")):
        assert qopt_cli("schemes", "qpart/table2", *arguments).code == 2
    assert qopt_cli("schemes", "placement/teaching-5").code == 2


@pytest.mark.sweep
def test_the_command_draws(qopt_cli: Cli, tmp_path: Path) -> None:
    assert "exact" in qopt_cli("schemes", "qpart/table2", "--set", "cuts=[1]").out
    for figure in ("5-energy",):
        path = tmp_path / f"{figure}.png"
        run = qopt_cli("schemes", "qpart/table2", "--set", "cuts=[1]", "--figure", figure, "--out", str(path), "--csv")
        assert run.code == 0
        assert path.stat().st_size > 1000
    odd = ("--set", "cuts=[1]", "--figure", "7", "--out", str(tmp_path / "x.nothing"))
    assert qopt_cli("schemes", "qpart/teaching-3", *odd).code == 2


@pytest.mark.sweep
def test_pictures_show_what_the_table_says() -> None:
    table = whole_table()
    ax = plots.plot_scheme_objective(table)
    named = {line.get_label(): line for line in ax.lines}
    exact = table[table["scheme"] == "exact"]["objective"].to_list()
    assert list(named["exact"].get_ydata()) == exact
    assert "pruning (assumed)" in named
    assert "breaks a limit" in named
    assert plots.plot_scheme_performance(table, "price").get_ylabel() == "price"
    bars = plots.plot_parameter_reduction(TABLE_II).patches
    widths = table[table["scheme"] == "exact"]["plan"].iloc[-1]
    assert [bar.get_height() for bar in bars] == pytest.approx([100 * (1 - b / 32) for b in widths.weights])
    bits = plots.plot_size_by_level(TABLE_II.replace({"cuts": [1]})).lines[0].get_ydata()
    assert list(bits) == sorted(bits, reverse=True)
    assert bits[2] == 2 * 401408  # the 1-point level
    with pytest.raises(InputError, match="table"):
        plots.plot_scheme_time(table.drop(columns="breaks"))
    with pytest.raises(InputError, match="value"):
        plots.plot_scheme_performance(table, "payload")
