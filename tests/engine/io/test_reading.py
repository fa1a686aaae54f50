"""Reading: the same batches however many threads, wherever the reading starts, on whichever device they are made."""

from __future__ import annotations

import contextlib
import gc
import time
from itertools import islice

import numpy as np
import pytest
import torch
from solver_lab import images, reading_threads, write_lmdb

from pycaffe_ext.engine import options
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.random import set_seed
from pycaffe_ext.engine.io.prefetch import Arrays, Prefetcher
from pycaffe_ext.engine.io.reading import Reader
from pycaffe_ext.engine.io.transform import Transformer
from pycaffe_ext.engine.layers.data import DataLayer
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse, write_mean
from pycaffe_ext.records import cursor

SHAPE = (3, 9, 12)
TRANSFORMS = {
    "as it is": "",
    "mean file, crop, mirror, scale": 'mean_file: "mean" crop_size: 6 mirror: true scale: 0.37',
    "mean values, mirror": "mean_value: 104 mean_value: 117.5 mean_value: 123 mirror: true",
    "one mean value, odd crop": "mean_value: 99.5 crop_size: 7",
    "mirror alone": "mirror: true",
}


@pytest.fixture(params=["raw", "float", "png"])
def folder(request, tmp_path):
    """The working directory, with an LMDB `db` of 10 images, stored in each way, and their mean."""
    pixels, labels = images(10, SHAPE)
    write_lmdb(tmp_path / "db", pixels, labels, request.param)
    write_mean(tmp_path / "mean", pixels.mean(0, dtype=np.float32))
    with contextlib.chdir(tmp_path):
        yield tmp_path


def reader(transform: str, size: int = 4, workers: int = 1, seed: int = 1, device: str = "cpu") -> Reader:
    param = parse(transform, caffe_pb2.TransformationParameter())
    transformer = Transformer(param, caffe_pb2.TRAIN, np.random.default_rng(seed))
    return Reader(cursor.open_lmdb("db"), "db", size, transformer, torch.device(device), workers)


def expected(transform: str, count: int, seed: int = 1) -> np.ndarray:
    """The first `count` images by brute force, one after the other, with the random numbers in Caffe's order."""
    param = parse(transform, caffe_pb2.TransformationParameter())
    rng = np.random.default_rng(seed)
    pixels, _ = images(10, SHAPE)
    mean = np.zeros(SHAPE, np.float32)
    if param.mean_file:
        mean[:] = pixels.mean(0, dtype=np.float32)
    elif param.mean_value:
        mean[:] = np.float32(param.mean_value)[:, None, None]
    out = []
    for i in range(count):
        mirrored = param.mirror and rng.integers(2)
        size = param.crop_size
        top, left = (rng.integers(9 - size + 1), rng.integers(12 - size + 1)) if size else (0, 0)
        window = (slice(None), slice(top, top + (size or 9)), slice(left, left + (size or 12)))
        value = (pixels[i % 10][window].astype(np.float32) - mean[window]) * np.float32(param.scale)
        out.append(value[:, :, ::-1] if mirrored else value)
    return np.stack(out)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_batches_are_those_of_one_image_after_the_other(transform, workers, folder):
    got = [batch.pixels.numpy().copy() for batch in islice(reader(transform, workers=workers).batches(0), 6)]
    np.testing.assert_array_equal(np.concatenate(got), expected(transform, 24))


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_the_way_of_a_gpu_gives_the_same_batches(transform, folder):
    """Stored images are gathered first and transformed together; here on the CPU."""
    one, other = reader(transform, size=10), reader(transform, size=10)
    records = list(islice(cursor.endless_records(cursor.open_lmdb("db")), 10))
    for _ in range(3):
        a, b = one.transformed(records), other.transformed_at_once(records)
        assert torch.equal(a.pixels, b.pixels) and torch.equal(a.labels, b.labels)
        assert a.pixels.dtype == b.pixels.dtype == torch.float32


def test_reading_may_start_anywhere(folder):
    pixels, labels = images(10, SHAPE)
    for start in range(10):
        batches = islice(reader("").batches(start), 4)
        places = [(start + i) % 10 for i in range(16)]
        got = [(batch.pixels.numpy().copy(), batch.labels.numpy().copy()) for batch in batches]
        np.testing.assert_array_equal(np.concatenate([p for p, _ in got]), pixels[places])
        np.testing.assert_array_equal(np.concatenate([label for _, label in got]), labels[places])


def data_net(transform: str, data: str = "batch_size: 4", phase: int = caffe_pb2.TRAIN) -> Net:
    text = f"""layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ {transform} }}
      data_param {{ source: "db" backend: LMDB {data} }} }}"""
    return Net(parse(text, caffe_pb2.NetParameter()), phase)


def test_crops_do_not_depend_on_how_far_ahead_is_read(folder):
    def run(prefetch: int, wait: float) -> np.ndarray:
        set_seed(3)
        net = data_net("crop_size: 5 mirror: true", f"batch_size: 4 prefetch: {prefetch}")
        out = []
        for _ in range(5):
            net.forward()
            time.sleep(wait)
            out.append(net.blobs["data"].data.numpy().copy())
        return np.stack(out)

    first = run(1, 0)
    np.testing.assert_array_equal(first, run(7, 0.01))
    assert len(np.unique(first[:, 0].reshape(5, -1), axis=0)) == 5


def test_a_layer_that_skipped_goes_on_behind_what_it_skipped(folder, capsys):
    net = data_net("")
    layer: DataLayer = net.layers[0]
    pixels, _ = images(10, SHAPE)
    before = reading_threads()
    for step, skips in enumerate([False, True, True, False, False, True, False]):
        capsys.readouterr()
        if skips:
            layer.skip()
            assert reading_threads() == before
        else:
            net.forward()
            places = [(4 * step + i) % 10 for i in range(4)]
            np.testing.assert_array_equal(net.blobs["data"].data.numpy(), pixels[places])
        restarts = (4 * step + 4) // 10 - 4 * step // 10
        assert capsys.readouterr().err.count("Restarting data prefetching") == restarts
    layer.close()


def test_values_that_somebody_holds_are_never_written_over(folder):
    net = data_net("mirror: true", "batch_size: 3")
    held, copies = [], []
    for _ in range(12):
        net.forward()
        held.append(net.blobs["data"].data[1:].numpy()[:, ::2])  # a view of a view of the batch
        copies.append(held[-1].copy())
    time.sleep(0.05)
    for view, copy in zip(held, copies, strict=True):
        np.testing.assert_array_equal(view, copy)


def test_memory_is_lent_again_once_nothing_shows_it():
    arrays = Arrays()
    first = arrays.lend((4, 5), np.float32)
    place = first.ctypes.data
    tensor = torch.from_numpy(first)
    view = tensor[1:].view(-1).numpy()
    del first, tensor
    gc.collect()
    assert arrays.lend((4, 5), np.float32).ctypes.data != place
    del view
    gc.collect()
    again = [arrays.lend((4, 5), np.float32) for _ in range(2)]
    assert place in [array.ctypes.data for array in again]
    assert arrays.lend((4, 5), np.uint8).dtype == np.uint8


def test_no_more_is_read_ahead_than_asked():
    made = []

    def endless():
        while True:
            made.append(len(made))
            yield made[-1]

    ahead = Prefetcher(endless, 3)
    assert [ahead.take() for _ in range(5)] == [0, 1, 2, 3, 4]
    time.sleep(0.1)
    assert len(made) <= 5 + 3 + 1
    ahead.close()


@pytest.mark.parametrize(
    "phase, transform, repeats",
    [
        (caffe_pb2.TRAIN, "", True),
        (caffe_pb2.TRAIN, "crop_size: 9", False),
        (caffe_pb2.TEST, "crop_size: 9", True),
        (caffe_pb2.TRAIN, "mirror: true", False),
        (caffe_pb2.TEST, "mirror: true", False),
    ],
)
def test_whether_a_record_is_the_same_each_time(phase, transform, repeats, folder):
    assert data_net(transform, phase=phase).layers[0].repeats is repeats


@pytest.mark.parametrize(
    "given, message",
    [
        ({"precision": "fp16"}, "precision 'fp16'.*fp32, bf16"),
        ({"cache_gb": float("nan")}, "cache_gb must be 0"),
        ({"cache_gb": float("inf")}, "cache_gb must be 0"),
        ({"cache_gb": -1.0}, "cache_gb must be 0"),
    ],
)
def test_options_that_are_not_allowed(given, message):
    with pytest.raises(UserError, match=message):
        options.choose(**given)
    assert options.precision() == "fp32"


def test_a_square_image_needs_no_random_crop(tmp_path):
    pixels, labels = images(3, (3, 8, 8))
    write_lmdb(tmp_path / "db", pixels, labels)
    with contextlib.chdir(tmp_path):
        assert data_net("crop_size: 8").layers[0].repeats
