"""Train the model and keep its weights.

    python train.py [--seed 0] [--steps 2000] [--out FILE]

Three minutes on one core. The same seed gives the same file on one kind of machine, one version of torch and one
version of Python, whose manual is the text.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import model
import text
import torch
from safetensors.torch import save as serialized

from qopt.core.files import write_whole
from qopt.measuring.language import token_loss

BATCH, RATE = 32, 4e-3


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=model.WEIGHTS)
    options = parser.parse_args()
    torch.set_num_threads(1)  # sums are then added in one order, whatever the machine's number of cores
    torch.manual_seed(options.seed)
    start = time.perf_counter()
    parts, module = text.divided(), model.TinyLM()
    tokens, held_out = parts["training"], text.sequences(parts["held out"])
    optimizer = torch.optim.AdamW(module.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=options.steps, pct_start=0.1)
    for step in range(1, options.steps + 1):
        begin = torch.randint(0, len(tokens) - text.TOKENS, (BATCH,))
        both = tokens[begin[:, None] + torch.arange(text.TOKENS + 1)]
        logits = module(both[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), both[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"{time.perf_counter() - start:6.1f} s  step {step}: loss {float(loss.detach()):.4f}", flush=True)
    module.eval()
    with torch.no_grad():
        parts = zip(held_out.x.long().split(200), held_out.labels.split(200), strict=True)
        reached = float(torch.cat([token_loss(module(x), labels) for x, labels in parts]).mean())
    about = {"seed": options.seed, "steps": options.steps, "held out": reached, "text": text.digest()}
    about |= {"torch": torch.__version__, "python": sys.version.split()[0]}
    tensors = {key: value.contiguous() for key, value in module.state_dict().items()}
    content = serialized(tensors, metadata={"qopt": json.dumps(about)})
    write_whole(options.out, lambda file: file.write(content))
    print(f"{time.perf_counter() - start:6.1f} s  held out: {reached:.4f} nats per character, {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
