"""Recurrent layers: the product with the inputs of all times, a layer, then the recurrence, a layer of its own.

The recurrence uses one weight at every time, so it is linear in neither its input nor its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from qopt.core.errors import InputError
from qopt.measuring.network import Kind
from qopt.measuring.operations import Recorder, Rule, aten, linear
from qopt.measuring.steps import Ref

State = tuple[torch.Tensor, ...]
"""What a cell hands on; the first is its output."""

Gates = Callable[[torch.Tensor, torch.Tensor, State], State]
"""``(product with the inputs, product with the last output, state) -> state``, products (batch, gates)."""


def _lstm(x: torch.Tensor, product: torch.Tensor, state: State) -> State:
    i, f, g, o = (x + product).chunk(4, -1)
    cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def _gru(x: torch.Tensor, product: torch.Tensor, state: State) -> State:
    (xr, xz, xn), (hr, hz, hn) = x.chunk(3, -1), product.chunk(3, -1)
    new = torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
    return (new + torch.sigmoid(xz + hz) * (state[0] - new),)


def _tanh(x: torch.Tensor, product: torch.Tensor, state: State) -> State:
    del state
    return (torch.tanh(x + product),)


def _relu(x: torch.Tensor, product: torch.Tensor, state: State) -> State:
    del state
    return (torch.relu(x + product),)


def _recurrence(gates: Gates, states: int, *, backwards: bool, last: bool) -> Callable[..., torch.Tensor]:
    """(times, batch, hidden) outputs of a cell, and the last inner state behind them if it is wanted."""

    def run(x: torch.Tensor, *arguments: Any) -> torch.Tensor:
        state, (weight, bias) = arguments[:states], arguments[states:]
        outputs = []
        for projected in reversed(x.unbind(0)) if backwards else x.unbind(0):
            state = gates(projected, aten.linear.default(state[0], weight, bias), state)
            outputs.append(state[0])
        found = torch.stack(outputs[::-1] if backwards else outputs)
        return torch.cat([found, state[-1][None]]) if last else found

    return run


def _layers(gates: Gates, states: int, kind: Kind) -> Rule:
    """A rule for `torch.lstm` (two states) and its like (one)."""

    def rule(
        record: Recorder,
        x: Any,
        start: Any,
        parameters: Sequence[Any],
        biases: bool,
        layers: int,
        dropout: float,
        train: bool,
        both: bool,
        batch_first: bool,
    ) -> tuple[Any, ...]:
        if train and dropout:
            raise InputError("module", f"a recurrent layer that drops {dropout:g} in eval mode", "no dropout")
        ways, each = 1 + both, 4 if biases else 2
        if len(parameters) != layers * ways * each:
            raise InputError("module", "an LSTM with projections (proj_size)", "an LSTM, GRU or RNN without")
        if not isinstance(x, Ref):
            raise InputError("module", f"a {kind} whose input is constant", "one that reads the network's input")
        start = start if isinstance(start, (tuple, list)) else (start,)
        wanted = states == 2 and record.wanted(2)
        value = record.step(aten.transpose.int, x, 0, 1) if batch_first else x
        ends: list[list[Any]] = [[] for _ in range(states)]
        for layer in range(layers):
            found = []
            for way in range(ways):
                number = layer * ways + way
                own = parameters[number * each : (number + 1) * each]
                bias_in, bias_on = own[2:] if biases else (None, None)
                initial = [_part(record, tensor, number) for tensor in start]
                projected = record.weighted("linear", aten.linear.default, value, own[0], bias_in, own[0].shape[-1])
                times, rows, _ = record.shape(projected)  # an example may have several sequences, such as rows of a map
                hidden = own[1].shape[-1]
                recurrence = _recurrence(gates, states, backwards=bool(way), last=wanted)
                macs = times * rows * own[1].numel()
                out = record.weighted(kind, recurrence, (projected, *initial), own[1], bias_on, hidden, macs=macs)
                if wanted:
                    ends[1].append(record.step(aten.select.int, out, 0, times))
                    out = record.step(aten.slice.Tensor, out, 0, 0, times)
                if record.wanted(1):
                    ends[0].append(record.step(aten.select.int, out, 0, 0 if way else times - 1))
                found.append(out)
            value = found[0] if ways == 1 else record.step(aten.cat.default, found, -1)
        output = record.step(aten.transpose.int, value, 0, 1) if batch_first else value
        return output, *(record.step(aten.stack.default, end) if end else None for end in ends)

    return rule


def _part(record: Recorder, tensor: Any, number: int) -> Any:
    """The state of one layer and direction."""
    return record.step(aten.select.int, tensor, 0, number) if isinstance(tensor, Ref) else tensor[number]


def _cell(gates: Gates, states: int) -> Rule:
    """A rule for one time of a cell: two linear layers, and the gates."""

    def stacked(x: torch.Tensor, product: torch.Tensor, *state: torch.Tensor) -> torch.Tensor:
        return torch.stack(gates(x, product, state))

    def rule(
        record: Recorder, x: Any, start: Any, weight_in: Any, weight_on: Any, bias_in: Any = None, bias_on: Any = None
    ) -> Any:
        state = tuple(start) if isinstance(start, (tuple, list)) else (start,)
        parts = [
            linear(record, value, weight, bias) if isinstance(value, Ref) else aten.linear.default(value, weight, bias)
            for value, weight, bias in ((x, weight_in, bias_in), (state[0], weight_on, bias_on))
        ]
        found = record.step(stacked, *parts, *state)
        each = tuple(record.step(aten.select.int, found, 0, i) for i in range(states))
        return each if states == 2 else each[0]

    return rule


RULES: dict[Any, Rule] = {
    aten.lstm.input: _layers(_lstm, 2, "lstm"),
    aten.gru.input: _layers(_gru, 1, "gru"),
    aten.rnn_tanh.input: _layers(_tanh, 1, "rnn"),
    aten.rnn_relu.input: _layers(_relu, 1, "rnn"),
    aten.lstm_cell.default: _cell(_lstm, 2),
    aten.gru_cell.default: _cell(_gru, 1),
    aten.rnn_tanh_cell.default: _cell(_tanh, 1),
    aten.rnn_relu_cell.default: _cell(_relu, 1),
}
"""Operations that are recurrent."""
