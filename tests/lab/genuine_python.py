"""Scripts for the genuine Caffe's Python; a process of it that has loaded Caffe forks for each of them."""

from __future__ import annotations

import atexit
import json
import select
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from pycaffe_ext.genuine import root

SERVER = Path(__file__).with_name("genuine_server.py")


def run(
    *arguments: object, cwd: Path | None = None, input: str = "", check: bool = True, timeout: float = 3000
) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` ("-c" and code, or a script's file) with the genuine caffe, whose log is quiet below errors.

    check: AssertionError with its last words unless it ends with 0. Each run has a process and a state of its own.
    """
    argv = [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as name:
        files = {key: Path(name) / key for key in ("stdin", "stdout", "stderr")}
        for key, path in files.items():
            path.write_text(input if key == "stdin" else "")
        asked = {"argv": argv, "cwd": str(cwd or Path.cwd()), **{key: str(path) for key, path in files.items()}}
        status = _ask(asked, timeout)
        out, err = (files[key].read_text(errors="surrogateescape") for key in ("stdout", "stderr"))
    assert not check or status == 0, f"the genuine Caffe ended with {status}: {err[-2000:]}"
    return subprocess.CompletedProcess(argv, status, out, err)


def _ask(asked: dict[str, object], timeout: float) -> int:
    server = _server()
    server.stdin.write(json.dumps(asked).encode() + b"\n")
    server.stdin.flush()
    if not select.select([server.stdout], [], [], timeout)[0]:
        _end(server)  # and with it the script
        raise subprocess.TimeoutExpired(str(asked["argv"]), timeout)
    answer = server.stdout.readline()
    if not answer:
        _end(server)
        raise AssertionError("the genuine Caffe's Python does not start")
    return int(answer)


@cache
def _server() -> subprocess.Popen[bytes]:
    order = [root.command("python"), SERVER]
    server = subprocess.Popen(order, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    server.serves_all_tests = True  # conftest ends what a test leaves behind, but not this
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[bytes]) -> None:
    _server.cache_clear()
    server.kill()
    server.wait()
