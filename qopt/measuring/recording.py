"""One pass over an exported graph, on one example: steps, layers, and the values that constants fold to."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from qopt.core.errors import InputError
from qopt.measuring import operations, recurrent
from qopt.measuring.network import Kind, Network, TracedLayer
from qopt.measuring.operations import ANOTHER, NO_DATA_DEPENDENCE, PASSED, SHAPED, Rule, aten, fold
from qopt.measuring.sharing import Place, ties, viewed
from qopt.measuring.signature import Inputs, Outputs, joined
from qopt.measuring.steps import Ref, Shape, Step, references, replaced

ALLOWED = (
    "linear layers, convolutions over one to three dimensions and transposed ones, embeddings, LSTM, GRU, matmul and "
    "attention, and operations without products"
)

WITH_WEIGHTS = {"lstm", "gru", "rnn_tanh", "rnn_relu", "embedding_bag", "bilinear", "_trilinear"}
"""Operations with weights of which the counter of flops sees nothing, or only some, and that have no rule here."""

RULES: dict[Any, Rule] = {**operations.RULES, **recurrent.RULES}

PREFIX = "wrapped."
"""What the names of parameters begin with in a `Wrapped` module."""


class Wrapped(nn.Module):
    """A module one level down, on copies of its inputs.

    torch.export cannot write out a module that has a part named ``code`` or ``graph``, or that writes into its input.
    """

    def __init__(self, wrapped: nn.Module) -> None:
        super().__init__()
        self.wrapped = wrapped

    def forward(self, *parts: torch.Tensor, **named: torch.Tensor) -> Any:
        """What the module returns."""
        return self.wrapped(*(x.clone() for x in parts), **{name: x.clone() for name, x in named.items()})


class Recording:
    """Steps and layers of an exported program.

    Parameters
    ----------
    program : ``torch.export`` of the `Wrapped` module, every operation out of place.
    x : the example that it was exported with, a batch of one, as one tensor.
    inputs, outputs : what the module takes and returns.

    Raises
    ------
    InputError
        An operation that is neither a layer nor cheap, random, or dependent on data.
    """

    def __init__(self, program: Any, x: torch.Tensor, inputs: Inputs, outputs: Outputs | None) -> None:
        self._inputs, self._outputs = inputs, outputs
        self.steps = [Step(_given, (), shape=tuple(x.shape))]
        self.layers: list[TracedLayer] = []
        self._values: list[Any] = [x]  # of each step, for the example
        self._graph = program.graph
        self._graph.eliminate_dead_code()
        self._names: dict[torch.fx.Node, str] = {}  # of parameters and buffers
        self._known: dict[torch.fx.Node, Any] = {}  # what each node is: a constant, a Ref, or a tuple of these
        self._derived: dict[Any, torch.Tensor] = {}  # made of parameters, by where these lie and what was done
        self._flops = FlopCounterMode(display=False)
        self._constants(program)
        self._owners = Counter(Place.of(v) for v in self._known.values() if isinstance(v, torch.Tensor))
        with self._flops:
            for node in self._graph.nodes:
                if node.op not in ("placeholder", "output"):
                    self._node = node
                    self._known[node] = self._evaluated(node)

    def derived(self, weight: torch.Tensor, what: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What is made of a parameter, the same tensor wherever the same is made of the same: one weight."""
        key = (Place.of(weight), weight.shape, weight.stride(), what)
        if key not in self._derived:
            self._derived[key] = make()
        return self._derived[key]

    def network(self, names: Sequence[str] | None) -> Network:
        """The network of the recorded steps; weights are copied, so that the module may be trained on."""
        found = self._output()
        if not isinstance(found, Ref) or all(layer.weight is None for layer in self.layers):
            raise InputError("module", "no layer with a weight that could be quantized", "linear, conv1d or conv2d")
        if names is not None and len(names) != len(self.layers):
            raise InputError("names", f"{len(names)} names", f"{len(self.layers)}, one for each layer")
        read = {number: layer.weight for number, layer in enumerate(self.layers, start=1) if layer.weight is not None}
        known = [value for value in self._known.values() if isinstance(value, torch.Tensor)]
        weights: dict[int, torch.Tensor] = {}
        shared = []
        for tie in ties(read, known):
            weights.update(dict.fromkeys(tie.layers, _copy(tie.weight)))
            if len(tie.layers) > 1:
                shared.append(tie.layers)
            for number, view in tie.views.items():
                index = self.layers[number - 1].step
                self.steps[index] = replace(self.steps[index], function=viewed(self.steps[index].function, *view))
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
        return Network(steps, found.step, layers, shared, inputs=self._inputs, outputs=self._outputs)

    def _output(self) -> Any:
        """What the module returns: one value, or several as one tensor."""
        returned = next(node for node in self._graph.nodes if node.op == "output").args[0]
        values = [self._known[value] if isinstance(value, torch.fx.Node) else value for value in returned]
        if self._outputs is None:
            return values[0]
        tensors = [value for value in values if isinstance(value, (Ref, torch.Tensor))]
        if not any(isinstance(value, Ref) for value in tensors):
            return tensors[0]
        return self.step(joined, *tensors)

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
        x: Ref | tuple[Any, ...],
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        depth: int,
        macs: int | None = None,
    ) -> Ref:
        """Record a layer with a weight and one or several inputs; `depth` multiplications make one output."""
        self.layers.append(TracedLayer(len(self.steps), self._layer_name(kind, weight), kind, 0, weight, bias))
        inputs = x if isinstance(x, tuple) else (x,)
        ref = self._recorded(Step(function, inputs, layer=len(self.layers), weighted=True))
        return self._counted(ref, depth, macs)

    def product(self, a: Ref, b: Ref, part: str = "product") -> Ref:
        """Record the product of two activations."""
        self.layers.append(TracedLayer(len(self.steps), self._layer_name(part), "product", 0))
        return self._counted(
            self._recorded(Step(aten.matmul.default, (a, b), layer=len(self.layers))), self.shape(a)[-1]
        )

    def shape(self, value: Any) -> Shape:
        """Shape of a value on a batch of one."""
        return tuple(self._actual(value).shape)

    def is_mask(self, value: Any) -> bool:
        """Whether a value tells what is kept, true or false, where others index by numbers."""
        return self._actual(value).dtype in (torch.bool, torch.uint8)

    def wanted(self, index: int) -> bool:
        """Whether anything reads this one of the several values of an operation."""
        return any(user.target is operator.getitem and user.args[1] == index for user in self._node.users)

    # --------------------------------------------------------------------------------------------------------

    def _constants(self, program: Any) -> None:
        signature = program.graph_signature
        targets = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        parts = self._inputs.steps()
        for node in (node for node in self._graph.nodes if node.op == "placeholder"):
            if node.name in signature.user_inputs:
                function = next(parts)
                self._known[node] = Ref(0) if function is None else self.step(function, Ref(0))
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
        if target in SHAPED:
            return target(*replaced(arguments, self._actual), **replaced(keywords, self._actual))
        if label.startswith("sym_size"):
            return self.shape(arguments[0])[arguments[1]]
        if target not in RULES and {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & {*tags}:
            raise InputError("module", f"the operation {label}, whose result depends on data", NO_DATA_DEPENDENCE)
        if target not in RULES and label.split(".")[0] in WITH_WEIGHTS:
            raise InputError("module", f"the operation {label}, which has weights", ALLOWED)
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

    def _counted(self, ref: Ref, depth: int, macs: int | None = None) -> Ref:
        found = self._values[ref.step].numel() * depth if macs is None else macs
        self.layers[-1] = replace(self.layers[-1], macs=found)
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
        source = next((n for n in before.args if isinstance(n, torch.fx.Node) and _is_of(self._known[n], weight)), None)
        if source is None or self._is_read_elsewhere(source):
            return False
        _, scale, shift, mean, variance, _, eps = arguments
        weight, bias = fold(weight, layer.bias, scale, shift, mean, variance, eps)
        self.layers[step.layer - 1] = replace(layer, weight=weight, bias=bias)
        self._values[ref.step] = step.function(self._actual(step.arguments[0]), weight, bias)
        return True

    def _is_read_elsewhere(self, source: torch.fx.Node) -> bool:
        """Whether a weight, or what it is a part of, has other uses, under this or another name."""
        while len(source.users) == 1:
            above = [n for n in source.all_input_nodes if isinstance(self._known[n], torch.Tensor)]
            if not above:
                return self._owners[Place.of(self._known[source])] > 1
            source = above[0]
        return True

    def _layer_name(self, part: str, own: torch.Tensor | None = None) -> str:
        """A layer's name: its parameter's without ``weight``, else its module's and what it does there."""
        sources = [self._names.get(node, "") for node in self._node.args if isinstance(node, torch.fx.Node)]
        weight = next((name for name in sources if name.endswith("weight")), "")
        if not weight:  # of several weights in a list, as a recurrent layer has them
            parts = [n for n in self._node.all_input_nodes if own is not None and self._known[n] is own]
            named = next((self._names[n] for n in parts if "weight_" in self._names.get(n, "")), "")
            weight = f"{named.replace('weight_', '')}weight" if named else ""
        stack: dict[str, tuple[str, Any]] = self._node.meta.get("nn_module_stack") or {}
        path = [name.removeprefix(PREFIX.rstrip(".")).lstrip(".") for name, _ in stack.values()][-1:]
        doing = [] if path != [""] and part in get_args(Kind) and part != "product" else [part]
        name = weight.removesuffix("weight").rstrip("._") or ".".join(filter(None, [*path, *doing]))
        taken = {layer.name for layer in self.layers}
        return name if name not in taken else next(n for i in range(2, 2**31) if (n := f"{name}:{i}") not in taken)


def _is_of(value: Any, weight: torch.Tensor) -> bool:
    """Whether a layer's weight is this value, in whatever order its dimensions stand."""
    if not isinstance(value, torch.Tensor):
        return False
    return value is weight or (value.numel() == weight.numel() and Place.of(value) == Place.of(weight))


def _label(function: Any) -> str:
    return str(getattr(function, "__name__", function)).removeprefix("aten.").removesuffix(".default")


def _copy(argument: Any) -> Any:
    if isinstance(argument, torch.Tensor):
        return argument.detach().clone(memory_format=torch.contiguous_format)
    return argument


def _given() -> torch.Tensor:
    raise AssertionError("the input is given, not computed")
