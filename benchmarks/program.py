"""Programs under the stopwatch: run to their end, or held between two lines of their log."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import IO

from benchmarks.rows import ROOT
from pycaffe_ext.errors import UserError
from pycaffe_ext.tether import Tethered
from pycaffe_ext.training.log import last_words

LIMIT = 900  # seconds that a program may live, so that one that hangs does not block the table
KEPT_LINES = 50


def peak_of(pid: int) -> float:
    """The largest resident memory of a living program until now, in MiB: Linux's VmHWM, which starts with the program,
    where ru_maxrss begins with that of its parent."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    assert found is not None, "Linux says it of every process"
    return int(found[1]) / 1024


class Program:
    """A running program, read line by line (standard output and error together); use it in a `with`.

    Between two calls of `until` it stands still (SIGSTOP), so that two of them can share the cores in turns without
    either working ahead. It is killed at the end of the `with`, or after LIMIT seconds.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        *,
        limit: float = LIMIT,
        kept: int = KEPT_LINES,
    ) -> None:
        self.command = [str(word) for word in command]
        self.said: deque[str] = deque(maxlen=kept)
        self._limit = limit
        self._environment = environment

    def __enter__(self) -> Program:
        try:
            self._process = Tethered(
                self.command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise UserError(f"`{self.command[0]}` can't be started: {os.strerror(error.errno or 0).lower()}") from None
        self._watchdog = threading.Timer(self._limit, self._process.send_to_all, [signal.SIGKILL])
        self._watchdog.daemon = True
        self._watchdog.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self._process.end()
        self._output.close()

    @property
    def _output(self) -> IO[bytes]:
        output = self._process.stdout
        assert output is not None, "it is a pipe"
        return output

    def until(self, pattern: str, count: int = 1) -> float:
        """Let it run on until `count` more lines match; returns the seconds. UserError if it ends before that."""
        started = perf_counter()
        self._process.send_to_all(signal.SIGCONT)
        while count:
            line = self._output.readline()
            if not line:
                raise self._failure()
            self.said.append(line.decode(errors="replace").rstrip())
            count -= bool(re.search(pattern, self.said[-1]))
        seconds = perf_counter() - started
        self._process.send_to_all(signal.SIGSTOP)
        return seconds

    def finish(self) -> str:
        """Read it to its end; returns its last lines. UserError if it fails."""
        for line in self._output:
            self.said.append(line.decode(errors="replace").rstrip())
        self._process.wait()
        if self._process.returncode:
            raise self._failure()
        return "\n".join(self.said)

    def peak(self) -> float:
        """The largest resident memory that it had until now, in MiB."""
        return peak_of(self._process.pid)

    def _failure(self) -> UserError:
        self._process.wait()
        shown = shlex.join([Path(self.command[0]).name, *self.command[1:]]).replace(f"{ROOT}/", "")
        words = last_words(self.said).replace(f"{ROOT}/", "")
        return UserError(f"`{shown}` ended with {self._process.returncode}: {words}")


def seconds_of(command: Sequence[str | Path], environment: Mapping[str, str]) -> float:
    """Wall time of a program from its start to its end; UserError with its last words if it fails."""
    started = perf_counter()
    with Program(command, environment) as program:
        program.finish()
        return perf_counter() - started
