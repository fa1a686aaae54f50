"""What a grid will take, before anything starts: runs, hours, disk, what is finished already, and what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pycaffe_ext.applications.registry import load
from pycaffe_ext.errors import UserError
from pycaffe_ext.nets.spec import SCALABLE
from pycaffe_ext.report.tables import layout
from pycaffe_ext.runs import probe
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.sizes import size_text
from pycaffe_ext.studies.grid import Cell, Grid
from pycaffe_ext.studies.rates import Rates

PAGE = 4096  # bytes that a patch takes in an LMDB beside its pixels
KEPT = 5  # times its weights: best.caffemodel, the best and the newest snapshot, and two solverstates
FLOAT = 4  # bytes
HEADER = ("application", "net", "schemes", "fractions", "runs", "left", "hours at most", "disk at most", "by")


@dataclass(frozen=True)
class Estimate:
    """Of runs that are left.  seconds, size : at most; what is not in them stands in `unknown`."""

    runs: int
    left: int
    seconds: float
    size: float
    sources: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """rows : (application, net) -> its estimate.   missing : what is not on the disk, in words."""

    grid: Grid
    rows: dict[tuple[str, str], Estimate]
    missing: tuple[str, ...]

    @property
    def runs(self) -> int:
        return len(self.grid.cells)

    @property
    def left(self) -> int:
        return sum(row.left for row in self.rows.values())

    @property
    def seconds(self) -> float:
        return sum(row.seconds for row in self.rows.values())

    @property
    def size(self) -> float:
        return sum(row.size for row in self.rows.values())


def plan(grid: Grid, runs: Path, rates: Rates) -> Plan:
    """The plan of a grid whose runs lie in `runs`; a net without a finished run is probed if `rates` may."""
    kinds = dict.fromkeys((cell.settings.app, cell.settings.training.arch) for cell in grid.cells)
    packed: set[object] = set()  # data that an earlier row counts
    rows = {
        kind: _estimate([cell for cell in grid.cells if _kind(cell) == kind], runs, rates, packed) for kind in kinds
    }
    return Plan(grid, rows, tuple(missing(grid.cells, runs)))


def _kind(cell: Cell) -> tuple[str, str]:
    return cell.settings.app, cell.settings.training.arch


def _estimate(cells: Sequence[Cell], runs: Path, rates: Rates, packed: set[object]) -> Estimate:
    left = [cell.settings for cell in cells if not cell.finished(runs)]
    weights = {own: probe.parameters(own) for own in {_sized(one): one for one in left}.values()}
    bytes_of = {_sized(own): KEPT * FLOAT * count for own, count in weights.items()}
    seconds, size, sources, unknown = 0.0, 0.0, dict[str, None](), dict[str, None]()
    for settings in left:
        counts, speed = rates.counts(settings), rates.speed(settings)
        size += bytes_of[_sized(settings)]
        if not counts["test"]:
            unknown["the test patches"] = None
        if speed is None:
            unknown["the speed of some nets"] = None
        else:
            sources[speed.source] = None
            epoch = counts["epoch"] * speed.train + counts["val"] * speed.score
            seconds += settings.epochs * epoch + counts["test"] * speed.score
        for key, patches in _new_patches(settings, counts, packed):
            packed.add(key)
            size += patches * (3 * probe.input_size(settings) ** 2 + PAGE)
        seconds += _preparation(settings, rates, packed, unknown)
    return Estimate(len(cells), len(left), seconds, size, tuple(sources), tuple(unknown))


def _sized(settings: Settings) -> object:
    """What decides the number of a net's weights."""
    own = settings.training
    return settings.app, own.arch, own.width, own.weights if own.arch == SCALABLE else None


def _new_patches(settings: Settings, counts: dict[str, int], packed: set[object]) -> Iterable[tuple[object, int]]:
    """(key, patches) of what is packed for a run and for none before it: fractions share validation and test."""
    size = probe.input_size(settings)
    train = (settings.request, size)
    shared = (settings.request.whole, size, "val and test")
    for key, patches in ((train, counts["train"]), (shared, counts["val"] + counts["test"])):
        if key not in packed:
            yield key, patches


def _preparation(settings: Settings, rates: Rates, packed: set[object], unknown: dict[str, None]) -> float:
    key = (settings.request.whole, probe.input_size(settings), "prepared")
    if key in packed:
        return 0.0
    packed.add(key)
    if rates.prepared(settings):
        return 0.0
    if (found := rates.preparation(settings)) is None:
        unknown[f"the preparation of {settings.app} ({settings.request.source})"] = None
        return 0.0
    return found


def missing(cells: Sequence[Cell], runs: Path) -> list[str]:
    """What runs that are left need and is not there: applications, data sets, donors; each once, in words."""
    found: dict[str, None] = {}
    seen: set[object] = set()
    for cell in (cell for cell in cells if not cell.finished(runs)):
        own = cell.settings
        for key, look in (
            (own.app, lambda own=own: load(own.app)),
            (own.request.data, lambda own=own: _data(own.request.data)),
            (cell.outside, lambda cell=cell: _data(cell.outside and cell.outside.data)),
            ((own.training.arch, own.training.weights, probe.needs_donor(own)), lambda own=own: probe.check_donor(own)),
        ):
            if key in seen:
                continue
            seen.add(key)
            try:
                look()
            except UserError as error:
                found[f"line {cell.line}: {error}" if cell.line else str(error)] = None
    return list(found)


def _data(folder: str | None) -> None:
    if folder and not any(Path(one).exists() for one in (folder, *folder.split(":"))):
        raise UserError(f"DATA={folder}: no such folder")


def text(found: Plan, runs: Path, workers: int = 1) -> str:
    """The plan for a reader.  workers : side by side; the hours are divided among them."""
    grid, rows = found.grid, []
    for (app, arch), row in found.rows.items():
        own = [cell.settings for cell in grid.cells if _kind(cell) == (app, arch)]
        schemes, shares = {one.scheme for one in own}, {one.request.fraction for one in own}
        hours = f"{row.seconds / 3600 / workers:.2f}" + ("+" if row.unknown else "")
        counts = map(str, (len(schemes), len(shares), row.runs, row.left))
        rows.append((app, arch, *counts, hours, size_text(row.size), " and ".join(row.sources) or "-"))
    lines = [f"study {grid.name} ({grid.file}): {found.runs} runs, {found.runs - found.left} finished", ""]
    lines += [layout(HEADER, rows), *_sums(found, runs, workers)]
    lines += [f"missing: {line}" for line in found.missing] or ["missing on disk: nothing"]
    return "\n".join(lines)


def _sums(found: Plan, runs: Path, workers: int) -> list[str]:
    unknown = dict.fromkeys(text for row in found.rows.values() for text in row.unknown)
    there = next(place for place in (runs.absolute(), *runs.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    side = f" with WORKERS={workers}" if workers > 1 else ""
    lines = [
        f"left: {found.left} runs, at most {found.seconds / 3600 / workers:.2f} hours{side} if no run stops early, and"
        f" {size_text(found.size)} in {runs} ({size_text(free)} free)"
    ]
    if found.size > free:
        lines.append(f"warning: {size_text(found.size - free)} more than are free")
    if unknown:
        lines.append(f"not in the hours, as no finished run tells it yet: {', '.join(unknown)}")
    return lines
