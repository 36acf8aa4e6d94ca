"""Joint noise of pairs, beside modules whose weights are changed by hand."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")

from small_networks import build, data_for  # noqa: E402
from torch import nn  # noqa: E402

from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring.examples import Examples  # noqa: E402
from qopt.measuring.grids import quantize  # noqa: E402
from qopt.measuring.interaction import joint_noise  # noqa: E402
from qopt.measuring.network import TensorName  # noqa: E402
from qopt.measuring.plans import PlanRunner, Widths  # noqa: E402
from qopt.measuring.profile import trace  # noqa: E402
from qopt.measuring.sensitivity import measure  # noqa: E402


@pytest.mark.parametrize("name", ["chain", "branch"])
def test_pairs_are_what_changing_two_tensors_does(name: str) -> None:
    module, network = build(name)
    examples = data_for(module, name, 120, 1)
    found = measure(network, examples, levels=[0.1], bits=range(2, 6))
    joint = joint_noise(network, examples, found, bits=[3])
    reference = network(examples.x)

    def noise(cut: int, tensors: tuple[TensorName, ...]) -> float:
        changed = {
            t.layer: (quantize(network.weight(t.layer), 3, found.grid).values(), network.bias(t.layer))
            for t in tensors
            if t.kind == "weight"
        }
        values = dict(enumerate(network.with_weights(changed).tensors(examples.x)))
        sent = {i: values[i] for i in network.crossing(cut)}
        for t in tensors:
            if t.kind == "activation":
                span = found.range_of(t.layer, 3)
                sent[t.layer] = quantize(sent[t.layer], 3, found.activation_grid, span).values()
        # behind the cut the server has its own weights
        return float((network.resume(sent, cut) - reference).double().square().sum(1).mean())

    for (cut, bits, one, other), ratio in joint.pairs.items():
        assert bits == 3
        assert ratio == pytest.approx(noise(cut, (one, other)) / (noise(cut, (one,)) + noise(cut, (other,))), rel=1e-3)
    for (cut, _), ratio in joint.by_cut.items():
        tensors = sorted({t for key in joint.pairs if key[0] == cut for t in key[2:]}, key=str)
        total = sum(noise(cut, (t,)) for t in tensors)
        beyond = sum(noise(cut, pair) for pair in itertools.combinations(tensors, 2)) - (len(tensors) - 1) * total
        assert ratio == pytest.approx((total + beyond) / total, rel=1e-3)
    assert joint.factor == max(1.0, *joint.by_cut.values())
    assert f"{len(examples)} examples" in str(joint)


def test_with_two_tensors_the_number_is_the_joint_noise_of_the_plan() -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 200, 1)
    found = measure(network, examples, levels=[0.1], bits=range(2, 6))
    joint = joint_noise(network, examples, found, bits=[2])
    runner = PlanRunner(network, examples, found)
    summed = sum(float(found.tensors[TensorName(kind, 1)].noise[0]) for kind in ("weight", "activation"))
    measured = float(runner.run(Widths((2,), (2,)))[1].mean())
    assert joint.by_cut[1, 2] == pytest.approx(measured / summed, rel=1e-4)


def test_noise_on_separate_outputs_adds_up() -> None:
    class Apart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat((self.one(x), self.two(x)), 1)

    torch.manual_seed(0)
    module = Apart().eval().requires_grad_(False)
    x = torch.randn(100, 3)
    network, examples = trace(module, x[:1]), Examples(x, module(x).argmax(1))
    found = measure(network, examples, levels=[0.1], bits=range(2, 6))
    pairs = joint_noise(network, examples, found, bits=[4]).pairs
    both = next(ratio for key, ratio in pairs.items() if {t.kind for t in key[2:]} == {"weight"})
    assert both == pytest.approx(1.0, rel=1e-4)
    with pytest.raises(InputError, match="measured widths, 2 to 5"):
        joint_noise(network, examples, found, bits=[9])
