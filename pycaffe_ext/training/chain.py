"""A chain of trainings, each from the chosen snapshot of the one before; a single training is a chain of one link.

Early stopping works in each link by itself. Of all links' snapshots the one with the highest validation AUC is chosen,
the earliest of equals. The iterations of the whole course count on from link to link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from pycaffe_ext.files import copy, reading
from pycaffe_ext.training import early_stopping, snapshots
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.fit import FitResult, Schedule, Training, Validation, fit
from pycaffe_ext.training.log import Log, parse
from pycaffe_ext.training.session import locked
from pycaffe_ext.training.snapshots import Snapshot
from pycaffe_ext.training.table import Row, read_rows, write_rows

TABLE = "auc.csv"


@dataclass(frozen=True)
class Link:
    """One training of a chain.

    scheme : which layers learn in it.   folder : gets its train.log, auc.csv and best.caffemodel.   solver : its file.
    """

    scheme: str
    folder: Path
    solver: Path

    @property
    def log(self) -> Path:
        return self.folder / "train.log"

    @property
    def begun(self) -> bool:
        return self.log.exists()

    @property
    def rows(self) -> list[Row]:
        """Of its scored snapshots so far."""
        return read_rows(self.folder / TABLE)


@dataclass(frozen=True)
class Plan:
    """How every link is trained.

    weights : the donor of the first link, None from scratch.   epoch : iterations an epoch.   patience : as in `fit`.
    """

    weights: Path | None
    epoch: float
    patience: int | None


@dataclass(frozen=True)
class Hooks:
    """What a caller is asked or informed of, with the number of the link from 0.

    around : the context in which a link is trained.   progress : a new row of the link, and whether it is the link's
    best so far.   resumed : training goes on from this snapshot, or with None begins again (see `fit`).
    """

    around: Callable[[int], AbstractContextManager[object]]
    progress: Callable[[int, Row, bool], None]
    resumed: Callable[[int, Snapshot | None], None]


@dataclass(frozen=True)
class ChainResult:
    """links : what each training came to.   chosen : the number of the best one, from 0.
    rows, best : of the whole course, iterations counted on.   weights : best.caffemodel[.h5] in the chain's folder."""

    links: tuple[FitResult, ...]
    chosen: int
    rows: tuple[Row, ...]
    best: Row
    weights: Path

    @property
    def reason(self) -> str:
        """Why the last link ended."""
        return self.links[-1].reason


def fit_chain(
    caffe: Caffe, folder: Path, links: Sequence[Link], plan: Plan, validation: Validation, hooks: Hooks
) -> ChainResult:
    """Train link after link; `folder` gets the auc.csv of the course and the best weights of all.

    Called again it goes on within the link that was interrupted: links that are finished only give their result.
    UserError and KeyboardInterrupt as `fit` raises them.
    """
    with locked(folder) if len(links) > 1 else nullcontext():  # a single link's own training locks it
        weights, done = plan.weights, list[FitResult]()
        for number, link in enumerate(links):
            fitted = _fit_link(caffe, folder, links, number, replace(plan, weights=weights), validation, hooks)
            if number + 1 < len(links):
                _keep_chosen(link, fitted)
            weights = fitted.weights
            done.append(fitted)
        _write_course(folder, links, plan.epoch)
        return _result(folder, done, plan.epoch)


def _fit_link(
    caffe: Caffe, folder: Path, links: Sequence[Link], number: int, plan: Plan, validation: Validation, hooks: Hooks
) -> FitResult:
    def show(row: Row, best: bool) -> None:
        _write_course(folder, links, plan.epoch)
        hooks.progress(number, row, best)

    link = links[number]
    training = Training(link.solver, plan.weights, plan.epoch, plan.patience)
    with hooks.around(number):
        return fit(
            caffe,
            link.folder,
            training,
            validation,
            progress=show,
            resumed=lambda start: hooks.resumed(number, start),
        )


def starts(links: Sequence[Sequence[Row]]) -> list[int]:
    """Of each link, given its rows, the iterations of the course before it."""
    before = [0]
    for rows in links:
        before.append(before[-1] + (rows[-1].iteration if rows else 0))
    return before[:-1]


def course(links: Sequence[Sequence[Row]], epoch: float) -> list[Row]:
    """The rows of all links as one course: iterations and epochs count on.   epoch : iterations of one."""
    moved = []
    for start, rows in zip(starts(links), links, strict=True):
        moved += [
            replace(row, iteration=start + row.iteration, epoch=(start + row.iteration) / epoch) if start else row
            for row in rows
        ]
    return moved


def logs(links: Sequence[Link]) -> Log:
    """What the logs of all links say, their iterations those of the course."""
    whole = Log()
    for start, link in zip(starts([link.rows for link in links]), links, strict=True):
        if link.begun:
            with reading(link.log) as file:
                found = parse(file)
            whole.losses |= {start + at: loss for at, loss in found.losses.items()}
            whole.rates |= {start + at: rate for at, rate in found.rates.items()}
            whole.snapshots += found.snapshots
            whole.finished = found.finished
    return whole


def take(link: Link, source: Path, weights: Path, iteration: int) -> None:
    """Make a link finished by what another training in the folder `source`, which did the same, came to.

    weights : of its chosen snapshot, which is that of `iteration`.   The table is copied last: without it the link
    counts as not begun.
    """
    prefix = Schedule.read(link.solver).prefix
    suffix = "".join(weights.suffixes[-2 if weights.suffix == ".h5" else -1 :])
    prefix.parent.mkdir(parents=True, exist_ok=True)
    copy(weights, prefix.with_name(f"{prefix.name}_iter_{iteration}{suffix}"))
    copy(source / link.log.name, link.log)
    copy(source / TABLE, link.folder / TABLE)


def _keep_chosen(link: Link, fitted: FitResult) -> None:
    """A link that the next one has followed is not gone on with."""
    found = snapshots.listing(Schedule.read(link.solver).prefix)
    snapshots.remove(one for one in found if one.iteration != fitted.best.iteration)


def _write_course(folder: Path, links: Sequence[Link], epoch: float) -> None:
    if len(links) > 1:
        write_rows(folder / TABLE, course([link.rows for link in links], epoch))


def _result(folder: Path, done: Sequence[FitResult], epoch: float) -> ChainResult:
    rows = course([one.rows for one in done], epoch)
    best = early_stopping.best({row.iteration: row.auc for row in rows})
    before = starts([one.rows for one in done])
    chosen = max(number for number, start in enumerate(before) if start < best)
    weights = done[chosen].weights
    if weights.parent != folder:
        copy(weights, folder / weights.name)
    (row,) = (row for row in rows if row.iteration == best)
    return ChainResult(tuple(done), chosen, tuple(rows), row, folder / weights.name)
