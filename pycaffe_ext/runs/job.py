"""A run whose data are packed and whose donor is known, as the stages of a run hand it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycaffe_ext import nets
from pycaffe_ext.applications.base import Application
from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.applications.preparation import Prepared
from pycaffe_ext.runs import links
from pycaffe_ext.runs.donor_checks import Checked
from pycaffe_ext.runs.donors import Donor, Transfer
from pycaffe_ext.runs.settings import Machine, Settings
from pycaffe_ext.runs.transforms import Transform
from pycaffe_ext.schemes import is_fine_tuning
from pycaffe_ext.training.chain import Link

Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A run whose data are packed and whose donor is known."""

    settings: Settings
    machine: Machine
    folder: Path
    application: Application[Any, Any]
    prepared: Prepared
    donor: Donor
    transfer: Transfer | None
    transform: Transform
    spec: nets.NetSpec

    @property
    def data(self) -> Packed:
        return self.prepared.packed

    @property
    def links(self) -> tuple[Link, ...]:
        """The trainings of its scheme."""
        return links.links_of(self.settings, self.folder)

    @property
    def chained(self) -> bool:
        return len(self.links) > 1

    @property
    def fine_tunes(self) -> bool:
        return is_fine_tuning(self.settings.scheme, self.settings.training.arch)

    @property
    def checked(self) -> Checked | None:
        """The donor of a fine-tuning, as it is checked."""
        return Checked(self.donor.file, self.donor.blobs, self.spec) if self.fine_tunes and self.donor.file else None

    @property
    def test_folder(self) -> Path:
        """Where the test patches are scored: they lie with the others, or come into the run's folder by slices."""
        return self.data.folder if self.data.slices == 1 else self.folder

    @property
    def output(self) -> str:
        """The blob of the head's raw values, by which patches are scored."""
        return nets.architecture(self.spec.arch).output(self.spec)
