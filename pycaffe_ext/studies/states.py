"""What is known of each run of a grid while it works: a state file and the output, in the study's folder.

STATES/RUN.json says what the latest attempt came to, STATES/RUN.log what it printed.  Who carries a run out holds
STATES/RUN.lock, so that two workers never have the same run, and so that a state file of a worker that was killed is
recognised: nothing holds its lock.
"""

from __future__ import annotations

import fcntl
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep, time
from typing import IO

from pycaffe_ext import parts
from pycaffe_ext.files import read_json, write_json
from pycaffe_ext.strings import decode

STATES = "states"
RUNNING, FINISHED, FAILED, STOPPED = "running", "finished", "failed", "stopped"
POLL = 0.2  # seconds between two tries to take a lock
LAST = 4000  # bytes of the output in which its last line is looked for


@dataclass(frozen=True)
class State:
    """name : of the run.   state : running, finished, failed, or stopped (interrupted).   last : line of its output.
    seconds : of this attempt, so far.   began : seconds since 1970."""

    name: str
    state: str
    host: str
    began: float
    seconds: float = 0.0
    attempts: int = 1
    last: str = ""


@dataclass(frozen=True)
class Place:
    """Where the state of a run lies; folder : of the study."""

    folder: Path
    name: str

    @property
    def log(self) -> Path:
        return self.folder / STATES / f"{self.name}.log"

    @property
    def file(self) -> Path:
        return self.folder / STATES / f"{self.name}.json"

    @property
    def lock(self) -> Path:
        return self.folder / STATES / f"{self.name}.lock"

    def read(self) -> State | None:
        """The latest state; that of a worker which was killed is "stopped".  None if there is none yet."""
        with suppress(OSError, ValueError, TypeError):
            found = State(**read_json(self.file))
            if found.state == RUNNING and not self._held():
                return State(**{**asdict(found), "state": STOPPED})
            return found
        return None

    def write(self, state: State) -> None:
        write_json(self.file, asdict(state), sweep=False)

    def begin(self) -> State:
        """Write that an attempt begins."""
        before = self.read()
        state = State(self.name, RUNNING, platform.node(), time(), attempts=before.attempts + 1 if before else 1)
        self.write(state)
        return state

    def last_line(self) -> str:
        """The last line of the output, without "error: "."""
        with suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - LAST))
            lines = [line.strip() for line in decode(file.read()).splitlines() if line.strip()]
            return lines[-1].removeprefix("error: ") if lines else ""
        return ""

    @contextmanager
    def claimed(self, patience: float = 0.0) -> Iterator[bool]:
        """Hold the run for the block; False where another worker still has it after `patience` seconds."""
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        with self.lock.open("a") as file:
            until = monotonic() + patience
            while not (mine := _taken(file)) and monotonic() < until:
                sleep(POLL)
            yield mine

    def _held(self) -> bool:
        with suppress(OSError), self.lock.open("a") as file:
            return not _taken(file, fcntl.LOCK_SH)
        return False


def sweep(study: Path) -> None:
    """Remove what killed processes have left half written among the states; study : its folder.

    Once for a study: a state is written twice a run, and to list all states each time would take longer with each run.
    """
    if (study / STATES).is_dir():
        parts.sweep(study / STATES)


def _taken(file: IO[str], kind: int = fcntl.LOCK_EX) -> bool:
    """Whether the lock could be taken."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
