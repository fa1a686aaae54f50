"""The synthetic patches from which the embedded donor learns."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

from pycaffe_ext.data.items import Samples
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs import donor_worlds
from pycaffe_ext.runs.settings import LARGEST_SEED, DataRequest


@dataclass(frozen=True)
class Thing:
    name: str
    group: str


class Things:
    """Two samples of each item, one of either class; a patch has its item's number and its view."""

    slug = "polyp"
    views = range(5)

    def __init__(self):
        self.parts = {}

    def classes(self, request):
        return "no", "yes"

    def propose(self, parts, workspace, request):
        self.parts = parts
        count = sum(map(len, parts.values()))
        item = np.repeat(np.arange(count), 2)
        label = np.tile([0, 1], count).astype(np.int32)
        place = np.arange(2 * count, dtype=np.float32)[:, None]
        return Samples(item, label, place, label, label.astype(np.int64), np.ones(count, np.int64))

    def cut(self, item, places, views, size):
        for view in views:
            yield np.full((3, size, size), 10 * int(item.name) + view, np.uint8)


def world(**changes):
    items = [Thing(str(number), f"group{number // 2}") for number in range(10)]
    return replace(donor_worlds.World(Things(), lambda folder: items, 0.4, 0.2, 30, 8), **changes)


def test_no_run_may_have_the_seed_of_the_donors_data():
    assert donor_worlds.SEED > LARGEST_SEED
    with pytest.raises(UserError, match="SEED"):
        DataRequest("polyp", seed=donor_worlds.SEED)


def test_each_class_has_its_number_of_patches_in_views_of_all_kinds(tmp_path):
    lesson = donor_worlds.lesson(world(), tmp_path)
    assert (lesson.classes, lesson.count("train"), lesson.count("val")) == (2, 60, 16)
    found = list(lesson.images("train", 4))
    assert Counter(label for label, _ in found) == {0: 30, 1: 30}
    assert {int(pixels[0, 0, 0]) % 10 for _, pixels in found} == set(range(5))
    again = list(lesson.images("train", 4))
    assert all(a[0] == b[0] and np.array_equal(a[1], b[1]) for a, b in zip(found, again, strict=True))


def test_whole_groups_are_kept_for_validation_and_few_teach_what_finds_the_samples(tmp_path):
    one = world()
    lesson = donor_worlds.lesson(one, tmp_path)
    seen = {split: {int(p[0, 0, 0]) // 10 for _, p in lesson.images(split, 4)} for split in ("train", "val")}
    groups = {split: {number // 2 for number in numbers} for split, numbers in seen.items()}
    assert groups["val"] == {4} and groups["train"] == {0, 1, 2, 3}
    assert {item.group for item in one.application.parts["train"]} == {"group0", "group1"}


def test_a_class_without_a_sample_is_named(tmp_path):
    class NoLesions(Things):
        def propose(self, parts, workspace, request):
            samples = super().propose(parts, workspace, request)
            return replace(samples, label=np.zeros(len(samples), np.int32))

    lesson = donor_worlds.lesson(world(application=NoLesions()), tmp_path)
    with pytest.raises(UserError, match="polyp images have no train sample"):
        list(lesson.images("train", 4))


def test_the_worlds_are_those_of_three_applications():
    assert [one.application.slug for one in donor_worlds.WORLDS] == ["polyp", "imt", "pe"]
    assert [one.classes for one in donor_worlds.WORLDS] == [2, 3, 2]
