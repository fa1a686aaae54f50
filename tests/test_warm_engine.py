"""The warm engine of the tests, tests/lab/warm_engine.py, ends, fails and is interrupted as the engine itself does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import training_lab as lab
import warm_engine
from patience import LONG, wait_until

COMMAND = (sys.executable, "-m", "pycaffe_ext")


def started(folder: Path, *arguments: str, popen: type[subprocess.Popen] = warm_engine.Popen) -> subprocess.Popen:
    """A command with what it says in the file `said` of `folder`, which is its working folder too."""
    with (folder / "said").open("wb") as said:
        return popen([*COMMAND, *arguments], cwd=folder, stdout=said, stderr=said, stdin=subprocess.DEVNULL)


def text(folder: Path) -> str:
    return (folder / "said").read_text()


def without_times(log: str) -> str:
    return re.sub(r"(?m)^I\d{4} [\d:.]{15} +\d+ ", "", log)


@pytest.mark.parametrize("arguments", [("--version",), ("trian",), ("test", "--model=none", "--weights=none"), ()])
def test_it_says_what_the_engine_says_and_ends_as_it_does(tmp_path, arguments):
    found = []
    for popen in (subprocess.Popen, warm_engine.Popen):
        process = started(tmp_path, *arguments, popen=popen)
        found.append((process.wait(LONG), without_times(text(tmp_path))))
    assert found[0] == found[1] and found[0][1]


@pytest.fixture
def training(tmp_path):
    """A folder in which a training without end has begun, its process and the pid of the fork that trains."""
    lab.write_net(tmp_path)
    solver = lab.write_solver(tmp_path, max_iter=10**6, snapshot=10**6)
    process = started(tmp_path, "train", f"--solver={solver}")
    wait_until(lambda: "Iteration 20 " in text(tmp_path) or process.poll() is not None)
    assert process.poll() is None, text(tmp_path)
    (line,) = (line for line in text(tmp_path).splitlines() if "Iteration 20 " in line)
    return tmp_path, process, int(line.split()[2])  # glog's third word


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_reaches_what_trains(training, number, status):
    folder, process, _ = training
    process.send_signal(number)
    assert process.wait(LONG) == status and "Traceback" not in text(folder)
    assert len(list(folder.glob("snapshots/*.solverstate"))) == (number == signal.SIGINT)


def test_what_trains_ends_with_what_stands_for_it(training):
    _, process, pid = training
    os.kill(pid, 0)
    process.kill()
    process.wait(LONG)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


def test_other_numbers_of_threads_and_other_programs_start_as_they_are():
    order = (*COMMAND, "--version")
    assert warm_engine.warm(order)[-1] == "--version" and warm_engine.warm(order) != order
    assert warm_engine.warm(order, {**os.environ, "OMP_NUM_THREADS": "7"}) == order
    assert warm_engine.warm(["sh", "-c", ""]) == ["sh", "-c", ""]
