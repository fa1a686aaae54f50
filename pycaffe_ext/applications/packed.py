"""What an application hands on: a folder of packed patches, in which every file is Caffe's own or a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.data.balance import Selection
from pycaffe_ext.data.pack import database_path, index_path
from pycaffe_ext.data.sources import LeftOut
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import read_json, write_json

RECORD = "data.json"


@dataclass(frozen=True)
class Packed:
    """A folder with SPLIT_lmdb, patches_SPLIT.csv, mean.binaryproto and data.json, the record below.

    The folder above it is the found data: splits.csv, items.csv, samples.csv and the model that proposed the samples.
    fingerprint : sha256 over the items.  patches : split -> number of patches.
    facts : counts at each stage, for a reader.  slices : of the test patches; only a single one lies in the folder,
    several are packed by each run, one after the other (see TestSlices); 0 where none is needed.  fitted : model file
    -> digest.
    tuning : what is for training only: "share", as asked for, and the "groups" and "items" that it comes to.
    share : of the training groups (FRACTION=): "share" as a fraction in text, how many "groups" are left "of" all, from
    how many of them patches are "drawn", and the training "patches" that all groups would give; empty in a folder of an
    earlier version, which has all.
    cost : seconds spent on the "find" of items and samples (0 if they were there) and on the "pack" of "written" new
    patches, by the machine "host"; empty in a folder of an earlier version.
    depth : a `data.depths.Depth`, with how many bits the items' pictures are stored; empty in a folder of an earlier
    version, where it is not known.
    damaged : names of the damaged items that DAMAGED=keep took.  classes : their names.
    left_out : of the pictures and videos in the data set's folder; of this run, so it is not in the folder's record.
    """

    folder: Path
    fingerprint: str
    patches: dict[str, int]
    facts: dict[str, Any]
    slices: int = 1
    fitted: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    tuning: Mapping[str, float] = field(default_factory=dict)
    share: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    depth: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    @property
    def found(self) -> Path:
        """The folder of the found data."""
        return self.folder.parent

    @property
    def mean_file(self) -> Path:
        return self.folder / "mean.binaryproto"

    @property
    def epoch_patches(self) -> int:
        return epoch_patches(self.patches, self.share)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits whose patches lie in the folder."""
        return tuple(split for split in self.patches if split != "test" or self.slices == 1)

    def lmdb(self, split: str) -> Path:
        return database_path(self.folder, split)

    def index(self, split: str) -> Path:
        return index_path(self.folder, split)

    def save(self) -> None:
        """Write data.json, the last file of a preparation: where it lies, everything is there."""
        record = asdict(self)
        del record["folder"], record["left_out"]
        write_json(self.folder / RECORD, record)


def epoch_patches(patches: Mapping[str, int], share: Mapping[str, Any]) -> int:
    """The patches of an epoch: those of all training groups.   patches, share : as in Packed.

    A share of them is gone through several times, so that nets learn in as many iterations from few data as from all.
    Otherwise less data would mean less training too, and the two could not be told apart.
    """
    return int(share.get("patches", patches["train"]))


@dataclass(frozen=True)
class TestSlices:
    """All patches by which the samples of a split are scored, in slices small enough for any disk.

    selections : the patches of each slice, `sample` counting the split's samples.   order : (number) -> place of each
    selected patch in the LMDB.   pack : (number, folder) writes that slice as SPLIT_lmdb and patches_SPLIT.csv into
    the folder and checks it; nothing is written where it lies there for good.   split : "test", or "val", of which
    the packed folder has the balanced patches only.
    """

    __test__ = False  # pytest: this is no test

    selections: Sequence[Selection]
    order: Callable[[int], np.ndarray]
    pack: Callable[[int, Path], None]
    split: str = "test"


def load(folder: Path) -> Packed | None:
    """The record of a finished preparation; None if there is none."""
    if not (folder / RECORD).exists():
        return None
    try:
        found = Packed(folder=folder, **read_json(folder / RECORD))
        return replace(found, damaged=tuple(found.damaged), classes=tuple(found.classes))
    except (ValueError, TypeError):
        raise UserError(f"{folder / RECORD} is no record of packed data; remove {folder} and run again") from None
