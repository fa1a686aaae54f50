"""WindowData: with one window of each kind there is nothing random left, and the genuine batches are compared."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from pycaffe_ext.engine.core.random import set_seed
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import write_mean
from tests.engine.layers.test_data import batches, genuine_batches
from tests.engine.layers.test_data_sources import side_by_side

LAYER = """layer {{ name: "data" type: "WindowData" top: "data" top: "label"
  window_data_param {{ source: "windows.txt" batch_size: 5 fg_fraction: 0.45 root_folder: "img/" {window} }}
  transform_param {{ crop_size: 12 {transform} }} }}"""
FILE = """# 0
a.png
3 30 40
2
{fg}
0 0.1 3 2 20 25
# 1
b.png
3 20 25
{rest}
"""
INSIDE, CORNER, WIDE = "2 0.8 8 9 17 22", "3 0.9 33 0 39 6", "1 0.5 0 12 39 17"


def text(window: str = "", transform: str = "") -> str:
    return LAYER.format(window=window, transform=transform)


def write_windows(folder: Path, foreground: str, *others: str) -> None:
    """`others` are windows of the second image."""
    rest = "\n".join([str(len(others)), *others])
    (folder / "windows.txt").write_text(FILE.format(fg=foreground, rest=rest))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "img").mkdir()
    for name, shape in (("a", (30, 40, 3)), ("b", (20, 25, 3))):
        cv2.imwrite(str(tmp_path / "img" / f"{name}.png"), rng.integers(0, 255, shape).astype(np.uint8))
    write_mean(tmp_path / "mean.binaryproto", rng.uniform(80, 120, (3, 17, 17)).astype(np.float32))
    write_windows(tmp_path, INSIDE)
    return tmp_path


SETTINGS = ("", "context_pad: 2", "context_pad: 4", 'crop_mode: "square"', 'crop_mode: "square" context_pad: 3')
TRANSFORMS = ("", "mean_value: 104 mean_value: 117 mean_value: 123", "mean_value: 100", 'mean_file: "mean.binaryproto"')


@pytest.mark.genuine
@pytest.mark.parametrize("foreground", [INSIDE, CORNER, WIDE])
def test_windows_are_the_genuine_ones(foreground, folder):
    """Layers with all settings, side by side in one net."""
    write_windows(folder, foreground, "0 0.4 0 0 3 3", "0 0.49 1 1 4 4")  # neither foreground nor background
    net = side_by_side(
        text(f"bg_threshold: 0.3 scale: 0.5 {window}", transform)
        for window, transform in itertools.product(SETTINGS, TRANSFORMS)
    )
    ours, theirs = batches(folder, net, count=1), genuine_batches(folder, net, count=1)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert ours["label0"].ravel().tolist() == [0, 0, 0, int(foreground[0]), int(foreground[0])]


def test_mirrors_turn_the_padding_too(folder):
    write_windows(folder, CORNER)
    set_seed(0)
    plain = batches(folder, text("context_pad: 4"), count=1)["data"][0]
    mirrored = batches(folder, text("context_pad: 4", "mirror: true"), count=12)["data"].reshape(-1, *plain.shape[1:])
    kinds = {False: 0, True: 0}
    for image in mirrored:
        same = [any(np.array_equal(turned, one) for one in plain) for turned in (image, image[:, :, ::-1])]
        assert sum(same) == 1
        kinds[same[1]] += 1
    assert min(kinds.values()) > 5


def test_windows_of_each_kind_are_drawn_alike(folder):
    write_windows(folder, INSIDE, "4 0.6 1 1 9 9", "5 0.7 2 2 9 9")
    set_seed(0)
    labels = batches(folder, text(), count=100)["label"]
    assert not labels[:, :3].any()
    counts = np.bincount(labels[:, 3:].ravel().astype(int), minlength=6)[[2, 4, 5]]
    assert counts.sum() == 200 and counts.min() > 40


REFUSED = {
    "no file": (text().replace("windows.txt", "nosuch"), INSIDE, "nosuch: cannot read"),
    "cut off": (text(), "2 0.8 8", "not a window file, or truncated"),
    "outside": (text(), "2 0.8 8 9 17 42", r"window \(8, 9, 17, 42\) lies outside"),
    "no foreground": (text("fg_threshold: 0.95"), INSIDE, "no foreground window"),
    "label 0": (text(), "0 0.8 8 9 17 22", "labels above 0"),
    "no image": (text().replace("img/", "im/"), INSIDE, "could not load image 'im/"),
    "no crop": (text().replace("crop_size: 12", ""), INSIDE, "crop_size"),
    "context": (text("context_pad: 6"), INSIDE, "leaves nothing"),
    "mode": (text('crop_mode: "tight"'), INSIDE, "crop_mode"),
    "small mean": (text(transform='mean_file: "small.binaryproto"'), INSIDE, "mean_file has shape"),
}


@pytest.mark.parametrize("net, foreground, message", REFUSED.values(), ids=REFUSED)
def test_mistakes_are_refused(net, foreground, message, folder):
    write_mean(folder / "small.binaryproto", np.zeros((3, 5, 5), np.float32))
    write_windows(folder, foreground)
    with pytest.raises(UserError, match=message) as caught:
        batches(folder, net)
    assert "layer 'data' (WindowData)" in str(caught.value)


def test_names_that_are_no_utf_8_are_read(folder):
    name = b"pol\xff\xe9.png"
    plain = batches(folder, text(), count=1)
    with open(os.fsencode(folder / "img") + b"/" + name, "wb") as file:
        file.write((folder / "img" / "a.png").read_bytes())
    (folder / "windows.txt").write_bytes((folder / "windows.txt").read_bytes().replace(b"a.png", name))
    found = batches(folder, text(), count=1)
    np.testing.assert_array_equal(found["data"], plain["data"])
