"""Early-stopped training against a stand-in for caffe that follows a plan, and against the genuine one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import training_lab as lab
from patience import LONG, wait_until

from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import read_net, write_text
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.fit import Training, Validation, fit
from pycaffe_ext.training.score_model import from_train_val
from pycaffe_ext.training.table import read_rows, write_rows

RISE_AND_FALL = {"10": 0.6, "20": 0.8, "30": 0.7, "40": 0.8, "50": 0.9, "60": 0.5}


def run(folder, command, patience=2, max_iter=60, snapshot=10, **options):
    solver = lab.write_solver(folder, max_iter=max_iter, snapshot=snapshot)
    validation = Validation(folder / "score.prototxt", 11, 1, "fc8_polyp", 2)
    training = Training(solver, options.pop("weights", None), options.pop("epoch", 20.0), patience)
    options = {"progress": lambda *_: None} | options
    return fit(Caffe(command), folder / "run", training, validation, **options)


def names(folder):
    return sorted(path.name for path in (folder / "snapshots").iterdir())


def aucs(result):
    return {row.iteration: round(row.auc, 6) for row in result.rows}


@pytest.mark.parametrize("pause", [0, 0.02])
@pytest.mark.parametrize("scoring", [0, 0.2])
def test_stops_by_the_rule_whatever_the_timing(tmp_path, pause, scoring):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL, pause=pause, scoring=scoring, between=0.05)
    seen = []
    result = run(tmp_path, command, progress=lambda row, best: seen.append((row.iteration, best)))
    assert aucs(result) == {10: 0.6, 20: 0.8, 30: 0.7, 40: 0.8}
    assert (result.best.iteration, result.reason) == (20, "patience")
    assert seen == [(10, True), (20, True), (30, False), (40, False)]
    assert names(tmp_path) == [
        "solver_iter_20.caffemodel",
        "solver_iter_40.caffemodel",
        "solver_iter_40.solverstate",
    ]
    assert result.weights == tmp_path / "run" / "best.caffemodel"
    assert result.weights.read_bytes() == (tmp_path / "model.bin").read_bytes()


def test_runs_to_max_iter_and_scores_the_odd_last_snapshot(tmp_path):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL | {"55": 1.0})
    result = run(tmp_path, command, patience=None, max_iter=55)
    assert list(aucs(result)) == [10, 20, 30, 40, 50, 55]
    assert (result.best.iteration, result.reason) == (55, "max_iter")
    assert [row.epoch for row in result.rows][-1] == 55 / 20
    assert "Optimization Done." in (tmp_path / "run" / "train.log").read_text()
    losses = [1 / (1 + i) for i in range(50, 55)]
    assert result.rows[-1].train_loss == pytest.approx(sum(losses) / 5)
    assert read_rows(tmp_path / "run" / "auc.csv") == list(result.rows)


def test_keep_all_keeps_what_was_scored(tmp_path):
    result = run(tmp_path, lab.write_fake(tmp_path, aucs=RISE_AND_FALL), keep_all=True)
    kept = [name for name in names(tmp_path) if name.endswith("caffemodel")]
    assert kept == [f"solver_iter_{row.iteration}.caffemodel" for row in result.rows]


def test_repeat_after_the_end_calls_no_caffe(tmp_path):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL)
    first = run(tmp_path, command)
    before = lab.calls(tmp_path, "t")
    assert run(tmp_path, command) == first
    assert lab.calls(tmp_path, "t") == before


def test_more_patience_goes_on_from_the_newest_state(tmp_path):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL)
    run(tmp_path, command, patience=2)
    result = run(tmp_path, command, patience=3)
    assert (result.best.iteration, result.reason) == (50, "max_iter")
    assert "_iter_40.solverstate" in lab.calls(tmp_path, "train")[1]
    assert len(lab.calls(tmp_path, "test")) == 6


def at(resumed):
    return [snapshot and snapshot.iteration for snapshot in resumed]


def test_dead_caffe_is_reported_and_the_next_call_goes_on(tmp_path):
    command, resumed = lab.write_fake(tmp_path, aucs=RISE_AND_FALL, die_at=34), []
    with pytest.raises(UserError, match="before snapshot 40: Check failed: error == cudaSuccess .* out of memory"):
        run(tmp_path, command, patience=None, weights=Path("donor.caffemodel"), resumed=resumed.append)
    assert not resumed
    assert not (tmp_path / "run" / "best.caffemodel").exists()
    lab.write_fake(tmp_path, aucs=RISE_AND_FALL)
    result = run(tmp_path, command, patience=None, weights=Path("donor.caffemodel"), resumed=resumed.append)
    assert len(result.rows) == 6 and at(resumed) == [30]
    first, second = lab.calls(tmp_path, "train")
    assert "--weights=donor.caffemodel" in first and "--snapshot" not in first
    assert "_iter_30.solverstate" in second and "--weights" not in second
    assert len(lab.calls(tmp_path, "test")) == 6  # none twice


def test_what_dies_before_its_first_snapshot_begins_again(tmp_path):
    command, resumed = lab.write_fake(tmp_path, aucs=RISE_AND_FALL, die_at=4), []
    for _ in range(2):
        with pytest.raises(UserError, match="before snapshot 10"):
            run(tmp_path, command, resumed=resumed.append)
    lab.write_fake(tmp_path, aucs=RISE_AND_FALL)
    run(tmp_path, command, resumed=resumed.append)
    run(tmp_path, command, resumed=resumed.append)
    assert at(resumed) == [None, None]


@pytest.mark.parametrize("die_at", [0, 60])
def test_a_training_that_lost_nothing_is_not_resumed(tmp_path, die_at):
    """It had not begun, or all was trained and only scores were missing."""
    command, resumed = lab.write_fake(tmp_path, aucs=RISE_AND_FALL, die_at=die_at), []
    if die_at:
        run(tmp_path, command, patience=None, keep_all=True)
        rows = read_rows(tmp_path / "run" / "auc.csv")
        write_rows(tmp_path / "run" / "auc.csv", rows[:4])
    else:
        with pytest.raises(UserError):
            run(tmp_path, command)
        lab.write_fake(tmp_path, aucs=RISE_AND_FALL)
    assert len(run(tmp_path, command, patience=None, keep_all=True, resumed=resumed.append).rows) == 6
    assert not resumed


def test_cut_off_newest_state_is_skipped_with_a_warning(tmp_path, capsys):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL, die_at=34)
    with pytest.raises(UserError):
        run(tmp_path, command, patience=None, keep_all=True)
    (tmp_path / "snapshots" / "solver_iter_30.solverstate").write_bytes(b"\x08\x1e")
    lab.write_fake(tmp_path, aucs=RISE_AND_FALL)
    result = run(tmp_path, command, patience=None, keep_all=True)
    assert "warning: snapshot 30 is skipped: solver_iter_30.solverstate is cut off" in capsys.readouterr().err
    assert "_iter_20.solverstate" in lab.calls(tmp_path, "train")[1]
    assert aucs(result) == {int(i): auc for i, auc in RISE_AND_FALL.items()}
    assert len(lab.calls(tmp_path, "test")) == 7  # 30 was trained, and so scored, again


def test_nan_loss_stops_with_a_clear_error(tmp_path):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL, nan_at=23, wait_at=24)
    with pytest.raises(UserError, match="loss is nan at iteration 23 .* lower base_lr"):
        run(tmp_path, command)
    assert [row.iteration for row in read_rows(tmp_path / "run" / "auc.csv")] == [10, 20]
    assert not any("_iter_30" in name for name in names(tmp_path))


def test_nan_beyond_the_stopping_point_does_not_matter(tmp_path):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL, nan_at=41)
    assert run(tmp_path, command).best.iteration == 20


def test_a_missing_snapshot_is_named(tmp_path):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL, die_at=34)
    with pytest.raises(UserError):
        run(tmp_path, command, patience=None)
    (tmp_path / "run" / "auc.csv").unlink()
    with pytest.raises(UserError, match="snapshot 10 of .* is missing"):
        run(tmp_path, command, patience=None)


def test_another_solver_is_refused(tmp_path):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL)
    run(tmp_path, command)
    with pytest.raises(UserError, match="made with another solver"):
        run(tmp_path, command, snapshot=15)


SCRIPT = """
import sys
sys.path[:0] = {places!r}
from pathlib import Path
from tests.training.test_fit import run
from pycaffe_ext.errors import run_cli
run_cli(lambda: print(run(Path({folder!r}), {command!r}, patience=None).best.iteration))
"""


def start(folder, command):
    root = Path(__file__).resolve().parents[2]
    places = [str(root), str(root / "tests" / "lab")]
    script = SCRIPT.format(places=places, folder=str(folder), command=command)
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_goes_on_from_caffes_own_last_snapshot(tmp_path, number):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL, wait_at=34)
    process = start(tmp_path, command)
    wait_until(lambda: read_rows(tmp_path / "run" / "auc.csv")[1:])
    with pytest.raises(UserError, match="another process is training"):
        run(tmp_path, command)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=LONG)
    assert process.returncode == 128 + number
    assert "run the same command again to go on" in errors and "Traceback" not in errors
    stopped = max(int(name.split("_")[2].split(".")[0]) for name in names(tmp_path))
    assert stopped % 10, "the fake stops between two scheduled snapshots"
    lab.write_fake(tmp_path, aucs=RISE_AND_FALL)
    resumed = []
    result = run(tmp_path, command, patience=None, resumed=resumed.append)
    assert at(resumed) == [stopped]
    assert f"_iter_{stopped}.solverstate" in lab.calls(tmp_path, "train")[1]
    assert aucs(result) == {int(i): auc for i, auc in RISE_AND_FALL.items()}
    assert not any(f"_iter_{stopped}." in name for name in names(tmp_path))


def test_caffe_ends_with_a_killed_run_and_the_next_one_goes_on(tmp_path):
    command = lab.write_fake(tmp_path, aucs=RISE_AND_FALL, pause=0.05)
    process = start(tmp_path, ("sh", "-c", '"$@"; exit', "sh", *command))  # a wrapper that is not replaced by Caffe
    wait_until(lambda: "Iteration 13" in _text(tmp_path / "run" / "train.log"))
    process.kill()
    process.communicate()
    wait_until(lambda: _is_quiet(tmp_path / "run" / "train.log"))
    assert "Optimization Done" not in _text(tmp_path / "run" / "train.log")
    assert len(run(tmp_path, command, patience=None).rows) == 6
    assert "_iter_10.solverstate" in lab.calls(tmp_path, "train")[1]


def _is_quiet(path):
    """Whether nothing is written to a file for longer than the stand-in pauses."""
    before = _text(path)
    time.sleep(0.5)
    return _text(path) == before


def _text(path):
    return path.read_text() if path.exists() else ""


@pytest.mark.slow
@pytest.mark.parametrize("command", lab.ENGINES)
def test_engine_trains_and_resumes(tmp_path, command):
    lab.write_net(tmp_path)
    solver = lab.write_solver(tmp_path, max_iter=20)
    write_text(tmp_path / "score.prototxt", from_train_val(read_net(tmp_path / "net.prototxt"), tmp_path / "val"))
    validation = Validation(tmp_path / "score.prototxt", 50, 8, "fc8_polyp", 2)

    def go(solver):
        caffe = Caffe(command)
        return fit(caffe, tmp_path / "run", Training(solver, None, 10.0, None), validation, progress=lambda *_: None)

    whole = go(solver)
    assert [row.iteration for row in whole.rows] == [10, 20]
    assert whole.best.auc > 0.6
    tested = (tmp_path / "run" / "train.log").read_text().split("Iteration 20, Testing net")[1]
    assert float(tested.split("loss = ")[1].split()[0]) == pytest.approx(whole.rows[-1].validation_loss, abs=0.05)
    longer = lab.write_solver(tmp_path, max_iter=30)
    result = go(longer)
    assert result.rows[:2] == whole.rows and len(result.rows) == 3
    assert "Resuming from" in (tmp_path / "run" / "train.log").read_text()
