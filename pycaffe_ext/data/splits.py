"""Training, validation and test sets by group: drawn once with a seed, written, and checked for overlap.

The paper splits 40 videos at random into halves for training and test (18 900 of 37 800 frames each), then the
training half 80 % / 20 % into training and validation (section 6, set-up).  Here a part may be set aside on which
settings are chosen (`tuning_items`), and the test set may be one of several folds instead of a half.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pycaffe_ext.data import draws
from pycaffe_ext.data.folds import Fold
from pycaffe_ext.data.items import SPLITS, Item
from pycaffe_ext.data.names import by_identifier, check_look, identifier
from pycaffe_ext.data.tables import LINE, read_table
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_csv

HEADER = ("frame", "group", "split")  # "frame" for every item: the file is written by hand, too
TEST_FRACTION = 0.5
VAL_FRACTION = 0.2
MOST_VAL = 0.5  # of what is neither tested nor set aside for tuning
I = TypeVar("I", bound=Any)  # noqa: E741 (an item)

Splits = dict[str, list[Any]]


def split_items(
    items: Sequence[I],
    strata: np.ndarray,
    names: Sequence[str] = ("", "polyps"),
    test_fraction: float = TEST_FRACTION,
    val_fraction: float = VAL_FRACTION,
    seed: int = 0,
    tuning: float = 0.0,
    fold: Fold | None = None,
) -> Splits:
    """Items of "train", "val" and "test", each sorted by name; a group is never divided.

    strata : (n,) int, what the splits balance, such as whether a frame shows a polyp.   names : of the strata;
    those with a name must be in every split.   tuning : share of the groups that are for training only, see
    `tuning_items`.   test_fraction is of the items that may be tested, val_fraction of all that are not.
    fold : test on this fold instead; the folds of one seed test every group once.   The draws are random, near the
    fractions in items and in the items of each stratum (`draws`), after what matters more: every stratum in every
    split.  Same input and seed, same splits.
    Raises UserError if a fraction is out of range, or too few groups exist or hold a named stratum.
    """
    for name, value in (("test fraction", test_fraction), ("validation fraction", val_fraction)):
        if not 0 < value < 1:
            raise UserError(f"{name} {value}: must lie between 0 and 1, both excluded")
    groups, index = np.unique([item.group for item in items], return_inverse=True)
    counts = np.zeros((len(groups), len(names)), np.int64)  # items of each stratum, stratum 0 last
    np.add.at(counts, (index, (np.asarray(strata) - 1) % len(names)), 1)
    free = np.flatnonzero(~_tuning(groups.tolist(), tuning))
    _check_enough(counts[free], [*names[1:], names[0]], fold)
    part = np.zeros(len(groups), np.int64)
    part[free[_test(counts[free], test_fraction, seed, fold)]] = SPLITS.index("test")
    others, rest = part == 0, free[part[free] == 0]
    share = min(val_fraction * counts[others].sum() / counts[rest].sum(), MOST_VAL)
    rng = np.random.default_rng((seed, 1, fold.number if fold else 0))
    part[rest[draws.draw(counts[rest], share, 1, rng)]] = SPLITS.index("val")
    splits = {
        split: sorted((items[n] for n in np.flatnonzero(part[index] == i).tolist()), key=lambda item: item.name)
        for i, split in enumerate(SPLITS)
    }
    check_overlap(splits)
    return splits


def _test(counts: np.ndarray, fraction: float, seed: int, fold: Fold | None) -> np.ndarray:
    """Indices of the groups to test on."""
    rng = np.random.default_rng(seed)
    if fold is None:
        return draws.draw(counts, fraction, 2, rng)
    return np.flatnonzero(draws.partition(counts, fold.of, 2, rng) == fold.number - 1)


def tuning_items(items: Sequence[I], share: float) -> list[I]:
    """The items on which settings may be chosen: no seed and no fold tests or validates on their groups.

    They go by the groups' names alone: a group is one of them if the first 64 bits of the SHA-256 of its name, as a
    fraction of 2**64, lie below `share`.  So it is or is not in whatever part of the data set it is met.  Join
    near-duplicates first (`groups.join_near_duplicates`), as is done before splits are drawn.
    Raises UserError for a share outside [0, 1), and one above 0 that is met by no group.
    """
    groups = [item.group for item in items]
    chosen = _tuning(groups, share)
    return [item for item, taken in zip(items, chosen.tolist(), strict=True) if taken]


def _tuning(groups: Sequence[str], share: float) -> np.ndarray:
    """(groups,) bool"""
    if not 0 <= share < 1:
        raise UserError(f"TUNING={share}: must be a share of the groups, from 0 to below 1")
    position = {group: int.from_bytes(sha256(os.fsencode(group)).digest()[:8], "big") / 2**64 for group in {*groups}}
    chosen = np.array([position[group] < share for group in groups], bool)
    if share > 0 and not chosen.any():
        raise UserError(
            f"TUNING={share:g}: none of {len(position)} groups is set aside (the hash of their names decides); give"
            " TUNING=0 or a larger share"
        )
    return chosen


def check_overlap(splits: Mapping[str, Sequence[Item]]) -> None:
    """Raise UserError if a split is empty, or a frame or a group is in two splits; it names them."""
    seen: dict[tuple[str, str], str] = {}
    for split, frames in splits.items():
        if not frames:
            raise UserError(f"split {split!r} holds no frame; remove the file of splits and make them again")
        for frame in frames:
            for key in (("frame", frame.name), ("group", frame.group)):
                if seen.setdefault(key, split) != split:
                    where = f"both in {seen[key]} and in {split}"
                    raise UserError(f"{key[0]} {key[1]!r} is {where}; splits must not overlap")


def write_splits(path: str | Path, splits: Mapping[str, Sequence[Item]]) -> None:
    """Write `frame,group,split`, sorted by frame, once: an existing file must say the same, else UserError."""
    path = Path(path)
    check_overlap(splits)
    rows = sorted((frame.name, frame.group, split) for split, frames in splits.items() for frame in frames)
    if not path.exists():
        write_csv(path, HEADER, rows)
    elif sorted(_read_rows(path)) != sorted(tuple(map(identifier, row)) for row in rows):
        raise UserError(f"{path}: holds other splits than these; remove it, or take another folder, to split again")


def read_splits(path: str | Path, frames: Sequence[Any]) -> Splits:
    """Splits of `frames` as written, with the groups written there.

    Raises UserError if the file is missing or garbled, lists other frames than `frames`, or if a group, the one
    written or the one that `frames` carry, is in two splits.
    """
    by_identifier((frame.name for frame in frames), "frame")
    by_name = {identifier(frame.name): frame for frame in frames}
    rows = _read_rows(Path(path))
    if len({name for name, _, _ in rows}) < len(rows):
        raise UserError(f"{path}: lists a frame twice; remove the file to split again")
    if wrong := sorted(by_name.keys() ^ {name for name, _, _ in rows}):
        state = "not listed" if wrong[0] in by_name else "listed, but not in the data"
        raise UserError(f"{path}: frame {wrong[0]!r} is {state}; remove the file to split again")
    found: Splits = {split: [] for split in SPLITS}
    for name, _, split in rows:
        found[split].append(by_name[name])
    check_overlap(found)
    groups = {name: group for name, group, _ in rows}
    written = {split: [replace(f, group=groups[identifier(f.name)]) for f in part] for split, part in found.items()}
    check_overlap(written)
    return written


def _read_rows(path: Path) -> list[tuple[str, str, str]]:
    """(frame, group, split) of each line, each as `identifier` makes it."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; make the splits first")
    lines = read_table(path, HEADER)
    rows = [(line["frame"], line["group"], line["split"].lower()) for line in lines]
    if any(split not in SPLITS or not name or not group for name, group, split in rows):
        raise UserError(f"{path}: needs the header {','.join(HEADER)}, no empty field, and splits {', '.join(SPLITS)}")
    names = {name for name, _, _ in rows}
    check_look((line["group"], f"line {line[LINE]} of {path}") for line in lines if line["group"] not in names)
    return rows


def _check_enough(counts: np.ndarray, names: Sequence[str], fold: Fold | None) -> None:
    """counts : (groups, strata)."""
    needed = [(len(counts), "groups")]
    needed += [(int(np.count_nonzero(counts[:, i])), f"groups with {name}") for i, name in enumerate(names) if name]
    least = len(SPLITS) if fold is None else max(fold.of, 4 if fold.of == 2 else 3)
    for number, what in needed:
        if number >= least:
            continue
        if fold is None:
            raise UserError(
                f"only {number} {what}; training, validation and test need one each (groups.csv beside the pictures"
                " says which belong together)"
            )
        raise UserError(
            f"FOLDS={fold.of}: only {number} {what}; every fold tests on one or more and leaves two for training and"
            f" validation, so that takes {least}"
        )
