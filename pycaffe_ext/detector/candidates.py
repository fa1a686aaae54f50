"""Polyp candidates of a frame by its shape alone, in the spirit of the paper's reference [42].

Edges with oriented normals vote for the region that they enclose; the maxima, each with the box of its voters and a
score, are the candidates. Masks play no part in it; they only judge the candidates afterwards.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import cv2
import numpy as np
from tqdm import tqdm

from pycaffe_ext.data.frames import Frame, read_image
from pycaffe_ext.detector.edges import Edges, find_edges, look
from pycaffe_ext.detector.settings import Detector
from pycaffe_ext.detector.voting import find_peaks, voters_box
from pycaffe_ext.errors import UserError

NONE = np.zeros((0, 5), np.float32)
SMALLEST_FRAME = 32  # pixels: a shorter side shows no shape
SMALLEST_BOX = 2.0  # pixels


def detect(image: np.ndarray, settings: Detector = Detector()) -> np.ndarray:  # noqa: B008 (frozen)
    """Candidates of a BGR uint8 (H, W, 3) frame, float32 (n, 5): x, y, w, h, score; best first.

    x, y is the upper left corner; units are pixels of the frame, not rounded, clipped to it. score > 0 is finite,
    higher = more polyp-like, and compares across frames. n <= settings.max_candidates; frames that are black,
    uniform or shorter than 32 pixels on a side have none. Raises UserError for another type or shape.
    """
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UserError(f"detect: image is {given}; it must be BGR uint8 (height, width, 3)")
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_FRAME:
        return NONE.copy()
    small = _resized(image, settings.working_side)
    view = look(small)
    edges = find_edges(view, settings)
    scale = np.array([width / small.shape[1], height / small.shape[0]] * 2, np.float32)
    found = propose(small, view.scene, edges, settings)
    boxes, score = _clipped(found[:, :4] * scale, height, width), found[:, 4]
    whole = (boxes[:, 2] >= SMALLEST_BOX) & (boxes[:, 3] >= SMALLEST_BOX)
    boxes, score = boxes[whole], score[whole]
    kept = _suppress(boxes, settings)
    return np.column_stack([boxes[kept], score[kept]]).astype(np.float32)


def propose(image: np.ndarray, scene: np.ndarray, edges: Edges, settings: Detector) -> np.ndarray:
    """Maxima of the votes of `edges` before suppression, float32 (n, 5) as from `detect`, not clipped.

    image, scene: what the edges were found in. Edges may have been selected or reweighted before.
    """
    if not len(edges):
        return NONE.copy()
    peaks = find_peaks(image, scene, edges, settings)
    return np.column_stack([voters_box(edges, peaks, settings), peaks.score]).astype(np.float32)


def _resized(image: np.ndarray, side: int) -> np.ndarray:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _clipped(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    ends = np.array([width, height], np.float32)
    start = np.clip(boxes[:, :2], 0, ends)
    return np.hstack([start, np.clip(boxes[:, :2] + boxes[:, 2:], 0, ends) - start])


def _suppress(boxes: np.ndarray, settings: Detector) -> list[int]:
    """Rows to keep of boxes (n, 4) in falling order: none overlaps or crowds a better one."""
    middle, half = boxes[:, :2] + boxes[:, 2:] / 2, np.sqrt(boxes[:, 2] * boxes[:, 3]) / 2
    kept: list[int] = []
    for i in range(len(boxes)):
        near = np.hypot(*(middle[kept] - middle[i]).T) < settings.apart * np.sqrt(half[kept] * half[i])
        if not (near.any() or (_overlap(boxes[i], boxes[kept]) > settings.overlap).any()):
            kept.append(i)
        if len(kept) == settings.max_candidates:
            break
    return kept


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box (4,) with others (n, 4)."""
    start = np.maximum(box[:2], others[:, :2])
    end = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    common = np.prod(np.maximum(end - start, 0), axis=1)
    return common / (box[2] * box[3] + others[:, 2] * others[:, 3] - common)


def detect_all(
    frames: Sequence[Frame],
    settings: Detector = Detector(),  # noqa: B008 (frozen)
    workers: int | None = None,
    progress: bool = True,
) -> list[np.ndarray]:
    """`detect` on every frame, in the order of `frames`, by `workers` processes (default: one per core).

    The result does not depend on `workers`. Processes are spawned, so a calling script needs its
    `if __name__ == "__main__"`. Raises UserError for an unreadable image, or if a process is killed.
    """
    workers = min(os.cpu_count() or 1 if workers is None else workers, len(frames))
    if workers <= 1:
        return list(_bar(map(partial(_read_and_detect, settings=settings), frames), len(frames), progress))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        try:
            found = pool.map(partial(_read_and_detect, settings=settings), frames, chunksize=8)
            return list(_bar(found, len(frames), progress))
        except BrokenProcessPool:
            raise UserError("candidates: a process was killed, perhaps for want of memory; use fewer") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _bar(results: Iterable[np.ndarray], total: int, progress: bool) -> Iterable[np.ndarray]:
    return tqdm(results, "candidates", total, unit="frame", disable=not progress, delay=2, leave=False)


def _read_and_detect(frame: Frame, settings: Detector) -> np.ndarray:
    return detect(read_image(frame.image), settings)
