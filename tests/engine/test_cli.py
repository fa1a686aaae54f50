"""`python -m pycaffe_ext` against `caffe`: commands, flags, signals, log lines."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from patience import LONG, wait_until
from solver_lab import (
    TRAIN,
    assert_same_messages,
    images,
    messages,
    prepare,
    run_genuine,
    run_ours,
    solver_text,
    write_lmdb,
)

from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root
from pycaffe_ext.proto import caffe_pb2, parse, read_message, write_weights

COMMAND = [sys.executable, "-m", "pycaffe_ext"]


@pytest.mark.genuine
def test_the_whole_training_log_says_the_same(tmp_path):
    """From reading the solver to the end; what Caffe's factory says twice and its filter's remarks are left out."""
    folder = prepare(tmp_path / "a")
    logs = [run(folder, *TRAIN) for run in (run_ours, run_genuine)]
    since = "Initializing solver from parameters"
    ours, theirs = (
        [t for t in messages(log, since) if not t.startswith(("The NetState", "Creating layer"))] for log in logs
    )
    start = theirs.index("Starting Optimization")
    assert ours[:start] == theirs[:start]
    for kind in ("Initializing solver from parameters: \n", "Initializing net from parameters: \n"):
        texts = [re.findall(re.escape(kind) + r"(.*?)\nI\d{4} ", log, re.S) for log in logs]
        assert texts[0] == texts[1]


@pytest.mark.genuine
def test_caffe_test_says_the_same(tmp_path):
    folder = prepare(tmp_path / "a")
    net = (folder / "net.prototxt").read_text()
    (folder / "net.prototxt").write_text(
        net + 'layer { name: "p" type: "Softmax" bottom: "fc" top: "p" include { phase: TEST stage: "score" } }\n'
    )
    arguments = ("test", "-model", "net.prototxt", "-weights=init.caffemodel", "--iterations", "9", "-stage=score")
    ours, theirs = run_ours(folder, *arguments), run_genuine(folder, *arguments)
    assert_same_messages(ours, theirs, since="Running for 9 iterations", rtol=1e-4)
    assert sum("p = " in line for line in messages(ours, "Running")) == 9 * 12 + 12


@pytest.mark.genuine
def test_caffe_time_says_the_same_but_for_the_times(tmp_path):
    folder = prepare(tmp_path / "a")
    arguments = ("time", "--model=net.prototxt", "-iterations=2", "-phase", "TEST")
    lines = [
        [re.sub(r"[-+.e\d]+", "N", line) for line in messages(run(folder, *arguments), "Performing Forward")]
        for run in (run_ours, run_genuine)
    ]
    assert lines[0] == lines[1]
    assert any("conv\tbackward" in line for line in lines[0])


@pytest.mark.genuine
def test_resuming_and_fine_tuning_say_the_same(tmp_path):
    folder = prepare(tmp_path / "a", test_interval=5)
    run_ours(folder, *TRAIN)
    resume = ("train", "-solver=solver.prototxt", "-snapshot=snap_iter_10.solverstate")
    logs = [run(folder, *resume) for run in (run_ours, run_genuine)]
    assert_same_messages(*logs, since="Solver scaffolding done.", rtol=1e-3)
    net = (folder / "net.prototxt").read_text()
    (folder / "net.prototxt").write_text(net.replace('name: "fc"', 'name: "fc_new"'))
    both = ("train", "-solver", "solver.prototxt", "-weights", "init.caffemodel,init.caffemodel")
    texts = [
        [line for line in messages(run(folder, *both), "Initializing solver") if re.search("^Fine|^Ignor", line)]
        for run in (run_ours, run_genuine)
    ]
    assert texts[0] == texts[1] and "Ignoring source layer fc" in texts[0]


@pytest.mark.parametrize("engine", ["ours", pytest.param("genuine", marks=pytest.mark.genuine)])
def test_sighup_snapshots_and_sigint_stops_with_a_snapshot(engine, tmp_path):
    folder = prepare(tmp_path / "a", max_iter=100_000_000, display=None, test_interval=100_000_000, snapshot=100)
    program = COMMAND if engine == "ours" else [root.command("caffe")]
    log = folder / "log"
    with log.open("w") as file:
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen([*program, *TRAIN], cwd=folder, stderr=file, env=one_thread)
        try:
            wait_until(lambda: process.poll() is not None or (folder / "snap_iter_100.solverstate").exists())
            process.send_signal(signal.SIGHUP)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            assert process.wait(LONG) == 0
        finally:
            process.kill()
    text = log.read_text()
    assert messages(text)[-2:] == ["Optimization stopped early.", "Optimization Done."]
    written = [int(i) for i in re.findall(r"solver state to binary proto file snap_iter_(\d+)\.solverstate", text)]
    asked = [i for i in written if i % 100]
    assert 1 <= len(asked) <= 2 and written == sorted(set(written))
    last = read_message(folder / f"snap_iter_{written[-1]}.solverstate", caffe_pb2.SolverState())
    assert last.iter == written[-1]


def test_sigint_may_snapshot_and_go_on(tmp_path):
    """-sigint_effect=snapshot, -sighup_effect=none: the run is not stopped, and one snapshot more is there."""
    few = {"display": None, "test_interval": 1000, "snapshot": None, "snapshot_prefix": '"s"'}
    folder = prepare(tmp_path / "a", max_iter=600, **few)
    flags = ("-sigint_effect=snapshot", "-sighup_effect", "none")
    original, sent = Solver.iterate, []

    def iterate(self, start):
        if self.iter == 300:
            sent.extend(os.kill(os.getpid(), number) for number in (signal.SIGHUP, signal.SIGINT))
        original(self, start)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Solver, "iterate", iterate)
        log = run_ours(folder, *TRAIN, *flags)
    assert len(sent) == 2 and "Optimization Done." in log
    assert {path.stem for path in folder.glob("s_*.solverstate")} == {"s_iter_301", "s_iter_600"}


WRONG = {
    "unknown command": (["trian"], "did you mean 'train'"),
    "unknown flag": (["train", "-solvr=x"], "-solvr=x"),
    "no solver": (["train"], "--solver=FILE"),
    "no such solver": (["train", "-solver=nosuch.prototxt"], "nosuch.prototxt"),
    "snapshot and weights": ([*TRAIN, "--snapshot=x"], "not both"),
    "effect": ([*TRAIN, "--sigint_effect=halt"], "snapshot, stop, none"),
    "no such snapshot": (["train", "-solver=solver.prototxt", "-snapshot=no.solverstate"], "no.solverstate"),
    "no such weights": (["train", "-solver=solver.prototxt", "-weights=no.caffemodel"], "no.caffemodel"),
    "truncated weights": (["test", "-model=net.prototxt", "-weights=cut.caffemodel"], "cut.caffemodel"),
    "no weights": (["test", "-model=net.prototxt"], "--weights=FILE"),
    "no model": (["time"], "--model=FILE"),
    "phase": (["time", "-model=net.prototxt", "-phase=train"], "TRAIN, TEST"),
    "iterations": (["test", "-model=net.prototxt", "-weights=init.caffemodel", "-iterations=x"], "iterations"),
    "no iterations": (["time", "-model=net.prototxt", "-iterations=0"], "at least 1"),
}


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_mistakes_are_told_in_one_line(arguments, message, tmp_path):
    folder = prepare(tmp_path / "a")
    (folder / "cut.caffemodel").write_bytes((folder / "init.caffemodel").read_bytes()[:-9])
    with pytest.raises(UserError, match=message) as caught:
        run_ours(folder, *arguments)
    assert "\n" not in str(caught.value)


def test_a_gpu_that_is_not_there_is_refused(tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    folder = prepare(tmp_path / "a")
    for flags in ([*TRAIN, "-gpu=0"], [*TRAIN, "-gpu", "all"], ["device_query", "-gpu", "0"]):
        with pytest.raises(UserError, match="no CUDA device"):
            run_ours(folder, *flags)
    (folder / "solver.prototxt").write_text(solver_text(solver_mode="GPU"))
    with pytest.raises(UserError, match="no CUDA device"):
        run_ours(folder, *TRAIN)


def test_errors_exit_with_one_and_one_line(tmp_path):
    command = [*COMMAND, "train", "-solver", "no"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 1 and run.stderr.startswith("error: no:") and run.stderr.count("\n") == 1


def test_help_answers_at_once_and_without_torch():
    before = os.times()
    run = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    after = os.times()
    worked = after.children_user + after.children_system - before.children_user - before.children_system
    assert "-solver" in run.stdout and worked < 1.5  # 0.15 s on an idle machine
    code = "import sys; from pycaffe_ext.engine.cli import main; main(['--version']); print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith("caffe version 1.0.0") and out.endswith("False\n")


def test_a_hundred_thousand_values_are_logged_in_seconds(tmp_path):
    pixels, labels = images(100, (1, 10, 10))
    write_lmdb(tmp_path / "db", pixels, labels)
    text = (
        'layer { name: "d" type: "Data" top: "x" data_param { source: "db" batch_size: 100 backend: LMDB } }'
        ' layer { name: "s" type: "Softmax" bottom: "x" top: "y" }'
    )
    (tmp_path / "net.prototxt").write_text(text)
    net = parse('layer { name: "s" type: "Softmax" }', caffe_pb2.NetParameter())
    write_weights(tmp_path / "w.caffemodel", net)
    start = time.process_time()
    log = run_ours(tmp_path, "test", "-model=net.prototxt", "-weights=w.caffemodel", "-iterations=10")
    assert time.process_time() - start < 5
    assert log.count("] Batch ") == 100_000
