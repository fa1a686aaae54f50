"""The seven learning rate policies of Caffe (facts: SGDSolver::GetLearningRate)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pycaffe_ext.errors import UserError, known


def learning_rate(param: Any, iteration: int, current_step: int = 0) -> float:
    """Rate of iteration `iteration` (before its increment) under a SolverParameter.

    current_step : how many rate drops "multistep" has made; the other policies ignore it.
    Raises UserError for an unknown policy or a setting that makes the rate undefined.
    """
    policy = known(param.lr_policy, POLICIES, "lr_policy")
    if param.gamma < 0 and policy not in ("fixed", "poly"):
        raise UserError(f"lr_policy {policy!r} needs gamma >= 0 in the solver, not {param.gamma:g}")
    try:
        rate = param.base_lr * POLICIES[policy](param, iteration, current_step)
    except (OverflowError, ZeroDivisionError, ValueError):
        rate = math.nan
    if isinstance(rate, complex) or not math.isfinite(rate):
        raise UserError(
            f"lr_policy {policy!r} gives no finite rate at iteration {iteration}; check base_lr, gamma, power, max_iter"
        )
    return rate


def advance_step(param: Any, iteration: int, current_step: int) -> int:
    """The number of rate drops to use, and to keep in a solverstate, from this iteration on."""
    if param.lr_policy == "step":
        return iteration // _stepsize(param)
    due = current_step < len(param.stepvalue) and iteration >= param.stepvalue[current_step]
    return current_step + 1 if param.lr_policy == "multistep" and due else current_step


def _stepsize(param: Any) -> int:
    if param.stepsize <= 0:
        raise UserError(f"lr_policy {param.lr_policy!r} needs stepsize > 0 in the solver, not {param.stepsize}")
    return param.stepsize


def _step(param: Any, iteration: int, _: int) -> float:
    return param.gamma ** (iteration // _stepsize(param))


def _poly(param: Any, iteration: int, _: int) -> float:
    if param.max_iter <= 0:
        raise UserError("lr_policy 'poly' needs max_iter > 0 in the solver")
    return (1 - iteration / param.max_iter) ** param.power


def _sigmoid(param: Any, iteration: int, _: int) -> float:
    exponent = -param.gamma * (iteration - _stepsize(param))
    return 1 / (1 + math.exp(exponent)) if exponent < 700 else 0.0


POLICIES: dict[str, Callable[[Any, int, int], float]] = {
    "fixed": lambda _param, _iteration, _step: 1.0,
    "step": _step,
    "exp": lambda param, iteration, _step: param.gamma**iteration,
    "inv": lambda param, iteration, _step: (1 + param.gamma * iteration) ** -param.power,
    "multistep": lambda param, _iteration, step: param.gamma**step,
    "poly": _poly,
    "sigmoid": _sigmoid,
}
