"""Another data set that finished runs are tested on, whole: its items, its samples, its packed patches.

Its samples come from the model that the run's own preparation left behind, and everything that follows from them lies
in the folder of the run's found data, as external-NAME-DIGEST, with items.csv, samples.csv, similar.csv and
packed-DIGEST: runs of one data set share it, as they share their own patches. Nothing of the set is split, and nothing
is learned from it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.applications import packed, preparation, registry, sample_tables
from pycaffe_ext.applications.base import Application, Collection, say_about
from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.applications.preparation import Found, Prepared, Say
from pycaffe_ext.data import depths, groups, pack, similar
from pycaffe_ext.data.depths import Depth
from pycaffe_ext.data.frames import fingerprint
from pycaffe_ext.data.similar import Similar
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.settings import DataRequest, TestSet, short_hash

PREFIX, SIMILAR = "external-", "similar.csv"
SETTING = re.compile(r"(?<!data-help )\b(DATA|DATASET)(?==)")


@dataclass(frozen=True, eq=False)
class Outside:
    """The data set, read when it is first asked for, once for all runs of a study.

    runs : where decoded videos and the like go, absolute.
    """

    application: Application[Any, Any]
    request: DataRequest
    runs: Path

    def check(self, of: DataRequest) -> None:
        """Raise UserError for what can be known before an item is read; of : the data that the nets are trained on."""
        if of.data and os.path.isdir(of.data) and os.path.isdir(self.source) and os.path.samefile(of.data, self.source):
            raise UserError(f"TEST_DATA={self.source} is the same folder as DATA=; its test part is tested on anyway")
        with as_test_data():
            self.application.check(self.request)
            found = self.application.classes(self.request)
        check_classes(self.source, self.application.classes(of), found)

    @property
    def source(self) -> str:
        """The folder, as given."""
        return str(self.request.data)

    @cached_property
    def collection(self) -> Collection:
        with as_test_data():
            return self.application.whole(self.request, self.runs)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.collection.items)

    @cached_property
    def hashed(self) -> groups.Hashed:
        return groups.hash_frames(self.collection.items)

    @cached_property
    def depth(self) -> Depth:
        return depths.of(self.collection.items, f"TEST_DATA={self.source}")

    def check_depth(self, trained: Packed) -> None:
        """Raise UserError for pictures with 16 bits that are on another scale than those of `trained`."""
        depths.check_same(Depth.read(trained.depth), self.depth, f"TEST_DATA={self.source}")

    @cached_property
    def name(self) -> str:
        """Of the folders with its results: what it is called, and a digest of its items."""
        return f"{self.request.source}-{short_hash(self.fingerprint)}"

    def read(self) -> None:
        """Raise UserError, before anything is trained, for items or labels that can't be read, and for pictures of two
        scales."""
        with as_test_data():
            self.application.strata(self.collection.items)
        _ = self.depth


def outside(request: DataRequest, asked: TestSet | None, runs: Path) -> Outside | None:
    """The data set that `asked` names, for runs of that request and those that differ from it in their seeds."""
    return Outside(registry.load(request.app), asked.request(request), runs.absolute()) if asked else None


@contextmanager
def as_test_data() -> Iterator[None]:
    """Errors that speak of DATA= and DATASET= speak of TEST_DATA= and TEST_DATASET=."""
    try:
        yield
    except UserError as error:
        raise UserError(SETTING.sub(r"TEST_\1", str(error))) from None


def check_classes(source: str, trained: Sequence[str], found: Sequence[str]) -> None:
    """Raise UserError unless both data sets have the same classes, by name."""
    if lacking := sorted(set(trained) - set(found)):
        raise UserError(f"TEST_DATA={source}: has no class {lacking[0]!r}; {_both(trained, found)}")
    if other := sorted(set(found) - set(trained)):
        raise UserError(f"TEST_DATA={source}: class {other[0]!r} is not one of the nets'; {_both(trained, found)}")


def _both(trained: Sequence[str], found: Sequence[str]) -> str:
    return f"the nets tell {', '.join(trained)}, the folder has {', '.join(found)}: rename, add or remove class folders"


def prepare(
    outside: Outside, trained: Packed, request: DataRequest, size: int, say: Say
) -> tuple[Prepared, list[Similar]]:
    """Find samples in all items and pack their patches, unless that is done, check them, and find near-duplicates.

    trained : the packed data that the nets were trained on, as `request` asked for.   size : of a patch.
    What is packed is one split, called "test".  Raises UserError for unusable data, and where what lies in the folders
    is not what belongs there.
    """
    outside.check_depth(trained)
    say_about(outside.collection, say)
    folder = trained.found / f"{PREFIX}{outside.name}"
    folder.mkdir(exist_ok=True)
    with preparation.alone(folder, say):
        resembling = _similar(outside, trained, request, folder)
        found = _find(outside, trained, folder, say)
        target = preparation.packed_folder(found, size)
        done = packed.load(target) or _pack(found, trained, target, size)
        preparation.check(found, done, size, trained.found)
    done = replace(done, left_out=tuple(outside.collection.left_out))
    return Prepared(found, done, size), resembling


def _find(outside: Outside, trained: Packed, folder: Path, say: Say) -> Found:
    """Items with near-duplicates in one group, and the samples in them."""
    application = outside.application
    doubles = preparation.say_of_doubles(application, outside.collection.items, outside.hashed, say)
    items = groups.join_near_duplicates(outside.collection.items, outside.hashed)
    split = np.full(len(items), "test")
    if (folder / sample_tables.SAMPLES).exists():
        samples = sample_tables.read(folder, items, split, application.columns, application.measures)
    else:
        samples = application.apply_labelled(items, trained.found)
        sample_tables.write(folder, items, split, samples, application.columns, application.measures)
    parts = {"test": items}
    labels = (f"{outside.request.source}: {text}" for text in doubles)
    warnings = (*labels, *depths.warnings(outside.depth, f"TEST_DATA={outside.source}"))
    collection, mark = outside.collection, outside.fingerprint
    found = Found(application, outside.request, folder, mark, parts, samples, collection, warnings=warnings)
    return replace(found, depth=outside.depth)


def _similar(outside: Outside, trained: Packed, request: DataRequest, folder: Path) -> list[Similar]:
    """Near-duplicates of the items that the nets were trained and tested on, found once."""
    if not (table := folder / SIMILAR).exists():
        items = outside.application.items(request, outside.runs).items
        if fingerprint(items) != trained.fingerprint:
            raise UserError(
                f"DATA={request.data}: is not what the run was made of any more; train again under another RUN="
            )
        rows, split, _ = sample_tables.read_items(trained.found)
        part_of = {row.name: part for row, part in zip(rows, split.tolist(), strict=True)}
        parts = np.array([part_of[item.name] for item in items])
        hashed = groups.hash_frames(items)
        similar.write(table, similar.similar(outside.collection.items, outside.hashed, items, hashed, parts))
    return similar.read(table)


def _pack(found: Found, trained: Packed, folder: Path, size: int) -> Packed:
    """As `preparation` packs a test split: a single slice lies there for good, several are packed by each run."""
    with _of_test_data(found):
        preparation.check_classes(found, trained.classes)
    slices = preparation.slices_of(found)
    dense = found.application.dense(found.request)
    folder.mkdir(exist_ok=True)
    if len(slices) == 1 and not dense and not pack.index_path(folder, "test").exists():
        chosen = preparation.every_view(found, slices[0])
        pack.check_room(folder, len(chosen), found.request.encoding, size)
        preparation.pack_split(found, chosen, folder, "test", size)
    patches = np.full(len(found.samples), found.test_views)
    done = Packed(
        folder,
        found.fingerprint,
        {"test": int(patches.sum())},
        found.application.facts(found.parts, found.samples, patches),
        0 if dense else len(slices),
        dict(found.application.fitted(trained.found)),
        trained.classes,
        tuple(found.collection.damaged),
        depth=found.depth.record(),
    )
    done.save()
    return done


@contextmanager
def _of_test_data(found: Found) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"TEST_DATA={found.request.data}: {str(error).removeprefix('test: ')}") from None
