"""The solver for those who look at gradients after an update: there `diff` holds the change of the weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.engine.solver.updates import UPDATES
from pycaffe_ext.proto import caffe_pb2


class UpdatingSolver(Solver):
    """Leaves in each parameter's diff what the last update took away from it (facts: ComputeUpdateValue, Net::Update).

    Unless snapshots show them (snapshot_diff), only the changes of the last iteration of a `step` are visible; those
    of the others cost nothing.
    """

    def __init__(self, param: caffe_pb2.SolverParameter, device: torch.device) -> None:
        super().__init__(param, device)
        self.update = replace(self.update, rule=self._recorded)
        self._last = 0  # the iteration whose changes are seen
        self._change: torch.Tensor | None = None

    def step(self, count: int) -> None:
        self._last = self.iter + count - 1
        super().step(count)

    def update_once(self) -> None:
        """Change the weights by the gradients that the parameters hold; counts as an iteration."""
        self._last = self.iter
        self.apply_update()
        self.iter += 1

    @property
    def _seen(self) -> bool:
        return self.param.snapshot_diff or self.iter >= self._last

    def _recorded(
        self, weight: torch.Tensor, grad: Any, state: list[torch.Tensor], rate: float, param: Any, iteration: int
    ) -> None:
        rule = UPDATES[param.type].rule
        if not self._seen:
            rule(weight, grad, state, rate, param, iteration)
            return
        change = torch.zeros_like(weight)
        rule(change, grad, state, rate, param, iteration)
        weight.add_(change)
        self._change = change.neg_()

    def _update_param(self, i: int, rate: float) -> None:
        super()._update_param(i, rate)
        if self._seen:
            blob = self.net.learnable_params[i]
            blob.diff = torch.zeros_like(blob.data) if self._change is None else self._change
            self._change = None
