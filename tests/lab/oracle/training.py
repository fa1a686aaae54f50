"""Nets trained by both engines from the same weights; their parameters afterwards."""

from __future__ import annotations

import contextlib
import io
import subprocess
from pathlib import Path

import genuine_python
import numpy as np
import torch

from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.proto import caffe_pb2, read_solver
from pycaffe_ext.training.log import last_words

RUNNER = Path(__file__).with_name("genuine_solvers.py").resolve()
Params = dict[str, np.ndarray]  # "LAYER:I" -> values


def train_ours(folder: Path, iterations: int, device: torch.device | str = "cpu") -> Params:
    """Train the solver.prototxt of `folder` from its start.caffemodel."""
    with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()):
        solver = Solver(read_solver("solver.prototxt"), device)
        solver.net.copy_trained_layers_from("start.caffemodel")
        solver.step(iterations)
    return params(solver.net)


def params(net: Net) -> Params:
    named = ((layer.name, i, blob) for layer in net.layers for i, blob in enumerate(layer.blobs))
    return {f"{name}:{i}": blob.data.cpu().numpy().copy() for name, i, blob in named}


def train_genuine(folders: list[Path], iterations: int) -> dict[Path, str]:
    """Train every folder in one genuine process, which leaves an out.npz in each; those where it died -> why."""
    died, rest = {}, list(folders)
    while rest and (run := _process(rest, iterations)).returncode:
        at = next((i for i, folder in enumerate(rest) if not (folder / "out.npz").exists()), len(rest) - 1)
        died[rest[at]] = f"the genuine Caffe died: {last_words(run.stderr.splitlines())}"
        rest = rest[at + 1 :]
    return died


def _process(folders: list[Path], iterations: int) -> subprocess.CompletedProcess[str]:
    names = "\n".join(str(folder) for folder in folders)
    return genuine_python.run(RUNNER, iterations, input=names, check=False)


def norm_errors(ours: Params, theirs: Params) -> dict[str, float]:
    """Blob -> norm of the difference over the norm of the genuine blob; inf where blobs or shapes differ."""
    if {name: a.shape for name, a in ours.items()} != {name: b.shape for name, b in theirs.items()}:
        return {"blobs": np.inf}
    return {name: _norm_error(ours[name].astype(np.float64), b) for name, b in theirs.items()}


def _norm_error(a: np.ndarray, b: np.ndarray) -> float:
    difference, norm = float(np.linalg.norm(a - b)), float(np.linalg.norm(b.astype(np.float64)))
    return difference / norm if norm else difference


def solver_param(**settings: object) -> caffe_pb2.SolverParameter:
    """A solver without tests, display and snapshots."""
    quiet = {"display": 0, "snapshot": 0, "snapshot_after_train": False, "test_initialization": False}
    return caffe_pb2.SolverParameter(**{**quiet, **settings})
