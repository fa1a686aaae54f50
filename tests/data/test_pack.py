"""Patches through Datum and LMDB: same pixels back, same bytes twice, Caffe reads them, mistakes are told."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import genuine_python
import lmdb
import numpy as np
import pytest
from packing_lab import choose, material, samples, take_all
from PIL import Image

from pycaffe_ext import proto
from pycaffe_ext.data.frames import Frame, read_image
from pycaffe_ext.data.pack import BATCH, pack, read_index
from pycaffe_ext.data.patches import VIEWS, cut
from pycaffe_ext.data.verify import check_index, verify
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest, read_json
from pycaffe_ext.genuine import root
from pycaffe_ext.programs.compute_image_mean import mean_image, write_mean
from pycaffe_ext.records import datum
from pycaffe_ext.threads import at_most

SIZE = 32
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Six frames of three groups, smooth so that JPEG stays near."""
    folder, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(1)
    found = []
    for i in range(6):
        image = cv2.resize(rng.integers(0, 256, (8, 10, 3), np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{i}.png"), image)
        found.append(Frame(f"video{i // 2}/{i}", folder / f"{i}.png", None, f"video{i // 2}"))
    return found


@pytest.fixture(scope="module")
def candidates():
    """Four candidates a frame, one of them positive."""
    rng = np.random.default_rng(2)
    box = np.column_stack([rng.uniform(0, 80, (24, 2)), rng.uniform(20, 70, (24, 2))]).astype(np.float32)
    number = np.tile(np.arange(4), 6)
    return samples(np.repeat(np.arange(6), 4), number, box, number == 2)


@pytest.fixture(scope="module")
def packed(frames, candidates, tmp_path_factory):
    selection = choose(candidates.label, limit=400)
    folder = tmp_path_factory.mktemp("packed")
    return pack(material(frames, candidates), selection, folder, "train", size=SIZE, progress=False)


def expected(frames, candidates, row):
    """The patch that a line of the index describes, cut anew."""
    frame = next(frame for frame in frames if frame.name == row["frame"])
    number = (candidates.item == frames.index(frame)) & (candidates.number == int(row["candidate"]))
    view = [
        v
        for v in VIEWS
        if (str(v.scale), str(v.dx), str(v.dy), str(v.orientation))
        == tuple(row[name] for name in ("scale", "dx", "dy", "orientation"))
    ]
    return cut(cv2.imread(str(frame.image)), candidates.place[number][0], view, SIZE)[0], candidates.label[number][0]


def test_each_key_holds_the_patch_that_its_line_describes(frames, candidates, packed):
    database, index = packed
    lines = list(read_index(index))
    assert len(lines) == 400 and verify(database, index) == 400
    assert sorted(path.name for path in database.iterdir()) == ["data.mdb", "lock.mdb"]
    for (key, patch, label), row in zip(datum.read(database), lines, strict=True):
        wanted, wanted_label = expected(frames, candidates, row)
        assert key == row["key"] and label == wanted_label == int(row["label"]) and row["split"] == "train"
        np.testing.assert_array_equal(patch, wanted)


def test_keys_count_up_and_labels_and_frames_are_shuffled(packed):
    rows = list(read_index(packed[1]))
    assert [row["key"].split("_")[0] for row in rows] == [f"{i:08d}" for i in range(400)]
    labels = np.array([int(row["label"]) for row in rows])
    assert 150 < np.count_nonzero(np.diff(labels)) < 250  # 200 expected of a fair shuffle
    assert all(len({row["frame"] for row in rows[i : i + 50]}) == 6 for i in range(0, 400, 50))


@pytest.mark.parametrize("encoding", datum.ENCODINGS)
def test_same_seed_same_bytes_whatever_the_workers(frames, candidates, tmp_path, encoding):
    selection = choose(candidates.label, limit=1000)

    def digests(name, threads=2, **settings):
        with at_most(threads):
            paths = pack(
                *(material(frames, candidates), selection, tmp_path / name, "train"),
                **{"size": SIZE, "encoding": encoding, "progress": False} | settings,
            )
        return digest(paths[0] / "data.mdb"), digest(paths[1])

    first = digests("a", threads=1)
    assert digests("b", threads=3) == first and digests("a", threads=2) == first  # the last replaces the first
    assert digests("c", seed=7)[0] != first[0]


def test_a_frame_with_more_patches_than_a_batch(frames, candidates, tmp_path):
    selection = take_all(candidates.label[:4])
    assert len(selection) > BATCH
    database, index = pack(material(frames, candidates), selection, tmp_path, "test", size=SIZE, progress=False)
    assert verify(database, index) == 480


@pytest.mark.parametrize(("encoding", "most"), [("raw", 0), ("png", 0), ("jpg", 16)])
def test_a_datum_comes_back(frames, candidates, encoding, most):
    patch = cut(cv2.imread(str(frames[0].image)), candidates.place[0], VIEWS[:1], SIZE)[0]
    back, label = datum.from_bytes(datum.to_bytes(patch, 2, encoding))
    assert label == 2 and back.shape == patch.shape and np.abs(back.astype(int) - patch).max() <= most


def test_jpg_quality_is_obeyed(frames):
    patch = cv2.imread(str(frames[0].image)).transpose(2, 0, 1)
    assert len(datum.to_bytes(patch, 0, "jpg", 30)) < len(datum.to_bytes(patch, 0, "jpg", 95))


def test_mean_is_that_of_the_pixels(packed, tmp_path):
    patches = np.stack([patch for _, patch, _ in datum.read(packed[0])]).astype(float)
    mean = write_mean(packed[0], tmp_path, progress=False)
    np.testing.assert_allclose(mean, patches.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(proto.read_mean(tmp_path / "mean.binaryproto"), mean, rtol=1e-6)
    np.testing.assert_allclose(read_json(tmp_path / "mean.json")["mean_value"], patches.mean(axis=(0, 2, 3)))


NET = """
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  data_param {{ source: "{source}" batch_size: 100 backend: LMDB }} }}
"""
FORWARD = """
import sys
import caffe, numpy
net = caffe.Net(sys.argv[1], caffe.TEST)
data, label = [], []
for batch in range(4):
    net.forward()
    data.append(net.blobs["data"].data.copy())
    label.append(net.blobs["label"].data.copy())
numpy.savez(sys.argv[2], data=numpy.concatenate(data), label=numpy.concatenate(label))
"""


@pytest.mark.genuine
@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_genuine_caffe_reads_the_same_pixels(frames, candidates, tmp_path, encoding):
    selection = choose(candidates.label, limit=400)
    database, _ = pack(
        material(frames, candidates), selection, tmp_path, "train", size=SIZE, encoding=encoding, progress=False
    )
    (tmp_path / "net.prototxt").write_text(NET.format(source=database))
    genuine_python.run("-c", FORWARD, tmp_path / "net.prototxt", tmp_path / "read.npz")
    read = np.load(tmp_path / "read.npz")
    patches, labels = zip(*((patch, label) for _, patch, label in datum.read(database)), strict=True)
    np.testing.assert_array_equal(read["data"], np.stack(patches))
    np.testing.assert_array_equal(read["label"], labels)


@pytest.mark.genuine
def test_mean_equals_compute_image_mean(packed, tmp_path):
    order = [root.command("compute_image_mean"), "--backend=lmdb", packed[0], tmp_path / "theirs.binaryproto"]
    subprocess.run(order, check=True, capture_output=True)
    theirs = proto.read_mean(tmp_path / "theirs.binaryproto")
    np.testing.assert_allclose(mean_image(packed[0], progress=False), theirs, atol=1e-4)


def test_a_missing_or_cut_off_image_is_named_and_leaves_nothing(frames, candidates, tmp_path):
    cut_off = tmp_path / "cut_off.png"
    cut_off.write_bytes(frames[0].image.read_bytes()[:-5000])
    for image in (tmp_path / "missing.png", cut_off):
        broken = [Frame("broken", image, None, "g"), *frames[1:]]
        with pytest.raises(UserError, match=image.name):
            pack(material(broken, candidates), take_all(candidates.label, 3), tmp_path / "out", "train", progress=False)
        assert not list((tmp_path / "out").iterdir())


def test_a_degenerate_box_names_its_frame(frames, candidates, tmp_path):
    box = candidates.place.copy()
    box[5] = 300, 300, 5, 5
    broken = replace(candidates, place=box)
    with pytest.raises(UserError, match=r"frame video0/1: box \[300, 300, 5, 5\]"):
        pack(material(frames, broken), take_all(candidates.label, 3), tmp_path, "train", progress=False)


def test_nothing_selected_and_unknown_encoding(frames, candidates, tmp_path):
    with pytest.raises(UserError, match="nothing to pack"):
        pack(material(frames, candidates), take_all(np.zeros(0, int)), tmp_path, "train")
    with pytest.raises(UserError, match="did you mean 'jpg'"):
        pack(material(frames, candidates), take_all(candidates.label), tmp_path, "train", encoding="jpeg")


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.pack import pack
from pycaffe_ext.errors import run_cli
sys.path.insert(0, sys.argv[3] + "/tests/lab")
from packing_lab import material, samples, take_all
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
one = samples(np.zeros(1, int), np.zeros(1, int), np.array([[20, 20, 50, 50]]), np.zeros(1, int))
frame = Frame("a", Path(sys.argv[1]), None, "a")
run_cli(lambda: pack(material([frame], one), take_all(one.label), sys.argv[2], "train", progress=False) and 0)
"""


def test_a_full_disk_is_one_line_and_leaves_nothing(frames, tmp_path):
    out = tmp_path / "out"
    order = [sys.executable, "-c", FULL, frames[0].image, out, ROOT]
    run = subprocess.run(order, capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.count("\n") == 1
    assert run.stderr.startswith("error: ") and "free some space" in run.stderr
    assert not list(out.iterdir())


def test_too_little_space_is_told_before_anything_is_cut(frames, candidates, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1e6}))
    with pytest.raises(UserError, match=r"packing 2880 patches needs 457 MB, 1 MB are free, 456 MB too little"):
        pack(material(frames, candidates), take_all(candidates.label), tmp_path, "train", progress=False)
    assert not list(tmp_path.iterdir())


def test_a_database_that_is_missing_cut_off_or_garbled_is_named(packed, tmp_path):
    with pytest.raises(UserError, match="nowhere.*data.mdb is missing"):
        list(datum.read(tmp_path / "nowhere"))
    content = (packed[0] / "data.mdb").read_bytes()
    for broken, says in ((content[:-200_000], "cut off"), (content[:100], "LMDB"), (b"x" * 9000, "LMDB")):
        (tmp_path / "data.mdb").write_bytes(broken)
        with pytest.raises(UserError, match=says):
            list(datum.read(tmp_path))


@pytest.mark.parametrize(
    "content", [b"\xff\xff", b"", datum.to_bytes(np.zeros((3, 4, 4), np.uint8), 0)[:40], b"\x22\x01a\x38\x01"]
)
def test_a_value_that_is_no_datum_is_refused(content):
    with pytest.raises(UserError, match="remove the database and make it again"):
        datum.from_bytes(content)


def test_mean_of_nothing_or_of_mixed_shapes_is_refused(tmp_path):
    lmdb.open(str(tmp_path)).close()
    with pytest.raises(UserError, match="no patch in it"):
        mean_image(tmp_path, progress=False)
    with lmdb.open(str(tmp_path)) as database, database.begin(write=True) as transaction:
        for side in (4, 5):
            transaction.put(str(side).encode(), datum.to_bytes(np.zeros((3, side, side), np.uint8), 0))
    with pytest.raises(UserError, match=r"\(3, 4, 4\) and \(3, 5, 5\)"):
        mean_image(tmp_path, progress=False)


def rewrite(index, path, change):
    with open(index, newline="") as file:
        lines = [change(number, line) for number, line in enumerate(csv.reader(file))]
    with open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(line for line in lines if line)
    return path


def test_verify_finds_a_wrong_label_a_missing_line_and_a_foreign_file(packed, tmp_path):
    database, index = packed
    flip = rewrite(index, tmp_path / "a", lambda n, line: [*line[:-1], "9"] if n == 43 else line)
    with pytest.raises(UserError, match="patch 42 is .*says .*9"):
        verify(database, flip)
    short = rewrite(index, tmp_path / "b", lambda n, line: line if n < 400 else None)
    with pytest.raises(UserError, match="patch 399 .*says nothing"):
        verify(database, short)
    (tmp_path / "c").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="needs the columns"):
        verify(database, tmp_path / "c")
    with pytest.raises(UserError, match="no such index"):
        verify(database, tmp_path / "d")


def test_a_group_or_frame_in_two_splits_is_found(frames, candidates, tmp_path):
    def split(name, *members):
        rows = np.isin(candidates.item, members)
        part = samples(*(getattr(candidates, name)[rows] for name in ("item", "number", "place", "label")))
        return pack(material(frames, part), take_all(part.label, 2), tmp_path, name, size=8, progress=False)[1]

    train, val, test = split("train", 0, 1), split("val", 2, 3), split("test", 4, 5)
    check_index({"train": train, "val": val, "test": test})
    with pytest.raises(UserError, match="groups in both train and test: video0"):
        check_index({"train": split("train", 0), "val": val, "test": split("test", 1, 4)})
    with pytest.raises(UserError, match="frames in both val and test: video1/3"):
        check_index({"val": val, "test": split("test", 3, 4)})


def test_long_names_and_other_alphabets_fit_in_a_key(frames, candidates, tmp_path):
    named = [Frame("ポリープ" * 100 + str(i), f.image, None, f.group) for i, f in enumerate(frames)]
    database, index = pack(
        material(named, candidates), take_all(candidates.label, 2), tmp_path, "t", size=8, progress=False
    )
    assert verify(database, index) == 48 and Path(index).read_text(encoding="utf-8").count("ポリープ") > 48


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"quality": 30},
        {"progressive": True},
        {"subsampling": 0},
        {"subsampling": 1},
        {"optimize": True},
    ],
)
def test_jpegs_are_read_with_the_same_pixels_as_pillow_gives(tmp_path, settings):
    noise = np.random.default_rng(3).integers(0, 256, (30, 41, 3), np.uint8)
    for number, size in enumerate([(123, 77), (480, 408), (64, 64)]):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)).save(path, **settings)
        with Image.open(path) as image:
            np.testing.assert_array_equal(read_image(path), np.array(image)[:, :, ::-1])


def test_an_unusual_jpeg_is_read_by_pillow_and_one_that_is_cut_off_is_refused(tmp_path):
    noise = np.random.default_rng(3).integers(0, 256, (40, 60, 4), np.uint8)
    for mode in ("L", "CMYK"):
        path = tmp_path / f"{mode}.jpg"
        Image.fromarray(noise[..., 0] if mode == "L" else noise, mode).save(path)
        with Image.open(path) as image:
            np.testing.assert_array_equal(read_image(path), np.array(image.convert("RGB"))[:, :, ::-1])
    Image.fromarray(noise[..., :3]).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-300])
    with pytest.raises(UserError, match="cut.jpg.*cut off"):
        read_image(tmp_path / "cut.jpg")
