"""The Data layer and transform_param against the genuine Caffe and against brute force; bad databases."""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path

import genuine_python
import numpy as np
import pytest
from solver_lab import datum, images, reading_threads, write_lmdb

from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.random import set_seed
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse, write_mean

LAYER = """layer {{ name: "data" type: "Data" {tops} data_param {{ source: "{source}" backend: LMDB {data} }}
  transform_param {{ {transform} }} }}"""
SHAPE = (3, 9, 12)


def prototxt(transform: str = "", data: str = "batch_size: 4", source: str = "db", labels: bool = True) -> str:
    tops = 'top: "data"' + (' top: "label"' if labels else "")
    return LAYER.format(tops=tops, source=source, data=data, transform=transform)


def batches(folder: Path, text: str, phase: int = caffe_pb2.TEST, count: int = 4) -> dict[str, np.ndarray]:
    """Blob -> (count, N, ...) of the first batches."""
    with contextlib.chdir(folder):
        net = Net(parse(text, caffe_pb2.NetParameter()), phase)
        out: dict[str, list] = {name: [] for name in net.blobs}
        for _ in range(count):
            net.forward()
            for name, blob in net.blobs.items():
                out[name].append(blob.data.numpy().copy())
    return {name: np.stack(values) for name, values in out.items()}


def genuine_batches(folder: Path, text: str, phase: int = caffe_pb2.TEST, count: int = 4) -> dict[str, np.ndarray]:
    (folder / "net.prototxt").write_text(text)
    runner = Path(__file__).resolve().parents[2] / "lab" / "data_runner.py"
    genuine_python.run(runner, "net.prototxt", phase, count, "out.npz", cwd=folder)
    return dict(np.load(folder / "out.npz"))


@pytest.fixture
def folder(tmp_path):
    """An LMDB `db` of 10 raw images and a mean file."""
    pixels, labels = images(10, SHAPE)
    write_lmdb(tmp_path / "db", pixels, labels)
    write_mean(tmp_path / "mean.binaryproto", pixels.mean(0, dtype=np.float32))
    return tmp_path


CASES = {
    "plain": {},
    "no label": {"labels": False},
    "scale": {"transform": "scale: 0.0078125"},
    "mean_file": {"transform": 'mean_file: "mean.binaryproto"'},
    "mean_file, crop, scale": {"transform": 'mean_file: "mean.binaryproto" crop_size: 6 scale: 0.5'},
    "odd crop": {"transform": 'mean_file: "mean.binaryproto" crop_size: 5'},
    "one mean_value": {"transform": "mean_value: 100 crop_size: 9"},
    "mean_value per channel": {"transform": "mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.1"},
    "batch larger than the database": {"data": "batch_size: 23"},
    "rand_skip": {"data": "batch_size: 3 rand_skip: 9"},
}


@pytest.mark.genuine
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_batches_are_the_genuine_ones(case, folder):
    text = prototxt(**case)
    ours, theirs = batches(folder, text), genuine_batches(folder, text)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.genuine
@pytest.mark.parametrize(
    "kind, channels, transform",
    [
        ("float", 3, 'mean_file: "mean.binaryproto" crop_size: 6'),
        ("png", 3, "crop_size: 6 mean_value: 3"),
        ("png", 3, "force_gray: true"),
        ("png", 1, "force_color: true"),
        ("png", 1, ""),
        ("float", 2, "scale: 3"),
    ],
)
def test_float_and_encoded_datums(kind, channels, transform, tmp_path):
    pixels, labels = images(6, (channels, 9, 12))
    write_lmdb(tmp_path / "db", pixels, labels, kind)
    write_mean(tmp_path / "mean.binaryproto", pixels.mean(0, dtype=np.float32))
    text = prototxt(transform)
    ours, theirs = batches(tmp_path, text), genuine_batches(tmp_path, text)
    np.testing.assert_array_equal(ours["data"], theirs["data"])
    np.testing.assert_array_equal(ours["label"], theirs["label"])


def _places(image: np.ndarray, mean: np.ndarray, size: int) -> dict[tuple[int, int, bool], np.ndarray]:
    """Every crop of an image minus the mean at the crop's position, mirrored or not, by brute force."""
    out = {}
    for top in range(image.shape[1] - size + 1):
        for left in range(image.shape[2] - size + 1):
            window = (slice(None), slice(top, top + size), slice(left, left + size))
            value = image[window].astype(np.float32) - mean[window]
            out[top, left, False], out[top, left, True] = value, value[:, :, ::-1]
    return out


@pytest.mark.parametrize("phase", [caffe_pb2.TRAIN, caffe_pb2.TEST])
def test_random_crops_and_mirrors_keep_the_mean_in_its_place(phase, folder):
    pixels, _ = images(10, SHAPE)
    mean = pixels.mean(0, dtype=np.float32)
    text = prototxt('mean_file: "mean.binaryproto" crop_size: 6 mirror: true', "batch_size: 10")
    seen = set()
    for batch in batches(folder, text, phase, 12)["data"]:
        for image, got in zip(pixels, batch, strict=True):
            places = _places(image, mean, 6)
            found = [place for place, value in places.items() if np.array_equal(value, got)]
            assert len(found) == 1
            seen.add(found[0])
    assert {mirrored for _, _, mirrored in seen} == {False, True}  # in both phases, as Caffe does
    if phase == caffe_pb2.TEST:
        assert {place[:2] for place in seen} == {(1, 3)}
    else:
        assert {top for top, _, _ in seen} == {0, 1, 2, 3} and {left for _, left, _ in seen} == set(range(7))


def test_the_seed_repeats_crops(folder):
    text = prototxt("crop_size: 4 mirror: true")

    def run(seed: int) -> np.ndarray:
        set_seed(seed)
        return batches(folder, text, caffe_pb2.TRAIN)["data"]

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


def test_reading_threads_end_with_their_net(folder):
    before = reading_threads()
    batches(folder, prototxt())
    gc.collect()
    assert reading_threads() == before


REFUSED = {
    "no such database": (prototxt(source="nosuch"), "no LMDB there"),
    "LevelDB": (prototxt(data="batch_size: 1 backend: LEVELDB").replace("backend: LMDB ", "", 1), "add backend: LMDB"),
    "no batch size": (prototxt(data=""), "batch_size"),
    "crop too large": (prototxt("crop_size: 10"), "crop_size 10 .* 9x12"),
    "two means": (prototxt('mean_file: "mean.binaryproto" mean_value: 1'), "both mean_file and mean_value"),
    "two mean values": (prototxt("mean_value: 1 mean_value: 2"), "give 1 or 3"),
    "no mean file": (prototxt('mean_file: "nosuch"'), "nosuch"),
    "mean of other size": (prototxt('mean_file: "small.binaryproto"'), "mean_file has shape"),
    "grey and colour": (prototxt("force_color: true force_gray: true"), "both force_color and force_gray"),
    "three tops": (prototxt().replace('top: "label"', 'top: "label" top: "x"'), "top"),
}


@pytest.mark.parametrize("text, message", REFUSED.values(), ids=REFUSED)
def test_contradictions_are_refused(text, message, folder):
    write_mean(folder / "small.binaryproto", np.zeros((3, 5, 5), np.float32))
    with pytest.raises(UserError, match=message) as caught:
        batches(folder, text)
    assert "layer 'data'" in str(caught.value)


def test_damaged_databases_are_refused(folder):
    file = folder / "db" / "data.mdb"
    whole = file.read_bytes()
    for size, message in ((len(whole) - 4096, "truncated"), (9000, "truncated"), (100, "cannot be read"), (0, "read")):
        file.write_bytes(whole[:size])
        with pytest.raises(UserError, match=message):
            batches(folder, prototxt())
    write_lmdb(folder / "empty", *images(0, SHAPE))
    with pytest.raises(UserError, match="empty"):
        batches(folder, prototxt(source="empty"))


@pytest.mark.parametrize("place", [0, 5])
@pytest.mark.parametrize("what", ["garbage", "short", "broken png"])
def test_a_bad_record_is_named_and_the_thread_survives_nothing(place, what, tmp_path):
    import lmdb

    pixels, labels = images(8, SHAPE)
    write_lmdb(tmp_path / "db", pixels, labels)
    bad = datum(pixels[0], 1, "png" if what == "broken png" else "raw")
    bad.data = bad.data[:100]
    content = b"\xff\xff" if what == "garbage" else bad.SerializeToString()
    with lmdb.open(str(tmp_path / "db")) as env, env.begin(write=True) as transaction:
        transaction.put(b"%08d_x" % place, content)
    with pytest.raises(UserError, match=f"0000000{place}_x"):
        batches(tmp_path, prototxt())


def test_images_of_two_sizes_in_a_batch_are_refused(tmp_path):
    import lmdb

    write_lmdb(tmp_path / "db", *images(4, SHAPE))
    other = datum(images(1, (3, 5, 5))[0][0], 0, "raw").SerializeToString()
    with lmdb.open(str(tmp_path / "db")) as env, env.begin(write=True) as transaction:
        transaction.put(b"00000002_x", other)
    with pytest.raises(UserError, match=r"00000002_x.* alike"):
        batches(tmp_path, prototxt())
