"""What a GPU does with qopt: measuring a network of ResNet-18's shape without flags, and deciding requests.

    python benchmarks/gpu.py [--device cuda] [--images 1024] [--size 224] [--seconds 300] [--parts a,b,...] [--out FILE]

Each part prints a line of JSON as soon as it is done, and a table where one is easier to read; no part is begun once
the seconds are over, which is said. ``--device cpu --images 16 --size 32 --channels 4`` tries it all on a processor.

parts: device, run (the whole measurement), profile (where its time goes), decide, ways (of running one pass),
agree (with the CPU), tf32 (its error by width), memory (running out of it).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import serving
import torch
from measure import INSTANCES, LEVELS, ResNet18
from torch import nn
from torch.nn import functional as F

import qopt
from qopt.measuring.arithmetic import plain_float32
from qopt.measuring.batches import Batches
from qopt.measuring.checkpoint import Checkpoint
from qopt.measuring.examples import Examples, read
from qopt.measuring.grids import Grid
from qopt.measuring.loading import load_module
from qopt.measuring.memory import default_memory
from qopt.measuring.network import Network
from qopt.measuring.noise import noise_tables, reference
from qopt.measuring.profile import trace
from qopt.measuring.robustness import tf32_error
from qopt.measuring.scores import adversarial_margin, correct
from qopt.measuring.sensitivity import Sensitivity, measure
from qopt.qpart.serving.decide_torch import decide_tensors

WIDTHS = range(2, 17)
PARTS = ("device", "run", "profile", "decide", "ways", "agree", "tf32", "memory")
CORES = {"NVIDIA H100": 132 * 128, "NVIDIA H200": 132 * 128, "NVIDIA A100": 108 * 64}
"""float32 multiply-adds per clock of a card."""


class Phases:
    """Seconds spent in each phase of a measurement, by what `advance` is told."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Add the time since the last call to this phase."""
        del done, total
        now = time.perf_counter()
        self.seconds[what] = self.seconds.get(what, 0.0) + now - self._last
        self._last = now


def synchronized(device: torch.device) -> float:
    """Seconds of a clock, once the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


class Bench:
    """The parts, each a method that returns what it prints."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.device = options, torch.device(options.device)
        torch.manual_seed(0)
        self.module = ResNet18(options.channels).eval().requires_grad_(False)
        self.network = trace(self.module, torch.zeros(1, 3, options.size, options.size)).to(self.device)
        self.cuda = self.device.type == "cuda"

    def examples(self, count: int, network: Network) -> Examples:
        """Random images: nine labels in ten are the network's own."""
        x = torch.randn(count, *network.input_shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad(), plain_float32():
            parts = [network(part.to(network.device)).argmax(1).cpu() for part in x.split(64)]
        labels = torch.cat(parts)
        labels[::10] = (labels[::10] + 1) % 1000
        return Examples(x, labels)

    def peak(self) -> float | None:
        """float32 operations a second at the card's highest clock; None where it is not known."""
        if not self.cuda:
            return None
        name = torch.cuda.get_device_name(self.device)
        clock = getattr(torch.cuda.get_device_properties(self.device), "clock_rate", 1_980_000) * 1e3
        cores = next((n for words, n in CORES.items() if words in name), None)
        return None if cores is None else 2.0 * cores * clock

    def part_device(self) -> dict[str, Any]:
        """Name, versions, and the memory chosen by default."""
        found: dict[str, Any] = {"torch": torch.__version__, "default_memory_GiB": default_memory(self.device) / 2**30}
        if self.cuda:
            found["name"] = torch.cuda.get_device_name(self.device)
            found["free_GiB"], found["total_GiB"] = (x / 2**30 for x in torch.cuda.mem_get_info(self.device))
            found["float32_peak_TFLOPs"] = (self.peak() or math.nan) / 1e12
        return found

    def measured(self, count: int) -> dict[str, Any]:
        """One measurement without flags: seconds, counted work, phases."""
        examples = self.examples(count, self.network)
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        before, phases, start = self.network.work, Phases(), synchronized(self.device)
        found = measure(self.network, examples, levels=LEVELS, bits=WIDTHS, advance=phases)
        seconds = synchronized(self.device) - start
        work = 2.0 * (self.network.work - before)
        one = 2.0 * sum(layer.macs for layer in self.network.layers)
        peak = self.peak()
        return {
            "images": count,
            "size": self.options.size,
            "tensors": len(found.tensors),
            "seconds": seconds,
            "forward_passes": work / one / count,
            "TFLOPs": work / seconds / 1e12,
            "share_of_peak": None if peak is None else work / seconds / peak,
            "phases": phases.seconds | {"rest": seconds - sum(phases.seconds.values())},
            "GiB": torch.cuda.max_memory_allocated() / 2**30 if self.cuda else None,
        }

    def part_run(self, left: float) -> dict[str, Any]:
        """The whole measurement, on fewer images where that would take too long."""
        few = min(64, self.options.images)
        first = self.measured(few)
        count = min(self.options.images, int(few * 0.6 * left / first["seconds"]))
        print(json.dumps({"run, first images": first}), flush=True)
        return self.measured(count) if count > few else first

    def part_profile(self) -> dict[str, Any]:
        """Kernels by time, over a measurement of a few images; and the share of convolution."""
        from torch.profiler import ProfilerActivity, profile

        count = min(96, self.options.images)
        examples = self.examples(count, self.network)
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self.cuda else [])]
        start = synchronized(self.device)
        with profile(activities=activities) as found:
            measure(self.network, examples, levels=LEVELS, bits=WIDTHS)
            seconds = synchronized(self.device) - start
        averages = found.key_averages()
        key = "self_device_time_total" if self.cuda else "self_cpu_time_total"
        print(averages.table(sort_by=key, row_limit=45, max_name_column_width=70), flush=True)
        times = {event.key: getattr(event, key) / 1e6 for event in averages}
        kernels = {event.key: times[event.key] for event in averages if str(event.device_type).endswith("CUDA")}
        shown = kernels if self.cuda else times
        top = dict(sorted(shown.items(), key=lambda item: -item[1])[:40])
        return {"images": count, "seconds": seconds, "device_seconds": sum(shown.values()), "top": top}

    def part_decide(self) -> dict[str, Any]:
        """Requests a second for 20 layers and 5 levels, and whether numpy decides the same."""
        problem = serving.network(20, 1)
        table = qopt.offline([problem])
        n = 4_000_000 if self.cuda else 100_000
        few = min(n, 1_000_000)
        same = []
        for seed in range(3 if self.cuda else 1):
            asked = serving.requests(problem, few, seed)
            here, there = qopt.decide(table, asked), qopt.decide(table, asked, device=str(self.device))
            off = np.abs(here.objective / there.objective - 1)[np.isfinite(here.objective)]
            same.append([bool((here.cut == there.cut).all() and (here.entry == there.entry).all()), float(off.max())])
        start = time.perf_counter()
        qopt.decide(table, asked)
        on_cpu = few / (time.perf_counter() - start)
        start = time.perf_counter()
        qopt.decide(table, asked, device=str(self.device))
        from_host = few / (time.perf_counter() - start)
        many = serving.requests(problem, n, 7).columns
        columns = {name: torch.from_numpy(column).to(self.device) for name, column in many.items()}
        rates = []
        for _ in range(5):
            start = synchronized(self.device)
            decide_tensors(table, columns)
            rates.append(n / (synchronized(self.device) - start))
        return {
            "requests": n,
            "columns": len(columns),
            "per_second": sorted(rates),
            "from_numpy_and_back_per_second": from_host,
            "numpy_per_second": on_cpu,
            "equal_cuts_and_plans, largest_relative_difference_of_objectives": same,
        }

    def part_ways(self) -> dict[str, Any]:
        """Images a second of one plain forward pass, in several ways."""
        count = 1024 if self.cuda else 8
        x = torch.randn(count, 3, self.options.size, self.options.size, device=self.device)
        folded = _folded(self.module).to(self.device)
        last = _folded(self.module).to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x_last = x.to(memory_format=torch.channels_last)
        cudnn = torch.backends.cudnn
        found: dict[str, Any] = {}

        def timed(name: str, run: Callable[[], Any]) -> None:
            try:
                run()
                start = synchronized(self.device)
                for _ in range(2):
                    run()
                found[name] = 2 * count / (synchronized(self.device) - start)
            except Exception as error:  # a way that a library lacks is a finding
                found[name] = f"{type(error).__name__}: {error}"[:200]

        with torch.no_grad(), plain_float32():
            timed("network, by its steps", lambda: self.network(x))
            timed("module", lambda: folded(x))
            timed("module, channels last", lambda: last(x_last))
            if self.cuda:
                timed("module, convolution with relu", lambda: _fused(folded, x))
                timed("module, convolution with relu, channels last", lambda: _fused(last, x_last))
                cudnn.benchmark = True
                timed("module, cudnn.benchmark", lambda: folded(x))
                timed("module, cudnn.benchmark, channels last", lambda: last(x_last))
                timed("module, cudnn.benchmark, convolution with relu", lambda: _fused(folded, x))
                torch.use_deterministic_algorithms(False)
                timed("module, cudnn.benchmark, any algorithm", lambda: folded(x))
                cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
                timed("module, TF32", lambda: folded(x))
                timed("module, TF32, channels last", lambda: last(x_last))
                timed("module, TF32, convolution with relu, channels last", lambda: _fused(last, x_last))
        found["layers"] = self._layers(min(count, 512))
        return found

    @plain_float32()
    @torch.no_grad()
    def _layers(self, count: int) -> dict[str, list[float]]:
        """For each layer: milliseconds of its multiplication, of its cheap operations, and TFLOP/s of the former."""
        x = torch.randn(count, 3, self.options.size, self.options.size, device=self.device)
        values = dict(enumerate(self.network.tensors(x)))
        found = {}
        for layer in self.network.layers:
            times = []
            product = self.network.product(layer.number, values)
            for run in (
                partial(self.network.product, layer.number, values),
                partial(self.network.finish, layer.number, product, values),
            ):
                run()
                start = synchronized(self.device)
                run()
                times.append(synchronized(self.device) - start)
            found[layer.name] = [times[0] * 1e3, times[1] * 1e3, 2e-12 * layer.macs * count / times[0]]
        return found

    def part_agree(self) -> dict[str, Any]:
        """Figures of this device beside the CPU's: how many lie within the CPU's intervals."""
        found: dict[str, Any] = {}
        for name in ("mlp6", "cnn"):
            module, example = load_module(f"{INSTANCES / 'networks.py'}:{name}", INSTANCES / f"{name}.safetensors")
            network = trace(module, example)
            examples = read(INSTANCES, network.input_shape, "t10k")[: 2000 if self.cuda else 200]
            here = measure(network, examples, levels=LEVELS)
            there = measure(network.to(self.device), examples, levels=LEVELS)
            found[name] = _agreement(here, there)
        count = 4 if self.cuda else 1
        examples = self.examples(count, self.network)
        here, there = (self._noise(network, examples) for network in (self.network.to("cpu"), self.network))
        ratio = np.abs(np.stack(list(there.values())) / np.stack(list(here.values())) - 1).max(axis=0)
        by_width = dict(zip(map(str, WIDTHS), ratio.tolist(), strict=True))
        found["resnet18, largest difference of noise by width"] = by_width
        return found

    @torch.no_grad()
    def _noise(self, network: Network, examples: Examples, tf32: bool = False) -> dict[Any, np.ndarray[Any, Any]]:
        """(k,) noise of each tensor at each width, against float32's outputs, in float32 or in TF32."""
        with plain_float32():
            batches, saved = Batches(network, examples, len(WIDTHS)), Checkpoint(None, {})
            base = reference(batches, WIDTHS, Grid(), correct, adversarial_margin, saved)
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
            found = noise_tables(batches, WIDTHS, Grid(), Grid(), base, correct, saved)
        return {tensor: noise.mean(axis=1) for tensor, (noise, _) in found.items()}

    def part_tf32(self) -> dict[str, Any]:
        """Noise measured with TF32 over noise measured without, and the seconds of both."""
        if not self.cuda:
            return {"left out": "a CPU has no TF32"}
        examples = self.examples(min(128, self.options.images), self.network)
        found: dict[str, Any] = {}
        tables, seconds = [], []
        for tf32 in (False, False, True):
            start = synchronized(self.device)
            tables.append(np.stack(list(self._noise(self.network, examples, tf32).values())))
            seconds.append(synchronized(self.device) - start)
        ratio = tables[2] / tables[1]
        found["ratio of noise by width: least, median, largest"] = {
            str(b): np.quantile(ratio[:, i], [0, 0.5, 1]).tolist() for i, b in enumerate(WIDTHS)
        }
        with torch.no_grad(), plain_float32():
            batches = Batches(self.network, examples, len(WIDTHS))
            natural = float(np.mean([float(adversarial_margin(b.outputs).mean()) for b in batches]))
            found["error of TF32 over natural"] = tf32_error(batches) / natural
        return found | {"seconds without and with": seconds[1:]}

    def part_memory(self) -> dict[str, Any]:
        """Figures where the device has less memory than was said: smaller parts, the same figures."""
        if not self.cuda:
            return {"left out": "a CPU's memory cannot be limited here"}
        module, example = load_module(f"{INSTANCES / 'networks.py'}:cnn", INSTANCES / "cnn.safetensors")
        network = trace(module, example).to(self.device)
        examples = read(INSTANCES, network.input_shape, "t10k")[:2000]
        whole = measure(network, examples, levels=LEVELS)
        torch.cuda.empty_cache()
        total = torch.cuda.mem_get_info()[1]
        limit = 300 * 2**20
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + limit) / total)
        try:
            parts = measure(network, examples, levels=LEVELS, memory=16 * 2**30)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return {"limit_MiB": limit / 2**20} | _agreement(whole, parts)


def _agreement(here: Sensitivity, there: Sensitivity) -> dict[str, Any]:
    """How many figures of one measurement lie within the intervals of another, and how far they are from its values."""
    inside = total = 0
    noise, rho = [], []
    for tensor, one in here.tensors.items():
        other = there.tensors[tensor]
        fits = (other.noise >= one.noise_low) & (other.noise <= one.noise_high)
        inside, total = inside + int(fits.sum()), total + len(fits)
        noise.append(np.abs(other.noise / one.noise - 1))
        for mine, its in zip(one.rho, other.rho, strict=True):
            inside, total = inside + (mine.low <= its.value <= mine.high), total + 1
            rho.append(0.0 if mine.value == its.value else abs(its.value / mine.value - 1))
        inside, total = inside + (one.s.low <= other.s.value <= one.s.high), total + 1
    by_width = np.max(noise, axis=0)
    return {
        "within": [int(inside), total],
        "largest difference of noise by width": dict(zip(here.bits.tolist(), by_width.tolist(), strict=True)),
        "largest difference of rho": max(rho),
    }


def _folded(module: ResNet18) -> nn.Module:
    """The network with its normalizations folded into the convolutions."""
    import copy

    from torch.nn.utils.fusion import fuse_conv_bn_eval

    found = copy.deepcopy(module)
    found.conv, found.norm = fuse_conv_bn_eval(found.conv, found.norm), nn.Identity()
    for block in found.blocks:
        for i in ("1", "2"):
            setattr(block, f"conv{i}", fuse_conv_bn_eval(getattr(block, f"conv{i}"), getattr(block, f"norm{i}")))
            setattr(block, f"norm{i}", nn.Identity())
        if isinstance(block.shortcut, nn.Sequential):
            block.shortcut = fuse_conv_bn_eval(block.shortcut[0], block.shortcut[1])
    return found


def _fused(module: Any, x: torch.Tensor) -> torch.Tensor:
    """The folded network with cuDNN's convolution, bias, sum and relu in one."""

    def relu(conv: nn.Conv2d, x: torch.Tensor, plus: torch.Tensor | None = None) -> torch.Tensor:
        options = (conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        if plus is None:
            return torch.cudnn_convolution_relu(x, conv.weight, *options)  # type: ignore[no-any-return]
        return torch.cudnn_convolution_add_relu(x, conv.weight, plus, 1.0, *options)  # type: ignore[no-any-return]

    x = F.max_pool2d(relu(module.conv, x), 3, 2, 1)
    for block in module.blocks:
        x = relu(block.conv2, relu(block.conv1, x), block.shortcut(x))
    return module.head(x.mean((2, 3)))  # type: ignore[no-any-return]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, the most important first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--channels", type=int, default=64, help="of the first layer, 64 in ResNet-18")
    parser.add_argument("--seconds", type=float, default=300.0, help="after which no further part is begun")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--out", help="write the figures as JSON, after every part")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    bench, figures = Bench(options), dict[str, Any]()
    for part in options.parts.split(","):
        left = options.seconds - (time.perf_counter() - start)
        if left <= 0:
            figures[part] = "left out: no time was left"
        else:
            try:
                figures[part] = bench.part_run(left) if part == "run" else getattr(bench, f"part_{part}")()
            except Exception:  # the other parts are worth having
                figures[part] = traceback.format_exc(limit=8)
        print(json.dumps({part: figures[part], "at": round(time.perf_counter() - start, 1)}), flush=True)
        if bench.cuda:
            torch.cuda.empty_cache()
        if options.out:
            Path(options.out).write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
