"""Shared by all tests: what is made once, what is ended with a test, what is left out, and the order of files."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pycaffe_ext import threads
from pycaffe_ext.genuine import root
from pycaffe_ext.tether import Tethered

# A shell that starts tests in the background has them ignore SIGINT, and every process that they start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Two processes run tests on two cores: what takes a thread or process for each core takes one. Tests whose subject is
# work by several ask for them.
os.environ.setdefault(threads.LIMIT, "1")

MISSING = "needs the genuine Caffe: `make caffe`"


# Collecting imports PyTorch, scikit-learn and the like and makes thousands of tests, which all stay: the garbage
# collector need not look through them meanwhile, nor ever again.
gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with many slow tests first: else one of two processes works on the last of them alone."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
    if not root.installed():
        for item in items:
            if item.get_closest_marker("genuine"):
                item.add_marker(pytest.mark.skip(reason=MISSING))


@pytest.fixture(autouse=True)
def ended_with_the_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test has started and left running, because it failed perhaps, is killed at its end."""
    started: list[subprocess.Popen] = []
    begin = subprocess.Popen.__init__

    def noted(process: subprocess.Popen, *args: object, **options: object) -> None:
        started.append(process)
        begin(process, *args, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    yield
    for process in started:
        if hasattr(process, "pid") and process.poll() is None and not hasattr(process, "serves_all_tests"):
            _kill(process)


def _kill(process: subprocess.Popen) -> None:
    """With its group, where it leads one."""
    with suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.wait()


@pytest.fixture(scope="session", autouse=True)
def warm_engine() -> Iterator[None]:
    """What starts the embedded engine has it started warm; `cold_engine` is for those whose subject is the start."""
    import warm_engine

    from pycaffe_ext.training import command

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(command, "Tethered", warm_engine.tethered)
        yield


@pytest.fixture(scope="session", autouse=True)
def small_detector() -> Iterator[None]:
    """Runs on frames in this process have a smaller detector than a user's; see `small.DETECTOR`."""
    import small

    with small.detector():
        yield


@pytest.fixture
def cold_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded engine is started as a user's is."""
    monkeypatch.setattr("pycaffe_ext.training.command.Tethered", Tethered)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """made_once(name, make): the folder that `make` fills, once for all processes of a test run; it is only read."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        place, done = shared / f"once-{name}", shared / f"once-{name}.done"
        with (shared / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                place.mkdir()  # where it failed before, it fails again, and says so
                make(place)
                done.touch()
        return place

    return folder


@pytest.fixture(scope="session")
def miniature(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """Synthetic sequences, 8 videos of 3 frames of 144 x 176: the least that is split, learned from and tested.

    A picture beside them is of no kind that is read.
    """
    from pycaffe_ext.data import synthetic

    def make(folder: Path) -> None:
        synthetic.write_sequences(folder / "frames", videos=8, frames=3, size=(144, 176), workers=1, progress=False)
        (folder / "frames" / "spare").mkdir()
        (folder / "frames" / "spare" / "x.heic").touch()

    return made_once("miniature", make) / "frames"


@pytest.fixture(scope="session")
def miniature_run(miniature: Path, made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A folder in which `polyp-ft-conv3` of the miniature ran once by the embedded engine, as runs/first.

    What the program printed is in `out`. Its settings: see training_lab.SMALL, and two epochs.
    """
    from programs import run_tool
    from training_lab import SMALL

    def make(folder: Path) -> None:
        order = ("polyp-ft-conv3", "--data", miniature, "--epochs", "2", *SMALL, "--run", "first")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("pycaffe_ext.training.command.Tethered", Tethered)  # the engine as a user starts it
            done = run_tool("train_and_test", *order, cwd=folder)
        assert done.returncode == 0, done.stderr
        (folder / "out").write_text(done.stdout)

    return made_once("run", make)
