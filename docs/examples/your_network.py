"""A network of your own: measured, planned, packed, run, what it lost, and how long two processes take. Some seconds.

    python docs/examples/your_network.py

Put your module, an example input and labelled data that it was not trained on in place of the first two functions.
"""

import tempfile
from pathlib import Path

import torch
from torch import nn

import qopt


def data(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of four classes in 16 dimensions: clouds around corners that do not change with the seed."""
    corners = 0.9 * torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (n,), generator=draw)
    return corners[labels] + torch.randn(n, 16, generator=draw), labels


def trained() -> nn.Module:
    """A network of three layers, trained for a moment."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
    x, labels = data(4000, seed=1)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), labels).backward()
        optimizer.step()
    return module.eval()


def main() -> None:
    """Measure, plan, pack, run, compare; then run the two parts as processes, with a link between them."""
    module, (x, labels) = trained(), data(2400, seed=2)
    found = qopt.measure(module, x[:1], (x, labels), levels=[0.01], bits=range(1, 9), name="mine")
    print(found)
    # A slow link, a download that serves a thousand inferences, a camera that keeps its pictures, widths that ONNX has.
    request = found.problem.replace({"channel.rate": 1e5, "inferences": 1000, "cuts": [1, 2], "bits.menu": [2, 4, 8]})
    print((solution := qopt.solve(request)).status, solution.plan)
    print(qopt.front(request, against="payload"))  # what fewer bits on the link would cost, each point proved

    with tempfile.TemporaryDirectory() as folder:
        file, parts = Path(folder) / "segment.safetensors", Path(folder) / "parts"
        print(qopt.pack(module, x[:1], solution, found, file).size)
        segment = qopt.load_segment(file, module, x[:1])
        unseen, answers = data(10_000, seed=3)
        before, after = (net(unseen).argmax(1) == answers for net in (module, segment))
        print("lost", qopt.paired_loss(before.numpy(), after.numpy()).points(), "of the one point allowed")
        qopt.export_parts(file, module, x[:1], parts)
        print(qopt.time_parts(parts, {"input": unseen[:50].numpy()}, rates=[1e5], repetitions=3, warmup=10))


if __name__ == "__main__":
    main()
