"""Predictions drawn on pictures: boxes with probabilities, or a line of text below."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats, Picture

BOX = (86, 180, 233)[::-1]  # BGR; sky blue, distinct from red and green for everyone
CURVES = (BOX, (230, 159, 0)[::-1])  # BGR, of two curves
INK, PAPER = (255, 255, 255), (40, 40, 40)


def draw_boxes(picture: Picture, boxes: NDArray[np.float32], score: Floats, shown: float) -> Picture:
    """A copy of a BGR picture with the boxes (m, 4: x, y, w, h in pixels) whose score reaches `shown`.

    The box with the highest score is drawn in any case, thin where it stays below.
    """
    drawn = picture.copy()
    order = np.argsort(-np.asarray(score), kind="stable")
    scale = max(picture.shape[:2]) / 600
    for rank, row in enumerate(order):
        if score[row] >= shown or rank == 0:
            _box(drawn, boxes[row], f"{score[row]:.2f}", scale, thick=score[row] >= shown)
    return drawn


def _box(picture: Picture, box: NDArray[np.float32], text: str, scale: float, thick: bool) -> None:
    x, y, width, height = (round(float(value)) for value in box)
    line = max(1, round((3 if thick else 1) * scale))
    cv2.rectangle(picture, (x, y), (x + width, y + height), BOX, line, cv2.LINE_AA)
    write_text(picture, text, (x + line, max(y - line, round(14 * scale))), scale)


def write_text(picture: Picture, text: str, corner: tuple[int, int], scale: float) -> None:
    """White text with a dark edge, its lower left corner at `corner`; what is not ASCII becomes a question mark."""
    plain = text.encode("ascii", "replace").decode()
    for colour, width in ((PAPER, 3), (INK, 1)):
        thickness = max(width, round(width * scale))
        cv2.putText(picture, plain, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.55 * scale, colour, thickness, cv2.LINE_AA)


def with_caption(picture: Picture, lines: list[str]) -> Picture:
    """The picture with lines of text on a dark strip below it."""
    scale = max(picture.shape[:2]) / 600
    line = max(12, round(24 * scale))
    strip = np.full((line * len(lines) + line // 2, picture.shape[1], 3), PAPER, np.uint8)
    for number, text in enumerate(lines, 1):
        write_text(strip, text, (round(8 * scale), line * number), scale)
    return np.concatenate([picture, strip])


def draw_curves(picture: Picture, x: Floats, rows: Floats) -> Picture:
    """A copy of a picture with both curves; x : (K,), rows : (K, 2), in pixels."""
    drawn = picture.copy()
    for curve, colour in zip(np.asarray(rows).T, CURVES, strict=True):
        points = np.rint(np.column_stack([x, curve]) * 16).astype(np.int32)
        cv2.polylines(drawn, [points[:, None]], False, colour, 1, cv2.LINE_AA, shift=4)
    return drawn
