"""run.json and result.json: one record, one reader and one writer for each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from pycaffe_ext.data.fractions import ALL
from pycaffe_ext.engine.options import FAITHFUL
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import read_json, write_json
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.training.resumes import Resume

RUN, RESULT = "run.json", "result.json"
VALIDATION_SCORES = "scores_val.csv"  # of all validation samples
LAYOUT = 2  # of both files; 1 had the settings in one list and no "layout"


@dataclass(frozen=True)
class RunRecord:
    """What a run was made of; written before its training begins.

    settings : see Settings.record.   machine : command, GPU, threads, host and cores of the latest start; no part of
    the identity.
    resolved : width, batch, the absolute paths of the packed data, of their source (DATA=, from later versions) and the
    donor, what the input is (Transform.record), and which layers were transferred.   inputs : name -> sha256.
    versions : of the caffe with which the training began, "caffe_of_test" where another one only tested, and of the
    libraries.   resumes : see training.resumes.
    warnings : of the data (`data.depths`, `data.doubles`) and of the donor, see donor_checks; those of the first epoch
    are added when it is over.
    cost : seconds spent on "prepare", "train" (with the scoring of snapshots) and "test" so far, what was spent before
    an interruption included unless the process was killed; of a finished run also "scored", the patches scored in the
    test, and "memory", the most bytes that the run and its Caffe held.  Empty in a run of an earlier version.  A chain
    has "train LINK" for each link besides, and "taken" where links were copied from another run (see runs.links).
    weights : sha256 of the chosen snapshot's file, "" before the end.
    """

    settings: dict[str, Any]
    machine: dict[str, Any]
    resolved: dict[str, Any]
    patches: dict[str, int]
    damaged: list[str]
    left_out: list[dict[str, Any]]
    inputs: dict[str, str]
    versions: dict[str, str]
    resumes: list[Resume] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    cost: dict[str, float] = field(default_factory=dict)
    weights: str = ""

    def parsed_settings(self) -> Settings:
        return Settings.from_record(self.settings)

    def check_source(self, folder: Path) -> None:
        """Raise UserError if the run in `folder` was on another data set than its DATA= is now, from another working
        folder.  One that was moved, so that it is no longer where it was, is the same."""
        source, data = self.resolved.get("source"), self.settings["data"]["data"]
        there = [place for place in (source, data) if place and os.path.exists(place)]
        if len(there) == 2 and not os.path.samefile(*there):
            raise UserError(
                f"{folder} holds a run of DATA={source}, not of {os.path.abspath(data)}; choose another RUNS=, or name"
                " the data by their whole path"
            )


@dataclass(frozen=True)
class Best:
    """The chosen snapshot.  validation_auc : what early stopping maximised.   link : of a chain, the folder of the link
    that it is from; iteration and epoch are those of the whole course."""

    iteration: int
    epoch: float
    validation_auc: float
    link: str = ""


@dataclass(frozen=True)
class ResultRecord:
    """What came out of a run; written last.  test : what the application's metric says (Metric.result).

    input : what was subtracted from the patches, and their factor; "" = a run of a version that took the data's mean.
    thresholds : chosen on the validation samples (Metric.thresholds); none in a run of an earlier version.
    share : of the training groups, see Packed; empty in a run of an earlier version, which had all.
    links : of a chain, for each link its folder ("link"), the "scheme", the iterations of the course "before" it, its
    own chosen "iteration", "epoch" and "validation_auc", its "snapshots" and what it was "stopped_by".
    """

    name: str
    donor: str
    best: Best
    snapshots: int
    stopped_by: str
    data: dict[str, Any]
    patches: dict[str, int]
    left_out: list[dict[str, Any]]
    test: dict[str, Any]
    files: list[str]
    precision: str = FAITHFUL
    input: str = ""
    resumes: list[Resume] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    thresholds: list[dict[str, Any]] = field(default_factory=list)
    share: dict[str, Any] = field(default_factory=dict)
    links: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class ExternalRecord:
    """What a finished run came to on another data set; its own result.json, written last.

    name : of the run.   data : absolute path.   dataset : as asked for.   source : what the set is called.
    packed : where its patches lie, within the folder of the found data of the run.   weights : sha256.
    caffe : version of the command that scored.   facts : counts, as in data.json.   patches : scored.
    similar : near-duplicates of the run's own items: "items", "pairs", "known" (items that resemble one of training or
    validation) and the "first" of them, each (item, part, nearest item, bits).   test, thresholds : as in ResultRecord.
    """

    name: str
    data: str
    dataset: str | None
    source: str
    fingerprint: str
    packed: str
    weights: str
    caffe: str
    items: int
    groups: int
    facts: dict[str, Any]
    patches: int
    damaged: list[str]
    left_out: list[dict[str, Any]]
    similar: dict[str, Any]
    test: dict[str, Any]
    thresholds: list[dict[str, Any]]
    files: list[str]
    warnings: list[str] = field(default_factory=list)


R = TypeVar("R", RunRecord, ResultRecord, ExternalRecord)


def write_run(folder: Path, record: RunRecord) -> None:
    write_json(folder / RUN, {"layout": LAYOUT, **asdict(record)})


def write_result(folder: Path, record: ResultRecord) -> None:
    write_json(folder / RESULT, {"layout": LAYOUT, **asdict(record)})


def write_external(folder: Path, record: ExternalRecord) -> None:
    write_json(folder / RESULT, {"layout": LAYOUT, **asdict(record)})


def read_external(folder: Path) -> ExternalRecord:
    """result.json of a test on another data set; UserError as from `read_run`."""
    return _read(folder, RESULT, ExternalRecord)


def read_externals(run: Path) -> list[ExternalRecord]:
    """All tests of a run on other data sets; run : its folder.   UserError as from `read_run`."""
    return [read_external(file.parent) for file in sorted(run.glob(f"external/*/{RESULT}"))]


def read_run(folder: Path) -> RunRecord:
    """run.json of a folder; UserError if it is missing, damaged or of another version."""
    record = _read(folder, RUN, RunRecord)
    try:
        record.parsed_settings()
        _ = [record.resolved[key] for key in ("width", "batch", "data", "donor")], record.versions["caffe"]
    except (KeyError, TypeError, AttributeError):
        raise _damaged(folder, RUN) from None
    return record


def read_result(folder: Path) -> ResultRecord:
    """result.json of a finished run; UserError as from `read_run`."""
    record = _read(folder, RESULT, ResultRecord)
    if record.share.get("share", ALL) != ALL and "patches" not in record.share:  # its epochs were shorter: see Packed
        raise _other_version(folder)
    return record


def _other_version(folder: Path) -> UserError:
    return UserError(f"{folder}: was run by another version of pycaffe_ext; choose another RUN= or remove it")


def _read(folder: Path, name: str, kind: type[R]) -> R:
    try:
        content = read_json(folder / name)
        layout = content.pop("layout", 1)
    except (OSError, ValueError, TypeError, AttributeError):
        raise _damaged(folder, name) from None
    if layout != LAYOUT:
        raise _other_version(folder)
    try:
        return _made(kind, content)
    except (KeyError, TypeError):
        raise _damaged(folder, name) from None


def _made(kind: type[R], content: Mapping[str, Any]) -> R:
    given = dict(content)
    if kind is ResultRecord:
        given["best"] = Best(**given["best"])
    wrong = [one.name for one in fields(kind) if _unlike(given.get(one.name), str(one.type))]
    if wrong:
        raise TypeError(wrong[0])
    return kind(**given)


def _unlike(value: Any, kind: str) -> bool:
    """Whether a JSON value cannot be of a field's type."""
    plain = {"dict": dict, "list": list, "str": str, "int": int}.get(kind.split("[")[0])
    return value is not None and plain is not None and not isinstance(value, plain)


def _damaged(folder: Path, name: str) -> UserError:
    return UserError(f"{folder / name} is missing or damaged; remove {folder} and run it again")
