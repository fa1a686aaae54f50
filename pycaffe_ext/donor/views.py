"""Pictures that a teacher is asked about: places in synthetic colonoscopy frames, and the 64 procedural classes.

Nobody's seed: SEED is above the largest that a run can have, so no donor has seen a frame of any run. What a view
shows (a polyp or not) is not recorded.
"""

from __future__ import annotations

import cv2
import numpy as np

from pycaffe_ext.data.synthetic import render_video
from pycaffe_ext.donor import images
from pycaffe_ext.donor.fields import Generator

SEED = 2**31  # runs.settings.LARGEST_SEED + 1
FRAMES, PLACES = 2, 10  # frames of a video, places of a frame
SIDES = (24, 220)  # pixels of the frame
STRETCH = 1.35  # of a place's sides, at most, one over the other's mean
DARK, LEAST = 20, 12  # the middle is brighter, what is left within the frame longer
FIRST_IMAGE = 3_000_000  # number of the procedural images, beyond those of training and tests


def of_video(video: int, side: int) -> list[np.ndarray]:
    """FRAMES * PLACES views of a video, (side, side, 3) uint8 BGR; a pure function of its arguments."""
    rng = np.random.default_rng([SEED, video, 1])
    return [_place(frame, rng, side) for frame, _ in render_video(video, FRAMES, seed=SEED) for _ in range(PLACES)]


def procedural(number: int, side: int) -> np.ndarray:
    """(side, side, 3) uint8 BGR; the classes take turns."""
    return images.image(number % images.CLASSES, FIRST_IMAGE + number // images.CLASSES, side)


def _place(frame: np.ndarray, rng: Generator, side: int) -> np.ndarray:
    """A lit place of the frame, clipped to it and resized to a square, in one of eight orientations."""
    height, width = frame.shape[:2]
    while True:
        size, stretch = np.exp(rng.uniform(*np.log(SIDES))), np.exp(rng.uniform(-1, 1) * np.log(STRETCH))
        x, y = rng.uniform(0.05, 0.95, 2) * (width, height)
        left, right = _edges(x, size * stretch, width)
        top, bottom = _edges(y, size / stretch, height)
        if min(right - left, bottom - top) > LEAST and frame[int(y), int(x)].max() > DARK:
            break
    view = frame[top:bottom, left:right]
    shrinks = min(view.shape[:2]) >= side
    square = cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    turned = np.rot90(square, int(rng.integers(4)))
    return np.ascontiguousarray(turned[:, ::-1] if rng.integers(2) else turned)


def _edges(centre: float, extent: float, limit: int) -> tuple[int, int]:
    return max(int(centre - extent / 2), 0), min(int(centre + extent / 2), limit)
