"""Candidates labelled by masks, the counts of a data set, and their tables."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pycaffe_ext.applications import sample_tables
from pycaffe_ext.applications.polyp import APPLICATION, MODEL, labelled
from pycaffe_ext.applications.preparation import draw_splits
from pycaffe_ext.data import synthetic
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.items import Samples
from pycaffe_ext.detector import UNTRAINED_MODEL
from pycaffe_ext.detector.model import Choice
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.settings import DataRequest

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


COLUMNS = ("frame", "candidate", "x", "y", "w", "h")


def flat(parts):
    frames = [frame for part in parts.values() for frame in part]
    return frames, np.repeat(list(parts), [len(part) for part in parts.values()])


def test_a_candidate_hits_the_polyp_that_holds_its_centre(data):
    frames, _ = flat(data[0])
    samples = labelled(frames, data[1])
    assert samples.targets.tolist() == [2, 0, 1, 1, 0, 2]
    assert samples.label.tolist() == [1, 0, 1, 0, 1, 0, 0, 1, 1, 1]
    assert samples.target[0] != samples.target[2] and samples.target[8] == samples.target[9]
    assert samples.item.tolist() == [0, 0, 0, 1, 3, 3, 4, 5, 5, 5]
    assert samples.number.tolist() == [0, 1, 2, 0, 0, 1, 0, 0, 1, 2]
    np.testing.assert_array_equal(samples.label, samples.target > 0)


def test_samples_come_back_from_their_tables(data, tmp_path):
    frames, split = flat(data[0])
    samples = labelled(frames, data[1])
    samples = replace(samples, place=samples.place + np.float32(1 / 3), score=samples.score / 7)
    sample_tables.write(tmp_path, frames, split, samples, COLUMNS)
    again = sample_tables.read(tmp_path, frames, split, COLUMNS)
    for name, column in vars(samples).items():
        np.testing.assert_array_equal(getattr(again, name), column)
    lines = (tmp_path / "items.csv").read_text().splitlines()
    assert lines[:2] == ["frame,group,source,split,targets", "a1,a,x,train,2"]
    assert (tmp_path / "samples.csv").read_text().startswith("frame,candidate,x,y,w,h,label,target,score\na1,0,20.3")
    bare = replace(samples, place=samples.place[:, :0], score=None)
    sample_tables.write(tmp_path, frames, split, bare, COLUMNS[:2])
    again = sample_tables.read(tmp_path, frames, split, COLUMNS[:2])
    assert again.score is None and again.place.shape == (10, 0)


def test_tables_of_other_items_or_damaged_ones_are_refused(data, tmp_path):
    parts, boxes = data
    frames, split = flat(parts)
    sample_tables.write(tmp_path, frames, split, labelled(frames, boxes), COLUMNS)
    swapped = flat({"train": parts["train"], "val": parts["test"], "test": parts["val"]})
    for items, of in ((frames[:-1], split[:-1]), swapped, (frames, split[::-1])):
        with pytest.raises(UserError, match="do not belong together"):
            sample_tables.read(tmp_path, items, of, COLUMNS)
    whole = (tmp_path / "samples.csv").read_text()
    lines = whole.splitlines(keepends=True)
    for broken in (
        "".join([lines[0], lines[2], lines[1], *lines[3:]]),
        whole.replace("20.0", "nan", 1),
        whole.replace("a1,", "zz,", 1),
        whole.replace(",0.8999999761581421", ",", 1),
        whole.replace("frame,", "image,", 1),
        "".join(lines[:3]) + "a1,2\n",
        "",
    ):
        assert broken != whole
        (tmp_path / "samples.csv").write_text(broken)
        with pytest.raises(UserError, match="samples.csv is no such table any more; remove"):
            sample_tables.read(tmp_path, frames, split, COLUMNS)
    (tmp_path / "samples.csv").unlink()
    with pytest.raises(UserError, match="samples.csv is missing"):
        sample_tables.read(tmp_path, frames, split, COLUMNS)


def test_ten_million_samples_take_60_bytes_each(tmp_path):
    """Measured with a hundredth of them."""
    count = 100_000
    frames = [Frame(f"video{i}/frame", tmp_path, None, "g") for i in range(100)]
    item, zero = np.repeat(np.arange(100), count // 100), np.zeros(count, np.int64)
    number = np.tile(np.arange(count // 100), 100)
    place = np.random.default_rng(0).random((count, 2), np.float32)
    samples = Samples(item, number, place, zero.astype(np.int32), zero, np.zeros(100, np.int64))
    split = np.repeat("train", 100)
    sample_tables.write(tmp_path, frames, split, samples, ("frame", "pixel", "x", "y"))
    tracemalloc.start()
    again = sample_tables.read(tmp_path, frames, split, ("frame", "pixel", "x", "y"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(again.place, place)
    assert peak < 150 * count
    assert sum(column.nbytes for column in vars(again).values() if column is not None) < 60 * count


def test_counts_at_each_stage(data):
    samples = labelled(flat(data[0])[0], data[1])
    facts = APPLICATION.facts(data[0], samples, np.array([3, 4, 3, 0, 5, 6, 7, 7, 7, 7]))
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


def test_whether_the_untrained_detector_was_kept_is_recorded_and_said(data, tmp_path):
    samples = labelled(flat(data[0])[0], data[1])
    patches = np.ones(samples.label.size, np.int64)
    replace(UNTRAINED_MODEL, choice=Choice(2, 7, 9, 5, 8, 40)).save(tmp_path / MODEL)
    learnt = APPLICATION.learnt(tmp_path)
    assert learnt["detector"].startswith("detector: untrained, as training does not help here")
    assert "2 of 9 polyps with training, 7 without" in learnt["detector"]
    facts = APPLICATION.facts(data[0], samples, patches)
    facts["train"] |= learnt
    lines = APPLICATION.data_text(facts, dict.fromkeys(data[0], 1))
    assert len(lines) == 4 and lines[-1] == learnt["detector"]
    UNTRAINED_MODEL.save(tmp_path / MODEL)
    assert APPLICATION.learnt(tmp_path) == {}


def test_of_synthetic_frames_most_are_to_learn_from(tmp_path, monkeypatch):
    """A quarter of them is kept for the test, half of any other data set; what was drawn once is used again."""
    drawn = []

    def few(folder, videos, frames, seed):
        drawn.append((videos, frames, seed))
        write_sequences(folder, videos=16, frames=1, size=(64, 80), seed=seed, workers=1, progress=False)

    write_sequences = synthetic.write_sequences
    monkeypatch.setattr(synthetic, "write_sequences", few)
    request = DataRequest("polyp", seed=3)
    items = [APPLICATION.items(request, tmp_path).items for _ in range(2)][1]
    assert drawn == [(128, 4, 3)]
    assert len(draw_splits(APPLICATION, request, items)["test"]) == 4
    real = replace(request, data=str(tmp_path / "data" / "synthetic-128x4-3"))
    assert len(draw_splits(APPLICATION, real, APPLICATION.items(real, tmp_path).items)["test"]) == 8
