"""Raw Datums looked at where they lie are those that a parser finds."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.records.cursor import datum_image
from pycaffe_ext.records.raw_datums import RawDatums

SHAPE = (3, 5, 4)


def datum(seed: int = 0, shape: tuple[int, int, int] = SHAPE, **fields) -> caffe_pb2.Datum:
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    channels, height, width = shape
    return caffe_pb2.Datum(channels=channels, height=height, width=width, **{"data": pixels.tobytes()} | fields)


@pytest.fixture
def raw() -> RawDatums:
    out = RawDatums()
    first = datum(label=7)
    out.learn(first, datum_image(first))
    return out


def test_nothing_is_known_before_the_first_raw_datum():
    out = RawDatums()
    assert out.look(datum().SerializeToString()) is None and not out.known
    out.learn(caffe_pb2.Datum(encoded=True, data=b"x"), np.zeros(SHAPE, np.uint8))
    assert not out.known


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"label": 0},
        {"label": 1},
        {"label": 70_000},
        {"label": -1},
        {"label": 2, "encoded": False},
        {"encoded": False},
    ],
)
def test_label_and_pixels_are_the_parsers(raw, fields):
    given = datum(1, **fields)
    label, pixels = raw.look(memoryview(given.SerializeToString()))
    assert label == given.label
    np.testing.assert_array_equal(pixels.reshape(raw.shape), datum_image(given))


@pytest.mark.parametrize(
    "content",
    [
        datum(1, (3, 4, 5), label=1).SerializeToString(),
        datum(1, label=1, encoded=True).SerializeToString(),
        datum(1, float_data=[1.0]).SerializeToString(),
        datum(1, label=1).SerializeToString()[:-1],
        datum(1, label=1).SerializeToString()[:-20],
        datum(1).SerializeToString() + b"\xff",
        b"",
    ],
    ids=["shape", "encoded", "floats", "cut label", "cut pixels", "rubbish", "empty"],
)
def test_whatever_else_there_is_goes_to_the_parser(raw, content):
    assert raw.look(content) is None
