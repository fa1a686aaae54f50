"""How long a study of very many runs takes beside its trainings: `python -m benchmarks.many_runs [RUNS]`.

A grid of four widths of AlexNet, the nine schemes of Table II, five fractions and as many seeds as make RUNS (10 000).
A run is a shell that puts a folder in its place which was made before, with everything in it that a report reads, so
what is timed is the toolkit's: the list of what is left, a process a run and its states, an interrupt at a tenth and
going on, the status, the table and the page.  Printed for each step: seconds, and seconds of processor time of this
process and of its children.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.applications.registry import load
from pycaffe_ext.evaluation.metrics.base import PatchScores
from pycaffe_ext.files import write_csv
from pycaffe_ext.nets.architectures import deploy, train_val
from pycaffe_ext.nets.solver import Schedule, solver
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import to_text
from pycaffe_ext.runs.finished import read_test
from pycaffe_ext.runs.records import Best, ResultRecord, RunRecord, write_result, write_run
from pycaffe_ext.runs.settings import Machine, Settings
from pycaffe_ext.schemes import SCHEMES, is_depth
from pycaffe_ext.studies import page, running, status, tidy
from pycaffe_ext.studies.grid import Cell, Grid, check_distinct
from pycaffe_ext.studies.running import Job, Share
from pycaffe_ext.studies.states import FINISHED, Place
from pycaffe_ext.training.table import Row, write_rows

RUNS = 10_000
WIDTHS = ("1/8", "1/4", "1/2", "1")
FRACTIONS = ("1", "1/2", "1/4", "1/8", "1/20")
GROUPS, PICTURES = 40, 3  # of the test, in each group
COUNTS = {part: {"groups": GROUPS, "images": {"no": 60, "yes": 60}} for part in ("train", "val", "test")}
VARIANTS = 40  # different tables of scores
WORKERS = 2


def study(folder: Path, runs: int) -> Grid:
    """At least as many runs, with whole seeds."""
    seeds = -(-runs // (len(WIDTHS) * len(SCHEMES) * len(FRACTIONS)))
    file = folder / "many.yaml"
    file.write_text("APP: frames\n")
    keys = product(range(seeds), WIDTHS, FRACTIONS, SCHEMES)
    made = (Settings.of("frames", name, seed=n, split_seed=0, width=w, fraction=f) for n, w, f, name in keys)
    return Grid("many", file, tuple(Cell(settings, line=1) for settings in made))


class Made:
    """Folders of finished runs, made beforehand in `made`; a job moves its own to where it belongs.

    stop_at : the number of the job at which the study is interrupted, 0 = never
    """

    def __init__(self, grid: Grid, runs: Path) -> None:
        self.grid, self.runs, self.made = grid, runs, runs / "made"
        self.begun, self.stop_at = 0, 0
        self.application = load("frames")
        self.packed = self._packed()
        self.results = {fraction: self._result(fraction) for fraction in FRACTIONS}
        self._shared(runs / "shared")
        for number, cell in enumerate(grid.cells):
            self._run(number, cell.settings)

    def __call__(self, cell: Cell, _: Machine) -> Job:
        self.begun += 1
        if self.begun == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        name = cell.settings.name()
        command = ("/bin/sh", "-c", 'mv "made/$1" .', "sh", name)
        return Job(cell, self.runs, command, Place(self.grid.folder(self.runs), name), self.runs)

    def _packed(self) -> Packed:
        """A data set of tables alone: names, groups, labels and the baseline's scores."""
        found, rng = self.runs / "data" / "found", np.random.default_rng(0)
        (found / "packed").mkdir(parents=True)
        items = [(f"{i:04d}", f"group {i // PICTURES}", "many", "test", 0) for i in range(GROUPS * PICTURES)]
        write_csv(found / "items.csv", (self.application.columns[0], "group", "source", "split", "targets"), items)
        lines = [(item[0], 0, i % 2, 0, repr(float(rng.random()))) for i, item in enumerate(items)]
        write_csv(found / "samples.csv", (*self.application.columns, "label", "target", "score"), lines)
        packed = Packed(found / "packed", "f" * 64, {}, COUNTS, classes=("no", "yes"))
        packed.save()
        return packed

    def _result(self, fraction: str) -> ResultRecord:
        test, metric = read_test(self.packed, self.application), self.application.metric
        rng, n = np.random.default_rng(1), len(test.samples)
        score = rng.random(n)
        scores = PatchScores(np.arange(n, dtype=np.int32), test.samples.label, np.stack([1 - score, score], axis=1))
        share = {"share": fraction, "groups": float(GROUPS * Fraction(fraction)), "of": GROUPS, "patches": 256}
        found = metric.result(metric.evaluate(test, scores), 0)
        return ResultRecord("many", "none", Best(20, 2.0, 0.8), 3, "patience", COUNTS, {}, [], found, [], share=share)

    def _shared(self, folder: Path) -> None:
        """Files that several runs have in common."""
        test, metric = read_test(self.packed, self.application), self.application.metric
        folder.mkdir()
        write_rows(folder / "auc.csv", [Row(10 * i, float(i), 0.5, 0.6, 0.5 + 0.1 * (i == 2)) for i in (1, 2, 3)])
        for fraction, result in self.results.items():
            (folder / fraction.replace("/", "-")).mkdir()
            write_result(folder / fraction.replace("/", "-"), result)
        rng, n = np.random.default_rng(2), len(test.samples)
        for number in range(VARIANTS):
            score = np.clip(rng.normal(0.4 + 0.2 * test.samples.label, 0.2), 0.01, 0.99)
            scores = PatchScores(np.arange(n, dtype=np.int32), test.samples.label, np.stack([1 - score, score], axis=1))
            table = metric.scores(metric.evaluate(test, scores))
            write_csv(folder / f"scores-{number}.csv", table.header, table.rows)
        for scheme, width in product(SCHEMES, WIDTHS):
            spec = NetSpec("frames", scheme, 2, width=Fraction(width), batch_size=16)
            own = folder / f"{scheme}-{width.replace('/', '-')}"
            own.mkdir()
            (own / "deploy.prototxt").write_text(to_text(deploy(spec)))
            (own / "train_val.prototxt").write_text(to_text(train_val(spec)))
            schedule = solver(spec, Schedule(320, 80), net="train_val.prototxt", snapshot_prefix="s")
            (own / "solver.prototxt").write_text(to_text(schedule))

    def _run(self, number: int, settings: Settings) -> None:
        folder, shared = self.made / settings.name(), self.runs / "shared"
        folder.mkdir(parents=True)
        width = str(settings.training.width)
        nets = shared / f"{settings.scheme}-{width.replace('/', '-')}"
        for source in (
            shared / "auc.csv",
            shared / settings.request.fraction.replace("/", "-") / "result.json",
            *nets.iterdir(),
        ):
            os.link(source, folder / source.name)
        os.link(shared / f"scores-{number % VARIANTS}.csv", folder / "scores.csv")
        donor = "donor.caffemodel" if is_depth(settings.scheme) else None
        resolved = {"width": width, "batch": 16, "data": str(self.packed.folder), "donor": donor}
        inputs = {"train_val.prototxt": nets.name, "solver.prototxt": nets.name}
        versions = {"caffe": "caffe version 1.0.0 (a stand-in)"}
        write_run(folder, RunRecord(settings.record(), {}, resolved, {}, [], [], inputs, versions, weights="w"))


def silent(_: str) -> None:
    """In place of the terminal."""


def processor(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block takes."""
    start = perf_counter(), processor(resource.RUSAGE_SELF), processor(resource.RUSAGE_CHILDREN)
    yield
    wall, own = perf_counter() - start[0], processor(resource.RUSAGE_SELF) - start[1]
    children = processor(resource.RUSAGE_CHILDREN) - start[2]
    print(f"{what}: {wall:.1f} s, processor {own:.1f} s and children {children:.1f} s", flush=True)


def interrupted(cells: Sequence[Cell], make: Made, share: Share) -> int:
    """Run, with Ctrl-C when a tenth has begun; how many are finished."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    make.stop_at = len(cells) // 10
    with suppress(KeyboardInterrupt):
        running.run_all(cells, make, share, silent)
    return sum(cell.finished(make.runs) for cell in cells)


def measure(folder: Path, runs: int) -> None:
    grid = study(folder, runs)
    print(f"{len(grid.cells)} runs", flush=True)
    with timed("made beforehand (not part of a study)"):
        make = Made(grid, folder / "runs")
    share = Share(WORKERS, (Machine(),) * WORKERS)
    with timed("checked"):
        check_distinct(grid.file, grid.cells)
    with timed("scheduled up to an interrupt"):
        count = interrupted(grid.cells, make, share)
    with timed(f"gone on after {count}"):
        running.run_all([c for c in grid.cells if not c.finished(make.runs)], make, share, silent)
    with timed("status"):
        found = status.progress(grid, make.runs)
        status.text(found, make.runs)
    assert len(found.of(FINISHED)) == len(grid.cells), "a run is lost"
    with timed("table"):
        tidy.write(tidy.rows(grid.cells, make.runs), grid.folder(make.runs))
    with timed("page"):
        page.write(grid, make.runs)
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB", flush=True)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        measure(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
