"""Commands that end, with all that they have started, when this process ends, even by SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pycaffe_ext.interrupts import deaf

# It waits for the end of a pipe whose other end only its parent holds, then kills its process group, itself too.
GUARD = ("/bin/sh", "-c", "trap '' HUP INT TERM; read _; kill -KILL 0")


class Tethered(subprocess.Popen[Any]):
    """A command in a process group of its own, so that Ctrl-C in the terminal reaches only the caller.

    The group is led by a guard, which kills it when the caller's process ends; a command that is a script, or starts
    helpers, leaves none of them behind. At the end of a `with` all of the group is killed.
    Raises OSError if the command can't be started.
    """

    def __init__(self, command: Sequence[str | Path], **options: Any) -> None:
        with deaf():
            self._guard = subprocess.Popen(
                GUARD, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
            )
        try:
            super().__init__(command, process_group=self._guard.pid, **options)
        except BaseException:
            self._end_group()
            raise

    def send_to_all(self, number: int) -> None:
        """Send a signal to the command and its helpers; nothing happens where the command has ended."""
        if self.poll() is None:
            os.killpg(self._guard.pid, number)

    def end(self) -> int:
        """Kill the command and its helpers; return its exit status. One that has ended keeps its own."""
        self._end_group()
        return self.wait()

    def __exit__(self, *error: Any) -> None:
        self.end()
        super().__exit__(*error)

    def _end_group(self) -> None:
        """The guard is waited for last: its number, and so the group's, is not given away before."""
        if self._guard.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._guard.pid, signal.SIGKILL)
            self._guard.wait()
            if self._guard.stdin:
                self._guard.stdin.close()


def run(command: Sequence[str | Path], **options: Any) -> tuple[int, str]:
    """(exit status, output and errors together) of a tethered command."""
    with Tethered(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options) as process:
        said = process.communicate()[0]
    return process.returncode, said
