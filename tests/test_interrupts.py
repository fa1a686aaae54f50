"""Programs that are ended in their course: no process is left, no traceback, the status that shells expect."""

import os
import signal
import subprocess
import sys
import time
import weakref
from contextlib import suppress
from pathlib import Path

import pytest
import training_lab as lab
from patience import LONG, wait_until

from pycaffe_ext import threads
from pycaffe_ext.interrupts import status_of, terminated_as_interrupted
from pycaffe_ext.tether import Tethered

ROOT = Path(__file__).resolve().parents[1]
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
SLEEPERS = f"""
import sys, time
sys.path[:0] = {[str(ROOT), str(ROOT / "tests" / "lab")]!r}
from concurrent.futures import ProcessPoolExecutor
from tests import test_interrupts
from pycaffe_ext.errors import run_cli
from pycaffe_ext.processes import map_processes

class Late(ProcessPoolExecutor):  # the pool's thread sees the death of its processes before it is told to end
    def shutdown(self, *args, **options):
        time.sleep(0.5)
        super().shutdown(*args, **options)

if __name__ == "__main__":
    map_processes.__globals__["ProcessPoolExecutor"] = Late
    run_cli(lambda: list(map_processes(test_interrupts.sleep, [sys.argv[1]] * 9, "sleep", 2, chunk=1)) and 0)
"""


def sleep(folder: str) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


def start(folder: Path, *order: object, **options) -> subprocess.Popen:
    """A program in a session of its own, what it says in the file `said`."""
    with (folder / "said").open("wb") as said:
        return subprocess.Popen(
            list(map(str, order)), stdout=said, stderr=said, cwd=folder, start_new_session=True, **options
        )


def members(session: int) -> list[str]:
    """Command lines of the living processes of a session."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, own = (process / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(own) == session and state != "Z":
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def end(process: subprocess.Popen, number: int) -> None:
    """Send a signal as it comes (Ctrl-C: to everyone), wait until no process is left."""
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.wait(LONG)
    wait_until(lambda: not members(process.pid))


@pytest.mark.parametrize("number", STATUS)
@pytest.mark.parametrize("moment", ["starting", "working"])
def test_workers_end_with_their_parent(tmp_path, number, moment):
    (tmp_path / "at").mkdir()
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    process = start(tmp_path, sys.executable, "sleepers.py", tmp_path / "at", env={**os.environ, "PYTHONPATH": ROOT})
    if moment == "working":
        wait_until(lambda: len(list((tmp_path / "at").iterdir())) == 2)
    else:
        wait_until(lambda: any("spawn_main" in line for line in members(process.pid)))
    end(process, number)
    assert process.returncode == STATUS[number], (tmp_path / "said").read_text()
    if number != signal.SIGKILL:  # after it an interpreter that is still starting says itself that its parent is gone
        said = (tmp_path / "said").read_text()
        assert said == "error: interrupted; run the same command again to go on\n"


def test_a_worker_that_fails_or_is_killed_ends_the_others(tmp_path):
    (tmp_path / "at").mkdir()
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    process = start(tmp_path, sys.executable, "sleepers.py", tmp_path / "at", env={**os.environ, "PYTHONPATH": ROOT})
    wait_until(lambda: len(list((tmp_path / "at").iterdir())) == 2)
    os.kill(int(next((tmp_path / "at").iterdir()).name), signal.SIGKILL)
    process.wait(LONG)
    assert process.returncode == 1 and "sleep: a process was killed" in (tmp_path / "said").read_text()
    wait_until(lambda: not members(process.pid))


def test_a_tethered_command_takes_its_helpers_with_it(tmp_path):
    script = "trap '' INT TERM; sleep 601 & sleep 602; exit"
    with Tethered(["/bin/sh", "-c", script]) as process:
        wait_until(lambda: sum("sleep 60" in line for line in _group(process)) == 3)  # the script and both
        process.send_to_all(signal.SIGTERM)
        assert process.poll() is None
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: not _group(process))
    with pytest.raises(FileNotFoundError), Tethered(["no-such-command"]):
        pass


def _group(process: Tethered) -> list[str]:
    group, found = process._guard.pid, []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, own = (path / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(own) == group and state != "Z":
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return [line for line in found if "read _" not in line]


def python_for_make(folder: Path) -> Path:
    """A virtual environment whose python is this one."""
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (folder / ".ready").touch()
    return folder


RUN = ("PATCHES=1000", "TEST_VIEWS=1", "BATCH=16", "EPOCHS=8", "PATIENCE=8", "RUN=one")
STAGES = (  # what is there as soon as a stage has begun, and what comes then
    (lambda runs, lines: any("spawn_main" in line for line in lines), signal.SIGINT),  # the detector
    (lambda runs, lines: list(runs.rglob(".train_lmdb.*.part")), signal.SIGKILL),
    (lambda runs, lines: "Iteration 20 " in _text(runs / "one" / "train.log"), signal.SIGTERM),
    (lambda runs, lines: any("score_val.prototxt" in line for line in lines), signal.SIGKILL),
)


@pytest.mark.slow
def test_a_run_that_is_ended_at_every_stage_leaves_nothing_and_goes_on(miniature, tmp_path):
    """Started by make, as a user does; Ctrl-C goes to everybody, the others to the program that make has started."""
    runs = tmp_path / "runs"
    order = (
        "make",
        "-s",
        "-C",
        ROOT,
        "polyp-ft-conv1",
        f"VENV={python_for_make(tmp_path / 'venv')}",
        f"DATA={miniature}",
        f"RUNS={runs}",
        *RUN,
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", threads.LIMIT: "2"}
    left = []
    for begun, number in STAGES:
        process = start(tmp_path, *order, env=environment)
        wait_until(lambda: process.poll() is not None or begun(runs, members(process.pid)))  # noqa: B023
        assert process.poll() is None, _text(tmp_path / "said")
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            os.kill(_program(process.pid), number)
        process.wait(LONG)
        wait_until(lambda: not members(process.pid))  # noqa: B023
        said = _text(tmp_path / "said")
        assert process.returncode and "Traceback" not in said
        assert not left or "removed what processes that were killed had half written" in said
        left = list(runs.rglob("*.part"))
        assert number == signal.SIGKILL or (not left and "interrupted; run the same command again to go on" in said)
        assert number != signal.SIGTERM or "Error 143" in said


def _program(session: int) -> int:
    """The pid of tools/train_and_test.py."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (path / "cmdline").read_bytes().split(b"\0")
            if os.getsid(int(path.name)) == session and b"tools/train_and_test.py" in words[1:2]:
                return int(path.name)
    raise AssertionError("not running")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_that_a_finalizer_swallows_comes_again(number):
    class Interrupting:
        pass

    with pytest.raises(KeyboardInterrupt) as caught, terminated_as_interrupted():
        for _ in range(3):
            one = Interrupting()
            weakref.finalize(one, signal.raise_signal, number)
            del one  # the handler runs, and raises, in the finalizer
        time.sleep(60)
    assert status_of(caught.value) == STATUS[number]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_engine_ends_by_the_signals_that_caffe_ends_by(tmp_path, number):
    lab.write_net(tmp_path)
    solver = lab.write_solver(tmp_path, max_iter=100_000, snapshot=100_000)
    process = start(
        tmp_path,
        sys.executable,
        "-m",
        "pycaffe_ext",
        "train",
        f"--solver={solver}",
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    wait_until(lambda: "Iteration 20 " in _text(tmp_path / "said"))
    end(process, number)
    said = _text(tmp_path / "said")
    assert "Traceback" not in said
    stopped = list(tmp_path.glob("snapshots/*.solverstate"))
    assert process.returncode == (0 if number == signal.SIGINT else 143)  # SIGINT: a snapshot, in order
    assert len(stopped) == (number == signal.SIGINT)
