"""Shares of the training groups: nested, near the proportions of the whole, with every class or an error."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from pycaffe_ext.data.folds import Fold
from pycaffe_ext.data.fractions import count, fold_seed, order, parse_fraction, reduced
from pycaffe_ext.data.items import Samples
from pycaffe_ext.errors import UserError

CLASSES = ("background", "polyp")
SHARES = [Fraction(1, 20), Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), Fraction(1)]


@dataclass(frozen=True)
class Item:
    name: str
    group: str


def world(groups: dict[str, tuple[int, ...]]) -> tuple[dict[str, list[Item]], Samples]:
    """An item for each group's sample label in "train", then one of each class in the other splits."""
    train = [(Item(f"{group}-{i}", group), label) for group, own in groups.items() for i, label in enumerate(own)]
    others = {split: [(Item(f"{split}{label}", split), label) for label in (0, 1)] for split in ("val", "test")}
    rows = [*train, *others["val"], *others["test"]]
    count, zeros = len(rows), np.zeros(len(rows), np.int64)
    labels = np.array([label for _, label in rows], np.int32)
    score = np.arange(count, dtype=np.float64)
    samples = Samples(np.arange(count), zeros, np.zeros((count, 4), np.float32), labels, zeros, np.arange(count), score)
    parts = {"train": train, **others}
    return {split: [item for item, _ in part] for split, part in parts.items()}, samples


@pytest.mark.parametrize(
    ("given", "expected"), [("1/4", "1/4"), ("2/8", "1/4"), ("0.25", "1/4"), (0.25, "1/4"), (1, "1"), ("1.0", "1")]
)
def test_one_share_has_one_text(given, expected):
    assert parse_fraction(given) == expected


@pytest.mark.parametrize(
    "given", ["0", "-1/4", "1.01", "5/4", "1/0", "a quarter", "nan", "inf", "", None, True and "yes"]
)
def test_what_is_no_share_is_refused(given):
    with pytest.raises(UserError, match=r"FRACTION=.*must be a share of the training groups, above 0 to 1"):
        parse_fraction(given)


@pytest.mark.parametrize(
    ("groups", "share", "expected"), [(20, "1/4", 5), (10, "1/4", 3), (9, "1/4", 2), (10, "1/20", 1), (3, "1/20", 1)]
)
def test_the_nearest_number_of_groups_is_taken(groups, share, expected):
    assert count(groups, Fraction(share)) == expected


@pytest.mark.parametrize("seed", range(5))
def test_smaller_shares_lie_within_larger_ones(seed):
    parts, samples = world({f"v{i}": (0, 1, 1) for i in range(40)})
    taken = [{i.group for i in reduced(parts, samples, share, CLASSES, (seed,))[0]["train"]} for share in SHARES]
    assert [len(own) for own in taken] == [2, 5, 10, 20, 40]
    assert all(small < large for small, large in zip(taken, taken[1:], strict=False))


def test_seeds_and_folds_take_other_groups():
    parts, samples = world({f"v{i}": (0, 1) for i in range(40)})
    seeds = [fold_seed(0, None), fold_seed(1, None), fold_seed(0, Fold(1, 5)), fold_seed(0, Fold(2, 5))]
    taken = {frozenset(i.group for i in reduced(parts, samples, Fraction(1, 4), CLASSES, s)[0]["train"]) for s in seeds}
    assert len(taken) == len(seeds)


def test_what_is_left_keeps_its_samples_and_other_splits_are_untouched():
    parts, samples = world({f"v{i}": (0, 1, 1) for i in range(8)})
    left, own = reduced(parts, samples, Fraction(1, 4), CLASSES, (3,))
    before = [item.name for part in parts.values() for item in part]
    after = [item.name for part in left.values() for item in part]
    assert left["val"] == parts["val"] and left["test"] == parts["test"] and len(left["train"]) == 6
    known = {before[i]: row for row, i in enumerate(samples.item.tolist())}
    assert own.score is not None and samples.score is not None
    for row, item in enumerate(own.item.tolist()):
        there = known[after[item]]
        assert own.label[row] == samples.label[there] and own.score[row] == samples.score[there]
    assert own.targets.tolist() == [before.index(name) for name in after]


def test_every_kind_of_group_keeps_its_proportion():
    holds = np.array([[True, i < 30] for i in range(40)])  # three quarters hold both classes
    for seed in range(10):
        ranked = order(holds, np.random.default_rng(seed))
        shares = [holds[ranked[:n], 1].mean() for n in (4, 8, 10, 20)]
        assert all(abs(share - 0.75) <= 0.25 for share in shares) and abs(shares[-1] - 0.75) <= 0.05


def test_a_rare_class_is_kept_as_long_as_it_can_be():
    holds = np.array([[i > 0, i == 0] for i in range(20)])  # a single group of class 1, with nothing else in it
    for seed in range(10):
        assert holds[order(holds, np.random.default_rng(seed))[:2]].any(axis=0).all()


def test_a_group_of_all_classes_comes_first():
    holds = np.array([[True, False]] * 10 + [[False, True]] * 10 + [[True, True]] * 2)
    for seed in range(10):
        assert holds[order(holds, np.random.default_rng(seed))[0]].any()
    both = np.array([[True, False]] * 10 + [[True, True]] * 10)
    for seed in range(10):
        assert both[order(both, np.random.default_rng(seed))[0]].all()


def test_an_order_is_random():
    holds = np.ones((30, 2), bool)
    firsts = {int(order(holds, np.random.default_rng(seed))[0]) for seed in range(60)}
    assert len(firsts) > 15  # of 30: chance gives 26


def test_a_class_without_a_group_is_an_error_that_says_what_would_do():
    groups = {**{f"n{i}": (0,) for i in range(10)}, **{f"p{i}": (1,) for i in range(10)}}
    parts, samples = world(groups)
    with pytest.raises(UserError) as raised:
        reduced(parts, samples, Fraction(1, 20), CLASSES, (0,))
    text = str(raised.value)
    assert "FRACTION=1/20 leaves 1 of 20 training groups, none of class" in text and text.endswith("FRACTION=2/20")
    left, _ = reduced(parts, samples, Fraction(2, 20), CLASSES, (0,))
    assert {item.group[0] for item in left["train"]} == {"n", "p"}
