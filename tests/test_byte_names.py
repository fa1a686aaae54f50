"""Names of files that are not UTF-8: bytes in, bytes out, in every list, table, database, log and picture."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import genuine_python
import h5py
import lmdb
import numpy as np
import pytest
from packing_lab import material, samples, take_all

from pycaffe_ext import plotting
from pycaffe_ext.data import splits, tables, verify
from pycaffe_ext.data.balance import Selection
from pycaffe_ext.data.frames import Frame, fingerprint
from pycaffe_ext.data.pack import LONGEST_KEY, _Keys, pack, read_index
from pycaffe_ext.data.sources import decode
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.files import read_json, read_words, reading, write_csv, write_json
from pycaffe_ext.genuine import root
from pycaffe_ext.pictures import opencv
from pycaffe_ext.programs import convert_imageset
from pycaffe_ext.proto import caffe_pb2, parse
from pycaffe_ext.records import cursor as engine_database
from pycaffe_ext.records import database, datum
from pycaffe_ext.records.image_list import read_list
from pycaffe_ext.training.command import Caffe

LATIN, GBK = b"caf\xe9 \xfc.png", "息肉图像\\".encode("gbk") + b"\xb2\x5c.png"
NAMES = (LATIN, GBK, b"-dash.png", b'it\'s "quoted".png', " ideographic\u3000space\u00a0.png".encode(), b"a#b.png")


def pictures(folder: Path, names: tuple[bytes, ...] = NAMES, size: int = 12) -> None:
    """A picture under each name, and list.txt."""
    rng = np.random.default_rng(0)
    for name in names:
        content = cv2.imencode(".png", rng.integers(0, 255, (size, size, 3), np.uint8))[1]
        (folder / os.fsdecode(name)).write_bytes(content.tobytes())
    (folder / "list.txt").write_bytes(b"".join(b"%s %d\n" % (name, i) for i, name in enumerate(names)))


def records(folder: Path) -> list[tuple[bytes, bytes]]:
    with lmdb.open(os.fsencode(folder), readonly=True, lock=False) as env, env.begin() as transaction:
        return list(transaction.cursor())


# ---- Caffe's programs and layers


def test_convert_imageset_reads_the_pictures_and_keeps_the_bytes_in_the_keys(tmp_path):
    pictures(tmp_path)
    out = tmp_path / os.fsdecode(b"d\xfcb")
    assert convert_imageset.convert(f"{tmp_path}/", tmp_path / "list.txt", out) == len(NAMES)
    assert [key for key, _ in records(out)] == [b"%08d_%s" % pair for pair in enumerate(NAMES)]
    assert len(list(datum.read(out))) == len(NAMES)


@pytest.mark.genuine
def test_convert_imageset_is_the_genuine_one(tmp_path):
    pictures(tmp_path)
    convert_imageset.convert(f"{tmp_path}/", tmp_path / "list.txt", tmp_path / "ours")
    order = [root.command("convert_imageset"), f"{tmp_path}/", tmp_path / "list.txt", tmp_path / "theirs"]
    subprocess.run(order, check=True, capture_output=True)
    assert records(tmp_path / "ours") == records(tmp_path / "theirs")


def test_a_label_is_a_number_in_ascii(tmp_path):
    (tmp_path / "list").write_text("a \u0663\nb \u00a05\nc 7\n", encoding="utf-8")
    assert read_list(tmp_path / "list") == [("a", 0), ("b", 0), ("c", 7)]


SOURCES = """
layer { name: "i" type: "ImageData" top: "image" top: "label" image_data_param { source: "list.txt" batch_size: 6 } }
layer { name: "h" type: "HDF5Data" top: "x" hdf5_data_param { source: "hdf5.txt" batch_size: 4 } }
layer { name: "w" type: "WindowData" top: "window" top: "kind" transform_param { crop_size: 8 }
  window_data_param { source: "windows.txt" batch_size: 2 fg_fraction: 1 fg_threshold: 0.5 bg_threshold: 0.5 } }
"""
BARE = b"caf\xe9\xa0.png"  # a byte that is white space in Latin-1


def sources(folder: Path) -> None:
    """Lists for each layer of SOURCES; words of the last two hold no ASCII blanks."""
    pictures(folder, (BARE,))
    pictures(folder)
    files = b"r\xe9.h5", "\u3000x\u0085.h5".encode()
    for i, name in enumerate(files):
        with h5py.File(folder / os.fsdecode(name), "w") as file:
            file["x"] = np.full((2, 3), i, np.float32)
    (folder / "hdf5.txt").write_bytes(b"\n".join(files))
    (folder / "windows.txt").write_bytes(b"# 0\n%s\n3\n12\n12\n2\n1 1 0 0 7 7\n0 0 0 0 7 7\n" % BARE)


def test_layers_read_lists_with_such_names(tmp_path):
    sources(tmp_path)
    with contextlib.chdir(tmp_path):
        net = Net(parse(SOURCES, caffe_pb2.NetParameter()), caffe_pb2.TRAIN)
        net.forward()
        shown = {name: blob.data.numpy().copy() for name, blob in net.blobs.items()}
    for i, name in enumerate(NAMES):
        whole = cv2.imdecode(np.fromfile(tmp_path / os.fsdecode(name), np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(shown["image"][i], whole.transpose(2, 0, 1))
    assert shown["x"][:, 0].tolist() == [0, 0, 1, 1]
    assert shown["window"].shape == (2, 3, 8, 8) and shown["kind"].tolist() == [1, 1]


@pytest.mark.genuine
def test_the_genuine_layers_read_the_same(tmp_path):
    sources(tmp_path)
    (tmp_path / "net.prototxt").write_text(SOURCES)
    script = (
        "import caffe, numpy; net = caffe.Net('net.prototxt', caffe.TRAIN); net.forward();"
        "numpy.savez('out.npz', **{name: blob.data for name, blob in net.blobs.items()})"
    )
    genuine_python.run("-c", script, cwd=tmp_path)
    with contextlib.chdir(tmp_path):
        net = Net(parse(SOURCES, caffe_pb2.NetParameter()), caffe_pb2.TRAIN)
        net.forward()
        theirs = np.load("out.npz")
        for name in net.blobs:
            np.testing.assert_array_equal(net.blobs[name].data.numpy(), theirs[name])


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_databases_open_under_such_names(backend, tmp_path):
    if backend == "leveldb":
        pytest.importorskip("plyvel")
    path = tmp_path / os.fsdecode(b"d\xe9b")
    with database.creating(path, backend) as put:
        put([(b"k\xff", b"value")])
    with database.window(path, backend) as found:
        assert [(bytes(key), bytes(value)) for key, value in found] == [(b"k\xff", b"value")]
    number = getattr(caffe_pb2.DataParameter, backend.upper())
    assert engine_database.first_record(engine_database.open_database(str(path), number))[0] == b"k\xff"


# ---- tables, records, logs


def test_tables_and_records_give_the_bytes_back(tmp_path):
    names = [os.fsdecode(name) for name in (*NAMES, b"new\nline")]
    write_csv(tmp_path / "t.csv", ("name",), [[name] for name in names])
    with reading(tmp_path / "t.csv") as file:
        assert [row["name"] for row in csv.DictReader(file)] == names
    assert LATIN in (tmp_path / "t.csv").read_bytes()
    write_json(tmp_path / "t.json", {"data": names})
    assert read_json(tmp_path / "t.json") == {"data": names}
    json.loads((tmp_path / "t.json").read_bytes().decode("ascii"))
    (tmp_path / "words").write_bytes(b" a\xa0\xff\tb\x1c\x0b\r\nc\xe3\x80\x80 ")
    assert [os.fsencode(word) for word in read_words(tmp_path / "words")] == [b"a\xa0\xff", b"b\x1c", b"c\xe3\x80\x80"]


def test_frames_are_split_packed_and_verified(tmp_path):
    pictures(tmp_path, size=40)
    names = [os.fsdecode(name) for name in NAMES]
    frames = [Frame(name, tmp_path / name, None, name[:4]) for name in names]
    assert len(fingerprint(frames, progress=False)) == 64
    splits.write_splits(tmp_path / "splits.csv", {"train": frames[:2], "val": frames[2:4], "test": frames[4:]})
    assert splits.read_splits(tmp_path / "splits.csv", frames)["train"] == frames[:2]
    count = len(frames)
    table = samples(
        np.arange(count), np.zeros(count, int), np.tile(np.float32([8, 8, 20, 20]), (count, 1)), np.arange(count) % 2
    )
    pack(material(frames, table), take_all(table.label, 1), tmp_path, "train", size=8, progress=False)
    rows = list(read_index(tmp_path / "patches_train.csv"))
    assert {row["frame"] for row in rows} == set(names)
    assert {os.fsencode(row["key"]) for row in rows} == {key for key, _ in records(tmp_path / "train_lmdb")}
    verify.check_pixels(tmp_path / "train_lmdb", tmp_path / "patches_train.csv", material(frames, table), "raw", 8)


def test_a_log_keeps_the_bytes(tmp_path):
    (tmp_path / "caffe").write_bytes(b"#!/bin/sh\necho 'I0101 open r\xe9.h5'\n")
    (tmp_path / "caffe").chmod(0o755)
    lines = list(Caffe((str(tmp_path / "caffe"),)).test(Path("m"), Path("w"), 1, tmp_path / "log"))
    assert [os.fsencode(line) for line in lines] == [b"I0101 open r\xe9.h5\n"]
    assert (tmp_path / "log").read_bytes() == b"I0101 open r\xe9.h5\n"


def test_programs_print_the_bytes(tmp_path):
    folder = os.fsencode(tmp_path) + b"/r\xe9"
    tool = Path(__file__).parents[1] / "tools" / "convert_imageset.py"
    order = [sys.executable, tool, folder, folder + b".txt", folder + b"db"]
    done = subprocess.run(order, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr == b"error: %s.txt: can't read this list of images (No such file or directory)\n" % folder


def test_figures_show_a_sign_for_such_a_byte(tmp_path):
    figure, axes = plotting.page()
    axes.plot([0, 1], label="r\udce9")
    axes.set_title("r\udce9")
    axes.legend(title="\udce9")
    figure.suptitle("r\udce9")
    plotting.save(figure, tmp_path / "\udce9.png")
    assert axes.get_title() == "r\ufffd"
    assert cv2.imdecode(np.fromfile(tmp_path / "\udce9.png", np.uint8), cv2.IMREAD_COLOR).shape[1] == 1400


def test_videos_and_tables_of_groups(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (32, 32))
    for i in range(3):
        writer.write(np.full((32, 32, 3), 80 * i, np.uint8))
    writer.release()
    (tmp_path / "v.avi").rename(tmp_path / "v\udce9.avi")
    assert decode.probe(tmp_path / "v\udce9.avi").count == 3
    (home,) = decode.decode([(tmp_path / "v\udce9.avi", False)], tmp_path / "cache", progress=False)
    assert len(list(home.glob("*.png"))) == 3
    (tmp_path / "groups.csv").write_bytes(b"\xef\xbb\xbfname,group\r\nr\xe9,g\xe9\r\n")
    (row,) = tables.read_table(tmp_path / "groups.csv", ("name", "group"))
    assert (row["name"], row["group"]) == ("r\udce9", "g\udce9")


def test_long_names_are_cut_between_characters():
    for name in ("ü" * 400, os.fsdecode(b"\xe9" * 600), "a" * 600):
        one = np.zeros(1, int)
        table = samples(one, one, np.zeros((1, 4)), one)
        keys = _Keys(material([Frame(name, Path(), None, "g")], table), Selection(one, one, one), one)
        key = os.fsencode(keys(0))
        assert LONGEST_KEY - 1 <= len(key) <= LONGEST_KEY and key.startswith(b"00000000_" + os.fsencode(name)[:100])


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "tiff", "webp"])
def test_pictures_that_are_cut_off_are_read_as_opencv_reads_files(ending, tmp_path):
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.uniform(0, 255, (7, 9, 3)).astype(np.float32), (157, 141)).astype(np.uint8)
    whole = cv2.imencode(f".{ending}", smooth)[1].tobytes()
    path = tmp_path / f"cut.{ending}"
    for size in (10, len(whole) // 2, len(whole) - 20, len(whole)):
        path.write_bytes(whole[:size])
        for flag in (cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE):
            np.testing.assert_array_equal(opencv.read(path, flag), cv2.imread(str(path), flag))
