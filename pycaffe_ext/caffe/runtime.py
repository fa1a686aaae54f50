"""Where and how pycaffe computes: modes, devices, the seed, the log, the timer."""

from __future__ import annotations

import os
from time import perf_counter
from typing import Any

import torch

from pycaffe_ext import glog as engine_log
from pycaffe_ext.engine import devices
from pycaffe_ext.engine.core import random
from pycaffe_ext.engine.layers import layer_types
from pycaffe_ext.errors import UserError

GLOG_LEVEL = "GLOG_minloglevel"  # the variable by which scripts quieten the genuine module

_place = {"gpu": False, "device": 0}
_solvers = {"count": 1, "rank": 0}

_log = {"level_given": False}


def set_mode_cpu() -> None:
    """Put nets created after this call on the CPU."""
    _place["gpu"] = False


def set_mode_gpu() -> None:
    """Put nets created after this call on the GPU; raises UserError if there is none."""
    if not devices.count():
        raise UserError("there is no CUDA device here; use set_mode_cpu()")
    _place["gpu"] = True


def set_device(index: int) -> None:
    """Choose the GPU for set_mode_gpu."""
    if not 0 <= index < devices.count():
        raise UserError(f"there is no CUDA device {index} (found: {devices.count()})")
    _place["device"] = index


def device() -> torch.device:
    """Where the next net lives."""
    return devices.gpu(_place["device"]) if _place["gpu"] else devices.cpu()


def set_random_seed(seed: int) -> None:
    """Make everything random in the engine repeat itself."""
    random.set_seed(seed)


def layer_type_list() -> list[str]:
    """Names of all layer types that a net may have."""
    return layer_types()


def init_log(level: int | None = None, stderr: bool = True) -> None:
    """Log from `level` on (0 INFO, 1 WARNING, 2 ERROR, 3 FATAL); the log goes to standard error in any case."""
    if level is not None:
        _log["level_given"] = True
        engine_log.set_min_level(level)


def obey_log_level() -> None:
    """Take the level from the environment, where scripts set it before they import caffe, unless init_log gave one."""
    level = os.environ.get(GLOG_LEVEL, "")
    if level.isdigit() and not _log["level_given"]:
        engine_log.set_min_level(int(level))


def log(message: str) -> None:
    """Write an INFO line to the log."""
    engine_log.info("_caffe.cpp:68", message)


def solver_count() -> int:
    return _solvers["count"]


def set_solver_count(count: int) -> None:
    """Kept for scripts that ask for it again: one process trains with one solver here."""
    _solvers["count"] = int(count)


def solver_rank() -> int:
    return _solvers["rank"]


def set_solver_rank(rank: int) -> None:
    """Kept for scripts that ask for it again: one process trains with one solver here."""
    _solvers["rank"] = int(rank)


def set_multiprocess(wanted: bool) -> None:
    """Only False: several processes cannot train one net together here.  Raises UserError otherwise."""
    if wanted:
        raise UserError("training one net in several processes needs NCCL, which is not built in; use one process")


def has_nccl() -> bool:
    return False


class NCCL:
    """Training on several GPUs, which is not built in: making one raises UserError."""

    def __init__(self, solver: Any, uid: str | bytes) -> None:
        raise UserError("NCCL is not built in (has_nccl() is False); train on one GPU, or on the CPU")


class Timer:
    """A stop watch: `start()`, `stop()`, then `ms`; it waits for the GPU where nets run on one."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._elapsed = 0.0

    def start(self) -> None:
        self._started = _now()

    def stop(self) -> None:
        if self._started is not None:
            self._elapsed = _now() - self._started
            self._started = None

    @property
    def ms(self) -> float:
        """Milliseconds from start to stop (stops the watch if it runs)."""
        self.stop()
        return self._elapsed * 1e3


def _now() -> float:
    if _place["gpu"]:
        devices.wait(device())
    return perf_counter()
