"""Runs checks, each in a process of its own, within their budgets and one deadline for all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic

from gpucheck.checks import RIGHT, Check, Finding
from pycaffe_ext.training.log import last_words

AT_ONCE = 4  # checks that share the GPU, where nothing is timed
GRACE = 5.0  # seconds under which no check is begun
SECTIONS = {RIGHT: 210.0}  # seconds that a section may take, so that the next one has its time
MARK = "GPU_CHECK"  # the variable by which the programs that a check has started are found

Command = Callable[[Check, Path, float], Sequence[str]]


@dataclass(frozen=True)
class Done:
    """A check that was run, or was left out for want of time."""

    check: Check
    finding: Finding
    seconds: float
    left_out: bool = False


class Deadline:
    """`seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._end = seconds, monotonic() + seconds

    def left(self) -> float:
        return self._end - monotonic()


def run_all(
    checks: Sequence[Check], command: Command, deadline: Deadline, ended: Callable[[Done, list[Done]], None]
) -> list[Done]:
    """Run them all, those together that may be, then one after another, and return them in the order of `checks`.

    command : the words that run a check in a process of its own, which is to write its finding to the given file
    ended : called as each ends, never twice at once, with it and with all that have ended, in the order of `checks`
    """
    shared = [check for check in checks if not check.alone]
    rest = [check for check in checks if check.alone]
    sections = {name: Deadline(min(seconds, deadline.left())) for name, seconds in SECTIONS.items()}
    order = {check.name: i for i, check in enumerate(checks)}
    so_far: list[Done] = []
    one_at_a_time = Lock()

    def run(check: Check) -> None:
        done = run_one(check, command, sections.get(check.section, deadline))
        with one_at_a_time:
            so_far.append(done)
            so_far.sort(key=lambda done: order[done.check.name])
            ended(done, so_far)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(run, shared))
    for check in rest:
        run(check)
    return so_far


def run_one(check: Check, command: Command, deadline: Deadline) -> Done:
    """Run a check; it is killed at the end of its budget, and a crash is a finding."""
    seconds = min(check.seconds, deadline.left())
    if seconds < GRACE:
        return Done(check, Finding(f"the {deadline.seconds:.0f} s are over"), 0.0, left_out=True)
    started = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "finding.json"
        threads = {} if check.alone else {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // AT_ONCE))}
        said, late = _watched(command(check, file, seconds), seconds, threads)
        took = monotonic() - started
        if file.exists():
            return Done(check, Finding(**json.loads(file.read_text())), took)
    words = f"not done after its {seconds:.0f} s" if late else f"died: {last_words(said)}"
    return Done(check, Finding(words, False, notes=said[-5:]), took)


def _watched(words: Sequence[str], seconds: float, environment: dict[str, str]) -> tuple[list[str], bool]:
    """The lines that a program says, and whether it had to be killed, with all that it started."""
    mark = uuid.uuid4().hex
    with tempfile.TemporaryFile() as log:  # no pipe, which a program that is left behind would keep open
        process = subprocess.Popen(
            words,
            env={**os.environ, **environment, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            process.wait(seconds)
            late = False
        except subprocess.TimeoutExpired:
            late = True
        finally:
            _kill_marked(mark)
            process.wait()
        log.seek(0)
        return log.read().decode(errors="replace").splitlines(), late


def _kill_marked(mark: str) -> None:
    """End every program that has this mark in its environment, whatever its session."""
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in (place / "environ").read_bytes().split(b"\0"):
                os.kill(int(place.name), signal.SIGKILL)


def line(done: Done) -> str:
    """The progress line of a check."""
    mark = "left out" if done.left_out else {True: "ok", False: "FAILED", None: "noted"}[done.finding.ok]
    return f"{mark:8} {done.check.section:5} {done.check.name:14} {done.seconds:5.1f} s  {done.finding.said}"
