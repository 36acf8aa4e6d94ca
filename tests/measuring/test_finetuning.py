"""Fine-tuning by epochs: what an epoch does to weights and losses, and that a run that was stopped goes on."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import qopt  # noqa: E402
from qopt.core.errors import InputError  # noqa: E402
from qopt.jqodi.estimators.adam_torch import Adam  # noqa: E402
from qopt.jqodi.estimators.curves import read_curves  # noqa: E402
from qopt.measuring.examples import Examples  # noqa: E402
from qopt.measuring.finetuning import FULL, Settings, Tuned, tune  # noqa: E402


def network() -> nn.Sequential:
    """A small classifier with a normalization and dropout, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.1), nn.Linear(12, 3))


def data(count: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points and their classes by a linear rule."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=generator)
    return x, (x[:, :3] + 0.3 * x[:, 3:]).argmax(dim=1)


EXAMPLES = Examples(*data())


def test_losses_of_an_epoch():
    """Quantizing twice is as once; at full precision nothing is quantized, and training is what the update keeps."""
    tuned = Tuned(network(), 2, Settings(lr=0.01))
    quantized, trained, updated, accuracy = tuned.epoch(EXAMPLES, EXAMPLES, 1)
    assert trained < quantized
    assert 0 <= accuracy <= 1
    assert updated != trained
    for weight in tuned.on(tuned.steps(), tuned.full):
        assert all(len(row.unique()) <= 4 for row in weight)
    curve = tune(network(), EXAMPLES, EXAMPLES, FULL, 6, Settings(lr=0.01))
    assert curve.loss == curve.quantized[0]
    assert curve.trained == curve.updated
    np.testing.assert_allclose(curve.quantized[1:], curve.trained[:-1])
    assert curve.trained[-1] < 0.8 * curve.loss
    assert curve.parameters == 6 * 12 + 12 * 3


def test_small_steps_add_up():
    """Steps that are too small for a grid of one bit change the copy, and in time the quantized model."""
    curve = tune(network(), EXAMPLES, EXAMPLES, 1, 12, Settings(lr=3e-3))
    assert min(curve.quantized[6:]) < curve.quantized[0]


def test_adam():
    """The steps are those of Kingma and Ba's Algorithm 1, on gradients that change."""
    parameter, rate = nn.Parameter(torch.tensor([1.0, -2.0])), 0.1
    optimizer, value = Adam([parameter, nn.Parameter(torch.zeros(1))], rate), np.array([1.0, -2.0])
    m = v = np.zeros(2)
    for step in range(1, 5):
        optimizer.clear()
        (parameter**3).sum().backward()
        optimizer.step()
        gradient = 3 * value**2
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        value = value - rate * m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        np.testing.assert_allclose(parameter.detach().numpy(), value, rtol=1e-5)


def test_stopped_run_goes_on(tmp_path):
    """Stopped in the middle of a width, a run ends with the losses of one that was not; the module stays as it was."""
    module = network()
    before = [p.clone() for p in module.parameters()]
    asked = {"bits": [2, 4], "epochs": 3, "lr": 0.01}
    whole = qopt.finetune(module, torch.zeros(1, 6), data(), **asked)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert [curve.bits for curve in whole] == [2, 4]

    class Stopped(Exception):
        pass

    def stop(what: str, done: int, total: int) -> None:
        assert (what, total) == ("epochs", 6)
        if done == 5:
            raise Stopped

    folder = tmp_path / "work"
    with pytest.raises(Stopped):
        qopt.finetune(module, torch.zeros(1, 6), data(), checkpoint=folder, advance=stop, **asked)
    assert (folder / "running-4-0.npz").exists()
    lines: list[str] = []
    again = qopt.finetune(module, torch.zeros(1, 6), data(), checkpoint=folder, say=lines.append, **asked)
    assert not (folder / "running-4-0.npz").exists()
    assert len(lines) == 2
    for a, b in zip(whole, again, strict=True):
        np.testing.assert_allclose(a.trained, b.trained, rtol=1e-5)
    qopt.save_curves(again, tmp_path / "curves.json")
    assert read_curves(tmp_path / "curves.json")[1].bits == 4
    with pytest.raises(InputError, match="made with other epochs"):
        qopt.finetune(module, torch.zeros(1, 6), data(), checkpoint=folder, **{**asked, "epochs": 4})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"bits": [17]}, "bits[0]: found 17; allowed: a whole number from 1 to 16, or 32"),
        ({"bits": [4, 4]}, "bits: found [4, 4]; allowed: at least one width, each once"),
        ({"epochs": 0}, "epochs: found 0"),
        ({"lr": float("nan")}, "lr: found nan"),
        ({"lr": 1e-3, "sizes": [100, 5]}, "sizes: found [100, 5]; allowed: two numbers >= 10"),
        ({"data": (torch.zeros(90, 6), torch.full((90,), 7))}, "classes from 7 to 7"),
        ({"module": nn.ReLU()}, "network: found no weights of two dimensions"),
        ({"loss": lambda out, _: out.sum() * torch.nan}, "a loss of nan after"),
        ({"loss": lambda out, _: out.double().square().sum() * 1e120}, "a loss of"),
        ({"loss": lambda out, _: out}, "loss: found a tensor of shape (12, 3); allowed: one number, the mean loss"),
        ({"loss": lambda *_: 1.0}, "loss: found a float; allowed: one number, the mean loss, as a tensor"),
        ({"loss": lambda *_: torch.tensor(1.0)}, "loss: found a number that does not depend on the weights"),
        ({"example": torch.zeros(1, 6).long()}, "example: found torch.int64"),
    ],
)
def test_bad_input_is_one_line(changes, line):
    asked = {"module": network(), "example": torch.zeros(1, 6), "data": data(60), "bits": [4], "epochs": 1} | changes
    with pytest.raises(InputError) as error:
        qopt.finetune(asked.pop("module"), asked.pop("example"), asked.pop("data"), **asked)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
