"""A process that has the embedded engine loaded: each command of it that `warm_engine` asks for runs in a fork.

PyTorch is imported once, here, and computes nothing here; a fork is what `python -m pycaffe_ext` is after its imports.
"""

from __future__ import annotations

import ctypes
import gc
import io
import json
import os
import random
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import numpy as np

from pycaffe_ext.engine import cli, commands, solver  # noqa: F401 - what takes the time
from pycaffe_ext.errors import run_cli

PR_SET_PDEATHSIG = 1
LONGEST = 1 << 20  # bytes of a request: arguments and environment
MOST_FILES = 32


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def forked(work: Callable[[], NoReturn]) -> int:
    """The pid of a fork that does `work`, which ends the process."""
    if pid := os.fork():
        return pid
    try:
        die_with_parent()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        work()
    finally:
        os._exit(70)


def engine(asked: dict[str, Any], files: list[int]) -> NoReturn:
    """What `python -m pycaffe_ext` does, with the caller's folder, environment and files."""
    os.setpgid(0, 0)  # Ctrl-C in the terminal reaches only the caller
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["pycaffe_ext", *asked["arguments"]]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(open(number, "wb", 0, closefd=False), write_through=True)  # noqa: SIM115
        for number in (1, 2)
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    np.random.seed()  # else all forks draw the same numbers
    random.seed()
    try:
        run_cli(cli.main)
    except SystemExit as end:
        threading._shutdown()  # as the interpreter does at its end: threads that are no daemons are waited for
        os._exit(int(end.code or 0))


def watch(connection: socket.socket) -> NoReturn:
    """Start what is asked for, tell its pid and then its status; it is killed where the caller ends before it."""
    message, files, *_ = socket.recv_fds(connection, LONGEST, MOST_FILES)
    while not message.endswith(b"\n"):
        message += connection.recv(LONGEST)
    asked = json.loads(message)
    pid = forked(lambda: engine(asked, files))
    for file in files:
        os.close(file)
    connection.sendall(b"%d\n" % pid)
    ended = os.pidfd_open(pid)
    if ended not in select.select([ended, connection], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(OSError):
        connection.sendall(b"%d\n" % status)
    os._exit(0)


def serve(path: str) -> None:
    """Until the process that started this one closes standard input, or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the watchers
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                forked(lambda: watch(connection))  # noqa: B023 - it runs at once


if __name__ == "__main__":
    gc.freeze()
    serve(sys.argv[1])
