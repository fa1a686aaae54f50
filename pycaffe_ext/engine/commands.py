"""What the commands of Caffe's command line do, once their flags are understood."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from functools import partial
from time import perf_counter

import numpy as np
import torch

from pycaffe_ext import glog
from pycaffe_ext.engine import devices, options
from pycaffe_ext.engine.cache.prefix import attach, attach_stored
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.net_log import build_net
from pycaffe_ext.engine.gpu_errors import explained
from pycaffe_ext.engine.solver.solver import Scores, Solver, loss_note, output_names
from pycaffe_ext.engine.solver.updating import UpdatingSolver
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, read_net


@explained()
def train(param: caffe_pb2.SolverParameter, gpu: str, snapshot: str, on_sigint: str, on_sighup: str) -> None:
    """Train as `param` says, from solverstate `snapshot` if not empty; signals stop, snapshot or do nothing."""
    _join_logs()
    device = _device(gpu, "caffe.cpp:197", "Using GPUs")
    if device.type == "cuda":
        glog.info("caffe.cpp:223", f"GPU {device.index}: {devices.name(device.index)}")
    solver = (UpdatingSolver if param.snapshot_diff else Solver)(param, device)
    solver.be_lean()
    effects = {"stop": solver.request_stop, "snapshot": solver.request_snapshot, "none": lambda: None}
    for number, effect in ((signal.SIGINT, on_sigint), (signal.SIGHUP, on_sighup)):
        signal.signal(number, lambda *_, act=effects[effect]: act())
    if snapshot:
        glog.info("caffe.cpp:235", f"Resuming from {snapshot}")
        solver.restore(snapshot)
    attach(solver, options.cache_gb(), options.cache_dir())
    glog.info("caffe.cpp:239", "Starting Optimization")
    solver.solve()
    glog.info("caffe.cpp:250", "Optimization Done.")


@explained()
def test(model: str, weights: str, iterations: int, gpu: str, level: int, stages: list[str]) -> None:
    """Run the TEST net over `iterations` batches; log every value of every output, then the means."""
    _join_logs()
    device = _device(gpu, "caffe.cpp:275", "Use GPU with device ID")
    net = build_net(read_net(model), caffe_pb2.TEST, level, stages, device, model)
    net.copy_trained_layers_from(weights)
    glog.info("caffe.cpp:281", f"Running for {iterations} iterations.")
    attach_stored(net, options.cache_gb(), options.cache_dir())
    scores = Scores(net, partial(_log_batch, net))
    for _ in range(iterations):
        scores.take(net.forward_losses())
    loss, sums = scores.totals()
    glog.info("caffe.cpp:309", f"Loss: {glog.number(loss / iterations)}")
    named = output_names(net)
    means = [(name, weight, float(total) / iterations) for (name, weight), total in zip(named, sums, strict=True)]
    lines = (f"{name} = {glog.number(mean)}{loss_note(weight, mean)}" for name, weight, mean in means)
    glog.info("caffe.cpp:321", *lines)


def _log_batch(net: Net, batch: int, values: np.ndarray) -> None:
    named = zip(output_names(net), values.tolist(), strict=True)
    glog.info("caffe.cpp:304", *(f"Batch {batch}, {name} = {value:g}" for (name, _), value in named))


@explained()
def time(model: str, phase: str, iterations: int, gpu: str, level: int, stages: list[str]) -> None:
    """Log the mean forward and backward time of each layer, in milliseconds."""
    _join_logs()
    device = _device(gpu, "caffe.cpp:343", "Use GPU with device ID")
    net = build_net(read_net(model), getattr(caffe_pb2, phase), level, stages, device, model)
    glog.info("caffe.cpp:351", "Performing Forward")
    glog.info("caffe.cpp:356", f"Initial loss: {glog.number(net.forward())}")
    glog.info("caffe.cpp:357", "Performing Backward")
    net.backward()
    glog.info("caffe.cpp:365", "*** Benchmark begins ***")
    glog.info("caffe.cpp:366", f"Testing for {iterations} iterations.")
    started = perf_counter()
    forward, backward = np.zeros(len(net.layers)), np.zeros(len(net.layers))
    for i in range(iterations):
        passed = _time_once(net, forward, backward, device)
        glog.info("caffe.cpp:394", f"Iteration: {i + 1} forward-backward time: {glog.number(passed)} ms.")
    _log_times(net, forward / iterations, backward / iterations, 1000 * (perf_counter() - started), iterations)


def _time_once(net: Net, forward: np.ndarray, backward: np.ndarray, device: torch.device) -> float:
    """Add each layer's milliseconds to the two arrays; returns those of the whole pass."""
    count = len(net.layers)
    net.clear_param_diffs()
    steps: list[tuple[Callable[[int, int], object], int, np.ndarray]]
    steps = [(net.forward_losses, i, forward) for i in range(count)]
    steps += [(net.backward, i, backward) for i in reversed(range(count))]
    begun = perf_counter()
    for run, i, total in steps:
        start = perf_counter()
        run(i, i)
        devices.wait(device)
        total[i] += 1000 * (perf_counter() - start)
    return 1000 * (perf_counter() - begun)


def _log_times(net: Net, forward: np.ndarray, backward: np.ndarray, total: float, iterations: int) -> None:
    glog.info("caffe.cpp:397", "Average time per layer: ")
    for name, ahead, back in zip(net.layer_names, forward, backward, strict=True):
        glog.info("caffe.cpp:400", f"{name:>10}\tforward: {glog.number(ahead)} ms.")
        glog.info("caffe.cpp:403", f"{name:>10}\tbackward: {glog.number(back)} ms.")
    glog.info("caffe.cpp:408", f"Average Forward pass: {glog.number(forward.sum())} ms.")
    glog.info("caffe.cpp:410", f"Average Backward pass: {glog.number(backward.sum())} ms.")
    glog.info("caffe.cpp:412", f"Average Forward-Backward: {glog.number(total / iterations)} ms.")
    glog.info("caffe.cpp:414", f"Total Time: {glog.number(total)} ms.")
    glog.info("caffe.cpp:415", "*** Benchmark ends ***")


def device_query(gpu: str) -> None:
    """Log the properties of the chosen GPUs ('all' or ids separated by ','); nothing is chosen by ''."""
    ids = devices.gpu_ids(gpu)
    glog.info("caffe.cpp:138", f"Querying GPUs {gpu}")
    for i in ids:
        found = torch.cuda.get_device_properties(i)
        facts = {
            "Device id": i,
            "Major revision number": found.major,
            "Minor revision number": found.minor,
            "Name": found.name,
            "Total global memory": found.total_memory,
            "Number of multiprocessors": found.multi_processor_count,
        }
        glog.info("common.cpp:210", *(f"{name + ':':<30} {value}" for name, value in facts.items()))


def _device(gpu: str, where: str, words: str) -> torch.device:
    """The device of a -gpu flag, logged; several GPUs at once are refused."""
    ids = devices.gpu_ids(gpu)
    if not ids:
        glog.info(where, "Use CPU.")
        return devices.cpu()
    if len(ids) > 1:
        raise UserError(
            f"-gpu={gpu}: this engine trains on one GPU; name one, e.g. -gpu={ids[0]} (a genuine Caffe"
            " with NCCL trains on several: CAFFE=)"
        )
    glog.info(where, f"{words} {ids[0]}")
    return devices.gpu(ids[0], fixed_shapes=True)


class _Handler(logging.Handler):
    """Messages of the engine's modules, in the same form as the rest of the log."""

    def emit(self, record: logging.LogRecord) -> None:
        write = glog.warning if record.levelno >= logging.WARNING else glog.info
        write(f"{record.module}.cpp:{record.lineno}", record.getMessage())


def _join_logs() -> None:
    logger = logging.getLogger("pycaffe_ext")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, _Handler) for handler in logger.handlers):
        logger.addHandler(_Handler())
