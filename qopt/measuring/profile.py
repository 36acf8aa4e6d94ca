"""From any torch module and an example to its layers: what each multiplies, holds, sends and reads.

``torch.export`` writes down the operations of the module on one example; parameters, and what is computed from
parameters alone, become constants, multiplications become layers.
"""

from __future__ import annotations

import io
import itertools
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import nn

from qopt.core.errors import InputError, shown
from qopt.measuring.network import Network
from qopt.measuring.operations import NO_DATA_DEPENDENCE
from qopt.measuring.recording import Recording, Wrapped
from qopt.measuring.signature import SEVERAL, Inputs, Outputs

aten = torch.ops.aten

WRITTEN_OUT = (aten.einsum.default, aten.tensordot.default, aten.inner.default, aten.linalg_multi_dot.default)
"""Operations that are matrix products in disguise."""

AGREEMENT = 1e-3
"""Largest difference, of the largest entry, between a module on a batch and on its examples one by one."""

ALIKE = "a module that computes any number of examples, each alike and on its own"

KEEPS_NOTHING = "a module that keeps nothing from one call to the next"


def trace(module: nn.Module, example: Any, *, names: Sequence[str] | None = None) -> Network:
    """Layers and graph of a module in eval mode.

    Parameters
    ----------
    module : float32, the first dimension of every input and output the batch.
    example : (n, ...), at least one input; a tuple, or a dict by name, where the module has several.
    names : one for each layer, in order of execution; by default those of the modules.

    Returns
    -------
    Its tensor 0 holds all inputs of an example, its last tensor all outputs: see `qopt.measuring.signature`.

    Raises
    ------
    InputError
        Control flow that depends on data, a random operation, a state that is kept from call to call, an operation with
        weights that is none of the layers, no layer at all, other inputs than the module has, outputs that are not
        finite, or examples of a batch that are not computed alike and on their own.
    """
    inputs = _inputs(module, example)
    with _evaluating(module), torch.no_grad():
        batch = _three(inputs, inputs.parts(example))
        first, outputs = _returned(module, inputs, batch[:1])
        network = Recording(_exported(module, inputs, batch[:1]), batch[:1], inputs, outputs).network(names)
        again, _ = _returned(module, inputs, batch[:1])
        if not torch.equal(first, again):
            raise InputError("module", "another output when it is called again", KEEPS_NOTHING)
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


def _inputs(module: Any, example: Any) -> Inputs:
    """What a module is called with, once it and its example are what they must be."""
    if not isinstance(module, nn.Module):
        raise InputError("module", type(module).__name__, "a torch.nn.Module")
    several = isinstance(example, (tuple, list, dict)) and len(example) > 0
    parts = list(example.values() if isinstance(example, dict) else example) if several else [example]
    if several and not all(isinstance(part, torch.Tensor) for part in parts):
        kinds = ", ".join(sorted({type(part).__name__ for part in parts}))
        raise InputError("example", f"{type(example).__name__} of {kinds}", f"tensors (n, ...), {SEVERAL}")
    for part in parts:
        if not isinstance(part, torch.Tensor) or part.ndim == 0 or part.numel() == 0:
            found = f"shape {tuple(part.shape)}" if isinstance(part, torch.Tensor) else type(part).__name__
            raise InputError("example", found, "a tensor (n, ...) of at least one input")
        if part.layout != torch.strided or part.is_meta:
            found = "no values (meta)" if part.is_meta else str(part.layout).removeprefix("torch.")
            raise InputError("example", found, "a dense tensor with values")
        if len(part) != len(parts[0]):
            raise InputError("example", f"batches of {len(parts[0])} and {len(part)}", "one batch size")
    inputs = Inputs.of(module, example)
    for name, parameter in module.named_parameters():
        if parameter.dtype != torch.float32:
            raise InputError(f"module.{name}", str(parameter.dtype).removeprefix("torch."), "float32")
        if parameter.device != parts[0].device:
            raise InputError("example", f"on {parts[0].device}", f"on {parameter.device}, where the module is")
    return inputs


def _three(inputs: Inputs, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Tensor 0 on three different examples: where there are fewer, the first with its entries moved along.

    Where that changes nothing (zeros, ones), random numbers of [0, 1) are added: inputs that are equal would not show
    that one leaks into another.
    """
    found = []
    for part in parts:
        first = part[:1].detach()
        batch = torch.cat([part[:3].detach(), first.roll(1), first.roll(2)])[:3]
        if batch.is_floating_point() and any(torch.equal(a, b) for a, b in itertools.combinations(batch, 2)):
            noise = torch.rand(batch[1:].shape, generator=torch.Generator().manual_seed(0))
            batch[1:] += noise.to(batch)
        found.append(batch)
    if inputs.form == "one":
        return found[0]
    return inputs.packed(dict(zip(inputs.names, found, strict=True)))


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {shown(lines[0], 120)}" if lines else type(error).__name__


def _returned(module: nn.Module, inputs: Inputs, x: torch.Tensor) -> tuple[torch.Tensor, Outputs | None]:
    """What a module returns for a batch of tensor 0, as one tensor, and what it is made of where that is not one."""
    parts, named = inputs.arguments(x)
    try:
        output = module(*parts, **named)
    except Exception as error:
        shapes = " and ".join(str(tuple(part.shape)) for part in (*parts, *named.values()))
        found = f"{_one_line(error)} on a batch of shape {shapes}"
        raise InputError("module", found, ALIKE) from error
    several = None if isinstance(output, torch.Tensor) else Outputs.of(output)
    tensors = [output] if several is None else several.leaves(output)
    for tensor in tensors:
        if not tensor.dtype.is_floating_point:
            raise InputError(
                "module", f"an output of {str(tensor.dtype).removeprefix('torch.')}", "floating-point output"
            )
        if tensor.numel() == 0:
            raise InputError(
                "module", f"an empty output of shape {tuple(tensor.shape)}", "at least one number as output"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise InputError("module", "NaN or infinite entries in the output of the example", "finite outputs")
        if several is not None and (tensor.ndim == 0 or len(tensor) != len(x)):
            found = f"an output of shape {tuple(tensor.shape)} from {len(x)} examples"
            raise InputError("module", found, f"a row for each example: {ALIKE}")
    return (output if several is None else several.packed(output)), several


def _exported(module: nn.Module, inputs: Inputs, x: torch.Tensor) -> Any:
    """The module as a graph of ATen operations, none of them in place."""
    parts, named = inputs.arguments(x)
    try:
        with warnings.catch_warnings(), _quietly():
            warnings.simplefilter("ignore")  # about torch's own deprecated calls
            program = torch.export.export(Wrapped(module), parts, named, strict=False)
            table = torch.export.default_decompositions()
            program = program.run_decompositions({product: table[product] for product in WRITTEN_OUT})
    except Exception as error:
        raise _not_exported(error) from error
    for spec in program.graph_signature.output_specs:
        if spec.kind.name != "USER_OUTPUT":
            found = f"{spec.kind.name.lower().replace('_', ' ')} of {spec.target} in eval mode"
            raise InputError("module", found, KEEPS_NOTHING)
    return program


def _not_exported(error: Exception) -> InputError:
    """Why torch.export gave up, in one line."""
    text = str(error)
    if "assigned during export" in text:
        kept = re.search(r"attributes? (?:self\.wrapped\.|self\.)?([\w.]+)", text)
        found = f"a state that is kept from call to call ({kept[1] if kept else 'an attribute'})"
        return InputError("module", found, KEEPS_NOTHING)
    if "data-dependent" in text.lower() or "DataDependent" in f"{type(error).__name__} {text}":
        found = f"control flow or a shape that depends on data ({_one_line(error)}, from torch.export)"
        return InputError("module", found, NO_DATA_DEPENDENCE)
    allowed = f"operations of torch alone, {NO_DATA_DEPENDENCE}"
    return InputError("module", f"{_one_line(error)}, from torch.export", allowed)


def _check_alike(module: nn.Module, network: Network, batch: torch.Tensor) -> None:
    """A batch must give what its examples give one by one; else tensors cannot be stacked and resumed."""
    together, _ = _returned(module, network.inputs, batch)
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
