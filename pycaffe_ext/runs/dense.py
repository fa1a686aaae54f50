"""Places scored by a net that sees whole regions (`nets.dense`), through the same caffe command line as patches.

FOLDER/score.prototxt and FOLDER/dense.caffemodel are files of Caffe's own, which any Caffe runs over the LMDB beside
them: a region an entry.  They stay; the LMDB is removed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from pycaffe_ext.applications.base import Application
from pycaffe_ext.data import tiles
from pycaffe_ext.data.items import Floats, Samples
from pycaffe_ext.data.pack import database_path
from pycaffe_ext.data.tiles import Tile
from pycaffe_ext.evaluation.metrics.base import PatchScores
from pycaffe_ext.nets import dense
from pycaffe_ext.progress import bar
from pycaffe_ext.proto import caffe_pb2, read_blobs, read_net, write_text, write_weights
from pycaffe_ext.records.datum import to_bytes
from pycaffe_ext.strings import portable
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.scoring import collect, values

CHUNK = 64  # regions in the LMDB at a time: a process each; of SqueezeNet 2 MB each


@dataclass(frozen=True)
class DenseNet:
    """A net of patches that is to see regions.  score_net : over patches, whose output `head` holds the raw values of
    `classes` classes.   image : (channels, rows, columns) of a patch."""

    score_net: Path
    weights: Path
    head: str
    classes: int
    image: tuple[int, int, int]


def probabilities(
    caffe: Caffe,
    net: DenseNet,
    application: Application[Any, Any],
    items: Sequence[Any],
    samples: Samples,
    folder: Path,
) -> Floats:
    """(n, classes) float64 of the samples' places; `folder` gets the net and its weights."""
    from scipy.special import softmax  # here: it takes a while to load

    patches = read_net(net.score_net)
    stride = dense.stride_of(patches, net.head, net.image)
    plan = _plan(application, items, samples, net.image[-1], stride)
    places = tiles.extent([tile for _, tile in plan])
    size = dense.region_size(net.image[1], places[0], stride), dense.region_size(net.image[2], places[1], stride)
    weights = _write(net, patches, places, folder)
    raw = np.full((len(samples), net.classes), np.nan)
    for start in bar(range(0, len(plan), CHUNK), "scoring regions", unit="slice", progress=len(plan) > CHUNK):
        chunk = plan[start : start + CHUNK]
        _put(application, items, chunk, net.image[-1], size, folder)
        with closing(caffe.test(folder / "score.prototxt", weights, len(chunk))) as lines:
            found = values(collect(lines), net.head, len(chunk) * net.classes * places[0] * places[1], weights)
        maps = found.reshape(len(chunk), net.classes, *places)
        for (_, tile), own in zip(chunk, maps, strict=True):
            raw[tile.place] = own[:, tile.at[:, 0], tile.at[:, 1]].T
    shutil.rmtree(database_path(folder, "test"))
    return np.asarray(softmax(raw, axis=1), np.float64)


def as_scores(samples: Samples, probability: Floats) -> PatchScores:
    """The probabilities as a metric takes them, one patch a sample."""
    return PatchScores(np.arange(len(samples), dtype=np.int32), samples.label.astype(np.int8), probability)


def _plan(
    application: Application[Any, Any], items: Sequence[Any], samples: Samples, size: int, stride: int
) -> list[tuple[int, Tile]]:
    """(item, region) of all; the places of a region are rows of the samples."""
    found = []
    for item in np.unique(samples.item).tolist():
        rows = np.flatnonzero(samples.item == item)
        corners = application.corners(items[item], samples.place[rows], size)
        for tile in tiles.tiles_of(corners, stride):
            found.append((item, Tile(tile.corner, rows[tile.place], tile.at)))
    return found


def _write(net: DenseNet, patches: caffe_pb2.NetParameter, places: tuple[int, int], folder: Path) -> Path:
    """score.prototxt and dense.caffemodel; returns the latter's path."""
    folder.mkdir(parents=True, exist_ok=True)
    made = dense.dense_net(patches, net.image, places)
    for layer in made.layer:
        if layer.type == "Data":
            layer.data_param.source = portable(str(database_path(folder, "test")))
            layer.data_param.batch_size = 1
    write_text(folder / "score.prototxt", made)
    weights = folder / "dense.caffemodel"
    write_weights(weights, dense.dense_weights(read_blobs(net.weights), patches, net.image))
    return weights


def _put(
    application: Application[Any, Any],
    items: Sequence[Any],
    chunk: Sequence[tuple[int, Tile]],
    size: int,
    region: tuple[int, int],
    folder: Path,
) -> None:
    """The regions of a chunk as an LMDB."""
    database = database_path(folder, "test")
    shutil.rmtree(database, ignore_errors=True)
    room = 2 * len(chunk) * (3 * region[0] * region[1] + 4096) + (1 << 24)
    database.mkdir()
    opened = lmdb.open(os.fsencode(database), map_size=room, sync=False)
    with opened as environment, environment.begin(write=True) as transaction:
        for number, (item, tile) in enumerate(chunk):
            cut = tiles.pixels(application.canvas(items[item], size), tile.corner, region)
            transaction.put(b"%08d" % number, to_bytes(cut, 0))
