"""Polyp candidates of a frame by shape and context, after the paper's reference [42].

Edges that pass as boundaries of a polyp vote along their normals for the region that they enclose; the maxima, each
with the box of its voters and the vote as score, are the candidates. Masks play no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from pycaffe_ext.data.frames import Frame, read_frame
from pycaffe_ext.detector.edges import Edges, View
from pycaffe_ext.detector.field import Field, view_of
from pycaffe_ext.detector.model import UNTRAINED_MODEL, Model
from pycaffe_ext.detector.settings import Detector
from pycaffe_ext.detector.voting import find_peaks, voters_box
from pycaffe_ext.errors import UserError
from pycaffe_ext.processes import map_processes

NONE = np.zeros((0, 5), np.float32)
SMALLEST_FRAME = 32  # pixels: a shorter side shows no shape
SMALLEST_BOX = 2.0  # pixels
AT_ONCE = 30  # maxima whose boxes are drawn, until there are enough candidates


def detect(image: np.ndarray, model: Model = UNTRAINED_MODEL) -> np.ndarray:
    """Candidates of a BGR uint8 (H, W, 3) frame, float32 (n, 5): x, y, w, h, score; best first.

    x, y is the upper left corner; units are pixels of the frame, not rounded, clipped to what it shows of the scene:
    neither its size nor a black surround matters. score > 0 is finite, higher = more polyp-like, and compares across
    frames. n <= max_candidates of the model's settings; frames that are black, uniform or show less than 32 pixels on a
    side have none. Raises UserError for another type or shape.
    """
    return detect_each(image, (model,))[0]


def detect_each(image: np.ndarray, models: Sequence[Model]) -> list[np.ndarray]:
    """`detect` by each of several models of the same working side; those of the same forests share their edges."""
    check_image(image)
    nothing = [NONE.copy() for _ in models]
    if min(image.shape[:2]) < SMALLEST_FRAME:
        return nothing
    view, field = view_of(image, models[0].settings.working_side)
    if min(field.size) < SMALLEST_FRAME:
        return nothing
    found, voters = [], dict[int, Edges]()
    for model in models:
        kind = id(model.first)
        if kind not in voters:
            voters[kind] = model.voters(view)
        best = _best(view, voters[kind], field, model.settings)
        found.append(best + np.array([field.left, field.top, 0, 0, 0], np.float32))
    return found


def check_image(image: np.ndarray) -> None:
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UserError(f"detect: image is {given}; it must be BGR uint8 (height, width, 3)")


def _best(view: View, voters: Edges, field: Field, settings: Detector) -> np.ndarray:
    """The best maxima of the votes, none of which crowds a better one, as from `detect` but in pixels of the field."""
    kept = NONE.copy()
    if not len(voters):
        return kept
    peaks = find_peaks(view, voters, settings)
    height, width = field.size
    scale = np.array([width / view.scene.shape[1], height / view.scene.shape[0]] * 2, np.float32)
    for start in range(0, len(peaks.x), AT_ONCE):
        some = peaks.at(slice(start, start + AT_ONCE))
        boxes = _clipped(voters_box(voters, some, settings) * scale, height, width)
        whole = (boxes[:, 2:] >= SMALLEST_BOX).all(axis=1)
        kept = _joined(kept, np.column_stack([boxes, some.score])[whole], settings)
        if len(kept) == settings.max_candidates:
            break
    return kept


def _clipped(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    ends = np.array([width, height], np.float32)
    start = np.clip(boxes[:, :2], 0, ends)
    return np.hstack([start, np.clip(boxes[:, :2] + boxes[:, 2:], 0, ends) - start])


def _joined(kept: np.ndarray, found: np.ndarray, settings: Detector) -> np.ndarray:
    """Kept candidates (k, 5) and those of `found` (n, 5), in falling order, that neither overlap nor crowd a better."""
    for candidate in found:
        if len(kept) == settings.max_candidates:
            break
        between = np.hypot(*(kept[:, :2] + kept[:, 2:4] / 2 - candidate[:2] - candidate[2:4] / 2).T)
        half = np.sqrt(np.sqrt(np.prod(kept[:, 2:4], axis=1) * np.prod(candidate[2:4]))) / 2
        near = between < settings.apart * half
        if not (near.any() or (_overlap(candidate[:4], kept[:, :4]) > settings.overlap).any()):
            kept = np.vstack([kept, candidate]).astype(np.float32)
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
