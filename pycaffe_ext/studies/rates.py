"""How fast this machine is: from what its finished runs cost, else from a short probe of each net, kept in a file.

A run's time is modelled as links * epochs * (patches of an epoch * train + validation patches * score) + test patches *
score, plus the preparation of its data, which the runs of one data set share.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from statistics import mean, median

from pycaffe_ext.applications import preparation
from pycaffe_ext.applications.packed import epoch_patches
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import read_json, write_json
from pycaffe_ext.runs import probe
from pycaffe_ext.runs.finished import RunFiles, load
from pycaffe_ext.runs.records import RESULT
from pycaffe_ext.runs.settings import DataRequest, Machine, Settings, Training
from pycaffe_ext.schemes import depths, is_fine_tuning, links

PROBES = "probes.json"  # in RUNS/studies
LEAST = 0.1  # share of the time of training that is the training's own, however slow the scoring of snapshots was
Key = tuple[object, ...]


@dataclass(frozen=True)
class Speed:
    """Seconds that the training of a patch takes, and the scoring of one.   source : in words."""

    train: float
    score: float
    source: str


def finished_runs(runs: Path) -> list[RunFiles]:
    """The finished runs in a folder; those that cannot be read, as of other versions, are left out."""
    found = []
    for file in sorted(runs.glob(f"*/{RESULT}")):
        with suppress(UserError):
            if run := load(file.parent):
                found.append(run)
    return found


def machine_key(machine: Machine) -> Key:
    """What decides the speed: caffe, GPU and threads, of this host."""
    return platform.node(), machine.caffe, machine.gpu, machine.threads or os.cpu_count()


def _machine_of(run: RunFiles) -> Key:
    own = run.record.machine
    return own.get("host"), own.get("caffe"), own.get("gpu"), own.get("threads") or own.get("cores")


def _net(settings: Settings) -> Key:
    own = settings.training
    return own.arch, own.scheme, own.width, own.precision


def speed_of(run: RunFiles) -> Speed | None:
    """What a finished run tells; None where it was interrupted, or of a version that did not record its cost."""
    cost, patches = run.record.cost, run.result.patches
    if run.result.resumes or not {"train", "test", "scored"} <= set(cost) or not (cost["scored"] and patches):
        return None
    score = cost["test"] / cost["scored"]
    scoring = run.result.snapshots * patches["val"] * score
    training = max(cost["train"] - scoring, LEAST * cost["train"])
    return Speed(training / (run.result.snapshots * _epoch(run)), score, "finished runs")


@dataclass
class Rates:
    """Speeds on this machine.  probing : whether a net without a finished run is probed, which takes some seconds."""

    runs: Path
    machine: Machine
    probing: bool = True
    say: Callable[[str], None] = print

    @cached_property
    def finished(self) -> list[RunFiles]:
        return finished_runs(self.runs)

    @cached_property
    def mine(self) -> list[RunFiles]:
        """The finished runs of this machine and its present settings."""
        return [run for run in self.finished if _machine_of(run) == machine_key(self.machine)]

    @cached_property
    def _probes(self) -> dict[str, list[float]]:
        with suppress(OSError, ValueError):
            return {str(key): [float(value) for value in pair] for key, pair in read_json(self._file).items()}
        return {}

    @property
    def _file(self) -> Path:
        return self.runs / "studies" / PROBES

    @cached_property
    def _speeds(self) -> dict[Key, list[Speed]]:
        """net -> what its finished runs tell."""
        found: dict[Key, list[Speed]] = {}
        for run in self.mine:
            if own := speed_of(run):
                found.setdefault(_net(run.settings), []).append(own)
        return found

    def speed(self, settings: Settings) -> Speed | None:
        """Of a run with these settings; None where nothing is known and nothing is probed."""
        if speeds := self._speeds.get(_net(settings)):
            source = f"{len(speeds)} finished run{'s' * (len(speeds) != 1)}"
            return Speed(median(one.train for one in speeds), median(one.score for one in speeds), source)
        return self._probed(settings)

    def _probed(self, settings: Settings) -> Speed | None:
        """Between the shallowest fine-tuning and the training of all layers, by the stages that learn."""
        ends = [self._probe(replace(settings, training=replace(own, fresh=None, mean=None))) for own in _ends(settings)]
        if None in ends:
            return None
        (shallow, score), (deep, _) = (end for end in ends if end)
        return Speed(shallow + (deep - shallow) * _depth(settings), score, "a probe")

    def _probe(self, settings: Settings) -> tuple[float, float] | None:
        key = " ".join(map(str, (*_net(settings), *machine_key(self.machine))))
        if key not in self._probes:
            if not self.probing:
                return None
            self.say(f"probing {settings.training.arch}, {settings.scheme}: a few iterations of `caffe time`")
            self._probes[key] = list(probe.seconds_a_patch(settings, self.machine))
            write_json(self._file, self._probes)
        train, score = self._probes[key]
        return train, score

    def counts(self, settings: Settings) -> dict[str, int]:
        """Patches of "train", "val" and an "epoch", at most, and of "test" where a run of the same data tells."""
        exact, whole = self._counted
        if settings.request in exact:
            return exact[settings.request]
        epoch = preparation.limits(settings.request.whole)["train"]
        test = whole.get(_whole(settings.request), 0)
        share = Fraction(settings.request.fraction)
        return {**preparation.limits(settings.request, share), "epoch": epoch, "test": test}

    @cached_property
    def _counted(self) -> tuple[dict[DataRequest, dict[str, int]], dict[DataRequest, int]]:
        """request -> patches of its finished runs; request at every fraction and seed -> the most patches scored."""
        exact, whole = {}, dict[DataRequest, int]()
        for run in self.finished:
            exact[run.settings.request] = {**run.result.patches, "epoch": _epoch(run), "test": _scored(run)}
            key = _whole(run.settings.request)
            whole[key] = max(_scored(run), whole.get(key, 0))
        return exact, whole

    def preparation(self, settings: Settings) -> float | None:
        """Seconds that preparing such data took, by what finished runs of the same data set tell; None if none does."""
        found = [
            run.record.cost.get("prepare", 0.0)
            for run in self.mine
            if run.settings.app == settings.app and run.settings.request.source == settings.request.source
        ]
        return max(found, default=None)

    def prepared(self, settings: Settings) -> bool:
        """Whether a finished run of this machine used the same packed data, which are still there."""
        size = probe.input_size(settings)
        return any(
            run.settings.request == settings.request
            and probe.input_size(run.settings) == size
            and Path(run.record.resolved["data"]).exists()
            for run in self.finished
        )

    def memory(self, cells: Iterable[Settings]) -> float:
        """The most bytes that finished runs of these applications and nets held; 0 where none tells."""
        kinds = {(own.app, own.training.arch) for own in cells}
        held = [
            r.record.cost.get("memory", 0) for r in self.mine if (r.settings.app, r.settings.training.arch) in kinds
        ]
        return float(max(held, default=0))


def _epoch(run: RunFiles) -> int:
    return epoch_patches(run.result.patches, run.result.share)


def _scored(run: RunFiles) -> int:
    return int(run.record.cost.get("scored", 0)) or int(run.result.patches.get("test", 0))


def _whole(request: DataRequest) -> DataRequest:
    """The request at FRACTION=1 and seed 0: validation and test are of about the same size."""
    return replace(request.whole, seed=0)


def _ends(settings: Settings) -> list[Training]:
    """The trainings of the shallowest fine-tuning and of all layers."""
    own = settings.training
    return [replace(own, scheme=depths(own.arch)[0]), replace(own, scheme="scratch")]


def _depth(settings: Settings) -> float:
    """0 for the last layer alone, 1 for all layers; of a chain the mean of its links."""
    own = settings.training
    if not is_fine_tuning(own.scheme, own.arch):
        return 1.0
    every = depths(own.arch)
    return mean(every.index(link) / (len(every) - 1) for link in links(own.scheme, own.arch))
