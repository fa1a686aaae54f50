"""Training, validation and test sets by group: drawn once with a seed, written, and checked for overlap.

The paper splits 40 videos at random into halves for training and test (18 900 of 37 800 frames each), then the
training half 80 % / 20 % into training and validation (section 6, set-up).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pycaffe_ext.data.items import SPLITS, Item
from pycaffe_ext.data.names import by_identifier, check_look, identifier
from pycaffe_ext.data.tables import LINE, read_table
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_csv

HEADER = ("frame", "group", "split")  # "frame" for every item: the file is written by hand, too
TEST_FRACTION = 0.5
VAL_FRACTION = 0.2
DRAWS = 1000
I = TypeVar("I", bound=Any)  # noqa: E741 (an item)
CELLS = 500_000  # bounds the memory of the draws when there are many groups

Splits = dict[str, list[Any]]


def split_items(
    items: Sequence[I],
    strata: np.ndarray,
    names: Sequence[str] = ("", "polyps"),
    test_fraction: float = TEST_FRACTION,
    val_fraction: float = VAL_FRACTION,
    seed: int = 0,
) -> Splits:
    """Items of "train", "val" and "test", each sorted by name; a group is never divided.

    strata : (n,) int, what the splits balance, such as whether a frame shows a polyp.   names : of the strata;
    those with a name must be in every split.   test_fraction is of all items, val_fraction of the others.
    Of many random orders of the groups the cut is kept that comes nearest to the fractions in items and in the items
    of each stratum, after what matters more: every stratum in every split. Same input and seed, same splits.
    Raises UserError if a fraction is outside (0, 1), or fewer than three groups exist or hold a named stratum.
    """
    for name, value in (("test fraction", test_fraction), ("validation fraction", val_fraction)):
        if not 0 < value < 1:
            raise UserError(f"{name} {value}: must lie between 0 and 1, both excluded")
    groups, index = np.unique([item.group for item in items], return_inverse=True)
    counts = np.zeros((len(groups), len(names)), np.int64)  # items of each stratum, stratum 0 last
    np.add.at(counts, (index, (np.asarray(strata) - 1) % len(names)), 1)
    _check_enough(counts, [*names[1:], names[0]])
    rng = np.random.default_rng(seed)
    part = np.zeros(len(groups), np.int64)
    part[_draw(counts, test_fraction, 2, rng)] = SPLITS.index("test")
    rest = np.flatnonzero(part == 0)
    part[rest[_draw(counts[rest], val_fraction, 1, rng)]] = SPLITS.index("val")
    splits = {
        split: sorted((items[n] for n in np.flatnonzero(part[index] == i).tolist()), key=lambda item: item.name)
        for i, split in enumerate(SPLITS)
    }
    check_overlap(splits)
    return splits


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


def _check_enough(counts: np.ndarray, names: Sequence[str]) -> None:
    """counts : (groups, strata)."""
    needed = [(len(counts), "groups")]
    needed += [(int(np.count_nonzero(counts[:, i])), f"groups with {name}") for i, name in enumerate(names) if name]
    for number, what in needed:
        if number < len(SPLITS):
            raise UserError(
                f"only {number} {what}; training, validation and test need one each (groups.csv beside the pictures"
                " says which belong together)"
            )


def _draw(counts: np.ndarray, fraction: float, keep: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of the groups taken: about `fraction` of the items and of each stratum but the last, counts (g, k).

    Both sides get items of every stratum if the groups allow it: one group here, `keep` on the side that stays.
    """
    draws = max(1, min(DRAWS, CELLS // len(counts)))
    orders = rng.permuted(np.tile(np.arange(len(counts)), (draws, 1)), axis=1)
    taken = np.cumsum(counts[orders], axis=1)[:, :-keep]
    groups = np.cumsum(counts[orders] > 0, axis=1)[:, :-keep]
    total, total_groups = counts.sum(axis=0), np.count_nonzero(counts, axis=0)
    lacking = np.maximum(1 - groups, 0) + np.maximum(keep - (total_groups - groups), 0)
    share = [taken.sum(axis=2) / total.sum(), *(taken[..., k] / max(total[k], 1) for k in range(len(total) - 1))]
    cost = 10 * lacking.sum(axis=2) + sum(abs(s - fraction) for s in share)
    draw, cut = np.unravel_index(np.argmin(cost), cost.shape)
    return np.sort(orders[draw, : cut + 1])
