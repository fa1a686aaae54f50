"""The six update rules of Caffe, each working in place on one parameter (facts: src/caffe/solvers).

Every rule takes `weight`, its gradient `grad` (already clipped, normalised and regularised; it may be overwritten;
for the rules that take `products` it may be a product that was not computed yet),
its `state` (one history tensor, or two for AdaDelta and Adam), the blob's own learning rate, the SolverParameter and
the iteration.  Histories start at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from pycaffe_ext.engine.core.blob import Product
from pycaffe_ext.errors import UserError

Tensor = torch.Tensor
Rule = Callable[[Tensor, Any, list[Tensor], float, Any, int], None]


@dataclass(frozen=True)
class Update:
    """An update rule, how many histories a parameter needs, and whether its history takes in decay at rate 0."""

    rule: Rule
    histories: int = 1
    products: bool = False  # works with a gradient that is still a product
    gathers_decay: bool = True


def sgd(weight: Tensor, grad: Tensor | Product, state: list[Tensor], rate: float, param: Any, _iteration: int) -> None:
    """V <- momentum V + rate grad;  W <- W - V: the rate is inside V."""
    if isinstance(grad, Product):
        grad.add_to(state[0], param.momentum, rate)
    else:
        state[0].mul_(param.momentum).add_(grad, alpha=rate)
    weight.sub_(state[0])


def nesterov(weight: Tensor, grad: Tensor, state: list[Tensor], rate: float, param: Any, _iteration: int) -> None:
    """As SGD, but W <- W - ((1 + momentum) V_new - momentum V_old)."""
    weight.add_(state[0], alpha=param.momentum)
    state[0].mul_(param.momentum).add_(grad, alpha=rate)
    weight.sub_(state[0], alpha=1 + param.momentum)


def adagrad(weight: Tensor, grad: Tensor, state: list[Tensor], rate: float, param: Any, _iteration: int) -> None:
    state[0].addcmul_(grad, grad)
    weight.addcdiv_(grad, state[0].sqrt().add_(param.delta), value=-rate)


def rmsprop(weight: Tensor, grad: Tensor, state: list[Tensor], rate: float, param: Any, _iteration: int) -> None:
    state[0].mul_(param.rms_decay).addcmul_(grad, grad, value=1 - param.rms_decay)
    weight.addcdiv_(grad, state[0].sqrt().add_(param.delta), value=-rate)


def adadelta(weight: Tensor, grad: Tensor, state: list[Tensor], rate: float, param: Any, _iteration: int) -> None:
    """state: mean square of the gradients, mean square of the updates; momentum is their decay."""
    squares, updates = state
    squares.mul_(param.momentum).addcmul_(grad, grad, value=1 - param.momentum)
    step = (updates + param.delta).div_(squares + param.delta).sqrt_().mul_(grad)
    updates.mul_(param.momentum).addcmul_(step, step, value=1 - param.momentum)
    weight.sub_(step, alpha=rate)


def adam(weight: Tensor, grad: Tensor, state: list[Tensor], rate: float, param: Any, iteration: int) -> None:
    """state: first and second moment; momentum and momentum2 are their decays, delta guards the division."""
    first, second = state
    first.mul_(param.momentum).add_(grad, alpha=1 - param.momentum)
    second.mul_(param.momentum2).addcmul_(grad, grad, value=1 - param.momentum2)
    time = iteration + 1
    correction = (1 - param.momentum2**time) ** 0.5 / (1 - param.momentum**time)
    weight.addcdiv_(first, second.sqrt().add_(param.delta), value=-rate * correction)


UPDATES: dict[str, Update] = {
    "SGD": Update(sgd, products=True, gathers_decay=False),
    "Nesterov": Update(nesterov, gathers_decay=False),
    "AdaGrad": Update(adagrad),
    "RMSProp": Update(rmsprop),
    "AdaDelta": Update(adadelta, histories=2),
    "Adam": Update(adam, histories=2),
}


def check_settings(param: Any) -> None:
    """Raise UserError for what these rules cannot work with."""
    if param.type in ("AdaGrad", "RMSProp") and param.momentum:
        raise UserError(f"solver type {param.type!r} takes no momentum; remove it (it is {param.momentum:g})")
    if param.type == "RMSProp" and not 0 <= param.rms_decay < 1:
        raise UserError(f"rms_decay must be at least 0 and below 1, not {param.rms_decay:g}")


def regularize(weight: Tensor, grad: Tensor | Product, decay: float, kind: str) -> None:
    """Add the gradient of the L2 or L1 penalty, in place."""
    if decay:
        grad.add_(weight if kind == "L2" else weight.sign(), alpha=decay)
