"""pycaffe's solvers on the embedded engine."""

from __future__ import annotations

from collections.abc import Callable

from pycaffe_ext import proto
from pycaffe_ext.caffe import runtime
from pycaffe_ext.caffe.arrays import called_back, synchronised
from pycaffe_ext.caffe.mistakes import RunError
from pycaffe_ext.caffe.net import Net, _check_file
from pycaffe_ext.engine.solver.lr_policy import advance_step, learning_rate
from pycaffe_ext.engine.solver.updating import UpdatingSolver
from pycaffe_ext.errors import UserError, known


class Solver:
    """What all solvers have; get_solver and the classes by type make one from a solver's prototxt.

    net : the training net;  test_nets : the test nets;  iter : updates made;  lr : the rate of the next update
    After an update, the `diff` of each parameter is what the update took away from it, as in Caffe.
    param : the SolverParameter; changes of max_iter, display or base_lr hold from the next iteration on
    """

    def __init__(self, path: str) -> None:
        raise RunError("a Solver cannot be made without its type; use get_solver(path) or e.g. SGDSolver(path)")

    def _make(self, param: proto.caffe_pb2.SolverParameter) -> None:
        runtime.obey_log_level()
        self._solver = UpdatingSolver(param, runtime.device())
        self.net = Net.wrapping(self._solver.net)
        self.test_nets = [Net.wrapping(net) for net in self._solver.test_nets]

    @property
    def iter(self) -> int:
        return self._solver.iter

    @property
    def param(self) -> proto.caffe_pb2.SolverParameter:
        return self._solver.param

    @property
    def lr(self) -> float:
        return learning_rate(self.param, self.iter, advance_step(self.param, self.iter, self._solver.current_step))

    def step(self, count: int) -> None:
        """Do `count` iterations."""
        synchronised(lambda: self._solver.step(count))

    def solve(self, resume_file: str | None = None) -> None:
        """Train up to max_iter, from a solverstate if one is given."""
        synchronised(lambda: self._solver.solve(resume_file))

    def apply_update(self) -> None:
        """Change the weights by the gradients that the parameters hold; `iter` goes up by one."""
        synchronised(self._solver.update_once)

    def snapshot(self) -> None:
        """Write weights and state as the solver's prototxt says."""
        synchronised(self._solver.snapshot)

    def restore(self, path: str) -> None:
        """Go on from a solverstate and the weights it names."""
        _check_file(path)
        synchronised(lambda: self._solver.restore(path))

    def share_weights(self, net: Net) -> None:
        """Let `net` use the training net's parameters, by layer name."""
        net.share_with(self.net)

    def add_callback(
        self, on_start: Callable[[], object], on_gradients_ready: Callable[[], object] | None = None
    ) -> None:
        """Call `on_start()` before each iteration's first pass and `on_gradients_ready()` before each update."""
        if on_gradients_ready is None:
            raise UserError("add_callback takes two functions: on_start and on_gradients_ready")
        self._solver.add_callback(called_back(on_start), called_back(on_gradients_ready))


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum, whatever type the file names."""

    type = "SGD"

    def __init__(self, path: str) -> None:
        param = _read(path)
        param.type = self.type
        self._make(param)


class NesterovSolver(SGDSolver):
    """Nesterov's accelerated gradient."""

    type = "Nesterov"


class AdaGradSolver(SGDSolver):
    """AdaGrad."""

    type = "AdaGrad"


class RMSPropSolver(SGDSolver):
    """RMSProp."""

    type = "RMSProp"


class AdaDeltaSolver(SGDSolver):
    """AdaDelta."""

    type = "AdaDelta"


class AdamSolver(SGDSolver):
    """Adam."""

    type = "Adam"


_SOLVERS = {
    cls.type: cls for cls in (SGDSolver, NesterovSolver, AdaGradSolver, RMSPropSolver, AdaDeltaSolver, AdamSolver)
}


def get_solver(path: str) -> SGDSolver:
    """A solver of the type that the file names."""
    return _SOLVERS[known(_read(path).type, _SOLVERS, "solver type")](path)


def _read(path: str) -> proto.caffe_pb2.SolverParameter:
    _check_file(path)
    return proto.read_solver(path)
