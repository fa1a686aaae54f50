"""From a data set to packed patches, the same for every application: items, splits, duplicates, samples, packing.

Two folders with two keys: what was found (splits, samples, the model that proposed them) lies in
RUNS/data/APP-SOURCE-DIGEST, what was packed of it in a folder packed-DIGEST within; other PATCHES, TEST_VIEWS,
ENCODING, FRACTION or another net's input pack again, but never propose again. Fractions of the training groups share
what is found, and the files of validation and test; Caffe reads a whole LMDB, so their training patches are packed
again, in LMDBs that are smaller by as much. Each stage leaves its file and is not repeated
while that file is there, so an interrupted preparation goes on. A lock keeps other processes out meanwhile: they wait,
then use the result. Test items are only looked at by what training left behind: the model and the mean image.
"""

from __future__ import annotations

import fcntl
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from pycaffe_ext import __version__
from pycaffe_ext.applications import packed, sample_tables
from pycaffe_ext.applications.base import Application, Collection, say_about
from pycaffe_ext.applications.packed import Packed, TestSlices
from pycaffe_ext.data import depths, fractions, groups, pack, splits, verify
from pycaffe_ext.data.balance import Selection, choose, take_all
from pycaffe_ext.data.depths import Depth
from pycaffe_ext.data.frames import fingerprint
from pycaffe_ext.data.items import SPLITS, Material, Samples
from pycaffe_ext.data.sources.grouping import SPLITS_TABLE
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics.base import TestData
from pycaffe_ext.nets import emission
from pycaffe_ext.programs import compute_image_mean
from pycaffe_ext.runs.settings import DataRequest, short_hash

SLICE = 50_000  # test patches packed at a time: 8 GB of raw AlexNet patches
LAYOUT = 6  # of both folders; older ones are not used
LOCK = ".lock"
FIX = f"give the two of each pair one split in the {SPLITS_TABLE} of the data set"  # where that one fixes the splits

Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What was found in a data set.  items : of all parts, in their order.   split : (items,) str.

    tuning : see Packed.   share : of the training groups, see Packed; parts and samples are what is left of them.
    warnings : of the items' pictures and labels, for whoever reads the results.
    depth : of the pictures of all items.
    """

    application: Application[Any, Any]
    request: DataRequest
    folder: Path
    fingerprint: str
    parts: splits.Splits
    samples: Samples
    collection: Collection
    tuning: Mapping[str, float] = field(default_factory=dict)
    share: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    depth: Depth = depths.PLAIN

    @cached_property
    def items(self) -> list[Any]:
        return [item for part in self.parts.values() for item in part]

    @cached_property
    def split(self) -> np.ndarray:
        return np.repeat(list(self.parts), [len(part) for part in self.parts.values()])

    @property
    def material(self) -> Material:
        own = self.application
        return Material(self.items, self.samples, own.views, own.cut, own.words)

    def rows(self, split: str) -> np.ndarray:
        """Rows of the samples in the items of a split."""
        return np.flatnonzero(self.split[self.samples.item] == split)

    @property
    def test_views(self) -> int:
        given = self.request.test_views
        return self.application.test_views if given is None else given


@dataclass(frozen=True)
class Prepared:
    """Packed patches with what they were made of; handed to training and test, so that nothing is read again."""

    found: Found
    packed: Packed
    size: int

    @cached_property
    def test(self) -> TestData:
        """What nets are tested on; a test sample's number is its row here."""
        return self._data("test")

    @cached_property
    def validation(self) -> TestData:
        """All samples of the validation items, as they occur: what thresholds are chosen on."""
        return self._data("val")

    def _data(self, split: str) -> TestData:
        found = self.found
        return data_of(found.items, found.split, found.samples, self.packed.classes, split)

    @cached_property
    def test_slices(self) -> TestSlices:
        """The test patches, in slices; what is packed twice has the same bytes."""
        return self._slices("test")

    @cached_property
    def validation_slices(self) -> TestSlices:
        """The patches of all validation samples, as many of each as of a test sample."""
        return self._slices("val")

    def _slices(self, split: str) -> TestSlices:
        selections = [every_view(self.found, part) for part in slices_of(self.found, split)]
        first = self.found.rows(split)[0]
        seed = self.found.request.seed

        def write(number: int, folder: Path) -> None:
            if folder != self.packed.folder:
                pack_split(self.found, selections[number], folder, split, self.size)
                check_split(self.found, folder, split, self.size)

        return TestSlices(
            [replace(one, sample=one.sample - first) for one in selections],
            lambda number: pack.order_of_keys(len(selections[number]), seed),
            write,
            split,
        )


def prepare(
    application: Application[Any, Any], request: DataRequest, size: int, runs: Path, say: Say = lambda line: None
) -> Prepared:
    """Pack the patches that `request` asks for, unless they are packed already, check them and hand all of it on.

    size : rows and columns of a patch, the net's input.   `say` gets the pictures that no item was made from.
    Raises UserError for unusable data (pictures of two scales too: `data.depths`), and if what lies in the folder is
    not what belongs there: LMDB and index, index and splits, pixels and items, near-duplicates or groups in two splits.
    """
    collection = application.items(request, runs)
    say_about(collection, say)
    mark = fingerprint(collection.items)
    folder = found_folder(application, request, runs, mark)
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder, say):
        classes, began = application.classes(request), monotonic()
        known = (folder / sample_tables.SAMPLES).exists()
        found = _fraction_of(_find(application, request, folder, mark, collection, say), classes)
        target = packed_folder(found, size)
        spent = 0.0 if known else monotonic() - began
        done = packed.load(target) or _pack(found, target, size, classes, spent)
        if not done.depth:  # packed by an earlier version
            done = replace(done, depth=found.depth.record())
            done.save()
        check(found, done, size, folder)
    return Prepared(found, replace(done, left_out=tuple(collection.left_out), share=found.share), size)


def found_folder(application: Application[Any, Any], request: DataRequest, runs: Path, mark: str) -> Path:
    """The folder of the found data, named by everything that decides its content; mark : the items' fingerprint."""
    key = {
        "items": mark,
        "dataset": request.dataset,
        "options": dict(request.options),
        "seed": request.seed,
        "fold": request.of_folds,
        "tuning": tuning_share(application, request),
        "application": dict(application.key()),
        "version": __version__,
        "layout": (LAYOUT, application.layout),
    }
    return runs / "data" / f"{application.slug}-{request.source}-{short_hash(key)}"


def packed_folder(found: Found, size: int) -> Path:
    """The folder of the packed patches, within that of the found data."""
    return _packed_folder(found, size, found.request.fraction)


def _packed_folder(found: Found, size: int, fraction: str) -> Path:
    request = found.request
    key: tuple[Any, ...] = (request.patches, found.test_views, request.encoding, size, SLICE)
    key += (fraction, "patches by groups") * (fraction != fractions.ALL)  # they went by FRACTION= itself once
    return found.folder / f"packed-{short_hash(key)}"


@contextmanager
def alone(folder: Path, say: Say) -> Iterator[None]:
    """Hold the folder's lock; wait for another process that prepares the same data."""
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{folder}: another process is preparing these data; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say_of_doubles(
    application: Application[Any, Any], items: Sequence[Any], hashed: groups.Hashed, say: Say
) -> tuple[str, ...]:
    """Say what there is to say of near-duplicates; returns the warnings, which the records of runs keep."""
    found = application.doubles(items, hashed)
    for line in found.lines:
        say(line)
    return found.warnings


def _find(
    application: Application[Any, Any], request: DataRequest, folder: Path, mark: str, collection: Collection, say: Say
) -> Found:
    depth = depths.of(collection.items, f"DATA={request.data}")
    hashed = groups.hash_frames(collection.items)
    dark = depths.warnings(depth, f"DATA={request.data}")
    for text in dark:
        say(f"warning: {text}")
    warnings = (*dark, *say_of_doubles(application, collection.items, hashed, say))
    parts = _split(application, request, collection.items, folder, hashed)
    fixed = application.fixed_splits(collection.items) is not None
    _check_duplicates(collection.items, parts, hashed, FIX if fixed else groups.REMEDY)
    items = [item for part in parts.values() for item in part]
    split = np.repeat(list(parts), [len(part) for part in parts.values()])
    table = folder / sample_tables.SAMPLES
    if not table.exists():
        samples = application.propose(parts, folder, request)
        sample_tables.write(folder, items, split, samples, application.columns, application.measures)
    else:
        samples = sample_tables.read(folder, items, split, application.columns, application.measures)
    own = _tuning(application, request, items)
    return Found(application, request, folder, mark, parts, samples, collection, own, warnings=warnings, depth=depth)


def _fraction_of(found: Found, classes: Sequence[str]) -> Found:
    """What FRACTION= leaves of the training groups; UserError if a class has none left."""
    request, every = found.request, len({item.group for item in found.parts["train"]})
    patches = len(_for_training(found, "train", len(classes)))
    parts, samples = found.parts, found.samples
    if request.fraction != fractions.ALL:
        seed = fractions.fold_seed(request.seed, request.of_folds)
        parts, samples = fractions.reduced(parts, samples, Fraction(request.fraction), classes, seed)
    left = len({item.group for item in parts["train"]})
    share = {"share": request.fraction, "groups": left, "of": every, "patches": patches}
    kept = replace(found, parts=parts, samples=samples, share=share)
    return replace(kept, share={**share, "drawn": _groups_drawn(kept, _for_training(kept, "train", len(classes)))})


def _groups_drawn(found: Found, chosen: Selection) -> int:
    """How many groups the chosen patches come from: where PATCHES= leaves few, not all of them."""
    return len({found.items[i].group for i in np.unique(found.samples.item[chosen.sample])})


def _split(
    application: Application[Any, Any],
    request: DataRequest,
    items: Sequence[Any],
    folder: Path,
    hashed: groups.Hashed,
) -> splits.Splits:
    """The splits of items, drawn (or taken from the data set) and written once."""
    table = folder / "splits.csv"
    if not table.exists():
        splits.write_splits(table, draw_splits(application, request, items, hashed))
    return splits.read_splits(table, items)


def draw_splits(
    application: Application[Any, Any],
    request: DataRequest,
    items: Sequence[Any],
    hashed: groups.Hashed | None = None,
) -> splits.Splits:
    """Training, validation and test items: by group, near-duplicates in one group; or as the data set says."""
    tuning = tuning_share(application, request)
    if fixed := application.fixed_splits(items):
        _check_drawn(request)
        return {split: sorted(part, key=lambda item: item.name) for split, part in fixed.items()}
    strata, names = application.strata(items)
    joined, share = groups.join_near_duplicates(items, hashed), application.test_fraction(request)
    return splits.split_items(joined, strata, names, share, seed=request.seed, tuning=tuning, fold=request.of_folds)


def tuning_share(application: Application[Any, Any], request: DataRequest) -> float:
    """Share of the groups that are for training only: TUNING=, or what the data set's adapter says."""
    return application.tuning(request) if request.tuning is None else request.tuning


def _check_drawn(request: DataRequest) -> None:
    """Raise UserError for settings of the draw where splits.csv fixes the splits."""
    given = {"FOLDS": request.folds, "TUNING": request.tuning}
    for name, value in given.items():
        if value:
            raise UserError(
                f"{name}={value}: splits.csv of the data set fixes the splits; remove it, or leave {name}= out"
            )


def _check_duplicates(items: Sequence[Any], parts: splits.Splits, hashed: groups.Hashed, remedy: str) -> None:
    """Near-duplicates in two splits are refused; hashed : of `items`, in their order.   remedy : what to do then."""
    shown, hashes = hashed
    place = {item.name: i for i, item in enumerate(item for part in parts.values() for item in part)}
    moved = np.array([place[items[i].name] for i in shown], np.int64)
    order = np.argsort(moved, kind="stable")
    groups.check_near_duplicates(parts, (moved[order], hashes[order]), remedy=remedy)


def _pack(found: Found, folder: Path, size: int, classes: tuple[str, ...], finding: float) -> Packed:
    """Pack what is not packed yet; write the mean image and the record of all.

    Validation and test, which are the same at every fraction, are packed where FRACTION=1 has them, and linked here.
    finding : seconds that it took to find what is packed.
    """
    began = monotonic()
    check_classes(found, classes)
    slices = slices_of(found)
    selections: dict[str, Callable[[], Selection]] = {
        split: partial(_for_training, found, split, len(classes)) for split in ("train", "val")
    }
    dense = found.application.dense(found.request)  # then no patch of the test is needed
    if len(slices) == 1 and not dense:
        selections["test"] = partial(every_view, found, slices[0])
    patches = np.where(found.split[found.samples.item] == "test", found.test_views, 0)  # of each sample
    chosen = {split: select() for split, select in selections.items()}
    todo = [split for split in chosen if not pack.index_path(folder, split).exists()]
    homes = {split: _home(found, folder, split, size) for split in chosen}
    written = sum(len(chosen[split]) for split in todo if not pack.index_path(homes[split], split).exists())
    folder.mkdir(parents=True, exist_ok=True)
    pack.check_room(folder, written, found.request.encoding, size)
    for split, selection in chosen.items():
        if split != "test":
            patches += np.bincount(selection.sample, minlength=len(patches))
        if split in todo:
            home = homes[split]
            if not pack.index_path(home, split).exists():
                home.mkdir(exist_ok=True)
                pack_split(found, selection, home, split, size)
            if home != folder:
                pack.link(home, folder, split)
    compute_image_mean.write_mean(pack.database_path(folder, "train"), folder)
    facts = found.application.facts(found.parts, found.samples, patches)
    if learnt := found.application.learnt(found.folder):
        facts["train"] |= learnt
    done = Packed(
        folder,
        found.fingerprint,
        {split: int(patches[found.rows(split)].sum()) for split in SPLITS},
        facts,
        0 if dense else len(slices),
        dict(found.application.fitted(found.folder)),
        classes,
        tuple(found.collection.damaged),
        found.tuning,
        found.share,
        {"find": finding, "pack": monotonic() - began, "written": written, "host": platform.node()},
        found.depth.record(),
    )
    done.save()
    return done


def _home(found: Found, folder: Path, split: str, size: int) -> Path:
    """Where a split of `folder` is packed: its own folder, or that of the whole, which all fractions share."""
    return folder if split == "train" else _packed_folder(found, size, fractions.ALL)


def _tuning(application: Application[Any, Any], request: DataRequest, items: Sequence[Any]) -> dict[str, float]:
    share = tuning_share(application, request)
    if not share or application.fixed_splits(items):
        return {}
    own = splits.tuning_items(items, share)
    return {"share": share, "groups": len({item.group for item in own}), "items": len(own)}


def check_classes(found: Found, classes: Sequence[str]) -> None:
    """Raise UserError if a split lacks samples of a class."""
    item, sample = found.application.words
    for split in found.parts:
        counts = np.bincount(found.samples.label[found.rows(split)], minlength=len(classes))
        if (counts == 0).any():
            missing = ", ".join(name for name, count in zip(classes, counts, strict=True) if not count)
            raise UserError(
                f"{split}: none of {int(counts.sum())} {sample}s in {len(found.parts[split])} {item}s is of class"
                f" {missing}; every class is needed, to learn and to measure: add data or check the labels"
            )


def limits(request: DataRequest, kept: Fraction = Fraction(1)) -> dict[str, int]:
    """Patches of "train" and "val" at most.   kept : how much of the training groups is left.

    As many a group as from all data: a twentieth of ten groups is one of them, and gives a tenth of the patches.
    """
    train, val = emission.split(request.patches)
    return {"train": int(train * kept + Fraction(1, 2)), "val": val}


def _for_training(found: Found, split: str, classes: int) -> Selection:
    """The patches of training or validation, chosen before any is cut; as many of each class, if balanced."""
    members, request, share = found.rows(split), found.request, found.share
    kept = Fraction(share["groups"], share["of"]) if share else Fraction(1)
    chosen = choose(
        found.samples.label[members],
        len(found.application.views),
        limits(request, kept)[split],
        request.seed,
        classes,
        found.application.balanced(request),
    )
    return replace(chosen, sample=members[chosen.sample])


def every_view(found: Found, rows: np.ndarray) -> Selection:
    """The patches by which the samples in `rows` are scored."""
    chosen = take_all(found.samples.label[rows], len(found.application.views), found.test_views)
    return replace(chosen, sample=rows[chosen.sample])


def slices_of(found: Found, split: str = "test") -> list[np.ndarray]:
    """Rows of a split's samples, in chunks that fill one slice."""
    members, step = found.rows(split), max(1, SLICE // found.test_views)
    return [members[start : start + step] for start in range(0, len(members), step)]


def pack_split(found: Found, selection: Selection, folder: Path, split: str, size: int) -> None:
    encoding, seed = found.request.encoding, found.request.seed
    pack.pack(found.material, selection, folder, split, encoding=encoding, seed=seed, size=size)


def check(found: Found, done: Packed, size: int, trained: Path) -> None:
    """Check again all that keeps the test honest, from the packed files themselves.

    trained : the folder with the model that proposed the samples.
    """
    for split in done.splits:
        if (count := check_split(found, done.folder, split, size)) != done.patches[split]:
            raise UserError(
                f"{done.lmdb(split)}: {count} patches, data.json says {done.patches[split]}; remove {done.folder} to"
                " pack it again"
            )
    verify.check_index({split: done.index(split) for split in done.splits}, found.application.words[0])
    for name, mark in found.application.fitted(trained).items():
        if done.fitted.get(name) != mark:
            raise UserError(f"{trained / name}: not the model that proposed the samples; remove {found.folder}")


def check_split(found: Found, folder: Path, split: str, size: int) -> int:
    """LMDB against index, index against splits, pixels against items; returns the number of patches."""
    files = pack.database_path(folder, split), pack.index_path(folder, split)
    count = verify.verify(*files)
    verify.check_splits(files[1], split, found.parts[split], found.application.words[0])
    verify.check_pixels(*files, found.material, found.request.encoding, size)
    return count


def data_of(items: Sequence[Any], split: np.ndarray, samples: Samples, classes: tuple[str, ...], part: str) -> TestData:
    """The items of a part and their samples; items : all, with the split of each."""
    inside = np.flatnonzero(split == part)
    rows = np.flatnonzero(split[samples.item] == part)
    place = np.full(len(items), -1, np.int64)
    place[inside] = np.arange(len(inside))
    chosen = Samples(
        place[samples.item[rows]],
        samples.number[rows],
        samples.place[rows],
        samples.label[rows],
        samples.target[rows],
        samples.targets[inside],
        None if samples.score is None else samples.score[rows],
        None if samples.measures is None else samples.measures[rows],
    )
    tested = [items[i] for i in inside.tolist()]
    return TestData(tuple(item.name for item in tested), np.array([item.group for item in tested]), chosen, classes)
