"""The bundled instances: what they say is true, their scripts still make them, their schema holds."""

from __future__ import annotations

import itertools
import json
import math
from importlib import resources
from typing import Any

import jsonschema
import numpy as np
import pytest
from qopt.instances import make_resnets, make_schema

from qopt.core.families import FAMILIES, Family
from qopt.core.limits import within
from qopt.core.reading import bundled, load, to_json
from qopt.qpart.costs import base_costs, prices, tensor_prices
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import subproblems
from qopt.qpart.terms import coefficients, noise_terms


def raw(name: str) -> Any:
    """The parsed file of a bundled instance."""
    return json.loads(resources.files("qopt.instances").joinpath(f"{name}.json").read_text(encoding="utf-8"))


# --- the schema ------------------------------------------------------------------------------------


def validator(form: str = "qopt/qpart") -> jsonschema.Draft202012Validator:
    schema = json.loads(make_schema.path(FAMILIES[form]).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda f: f.name)
def test_schema_is_current(family: Family) -> None:
    standing = make_schema.path(family).read_text(encoding="utf-8")
    assert standing == make_schema.text(family), "run python instances/make_schema.py"


@pytest.mark.parametrize("name", bundled())
def test_bundled_instances_fit_the_schema(name: str) -> None:
    problem = load(name)
    validator(problem.format).validate(raw(name))
    validator(problem.format).validate(json.loads(to_json(problem)))


MALFORMED = [
    ("network.macs", [32, -1, 64]),
    ("network.macs", [32, "32", 64]),
    ("network.macs", [32, None, 64]),
    ("network.last_reader", [1, 2, 3.5, 4]),
    ("network.input_bits", 65),
    ("device.clock", 0),
    ("device.speed", 1),
    ("server.charge_energy", "yes"),
    ("noise.model", "laws"),
    ("accuracy.delta", [1, 1, 1]),
    ("accuracy.rho_weights", [[0, 1, 1]]),
    ("accuracy.levels", [1.5]),
    ("level", "0.01"),
    ("bits.hi", 65),
    ("cuts", [-1]),
    ("inferences", 0),
    ("version", 2),
    ("format", "other"),
    ("colour", "red"),
]


@pytest.mark.parametrize(("path", "value"), MALFORMED, ids=[f"{p}={v}" for p, v in MALFORMED])
def test_schema_rejects_what_is_malformed(path: str, value: Any) -> None:
    data = raw("qpart/teaching-3")
    *parents, last = path.split(".")
    at = data
    for step in parents:
        at = at[step]
    at[last] = value
    errors = list(validator().iter_errors(data))
    assert errors
    assert all(list(error.absolute_path)[: len(parents)] == parents for error in errors)


@pytest.mark.parametrize("field", ["format", "network", "device", "server", "channel", "noise", "accuracy", "level"])
def test_schema_requires(field: str) -> None:
    data = raw("qpart/teaching-3")
    del data[field]
    (error,) = validator().iter_errors(data)
    assert field in error.message


# --- teaching-3 ------------------------------------------------------------------------------------


def brute_force(problem: QPart, widths: range) -> dict[int, tuple[float, tuple[int, ...]]]:
    """Best whole-bit objective of every cut, and its widths, straight from section 1 of the mathematics."""
    p = prices(problem)
    net, noise = problem.network, problem.noise
    assert noise.s_weights is not None
    assert noise.s_activations is not None
    best: dict[int, tuple[float, tuple[int, ...]]] = {
        0: (p.server * float(np.sum(net.macs)) + p.upload * net.input_bits * net.input_size, ())
    }
    for cut in range(1, len(net) + 1):
        sizes = [*net.weights[:cut], net.activations[cut - 1]]
        s = [*noise.s_weights[:cut], noise.s_activations[cut - 1]]
        computing = p.device * float(np.sum(net.macs[:cut])) + p.server * float(np.sum(net.macs[cut:]))
        best[cut] = min(
            (computing + math.fsum(p.upload * z * b for z, b in zip(sizes, bits, strict=True)), bits)
            for bits in itertools.product(widths, repeat=cut + 1)
            if within([c * 4.0**-b for c, b in zip(s, bits, strict=True)], problem.delta[cut - 1])
        )
    return best


class TestTeaching3:
    problem = load("qpart/teaching-3")

    def says(self, *sentences: str) -> None:
        for sentence in sentences:
            assert sentence in self.problem.description

    def test_prices(self) -> None:
        p = prices(self.problem)
        assert (p.device, p.server, p.upload, p.download) == (1, 1 / 8, 1, 1)
        self.says("xi = 1000 * 1/1000 = 1.", "* 1/16000 = 1/8.", "eps = (1000 + 1000 * 1)/2000 = 1.")
        weights, activations = tensor_prices(self.problem)
        assert weights.tolist() == [16, 32, 64]
        assert activations.tolist() == [112, 16, 16]
        self.says("16, 32, 64 for the weights, 112, 16, 16 for the activations")

    def test_computing(self) -> None:
        assert base_costs(self.problem).tolist() == [16 + 512, 44, 72, 128]
        self.says("128/8 = 16 at cut 0", "32 + 96/8 = 44 at cut 1", "64 + 64/8 = 72 at cut 2", "128 at cut 3")

    @pytest.mark.parametrize(
        ("cut", "bits", "objective"), [(1, [6, 3], 476), (2, [5.5, 3.5, 2], 304), (3, [6, 4, 3, 2], 576)]
    )
    def test_closed_form(self, cut: int, bits: list[float], objective: float) -> None:
        price_w, price_x = tensor_prices(self.problem)
        c_w, c_x = coefficients(self.problem)
        price, c = np.append(price_w[:cut], price_x[cut - 1]), np.append(c_w[:cut], c_x[cut - 1])
        level = 1 / price.sum()  # of water: noise per unit of price
        found = np.log2(c / (level * price)) / 2
        np.testing.assert_allclose(found, bits, rtol=1e-14)
        np.testing.assert_allclose(np.sum(c * 4.0**-found), 1, rtol=1e-14)
        np.testing.assert_allclose(base_costs(self.problem)[cut] + price @ found, objective, rtol=1e-14)
        self.says(
            f"t = 1/{price.sum():g}",
            f"J = {base_costs(self.problem)[cut]:g} + {price @ found:g} = {objective}.",
        )

    def test_whole_bits_by_brute_force(self) -> None:
        best = brute_force(self.problem, range(1, 17))
        assert {cut: objective for cut, (objective, _) in best.items()} == {0: 528, 1: 476, 2: 312, 3: 576}
        self.says("So J = 528, 476, 312, 576, and the optimum is 72 + 240 = 312 at cut 2.")
        known = self.problem.best_known
        assert known is not None
        assert known["objective"] == best[2][0] == min(best.values())[0]
        assert known["cut"] == 2
        assert (*known["weights"], *known["activations"]) == best[2][1] == (5, 4, 2)
        assert known["real_objective"] == 304

    def test_the_other_methods(self) -> None:
        noise_w, noise_x = noise_terms(self.problem)
        uniform = noise_w[:2].sum(axis=0) + noise_x[1]
        assert int(np.flatnonzero(uniform <= 1)[0]) + 1 == 5
        objectives = [72 + 64 * 5, 44 + 128 * 5, 128 + 128 * 5, 528]
        assert min(objectives) == 392
        assert 72 + 16 * 6 + 32 * 4 + 16 * 2 == 328
        self.says("6, 4, 2 bits and J = 328", "must be 5 bits and gives J = 392")


# --- ResNets ---------------------------------------------------------------------------------------

# MACs and weights without biases and batch normalization.
TOTALS = {18: (1_814_073_344, 11_678_912), 34: (3_663_761_408, 21_779_648), 50: (4_089_184_256, 25_502_912)}
RESNETS = sorted(TOTALS)


def totals(depth: int) -> tuple[int, int]:
    """MACs and weights of a ResNet, summed stage by stage from the architecture, without the builder."""
    macs, weights = 64 * 3 * 49 * 112**2, 64 * 3 * 49
    into = 64
    for stage, blocks in enumerate({18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}[depth]):
        width, side = 64 * 2**stage, 56 // 2**stage
        if depth == 50:
            out, entry_side = 4 * width, side if stage == 0 else 2 * side
            kernels = [
                (into * width, entry_side),
                (9 * width**2, side),
                (width * out, side),
                (into * out, side),
            ]
            kernels += [(out * width, side), (9 * width**2, side), (width * out, side)] * (blocks - 1)
        else:
            out = width
            kernels = [(9 * into * width, side)] + [(9 * width**2, side)] * (2 * blocks - 1)
            kernels += [(into * width, side)] if stage else []
        weights += sum(k for k, _ in kernels)
        macs += sum(k * s**2 for k, s in kernels)
        into = out
    return macs + into * 1000, weights + into * 1000


@pytest.mark.parametrize("depth", RESNETS)
class TestResNets:
    def test_totals(self, depth: int) -> None:
        network = load(f"qpart/resnet{depth}").network
        assert (int(network.macs.sum()), int(network.weights.sum())) == totals(depth) == TOTALS[depth]
        downsamples = sum("downsample" in name for name in network.names)
        assert len(network) - downsamples == depth

    def test_activations_and_input(self, depth: int) -> None:
        network = load(f"qpart/resnet{depth}").network
        outputs = dict(zip(network.names, network.activations.astype(int).tolist(), strict=True))
        channels = 2048 if depth == 50 else 512
        last = [name for name in network.names if name.endswith("+add+pool")]
        assert outputs["conv1+pool"] == 64 * 56 * 56
        assert [outputs[name] for name in last] == [channels]
        assert outputs["fc"] == 1000
        ends = [[o for n, o in outputs.items() if n.startswith(f"layer{k}.") and n.endswith("+add")] for k in (1, 2, 3)]
        factor = channels // 512
        assert [set(e) for e in ends] == [
            {factor * 64 * 56**2},
            {factor * 128 * 28**2},
            {factor * 256 * 14**2},
        ]
        assert network.input_size * network.input_bits == 224 * 224 * 3 * 8

    def test_two_tensors_cross_cuts_inside_blocks_and_one_between(self, depth: int) -> None:
        network = load(f"qpart/resnet{depth}").network
        for cut, name in enumerate(("input", *network.names)):
            between = "." not in name or "+add" in name
            assert len(network.crossing(cut)) == (1 if between else 2), name
            assert network.crossing(cut)[-1] == cut

    def test_a_block_with_downsampling(self, depth: int) -> None:
        network = load(f"qpart/resnet{depth}").network
        at = {name: number for number, name in enumerate(network.names, start=1)}
        block_input = at["layer2.1.conv1"] - 1
        downsample = at["layer2.1.downsample"]
        before = at["layer2.1.conv2" if depth == 50 else "layer2.1.conv1"]
        assert network.crossing(before).tolist() == [block_input, before]
        assert network.crossing(downsample).tolist() == [before, downsample]

    def test_openly_synthetic(self, depth: int) -> None:
        problem = load(f"qpart/resnet{depth}")
        assert "synthetic" in problem.description
        assert "synthetic" in problem.source

    def test_levels(self, depth: int) -> None:
        problem = load(f"qpart/resnet{depth}")
        assert problem.accuracy.levels.tolist() == [0.002, 0.005, 0.01, 0.02, 0.05]
        assert np.all(np.diff(problem.accuracy.delta, axis=0) > 0)
        for level in problem.accuracy.levels:
            table = subproblems(problem.replace({"level": float(level)}))
            for cut in range(1, len(problem.network) + 1):
                subproblem = table.at(cut)
                assert within(subproblem.noise[:, -1], subproblem.limit)
                assert not within(subproblem.noise[:, 0], subproblem.limit)

    def test_script_makes_the_file(self, depth: int) -> None:
        standing = load(f"qpart/resnet{depth}").replace({"best_known": None})
        assert standing == make_resnets.instance(depth), "run python instances/make_resnets.py"
