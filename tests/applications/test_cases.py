"""Candidates held against masks, the counts of a data set, and what cannot be learned from."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from pycaffe_ext.applications import cases
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.errors import UserError

INSIDE, OUTSIDE, OTHER = (20, 20, 20, 20, 0.9), (60, 60, 10, 10, 0.5), (75, 15, 10, 10, 0.4)


@pytest.fixture
def data(tmp_path) -> tuple[dict[str, list[Frame]], list[np.ndarray]]:
    """Frames with two polyps, one, none and no mask file at all; the candidates of each."""
    one = np.zeros((90, 120), np.uint8)
    cv2.rectangle(one, (20, 20), (40, 40), 255, -1)
    two = one.copy()
    cv2.rectangle(two, (75, 15), (85, 25), 255, -1)
    for name, mask in (("one", one), ("two", two), ("none", np.zeros_like(one))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), mask)

    def frame(name: str, mask: str | None, source: str) -> Frame:
        image = tmp_path / "one.png"
        return Frame(name, image, tmp_path / f"{mask}.png" if mask else None, name[0], source)

    parts = {
        "train": [frame("a1", "two", "x"), frame("a2", "none", "x"), frame("b1", "one", "y")],
        "val": [frame("c1", "one", "x")],
        "test": [frame("d1", None, "y"), frame("e1", "two", "y")],
    }
    found = [(INSIDE, OUTSIDE, OTHER), (INSIDE,), (), (INSIDE, OUTSIDE), (OUTSIDE,), (OTHER, INSIDE, INSIDE)]
    return parts, [np.array(boxes, np.float32).reshape(-1, 5) for boxes in found]


def test_a_candidate_hits_the_polyp_that_holds_its_centre(data, tmp_path):
    labelled = cases.label(*data, tmp_path)
    assert labelled.lesions.tolist() == [2, 0, 1, 1, 0, 2]
    assert (labelled.lesion > 0).tolist() == [1, 0, 1, 0, 1, 0, 0, 1, 1, 1]
    assert labelled.lesion[0] != labelled.lesion[2] and labelled.lesion[8] == labelled.lesion[9]
    assert labelled.parts == data[0]
    assert labelled.names(labelled.of("test")) == (("d1", 0), ("e1", 0), ("e1", 1), ("e1", 2))
    again = cases.label(*data, tmp_path)  # read back from the tables
    for name in ("split", "score", "lesion", "lesions"):
        np.testing.assert_array_equal(getattr(labelled, name), getattr(again, name))
    np.testing.assert_array_equal(labelled.table.label, labelled.lesion > 0)


def test_tables_of_other_candidates_are_refused(data, tmp_path):
    parts, found = data
    cases.label(parts, found, tmp_path)
    with pytest.raises(UserError, match="do not belong together"):
        cases.label(parts, [found[0][:2], *found[1:]], tmp_path)
    swapped = {"train": parts["train"], "val": parts["test"], "test": parts["val"]}
    with pytest.raises(UserError, match="do not belong together"):
        cases.label(swapped, [*found[:3], *found[4:], found[3]], tmp_path)


def test_counts_at_each_stage(data, tmp_path):
    labelled = cases.label(*data, tmp_path)
    facts = cases.facts(labelled, np.array([3, 4, 3, 0, 5, 6, 7, 7, 7, 7]))
    train = facts["train"]
    assert {name: train[name] for name in list(train)[:5]} == {
        "frames": 3,
        "groups": 2,
        "frames_with_polyps": 2,
        "frames_without_polyps": 1,
        "polyps": 3,
    }
    assert (train["candidates"], train["positive_candidates"], train["negative_candidates"]) == (4, 2, 2)
    assert train["covered"] == 2 / 3 and train["candidates_per_frame"] == 4 / 3
    assert train["patches_before_balancing"] == {"positive": 240, "negative": 240}
    assert train["patches"] == {"positive": 6, "negative": 4}
    assert list(train["sources"]) == ["x", "y"]
    assert train["sources"]["y"]["frames"] == 1 and train["sources"]["y"]["candidates"] == 0
    assert facts["test"]["frames_without_polyps"] == 1 and facts["test"]["covered"] == 1
    for fact in facts.values():
        for name in ("frames", "polyps", "candidates", "positive_candidates"):
            assert sum(part[name] for part in fact["sources"].values()) == fact[name]
        for name in ("patches", "patches_before_balancing"):
            for sign in ("positive", "negative"):
                assert sum(part[name][sign] for part in fact["sources"].values()) == fact[name][sign]


@pytest.mark.parametrize(
    ("split", "boxes", "says"),
    [
        ("train", (OUTSIDE,), "train: 0 of 3 candidates in 3 frames hit a polyp"),
        ("val", (), "val: 0 of 0 candidates in 1 frames hit a polyp"),
        ("val", (INSIDE,), "val: 1 of 1 candidates in 1 frames hit a polyp; both hits and misses are needed"),
    ],
)
def test_a_split_without_hits_or_misses_is_named(data, tmp_path, split, boxes, says):
    parts, found = data
    cases.check(cases.label(parts, found, tmp_path / "whole"))
    names = [name for name, part in parts.items() for _ in part]
    boxes = np.array(boxes, np.float32).reshape(-1, 5)
    changed = [boxes if name == split else own for name, own in zip(names, found, strict=True)]
    with pytest.raises(UserError, match=says):
        cases.check(cases.label(parts, changed, tmp_path / "changed"))


def test_labels_are_written_for_a_reader(data, tmp_path):
    cases.label(*data, tmp_path)
    with (tmp_path / "lesions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"frame": "a1", "group": "a", "split": "train", "lesions": "2"}
    assert Path(tmp_path / "labels.csv").read_text().startswith("frame,candidate,lesion\na1,0,")
