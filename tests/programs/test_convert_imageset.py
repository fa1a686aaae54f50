"""convert_imageset: the genuine program's bytes, what it leaves out, what it refuses."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from programs import run_tool

from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root
from pycaffe_ext.programs import convert_imageset, flags
from pycaffe_ext.proto.caffe_pb2 import Datum
from pycaffe_ext.records import database
from pycaffe_ext.records.datum import open_database

TOOL = Path(__file__).parents[2] / "tools" / "convert_imageset.py"
PNG = b"\x89PNG\r\n\x1a\n"
LIST = (
    "a.png 3\nb.jpg 4\nsub/c d.JPEG 5\nmissing.jpg 6\nbroken.jpg 7\n\ngrey.png -1\ntwo.jpg  2\nnolabel\ne.bmp x\n"
    "trailing.png 9 \ncut.jpg 1\r\ndeep.png 12345678901\n"
)
FLAGS = [
    "",
    "-gray",
    "--encoded",
    "-encode_type png",
    "-encode_type=jpg -gray",
    "-encoded -encode_type jpg -resize_width 20 -resize_height 10",
    "-resize_width=20 -resize_height=10",
    "-gray -resize_width 70 -resize_height 61",
    "-resize_width 20",
    "-backend leveldb",
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several formats and sizes, two that can't be read, one that is cut off, and list.txt."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "sub").mkdir()
    rng = np.random.default_rng(0)
    for name, *size in (("a.png", 40, 56), ("b.jpg", 41, 57), ("sub/c d.JPEG", 33, 40), ("e.bmp", 20, 21)):
        cv2.imwrite(str(folder / name), _picture(rng, *size))
    cv2.imwrite(str(folder / "grey.png"), _picture(rng, 30, 30)[:, :, 0])
    cv2.imwrite(str(folder / "deep.png"), _picture(rng, 20, 20).astype(np.uint16) * 257)
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "cut.jpg").write_bytes((folder / "b.jpg").read_bytes()[:900])
    (folder / "list.txt").write_text(LIST)
    return folder


def _picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    coarse = rng.uniform(0, 255, (height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height)).astype(np.uint8)


def run(images: Path, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_tool("convert_imageset", *arguments, f"{images}/", images / "list.txt", out)


def records(folder: Path) -> list[tuple[str, Datum]]:
    with lmdb.open(str(folder), readonly=True, lock=False) as env, env.begin() as transaction:
        return [(key.decode(), Datum.FromString(value)) for key, value in transaction.cursor()]


@pytest.mark.genuine
@pytest.mark.parametrize("arguments", FLAGS)
def test_same_records_as_the_genuine_program(arguments: str, images: Path, tmp_path: Path) -> None:
    backend = "leveldb" if "leveldb" in arguments else "lmdb"
    order = [root.command("convert_imageset"), *arguments.split(), f"{images}/", images / "list.txt", tmp_path / "g"]
    subprocess.run(list(map(str, order)), check=True, capture_output=True)
    ours = run(images, tmp_path / "ours", *arguments.split())
    assert ours.returncode == 0, ours.stderr
    with database.window(tmp_path / "g", backend) as wanted, database.window(tmp_path / "ours", backend) as found:
        wanted, found = ([bytes(value) for _, value in entries] for entries in (wanted, found))
    assert len(wanted) == 7
    assert found == wanted
    if backend == "lmdb":
        assert [key for key, _ in records(tmp_path / "ours")] == [key for key, _ in records(tmp_path / "g")]


def test_unreadable_images_are_logged_and_keep_their_number(images: Path, tmp_path: Path) -> None:
    ours = run(images, tmp_path / "db")
    assert [key for key, _ in records(tmp_path / "db")][:4] == [
        "00000000_a.png",
        "00000001_b.jpg",
        "00000002_sub/c d.JPEG",
        "00000006_grey.png",
    ]
    lines = ours.stderr.splitlines()
    assert sum("Could not open or find file" in line for line in lines) == 6
    assert "A total of 13 images." in lines[0] and "Processed 7 files." in lines[-1]


def test_raw_datum_holds_planes_in_bgr(images: Path) -> None:
    datum = convert_imageset.read_datum(str(images / "a.png"), 3, convert_imageset.Options())
    pixels = np.frombuffer(datum.data, np.uint8).reshape(datum.channels, datum.height, datum.width)
    np.testing.assert_array_equal(pixels, cv2.imread(str(images / "a.png")).transpose(2, 0, 1))


def test_a_header_that_opencv_raises_for_costs_one_image(images: Path, tmp_path: Path) -> None:
    """100 000 x 100 000 pixels: the genuine program dies of cv::Exception here and leaves no database to read."""
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    for name in ("huge.png", "a.png", "b.jpg"):
        (tmp_path / name).write_bytes((images / name).read_bytes() if name != "huge.png" else PNG + chunk)
    (tmp_path / "list.txt").write_text("a.png 3\nhuge.png 4\nb.jpg 5\n")
    assert convert_imageset.convert(f"{tmp_path}/", tmp_path / "list.txt", tmp_path / "db") == 2
    assert [key for key, _ in records(tmp_path / "db")] == ["00000000_a.png", "00000002_b.jpg"]


@pytest.mark.parametrize("arguments", ["", "-encoded"])
def test_names_that_are_no_utf_8_are_read(arguments: str, images: Path, tmp_path: Path) -> None:
    """Latin-1 and GBK, as the genuine program reads them; the keys hold the bytes of the list."""
    names = [b"pol\xff\xe9.png", b"\xcd\xbc\xcf\xf1.png"]
    for name in names:
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
            file.write((images / "a.png").read_bytes())
    (tmp_path / "list.txt").write_bytes(b"".join(name + b" 1\n" for name in names))
    options = convert_imageset.Options(encoded=bool(arguments))
    assert convert_imageset.convert(f"{tmp_path}/", tmp_path / "list.txt", tmp_path / "db", options) == 2
    with open_database(tmp_path / "db") as found:
        entries = list(found.cursor())
    assert [key for key, _ in entries] == [b"%08d_%b" % (i, name) for i, name in enumerate(names)]
    wanted = convert_imageset.read_datum(str(images / "a.png"), 1, options).SerializeToString()
    assert [value for _, value in entries] == [wanted, wanted]
    if root.installed():
        order = [root.command("convert_imageset"), *arguments.split(), f"{tmp_path}/", tmp_path / "list.txt"]
        subprocess.run([*map(str, order), str(tmp_path / "g")], check=True, capture_output=True)
        with open_database(tmp_path / "g") as theirs:
            assert list(theirs.cursor()) == entries


def test_shuffle_renumbers_the_same_images(images: Path, tmp_path: Path) -> None:
    names = sorted(f"{i}.png" for i in range(40))
    for name in names:
        (tmp_path / name).write_bytes((images / "a.png").read_bytes())
    (tmp_path / "list.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(names)))
    convert_imageset.convert(
        f"{tmp_path}/", tmp_path / "list.txt", tmp_path / "db", convert_imageset.Options(shuffle=True)
    )
    found = records(tmp_path / "db")
    order = [key.split("_")[1] for key, _ in found]
    assert [int(key.split("_")[0]) for key, _ in found] == list(range(40))
    assert order != names and sorted(order) == names
    assert all(names[datum.label] == name for (_, datum), name in zip(found, order, strict=True))


def test_order_does_not_depend_on_the_number_of_threads(images: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"a.png {i}\n" for i in range(200)))
    for workers in (1, 5):
        convert_imageset.convert(f"{images}/", tmp_path / "list.txt", tmp_path / f"{workers}", workers=workers)
    assert records(tmp_path / "1") == records(tmp_path / "5")
    assert [datum.label for _, datum in records(tmp_path / "5")] == list(range(200))


def test_the_map_grows_with_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "FIRST_MAP", 1 << 16)
    with database.creating(tmp_path / "db") as put:
        for i in range(20):
            put([(b"%04d" % (8 * i + j), bytes(20_000)) for j in range(8)])
    with open_database(tmp_path / "db") as found:
        assert sum(len(value) == 20_000 for _, value in found.cursor()) == 160


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-check_size"], "7011 values, the first image has 6720"),
        (["-check_size", "-encoded"], "can't be used with encoded"),
        (["-encode_type", "xyz"], "can't be encoded as 'xyz'"),
        (["-backend", "redis"], "unknown backend 'redis'"),
        (["-resize_width", "wide"], "'wide' is no whole number"),
        (["-grey"], "did you mean 'gray'"),
    ],
)
def test_mistakes_take_one_line_and_leave_nothing(
    arguments: list[str], message: str, images: Path, tmp_path: Path
) -> None:
    ours = run(images, tmp_path / "db", *arguments)
    assert ours.returncode == 1
    assert message in ours.stderr.splitlines()[-1] and "Traceback" not in ours.stderr
    assert list(tmp_path.iterdir()) == []


def test_existing_destination_is_refused_and_kept(images: Path, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "precious").write_text("kept")
    ours = run(images, tmp_path / "db")
    assert ours.returncode == 1 and "exists already" in ours.stderr
    assert (tmp_path / "db" / "precious").read_text() == "kept"


def test_an_interruption_leaves_nothing(images: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"a.png {i}\n" for i in range(200_000)))
    order = [sys.executable, str(TOOL), f"{images}/", str(tmp_path / "list.txt"), str(tmp_path / "db")]
    with subprocess.Popen(order, stderr=subprocess.PIPE, text=True) as process:
        while "Processed 1000 files" not in (line := process.stderr.readline()):
            assert line, "it ended by itself"
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130 and said.splitlines()[-1].startswith("error: interrupted")
    assert [path.name for path in tmp_path.iterdir()] == ["list.txt"]


def test_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="list.txt: can't read this list"):
        convert_imageset.convert("", tmp_path / "list.txt", tmp_path / "db")


def test_flags_are_read_as_gflags_reads_them() -> None:
    known = {"gray": flags.Flag(True, ""), "width": flags.Flag(0, ""), "type": flags.Flag("", "")}
    order = ["-nogray", "a", "--width", "-3", "-type=x=y", "--logtostderr=1", "--", "-b"]
    assert flags.parse("", known, [2], order) == ({"gray": False, "width": -3, "type": "x=y"}, ["a", "-b"])
    assert flags.parse("", known, [0], ["--gray=no"])[0]["gray"] is False
    for wrong in (["-gray=maybe"], ["-width"], ["--width=1.5"], ["a", "b", "c"]):
        with pytest.raises(UserError):
            flags.parse("", known, [0, 1], wrong)
