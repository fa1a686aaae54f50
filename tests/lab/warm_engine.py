"""The embedded engine without its start: in a process that has PyTorch loaded, where start-up is not the subject.

Of the two seconds and more that a miniature's `caffe train` or `caffe test` takes, two are the import of PyTorch. What
pycaffe_ext starts is a small process in its place (warm_client), which a signal, the end of its parent or a closed pipe
reach as they reach the engine itself, and which ends as the engine ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pycaffe_ext.tether import Tethered
from pycaffe_ext.threads import LIMIT
from pycaffe_ext.training.command import EMBEDDED

LAB = Path(__file__).parent
THREADS = (LIMIT, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@cache
def server() -> tuple[str, tuple[str | None, ...]]:
    """The socket of this process's server, and the numbers of threads that it was started with."""
    folder = tempfile.mkdtemp(prefix="warm-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = os.path.join(folder, "socket")
    process = subprocess.Popen(
        [sys.executable, LAB / "warm_server.py", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
    )
    process.serves_all_tests = True
    assert process.stdout and process.stdout.readline() == b"ready\n", "the warm engine did not start"
    _kept.append(process)
    return path, _threads(os.environ)


_kept: list[subprocess.Popen[bytes]] = []  # its standard input stays open as long as this process lives


def _threads(environment: Any) -> tuple[str | None, ...]:
    return tuple(environment.get(name) for name in THREADS)


def warm(command: Sequence[str | Path], environment: Any = None) -> Sequence[str | Path]:
    """The command that starts the embedded engine warm; any other, or one with other numbers of threads, as it is."""
    if tuple(command[: len(EMBEDDED)]) == EMBEDDED:
        path, threads = server()
        if _threads(environment or os.environ) == threads:
            client = (sys.executable, "-S", "-E", str(LAB / "warm_client.py"), path)
            return (*client, *command[len(EMBEDDED) :])
    return command


def tethered(command: Sequence[str | Path], **options: Any) -> Tethered:
    return Tethered(warm(command, options.get("env")), **options)


class Popen(subprocess.Popen):
    def __init__(self, command: Sequence[str | Path], **options: Any) -> None:
        super().__init__(warm(command, options.get("env")), **options)
