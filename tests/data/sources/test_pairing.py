"""Which mask belongs to which frame: the words of public sets, and what is said where names do not pair."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pycaffe_ext.data import sources
from pycaffe_ext.data.sources.pairing import MASK_WORDS, pair
from pycaffe_ext.errors import UserError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def paired(folder: Path, frames: list[str], masks: list[str]) -> dict[str, str]:
    touch(folder / "images", *frames)
    touch(folder / "masks", *masks)
    found = pair(folder / "images", folder / "masks")
    return {name: mask.relative_to(folder / "masks").as_posix() for name, (_, mask) in found.items()}


def refused(folder: Path, frames: list[str], masks: list[str], *words: str) -> None:
    with pytest.raises(UserError) as error:
        paired(folder, frames, masks)
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    ("frame", "mask"),
    [
        ("{}.jpg", "{}.png"),
        ("{}.jpg", "{}_mask.png"),  # PolypGen, BUSI
        ("{}.jpg", "{}_mask.gif"),  # Carvana
        ("ISIC_000{}.jpg", "ISIC_000{}_Segmentation.png"),
        ("{}.tif", "p{}.tif"),  # ETIS-Larib
        ("{}_training.tif", "{}_manual1.gif"),  # DRIVE
        ("train_{}.bmp", "train_{}_anno.bmp"),  # GlaS
        ("{}_sat.jpg", "{}_mask.png"),  # DeepGlobe
        ("images0{}.jpg", "masks0{}.jpg"),
        ("image_{}.png", "mask_{}.png"),
        ("v/{}.png", "v/{}-GT.png"),
        ("v/{} a.png", "v/gt {} A.png"),
        ("benign ({}).png", "benign ({})_mask.png"),
        ("{}.png", "{}.mask.png"),
        ("x_{}_.jpg", "x_{}_mask.jpg"),
    ],
)
def test_masks_with_the_words_of_public_sets(tmp_path, frame, mask):
    numbers = ("1", "2", "10")
    found = paired(tmp_path, [frame.format(n) for n in numbers], [mask.format(n) for n in numbers])
    stem = frame.rpartition(".")[0]
    assert found == {stem.format(n): mask.format(n) for n in numbers}


@pytest.mark.parametrize("word", MASK_WORDS)
@pytest.mark.parametrize("form", ["{n}_{w}", "{n}-{w}", "{w}_{n}", "{n} {w}"])
def test_every_word_before_or_after(tmp_path, word, form):
    masks = [form.format(n=n, w=word.upper()) + ".png" for n in ("a1", "b")]
    assert paired(tmp_path, ["a1.png", "b.png"], masks) == dict(zip(("a1", "b"), masks, strict=True))


def test_each_frame_may_have_another_word(tmp_path):
    found = paired(tmp_path, ["a.png", "b.png", "c.png"], ["a.png", "b_mask.png", "gt_c.png"])
    assert found == {"a": "a.png", "b": "b_mask.png", "c": "gt_c.png"}


def test_equal_names_are_pairs_whatever_words_are_in_them(tmp_path):
    names = ["a.png", "a_mask.png", "mask_a.png", "p1.png", "1.png"]
    assert paired(tmp_path, names, names) == {name[:-4]: name for name in names}


def test_the_case_of_letters_tells_frames_apart_where_there_are_two(tmp_path):
    found = paired(tmp_path, ["A1.png", "a1.png", "B.png"], ["A1_mask.png", "a1_mask.png", "b_mask.png"])
    assert found == {"A1": "A1_mask.png", "a1": "a1_mask.png", "B": "b_mask.png"}


@pytest.mark.parametrize(
    ("frames", "masks", "words"),
    [
        (["a", "b"], ["a", "a_mask", "b"], ["a and a_mask may both be the mask of a"]),
        (["a", "b"], ["a_gt", "a_mask", "b"], ["may both be the mask of a"]),
        (["a", "b"], ["a_mask", "x_mask"], ["no mask for b", "no frame for mask x_mask", "NAME_WORD", "segmentation"]),
        (["a", "b"], ["a_mask_1", "b_mask_1"], ["no mask for a, b", "no frame for mask a_mask_1", "NAME_WORD"]),
        (["a", "b"], ["a_mask"], ["no mask for b", "all-black"]),
        (["a"], ["a", "b_mask"], ["no frame for masks b_mask", "remove the mask"]),
        (["x_1", "x_1_"], ["x_1_mask"], ["two frames"]),
        (["v1/a", "v2/a"], ["v1/a_mask", "a_mask"], ["no mask for v2/a", "no frame for mask a_mask"]),
    ],
)
def test_names_that_do_not_pair_are_refused_by_name(tmp_path, frames, masks, words):
    refused(tmp_path, [f"{name}.png" for name in frames], [f"{name}.png" for name in masks], *words)


@pytest.mark.parametrize(
    "folder", ["masks", "Mask", "GT", "Ground Truth", "ground_truth", "segmentations", "Labels", "annotations"]
)
@pytest.mark.parametrize("images", ["images", "imgs"])
def test_folders_of_masks_under_the_names_of_public_sets(tmp_path, folder, images):
    for part, level in ((images, 90), (folder, 255)):
        (tmp_path / part).mkdir()
        Image.new("RGB", (8, 8), (level,) * 3).save(tmp_path / part / "a.png")
    assert [frame.mask.parent.name for frame in sources.find(tmp_path, progress=False)] == [folder]


def test_masks_win_over_labels_and_two_folders_of_one_name_are_refused(tmp_path):
    for part in ("images", "masks", "labels"):
        (tmp_path / part).mkdir()
        Image.new("L", (8, 8), 255).save(tmp_path / part / "a.png")
    assert sources.find(tmp_path, progress=False)[0].mask.parent.name == "masks"
    (tmp_path / "Masks").mkdir()
    with pytest.raises(UserError, match="holds Masks/ and masks/; keep one"):
        sources.find(tmp_path, progress=False)
