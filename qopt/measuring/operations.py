"""Which ATen operations are layers, and what each multiplies.

Every rule receives the operation's arguments, parts of them `Ref` (they depend on the input) and parts tensors
(parameters, buffers and what is computed from these alone), and records steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch

from qopt.core.errors import InputError
from qopt.measuring.network import Kind
from qopt.measuring.steps import Ref, Shape

aten = torch.ops.aten

NO_DATA_DEPENDENCE = "no control flow and no shapes that depend on data"


class Recorder(Protocol):
    """Where rules put what they find."""

    def step(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Ref:
        """Record a cheap operation."""
        ...

    def weighted(
        self,
        kind: Kind,
        function: Callable[..., torch.Tensor],
        x: Ref | tuple[Any, ...],
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        depth: int,
        macs: int | None = None,
    ) -> Ref:
        """Record a layer with a weight and one or several inputs; `depth` multiplications make one output.

        `macs` instead, where they are not those of every output.
        """
        ...

    def derived(self, weight: torch.Tensor, what: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What is made of a parameter, the same tensor wherever the same is made of the same: one weight."""
        ...

    def product(self, a: Ref, b: Ref, part: str = "product") -> Ref:
        """Record the product of two activations."""
        ...

    def shape(self, value: Any) -> Shape:
        """Shape of a value on a batch of one."""
        ...

    def is_mask(self, value: Any) -> bool:
        """Whether a value tells what is kept, true or false, where others index by numbers."""
        ...

    def wanted(self, index: int) -> bool:
        """Whether anything reads this one of the several values of an operation."""
        ...


Rule = Callable[..., Any]


def linear(record: Recorder, x: Any, weight: Any, bias: Any = None) -> Ref:
    """``x weight^T + bias``."""
    if len(record.shape(weight)) == 1:
        return _plus(record, matmul(record, x, weight), bias)
    if isinstance(weight, Ref) or not isinstance(x, Ref):
        return _plus(record, matmul(record, x, _turned(record, weight)), bias)
    if isinstance(bias, Ref) or (bias is not None and bias.ndim != 1):
        return _plus(record, linear(record, x, weight), bias)
    return record.weighted("linear", aten.linear.default, x, weight, bias, weight.shape[-1])


def matmul(record: Recorder, a: Any, b: Any) -> Any:
    """``a b``: by a weight on either side, or of two activations."""
    if isinstance(a, Ref) and isinstance(b, Ref):
        return record.product(a, b)
    if not isinstance(a, Ref) and not isinstance(b, Ref):
        return torch.matmul(a, b)
    if isinstance(a, Ref):
        if b.ndim == 2:
            return record.weighted("linear", aten.linear.default, a, b.transpose(0, 1), None, b.shape[0])
        if b.ndim == 1:
            column = record.weighted("linear", aten.linear.default, a, b[None], None, len(b))
            return record.step(aten.squeeze.dim, column, -1)
        if b.ndim <= len(record.shape(a)) and all(length == 1 for length in b.shape[:-2]):
            return matmul(record, a, b.reshape(b.shape[-2:]))
        return _stacked(record, a, b)
    if a.ndim == 1:
        row = record.weighted("linear", _times_from_left, b, a[None], None, len(a))
        return record.step(aten.squeeze.dim, row, -2 if len(record.shape(b)) > 1 else -1)
    return record.weighted("linear", _times_from_left, b, a, None, a.shape[-1])


def addmm(record: Recorder, bias: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Ref:
    """``beta bias + alpha a b``."""
    if beta == alpha == 1 and isinstance(a, Ref) and isinstance(b, torch.Tensor) and b.ndim == 2:
        return linear(record, a, b.transpose(0, 1), bias)
    found = matmul(record, a, b)
    found = found if alpha == 1 else record.step(aten.mul.Scalar, found, alpha)
    return record.step(aten.add.Tensor, found, bias, alpha=beta)


CONVOLUTIONS: dict[Kind, Any] = {"conv1d": aten.conv1d, "conv2d": aten.conv2d, "conv3d": aten.conv3d}
TRANSPOSED: dict[Kind, Any] = {
    "conv_transpose1d": aten.conv_transpose1d.default,
    "conv_transpose2d": aten.conv_transpose2d.input,
    "conv_transpose3d": aten.conv_transpose3d.input,
}


def convolution(kind: Kind) -> Rule:
    """A convolution over one to three dimensions; further arguments are stride, padding, dilation and groups."""

    def rule(record: Recorder, x: Any, weight: Any, bias: Any = None, *options: Any, **named: Any) -> Ref:
        _check_constant(kind, x, weight, bias)
        call = CONVOLUTIONS[kind]

        def convolve(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
            found: torch.Tensor = call(x, weight, bias, *options, **named)
            return found

        return record.weighted(kind, convolve, x, weight, bias, math.prod(weight.shape[1:]))

    return rule


def transposed(kind: Kind) -> Rule:
    """A transposed convolution; further arguments are stride, padding, padding of the output, groups and dilation.

    Its weight stands with the outputs first, as any other layer's; torch has the inputs first.
    """

    def rule(record: Recorder, x: Any, weight: Any, bias: Any = None, *options: Any, **named: Any) -> Ref:
        _check_constant(kind, x, weight, bias)
        call = TRANSPOSED[kind]
        groups = named.get("groups", options[3] if len(options) > 3 else 1)

        def convolve(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
            found: torch.Tensor = call(x, _exchanged(weight, groups), bias, *options, **named)
            return found

        macs = math.prod(record.shape(x)) * math.prod(weight.shape[1:])
        exchanged = record.derived(weight, f"exchanged in {groups} groups", lambda: _exchanged(weight, groups))
        return record.weighted(kind, convolve, x, exchanged, bias, 0, macs=macs)

    return rule


def _check_constant(kind: Kind, x: Any, weight: Any, bias: Any) -> None:
    if isinstance(weight, Ref) or isinstance(bias, Ref) or not isinstance(x, Ref):
        raise InputError(kind, "a weight that depends on the input", "a weight that is a parameter")


def _exchanged(weight: torch.Tensor, groups: int) -> torch.Tensor:
    """Inputs and outputs of a convolution's weight exchanged, group by group."""
    if groups == 1:
        return weight.transpose(0, 1)
    return weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)


def embedding(record: Recorder, weight: Any, indices: Any, *options: Any) -> Ref:
    """Rows of a table; further arguments matter in training only."""
    del options
    if isinstance(weight, Ref):
        return record.step(aten.embedding.default, weight, indices)

    def rows(indices: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        assert bias is None
        found: torch.Tensor = aten.embedding.default(weight, indices)
        return found

    return record.weighted("embedding", rows, indices, weight, None, 0, macs=0)


def index(record: Recorder, x: Any, indices: list[Any]) -> Any:
    """``x[i, j, ...]``: a table's rows where a parameter is indexed, else what is no layer."""
    indices = _as_numbers(record, indices)
    if isinstance(x, torch.Tensor) and x.ndim == 2 and x.is_floating_point() and len(indices) == 1:
        return embedding(record, x, indices[0])
    return record.step(aten.index.Tensor, x, indices)


def index_put(record: Recorder, x: Any, indices: list[Any], values: Any, accumulate: bool = False) -> Any:
    """``x[i, j, ...] = values``, out of place; behind a mask one value."""
    masked = len(indices) == 1 and isinstance(indices[0], Ref) and record.is_mask(indices[0])
    if masked and math.prod(record.shape(values)) == 1:
        return record.step(_put_where, x, indices[0], values)
    return record.step(aten.index_put.default, x, _as_numbers(record, indices), values, accumulate)


def _put_where(x: torch.Tensor, mask: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    mask = mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim))
    return torch.where(mask, value.reshape(()).to(x.dtype), x)


def _as_numbers(record: Recorder, indices: list[Any]) -> list[Any]:
    """Indices without masks: a constant mask as the numbers of what it keeps."""
    found: list[Any] = []
    for i in indices:
        if isinstance(i, Ref) and record.is_mask(i):
            raise InputError("module", "a mask that depends on the input", NO_DATA_DEPENDENCE)
        if isinstance(i, torch.Tensor) and record.is_mask(i):
            found += i.nonzero(as_tuple=True)
        else:
            found.append(i)
    return found


def attention(
    record: Recorder,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Ref:
    """``softmax(query key^T scale + mask) value``, written out as two products."""
    if dropout_p:
        raise InputError("module", f"attention that drops {dropout_p:g} of its weights in eval mode", "no dropout")
    if enable_gqa:
        repeats = record.shape(query)[-3] // record.shape(key)[-3]
        key = record.step(aten.repeat_interleave.self_int, key, repeats, -3)
        value = record.step(aten.repeat_interleave.self_int, value, repeats, -3)
    factor = 1 / math.sqrt(record.shape(query)[-1]) if scale is None else scale
    scores = record.step(aten.mul.Scalar, record.product(query, _turned(record, key), "scores"), factor)
    if is_causal:
        scores = record.step(_causal, scores)
    if attn_mask is not None:
        scores = record.step(_masked, scores, attn_mask)
    return record.product(record.step(aten.softmax.int, scores, -1), value, "mixed")


def batch_norm(
    record: Recorder, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, eps: float
) -> tuple[Ref]:
    """Batch normalization by running statistics, where it is not folded into the layer before it."""
    return (record.step(aten.batch_norm.default, x, weight, bias, mean, variance, False, momentum, eps, False),)


RULES: dict[Any, Rule] = {
    aten.linear.default: linear,
    aten.matmul.default: matmul,
    aten.mm.default: matmul,
    aten.bmm.default: matmul,
    aten.mv.default: matmul,
    aten.dot.default: matmul,
    aten.addmm.default: addmm,
    aten.baddbmm.default: addmm,
    aten.addmv.default: addmm,
    aten.conv1d.default: convolution("conv1d"),
    aten.conv1d.padding: convolution("conv1d"),
    aten.conv2d.default: convolution("conv2d"),
    aten.conv2d.padding: convolution("conv2d"),
    aten.conv3d.default: convolution("conv3d"),
    aten.conv3d.padding: convolution("conv3d"),
    aten.conv_transpose1d.default: transposed("conv_transpose1d"),
    aten.conv_transpose2d.input: transposed("conv_transpose2d"),
    aten.conv_transpose3d.input: transposed("conv_transpose3d"),
    aten.embedding.default: embedding,
    aten.index.Tensor: index,
    aten.index_put.default: index_put,
    aten.scaled_dot_product_attention.default: attention,
    aten._native_batch_norm_legit_no_training.default: batch_norm,
}
"""Operations that are layers, or are written out as such."""

PASSED = {
    aten.clone.default,
    aten.contiguous.default,
    aten.detach.default,
    aten.detach_.default,
    aten.alias.default,
    aten.lift_fresh_copy.default,
}
"""Operations whose value is their first argument (dropout in eval mode is exported as a clone)."""


SHAPED = {
    aten.new_zeros.default,
    aten.new_ones.default,
    aten.new_full.default,
    aten.zeros_like.default,
    aten.ones_like.default,
    aten.full_like.default,
}
"""Operations that read a tensor's shape and nothing else: their value is a constant."""


def _copied(into: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    del non_blocking
    return source.to(into.dtype).expand(into.shape)


def _slice_scattered(
    into: torch.Tensor,
    source: torch.Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> torch.Tensor:
    length = into.shape[dim]
    end = None if end is None else min(end, length)  # vmap adds one to the largest integer
    start = start if start is None or start >= 0 else max(start + length, 0)  # and takes no negative one
    return torch.slice_scatter(into, source, dim, start, end, step)


ANOTHER: dict[Any, Callable[..., Any]] = {
    aten.view.default: aten.reshape.default,
    aten._unsafe_view.default: aten.reshape.default,
    aten.copy.default: _copied,
    aten.slice_scatter.default: _slice_scattered,
}
"""Operations replaced by others of the same value that can be stacked: a view depends on how a tensor lies in
memory, a copy and a scattered slice have no rule, or a broken one, under vmap."""


def fold(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    scale: torch.Tensor | None,
    shift: torch.Tensor | None,
    mean: torch.Tensor,
    variance: torch.Tensor,
    eps: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a layer with the batch normalization behind it folded in; computed in float64.

    ``((w x + c) - mean) scale / sqrt(variance + eps) + shift``.
    """
    factor = (variance.double() + eps).rsqrt()
    if scale is not None:
        factor = factor * scale.double()
    moved = -mean.double() if bias is None else bias.double() - mean.double()
    moved = moved * factor
    if shift is not None:
        moved = moved + shift.double()
    by_channel = factor.reshape(-1, *[1] * (weight.ndim - 1))
    return (weight.double() * by_channel).to(weight.dtype), moved.to(weight.dtype)


def _plus(record: Recorder, value: Ref, bias: Any) -> Ref:
    return value if bias is None else record.step(aten.add.Tensor, value, bias)


def _turned(record: Recorder, value: Any) -> Any:
    if isinstance(value, Ref):
        return record.step(aten.transpose.int, value, -2, -1)
    return value.transpose(-2, -1)


def _stacked(record: Recorder, a: Ref, b: torch.Tensor) -> Ref:
    """A product by a stack of matrices, one for each head or group: one weight, the outputs of all of them first."""
    inputs, stack = b.shape[-2], (*b.shape[:-2], b.shape[-1], b.shape[-2])

    def times(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        assert bias is None
        return torch.matmul(x, weight.reshape(stack).transpose(-1, -2))

    rows = record.derived(b, "stacked", lambda: b.transpose(-1, -2).reshape(-1, inputs))
    return record.weighted("linear", times, a, rows, None, inputs)


def _times_from_left(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    assert bias is None
    return torch.matmul(weight, x)


def _causal(scores: torch.Tensor) -> torch.Tensor:
    return _masked(scores, torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril())


def _masked(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    if mask.dtype == torch.bool:
        return torch.where(mask, scores, -math.inf)
    return scores + mask
