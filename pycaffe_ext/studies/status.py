"""How far a study has come, from its files alone: it works while the study runs, and after it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time

from pycaffe_ext.applications.registry import load
from pycaffe_ext.errors import UserError
from pycaffe_ext.report.tables import layout
from pycaffe_ext.runs.costs import seconds
from pycaffe_ext.runs.records import ResultRecord, read_result, read_run
from pycaffe_ext.studies.grid import Cell, Grid
from pycaffe_ext.studies.states import FAILED, FINISHED, RUNNING, STOPPED, Place, State
from pycaffe_ext.training.table import read_rows

WAITING = "waiting"
ORDER = (FINISHED, RUNNING, FAILED, STOPPED, WAITING)


@dataclass(frozen=True)
class Progress:
    """states : of each cell, None where it was not begun.   results : of the finished ones, None for the others.
    spent : seconds of the finished ones, 0 where they are not known."""

    grid: Grid
    kinds: tuple[str, ...]
    states: tuple[State | None, ...]
    results: tuple[ResultRecord | None, ...]
    spent: tuple[float, ...]

    def of(self, kind: str) -> list[int]:
        """Numbers of the cells in a state."""
        return [i for i, own in enumerate(self.kinds) if own == kind]


def progress(grid: Grid, runs: Path) -> Progress:
    """What the files say of each cell."""
    states = tuple(Place(grid.folder(runs), cell.settings.name()).read() for cell in grid.cells)
    results = tuple(_result(cell, runs) for cell in grid.cells)
    kinds = tuple(FINISHED if result else kind_of(state) for state, result in zip(states, results, strict=True))
    spent = tuple(_spent(cell, runs) if result else 0.0 for cell, result in zip(grid.cells, results, strict=True))
    return Progress(grid, kinds, states, results, spent)


def kind_of(state: State | None) -> str:
    """What a run without a result is at, by its latest state."""
    return state.state if state and state.state != FINISHED else WAITING


def _spent(cell: Cell, runs: Path) -> float:
    with suppress(UserError):
        return seconds(read_run(cell.folder(runs)).cost)
    return 0.0


def _result(cell: Cell, runs: Path) -> ResultRecord | None:
    with suppress(UserError):
        return read_result(cell.folder(runs)) if cell.finished(runs) else None
    return None


def remaining(found: Progress, now: float) -> float | None:
    """Seconds until all are finished, as long as those of the same application and net took, else as the mean; the
    runs at work share it.  None where no run is finished."""
    spent = {i: own for i, own in enumerate(found.spent) if own > 0}
    if not spent:
        return None
    mean = sum(spent.values()) / len(spent)
    groups: dict[tuple[str, str, str], list[float]] = {}
    for i, own in spent.items():
        groups.setdefault(_group(found.grid.cells[i]), []).append(own)
    means = {key: sum(own) / len(own) for key, own in groups.items()}
    left = 0.0
    for i, kind in enumerate(found.kinds):
        if kind in (RUNNING, WAITING, STOPPED):
            state = found.states[i]
            begun = now - state.began if kind == RUNNING and state else 0.0
            left += max(means.get(_group(found.grid.cells[i]), mean) - begun, 0.0)
    return left / max(1, len(found.of(RUNNING)))


def _group(cell: Cell) -> tuple[str, str, str]:
    own = cell.settings
    return own.app, own.training.arch, own.request.fraction


def best_so_far(found: Progress) -> list[tuple[str, ...]]:
    """Of each application, data set and fraction the finished run with the highest validation AUC, with its test
    number."""
    best: dict[tuple[str | None, ...], int] = {}
    for i in found.of(FINISHED):
        own, result = found.grid.cells[i].settings, found.results[i]
        key = own.app, own.request.data, own.request.dataset, own.request.fraction
        held = found.results[best[key]] if key in best else None
        if result and (held is None or result.best.validation_auc > held.best.validation_auc):
            best[key] = i
    return [_best_row(found.grid.cells[i], found.results[i]) for i in best.values()]


def _best_row(cell: Cell, result: ResultRecord | None) -> tuple[str, ...]:
    assert result is not None
    own, headline = cell.settings, load(cell.settings.app).metric.headline(result.test)
    auc = f"{result.best.validation_auc:.4f}"
    return (
        own.app,
        own.request.source,
        own.request.fraction,
        own.title,
        str(own.trial),
        auc,
        f"{headline} ({headline.name})",
    )


def text(found: Progress, runs: Path, now: float | None = None) -> str:
    """The progress for a reader.   now : seconds since 1970, None = asked."""
    now = time() if now is None else now
    counts = [f"{len(own)} {kind}" for kind in ORDER if (own := found.of(kind))]
    left = remaining(found, now)
    eta = "unknown before the first run is finished" if left is None else duration(left)
    lines = [f"study {found.grid.name}: {len(found.kinds)} runs, {', '.join(counts)}; time left: {eta}"]
    lines += [_running(found.grid.cells[i], found.states[i], runs, now) for i in found.of(RUNNING)]
    for i in [*found.of(FAILED), *found.of(STOPPED)]:
        state = found.states[i]
        if state:
            lines.append(f"{state.state}: {found.grid.cells[i].title}: {state.last or 'it printed nothing'}")
    if best := best_so_far(found):
        header = ("best so far", "data", "fraction", "run", "seed", "validation AUC", "test")
        lines += ["", layout(header, best)]
    return "\n".join(lines)


def _running(cell: Cell, state: State | None, runs: Path, now: float) -> str:
    rows: Sequence[object] = ()
    with suppress(UserError, OSError, ValueError):
        rows = read_rows(cell.folder(runs) / "auc.csv")
    where = f"{len(rows)} of at most {cell.settings.epochs} epochs scored" if rows else "no epoch scored yet"
    for_ = f" for {duration(now - state.began)} on {state.host}" if state else ""
    return f"running{for_}: {cell.title}, {where}"


def duration(spent: float) -> str:
    """`42 s`, `12 min`, `3.4 h`."""
    if spent < 90:
        return f"{spent:.0f} s"
    return f"{spent / 60:.0f} min" if spent < 5400 else f"{spent / 3600:.1f} h"
