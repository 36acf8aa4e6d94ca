"""Language models: loss per token, perplexity, and intervals of whole sequences."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import qopt  # noqa: E402
from qopt.cli.app import main  # noqa: E402
from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring.language import LossPerToken, perplexity, token_loss, token_margin  # noqa: E402
from qopt.measuring.losses import paired_loss  # noqa: E402


def test_loss_per_token_is_the_mean_over_the_tokens_that_count() -> None:
    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[0, 1, 2, 3], [4, -1, 0, -1], [1, 1, 1, 1]])
    by_hand = [
        np.mean([-float(logits[i, t].log_softmax(0)[int(k)]) for t, k in enumerate(row) if k >= 0])
        for i, row in enumerate(labels)
    ]
    assert np.allclose(token_loss(logits, labels).numpy(), by_hand, rtol=1e-6)
    assert np.allclose(LossPerToken(2.0)(logits, labels).numpy(), -np.array(by_hand) / 2, rtol=1e-6)
    top = logits.double().sort(2).values
    assert np.allclose(token_margin(logits).numpy(), ((top[..., -1] - top[..., -2]) ** 2 / 2).sum(1).numpy())
    for given, match in (
        ((logits[:, 0], labels), "logits: found shape"),
        ((logits, labels[:, 0]), "labels: found torch.int64 of shape"),
        ((logits, labels + 1), "tokens from 0 to 4"),
        ((logits, torch.full((3, 4), -1)), "3 sequences without any"),
    ):
        with pytest.raises(InputError, match=match):
            token_loss(*given)
    with pytest.raises(InputError, match="unit"):
        LossPerToken(0.0)


def test_intervals_are_those_of_whole_sequences() -> None:
    """Those of single tokens would be as many times too narrow as the root of a sequence's length."""
    rng = np.random.default_rng(0)
    losses = rng.normal(1.0, 0.2, 400)
    found = perplexity(losses)
    assert found.value == pytest.approx(math.exp(losses.mean()))
    half = math.log(found.high / found.low) / 2
    assert half == pytest.approx(1.96 * 0.2 / 20, rel=0.15)
    covered = 0
    for seed in range(40):
        drawn = np.random.default_rng(100 + seed).normal(1.0, 0.2, 200)
        interval = perplexity(drawn, seed=seed)
        covered += interval.low <= math.e <= interval.high
    assert covered >= 33


def test_losses_without_bounds_are_resampled() -> None:
    before = -np.linspace(1.0, 5.0, 50)
    loss = paired_loss(before, before - 0.01, bounded=False)
    assert (loss.low, loss.value, loss.high) == pytest.approx((0.01, 0.01, 0.01))
    few = before.copy()
    few[0] -= 5.0  # one sequence: below LEAST_CHANGED, and by more than one
    assert paired_loss(before, few, bounded=False).value == pytest.approx(0.1)
    with pytest.raises(InputError, match="guarantee"):
        paired_loss(before, few, bounded=False, guarantee=True)


class Bigrams(nn.Module):
    """The next token from the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(6, 8), nn.Linear(8, 6)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.embedding(tokens)))  # type: ignore[no-any-return]


def test_a_language_model_becomes_an_instance_whose_plan_keeps_the_level() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Bigrams().eval()
        tokens = torch.randint(0, 6, (360, 1))
        with torch.no_grad():
            for _ in range(6):
                next_token = torch.distributions.Categorical(logits=3 * module(tokens[:, -1])).sample()
                tokens = torch.cat([tokens, next_token[:, None]], 1)
    x, labels = tokens[:, :-1], tokens[:, 1:]
    with torch.no_grad():
        unit = float(token_loss(module(x), labels).mean())
    options = {"levels": [0.02], "bits": range(3, 8), "sizes": (60, 150, 150)}
    with pytest.raises(InputError, match="guarantee"):
        qopt.measure(module, x[:1], (x, labels), score=LossPerToken(unit), guarantee=True, **options)
    found = qopt.measure(module, x[:1], (x, labels), score=LossPerToken(unit), margin=token_margin, **options)
    assert found.test_score == pytest.approx(-1.0, abs=0.2)
    whole = found.cheapest[-1]
    assert whole.plan is not None
    assert whole.test is not None
    assert whole.test.low <= 0.02
    assert 0 < whole.left < 0.5
    segment = qopt.pack(module, x[:1], qopt.solve(found.problem.replace({"cuts": [2]})).plan, found)
    assert segment.size.codes > 0


SOURCE = """
import torch
from qopt.measuring.language import LossPerToken, token_margin as margin

score = LossPerToken(1.5)

class Bigrams(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = torch.nn.Embedding(6, 8), torch.nn.Linear(8, 6)

    def forward(self, tokens):
        return self.head(torch.tanh(self.embedding(tokens)))

def net():
    return Bigrams(), torch.zeros(1, 4, dtype=torch.int64)
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    (tmp_path / "lm.py").write_text(SOURCE)
    tokens = np.random.default_rng(0).integers(0, 6, (200, 5))
    np.savez(tmp_path / "tokens.npz", x=tokens[:, :-1], labels=tokens[:, 1:])
    files = ["--levels", "0.05", "--bits", "4-6", "--sizes", "40,80,80", "--save", f"{tmp_path}/lm.json"]
    return ["measure", f"{tmp_path}/lm.py:net", f"{tmp_path}/tokens.npz", *files]


def test_a_score_goes_with_a_margin(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score = ["--score", f"{tmp_path}/lm.py:score"]
    assert main([*command, *score]) == 2
    assert "--margin: found nothing beside --score" in capsys.readouterr().err
    assert main([*command, *score, "--margin", f"{tmp_path}/lm.py:nothing"]) == 2
    assert "--margin: found no function 'nothing'" in capsys.readouterr().err
    assert main(command) == 2
    assert "logits: found shape (80, 4, 6)" in capsys.readouterr().err.replace("(40,", "(80,")


@pytest.mark.sweep
def test_a_language_model_from_the_command_line(command: list[str], tmp_path: Path) -> None:
    own = ["--score", f"{tmp_path}/lm.py:score", "--margin", f"{tmp_path}/lm.py:margin", "--json"]
    assert main([*command, *own]) == 0
    problem = qopt.load(f"{tmp_path}/lm.json")
    assert (problem.layers, problem.network.input_size) == (2, 4)
