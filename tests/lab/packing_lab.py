"""Boxes in frames as material for packing, for tests of what is shared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_ext.data import balance
from pycaffe_ext.data.balance import Selection
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.items import Material, Samples
from pycaffe_ext.data.patches import VIEWS, BoxViews, cut_boxes


def samples(frame: np.ndarray, number: np.ndarray, box: np.ndarray, label: np.ndarray) -> Samples:
    frame, label = np.asarray(frame), np.asarray(label)
    targets = np.zeros(int(frame.max(initial=-1)) + 1, int)
    return Samples(frame, np.asarray(number), np.asarray(box, np.float32), label.astype(np.int32), label, targets)


def material(frames: Sequence[Frame], table: Samples) -> Material:
    return Material(frames, table, BoxViews(), cut)


def cut(frame: Frame, places: np.ndarray, views: np.ndarray, size: int):
    return cut_boxes(frame.picture(), places, views, size)


def choose(labels: np.ndarray, limit: int | None = None, seed: int = 0, classes: int = 2, views: int = len(VIEWS)):
    return balance.choose(labels, views, limit, seed, classes)


def take_all(labels: np.ndarray, per_sample: int = len(VIEWS)) -> Selection:
    return balance.take_all(labels, len(VIEWS), per_sample)
