"""Training with early stopping: run `caffe train`, score each snapshot it writes, stop it, keep the best."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics.base import patch_auc
from pycaffe_ext.files import copy, reading
from pycaffe_ext.interrupts import terminated_as_interrupted
from pycaffe_ext.proto import read_solver
from pycaffe_ext.strings import native
from pycaffe_ext.training import early_stopping, snapshots, validation_scores
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.log import parse
from pycaffe_ext.training.scoring import ScoreNet, cross_entropy, score
from pycaffe_ext.training.session import Session, locked
from pycaffe_ext.training.snapshots import Snapshot
from pycaffe_ext.training.table import Row, print_row, read_rows, write_rows


@dataclass(frozen=True)
class Validation(ScoreNet):
    """What snapshots are scored on.

    value : (probabilities (count, classes), labels (count,)) -> what early stopping maximises, an AUC.
    """

    value: Callable[[np.ndarray, np.ndarray], float] = patch_auc


@dataclass(frozen=True)
class FitResult:
    rows: tuple[Row, ...]  # every scored snapshot, by iteration
    best: Row
    reason: str  # "patience" or "max_iter"
    weights: Path  # best.caffemodel or best.caffemodel.h5


@dataclass(frozen=True)
class Schedule:
    """When Caffe writes the snapshots that are scored, and where."""

    prefix: Path
    interval: int
    max_iter: int
    last: bool  # one more at max_iter, if that is not a multiple of the interval

    @classmethod
    def read(cls, solver: Path) -> Schedule:
        parameters = read_solver(solver)
        if parameters.snapshot < 1 or parameters.max_iter < 1:
            raise UserError(f"{solver}: snapshot and max_iter must be 1 or more, early stopping goes by snapshots")
        prefix = native(parameters.snapshot_prefix) or str(solver.with_suffix(""))
        return cls(Path(prefix), parameters.snapshot, parameters.max_iter, parameters.snapshot_after_train)

    def iterations(self) -> list[int]:
        regular = list(range(self.interval, self.max_iter + 1, self.interval))
        return regular + [self.max_iter] * (self.last and self.max_iter % self.interval > 0)


@dataclass(frozen=True)
class Training:
    """What is trained.

    weights : the donor of a fine-tuning, None from scratch        epoch : iterations per epoch
    patience : snapshots after the best one before training stops, None to go on to max_iter
    """

    solver: Path
    weights: Path | None
    epoch: float
    patience: int | None


def fit(
    caffe: Caffe,
    folder: Path,
    training: Training,
    validation: Validation,
    *,
    keep_all: bool = False,
    progress: Callable[[Row, bool], None] | None = None,
    resumed: Callable[[Snapshot | None], None] | None = None,
) -> FitResult:
    """Train until the best validation AUC has not been beaten for `training.patience` snapshots, or to max_iter.

    folder : gets train.log, auc.csv, validation.csv and best.caffemodel; the snapshots go where the solver's
    snapshot_prefix says
    progress : called with each new row and whether it is the best so far; prints a line where it is None
    resumed : called before Caffe goes on with a training that was interrupted: from this snapshot, or, with None, from
    the start although it had begun
    Training goes on while a snapshot is scored, yet the result depends on the rule alone: what Caffe wrote beyond
    the stopping point is deleted.  Scored snapshots are thinned (see `snapshots.thin`) unless `keep_all`.

    Called again it goes on: from the newest whole solverstate, without scoring twice; after the end it does
    nothing.  Ctrl-C (or SIGTERM) stops Caffe with SIGINT, waits for its snapshot and raises KeyboardInterrupt.
    Raises UserError if Caffe cannot start or dies, if the loss or an AUC is undefined, or if another process still
    trains in `folder`.
    """
    with locked(folder) as lock, terminated_as_interrupted():
        schedule, show, patience = Schedule.read(training.solver), progress or print_row, training.patience
        run = _Run(caffe, folder, schedule, validation, training.epoch, keep_all, show, resumed)
        if not run.finished(patience):
            run.train(training.solver, training.weights, patience, lock)
        return run.result(patience)


class _Run:
    """The state of one fit: its rows so far and the training process."""

    def __init__(
        self,
        caffe: Caffe,
        folder: Path,
        schedule: Schedule,
        validation: Validation,
        epoch: float,
        keep_all: bool,
        progress: Callable[[Row, bool], None],
        resumed: Callable[[Snapshot | None], None] | None,
    ) -> None:
        self.caffe, self.folder, self.schedule, self.validation = caffe, folder, schedule, validation
        self.epoch, self.keep_all, self.progress, self.resumed = epoch, keep_all, progress, resumed
        self.table, self.log = folder / "auc.csv", folder / "train.log"
        self.due = schedule.iterations()
        self.rows = read_rows(self.table)
        if [row.iteration for row in self.rows] != self.due[: len(self.rows)]:
            raise UserError(f"{self.table} was made with another solver; move {folder} away to start again")

    def aucs(self) -> dict[int, float]:
        return {row.iteration: row.auc for row in self.rows}

    def finished(self, patience: int | None) -> bool:
        return len(self.rows) == len(self.due) or early_stopping.should_stop(self.aucs(), patience)

    def train(self, solver: Path, weights: Path | None, patience: int | None, lock: int) -> None:
        self.schedule.prefix.parent.mkdir(parents=True, exist_ok=True)
        start = self._start_from()
        if self.resumed and self._goes_on(start):
            self.resumed(start)
        with Session(self.caffe, solver, weights, start, self.log, self.schedule.max_iter, lock) as session:
            while not self.finished(patience):
                snapshot = session.wait_for(self.schedule.prefix, self.due[len(self.rows)])
                self._score(snapshot)
            if not early_stopping.should_stop(self.aucs(), patience):
                session.wait_for_end()

    def _goes_on(self, start: Snapshot | None) -> bool:
        """Whether Caffe is about to go on with, or begin again, what an earlier one had begun."""
        if start:
            return start.iteration < self.schedule.max_iter
        return self.log.exists() and bool(self._losses())

    def _start_from(self) -> Snapshot | None:
        """The snapshot to go on from; rows beyond it, which would be trained again, are forgotten."""
        start, problems = snapshots.resumable(self.schedule.prefix)
        for problem in problems:
            print(f"warning: {problem}", file=sys.stderr, flush=True)
        reached = start.iteration if start else 0
        snapshots.remove(s for s in snapshots.listing(self.schedule.prefix) if s.iteration > reached)
        self.rows = [row for row in self.rows if row.iteration <= reached]
        there = {s.iteration for s in snapshots.listing(self.schedule.prefix)}
        needed = [i for i in self.due[len(self.rows) :] if i <= reached]
        if self.rows:
            needed.append(early_stopping.best(self.aucs()))
        if missing := sorted(set(needed) - there):
            raise UserError(
                f"snapshot {missing[0]} of {self.schedule.prefix} is missing; move {self.folder} away to start again"
            )
        self._write()
        return start

    def _score(self, snapshot: Snapshot) -> None:
        loss = self._train_loss(snapshot.iteration)
        row, probability, label = score_snapshot(self.caffe, snapshot, self.validation, self.epoch, loss)
        self.rows.append(row)
        best = early_stopping.best(self.aucs())
        if best == row.iteration:
            validation_scores.write(self.folder, row.iteration, probability, label)
        self._write()
        self.progress(row, best == row.iteration)
        if not self.keep_all:
            scored = [s for s in snapshots.listing(self.schedule.prefix) if s.iteration <= row.iteration]
            snapshots.thin(scored, best, row.iteration)

    def _train_loss(self, iteration: int) -> float | None:
        """Mean displayed loss since the snapshot before `iteration`."""
        since = self.rows[-1].iteration if self.rows else 0
        chosen = [loss for at, loss in self._losses().items() if since <= at < iteration]
        return sum(chosen) / len(chosen) if chosen else None

    def _losses(self) -> dict[int, float]:
        with reading(self.log) as file:
            return parse(file).losses

    def _write(self) -> None:
        write_rows(self.table, self.rows)

    def result(self, patience: int | None) -> FitResult:
        """Delete what was trained beyond the end, keep the best weights as best.caffemodel."""
        found = snapshots.listing(self.schedule.prefix)
        snapshots.remove(s for s in found if s.iteration > self.rows[-1].iteration)
        best = early_stopping.best(self.aucs())
        kept = keep_best(found, best, self.folder)
        reason = "patience" if early_stopping.should_stop(self.aucs(), patience) else "max_iter"
        return FitResult(tuple(self.rows), next(row for row in self.rows if row.iteration == best), reason, kept)


def score_snapshot(
    caffe: Caffe, snapshot: Snapshot, validation: Validation, epoch: float, train_loss: float | None = None
) -> tuple[Row, np.ndarray, np.ndarray]:
    """Score one snapshot on the validation patches, whose probabilities and labels are returned too; `epoch` is
    iterations per epoch."""
    probabilities, labels = score(caffe, validation, snapshot.weights)
    row = Row(
        snapshot.iteration,
        snapshot.iteration / epoch,
        train_loss,
        cross_entropy(probabilities, labels),
        validation.value(probabilities, labels),
    )
    return row, probabilities, labels


def keep_best(found: Sequence[Snapshot], best: int, folder: Path) -> Path:
    """Copy the weights of iteration `best` to best.caffemodel[.h5] in `folder`, whole or not at all."""
    chosen = next((s for s in found if s.iteration == best and s.weights.exists()), None)
    if chosen is None:
        raise UserError(f"the weights of the best snapshot ({best}) are gone; move {folder} away to start again")
    target = folder / ("best" + "".join(chosen.weights.suffixes[-2 if chosen.weights.suffix == ".h5" else -1 :]))
    copy(chosen.weights, target)
    return target
