"""pycaffe on the embedded engine: `from pycaffe_ext import caffe` instead of `import caffe`.

Arrays are NumPy views: what is written to `net.blobs[name].data[...]` is what the next pass reads, and an array that
is held shows the values of the latest pass.  On a GPU they are copies that each call brings up to date both ways.
Errors raise pycaffe_ext.errors.UserError where the genuine module aborts; where it raises RuntimeError, ValueError
or KeyError, the error is one of those too.  Scripts that have to stay as they are run by
`python -m pycaffe_ext.caffe script.py`, and `pycaffe_ext.caffe.alias.install()` makes `import caffe` mean this package.

Names are looked up when they are first used: the engine, and torch with it, is loaded only by what runs a net.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pycaffe_ext.collector import undisturbed
from pycaffe_ext.proto import caffe_pb2

__version__ = "1.0.0"  # of the Caffe whose behaviour this is

TRAIN = caffe_pb2.TRAIN
TEST = caffe_pb2.TEST

_NAMES = {
    "classifier": ("Classifier",),
    "detector": ("Detector",),
    "net": ("Net",),
    "net_spec": ("NetSpec", "layers", "params", "to_proto"),
    "python_layer": ("Layer",),
    "runtime": (
        "NCCL",
        "Timer",
        "has_nccl",
        "init_log",
        "layer_type_list",
        "log",
        "set_device",
        "set_mode_cpu",
        "set_mode_gpu",
        "set_multiprocess",
        "set_random_seed",
        "set_solver_count",
        "set_solver_rank",
        "solver_count",
        "solver_rank",
    ),
    "solvers": (
        "AdaDeltaSolver",
        "AdaGradSolver",
        "AdamSolver",
        "NesterovSolver",
        "RMSPropSolver",
        "SGDSolver",
        "Solver",
        "get_solver",
    ),
}
MODULES = ("classifier", "coord_map", "detector", "draw", "io", "net_spec", "proto", "pycaffe")
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["TEST", "TRAIN", *_HOME, *MODULES]


def __getattr__(name: str) -> Any:
    if name not in _HOME and name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with undisturbed():
        home = import_module(f"{__name__}.{_HOME.get(name, name)}")
    found = getattr(home, name) if name in _HOME else home
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
