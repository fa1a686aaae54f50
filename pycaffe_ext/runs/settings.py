"""The settings of one run: resolved once, frozen, and saved in run.json beside the results."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pycaffe_ext.applications import APPLICATIONS
from pycaffe_ext.data import ENCODINGS
from pycaffe_ext.data.reading import Reading
from pycaffe_ext.engine.options import FAITHFUL, PRECISIONS
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.nets.spec import check_width, parse_width
from pycaffe_ext.schemes import BASE_LR, STAGES, check


@dataclass(frozen=True)
class Settings:
    """What decides a run's numbers.  Paths are kept as given; what they hold is hashed into run.json.

    arch : the net, one of nets.ARCHITECTURES; it decides the patches' size and which schemes there are.
    dataset : the layout of `data`, one of data.sources; None = recognised.
    mask, damaged : how its files are read where that is not clear, as `data.reading.Reading` says.
    patches : training + validation patches at most (the paper: 100 000).
    test_views : patches scored per test candidate, 1 to 120 (the paper: all 120).
    width : share of AlexNet's channels as a fraction in text ("1/8"); None = the donor's.
    batch : training batch; None = the net's own (AlexNet: 256), halved until an epoch has 50 iterations.
    epochs : at most so many; a snapshot is taken after each.
    base_lr : learning rate of a layer with lr_mult 1; Table II's, for AlexNet, unless another net needs another.
    patience : stop after so many snapshots without a better validation AUC.
    caffe : the command to drive; None = the embedded engine, `python -m pycaffe_ext`.
    precision : of the embedded engine's products; "bf16" is faster and not faithful to Caffe.
    """

    app: str
    scheme: str
    arch: str = "alexnet"
    data: str | None = None
    dataset: str | None = None
    weights: str | None = None
    patches: int = 6000
    test_views: int = 8
    width: str | None = None
    batch: int | None = None
    epochs: int = 15
    patience: int = 5
    base_lr: float = BASE_LR
    seed: int = 0
    encoding: str = "raw"
    caffe: str | None = None
    gpu: str | None = None
    precision: str = FAITHFUL
    mask: str = Reading.mask
    damaged: str = Reading.damaged

    def __post_init__(self) -> None:
        known(self.app, APPLICATIONS, "application")
        check(self.scheme, known(self.arch, STAGES, "ARCH"))
        known(self.encoding, ENCODINGS, "ENCODING")
        known(self.precision, PRECISIONS, "PRECISION")
        Reading(self.mask, self.damaged)
        for name, low, high in (
            ("patches", 40, None),
            ("test_views", 1, 120),
            ("epochs", 1, None),
            ("patience", 1, None),
            ("batch", 1, None),
            ("seed", 0, 2**31 - 1),
        ):
            _check_range(name, getattr(self, name), low, high)
        if not 0 < self.base_lr <= 1:
            raise UserError(f"BASE_LR={self.base_lr} is out of range; allowed: above 0 to 1 (Table II: {BASE_LR})")
        if self.width is not None:
            check_width(parse_width(self.width), self.arch)

    @property
    def job(self) -> str:
        """What `make` calls it: `app-scheme`."""
        return f"{self.app}-{self.scheme}"

    @property
    def title(self) -> str:
        """What a reader is told: the job, and the net where it is not the paper's."""
        return self.job if self.arch == type(self).arch else f"{self.job} ({self.arch})"

    @property
    def reading(self) -> Reading:
        """How the files of the data set are read."""
        return Reading(self.mask, self.damaged)

    @property
    def source(self) -> str:
        """The name of the frames' folder, or "synthetic"."""
        return Path(self.data).resolve().name if self.data else "synthetic"

    def name(self) -> str:
        """The run's folder: the job, and a digest of the settings as soon as one is not the default."""
        changed = self.changed()
        arch = [] if self.arch == type(self).arch else [self.arch]
        return "-".join([self.job, *arch, self.source, short_hash(changed)]) if changed else self.job

    def changed(self) -> dict[str, Any]:
        """The settings that differ from their defaults."""
        return {f.name: getattr(self, f.name) for f in fields(self)[2:] if getattr(self, f.name) != f.default}

    def differences(self, other: dict[str, Any]) -> list[str]:
        """What a saved record of settings says otherwise, as `name: theirs -> ours`.

        A setting that the record does not know is younger than the run, which had its default.
        """
        theirs = {f.name: other.get(f.name, f.default) for f in fields(self)}
        return [f"{key}: {theirs[key]} -> {value}" for key, value in asdict(self).items() if theirs[key] != value]


def _check_range(name: str, value: int | None, low: int, high: int | None) -> None:
    if value is not None and (value < low or (high is not None and value > high)):
        span = f"{low} to {high}" if high else f"{low} or more"
        raise UserError(f"{name.upper()}={value} is out of range; allowed: {span}")


def parse_name(name: str, arch: str = Settings.arch) -> tuple[str, str]:
    """`polyp-ft-conv3` -> ("polyp", "ft-conv3"); UserError names what is unknown and what was meant."""
    app, _, scheme = name.partition("-")
    return known(app, APPLICATIONS, "application"), check(scheme, known(arch, STAGES, "ARCH"))


def short_hash(content: Any) -> str:
    """Six hexadecimal digits of a JSON-able value."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:6]
