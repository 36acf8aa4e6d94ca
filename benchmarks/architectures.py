"""Which architectures trace: the smallest variant of each family in torchvision and timm.

    python benchmarks/architectures.py [torchvision | timm] [--only FAMILY ...] [--list FILE] [--write]

A family is a module of the library; left out are torchvision's for detection, whose outputs are as many as they find,
and those that are quantized already. Its smallest variant is the one of fewest parameters, at most 100 millions, with
random weights. Each is traced in eval mode, its MACs are compared with torch's counter and its outputs with the
module's own; or the reason of the refusal is listed. ``--list`` keeps results line by line and goes on from there;
``--write`` makes the table of docs/architectures.md from it.

Neither library is needed by qopt: ``pip install --no-deps --target FOLDER timm torchvision``, and PYTHONPATH=FOLDER.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from qopt.core.errors import InputError
from qopt.measuring.profile import trace

PAGE = Path(__file__).resolve().parents[1] / "docs" / "architectures.md"
BEGIN, END = "<!-- made by benchmarks/architectures.py -->\n", "<!-- end -->\n"
LARGEST = 100_000_000
SIDE = 96
"""Pixels of a picture's side, where a network takes any: the operations are the same, the wait is shorter."""

RELATIVE = 1e-5
"""Of the largest output: what float32 sums in another order may differ by."""

Candidates = dict[str, list[tuple[str, Callable[[], nn.Module]]]]


def torchvision_families() -> Candidates:
    """Builders of each module of ``torchvision.models``, by name."""
    import torchvision

    found: Candidates = {}
    for name in torchvision.models.list_models():
        builder = torchvision.models.get_model_builder(name)
        family = builder.__module__.removeprefix("torchvision.models.")
        if family.startswith(("detection", "quantization")):
            continue
        extra = {"weights": None, "weights_backbone": None} if "weights_backbone" in _names(builder) else {}
        found.setdefault(family, []).append((name, lambda b=builder, e=extra: b(**e)))
    return found


def timm_families() -> Candidates:
    """Builders of each module of ``timm.models``, by name."""
    import timm

    found: Candidates = {}
    for family in timm.list_modules():
        names = timm.list_models(module=family)
        if names:
            found[family] = [(name, lambda n=name: timm.create_model(n)) for name in names]
    return found


def _names(builder: Callable[..., Any]) -> list[str]:
    import inspect

    return list(inspect.signature(builder).parameters)


def smallest(builders: list[tuple[str, Callable[[], nn.Module]]]) -> tuple[str, Callable[[], nn.Module], int] | None:
    """Name, builder and parameters of the smallest; None where all are larger than `LARGEST`, or none can be built."""
    best = None
    for name, builder in builders:
        try:
            with torch.device("meta"):
                count = sum(p.numel() for p in builder().parameters())
        except Exception:  # some compute with values while they are built
            try:
                count = sum(p.numel() for p in builder().parameters())
            except Exception as error:
                print(f"  {name} cannot be built: {error}"[:160], file=sys.stderr)
                continue
        if count <= LARGEST and (best is None or count < best[2]):
            best = name, builder, count
    return best


def example(library: str, family: str, module: Any) -> Any:
    """Inputs of one example, the same every time: pictures of `SIDE` pixels, or of the module's own size."""
    generator = torch.Generator().manual_seed(0)
    if family.startswith("video."):
        size = (3, 16, 224, 224) if "mvit" in family or "s3d" in family else (3, 8, 64, 64)
        return torch.randn(1, *size, generator=generator)
    if family.startswith("optical_flow"):
        return tuple(torch.randn(2, 1, 3, 128, 128, generator=generator))
    config = module.pretrained_cfg if library == "timm" else {"input_size": (3, 224, 224)}
    own = torch.randn(1, *config["input_size"], generator=generator)
    small = own[:, :, :SIDE, :SIDE].contiguous()
    try:
        with torch.no_grad():
            module(small.clone())
    except Exception:  # other sizes than its own are not for this network
        return own
    return small


def tried(library: str, family: str, name: str, builder: Callable[[], nn.Module]) -> dict[str, Any]:
    """What tracing one network gave."""
    torch.manual_seed(0)
    module = builder().eval().requires_grad_(False)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1 and not bool(parameter.any()):  # a head of zeros says nothing
                parameter.normal_(std=0.02)
    x = example(library, family, module)
    inputs = x if isinstance(x, tuple) else (x,)
    row = {"library": library, "family": family, "name": name}
    row["parameters"] = sum(p.numel() for p in module.parameters())
    row["input"] = " and ".join(" x ".join(map(str, part.shape[1:])) for part in inputs)
    start = time.perf_counter()
    try:
        network = trace(module, x)
    except InputError as error:
        return row | {"refused": str(error), "seconds": time.perf_counter() - start}
    row["seconds"] = time.perf_counter() - start
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    counter = FlopCounterMode(display=False)
    plain = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)  # others are not counted on a CPU
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), plain, counter:
        output = module(*(part.clone() for part in inputs))
    torch.backends.mha.set_fastpath_enabled(before)
    own = output if network.outputs is None else network.outputs.packed(output)
    found = network(network.inputs.packed(x))
    row["layers"] = len(network)
    row["kinds"] = sorted({layer.kind for layer in network.layers})
    row["macs"], row["counted"] = sum(layer.macs for layer in network.layers), counter.get_total_flops() // 2
    row["difference"] = float((own - found).abs().max() / own.abs().max())
    return row


def results(libraries: list[str], only: list[str], path: Path | None) -> Iterator[dict[str, Any]]:
    """A row for each family, those of an earlier run first."""
    known = [json.loads(line) for line in path.read_text().splitlines()] if path is not None and path.exists() else []
    yield from known
    done = {(row["library"], row["family"]) for row in known}
    for library in libraries:
        families = torchvision_families() if library == "torchvision" else timm_families()
        for family, builders in families.items():
            if (library, family) in done or (only and family not in only):
                continue
            best = smallest(builders)
            if best is None:
                row: dict[str, Any] = {"library": library, "family": family, "left_out": "larger than 100 M parameters"}
            else:
                try:
                    row = tried(library, family, *best[:2])
                except Exception as error:  # of the network itself
                    why = f"{type(error).__name__}: {error}".splitlines()[0]
                    row = {"library": library, "family": family, "name": best[0], "failed": why}
            if path is not None:
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            yield row


def line(row: dict[str, Any]) -> str:
    """A row for people."""
    about = f"{row['library']}/{row['family']}: {row.get('name', '')}"
    for word in ("left_out", "failed", "refused"):
        if word in row:
            return f"{about} {word.replace('_', ' ')}: {row[word]}"
    macs = "MACs as counted" if row["macs"] == row["counted"] else f"MACs {row['macs']} not {row['counted']}"
    return f"{about} {row['layers']} layers, {macs}, outputs within {row['difference']:.1e}, {row['seconds']:.1f} s"


def _place(row: dict[str, Any]) -> tuple[bool, str]:
    return row["library"] == "timm", row["family"]


def table(rows: list[dict[str, Any]]) -> str:
    """The table of the page."""
    rows = sorted({(row["library"], row["family"]): row for row in rows}.values(), key=_place)
    traced = [row for row in rows if "layers" in row]
    refused = [row for row in rows if "refused" in row]
    other = [row for row in rows if "layers" not in row and "refused" not in row]
    exact = sum(row["macs"] == row["counted"] for row in traced)
    near = sum(row["difference"] <= RELATIVE for row in traced)
    libraries = " and ".join(f"{name} {version(name)}" for name in dict.fromkeys(row["library"] for row in rows))
    lines = [
        f"{len(traced) + len(refused)} families of {libraries} with torch {torch.__version__.partition('+')[0]}: "
        f"{len(traced)} trace, {len(refused)} are refused. Of those that trace, {exact} have exactly the MACs that "
        f"torch's counter finds, {near} give the module's outputs within 1e-5 of the largest.",
        "",
        "| family | smallest variant | parameters (M) | input | layers | MACs (M) | counter | outputs within |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in traced:
        counted = "same" if row["macs"] == row["counted"] else f"{row['counted'] / 1e6:.1f}"
        cells = [f"{row['library']} {row['family']}", row["name"], f"{row['parameters'] / 1e6:.1f}", row["input"]]
        cells += [str(row["layers"]), f"{row['macs'] / 1e6:.1f}", counted, f"{row['difference']:.0e}"]
        lines.append("| " + " | ".join(cells) + " |")
    if refused:
        lines += ["", "Refused, each with the line that a user gets:", ""]
        lines += ["| family | variant | reason |", "|---|---|---|"]
    lines += [
        f"| {row['library']} {row['family']} | {row['name']} | {row['refused'].replace('|', '/')} |" for row in refused
    ]
    if other:
        lines += ["", "Left out: " + "; ".join(line(row).replace("|", "/") for row in other) + "."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("library", nargs="*", default=["torchvision", "timm"])
    parser.add_argument("--only", nargs="*", default=[], metavar="FAMILY")
    parser.add_argument("--list", type=Path, dest="path", help="file of results, line by line; a run goes on from it")
    parser.add_argument(
        "--write", action="store_true", help="try nothing: put what the list has into docs/architectures.md"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for row in results([] if options.write else options.library, options.only, options.path):
        rows.append(row)
        print(line(row), flush=True)
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        PAGE.write_text(before + BEGIN + table(rows) + END + rest.partition(END)[2], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
