"""The model: a decoder-only transformer on characters, two blocks of 64 channels, the head tied to the embedding."""

from __future__ import annotations

from pathlib import Path

import text
import torch
from torch import nn
from torch.nn import functional as F

CHANNELS, HEADS, BLOCKS = 64, 4, 2
WEIGHTS = Path(__file__).resolve().parent / "tiny-lm.safetensors"


class Block(nn.Module):
    """Causal attention and two fully connected layers, each behind a normalization and beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(CHANNELS), nn.LayerNorm(CHANNELS)
        self.qkv = nn.Linear(CHANNELS, 3 * CHANNELS, bias=False)
        self.out = nn.Linear(CHANNELS, CHANNELS, bias=False)
        self.up, self.down = nn.Linear(CHANNELS, 4 * CHANNELS), nn.Linear(4 * CHANNELS, CHANNELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, tokens, channels) from the same."""
        heads = self.qkv(self.before_attention(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.before_mlp(x))))  # type: ignore[no-any-return]


class TinyLM(nn.Module):
    """Logits of the next character, for every character of a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(text.VOCABULARY, CHANNELS)
        self.position = nn.Parameter(torch.zeros(text.TOKENS, CHANNELS))
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(CHANNELS)
        nn.init.normal_(self.embedding.weight, std=CHANNELS**-0.5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(n, tokens, vocabulary) from (n, tokens)."""
        x = self.embedding(tokens) + self.position
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.embedding.weight)


def network() -> tuple[nn.Module, torch.Tensor]:
    """Module and example input, for ``qopt profile model.py:network``."""
    return TinyLM(), torch.zeros(1, text.TOKENS, dtype=torch.int64)


def kept(path: Path = WEIGHTS) -> nn.Module:
    """The module with the weights that train.py wrote."""
    from qopt.measuring.loading import load_weights

    module = TinyLM()
    load_weights(module, path)
    return module.eval()
