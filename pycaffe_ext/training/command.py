"""Driving a `caffe` executable by Caffe's own flags; no other module knows which one."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pycaffe_ext.engine.options import FAITHFUL, check_cache_gb
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import expanded
from pycaffe_ext.tether import Tethered
from pycaffe_ext.training.log import last_words

EMBEDDED = (sys.executable, "-m", "pycaffe_ext")
KEPT_LINES = 200  # of a test's log, to tell why it failed


@dataclass(frozen=True)
class Caffe:
    """A caffe command and the GPUs it may use (Caffe's --gpu: "0", "0,1", "all"; None is the CPU).

    precision, cache_gb and cache_dir go to the embedded engine only, which alone knows them (see engine.options).
    """

    command: tuple[str, ...] = EMBEDDED
    gpu: str | None = None
    precision: str = FAITHFUL
    cache_gb: float | None = None
    cache_dir: Path | None = None

    @classmethod
    def from_setting(
        cls,
        setting: str | None,
        gpu: str | None = None,
        precision: str = FAITHFUL,
        cache_gb: float | None = None,
        cache_dir: Path | None = None,
    ) -> Caffe:
        """The command that CAFFE= says, split as a shell would; the embedded engine for an empty one.

        Raises UserError if it cannot be split, or is asked for a precision that only the embedded engine has, or if
        `cache_gb` is no bound.
        """
        check_cache_gb(cache_gb)
        try:
            words = tuple(shlex.split(setting or ""))
        except ValueError as error:
            raise UserError(f"CAFFE={setting}: {str(error).lower()}; give a command, such as CAFFE=caffe") from error
        if words and precision != FAITHFUL:
            raise UserError(f"PRECISION={precision} is for the embedded engine; leave CAFFE={setting} out, or it")
        return cls((expanded(words[0]), *words[1:]) if words else EMBEDDED, gpu or None, precision, cache_gb, cache_dir)

    def version(self) -> str:
        """What `caffe --version` says, e.g. "caffe version 1.0.0"."""
        with self._start(["--version"], stdout=subprocess.PIPE) as process:
            said = process.communicate()[0].decode(errors="surrogateescape").splitlines()
        if process.returncode:
            raise UserError(f"{self} --version failed: {last_words(said)}")
        return next((line.strip() for line in said if re.search(r"version \d", line)), "unknown version")

    def check_gpu(self) -> None:
        """Ask `caffe device_query` for the GPUs that are to be used; UserError if this caffe can't use them."""
        if not self.gpu:
            return
        with self._start(["device_query", f"--gpu={self.gpu}"], stdout=subprocess.PIPE) as process:
            said = process.communicate()[0].decode(errors="replace").splitlines()
        if process.returncode:
            raise UserError(f"GPU={self.gpu} is not for {self}: {last_words(said)}")
        if self.command == EMBEDDED and sum("Device id" in line for line in said) > 1:
            raise UserError(f"GPU={self.gpu}: the embedded engine runs on one GPU at a time; name one, e.g. GPU=0")

    def train(
        self, solver: Path, weights: Path | None, snapshot: Path | None, log: Path, hold: Sequence[int] = ()
    ) -> Tethered:
        """Start `caffe train`: from `weights`, from a solverstate, or from the fillers (both None).

        Everything it says is appended to `log`.  Ctrl-C in the terminal reaches only the caller: see `stop`.  It keeps
        the descriptors in `hold` open as long as it lives.
        """
        if weights and snapshot:
            raise ValueError("caffe train takes weights or a snapshot, not both")
        arguments = ["train", f"--solver={solver}"]
        if weights or snapshot:
            arguments.append(f"--weights={weights}" if weights else f"--snapshot={snapshot}")
        with log.open("ab") as file:
            return self._start(arguments + self._flags() + self._cache(), stdout=file, pass_fds=tuple(hold))

    def test(self, model: Path, weights: Path, iterations: int, log: Path | None = None) -> Generator[str, None, None]:
        """Run `caffe test`; yield its log lines as they come, and copy them to the file `log`.

        Raises UserError with its last words when it fails.  Dropping the iterator ends the process.
        """
        arguments = ["test", f"--model={model}", f"--weights={weights}", f"--iterations={iterations}"]
        kept: deque[str] = deque(maxlen=KEPT_LINES)
        with self._start(arguments + self._flags() + self._cache(), stdout=subprocess.PIPE) as process:
            with log.open("wb") if log else nullcontext() as copy:
                for line in self._lines(process, copy):
                    kept.append(line)
                    yield line
            if process.wait():
                raise UserError(f"{self} test failed on {weights}: {last_words(kept)}")

    def time(self, model: Path, iterations: int) -> tuple[float, float]:
        """Mean seconds of a forward and of a backward pass of a net, by `caffe time`; UserError if it fails."""
        arguments = ["time", f"--model={model}", f"--iterations={iterations}", *self._flags()]
        with self._start(arguments, stdout=subprocess.PIPE) as process:
            said = process.communicate()[0].decode(errors="surrogateescape")
        found = [re.search(rf"Average {way} pass: (\S+) ms", said) for way in ("Forward", "Backward")]
        if process.returncode or not all(found):
            raise UserError(f"{self} time failed on {model}: {last_words(said.splitlines())}")
        forward, backward = (float(one[1]) / 1000 for one in found if one)
        return forward, backward

    @staticmethod
    def _lines(process: Tethered, copy: IO[bytes] | None) -> Iterator[str]:
        for raw in process.stdout or ():
            if copy:
                copy.write(raw)
            yield raw.decode(errors="surrogateescape")

    def _flags(self) -> list[str]:
        gpu = [f"--gpu={self.gpu}"] if self.gpu else []
        return gpu + ([f"--precision={self.precision}"] if self.precision != FAITHFUL else [])

    def _cache(self) -> list[str]:
        if self.command != EMBEDDED:
            return []
        bound = [f"--cache_gb={self.cache_gb:g}"] if self.cache_gb is not None else []
        return bound + ([f"--cache_dir={self.cache_dir}"] if self.cache_dir else [])

    def _start(self, arguments: list[str], **options: Any) -> Tethered:
        environment = {
            **os.environ,
            "GLOG_logtostderr": "1",  # else the genuine Caffe also writes every line to a file in /tmp
            "PYTHONUNBUFFERED": "1",
        }
        try:
            return Tethered(
                [*self.command, *arguments],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                env=environment,
                **options,
            )
        except OSError as error:
            raise UserError(
                f"CAFFE={self} cannot be started ({os.strerror(error.errno or 0).lower()}); give the path of a caffe"
                " executable, or leave CAFFE unset to use the embedded engine"
            ) from error

    def __str__(self) -> str:
        return shlex.join(self.command)


def stop(process: Tethered, patience: float = 600) -> int:
    """Stop a training Caffe with SIGINT, wait until it has written its snapshot, return its exit status.

    It is killed when it takes longer than `patience` seconds, or on a second interrupt.
    """
    with process:
        process.send_to_all(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    return process.returncode
