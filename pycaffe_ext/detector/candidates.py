"""Polyp candidates of a frame by shape and context, after the paper's reference [42].

Edges that pass as boundaries of a polyp vote along their normals for the region that they enclose; the maxima, each
with the box of its voters and the vote as score, are the candidates. Masks play no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np

from pycaffe_ext.data.frames import Frame, read_frame
from pycaffe_ext.detector.edges import Edges, View, look
from pycaffe_ext.detector.model import UNTRAINED_MODEL, Model
from pycaffe_ext.detector.settings import Detector
from pycaffe_ext.detector.voting import find_peaks, voters_box
from pycaffe_ext.errors import UserError
from pycaffe_ext.processes import map_processes

NONE = np.zeros((0, 5), np.float32)
SMALLEST_FRAME = 32  # pixels: a shorter side shows no shape
SMALLEST_BOX = 2.0  # pixels


def detect(image: np.ndarray, model: Model = UNTRAINED_MODEL) -> np.ndarray:
    """Candidates of a BGR uint8 (H, W, 3) frame, float32 (n, 5): x, y, w, h, score; best first.

    x, y is the upper left corner; units are pixels of the frame, not rounded, clipped to it. score > 0 is finite,
    higher = more polyp-like, and compares across frames. n <= max_candidates of the model's settings; frames that are
    black, uniform or shorter than 32 pixels on a side have none. Raises UserError for another type or shape.
    """
    check_image(image)
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_FRAME:
        return NONE.copy()
    view = look(resized(image, model.settings.working_side))
    scale = np.array([width / view.scene.shape[1], height / view.scene.shape[0]] * 2, np.float32)
    found = propose(view, model.voters(view), model.settings)
    boxes, score = _clipped(found[:, :4] * scale, height, width), found[:, 4]
    whole = (boxes[:, 2] >= SMALLEST_BOX) & (boxes[:, 3] >= SMALLEST_BOX)
    boxes, score = boxes[whole], score[whole]
    kept = _suppress(boxes, model.settings)
    return np.column_stack([boxes[kept], score[kept]]).astype(np.float32)


def check_image(image: np.ndarray) -> None:
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UserError(f"detect: image is {given}; it must be BGR uint8 (height, width, 3)")


def propose(view: View, voters: Edges, settings: Detector) -> np.ndarray:
    """Maxima of the votes before suppression, float32 (n, 5) as from `detect`, in pixels of the view, not clipped."""
    if not len(voters):
        return NONE.copy()
    peaks = find_peaks(view, voters, settings)
    return np.column_stack([voters_box(voters, peaks, settings), peaks.score]).astype(np.float32)


def resized(image: np.ndarray, side: int) -> np.ndarray:
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
    frames: Sequence[Frame], model: Model = UNTRAINED_MODEL, workers: int | None = None, progress: bool = True
) -> list[np.ndarray]:
    """`detect` on every frame, in the order of `frames`, by `workers` processes (default: one per core).

    The result does not depend on `workers`. Processes are spawned, so a calling script needs its
    `if __name__ == "__main__"`. Raises UserError for an unreadable image, or if a process is killed.
    """
    return list(map_processes(partial(_read_and_detect, model=model), frames, "candidates", workers, progress))


def _read_and_detect(frame: Frame, model: Model) -> np.ndarray:
    return detect(read_frame(frame), model)
