"""A solver's debug_info, callbacks and histories of frozen blobs, against the genuine Caffe."""

from __future__ import annotations

import contextlib
import shutil

import genuine_python
import numpy as np
import pytest
import torch
from solver_lab import (
    TRAIN,
    assert_same_messages,
    assert_same_state,
    assert_same_weights,
    prepare,
    run_genuine,
    run_ours,
)

from pycaffe_ext import glog
from pycaffe_ext.engine.core.debug_info import mean_size
from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.proto import blob_to_array, caffe_pb2, read_message, read_solver

PARAMS = {
    "all learn": "",
    "named, one frozen": 'param { name: "w" lr_mult: 1 } param { lr_mult: 0 decay_mult: 1 }',
    "all frozen": "param { lr_mult: 0 } param { lr_mult: 0 }",
}
ADAPTIVE = {
    "AdaGrad": {"momentum": None},
    "RMSProp": {"momentum": None, "rms_decay": 0.9, "base_lr": 0.005},
    "AdaDelta": {"delta": 1e-6, "base_lr": 1},
    "Adam": {"base_lr": 0.01},
}


@pytest.mark.genuine
@pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)
def test_debug_lines_are_the_genuine_ones(params, tmp_path):
    ours = prepare(tmp_path / "ours", params, debug_info="true", max_iter=4, display=2, test_interval=2, iter_size=2)
    theirs = shutil.copytree(ours, tmp_path / "theirs")
    mine, others = run_ours(ours, *TRAIN), run_genuine(theirs, *TRAIN)
    assert_same_messages(mine, others)
    assert mine.count("[Backward] All net params") == 4  # only where an iteration is displayed
    assert ("[Backward] Layer conv, param blob 1" in mine) == (params == "")


@pytest.mark.genuine
@pytest.mark.parametrize("decay_mult", [0, 1])
@pytest.mark.parametrize("kind", [*ADAPTIVE, "SGD", "Nesterov"])
def test_histories_of_frozen_blobs_are_the_genuine_ones(kind, decay_mult, tmp_path):
    frozen = f"param {{ lr_mult: 0 decay_mult: {decay_mult} }}"
    settings = {**ADAPTIVE.get(kind, {}), "type": f'"{kind}"', "weight_decay": 0.1, "iter_size": 2}
    ours = prepare(tmp_path / "ours", f"{frozen} {frozen}", **settings)
    theirs = shutil.copytree(ours, tmp_path / "theirs")
    run_ours(ours, *TRAIN)
    run_genuine(theirs, *TRAIN)
    assert_same_weights(ours / "snap_iter_20.caffemodel", theirs / "snap_iter_20.caffemodel", 1e-4)
    assert_same_state(ours / "snap_iter_20.solverstate", theirs / "snap_iter_20.solverstate", 1e-4)
    state = read_message(ours / "snap_iter_20.solverstate", caffe_pb2.SolverState())
    assert blob_to_array(state.history[0]).any() == (kind in ADAPTIVE and bool(decay_mult))


def test_debug_lines_begin_as_glog_errors_do(capsys):
    glog.error("net.cpp:721", "x")
    assert capsys.readouterr().err.startswith("E")


def test_mean_size_is_the_mean_of_absolute_values():
    values = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    assert mean_size(torch.from_numpy(values)) == pytest.approx(np.abs(values).mean(dtype=np.float64))


CALLBACKS = """
import os
os.environ["GLOG_minloglevel"] = "2"
import caffe, numpy as np
solver, seen = caffe.get_solver("solver.prototxt"), []
solver.net.copy_from("init.caffemodel")
blob = solver.net.params["fc"][0]
def note(kind):
    seen.append([kind, solver.iter, np.abs(blob.data).sum(), np.abs(blob.diff).sum()])
solver.add_callback(lambda: note(0), lambda: note(1))
solver.step(3)
np.save("seen.npy", seen)
"""


@pytest.mark.genuine
def test_callbacks_see_what_the_genuine_ones_see(tmp_path):
    """on_start before the first pass of an iteration, gradients cleared; on_gradient with their sum, not yet used."""
    folder = prepare(tmp_path, iter_size=2, clip_gradients=0.1, display=0, test_interval=1)
    genuine_python.run("-c", CALLBACKS, cwd=folder)
    seen: list[list[float]] = []
    with contextlib.chdir(folder):
        solver = Solver(read_solver("solver.prototxt"))
        solver.net.copy_trained_layers_from("init.caffemodel")
        blob = solver.net.layers[solver.net.layer_names.index("fc")].blobs[0]

        def note(kind: int) -> None:
            seen.append([kind, solver.iter, float(blob.data.abs().sum()), float(blob.diff.abs().sum())])

        solver.add_callback(lambda: note(0), lambda: note(1))
        solver.step(3)
    np.testing.assert_allclose(seen, np.load(folder / "seen.npy"), rtol=1e-4)
    assert [row[:2] for row in seen] == [[kind, i] for i in range(3) for kind in (0, 1)]
    assert all(row[3] == 0 for row in seen[::2])
