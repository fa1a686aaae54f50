"""splits.csv in any data set: honoured by every application, refused where it is not read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from ct import values

from pycaffe_ext.applications import registry
from pycaffe_ext.data.volumes import image_files
from pycaffe_ext.data.volumes.geometry import Geometry
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.settings import DataRequest

SIZE = (48, 64)
NAMES = ("p1/v1/a", "p1/v2/a", "p2/a", "p3/a", "p4/a")
WORDS = ("train", "Training", "validation", "test", "test")


def grey(seed):
    return np.random.default_rng(seed).integers(0, 90, SIZE, np.uint8)


def polyp(home):
    mask = np.zeros(SIZE, np.uint8)
    mask[10:30, 10:30] = 255
    for i, name in enumerate(NAMES):
        picture(home / f"images/{name}.png", grey(i))
        picture(home / f"masks/{name}.png", mask)


def imt(home):
    drawn = "boundary,x,y\n" + "".join(f"LI,{x},20\nMA,{x},30\n" for x in (2, 60))
    for i, name in enumerate(NAMES):
        picture(home / f"images/{name}.png", grey(i))
        place = home / f"boundaries/{name}.csv"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(drawn)
    (home / "calibration.csv").write_text("frame,mm_per_pixel\n*,0.06\n")


def pe(home):
    mask = np.zeros((6, 7, 8), np.uint8)
    mask[2, 3, 4] = 1
    for i, name in enumerate(NAMES):
        for kind, voxels in (("volumes", values(i)), ("masks", mask)):
            place = home / kind / f"{name}.nii"
            place.parent.mkdir(parents=True, exist_ok=True)
            image_files.write(place, voxels, Geometry(mask.shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))


def picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


MAKERS = {"polyp": polyp, "pe": pe, "imt": imt}


@pytest.fixture(params=sorted(MAKERS))
def kind(request, tmp_path):
    MAKERS[request.param](tmp_path / "above/set")
    return request.param


def request_of(kind, folder):
    return DataRequest(kind, data=str(folder), options=tuple(registry.APPLICATIONS[kind].options.items()))


def items(kind, folder):
    return registry.load(kind).items(request_of(kind, folder), folder.parent / "runs").items


def table(words=WORDS, header="frame,split"):
    return f"{header}\n" + "".join(f"{name},{word}\n" for name, word in zip(NAMES, words, strict=True))


def test_splits_of_any_data_set_are_fixed_by_its_table(kind, tmp_path):
    home, application = tmp_path / "above/set", registry.load(kind)
    drawn = items(kind, home)
    assert application.fixed_splits(drawn) is None
    header = "volume,split" if kind == "pe" else "frame,split"
    (home / "splits.csv").write_text(table(header=header))
    found = items(kind, tmp_path / "above")  # the table lies where the data set does
    fixed = application.fixed_splits(found)
    assert {split: [item.name for item in part] for split, part in fixed.items()} == {
        "train": ["p1/v1/a", "p1/v2/a"],
        "val": ["p2/a"],
        "test": ["p3/a", "p4/a"],
    }
    assert [item.group for item in found] == ["p1", "p1", "p2", "p3", "p4"]
    assert all(a.content() != b.content() for a, b in zip(drawn, found, strict=True))
    (home / "splits.csv").write_text(table([f"{word},g{word[:2].lower()}" for word in WORDS], "frame,split,group"))
    assert [item.group for item in items(kind, home)] == ["gtr", "gtr", "gva", "gte", "gte"]
    (home / "splits.csv").write_text(table([f"{word},g{word[0].lower()}" for word in WORDS], "frame,split,group"))
    with pytest.raises(UserError, match=r"splits.csv: group 'gt' is both in train .* in test .* in groups.csv"):
        items(kind, home)


def test_a_set_that_is_tested_as_a_whole_is_not_split(kind, tmp_path):
    home = tmp_path / "above/set"
    (home / "splits.csv").write_text(table(["test"] * len(NAMES)))
    whole = registry.load(kind).whole(request_of(kind, home), tmp_path / "runs").items
    assert [item.split for item in whole] == [""] * len(NAMES)
    with pytest.raises(UserError, match="splits.csv: no picture in train; training, validation and test need some"):
        items(kind, home)


def degrading(folder, damaged):
    options = registry.APPLICATIONS["frames"].options | {"degrade": "1", "damaged": damaged}
    return DataRequest("frames", data=str(folder), options=tuple(options.items()))


def test_frames_that_are_degraded_keep_their_splits_and_what_is_left_of_damaged_ones(tmp_path):
    """DAMAGED=keep holds for what is degraded; without it the same data are refused, whatever was kept before."""
    polyp(tmp_path / "set")
    (tmp_path / "set/splits.csv").write_text(table())
    place = tmp_path / "set/images/p2/a"
    picture(place.with_suffix(".jpg"), np.kron(grey(2)[::4, ::4], np.ones((4, 4), np.uint8)))
    place.with_suffix(".png").unlink()
    content = place.with_suffix(".jpg").read_bytes()
    place.with_suffix(".jpg").write_bytes(content[: len(content) * 2 // 3])
    application = registry.load("frames")
    found = application.items(degrading(tmp_path / "set", "keep"), tmp_path / "runs")
    assert found.damaged == ["p2/a"]
    assert [item.split for item in found.items] == ["train", "train", "val", "test", "test"]
    assert all(item.picture().shape == item.pixels().shape == (*SIZE, 3) for item in found.items)
    with pytest.raises(UserError, match="p2/a.jpg: .*DAMAGED=keep"):
        application.items(degrading(tmp_path / "set", "refuse"), tmp_path / "runs")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("above/splits.csv", "above/splits.csv: is not read there; move it to .*set/splits.csv"),
        ("above/groups.csv", "above/groups.csv: is not read there"),
        ("above/set/images/splits.csv", "images/splits.csv: is not read there"),
        ("above/set/Splits.csv", "Splits.csv: only splits.csv is read; save it as splits.csv"),
        ("above/set/split.csv", "split.csv: only splits.csv is read"),
        ("above/set/splits.tsv", "splits.tsv: only splits.csv is read"),
        ("above/set/splits.csv.csv", "splits.csv.csv: only splits.csv is read"),
        ("above/set/splits.xlsx", "splits.xlsx: only splits.csv is read"),
    ],
)
def test_a_table_that_is_not_read_is_refused(file, words, tmp_path):
    polyp(tmp_path / "above/set")
    (tmp_path / file).write_text(table())
    with pytest.raises(UserError, match=words) as error:
        items("polyp", tmp_path / "above")
    assert "\n" not in str(error.value)


def test_a_table_above_the_set_is_refused_for_volumes_and_walls(tmp_path):
    for kind in ("pe", "imt"):
        MAKERS[kind](tmp_path / kind / "set")
        (tmp_path / kind / "splits.csv").write_text(table())
        with pytest.raises(UserError, match=f"{kind}/splits.csv: is not read there; move it to"):
            items(kind, tmp_path / kind)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("later", *WORDS[1:]), "line 2: split 'later' must be one of train, val, test"),
        (("", *WORDS[1:]), "line 2 lacks its split"),
    ],
)
def test_words_that_are_no_split(words, message, tmp_path):
    polyp(tmp_path / "set")
    (tmp_path / "set/splits.csv").write_text(table(words))
    with pytest.raises(UserError, match=message):
        items("polyp", tmp_path / "set")
