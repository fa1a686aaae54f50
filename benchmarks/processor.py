"""Processor time of a program: its own, and that of the processes that it started and waited for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from pycaffe_ext.errors import UserError
from pycaffe_ext.training.log import last_words

TICKS = os.sysconf("SC_CLK_TCK")
UTIME = 14 - 3  # of proc(5)'s fields, those after the name: utime, stime, cutime, cstime


@dataclass(frozen=True)
class Spent:
    """Seconds.   own : of the program itself.   others : of the processes it waited for.   wall : from start to end."""

    own: float
    others: float
    wall: float

    @property
    def processor(self) -> float:
        return self.own + self.others


def spent(command: Sequence[str | Path], log: Path) -> Spent:
    """Run a program to its end, its output in the file `log`; UserError with its last words if it fails."""
    began = perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    wall, own, others = perf_counter() - began, *_times(process.pid)
    if process.wait():
        raise UserError(f"{Path(command[0]).name} failed: {last_words(log.read_text(errors='replace').splitlines())}")
    return Spent(own, others, wall)


def _times(pid: int) -> tuple[float, float]:
    """Of a process that has ended and was not waited for: its own seconds, and those of its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[UTIME : UTIME + 4]
    user, system, users, systems = (int(field) / TICKS for field in fields)
    return user + system, users + systems
