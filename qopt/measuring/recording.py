"""One pass over an exported graph, on one example: steps, layers, and the values that constants fold to."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, get_args

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from qopt.core.errors import InputError
from qopt.measuring.network import Kind, Network, TracedLayer
from qopt.measuring.operations import ANOTHER, PASSED, RULES, aten, fold
from qopt.measuring.steps import Ref, Shape, Step, references, replaced

ALLOWED = "linear, conv1d, conv2d, matmul and attention, and operations without products"

WITH_WEIGHTS = {"lstm", "gru", "rnn_tanh", "rnn_relu", "embedding", "embedding_bag", "bilinear", "_trilinear"}
"""Operations with weights of which the counter of flops sees nothing, or only some."""

RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
"""Of those, the ones that use their weights at every step of a sequence."""

PREFIX = "wrapped."
"""What the names of parameters begin with in a `Wrapped` module."""

NO_DATA_DEPENDENCE = "no control flow and no shapes that depend on data"


class Wrapped(nn.Module):
    """A module one level down: torch.export cannot write out one that has a part named ``code`` or ``graph``."""

    def __init__(self, wrapped: nn.Module) -> None:
        super().__init__()
        self.wrapped = wrapped

    def forward(self, x: torch.Tensor) -> Any:
        """What the module returns."""
        return self.wrapped(x)


class Recording:
    """Steps and layers of an exported program.

    Parameters
    ----------
    program : ``torch.export`` of the `Wrapped` module, every operation out of place.
    x : the example that it was exported with, a batch of one.

    Raises
    ------
    InputError
        An operation that is neither a layer nor cheap, random, or dependent on data.
    """

    def __init__(self, program: Any, x: torch.Tensor) -> None:
        self.steps = [Step(_given, (), shape=tuple(x.shape))]
        self.layers: list[TracedLayer] = []
        self._values: list[Any] = [x]  # of each step, for the example
        self._graph = program.graph
        self._graph.eliminate_dead_code()
        self._names: dict[torch.fx.Node, str] = {}  # of parameters and buffers
        self._known: dict[torch.fx.Node, Any] = {}  # what each node is: a constant, a Ref, or a tuple of these
        self._constants(program)
        self._owners = Counter(_Place.of(v) for v in self._known.values() if isinstance(v, torch.Tensor))
        self._flops = FlopCounterMode(display=False)
        with self._flops:
            for node in self._graph.nodes:
                if node.op not in ("placeholder", "output"):
                    self._node = node
                    self._known[node] = self._evaluated(node)

    def network(self, names: Sequence[str] | None) -> Network:
        """The network of the recorded steps; weights are copied, so that the module may be trained on."""
        (output,) = next(node for node in self._graph.nodes if node.op == "output").args[0]
        found = self._known.get(output)
        if not isinstance(found, Ref) or all(layer.weight is None for layer in self.layers):
            raise InputError("module", "no layer with a weight that could be quantized", "linear, conv1d or conv2d")
        if names is not None and len(names) != len(self.layers):
            raise InputError("names", f"{len(names)} names", f"{len(self.layers)}, one for each layer")
        groups: dict[Any, list[int]] = {}
        for number, layer in enumerate(self.layers, start=1):
            if layer.weight is not None:
                view = _Place.of(layer.weight), layer.weight.shape, layer.weight.stride()
                groups.setdefault(view, []).append(number)
        weights: dict[int, torch.Tensor] = {}
        for group in groups.values():
            weights.update(dict.fromkeys(group, _copy(self.layers[group[0] - 1].weight)))
        layers = [
            replace(
                layer,
                name=layer.name if names is None else names[number - 1],
                weight=weights.get(number),
                bias=_copy(layer.bias),
            )
            for number, layer in enumerate(self.layers, start=1)
        ]
        steps = [
            replace(step, arguments=replaced(step.arguments, _copy), keywords=replaced(dict(step.keywords), _copy))
            for step in self.steps
        ]
        return Network(steps, found.step, layers, [tuple(group) for group in groups.values() if len(group) > 1])

    # --- what the rules of `operations` call ----------------------------------------------------------------

    def step(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Ref:
        """Record a cheap operation; refuse one that multiplies matrices."""
        layer = max(self.steps[ref.step].layer for ref in references((arguments, keywords)))
        before = self._flops.get_total_flops()
        ref = self._recorded(Step(function, arguments, keywords, layer))
        if self._flops.get_total_flops() != before:
            raise InputError("module", f"the operation {_label(function)}", ALLOWED)
        return ref

    def weighted(
        self,
        kind: Kind,
        function: Callable[..., torch.Tensor],
        x: Ref,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        depth: int,
    ) -> Ref:
        """Record a layer with a weight; `depth` multiplications make one output."""
        self.layers.append(TracedLayer(len(self.steps), self._layer_name(kind), kind, 0, weight, bias))
        return self._counted(self._recorded(Step(function, (x,), layer=len(self.layers), weighted=True)), depth)

    def product(self, a: Ref, b: Ref, part: str = "product") -> Ref:
        """Record the product of two activations."""
        self.layers.append(TracedLayer(len(self.steps), self._layer_name(part), "product", 0))
        return self._counted(
            self._recorded(Step(aten.matmul.default, (a, b), layer=len(self.layers))), self.shape(a)[-1]
        )

    def shape(self, value: Any) -> Shape:
        """Shape of a value on a batch of one."""
        return tuple(self._actual(value).shape)

    # --------------------------------------------------------------------------------------------------------

    def _constants(self, program: Any) -> None:
        signature = program.graph_signature
        targets = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        for node in (node for node in self._graph.nodes if node.op == "placeholder"):
            if node.name in signature.user_inputs:
                self._known[node] = Ref(0)
                continue
            if node.name not in targets:
                raise InputError("module", f"{node.name}, which is no tensor", "tensors as parameters and buffers")
            target = targets[node.name]
            self._names[node] = target.removeprefix(PREFIX)
            value = program.state_dict[target] if target in program.state_dict else program.constants[target]
            self._known[node] = value.detach()

    def _evaluated(self, node: torch.fx.Node) -> Any:
        """What a node of the graph stands for."""
        target: Any = node.target
        label = _label(target)
        tags = getattr(target, "tags", ())
        if node.op != "call_function" or isinstance(target, torch._ops.HigherOrderOperator):
            raise InputError("module", f"the operation {label}", NO_DATA_DEPENDENCE)
        if torch.Tag.data_dependent_output in tags or torch.Tag.dynamic_output_shape in tags:
            raise InputError("module", f"the operation {label}", NO_DATA_DEPENDENCE)
        if (name := label.split(".")[0]) in WITH_WEIGHTS:  # before the tags: an LSTM's says random, for its dropout
            why = "which is recurrent" if name in RECURRENT else "which has weights"
            raise InputError("module", f"the operation {label}, {why}", ALLOWED)
        if torch.Tag.nondeterministic_seeded in tags and target not in RULES:
            raise InputError("module", f"the random operation {label}", "the same output every time in eval mode")
        if label.startswith("_assert"):
            return None
        arguments = replaced(tuple(node.args), self._argument)
        keywords = replaced(dict(node.kwargs), self._argument)
        if target is operator.getitem and not isinstance(arguments[0], Ref):
            return arguments[0][arguments[1]]
        if next(references((arguments, keywords)), None) is None:
            return target(*arguments, **keywords)
        if target in PASSED:
            return arguments[0]
        if target is aten._native_batch_norm_legit_no_training.default and self._folded(node, arguments):
            return (arguments[0],)
        rule = RULES.get(target)
        if rule is not None:
            return rule(self, *arguments, **keywords)
        return self.step(ANOTHER.get(target, target), *arguments, **keywords)

    def _argument(self, argument: Any) -> Any:
        return self._known[argument] if isinstance(argument, torch.fx.Node) else argument

    def _actual(self, argument: Any) -> Any:
        return self._values[argument.step] if isinstance(argument, Ref) else argument

    def _recorded(self, step: Step) -> Ref:
        inputs = replaced(step.arguments, self._actual)
        if step.weighted:
            layer = self.layers[step.layer - 1]
            value = step.function(*inputs, layer.weight, layer.bias)
        else:
            value = step.function(*inputs, **replaced(dict(step.keywords), self._actual))
        self.steps.append(replace(step, shape=tuple(value.shape) if isinstance(value, torch.Tensor) else None))
        self._values.append(value)
        return Ref(len(self.steps) - 1)

    def _counted(self, ref: Ref, depth: int) -> Ref:
        self.layers[-1] = replace(self.layers[-1], macs=self._values[ref.step].numel() * depth)
        return ref

    def _folded(self, node: torch.fx.Node, arguments: tuple[Any, ...]) -> bool:
        """Fold a batch normalization into the layer that it alone reads, unless that layer's weight has other uses."""
        before, ref = node.args[0], arguments[0]
        if not isinstance(before, torch.fx.Node) or not isinstance(ref, Ref) or len(before.users) > 1:
            return False
        step = self.steps[ref.step]
        if before.target not in RULES or not step.weighted:
            return False
        layer = self.layers[step.layer - 1]
        weight = layer.weight
        assert weight is not None
        # Only where the channels that are normalized, dimension 1, are the layer's outputs.
        if len(step.shape or ()) != weight.ndim:
            return False
        if layer.kind == "linear" and step.function is not aten.linear.default:
            return False
        source = next((n for n in before.args if isinstance(n, torch.fx.Node) and self._known[n] is weight), None)
        if source is None or len(source.users) > 1 or self._owners[_Place.of(weight)] > 1:
            return False
        _, scale, shift, mean, variance, _, eps = arguments
        weight, bias = fold(weight, layer.bias, scale, shift, mean, variance, eps)
        self.layers[step.layer - 1] = replace(layer, weight=weight, bias=bias)
        self._values[ref.step] = step.function(self._actual(step.arguments[0]), weight, bias)
        return True

    def _layer_name(self, part: str) -> str:
        """A layer's name: its parameter's without ``weight``, else its module's and what it does there."""
        sources = [self._names.get(node, "") for node in self._node.args if isinstance(node, torch.fx.Node)]
        weight = next((name for name in sources if name.endswith("weight")), "")
        stack: dict[str, tuple[str, Any]] = self._node.meta.get("nn_module_stack") or {}
        path = [name.removeprefix(PREFIX.rstrip(".")).lstrip(".") for name, _ in stack.values()][-1:]
        own = [] if path != [""] and part in get_args(Kind) and part != "product" else [part]
        name = weight.removesuffix("weight").rstrip("._") or ".".join(filter(None, [*path, *own]))
        taken = {layer.name for layer in self.layers}
        return name if name not in taken else next(n for i in range(2, 2**31) if (n := f"{name}:{i}") not in taken)


class _Place(NamedTuple):
    """Where a tensor's entries lie: two of the same place are one parameter."""

    pointer: int
    offset: int
    device: str

    @classmethod
    def of(cls, tensor: torch.Tensor) -> _Place:
        return cls(tensor.untyped_storage().data_ptr(), int(tensor.storage_offset()), str(tensor.device))


def _label(function: Any) -> str:
    return str(getattr(function, "__name__", function)).removeprefix("aten.").removesuffix(".default")


def _copy(argument: Any) -> Any:
    if isinstance(argument, torch.Tensor):
        return argument.detach().clone(memory_format=torch.contiguous_format)
    return argument


def _given() -> torch.Tensor:
    raise AssertionError("the input is given, not computed")
