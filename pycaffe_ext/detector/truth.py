"""Candidates compared with the masks: which polyp each of them hits."""

from __future__ import annotations

import cv2
import numpy as np

from pycaffe_ext.data.frames import Frame, read_frame, read_mask
from pycaffe_ext.detector.field import field

SIDE = 320  # pixels at which the field is looked for
SPECK = 1e-4  # share of the frame: smaller mask components are ragged remains of drawing, not lesions


def centres(candidates: np.ndarray) -> np.ndarray:
    """Middle of each box, (n, 2) x, y in pixels."""
    return candidates[:, :2] + candidates[:, 2:4] / 2


def lesions(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Lesions of a bool (H, W) mask: int32 (H, W), 0 = none, 1..count, and their count.

    A lesion is an 8-connected component; those below 0.01 % of the frame (20 pixels of 480 x 417) are specks.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    real = stats[:, cv2.CC_STAT_AREA] >= SPECK * mask.size
    real[0] = False
    number = np.where(real, np.cumsum(real), 0).astype(np.int32)
    return number[labels], int(real.sum())


def sizes(frame: Frame) -> np.ndarray:
    """Diameters of a frame's lesions, in the order of `lesions`, each of a disc of its area; shares of the field."""
    labels, count = lesions(read_mask(frame))
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return np.sqrt(4 / np.pi * area) / max(field(read_frame(frame), SIDE).size)


def lesion_of(candidates: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Number of the lesion that holds each candidate's centre, int32 (n,), 0 = none.

    mask: bool (H, W), or the labels that `lesions` made of it.
    """
    labels = lesions(mask)[0] if mask.dtype == bool else mask
    column, row = np.floor(centres(candidates)).astype(np.int64).T
    height, width = labels.shape
    within = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    hit = labels[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return np.where(within, hit, 0).astype(np.int32)


def inside(candidates: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Whether each candidate is positive, bool (n,): its centre lies inside the ground truth [S], in a lesion."""
    return lesion_of(candidates, mask) > 0
