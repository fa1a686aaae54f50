"""Splits by group: never an overlap, near the fractions, polyps on every side, written once."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from pycaffe_ext.data import draws
from pycaffe_ext.data.folds import Fold
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.items import SPLITS
from pycaffe_ext.data.splits import check_overlap, read_splits, split_items, tuning_items, write_splits
from pycaffe_ext.errors import UserError


def frames_of(groups: list[int]) -> list[Frame]:
    return [Frame(f"g{g:03d}/{i:05d}", Path("x"), None, f"g{g:03d}") for i, g in enumerate(groups)]


def random_case(seed: int) -> tuple[list[Frame], np.ndarray]:
    """3 to 60 groups of 1 to 40 frames; a random share of polyps, with at least three groups that have some."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, rng.integers(2, 41), rng.integers(3, 61))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    positive = rng.random(len(groups)) < rng.choice((0.0, 0.1, 0.5, 1.0))
    for group in rng.choice(len(sizes), 3, replace=False):
        positive[np.flatnonzero(groups == group)[0]] = True
    order = rng.permutation(len(groups))
    return frames_of(groups[order].tolist()), positive[order]


def groups_of(frames) -> set[str]:
    return {frame.group for frame in frames}


@pytest.mark.parametrize("seed", range(150))
def test_random_group_structures(seed):
    frames, positive = random_case(seed)
    splits = split_items(frames, positive, seed=seed)
    assert tuple(splits) == SPLITS
    assert sorted(f.name for part in splits.values() for f in part) == sorted(f.name for f in frames)
    for a, b in combinations(splits.values(), 2):
        assert not groups_of(a) & groups_of(b)
    shows = {f.name: bool(p) for f, p in zip(frames, positive, strict=True)}
    for part in splits.values():
        assert any(shows[f.name] for f in part)
    if len({f.group for f in frames if not shows[f.name]}) >= 6:
        assert all(any(not shows[f.name] for f in part) for part in splits.values())


def test_many_small_groups_meet_the_fractions_in_frames_and_in_polyps():
    frames = frames_of(list(np.repeat(np.arange(200), 5)))
    positive = np.random.default_rng(0).random(1000) < 0.3
    splits = split_items(frames, positive)
    shows = dict(zip((f.name for f in frames), positive, strict=True))
    for split, share in (("test", 0.5), ("val", 0.1), ("train", 0.4)):
        assert len(splits[split]) / 1000 == pytest.approx(share, abs=0.01)
        assert sum(shows[f.name] for f in splits[split]) / positive.sum() == pytest.approx(share, abs=0.02)


def test_two_groups_of_polyps_stay_for_training_and_validation():
    groups = list(np.repeat(np.arange(30), 4))
    positive = np.isin(groups, (3, 11, 17))
    for seed in range(20):
        splits = split_items(frames_of(groups), positive, seed=seed)
        assert all(groups_of(part) & {"g003", "g011", "g017"} for part in splits.values())


def test_same_seed_same_splits_whatever_the_order_of_frames():
    frames, positive = random_case(7)
    back = list(reversed(frames))
    one = split_items(frames, positive, seed=5)
    assert one == split_items(back, positive[::-1], seed=5)
    assert any(one != split_items(frames, positive, seed=s) for s in range(6, 10))


def test_the_number_of_groups_of_the_papers_data():
    """40 videos of 945 frames: 20 for testing, 16 and 4 for training and validation."""
    frames = frames_of(list(np.repeat(np.arange(40), 945)))
    splits = split_items(frames, np.arange(len(frames)) % 4 == 0)
    assert [len(groups_of(splits[s])) for s in SPLITS] == [16, 4, 20]
    assert len(splits["test"]) == 18_900


def test_every_frame_a_group_of_its_own():
    frames = frames_of(list(range(37_800)))
    splits = split_items(frames, np.arange(len(frames)) % 4 == 0)
    assert len(splits["test"]) == pytest.approx(18_900, abs=40)


@pytest.mark.parametrize(("name", "value"), [("test", 0), ("test", 1), ("val", -0.1), ("val", float("nan"))])
def test_fractions_outside_zero_to_one(name, value):
    frames, positive = random_case(0)
    with pytest.raises(UserError, match="must lie between 0 and 1"):
        split_items(frames, positive, **{f"{name}_fraction": value})


def test_too_few_groups():
    with pytest.raises(UserError, match="only 2 groups;"):
        split_items(frames_of([0, 0, 1]), np.ones(3, bool))
    with pytest.raises(UserError, match="only 2 groups with polyps"):
        split_items(frames_of([0, 1, 2, 3]), np.array([True, True, False, False]))
    with pytest.raises(UserError, match="only 0 groups"):
        split_items([], np.zeros(0, bool))


def test_overlap_is_named():
    a, b, c = frames_of([0, 1, 1])
    check_overlap({"train": [a], "test": [b, c]})
    with pytest.raises(UserError, match="group 'g001' is both in train and in test"):
        check_overlap({"train": [a, b], "test": [c]})
    with pytest.raises(UserError, match="frame .* is both in train and in test"):
        check_overlap({"train": [a], "test": [a]})
    with pytest.raises(UserError, match="'val' holds no frame"):
        check_overlap({"train": [a], "val": []})


def test_written_once_and_read_back(tmp_path):
    frames, positive = random_case(3)
    splits, path = split_items(frames, positive), tmp_path / "splits.csv"
    write_splits(path, splits)
    before = path.read_bytes()
    write_splits(path, splits)
    assert path.read_bytes() == before
    assert read_splits(path, frames) == splits
    other = {"train": splits["test"], "val": splits["val"], "test": splits["train"]}
    with pytest.raises(UserError, match="holds other splits"):
        write_splits(path, other)
    assert path.read_bytes() == before


def test_read_keeps_the_joined_groups_and_refuses_what_no_longer_fits(tmp_path):
    frames, positive = random_case(4)
    joined = [replace(f, group="g000") if f.group == "g001" else f for f in frames]
    path = tmp_path / "splits.csv"
    write_splits(path, split_items(joined, positive))
    assert {f for part in read_splits(path, frames).values() for f in part} == set(joined)
    with pytest.raises(UserError, match="is not listed"):
        read_splits(path, [*frames, Frame("new", Path("x"), None, "new")])
    with pytest.raises(UserError, match="not in the data"):
        read_splits(path, frames[1:])
    one_group = [replace(f, group="all") for f in frames]
    with pytest.raises(UserError, match="group 'all' is both"):
        read_splits(path, one_group)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs the header"),
        ("frame,split\na,train\n", "needs the header"),
        ("frame,group,split\na,a,training\n", "needs the header.*train, val, test"),
        ("frame,group,split\na,a\n", "needs the header"),
        ("frame,group,split\na,a,train\na,a,test\n", "twice"),
    ],
)
def test_garbled_split_files(tmp_path, text, words):
    (tmp_path / "splits.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        read_splits(tmp_path / "splits.csv", [Frame("a", Path("x"), None, "a")])
    with pytest.raises(UserError, match="make the splits first"):
        read_splits(tmp_path / "none.csv", [])


# --- seeds vary the split ---------------------------------------------------------------------------------------------

UNEQUAL = [30, 45, 60, 25, 80, 55, 40, 65]  # frames of 8 videos


def videos(sizes: list[int], share: float = 0.3) -> tuple[list[Frame], np.ndarray]:
    frames = frames_of(list(np.repeat(np.arange(len(sizes)), sizes)))
    return frames, np.random.default_rng(0).random(len(frames)) < share


def groups_tested(frames: list[Frame], positive: np.ndarray, seed: int, **options) -> frozenset[str]:
    return frozenset(groups_of(split_items(frames, positive, seed=seed, **options)["test"]))


@pytest.mark.parametrize(("sizes", "least"), [(UNEQUAL, 6), ([50] * 16, 9), ([50] * 40, 10)])
def test_seeds_test_on_different_groups(sizes, least):
    frames, positive = videos(sizes)
    assert len({groups_tested(frames, positive, seed) for seed in range(10)}) >= least


@pytest.mark.parametrize("sizes", [UNEQUAL, [50] * 16, [50] * 40])
def test_every_seed_stays_within_the_tolerance(sizes):
    frames, positive = videos(sizes)
    shows = dict(zip((f.name for f in frames), positive, strict=True))
    for seed in range(10):
        test = split_items(frames, positive, seed=seed)["test"]
        assert abs(len(test) / len(frames) - 0.5) <= draws.TOLERANCE
        assert abs(sum(shows[f.name] for f in test) / positive.sum() - 0.5) <= draws.TOLERANCE


def test_where_nothing_is_near_the_nearest_few_are_drawn_from():
    """One video has more frames than all others together."""
    frames, positive = videos([400, 20, 30, 25, 15, 10])
    found = {groups_tested(frames, positive, seed) for seed in range(30)}
    assert len(found) >= 5
    assert all(len(own) in (1, 2, 3, 4) for own in found)


def test_test_sets_overlap_as_by_chance():
    """Of halves of 16 equal videos: one half on average, as in halves drawn without balance."""
    frames, positive = videos([50] * 16)
    drawn = [groups_tested(frames, positive, seed) for seed in range(40)]
    shared = [len(a & b) / 8 for a, b in combinations(drawn, 2)]
    assert np.mean(shared) == pytest.approx(0.5, abs=0.04)


# --- folds ------------------------------------------------------------------------------------------------------------


def folds_of(frames, positive, folds: int, **options) -> list[dict]:
    return [split_items(frames, positive, fold=Fold(n, folds), **options) for n in range(1, folds + 1)]


@pytest.mark.parametrize("seed", range(20))
def test_every_group_is_tested_by_one_fold(seed):
    frames, positive = random_case(seed)
    shows = {f.name: bool(p) for f, p in zip(frames, positive, strict=True)}
    with_polyps = len({f.group for f in frames if shows[f.name]})
    folds = min(3 + seed % 4, with_polyps, len(groups_of(frames)))
    found = folds_of(frames, positive, folds, seed=seed)
    assert sorted(f.name for own in found for f in own["test"]) == sorted(f.name for f in frames)
    for own in found:
        assert sorted(f.name for part in own.values() for f in part) == sorted(f.name for f in frames)
        assert all(any(shows[f.name] for f in part) for part in own.values())


def test_folds_are_balanced_in_frames_and_in_polyps():
    frames, positive = videos([50, 40, 60, 55, 45] * 6)
    shows = dict(zip((f.name for f in frames), positive, strict=True))
    for seed in range(4):
        for own in folds_of(frames, positive, 5, seed=seed):
            assert abs(len(own["test"]) / len(frames) - 0.2) <= draws.TOLERANCE
            assert abs(sum(shows[f.name] for f in own["test"]) / positive.sum() - 0.2) <= draws.TOLERANCE
            assert len(own["val"]) / len(frames) == pytest.approx(0.16, abs=draws.TOLERANCE)


def test_seeds_cut_other_folds():
    frames, positive = videos(UNEQUAL)
    cuts = {
        frozenset(groups_tested(frames, positive, seed, fold=Fold(n, 4)) for n in range(1, 5)) for seed in range(10)
    }
    assert len(cuts) >= 6


def test_too_few_groups_for_the_folds():
    frames, positive = videos([10] * 4, share=1.0)
    with pytest.raises(UserError, match="FOLDS=5: only 4 groups; .* takes 5"):
        split_items(frames, positive, fold=Fold(1, 5))
    few = np.array([f.group in ("g000", "g001", "g002") for f in frames])
    with pytest.raises(UserError, match="FOLDS=4: only 3 groups with polyps"):
        split_items(frames, few, fold=Fold(1, 4))
    with pytest.raises(UserError, match="FOLDS=2: only 3 groups with polyps; .* takes 4"):
        split_items(frames, few, fold=Fold(1, 2))
    assert len(folds_of(frames, positive, 2)) == 2


# --- the part on which settings are chosen ----------------------------------------------------------------------------


def test_no_seed_and_no_fold_tests_or_validates_on_the_tuning_part():
    frames, positive = videos([3] * 100)
    tuned = groups_of(tuning_items(frames, 0.2))
    assert 10 <= len(tuned) <= 30
    for seed in range(3):
        for own in (split_items(frames, positive, seed=seed, tuning=0.2), *folds_of(frames, positive, 3, tuning=0.2)):
            assert tuned <= groups_of(own["train"])
            assert sum(map(len, own.values())) == len(frames)
    found = split_items(frames, positive, tuning=0.2)
    assert len(found["test"]) == pytest.approx(0.5 * (300 - 3 * len(tuned)), abs=10)
    assert len(found["val"]) == pytest.approx(0.2 * (300 - len(found["test"])), abs=10)


def test_the_tuning_part_goes_by_the_groups_names_alone():
    frames, _ = videos([2] * 200)
    tuned = set(tuning_items(frames, 0.2))
    assert set(tuning_items(frames[::-1][:150], 0.2)) == tuned & set(frames[::-1][:150])
    assert tuned < set(tuning_items(frames, 0.3))
    assert tuning_items(frames, 0) == []
    assert [f.group for f in tuning_items(frames_of(list(range(12))), 0.2)] == TUNED


TUNED = ["g003", "g004", "g006"]  # of g000 .. g011: pinned, as settings were chosen on such groups


@pytest.mark.parametrize("share", [-0.1, 1, float("nan")])
def test_a_share_out_of_range(share):
    with pytest.raises(UserError, match="must be a share of the groups"):
        tuning_items(frames_of([0, 1]), share)


def test_a_share_that_no_group_meets():
    with pytest.raises(UserError, match="TUNING=1e-06: none of 2 groups is set aside"):
        tuning_items(frames_of([0, 1]), 1e-6)
