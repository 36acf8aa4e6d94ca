"""A traced network: layers 1..L, the tensors that leave them, and running any part of it.

A layer is one multiplication: by a weight (linear, convolution) or of two activations (attention). Every other
operation is cheap and belongs to the latest layer that it reads. Tensor 0 is the input; tensor l is what leaves
layer l after its cheap operations, the only thing of it that later layers read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import get_ident
from typing import TYPE_CHECKING, Any, Literal

import torch

from qopt.core.display import Brief, listed, one_line
from qopt.core.errors import InputError
from qopt.measuring.signature import Inputs, Outputs
from qopt.measuring.steps import Step, common_ancestor, needed, read_by, replaced, run, without_batch

if TYPE_CHECKING:
    import networkx as nx

Kind = Literal[
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "embedding",
    "lstm",
    "gru",
    "rnn",
    "product",
]

RECURRENT: tuple[Kind, ...] = ("lstm", "gru", "rnn")
"""Layers that use their weight at every step of a sequence."""


@dataclass(frozen=True)
class TensorName:
    """The weight or the output activation of layer 1..L.

    Attributes
    ----------
    kind : ``weight`` or ``activation``.
    layer : 1..L.
    """

    kind: Literal["weight", "activation"]
    layer: int

    def __str__(self) -> str:
        return f"{self.kind} {self.layer}"


@dataclass(frozen=True, repr=False)
class LayerInfo(Brief):
    """What one layer costs and holds.

    Attributes
    ----------
    number : 1..L, in order of execution.
    name : from the module's own names.
    kind : ``product`` multiplies two activations and has no weight.
    macs : multiply-accumulates for one example.
    parameters, biases : numbers of weights (0 for a product) and of biases.
    output : shape of tensor l without the batch.
    reads : tensors 0..l-1 that its multiplication or its cheap operations read, ascending.
    channel_axis : axis of the weight along which the outputs lie.
    """

    number: int
    name: str
    kind: Kind
    macs: int
    parameters: int
    biases: int
    output: tuple[int, ...]
    reads: tuple[int, ...]
    channel_axis: int = 0

    @property
    def size(self) -> int:
        """Entries of tensor l for one example."""
        return _product(self.output)


@dataclass(frozen=True, repr=False)
class TracedLayer(Brief):
    """A layer as the trace finds it: its step, and the weight and bias it is computed with."""

    step: int
    name: str
    kind: Kind
    macs: int
    weight: torch.Tensor | None = None
    bias: torch.Tensor | None = None


class Network:
    """Layers 1..L and the graph between them; made by `qopt.measuring.profile.trace`.

    Parameters
    ----------
    steps : operations in order of execution; step 0 is the input.
    output : the step whose value the network returns.
    traced : the layers, in order of execution.
    shared : groups of layers that multiply by one and the same weight.
    inputs : what tensor 0 is made of; by default it is the only input.
    outputs : what the last tensor is made of, where the module returns other than one tensor.

    Notes
    -----
    The first dimension of every tensor is the batch, of any size. Nothing here tracks gradients.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        output: int,
        traced: Sequence[TracedLayer],
        shared: Sequence[tuple[int, ...]] = (),
        *,
        inputs: Inputs | None = None,
        outputs: Outputs | None = None,
    ) -> None:
        shape = steps[0].shape or ()
        self.inputs = inputs or Inputs(("x",), (shape[1:],), (torch.float32,))
        self.outputs = outputs
        self._steps, self._output, self._traced = tuple(steps), output, tuple(traced)
        self.shared = tuple(shared)
        self._weights = {
            number: (layer.weight, layer.bias)
            for number, layer in enumerate(traced, start=1)
            if layer.weight is not None
        }
        self._exits = _exits(self._steps, output, [layer.step for layer in traced])
        self._plans: dict[tuple[tuple[int, ...], ...], tuple[list[int], list[int], int]] = {}
        self._multiplied = Counter[int]()
        self.layers = tuple(self._info(number, layer) for number, layer in enumerate(traced, start=1))
        self._last_reader = self._last_readers()

    def __repr__(self) -> str:
        parameters = sum(layer.parameters for layer in self.layers)
        shown = (("layers", len(self)), ("input", self.input_shape), ("parameters", parameters))
        return one_line("Network", (*shown, ("shared", self.shared or None)))

    def __str__(self) -> str:
        rows = [f"{x.number} {x.name}: {x.kind}, {x.macs} MACs, {x.parameters} parameters" for x in self.layers]
        return listed(f"network of {len(self)} layers, input {' x '.join(map(str, self.input_shape))}", rows)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self._shape(0)

    @property
    def device(self) -> torch.device:
        """Where the weights are; batches must be there too."""
        return next(iter(self._weights.values()))[0].device

    def to(self, device: torch.device | str) -> Network:
        """The same network on another device.

        Raises
        ------
        InputError
            The device is not there.
        """
        try:
            target = torch.empty(0, device=device).device
        except (RuntimeError, AssertionError) as error:
            raise InputError("device", str(device), "a device of this machine, such as cpu or cuda") from error

        def moved(argument: Any) -> Any:
            if isinstance(argument, torch.Tensor):
                return argument.to(target)
            return target if isinstance(argument, torch.device) else argument

        steps = [
            replace(s, arguments=replaced(s.arguments, moved), keywords=replaced(dict(s.keywords), moved))
            for s in self._steps
        ]
        traced = [replace(layer, weight=moved(layer.weight), bias=moved(layer.bias)) for layer in self._traced]
        return self._again(steps, traced)

    def with_weights(self, weights: Mapping[int, tuple[torch.Tensor, torch.Tensor | None]]) -> Network:
        """The same network with other weights and biases in some layers.

        Parameters
        ----------
        weights : weight and bias by layer; InputError if a shape is another. None where the layer has no bias.
        """
        traced = list(self._traced)
        for number, (weight, bias) in weights.items():
            for name, new, own in (("weight", weight, self.weight(number)), ("bias", bias, self.bias(number))):
                shapes = [None if tensor is None else tuple(tensor.shape) for tensor in (new, own)]
                if shapes[0] != shapes[1]:
                    raise InputError(f"weights[{number}]", f"a {name} of shape {shapes[0]}", f"{shapes[1]}")
            traced[number - 1] = replace(traced[number - 1], weight=weight, bias=bias)
        return self._again(self._steps, traced)

    def _again(self, steps: Sequence[Step], traced: Sequence[TracedLayer]) -> Network:
        return Network(steps, self._output, traced, self.shared, inputs=self.inputs, outputs=self.outputs)

    @property
    def work(self) -> int:
        """Multiply-accumulates run so far, by any thread."""
        return sum(self._multiplied.values())

    @property
    def steps(self) -> tuple[Step, ...]:
        """Operations in order of execution; step 0 is the input."""
        return self._steps

    @property
    def exits(self) -> tuple[int, ...]:
        """For tensors 0..L the step whose value each is."""
        return self._exits

    @property
    def output_step(self) -> int:
        """The step whose value the network returns."""
        return self._output

    def weight(self, number: int) -> torch.Tensor:
        """Weight of layer `number`, 1..L, float32, output channels first; a batch normalization behind it folded in.

        InputError if the layer multiplies two activations.
        """
        self._check_layer(number)
        if number not in self._weights:
            raise InputError("layer", f"{number}, a product of two activations", "a layer with a weight")
        return self._weights[number][0]

    def bias(self, number: int) -> torch.Tensor | None:
        """Bias of layer `number`, 1..L, None where there is none. Biases are never quantized."""
        self._check_layer(number)
        return self._weights[number][1] if number in self._weights else None

    def tensors(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Tensors 0..L on a batch of inputs `x`, (n, ...); the last is what the network returns."""
        return [x, *self._run(self._exits[1:], [0], {0: x})]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """What the network returns for a batch of inputs (n, ...)."""
        return self.resume({0: x}, 0)

    def crossing(self, cut: int) -> tuple[int, ...]:
        """Tensors that cross a cut 0..L, ascending: those that the layers behind it, or the user, read."""
        self._check_cut(cut)
        return tuple(i for i in range(cut + 1) if self._last_reader[i] > cut)

    def product(
        self,
        number: int,
        values: Mapping[int, torch.Tensor],
        weight: torch.Tensor | None = None,
        *,
        bias: bool = True,
    ) -> torch.Tensor:
        """What layer l's multiplication gives, (n, ...), before its cheap operations.

        Linear in the weight up to the bias where `is_linear_in_weight` says so: ``product(l, v, W + E) = product(l, v,
        W) + product(l, v, E, bias=False)``.

        Parameters
        ----------
        number : layer 1..L.
        values : tensors by number; of those in ``layers[l - 1].reads``, the ones that the multiplication reads.
        weight : multiply by this instead of the layer's own, InputError if its shape is another.
        bias : whether to add the layer's bias.
        """
        self._check_layer(number)
        weights = None
        if weight is not None or not bias:
            own = self.weight(number)
            if weight is not None and weight.shape != own.shape:
                raise InputError("weight", f"shape {tuple(weight.shape)}", f"{tuple(own.shape)}")
            weights = {number: (own if weight is None else weight, self.bias(number) if bias else None)}
        return self._run([self._traced[number - 1].step], range(number), values, weights=weights)[0]

    def finish(self, number: int, product: torch.Tensor, values: Mapping[int, torch.Tensor]) -> torch.Tensor:
        """Tensor l from what layer l's multiplication gave (n, ...), by the layer's cheap operations.

        Parameters
        ----------
        number : layer 1..L.
        product : of `product`, bias included.
        values : tensors by number, those that the cheap operations read (a residual connection's, for example).
        """
        self._check_layer(number)
        step = self._traced[number - 1].step
        return self._run([self._exits[number]], range(number), values, computed={step: product})[0]

    def resume(self, values: Mapping[int, torch.Tensor], after: int) -> torch.Tensor:
        """What the network returns, from the tensors that cross a cut.

        Parameters
        ----------
        values : tensors by number, at least those of ``crossing(after)``; any batch size, so several variants
            may be stacked along the batch.
        after : the cut 0..L.
        """
        return self._run([self._output], self.crossing(after), values)[0]

    def is_read_linearly(self, number: int) -> bool:
        """Whether nothing but the next layer's multiplication by its weight reads tensor l, `number` in 0..L.

        Where it is, ``product(l + 1, ...)`` of a sum is the sum of products, without the bias in all but one.
        """
        self._check_cut(number)
        if number == len(self):
            return False
        readers = [index for index, step in enumerate(self._steps) if self._exits[number] in step.reads]
        if self._traced[number].kind in (*RECURRENT, "embedding"):
            return False
        return readers == [self._traced[number].step] and self._steps[readers[0]].weighted

    def is_linear_in_weight(self, number: int) -> bool:
        """Whether layer `number`, 1..L, gives for a sum of weights the sum of what it gives for each."""
        self._check_layer(number)
        return self._traced[number - 1].kind not in RECURRENT

    def columns(self, input_bits: int = 32) -> dict[str, Any]:
        """The ``network`` object of a QPart instance.

        Parameters
        ----------
        input_bits : bits of each value of the raw input.
        """
        found: dict[str, Any] = {
            "macs": [layer.macs for layer in self.layers],
            "weights": [layer.parameters for layer in self.layers],
            "activations": [layer.size for layer in self.layers],
            "input_size": _product(self.input_shape),
            "input_bits": input_bits,
            "layers": [layer.name for layer in self.layers],
        }
        if any(last != i + 1 for i, last in enumerate(self._last_reader)):
            found["last_reader"] = list(self._last_reader)
        if self.shared:
            found["ties"] = [{"layers": list(group), "shared": True} for group in self.shared]
        return found

    def graph(self) -> nx.DiGraph:
        """Tensors 0..L and which is read for which, each with its name, kind, size, macs and parameters."""
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_node(0, name="input", kind="input", size=_product(self.input_shape), macs=0, parameters=0)
        for layer in self.layers:
            about = {"name": layer.name, "kind": layer.kind, "size": layer.size}
            graph.add_node(layer.number, **about, macs=layer.macs, parameters=layer.parameters)
            graph.add_edges_from((i, layer.number) for i in layer.reads)
        return graph

    def _info(self, number: int, layer: TracedLayer) -> LayerInfo:
        before = self._exits[:number]
        run_from = read_by(self._steps, [layer.step], before)
        read = run_from | read_by(self._steps, [self._exits[number]], [*before, layer.step])
        return LayerInfo(
            number,
            layer.name,
            layer.kind,
            layer.macs,
            0 if layer.weight is None else layer.weight.numel(),
            0 if layer.bias is None else layer.bias.numel(),
            self._shape(self._exits[number]),
            tuple(i for i, step in enumerate(before) if step in read),
        )

    def _last_readers(self) -> tuple[int, ...]:
        """Entry i is the last layer that reads tensor i; L + 1 for what the network returns."""
        last = [i + 1 for i in range(len(self) + 1)]
        for layer in self.layers:
            for i in layer.reads:
                last[i] = layer.number
        return tuple(last)

    def _shape(self, step: int) -> tuple[int, ...]:
        shape = self._steps[step].shape
        assert shape is not None
        return without_batch(shape)

    def _run(
        self,
        targets: Sequence[int],
        numbers: Sequence[int],
        values: Mapping[int, torch.Tensor],
        *,
        weights: Mapping[int, tuple[torch.Tensor, torch.Tensor | None]] | None = None,
        computed: Mapping[int, torch.Tensor] | None = None,
    ) -> list[torch.Tensor]:
        """Values of some steps.

        Parameters
        ----------
        targets : steps.
        numbers : tensors that may be read, by number.
        values : tensors by number, at least those of `numbers` that are read.
        weights : other than the layers' own.
        computed : values of steps that are there already.
        """
        computed = computed or {}
        key = (tuple(targets), tuple(numbers), tuple(computed))
        if key not in self._plans:
            known = [*(self._exits[i] for i in numbers), *computed]
            read = read_by(self._steps, targets, known)
            order = needed(self._steps, targets, known)
            macs = sum(layer.macs for layer in self._traced if layer.step in order)
            self._plans[key] = sorted(read), order, macs
        read_steps, order, macs = self._plans[key]
        if not isinstance(values, Mapping):
            raise InputError("values", type(values).__name__, "tensors by number, such as dict(enumerate(tensors))")
        given = {}
        for step in read_steps:
            if step in computed:
                given[step] = self._checked("product", step, computed[step])
                continue
            number = self._exits.index(step)
            if number not in values:
                raise InputError(f"values[{number}]", "nothing", f"tensor {number}, which is read here")
            given[step] = self._checked(f"values[{number}]", step, values[number])
        sizes = sorted({len(tensor) for tensor in given.values()})
        if len(sizes) > 1:
            raise InputError("values", f"batches of {' and '.join(map(str, sizes))}", "one batch size")
        self._multiplied[get_ident()] += macs * sizes[0]  # a thread has a number of its own: += is two steps
        try:
            return run(self._steps, order, targets, given, self._weights if weights is None else weights)
        except IndexError as error:  # of a table, such as an embedding
            raise InputError("values", f"a row that there is not ({error})", "numbers of a table's rows") from None

    def _checked(self, field: str, step: int, tensor: torch.Tensor) -> torch.Tensor:
        shape = self._shape(step)
        if tensor.ndim == 0 or tuple(tensor.shape[1:]) != shape or len(tensor) == 0:
            raise InputError(field, f"shape {tuple(tensor.shape)}", f"(n, {', '.join(map(str, shape))}), n at least 1")
        return tensor

    def _check_layer(self, number: int) -> None:
        if not 1 <= number <= len(self._traced):
            raise InputError("layer", str(number), f"1 to {len(self._traced)}")

    def _check_cut(self, cut: int) -> None:
        if not 0 <= cut <= len(self):
            raise InputError("cut", str(cut), f"0 to {len(self)}")


def _exits(steps: Sequence[Step], output: int, roots: Sequence[int]) -> tuple[int, ...]:
    """For tensors 0..L the step whose value it is: the input, then for each layer what its readers share."""
    leaving: dict[int, set[int]] = {number: set() for number in range(1, len(roots) + 1)}
    leaving[len(roots)].add(output)
    for step in (steps[index] for index in needed(steps, [output], [])):
        for index in step.reads:
            if 0 < steps[index].layer < step.layer:
                leaving[steps[index].layer].add(index)
    return (0, *(common_ancestor(steps, root, leaving[number]) for number, root in enumerate(roots, start=1)))


def _product(shape: Iterable[int]) -> int:
    found = 1
    for length in shape:
        found *= length
    return found
