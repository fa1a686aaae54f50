"""Polyp candidates of a frame by its shape alone, in the spirit of the paper's reference [42].

Edges with oriented normals vote for the region that they enclose; the maxima, each with the box of its voters and a
score, are the candidates. Masks play no part in it; they only judge the candidates afterwards.
"""

from __future__ import annotations

import csv
import math
import multiprocessing
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from pycaffe_ext.data.detector import Detector
from pycaffe_ext.data.edges import Edges, find_edges, visible
from pycaffe_ext.data.frames import Frame, read_image
from pycaffe_ext.data.voting import find_peaks, voters_box
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_csv

__all__ = [
    "Detector", "detect", "detect_all", "propose", "centres", "lesions", "lesion_of", "inside",
    "write_candidates", "read_candidates", "KINDS",
]  # fmt: skip

KINDS = {"frame": str, "candidate": int, "x": float, "y": float, "w": float, "h": float, "score": float}
NONE = np.zeros((0, 5), np.float32)
SMALLEST_FRAME = 32  # pixels: a shorter side shows no shape
SPECK = 5e-4  # share of the frame: smaller mask components are ragged remains of drawing, not lesions
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
    scene = visible(small)
    edges = find_edges(small, scene, settings)
    scale = np.array([width / small.shape[1], height / small.shape[0]] * 2, np.float32)
    found = propose(small, scene, edges, settings)
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


def centres(candidates: np.ndarray) -> np.ndarray:
    """Middle of each box, (n, 2) x, y in pixels."""
    return candidates[:, :2] + candidates[:, 2:4] / 2


def lesions(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Lesions of a bool (H, W) mask: int32 (H, W), 0 = none, 1..count, and their count.

    A lesion is an 8-connected component; those below 0.05 % of the frame (100 pixels of 480 x 417) are specks.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    real = stats[:, cv2.CC_STAT_AREA] >= SPECK * mask.size
    real[0] = False
    number = np.where(real, np.cumsum(real), 0).astype(np.int32)
    return number[labels], int(real.sum())


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


def write_candidates(path: str | Path, frames: Sequence[Frame], found: Sequence[np.ndarray]) -> None:
    """Write one line per candidate (frame, candidate from 0 = best, x, y, w, h, score), exact to float32."""
    rows = (
        (frame.name, number, *map(str, row))
        for frame, candidates in zip(frames, found, strict=True)
        for number, row in enumerate(candidates)
    )
    write_csv(path, tuple(KINDS), rows)


def read_candidates(path: str | Path, frames: Sequence[Frame]) -> list[np.ndarray]:
    """Candidates of each of `frames` as `detect` gave them, none for frames without lines.

    Raises UserError, with the line, for a file that is missing or not such a table, a frame that is not among
    `frames`, candidates out of order, or a number that is not finite.
    """
    found: dict[str, list[list[float]]] = {frame.name: [] for frame in frames}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            table = csv.reader(file)
            if next(table, None) != list(KINDS):
                raise UserError(f"{path}: its first line must be {','.join(KINDS)}; remove it and run again")
            for row in table:
                name, box = _parsed(row, found, f"{path}, line {table.line_num}")
                found[name].append(box)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; detect candidates first") from None
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{path}: not a table of candidates; remove it and run again") from None
    return [np.array(found[frame.name], np.float32).reshape(-1, 5) for frame in frames]


def _parsed(row: list[str], found: dict[str, list[list[float]]], where: str) -> tuple[str, list[float]]:
    if len(row) != len(KINDS):
        raise UserError(f"{where}: {len(row)} columns, not {len(KINDS)}; remove the file and run again")
    name, number, *rest = row
    if name not in found:
        raise UserError(f"{where}: unknown frame {name!r}; the table belongs to other frames")
    try:
        values = [float(value) for value in rest]
    except ValueError:
        values = [math.nan]
    if number != str(len(found[name])) or not all(map(math.isfinite, values)):
        raise UserError(f"{where}: candidate out of order or not a number; remove the file and run again")
    return name, values
