"""What is asked of a run, in three records: what data, what training, which machine.

The first two decide the numbers: they are the run's identity and name its folder.  The machine changes time only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.data import ENCODINGS, fractions
from pycaffe_ext.data.folds import Fold
from pycaffe_ext.donor.cards import check_mean_values, check_scale
from pycaffe_ext.engine.options import FAITHFUL, PRECISIONS
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.evaluation.designs import MOST_FOLDS, Trial
from pycaffe_ext.nets.dense import check_exact
from pycaffe_ext.nets.spec import check_width, parse_width
from pycaffe_ext.schemes import BASE_LR, STAGES, check, is_fine_tuning, links

LARGEST_SEED = 2**31 - 1
DONOR_MEAN, DATA_MEAN = "donor", "data"  # words that MEAN= takes
PATHS = ("data", "weights", "mean")  # settings that are one, or may be


@dataclass(frozen=True)
class DataRequest:
    """What data: decides which patches are cut.

    data : folder of the data set, as given; None = the application's synthetic data.
    dataset : its layout, as `make data-help` names it; None = recognised.   seed : of splits and chosen patches.
    patches : training + validation patches at most (the paper: 100 000).
    test_views : patches scored per test sample; None = the application's default.   encoding : of the LMDBs.
    folds, fold : test on fold 1 .. folds of a partition of the groups, which the seed decides; None = on one half.
    tuning : share of the groups that are for training only; None = what the data set's adapter says.
    fraction : share of the training groups that is learnt from, as a fraction in text; the groups of the smaller are
    among those of the larger, and validation and test are the same at all.
    options : the application's own settings that are not its defaults, sorted by name.
    """

    app: str
    data: str | None = None
    dataset: str | None = None
    seed: int = 0
    patches: int = 6000
    test_views: int | None = None
    encoding: str = "raw"
    folds: int | None = None
    fold: int | None = None
    tuning: float | None = None
    fraction: str = fractions.ALL
    options: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        known(self.app, APPLICATIONS, "application")
        known(self.encoding, ENCODINGS, "ENCODING")
        defaults = APPLICATIONS[self.app].options
        given = tuple(sorted((name, str(value)) for name, value in self.options))
        if unknown := [name for name, _ in given if name not in defaults]:
            raise UserError(f"{unknown[0].upper()}= is no setting of {self.app}; it has: {_names(defaults)}")
        object.__setattr__(self, "options", tuple(one for one in given if defaults[one[0]] != one[1]))
        _check_range("patches", self.patches, 40)
        _check_range("test_views", self.test_views, 1)
        _check_range("seed", self.seed, 0, LARGEST_SEED)
        _check_fold(self.folds, self.fold)
        object.__setattr__(self, "fraction", fractions.parse_fraction(self.fraction))
        if self.tuning is not None and not 0 <= self.tuning < 1:
            raise UserError(f"TUNING={self.tuning} is out of range; allowed: a share of the groups, 0 to below 1")

    @property
    def of_folds(self) -> Fold | None:
        """The fold that is tested on; None where there are no folds."""
        return None if self.folds is None or self.fold is None else Fold(self.fold, self.folds)

    @property
    def whole(self) -> DataRequest:
        """The same at FRACTION=1: all fractions have its validation and test."""
        return replace(self, fraction=fractions.ALL)

    def option(self, name: str) -> str:
        """An option of the application, its default if it was not given."""
        return dict(self.options).get(name, APPLICATIONS[self.app].options[name])

    @property
    def source(self) -> str:
        """The name of the data set's folder, or "synthetic"."""
        return Path(self.data).resolve().name if self.data else "synthetic"


@dataclass(frozen=True)
class TestSet:
    """Another data set that nets are tested on, whole; no part of a run's identity.

    data : its folder.   dataset : its layout, None = recognised.
    """

    __test__ = False  # pytest: this is no test

    data: str
    dataset: str | None = None

    @classmethod
    def given(cls, data: str | None, dataset: str | None) -> TestSet | None:
        """What TEST_DATA= and TEST_DATASET= ask for, None without the first; UserError for the second alone."""
        if data:
            return cls(data, dataset)
        if dataset:
            raise UserError(f"TEST_DATASET={dataset} says what TEST_DATA= holds; give TEST_DATA= too")
        return None

    def request(self, of: DataRequest) -> DataRequest:
        """The items to test on, read, cut and scored as a run's own are; of : that run's data."""
        return DataRequest(
            of.app, self.data, self.dataset, test_views=of.test_views, encoding=of.encoding, options=of.options
        )


@dataclass(frozen=True)
class Training:
    """What training.

    arch : the net, one of nets.ARCHITECTURES; it decides the patches' size and which schemes there are.
    weights : the donor, None = the embedded one.   seed : of fillers, dropout and Caffe's other random numbers.
    width : share of AlexNet's channels as a fraction in text ("1/8"); None = the donor's.
    batch : training batch; None = the net's own (AlexNet: 256), halved, not below 16, until an epoch has 50 iterations.
    epochs : the most; a snapshot is taken after each.   patience : stop after this number of snapshots without a
    better validation AUC.   base_lr : learning rate of a layer with lr_mult 1; Table II's, for AlexNet, unless another
    net needs another.   precision : of the embedded engine's products; "bf16" is faster and not faithful to Caffe.
    mean : subtracted from the patches: "donor", "data", values of B,G,R or a mean file; None = a fine-tuning's donor's
    where its card says it, else the data's.   scale : factor of the patches after that; None = as with the mean, the
    card's or the net's own.   fresh : names, as a shell matches them, of hidden layers that the donor may lack.
    """

    scheme: str
    arch: str = "alexnet"
    weights: str | None = None
    width: str | None = None
    batch: int | None = None
    epochs: int = 15
    patience: int = 5
    base_lr: float = BASE_LR
    seed: int = 0
    precision: str = FAITHFUL
    mean: str | None = None
    scale: float | None = None
    fresh: str | None = None

    def __post_init__(self) -> None:
        check(self.scheme, known(self.arch, STAGES, "ARCH"))
        known(self.precision, PRECISIONS, "PRECISION")
        for name in ("epochs", "patience", "batch"):
            _check_range(name, getattr(self, name), 1)
        _check_range("seed", self.seed, 0, LARGEST_SEED)
        if not 0 < self.base_lr <= 1:
            raise UserError(f"BASE_LR={self.base_lr} is out of range; allowed: above 0 to 1 (Table II: {BASE_LR})")
        if self.width is not None:
            check_width(parse_width(self.width), self.arch)
        self._check_input()

    def _check_input(self) -> None:
        """Of mean, scale and fresh, what can be known without the donor and the files."""
        if self.mean is not None and (values := mean_values(self.mean)):
            _named("MEAN", check_mean_values, values)
        if self.scale is not None:
            _named("SCALE", check_scale, self.scale)
        if self.fresh is not None:
            object.__setattr__(self, "fresh", " ".join(self.fresh.replace(",", " ").split()) or None)
        if not is_fine_tuning(self.scheme, self.arch):
            if self.mean == DONOR_MEAN:
                raise UserError(f"MEAN=donor: {self.scheme} has no donor; give data, B,G,R or a mean file")
            if self.fresh:
                raise UserError(f"FRESH= is for a fine-tuning; in {self.scheme} every layer starts from its filler")


@dataclass(frozen=True)
class Machine:
    """Which machine: changes the time, never the numbers, and is in no run's name.

    caffe : the command to drive; None = the embedded engine, `python -m pycaffe_ext`.   gpu : Caffe's --gpu.
    threads : the most, None = one per core.   cache_gb : bound of the embedded engine's store of frozen layers'
    outputs; None = a quarter of the free memory.
    """

    caffe: str | None = None
    gpu: str | None = None
    threads: int | None = None
    cache_gb: float | None = None

    def __post_init__(self) -> None:
        _check_range("threads", self.threads, 1)


@dataclass(frozen=True)
class Settings:
    """The identity of a run; UserError for DENSE=1 with a net that is another in a region."""

    request: DataRequest
    training: Training
    app: str = field(init=False)
    scheme: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "app", self.request.app)
        object.__setattr__(self, "scheme", self.training.scheme)
        if dict(self.request.options).get("dense") == "1":
            check_exact(self.training.arch)

    @classmethod
    def of(cls, app: str, scheme: str, **options: Any) -> Settings:
        """Settings from the names that make and the programs use; None stands for a default.

        seed is that of data and training; with split_seed the data have a seed of their own.
        """
        given = {name: value for name, value in options.items() if value is not None}
        split_seed = given.pop("split_seed", given.get("seed", 0))
        training = {name: given.pop(name) for name in list(given) if name in _fields(Training) and name != "seed"}
        seed = given.pop("seed", 0)
        data = {name: given.pop(name) for name in list(given) if name in _fields(DataRequest)}
        request = DataRequest(app, **data, seed=split_seed, options=tuple(given.items()))
        return cls(request, Training(scheme, **training, seed=seed))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Settings:
        """Settings from what `record` gave; KeyError or TypeError if they are of another version."""
        data = dict(record["data"])
        options = tuple(data.pop("options").items())
        return cls(DataRequest(**data, options=options), Training(**record["training"]))

    def record(self) -> dict[str, dict[str, Any]]:
        """For run.json."""
        data = asdict(self.request)
        return {"data": {**data, "options": dict(self.request.options)}, "training": asdict(self.training)}

    @property
    def seed(self) -> int:
        """The seed of the training; `request.seed` is that of the split."""
        return self.training.seed

    @property
    def epochs(self) -> int:
        """The most of a whole run: each link of a chain may have EPOCHS=."""
        return self.training.epochs * len(links(self.scheme, self.training.arch))

    @property
    def trial(self) -> Trial:
        """The seed, and the fold if there is one: by it runs of a study are paired."""
        return Trial(self.seed, self.request.seed, self.request.fold, self.request.folds)

    @property
    def job(self) -> str:
        """What `make` calls it: `app-scheme`."""
        return f"{self.app}-{self.scheme}"

    @property
    def title(self) -> str:
        """The job, with the net where it is not the paper's."""
        return self.job if self.training.arch == Training.arch else f"{self.job} ({self.training.arch})"

    def name(self) -> str:
        """The run's folder: the job, and a digest of the settings as soon as one is not the default."""
        return self._name

    @cached_property
    def _name(self) -> str:
        """Worked out once: a study asks for it again and again."""
        changed = self.changed()
        arch = [] if self.training.arch == Training.arch else [self.training.arch]
        return "-".join([self.job, *arch, self.request.source, short_hash(changed)]) if changed else self.job

    def changed(self) -> dict[str, Any]:
        """The settings that differ from their defaults."""
        plain = Settings(DataRequest(self.app), Training(self.scheme, self.training.arch)).flat()
        plain["arch"] = Training.arch
        return {name: value for name, value in self.flat().items() if value != plain[name]}

    def differences(self, other: Settings) -> list[str]:
        """What other settings say otherwise, as `name: theirs -> ours`."""
        theirs = other.flat()
        return [f"{name}: {theirs[name]} -> {value}" for name, value in self.flat().items() if theirs[name] != value]

    def with_request(self, **changes: Any) -> Settings:
        """The same with another data request."""
        return replace(self, request=replace(self.request, **changes))

    def flat(self) -> dict[str, Any]:
        """name -> value of all settings, by which runs are told apart: a seed of the data alone counts only where it is
        another, and a path has one spelling."""
        data, training = asdict(self.request), asdict(self.training)
        seeds = {"seed": training.pop("seed"), "split_seed": None}
        if (split_seed := data.pop("seed")) != seeds["seed"]:
            seeds["split_seed"] = split_seed
        found = {**data, "options": dict(self.request.options), **training, **seeds}
        return found | {name: _spelled(found[name]) for name in PATHS}


def _spelled(path: str | None) -> str | None:
    """Without needless dots and slashes: `../d/`, `./../d` and `../d` are one folder.

    A whole path stays one, so that the run is the same from any folder; a relative one stays too, so that it holds when
    data and runs are moved together.  Names and values that are no paths stay as they are.
    """
    return os.path.normpath(path) if path and os.sep in path else path


def _fields(record: type) -> list[str]:
    return [one.name for one in fields(record)]


def mean_values(text: str) -> tuple[float, ...]:
    """The numbers of MEAN=104,117,123; none if it names something else."""
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        return ()


def _named(setting: str, check: Callable[[Any], None], value: Any) -> None:
    try:
        check(value)
    except UserError as error:
        raise UserError(f"{setting}=: {error}") from None


def _names(options: Mapping[str, str]) -> str:
    return ", ".join(name.upper() for name in options) or "none of its own"


def _check_fold(folds: int | None, fold: int | None) -> None:
    if folds is None:
        if fold is not None:
            raise UserError(f"FOLD={fold} needs FOLDS=, how many there are")
        return
    _check_range("folds", folds, 2, MOST_FOLDS)
    if fold is None:
        raise UserError(
            f"FOLDS={folds}: a single run tests on one of them; give FOLD=1 to {folds}, or run all as a study"
        )
    _check_range("fold", fold, 1, folds)


def _check_range(name: str, value: int | None, low: int, high: int | None = None) -> None:
    if value is not None and (value < low or (high is not None and value > high)):
        span = f"{low} to {high}" if high else f"{low} or more"
        raise UserError(f"{name.upper()}={value} is out of range; allowed: {span}")


def parse_name(name: str, arch: str = Training.arch) -> tuple[str, str]:
    """`polyp-ft-conv3` -> ("polyp", "ft-conv3"); UserError names what is unknown and what was meant."""
    app, _, scheme = name.partition("-")
    return known(app, APPLICATIONS, "application"), check(scheme, known(arch, STAGES, "ARCH"))


def short_hash(content: Any) -> str:
    """Six hexadecimal digits of a JSON-able value."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:6]
