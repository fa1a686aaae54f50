"""Near-duplicates among labelled pictures: labels that contradict each other, groups that are joined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from class_folders_lab import draw

from pycaffe_ext.data import groups
from pycaffe_ext.data.doubles import said
from pycaffe_ext.data.images import Image


def picture(folder: Path, name: str, seed: int, label: int, ending: str = ".png", size=(44, 30)) -> Image:
    path = folder / f"{name}{ending}"
    draw(path, seed, ending, size)
    return Image(name, name, "lab", path, label, "ab"[label])


def of(images: list[Image]):
    return said(images, groups.hash_frames(images, progress=False))


def test_pictures_that_are_all_different_are_passed_over(tmp_path):
    assert of([picture(tmp_path, f"a/{n}", n, n % 2) for n in range(6)]).lines == []


def test_near_duplicates_of_two_classes_are_counted_and_the_first_pair_is_named(tmp_path):
    images = [picture(tmp_path, f"a/{n}", n, 0) for n in range(4)]
    images += [picture(tmp_path, "b/8", 2, 1, ".jpg", (88, 60)), picture(tmp_path, "b/9", 1, 1)]
    found = of(images)
    assert found.warnings == ("2 pairs of near-duplicates have different classes: a/1.png = b/9.png; check the labels",)
    assert found.lines[-1] == f"warning: {found.warnings[0]}"
    only = of(images[:-1])
    assert only.warnings == ("1 pair of near-duplicates has different classes: a/2.png = b/8.jpg; check the labels",)


def test_copies_in_a_class_are_counted_unless_they_were_in_one_group_or_splits_are_fixed(tmp_path):
    images = [picture(tmp_path, f"a/{n}", n // 3, 0) for n in range(5)]
    found = of(images)
    assert found.warnings == () and found.notes == (
        "5 of 5 images are near-duplicates of others: each is put into one group with those",
    )
    assert of([replace(image, group="p") for image in images]).lines == []
    assert of([replace(image, split="train") for image in images]).lines == []


def test_pictures_degraded_on_purpose_do_not_contradict_each_other(tmp_path):
    images = [picture(tmp_path, f"a/{n}", 0, n) for n in range(2)]
    assert of(images).warnings
    assert of([replace(image, pristine=image.path) for image in images]).lines == []
