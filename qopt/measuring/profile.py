"""From any torch module and an example to its layers: what each multiplies, holds, sends and reads.

``torch.export`` writes down the operations of the module on one example; parameters, and what is computed from
parameters alone, become constants, multiplications become layers.
"""

from __future__ import annotations

import inspect
import io
import itertools
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import nn

from qopt.core.errors import InputError, shown
from qopt.measuring.network import Network
from qopt.measuring.recording import NO_DATA_DEPENDENCE, Recording, Wrapped

aten = torch.ops.aten

WRITTEN_OUT = (aten.einsum.default, aten.tensordot.default, aten.inner.default, aten.linalg_multi_dot.default)
"""Operations that are matrix products in disguise."""

AGREEMENT = 1e-3
"""Largest difference, of the largest entry, between a module on a batch and on its examples one by one."""

ONE_INPUT = "one input, a tensor (n, ...): wrap the module in one that makes the others from it, or keeps them"

ALIKE = "a module that computes any number of examples, each alike and on its own"


def trace(module: nn.Module, example: torch.Tensor, *, names: Sequence[str] | None = None) -> Network:
    """Layers and graph of a module in eval mode.

    Parameters
    ----------
    module : float32, one tensor in and one tensor out, the first dimension of both the batch.
    example : (n, ...), at least one input.
    names : one for each layer, in order of execution; by default those of the modules.

    Raises
    ------
    InputError
        Control flow that depends on data, an operation with weights that is neither linear nor a convolution over
        one or two dimensions, no layer at all, several inputs, an output that is not one tensor or not finite, or
        examples of a batch that are not computed alike and on their own.
    """
    _check_arguments(module, example)
    with _evaluating(module), torch.no_grad():
        batch = _three(example)
        _returned(module, batch[:1])
        network = Recording(_exported(module, batch[:1]), batch[:1]).network(names)
        _check_alike(module, network, batch)
    return network


def records(network: Network) -> list[dict[str, Any]]:
    """The layer table: a row for each layer, and what crosses the cut behind it.

    Returns
    -------
    Each row has ``layer``, ``name``, ``kind``, ``macs``, ``weights``, ``biases``, ``output`` (shape of one example),
    ``reads`` (tensors), ``crossing`` (tensors that cross the cut behind this layer) and ``sent`` (their entries).
    """
    columns = network.columns()
    sizes = [columns["input_size"], *columns["activations"]]
    rows = []
    for layer in network.layers:
        crossing = network.crossing(layer.number)
        rows.append(
            {
                "layer": layer.number,
                "name": layer.name,
                "kind": layer.kind,
                "macs": layer.macs,
                "weights": layer.parameters,
                "biases": layer.biases,
                "output": list(layer.output),
                "reads": list(layer.reads),
                "crossing": list(crossing),
                "sent": sum(sizes[i] for i in crossing),
            }
        )
    return rows


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode, and attention by its plain operations (the fused one hides its layers); as it was afterwards."""
    modes = {part: part.training for part in module.modules()}
    fused = torch.backends.mha.get_fastpath_enabled()
    module.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def _quietly() -> Iterator[None]:
    """No log, nothing printed: torch.export writes whole graphs where it fails; the error says why in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _check_arguments(module: Any, example: Any) -> None:
    if not isinstance(module, nn.Module):
        raise InputError("module", type(module).__name__, "a torch.nn.Module")
    if isinstance(example, (tuple, list)) and any(isinstance(part, torch.Tensor) for part in example):
        raise InputError("example", f"a {type(example).__name__} of {len(example)} inputs", ONE_INPUT)
    inputs = _inputs(module)
    if len(inputs) > 1:
        raise InputError("module", f"{len(inputs)} inputs ({', '.join(inputs)})", ONE_INPUT)
    if not isinstance(example, torch.Tensor) or example.ndim == 0 or example.numel() == 0:
        found = f"shape {tuple(example.shape)}" if isinstance(example, torch.Tensor) else type(example).__name__
        raise InputError("example", found, "a tensor (n, ...) of at least one input")
    if example.layout != torch.strided or example.is_meta:
        found = "no values (meta)" if example.is_meta else str(example.layout).removeprefix("torch.")
        raise InputError("example", found, "a dense tensor with values")
    for name, parameter in module.named_parameters():
        if parameter.dtype != torch.float32:
            raise InputError(f"module.{name}", str(parameter.dtype).removeprefix("torch."), "float32")
        if parameter.device != example.device:
            raise InputError("example", f"on {example.device}", f"on {parameter.device}, where the module is")


def _inputs(module: nn.Module) -> list[str]:
    """Names of what a module must be called with, where its signature says it."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):  # compiled, or made by a script
        return []
    given = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in given and p.default is inspect.Parameter.empty]


def _three(example: torch.Tensor) -> torch.Tensor:
    """Three different inputs of the example's kind: where there are fewer, the first with its entries moved along.

    Where that changes nothing (zeros, ones), random numbers of [0, 1) are added: inputs that are equal would not show
    that one leaks into another.
    """
    first = example[:1].detach()
    batch = torch.cat([example[:3].detach(), first.roll(1), first.roll(2)])[:3]
    if batch.is_floating_point() and any(torch.equal(a, b) for a, b in itertools.combinations(batch, 2)):
        noise = torch.rand(batch[1:].shape, generator=torch.Generator().manual_seed(0))
        batch[1:] += noise.to(batch)
    return batch


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {shown(lines[0], 120)}" if lines else type(error).__name__


def _returned(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    try:
        output = module(x)
    except Exception as error:
        found = f"{_one_line(error)} on a batch of shape {tuple(x.shape)}"
        raise InputError("module", found, ALIKE) from error
    if not isinstance(output, torch.Tensor):
        raise InputError("module", f"an output of type {type(output).__name__}", "one tensor as output")
    if not output.dtype.is_floating_point:
        raise InputError("module", f"an output of {str(output.dtype).removeprefix('torch.')}", "floating-point output")
    if output.numel() == 0:
        raise InputError("module", f"an empty output of shape {tuple(output.shape)}", "at least one number as output")
    if not bool(torch.isfinite(output).all()):
        raise InputError("module", "NaN or infinite entries in the output of the example", "finite outputs")
    return output


def _exported(module: nn.Module, x: torch.Tensor) -> Any:
    """The module as a graph of ATen operations, none of them in place."""
    try:
        with warnings.catch_warnings(), _quietly():
            warnings.simplefilter("ignore")  # about torch's own deprecated calls
            program = torch.export.export(Wrapped(module), (x,), strict=False)
            table = torch.export.default_decompositions()
            program = program.run_decompositions({product: table[product] for product in WRITTEN_OUT})
    except Exception as error:
        found = f"{_one_line(error)}, from torch.export"
        raise InputError("module", found, NO_DATA_DEPENDENCE) from error
    for spec in program.graph_signature.output_specs:
        if spec.kind.name != "USER_OUTPUT":
            found = f"{spec.kind.name.lower().replace('_', ' ')} of {spec.target} in eval mode"
            raise InputError("module", found, "a module that keeps nothing from one batch to the next")
    return program


def _check_alike(module: nn.Module, network: Network, batch: torch.Tensor) -> None:
    """A batch must give what its examples give one by one; else tensors cannot be stacked and resumed."""
    together = _returned(module, batch)
    try:
        alone = network(batch)
    except RuntimeError as error:
        raise InputError("module", f"an operation that vmap cannot stack ({_one_line(error)})", ALIKE) from error
    if together.shape != alone.shape:
        found = f"an output of shape {tuple(together.shape)} from {len(batch)} examples"
        raise InputError("module", found, f"{tuple(alone.shape)}: {ALIKE}")
    difference = float((together.double() - alone.double()).abs().max())
    if difference > AGREEMENT * float(together.abs().max()):
        raise InputError("module", f"an output that changes by {difference:.3g} when examples are batched", ALIKE)
