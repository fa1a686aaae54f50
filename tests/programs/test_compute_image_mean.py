"""compute_image_mean: the genuine program's bytes and its channel means, for every kind of Datum."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from programs import run_tool

from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root
from pycaffe_ext.programs import compute_image_mean
from pycaffe_ext.proto import read_mean
from pycaffe_ext.proto.caffe_pb2 import Datum
from pycaffe_ext.records import database

OURS = "ours"
LOGGED = {"GLOG_logtostderr": "1"}
CHANNEL = re.compile(r"mean_value channel \[\d\]: ?(\S+)")


def raw(image: np.ndarray, **more: object) -> Datum:
    channels, height, width = image.shape
    return Datum(channels=channels, height=height, width=width, data=image.tobytes(), **more)


def encoded(image: np.ndarray) -> Datum:
    picture = cv2.imencode(".png", np.ascontiguousarray(image.transpose(1, 2, 0)))[1]
    return Datum(data=picture.tobytes(), label=3, encoded=True)


def floats(image: np.ndarray) -> Datum:
    channels, height, width = image.shape
    return Datum(channels=channels, height=height, width=width, float_data=(image / 7.0).ravel(), label=2)


def images(count: int, channels: int = 3) -> list[np.ndarray]:
    return list(np.random.default_rng(count).integers(0, 256, (count, channels, 9, 14), dtype=np.uint8))


KINDS = {
    "raw": [raw(image, label=5, encoded=False) for image in images(70)],
    "raw without label": [raw(image) for image in images(33)],
    "grey": [raw(image, label=0) for image in images(40, 1)],
    "encoded": [encoded(image) for image in images(35)],
    "floats": [floats(image) for image in images(45)],
    "mixed": [make(image) for make, image in zip((raw, encoded, floats) * 13, images(39), strict=True)],
    "encoded first": [encoded(images(1)[0]), *(raw(image, label=1) for image in images(40))],
}


def pack(folder: Path, datums: list[Datum], backend: str = "lmdb") -> Path:
    with database.creating(folder, backend) as put:
        put([(b"%08d" % i, datum.SerializeToString()) for i, datum in enumerate(datums)])
    return folder


def run(program: object, *arguments: object) -> str:
    if program is OURS:
        done = run_tool("compute_image_mean", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stderr
    order = list(map(str, [program, *arguments]))
    return subprocess.run(order, capture_output=True, text=True, check=True, env=LOGGED).stderr


@pytest.mark.genuine
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_same_bytes_and_channels_as_the_genuine_program(kind: str, backend: str, tmp_path: Path) -> None:
    folder = pack(tmp_path / "db", KINDS[kind], backend)
    flag = f"-backend={backend}"
    theirs = run(root.command("compute_image_mean"), flag, folder, tmp_path / "theirs")
    ours = run(OURS, flag, folder, tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert CHANNEL.findall(ours) == CHANNEL.findall(theirs) != []


@pytest.mark.genuine
def test_sums_beyond_the_exact_ones_round_as_the_genuine_program_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    datums = [raw(rng.integers(200, 256, (1, 3, 4), dtype=np.uint8)) for _ in range(80_000)]
    folder = pack(tmp_path / "db", datums)
    theirs = run(root.command("compute_image_mean"), folder, tmp_path / "theirs")
    ours = run(OURS, folder, tmp_path / "ours")
    exact = np.mean([np.frombuffer(datum.data, np.uint8) for datum in datums], axis=0)
    assert not np.array_equal(read_mean(tmp_path / "theirs").ravel(), exact.astype(np.float32))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert "Processed 80000 files" in ours and "Processed 80000 files" in theirs


def test_mean_is_that_of_the_pixels(tmp_path: Path) -> None:
    folder = pack(tmp_path / "db", KINDS["raw"])
    np.testing.assert_array_equal(compute_image_mean.mean_image(folder), np.mean(images(70), axis=0))


@pytest.mark.parametrize(
    ("datums", "message"),
    [
        ([], "no patch in it"),
        ([raw(images(1)[0]), raw(images(1)[0][:, 1:])], r"\(3, 9, 14\) and \(3, 8, 14\)"),
        ([raw(images(1)[0]), Datum(channels=3, height=9, width=14, data=b"short")], "holds 5 values"),
        ([Datum(data=b"no picture", encoded=True)], "cannot be decoded"),
    ],
)
def test_what_has_no_mean_is_refused(datums: list[Datum], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        compute_image_mean.compute(pack(tmp_path / "db", datums), tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_a_value_cut_short_is_refused(tmp_path: Path) -> None:
    whole = KINDS["raw"][0].SerializeToString()
    with database.creating(tmp_path / "db") as put:
        put([(b"0", whole), (b"1", whole[:-10])])
    with pytest.raises(UserError, match="not a Datum"):
        compute_image_mean.compute(tmp_path / "db")


def test_a_missing_database_is_named(tmp_path: Path) -> None:
    for backend in database.BACKENDS:
        with pytest.raises(UserError, match="nowhere"):
            compute_image_mean.compute(tmp_path / "nowhere", backend=backend)
