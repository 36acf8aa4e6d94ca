"""Adam (Kingma and Ba, 2015), for small networks: torch's own loads its compiler first, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Moments of the gradients of some parameters, and steps along them.

    Parameters
    ----------
    parameters : that have gradients; those without are left alone.
    rate : learning rate; may be changed between steps.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], rate: float) -> None:
        self.parameters, self.rate, self.steps = list(parameters), rate, 0
        self.moments = [(p.detach().new_zeros(p.shape), p.detach().new_zeros(p.shape)) for p in self.parameters]

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Move every parameter by its gradient."""
        self.steps += 1
        first, second = 1.0 - BETA1**self.steps, 1.0 - BETA2**self.steps
        for parameter, (mean, square) in zip(self.parameters, self.moments, strict=True):
            if parameter.grad is None:
                continue
            grad = parameter.grad
            mean.mul_(BETA1).add_(grad, alpha=1.0 - BETA1)
            square.mul_(BETA2).addcmul_(grad, grad, value=1.0 - BETA2)
            parameter.data.addcdiv_(mean, (square / second).sqrt_().add_(EPSILON), value=-self.rate / first)
