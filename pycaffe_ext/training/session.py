"""One `caffe train` under watch, from its start to its end."""

from __future__ import annotations

import fcntl
import math
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from pycaffe_ext.errors import UserError
from pycaffe_ext.tether import Tethered
from pycaffe_ext.training import command, snapshots
from pycaffe_ext.training.command import KEPT_LINES, Caffe
from pycaffe_ext.training.log import last_words, parse
from pycaffe_ext.training.snapshots import Snapshot

POLL = 0.1  # seconds between two looks at the snapshots and the log


class Session:
    """A context in which Caffe trains.

    Left in order or by Ctrl-C, it stops a Caffe that still runs with SIGINT and waits for its snapshot; left by an
    error it kills Caffe, because a snapshot of a diverged net is nothing to go on from.
    Where training is to go on from `start` and that is max_iter already, no Caffe is started.
    """

    def __init__(
        self,
        caffe: Caffe,
        solver: Path,
        weights: Path | None,
        start: Snapshot | None,
        log: Path,
        max_iter: int,
        lock: int,
    ) -> None:
        self.caffe, self.solver, self.weights, self.start = caffe, solver, weights, start
        self.log, self.max_iter, self.lock = log, max_iter, lock
        self.reached = start.iteration if start else 0
        self.position = log.stat().st_size if log.exists() else 0
        self.losses: dict[int, float] = {}
        self.said: deque[str] = deque(maxlen=KEPT_LINES)
        self.process: Tethered | None = None

    def __enter__(self) -> Session:
        self.bar = tqdm(
            total=self.max_iter,
            initial=self.reached,
            unit="it",
            desc="training",
            disable=None,  # shown in a terminal only
            leave=False,
        )
        self.log.touch()
        if self.reached < self.max_iter:
            state, weights = (self.start.state, None) if self.start else (None, self.weights)
            self.process = self.caffe.train(self.solver, weights, state, self.log, hold=(self.lock,))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.bar.close()
        if self.process is None:
            return
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        if interrupted:
            print("stopping Caffe, which writes a snapshot first", file=sys.stderr, flush=True)
        if kind is None or interrupted:
            command.stop(self.process)
        else:
            self.process.end()

    def wait_for(self, prefix: Path, iteration: int) -> Snapshot:
        """The snapshot of `iteration`, once it is whole.

        Raises UserError if Caffe ends before, or if the loss is undefined at an earlier iteration.
        """
        while True:
            ended = self.process is None or self.process.poll() is not None  # asked first: it may write, then end
            self._read_log()
            self._check_losses(iteration)
            for snapshot in snapshots.listing(prefix):
                # what lies before the start is whole: it was removed otherwise, and its state may be thinned away
                if snapshot.iteration == iteration and (snapshot.complete or iteration <= self.reached):
                    return snapshot
            if ended:
                words = last_words(self.said)
                raise UserError(f"{self.caffe} train ended before snapshot {iteration}: {words} (see {self.log})")
            time.sleep(POLL)

    def wait_for_end(self) -> None:
        """Let Caffe finish its log after the last snapshot."""
        if self.process is not None:
            self.process.wait()

    def _read_log(self) -> None:
        """Take in the lines that were completed since the last look."""
        with self.log.open("rb") as file:
            file.seek(self.position)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        self.position += len(new)
        lines = new.decode(errors="surrogateescape").splitlines()
        self.said.extend(lines)
        self.losses.update(parse(lines).losses)
        if self.losses:
            self.bar.update(max(self.losses) - self.bar.n)

    def _check_losses(self, iteration: int) -> None:
        """Losses from `iteration` on do not count: whether they are there already is a matter of timing."""
        for at, loss in self.losses.items():
            if at < iteration and not math.isfinite(loss):
                raise UserError(
                    f"the loss is {loss} at iteration {at} (see {self.log}): training has diverged; lower base_lr and"
                    " start again in an empty folder"
                )


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold `folder` for this training; yields the descriptor that holds it.

    A Caffe that inherits the descriptor holds the folder too, so one that was left behind is noticed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another process is training in {folder}; wait for it, or stop it (SIGINT)") from error
        yield descriptor
    finally:
        os.close(descriptor)
