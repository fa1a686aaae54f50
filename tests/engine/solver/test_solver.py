"""The embedded engine's solvers against the genuine Caffe: weights, histories, log lines, refusals."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from oracle import refusals
from solver_lab import (
    TRAIN,
    assert_same_messages,
    assert_same_state,
    assert_same_weights,
    prepare,
    run_genuine,
    run_ours,
    solver_text,
)

from pycaffe_ext.engine.solver.lr_policy import learning_rate
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse, read_blobs

FROZEN = "param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 }"
SETTINGS = {
    "step": {},
    "fixed": {"lr_policy": '"fixed"'},
    "exp": {"lr_policy": '"exp"', "gamma": 0.9},
    "inv": {"lr_policy": '"inv"', "gamma": 0.1, "power": 0.75},
    "multistep": {"lr_policy": '"multistep"', "stepvalue": [3, 11]},
    "poly": {"lr_policy": '"poly"', "power": 1.5},
    "sigmoid": {"lr_policy": '"sigmoid"', "gamma": 0.3, "stepsize": 10},
    "no momentum, no decay": {"momentum": None, "weight_decay": None},
    "L1": {"regularization_type": '"L1"'},
    "iter_size": {"iter_size": 3},
    "clipping": {"clip_gradients": 0.05},
    "clipping and iter_size": {"clip_gradients": 0.3, "iter_size": 2},
    "no test at start": {"test_initialization": "false", "test_compute_loss": "true"},
    "Nesterov": {"type": '"Nesterov"'},
    "AdaGrad": {"type": '"AdaGrad"', "momentum": None},
    "RMSProp": {"type": '"RMSProp"', "momentum": None, "rms_decay": 0.95, "base_lr": 0.005},
    "AdaDelta": {"type": '"AdaDelta"', "delta": 1e-6, "base_lr": 1},
    "Adam": {"type": '"Adam"', "base_lr": 0.01},
    "old solver_type": {"solver_type": "ADAGRAD", "momentum": None},
}


@pytest.mark.genuine
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_weights_histories_and_log_are_the_genuine_ones(settings, tmp_path):
    ours, theirs = prepare(tmp_path / "ours", **settings), tmp_path / "theirs"
    shutil.copytree(ours, theirs)
    assert_same_messages(run_ours(ours, *TRAIN), run_genuine(theirs, *TRAIN), rtol=1e-3)
    assert_same_weights(ours / "snap_iter_20.caffemodel", theirs / "snap_iter_20.caffemodel", 1e-4)
    assert_same_state(ours / "snap_iter_20.solverstate", theirs / "snap_iter_20.solverstate", 1e-3)


@pytest.mark.genuine
def test_frozen_layers_stay_and_keep_their_place_in_the_solverstate(tmp_path):
    ours, theirs = prepare(tmp_path / "ours", params=FROZEN), tmp_path / "theirs"
    shutil.copytree(ours, theirs)
    run_ours(ours, *TRAIN)
    run_genuine(theirs, *TRAIN)
    assert_same_weights(ours / "snap_iter_20.caffemodel", theirs / "snap_iter_20.caffemodel", 1e-4)
    assert_same_state(ours / "snap_iter_20.solverstate", theirs / "snap_iter_20.solverstate", 1e-4)
    before, after = read_blobs(ours / "init.caffemodel"), read_blobs(ours / "snap_iter_20.caffemodel")
    assert all(np.array_equal(a, b) for a, b in zip(before["conv"], after["conv"], strict=True))


@pytest.mark.genuine
@pytest.mark.parametrize("format", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("first, second", [("ours", "theirs"), ("theirs", "ours")])
def test_a_snapshot_of_one_engine_resumes_in_the_other(format, first, second, tmp_path):
    run = {"ours": run_ours, "theirs": run_genuine}
    folder = prepare(tmp_path / "a", snapshot_format=format)
    ending = ".h5" if format == "HDF5" else ""
    run[first](folder, *TRAIN)
    last = tmp_path / ("last.caffemodel" + ending)
    (folder / f"snap_iter_20.caffemodel{ending}").rename(last)
    resume = ("train", "--solver", "solver.prototxt", "-snapshot", f"snap_iter_10.solverstate{ending}")
    log = run[second](folder, *resume)
    assert "Resuming from snap_iter_10.solverstate" in log
    # The reader starts at the first record again in both engines, so the runs part; the same resumption must not.
    resumed = tmp_path / ("resumed.caffemodel" + ending)
    (folder / f"snap_iter_20.caffemodel{ending}").rename(resumed)
    again = run[first](folder, *resume)
    assert_same_weights(folder / f"snap_iter_20.caffemodel{ending}", resumed, 1e-4)
    assert_same_messages(again, log, rtol=1e-3)


@pytest.mark.genuine
def test_two_test_nets_with_states_and_stages(tmp_path):
    folder = prepare(tmp_path / "a", test_iter=[2, 4], test_state=['{ stage: "deep" }', "{ level: 1 }"])
    net = (folder / "net.prototxt").read_text()
    extra = 'layer {{ name: "{0}" type: "Softmax" bottom: "fc" top: "{0}" include {{ phase: TEST {1} }} }}\n'
    (folder / "net.prototxt").write_text(net + extra.format("p", 'stage: "deep"') + extra.format("q", "min_level: 1"))
    ours, theirs = run_ours(folder, *TRAIN), run_genuine(folder, *TRAIN)
    assert "Testing net (#1)" in ours and ": p = " in ours and ": q = " in ours
    assert_same_messages(ours, theirs, rtol=1e-3)


@pytest.mark.genuine
@pytest.mark.parametrize(
    "settings",
    [
        {"test_iter": 0},
        {"test_iter": 0, "test_compute_loss": "true"},
        {"test_iter": -1, "test_compute_loss": "true"},
        {"test_iter": [0, 2], "test_state": ["{}", "{}"]},
    ],
    ids=str,
)
def test_without_test_batches_training_goes_on(settings, tmp_path):
    folder = prepare(tmp_path / "a", test_interval=2, max_iter=4, **settings)
    ours, theirs = run_ours(folder, *TRAIN), run_genuine(folder, *TRAIN)
    assert "Iteration 4, Testing net (#0)" in ours
    assert_same_messages(ours, theirs.replace("Test loss: -nan", "Test loss: nan"), rtol=1e-3)


@pytest.mark.parametrize("settings", refusals.SOLVERS.values(), ids=refusals.SOLVERS)
def test_what_caffe_refuses_is_refused_in_one_line(settings, tmp_path):
    folder = prepare(tmp_path / "a")
    (folder / "solver.prototxt").write_text(solver_text(**settings))
    with pytest.raises(UserError) as caught:
        run_ours(folder, *TRAIN)
    assert len(str(caught.value)) > 15
    assert not list(folder.glob("snap*"))


def test_a_bad_solverstate_is_refused(tmp_path):
    folder = prepare(tmp_path / "a", snapshot_format="HDF5")
    run_ours(folder, *TRAIN)
    (folder / "solver.prototxt").write_text(solver_text())
    run_ours(folder, *TRAIN)
    for name in ("snap_iter_10.solverstate", "snap_iter_10.solverstate.h5"):
        whole = (folder / name).read_bytes()
        for size in (0, 20, len(whole) // 2, len(whole) - 3):
            (folder / name).write_bytes(whole[:size])
            with pytest.raises(UserError, match=name):
                run_ours(folder, "train", "-solver", "solver.prototxt", "-snapshot", name)
        (folder / name).write_bytes(whole)
    resume = ("train", "-solver", "solver.prototxt", "-snapshot", "snap_iter_10.solverstate")
    (folder / "solver.prototxt").write_text(solver_text(type='"Adam"'))
    with pytest.raises(UserError, match="4 histories.* 8"):
        run_ours(folder, *resume)
    (folder / "solver.prototxt").write_text(solver_text())
    net = (folder / "net.prototxt").read_text()
    (folder / "net.prototxt").write_text(net.replace("num_output: 4", "num_output: 5"))
    with pytest.raises(UserError, match="history 0 has shape"):
        run_ours(folder, *resume)
    (folder / "net.prototxt").write_text(net)
    (folder / "snap_iter_10.caffemodel").unlink()
    with pytest.raises(UserError, match="weights .* missing"):
        run_ours(folder, *resume)


def test_the_same_seed_repeats_a_run_exactly(tmp_path):
    runs = [prepare(tmp_path / name, random_seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6))]
    for folder in runs:
        run_ours(folder, "train", "--solver=solver.prototxt")
    a, b, c = ((folder / "snap_iter_20.caffemodel").read_bytes() for folder in runs)
    assert a == b != c


def test_rates_of_table_two():
    param = parse('base_lr: 0.001 lr_policy: "step" gamma: 0.95 stepsize: 313', caffe_pb2.SolverParameter())
    rates = [learning_rate(param, i) for i in (0, 312, 313, 626)]
    np.testing.assert_allclose(rates, [0.001, 0.001, 0.00095, 0.0009025], rtol=1e-6)
