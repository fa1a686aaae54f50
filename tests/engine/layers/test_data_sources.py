"""Data layers that read no LMDB: batches of the genuine Caffe, bad files."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import cv2
import genuine_python
import h5py
import numpy as np
import pytest
from solver_lab import datum, images, reading_threads

from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.random import set_seed
from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root
from pycaffe_ext.proto import caffe_pb2, parse, write_mean
from tests.engine.layers.test_data import batches, genuine_batches


def write_images(folder: Path, pixels: np.ndarray, labels: np.ndarray, ending: str = "png") -> None:
    """img/0.png ... and list.txt, a line for each: name and label."""
    (folder / "img").mkdir()
    for i, image in enumerate(pixels):
        cv2.imwrite(str(folder / "img" / f"{i}.{ending}"), image.transpose(1, 2, 0))
    lines = [f"{i}.{ending} {label}\n" for i, label in enumerate(labels)]
    (folder / "list.txt").write_text("".join(lines))


@pytest.fixture
def leveldb(tmp_path):
    """A LevelDB `ldb` of 7 images, written by the genuine convert_imageset where it is installed, else here."""
    plyvel = pytest.importorskip("plyvel", reason="plyvel is not installed (pip install 'pycaffe_ext[leveldb]')")
    pixels, labels = images(7)
    if root.installed():
        write_images(tmp_path, pixels, labels)
        command = [root.command("convert_imageset"), "-backend", "leveldb", "img/", "list.txt", "ldb"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return tmp_path
    with plyvel.DB(str(tmp_path / "ldb"), create_if_missing=True) as db:
        for i, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            db.put(b"%08d" % i, datum(image, int(label), "raw").SerializeToString())
    return tmp_path


LEVELDB = """layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "ldb" backend: LEVELDB batch_size: 5 } transform_param { crop_size: 6 scale: 0.5 } }"""


def test_leveldb_holds_what_was_packed(leveldb):
    pixels, labels = images(7)
    out = batches(leveldb, LEVELDB, count=2)
    np.testing.assert_array_equal(out["data"].reshape(10, 3, 6, 6)[:7], pixels[:, :, 1:7, 1:7] * 0.5)
    np.testing.assert_array_equal(out["label"].ravel(), np.concatenate([labels, labels[:3]]))


@pytest.mark.genuine
def test_leveldb_batches_are_the_genuine_ones(leveldb):
    ours = batches(leveldb, LEVELDB)
    theirs = genuine_batches(leveldb, LEVELDB)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_bad_leveldbs_are_refused(leveldb):
    table = next(path for path in (leveldb / "ldb").iterdir() if path.name.startswith("MANIFEST"))
    table.write_bytes(table.read_bytes()[:20])
    with pytest.raises(UserError, match="layer 'data'.*ldb: cannot be read as a LevelDB"):
        batches(leveldb, LEVELDB)
    with pytest.raises(UserError, match="nosuch: no LevelDB there"):
        batches(leveldb, LEVELDB.replace('"ldb"', '"nosuch"'))
    assert not (leveldb / "nosuch").exists()


def test_without_plyvel_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "ldb").mkdir()
    (tmp_path / "ldb" / "CURRENT").touch()
    monkeypatch.setitem(sys.modules, "plyvel", None)
    with pytest.raises(UserError, match=r"pip install 'pycaffe_ext\[leveldb\]'"):
        batches(tmp_path, LEVELDB)


IMAGES = """layer {{ name: "data" type: "ImageData" top: "data" top: "label"
  image_data_param {{ source: "list.txt" root_folder: "img/" {image} }} transform_param {{ {transform} }} }}"""
PNG_CASES = (
    ("batch_size: 3", ""),
    ("batch_size: 17", ""),
    ("batch_size: 2 is_color: false", "scale: 0.5"),
    ("batch_size: 5", 'mean_file: "mean.binaryproto" crop_size: 6'),
    ("batch_size: 4", "mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.1"),
    ("", "crop_size: 7"),
)


def image_data(image: str = "batch_size: 4", transform: str = "") -> str:
    return IMAGES.format(image=image, transform=transform)


@pytest.fixture
def pictures(tmp_path):
    """Seven PNGs and their list; one has a blank in its name and one a negative label."""
    pixels, labels = images(7)
    write_images(tmp_path, pixels, labels)
    (tmp_path / "img" / "3.png").rename(tmp_path / "img" / "a b.png")
    text = (tmp_path / "list.txt").read_text().splitlines()
    text[3], text[5] = "a b.png 2", "5.png -4"
    (tmp_path / "list.txt").write_text("\n".join(text))
    write_mean(tmp_path / "mean.binaryproto", pixels.mean(0, dtype=np.float32))
    return tmp_path


def assert_genuine(folder: Path, text: str, **options) -> dict[str, np.ndarray]:
    """Batches of both engines are equal bit by bit; returns them."""
    ours, theirs = batches(folder, text, **options), genuine_batches(folder, text, **options)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    return ours


def side_by_side(layers: Iterable[str]) -> str:
    """One net of data layers with tops data0, label0, data1, ...: one genuine process for all of them."""
    return "\n".join(
        layer.replace('"data"', f'"data{i}"').replace('"label"', f'"label{i}"') for i, layer in enumerate(layers)
    )


@pytest.mark.genuine
def test_batches_of_png_images_are_the_genuine_ones(pictures):
    out = assert_genuine(pictures, side_by_side(image_data(*case) for case in PNG_CASES))
    assert {2.0, -4.0} <= set(out["label0"].ravel())
    assert [out[f"data{i}"].shape[1:3] for i in range(3)] == [(3, 3), (17, 3), (2, 1)]


def shapes(folder: Path, text: str, count: int) -> list[tuple[int, ...]]:
    """Of the data in the first batches."""
    out = []
    with contextlib.chdir(folder):
        net = Net(parse(text, caffe_pb2.NetParameter()), caffe_pb2.TEST)
        for _ in range(count):
            net.forward()
            out.append(net.blobs["data"].shape)
    return out


@pytest.mark.genuine
def test_images_of_several_sizes_and_formats(pictures):
    """Decoding JPEG and resizing are OpenCV's; 5.0 here and 4.5 in the genuine engine round alike."""
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.integers(0, 255, (40, 50, 3)).astype(np.uint8), (0, 0), 2)
    cv2.imwrite(str(pictures / "img" / "0.png"), noise)
    assert [shape[2:] for shape in shapes(pictures, image_data("batch_size: 1"), 3)] == [(40, 50), (8, 9), (8, 9)]
    cv2.imwrite(str(pictures / "img" / "0.jpg"), noise)
    (pictures / "jpeg.txt").write_text("0.jpg 1\n")
    resized = ("new_height: 27 new_width: 31", "new_height: 63 new_width: 87 is_color: false")
    layers = [image_data("batch_size: 1"), image_data("batch_size: 7", "crop_size: 8")]
    layers += [image_data(f"batch_size: 7 {size}") for size in resized]
    layers += [image_data(size).replace("list.txt", "jpeg.txt") for size in ("", *resized)]
    assert_genuine(pictures, side_by_side(layers), count=1)


@pytest.mark.parametrize("name", [b"pol\xff\xe9.png", b"\xcd\xbc\xcf\xf1.png"], ids=["Latin-1", "GBK"])
def test_names_that_are_no_utf_8_are_read(name, pictures):
    with open(os.fsencode(pictures / "img") + b"/" + name, "wb") as file:
        file.write((pictures / "img" / "2.png").read_bytes())
    (pictures / "list.txt").write_bytes(b"2.png 1\n" + name + b" 2\n")
    out = batches(pictures, image_data("batch_size: 2"), count=1)
    np.testing.assert_array_equal(out["data"][0, 0], out["data"][0, 1])
    if root.installed():
        assert_genuine(pictures, image_data("batch_size: 2"), count=1)


def test_shuffle_gives_every_image_once_in_each_round(pictures):
    (pictures / "list.txt").write_text(
        "".join(
            f"{name} {i}\n" for i, name in enumerate(("0.png", "1.png", "2.png", "a b.png", "4.png", "5.png", "6.png"))
        )
    )
    rounds = batches(pictures, image_data("batch_size: 7 shuffle: true"), count=6)["label"]
    assert all(sorted(labels) == list(range(7)) for labels in rounds)
    assert len({tuple(labels) for labels in rounds}) > 3
    pixels, _ = images(7)
    out = batches(pictures, image_data("batch_size: 7 shuffle: true"), count=1)
    np.testing.assert_array_equal(out["data"][0], pixels[out["label"][0].astype(int)])


def test_the_seed_repeats_order_and_start(pictures):
    def run(seed: int) -> np.ndarray:
        set_seed(seed)
        return batches(pictures, image_data("batch_size: 3 shuffle: true rand_skip: 5", "mirror: true"))["data"]

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


def test_rand_skip_passes_over_images_once(pictures):
    (pictures / "list.txt").write_text("".join(f"0.png {i}\n" for i in range(5)))
    starts = set()
    for seed in range(30):
        set_seed(seed)
        labels = batches(pictures, image_data("batch_size: 1 rand_skip: 3"), count=12)["label"].ravel()
        starts.add(labels[0])
        np.testing.assert_array_equal(labels, (labels[0] + np.arange(12)) % 5)
    assert starts == {0, 1, 2}


def test_reading_threads_end_with_their_net(pictures):
    before = reading_threads()
    batches(pictures, image_data())
    gc.collect()
    assert reading_threads() == before


def _image_refusals() -> dict[str, tuple[str, str]]:
    return {
        "no list": (image_data().replace("list.txt", "nosuch.txt"), "nosuch.txt"),
        "no such image": (image_data().replace("img/", "other/"), "could not load image 'other/"),
        "one size": (image_data("new_height: 3"), "both new_height and new_width"),
        "no batch": (image_data("batch_size: 0"), "batch_size"),
        "mean of other size": (image_data("new_height: 5 new_width: 5", 'mean_file: "mean.binaryproto"'), "mean_file"),
        "crop too large": (image_data(transform="crop_size: 30"), "crop_size 30"),
        "one top": (image_data().replace('top: "label"', ""), "2 top"),
        "skip all": (image_data("rand_skip: 100000"), "too few images"),
    }


@pytest.mark.parametrize("text, message", _image_refusals().values(), ids=_image_refusals())
def test_mistakes_with_images_are_refused(text, message, pictures):
    set_seed(4)
    with pytest.raises(UserError, match=message) as caught:
        batches(pictures, text)
    assert "layer 'data' (ImageData)" in str(caught.value)


def test_images_that_are_damaged_or_differ_are_refused(pictures):
    (pictures / "img" / "5.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"could not load image 'img/5.png'"):
        batches(pictures, image_data())
    cv2.imwrite(str(pictures / "img" / "5.png"), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(UserError, match=r"image '5.png' is \(3, 20, 20\).*set new_height"):
        batches(pictures, image_data())
    (pictures / "list.txt").write_text("")
    with pytest.raises(UserError, match="list is empty"):
        batches(pictures, image_data())


HDF5 = """layer {{ name: "data" type: "HDF5Data" top: "x" top: "t" hdf5_data_param {{ source: "list.txt" {text} }} }}"""


@pytest.fixture
def rows(tmp_path):
    """Files a.h5, b.h5, c.h5 of 5, 3 and 4 rows (x of doubles or floats, t of whole numbers) and their list."""
    rng = np.random.default_rng(0)
    for i, (name, count) in enumerate((("a", 5), ("b", 3), ("c", 4))):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["x"] = rng.standard_normal((count, 2, 3)).astype(np.float32 if i else np.float64)
            file["t"] = np.arange(count) + 10 * i
    (tmp_path / "list.txt").write_text("a.h5\nb.h5 c.h5\n")
    return tmp_path


@pytest.mark.genuine
@pytest.mark.parametrize(
    "files, size", [("a.h5\nb.h5 c.h5", 1), ("a.h5\nb.h5 c.h5", 5), ("a.h5\nb.h5 c.h5", 29), ("b.h5", 7)]
)
def test_rows_of_hdf5_files_are_the_genuine_ones(files, size, rows):
    (rows / "list.txt").write_text(files)
    assert_genuine(rows, HDF5.format(text=f"batch_size: {size}"), count=5)


def test_shuffled_rows_come_once_in_each_round_file_by_file(rows):
    set_seed(0)
    labels = batches(rows, HDF5.format(text="batch_size: 12 shuffle: true"), count=8)["t"].astype(int)
    orders = set()
    for one_round in labels:
        assert sorted(one_round) == [0, 1, 2, 3, 4, 10, 11, 12, 20, 21, 22, 23]
        files = [file for file, _ in itertools.groupby(one_round // 10)]
        assert len(files) == 3
        orders.add(tuple(files))
    assert len(orders) > 2
    assert len({tuple(one_round) for one_round in labels}) == 8


def _spoil(folder: Path, name: str, values: np.ndarray | None) -> None:
    with h5py.File(folder / "b.h5", "a") as file:
        del file[name]
        if values is not None:
            file[name] = values


SPOILED = {
    "no such data set": (("t", None), "b.h5: has no data set 't'"),
    "other number of rows": (("t", np.zeros(2)), "2 and 3 rows"),
    "other shape": (("x", np.zeros((3, 2, 4))), "files must agree"),
    "words": (("t", np.array([b"x"] * 3)), "rows of numbers"),
    "a single number": (("t", np.array(3.0)), "rows of numbers"),
}


@pytest.mark.parametrize("change, message", SPOILED.values(), ids=SPOILED)
def test_hdf5_files_that_do_not_fit_are_refused(change, message, rows):
    _spoil(rows, *change)
    with pytest.raises(UserError, match=message):
        batches(rows, HDF5.format(text="batch_size: 4"))


HDF5_REFUSED = {
    "no list": (HDF5.format(text="batch_size: 1").replace("list.txt", "nosuch"), "nosuch: cannot be read"),
    "no batch size": (HDF5.format(text=""), "batch_size"),
    "transform_param": (HDF5.format(text="batch_size: 1 } transform_param { scale: 2"), "does not transform"),
    "missing file": (HDF5.format(text="batch_size: 1").replace("list.txt", "missing.txt"), "z.h5: cannot be read"),
    "empty list": (HDF5.format(text="batch_size: 1").replace("list.txt", "empty.txt"), "no HDF5 file"),
}


@pytest.mark.parametrize("text, message", HDF5_REFUSED.values(), ids=HDF5_REFUSED)
def test_mistakes_with_hdf5_are_refused(text, message, rows):
    (rows / "missing.txt").write_text("z.h5\n")
    (rows / "empty.txt").write_text("\n")
    with pytest.raises(UserError, match=message) as caught:
        batches(rows, text)
    assert "layer 'data' (HDF5Data)" in str(caught.value)


OUTPUT = (
    HDF5.format(text="batch_size: 7")
    + """
layer { name: "out" type: "HDF5Output" bottom: "x" bottom: "t" hdf5_output_param { file_name: "out.h5" } }"""
)


def read_output(folder: Path) -> dict[str, np.ndarray]:
    with h5py.File(folder / "out.h5") as file:
        return {name: values[()] for name, values in file.items()}


@pytest.mark.genuine
def test_hdf5_output_is_the_genuine_one(rows):
    batches(rows, OUTPUT, count=1)
    ours = read_output(rows)
    genuine_batches(rows, OUTPUT, count=1)
    theirs = read_output(rows)
    assert ours.keys() == theirs.keys() == {"data", "label"}
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
        assert ours[name].dtype == theirs[name].dtype


def test_hdf5_output_takes_one_batch_as_the_genuine_one_does(rows):
    with pytest.raises(UserError, match="takes no second one"):
        batches(rows, OUTPUT, count=2)
    assert read_output(rows)["data"].shape == (7, 2, 3, 1)
    with pytest.raises(UserError, match="make the folder nowhere"):
        batches(rows, OUTPUT.replace("out.h5", "nowhere/out.h5"))


MEMORY = """layer { name: "data" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 2 channels: 3 height: 2 width: 4 } }"""
MEMORY_SCRIPT = """
import caffe, numpy as np
net, given = caffe.Net("net.prototxt", caffe.TEST), np.load("in.npz")
out = []
for name in ("a", "b"):
    net.set_input_arrays(given[name], given["labels " + name])
    for _ in range(4):
        out.append({top: blob.data.copy() for top, blob in dict(net.forward(), **net.blobs).items()
                    if hasattr(blob, "data") and not isinstance(blob, np.ndarray)})
np.savez("out.npz", **{top: np.stack([batch[top] for batch in out]) for top in out[0]})
"""


@pytest.mark.genuine
def test_arrays_in_memory_come_as_in_the_genuine_pycaffe(tmp_path):
    rng = np.random.default_rng(0)
    given = {name: rng.standard_normal((n, 3, 2, 4)).astype(np.float32) for name, n in (("a", 6), ("b", 2))}
    given |= {f"labels {name}": np.arange(len(given[name]), dtype=np.float32) for name in ("a", "b")}
    np.savez(tmp_path / "in.npz", **given)
    (tmp_path / "net.prototxt").write_text(MEMORY)
    genuine_python.run("-c", MEMORY_SCRIPT, cwd=tmp_path)
    net = Net(parse(MEMORY, caffe_pb2.NetParameter()), caffe_pb2.TEST)
    out: dict[str, list[np.ndarray]] = {"data": [], "label": []}
    for name in ("a", "b"):
        net.layers[0].reset(given[name], given[f"labels {name}"].reshape(-1, 1, 1, 1))
        for _ in range(4):
            net.forward()
            for top, values in out.items():
                values.append(net.blobs[top].data.numpy().copy())
    for top, theirs in np.load(tmp_path / "out.npz").items():
        np.testing.assert_array_equal(np.stack(out[top]), theirs)


MEMORY_REFUSED = {
    "not a multiple": (np.zeros((3, 3, 2, 4), np.float32), np.zeros(3, np.float32), "multiple of its batch size 2"),
    "other shape": (np.zeros((2, 3, 4, 2), np.float32), np.zeros(2, np.float32), r"shape \(n, 3, 2, 4\)"),
    "labels": (np.zeros((2, 3, 2, 4), np.float32), np.zeros(4, np.float32), "a label for each"),
    "doubles": (np.zeros((2, 3, 2, 4)), np.zeros(2, np.float32), "float32"),
    "nothing": (np.zeros((0, 3, 2, 4), np.float32), np.zeros(0, np.float32), "multiple"),
}


@pytest.mark.parametrize("data, labels, message", MEMORY_REFUSED.values(), ids=MEMORY_REFUSED)
def test_arrays_that_do_not_fit_are_refused(data, labels, message):
    net = Net(parse(MEMORY, caffe_pb2.NetParameter()), caffe_pb2.TEST)
    with pytest.raises(UserError, match=message):
        net.layers[0].reset(data, labels)
    with pytest.raises(UserError, match="was given no data"):
        net.forward()


def test_memory_data_needs_all_sizes():
    with pytest.raises(UserError, match="channels, height and width"):
        Net(parse(MEMORY.replace("width: 4", ""), caffe_pb2.NetParameter()), caffe_pb2.TEST)
