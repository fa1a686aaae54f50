"""The solver: Caffe's order of testing, forward, backward, update and snapshot (facts: Solver, SGDSolver)."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from time import perf_counter

import numpy as np
import torch

from pycaffe_ext import glog
from pycaffe_ext.engine.core.debug_info import DebugInfo
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.net_log import build_net
from pycaffe_ext.engine.core.random import set_seed
from pycaffe_ext.engine.lanes import Pace, Readings
from pycaffe_ext.engine.solver import snapshot
from pycaffe_ext.engine.solver.lr_policy import advance_step, learning_rate
from pycaffe_ext.engine.solver.solver_nets import test_net_files, test_net_params, train_net_param
from pycaffe_ext.engine.solver.updates import UPDATES, check_settings, regularize
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.proto import caffe_pb2, check_names
from pycaffe_ext.proto.lines import naming_lines
from pycaffe_ext.strings import native


class Solver:
    """Optimises a net as Caffe's solver of type `param.type` does.

    param : a SolverParameter, already upgraded (proto.read_solver);  device : where nets live and run
    net, test_nets : the Nets;  iter : updates made so far;  history : per learnable parameter (all first histories,
    then all second ones) a tensor, or None as long as it is zero.
    A parameter with lr_mult 0 costs nothing, except where Caffe gathers something in its history: weight decay in
    the types that adapt their rates (unless decay_mult is 0), or what a snapshot left there.
    Raises UserError for settings that Caffe refuses.
    """

    def __init__(self, param: caffe_pb2.SolverParameter, device: torch.device | str = "cpu") -> None:
        glog.info("solver.cpp:45", f"Initializing solver from parameters: \n{glog.prototxt(param)}")
        self.param = param
        self.device = torch.device(device)
        self._check_settings()
        if param.random_seed >= 0:
            set_seed(param.random_seed)
        source = native(param.net or param.train_net)
        self.net = self._make_net(train_net_param(param), source)
        if self._hdf5:
            with naming_lines(source):
                check_names(snapshot.owned_blobs(self.net))  # now: the first snapshot may be hours away
        tests = zip(test_net_params(param), test_net_files(param), strict=True)
        self._debug_info = DebugInfo() if param.debug_info else None
        self.test_nets = [self._make_net(net, file) for net, file in tests]
        for net in self.test_nets:
            net.observer = self._debug_info
        self.update = UPDATES[param.type]
        self.history: list[torch.Tensor | None] = [None] * (len(self.net.learnable_params) * self.update.histories)
        self.iter = 0
        self.current_step = 0
        self.callbacks: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self._stop = self._snapshot = self._stopped = False
        self._losses: list[float] = []
        self._smoothed = 0.0
        self._readings, self._pace = Readings(self.device), Pace(self.device)
        self._shown_at, self._shown_iter = perf_counter(), 0
        glog.info("solver.cpp:57", "Solver scaffolding done.")

    def _check_settings(self) -> None:
        param = self.param
        known(param.type, UPDATES, "solver type")
        known(param.regularization_type, ("L2", "L1"), "regularization_type")
        check_settings(param)
        learning_rate(param, 0)
        for name in ("average_loss", "iter_size"):
            if getattr(param, name) < 1:
                raise UserError(f"{name} must be at least 1 in the solver, not {getattr(param, name)}")
        if param.snapshot:
            folder = os.path.dirname(native(param.snapshot_prefix)) or "."
            if not os.access(folder, os.W_OK | os.X_OK):
                raise UserError(f"cannot write to snapshot_prefix {param.snapshot_prefix!r}; make the folder {folder}")

    def _make_net(self, param: caffe_pb2.NetParameter, file: str | None) -> Net:
        net = build_net(param, param.state.phase, device=self.device, file=file)
        for names in self.param.weights:
            for source in filter(None, (name.strip() for name in names.split(","))):
                glog.info("solver.cpp:72", f"Finetuning from {source}")
                net.copy_trained_layers_from(native(source))
        return net

    # ---- control

    def request_stop(self) -> None:
        """Stop after the current iteration, with a snapshot; may be called from a signal handler."""
        self._stop = True

    def request_snapshot(self) -> None:
        """Write a snapshot after the current iteration; may be called from a signal handler."""
        self._snapshot = True

    def be_lean(self) -> None:
        """Keep only what training needs: gradients and the blobs between layers can't be looked at afterwards."""
        param = self.param
        self.net.lean = not param.snapshot_diff
        defer = self.net.lean and self.update.products and param.iter_size == 1 and param.clip_gradients < 0
        for blob in self.net.learnable_params:
            blob.defers_products = defer

    def add_callback(self, on_start: Callable[[], None], on_gradient: Callable[[], None]) -> None:
        """Call `on_start` before each iteration's first forward pass and `on_gradient` before each update."""
        self.callbacks.append((on_start, on_gradient))

    # ---- training

    def solve(self, resume_file: str | None = None) -> None:
        """Train up to max_iter, from `resume_file`'s state if given."""
        glog.info("solver.cpp:289", f"Solving {self.net.name}")
        glog.info("solver.cpp:290", f"Learning Rate Policy: {self.param.lr_policy}")
        self._stopped = False
        if resume_file:
            glog.info("solver.cpp:297", f"Restoring previous solver status from {resume_file}")
            self.restore(resume_file)
        start = self.iter
        self.step(self.param.max_iter - self.iter)
        if self.param.snapshot_after_train and not _due(self.iter, self.param.snapshot):
            self.snapshot()
        if self._stopped:
            glog.info("solver.cpp:311", "Optimization stopped early.")
            return
        if _due(self.iter, self.param.display):
            self._smooth(self.net.forward(), start, self.iter)
            glog.info("solver.cpp:327", f"Iteration {self.iter}, loss = {glog.number(self._smoothed)}")
        if _due(self.iter, self.param.test_interval):
            self.test_all()
        glog.info("solver.cpp:332", "Optimization Done.")

    @torch.no_grad()
    def step(self, count: int) -> None:
        """Do `count` iterations, fewer when a stop is requested."""
        start, end = self.iter, self.iter + count
        self._losses, self._smoothed = [], 0.0
        self._shown_at, self._shown_iter = perf_counter(), self.iter
        while self.iter < end:
            self.net.clear_param_diffs()
            if _due(self.iter, self.param.test_interval) and (self.iter or self.param.test_initialization):
                self.test_all()
                if self._stopped:
                    break
            self.iterate(start)
            if self._after_iteration():
                break
        self._readings.settle()

    def iterate(self, start: int) -> None:
        """One iteration of a `step` that began at iteration `start`: passes, display and update."""
        for on_start, _ in self.callbacks:
            on_start()
        self.net.observer = self._debug_info if _due(self.iter, self.param.display) else None
        losses = []
        for _ in range(self.param.iter_size):
            losses.append(self.net.forward_losses())
            self.net.backward()
        self._note_losses(torch.cat(losses), start)
        if _due(self.iter, self.param.display):
            self._readings.settle()
            self._display()
        for _, on_gradient in self.callbacks:
            on_gradient()
        self.apply_update()
        if self.net.lean:
            self.net.release_param_diffs()
        self.iter += 1
        self._pace.mark()

    def _note_losses(self, losses: torch.Tensor, start: int) -> None:
        """Smooth the losses of an iteration's passes, one after the other, once they are there."""
        iteration, passes = self.iter, self.param.iter_size

        def use(values: np.ndarray) -> None:
            sums = [sum(part.tolist()) for part in np.split(values, passes)]
            self._smooth(sum(sums) / passes, start, iteration)

        self._readings.add(losses, use)

    def _after_iteration(self) -> bool:
        """Snapshot if due or asked for; whether to stop.  As in Caffe, a request to snapshot is served first."""
        request = self._take_request()
        if _due(self.iter, self.param.snapshot) or request == "snapshot":
            self.snapshot()
        self._stopped = self._stopped or request == "stop"
        return self._stopped

    def _take_request(self) -> str | None:
        if self._snapshot:
            self._snapshot = False
            return "snapshot"
        if self._stop:
            self._stop = False
            return "stop"
        return None

    def _smooth(self, loss: float, start: int, iteration: int) -> None:
        """The mean of the last average_loss losses, kept as Caffe keeps it."""
        size = self.param.average_loss
        if len(self._losses) < size:
            self._losses.append(loss)
            count = len(self._losses)
            self._smoothed = (self._smoothed * (count - 1) + loss) / count
            return
        oldest = (iteration - start) % size
        self._smoothed += (loss - self._losses[oldest]) / size
        self._losses[oldest] = loss

    def _display(self) -> None:
        now, every = perf_counter(), self.param.display
        took = now - self._shown_at
        speed = (self.iter - self._shown_iter) / took if took else 0.0
        pace = f"({glog.number(speed)} iter/s, {glog.number(took)}s/{every} iters)"
        glog.info("solver.cpp:239", f"Iteration {self.iter} {pace}, loss = {glog.number(self._smoothed)}")
        self._shown_at, self._shown_iter = now, self.iter
        glog.info("solver.cpp:258", *_score_lines("Train", output_names(self.net), output_values(self.net).tolist()))

    # ---- update

    def apply_update(self) -> None:
        """Clip, normalise and regularise the gradients, then change the weights."""
        param = self.param
        step = advance_step(param, self.iter, self.current_step)
        if param.lr_policy == "multistep" and step != self.current_step:
            glog.info("sgd_solver.cpp:50", f"MultiStep Status: Iteration {self.iter}, step = {step}")
        self.current_step = step
        rate = learning_rate(param, self.iter, step)
        if _due(self.iter, param.display):
            glog.info("sgd_solver.cpp:112", f"Iteration {self.iter}, lr = {glog.number(rate)}")
        self._clip()
        for i, multiplier in enumerate(self.net.params_lr):
            self._update_param(i, rate * multiplier)

    def _clip(self) -> None:
        limit = self.param.clip_gradients
        if limit < 0:
            return
        diffs = [blob.diff for blob in self.net.learnable_params if blob.has_gradient]  # of recurrent layers: all
        if not diffs:
            return
        norm = torch.stack([diff.norm() for diff in diffs]).norm()
        if not norm.is_cpu or norm > limit:  # elsewhere it would have to be waited for
            torch._foreach_mul_(diffs, torch.where(norm > limit, limit / norm, 1.0))
        self._readings.add(norm.view(1), self._say_clipped)

    def _say_clipped(self, norm: np.ndarray) -> None:
        size, limit = float(norm[0]), self.param.clip_gradients
        if size > limit:
            sizes = f"(L2 norm {glog.number(size)} > {glog.number(limit)}) by scale factor {glog.number(limit / size)}"
            glog.info("sgd_solver.cpp:93", f"Gradient clipping: scaling down gradients {sizes}")

    def _update_param(self, i: int, rate: float) -> None:
        blob, decay = self.net.learnable_params[i], self.param.weight_decay * self.net.params_weight_decay[i]
        gathers = self.history[i] is not None or (self.update.gathers_decay and decay)
        if not self.net.params_lr[i] and not gathers:
            return
        weight, grad = blob.data, blob.take_gradient()
        if self.param.iter_size > 1 and isinstance(grad, torch.Tensor):  # no product is deferred then
            grad.div_(self.param.iter_size)
        regularize(weight, grad, decay, self.param.regularization_type)
        self.update.rule(weight, grad, self._state_of(i, weight), rate, self.param, self.iter)

    def _state_of(self, i: int, weight: torch.Tensor) -> list[torch.Tensor]:
        places = range(i, len(self.history), len(self.net.learnable_params))
        state = []
        for place in places:
            tensor = self.history[place]
            if tensor is None:
                tensor = self.history[place] = torch.zeros_like(weight)
            state.append(tensor)
        return state

    # ---- testing

    def test_all(self) -> None:
        """Test every test net; stops early when a stop is requested."""
        for i in range(len(self.test_nets)):
            if not self._stopped:
                self.test(i)

    @torch.no_grad()
    def test(self, index: int = 0) -> list[tuple[str, float, float]]:
        """Log the means over test_iter batches of each value of each output, and return (name, mean, loss weight).

        With a test_iter of 0 there are no means, and the loss that test_compute_loss asks for is NaN, as in Caffe.
        """
        glog.info("solver.cpp:347", f"Iteration {self.iter}, Testing net (#{index})")
        net, count = self.test_nets[index], self.param.test_iter[index]
        net.share_trained_layers_with(self.net)
        scores = Scores(net)
        for _ in range(count):
            if self._stop_while_testing():
                glog.info("solver.cpp:384", "Test interrupted.")
                return []
            scores.take(net.forward_losses())
        loss, sums = scores.totals()
        if self.param.test_compute_loss:
            glog.info("solver.cpp:389", f"Test loss: {glog.number(loss / count if count else math.nan)}")
        named = output_names(net) if len(sums) else []
        values = [float(total) / count for total in sums]
        glog.info("solver.cpp:414", *_score_lines("Test", named, values))
        return [(name, mean, weight) for (name, weight), mean in zip(named, values, strict=True)]

    def _stop_while_testing(self) -> bool:
        while request := self._take_request():
            if request == "snapshot":
                self.snapshot()
            else:
                self._stopped = True
        return self._stopped

    # ---- snapshots

    def snapshot(self) -> None:
        """Write weights and state of this iteration, as snapshot_prefix and snapshot_format say."""
        prefix = f"{native(self.param.snapshot_prefix)}_iter_{self.iter}"
        learned = snapshot.write_model(self.net, prefix, self._hdf5, self.param.snapshot_diff)
        history = [self._history_array(i) for i in range(len(self.history))]
        snapshot.write_state(snapshot.State(self.iter, self.current_step, history, learned), prefix, self._hdf5)

    @property
    def _hdf5(self) -> bool:
        return self.param.snapshot_format == caffe_pb2.SolverParameter.HDF5

    def _history_array(self, i: int) -> np.ndarray:
        tensor = self.history[i]
        if tensor is not None:
            return tensor.cpu().numpy()
        return np.zeros(self.net.learnable_params[i % len(self.net.learnable_params)].shape, np.float32)

    def restore(self, path: str) -> None:
        """Go on from a solverstate: its weights, history, iteration; UserError where it does not fit this solver."""
        state = snapshot.read_state(path)
        shapes = [blob.shape for blob in self.net.learnable_params] * self.update.histories
        found = [array.shape for array in state.history]
        if len(found) != len(shapes):
            raise UserError(
                f"{path}: has {len(found)} histories, this net and solver type need {len(shapes)};"
                " resume with the net and the type it was written with"
            )
        for i, (have, need) in enumerate(zip(found, shapes, strict=True)):
            if have != need and not _legacy_equal(have, need):
                raise UserError(f"{path}: history {i} has shape {have}, this net needs {need}; resume with its own net")
        if state.learned_net:
            self.net.copy_trained_layers_from(state.learned_net)
        self.iter, self.current_step = state.iteration, state.current_step
        arrays = zip(state.history, shapes, strict=True)
        self.history = [
            torch.tensor(array.reshape(shape), device=self.device) if array.any() else None for array, shape in arrays
        ]
        if not str(path).endswith(".h5"):
            glog.info("sgd_solver.cpp:336", "SGDSolver: restoring history")


def _due(iteration: int, every: int) -> bool:
    return bool(every) and iteration % every == 0


def _legacy_equal(have: tuple[int, ...], need: tuple[int, ...]) -> bool:
    """Whether an old four-dimensional shape is the same one, padded in front."""
    return len(have) == 4 and len(need) <= 4 and have == (1,) * (4 - len(need)) + need


def output_names(net: Net) -> list[tuple[str, float]]:
    """(name, loss weight) of each value of each output of a net, in Caffe's order."""
    weights = net.loss_weights
    return [(name, weights.get(name, 0.0)) for name in net.outputs for _ in range(net.blobs[name].count)]


def output_values(net: Net) -> torch.Tensor:
    """All values of all outputs of a net, one-dimensional, in Caffe's order."""
    values = [net.blobs[name].data.flatten() for name in net.outputs]
    return torch.cat(values) if values else torch.zeros(0, device=net.device)


class Scores:
    """Losses and outputs of a net, batch after batch.

    on_batch : is called with the number of each batch and all values of its outputs, float32, in their order, once
    they are there: as soon as the batch after it is under way.
    """

    def __init__(self, net: Net, on_batch: Callable[[int, np.ndarray], None] = lambda _batch, _values: None) -> None:
        self._net, self._on_batch = net, on_batch
        self._readings = Readings(net.device)
        self._batches, self._loss, self._sums = 0, 0.0, np.zeros(0, np.float32)

    def take(self, losses: torch.Tensor) -> None:
        """Take in the outputs that the net has now, and the losses of the pass that made them."""
        self._readings.add(torch.cat([losses, output_values(self._net)]), partial(self._use, len(losses)))
        self._readings.settle(but=1)

    def _use(self, losses: int, values: np.ndarray) -> None:
        self._loss += float(sum(values[:losses].tolist()))
        self._on_batch(self._batches, values[losses:])
        self._sums = self._sums + values[losses:] if self._batches else values[losses:].copy()
        self._batches += 1

    def totals(self) -> tuple[float, np.ndarray]:
        """Sums over all batches: of the loss, and of each value of the outputs, float32."""
        self._readings.settle()
        return self._loss, self._sums


def loss_note(weight: float, value: float) -> str:
    """What Caffe appends to an output that counts as a loss."""
    return f" (* {glog.number(weight)} = {glog.number(weight * value)} loss)" if weight else ""


def _score_lines(kind: str, named: list[tuple[str, float]], values: list[float]) -> list[str]:
    return [
        f"    {kind} net output #{i}: {name} = {glog.number(value)}{loss_note(weight, value)}"
        for i, ((name, weight), value) in enumerate(zip(named, values, strict=True))
    ]
