"""A picture as pixels: lines and areas by OpenCV, text by Pillow in the font that comes with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL.ImageFont import FreeTypeFont

from pycaffe_ext.caffe.draw_picture import Picture

LARGEST = 30000  # pixels on one side; OpenCV draws up to 32767
FRACTION = 4  # bits of a pixel's fraction in OpenCV's coordinates
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
STEPS = 12  # straight lines in a curve
BINOMIAL = np.array([1, 3, 3, 1])


def pixels(picture: Picture) -> np.ndarray:
    """(H, W, 3) uint8 RGB; pictures longer than LARGEST are made smaller."""
    scale = min(1.0, LARGEST / max(picture.width, picture.height))
    image = np.full((round(picture.height * scale), round(picture.width * scale), 3), 255, np.uint8)
    for curve in picture.curves:
        _draw_arrow(image, np.array(picture.points(curve)) * scale, picture.arrow * scale)
    for outline, colour in picture.outlines():
        area = _fixed(np.array(outline) * scale)
        cv2.fillPoly(image, [area], _rgb(colour), cv2.LINE_AA, FRACTION)
        cv2.polylines(image, [area], True, BLACK, 1, cv2.LINE_AA, FRACTION)
    return _with_text(image, picture, scale)


def _draw_arrow(image: np.ndarray, control: np.ndarray, head: float) -> None:
    """Cubic curves through control points (first, then three for each curve), an arrow's head at the end."""
    along = np.linspace(0, 1, STEPS + 1)[:, None]
    powers = np.arange(4)
    basis = BINOMIAL * along**powers * (1 - along) ** (3 - powers)
    line = np.concatenate([basis @ control[i : i + 4] for i in range(0, len(control) - 1, 3)])
    cv2.polylines(image, [_fixed(line)], False, BLACK, 1, cv2.LINE_AA, FRACTION)
    tip, towards = control[-1], control[-1] - control[-2]
    forth = towards / max(np.hypot(*towards), 1e-9) * head
    side = np.array([-forth[1], forth[0]]) / 2
    cv2.fillPoly(image, [_fixed(np.array([tip, tip - forth + side, tip - forth - side]))], BLACK, cv2.LINE_AA, FRACTION)


def _with_text(image: np.ndarray, picture: Picture, scale: float) -> np.ndarray:
    from PIL import Image, ImageDraw

    font = _font(picture.font * scale)
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    for x, y, text in picture.labels():
        draw.text((x * scale, y * scale), text, BLACK, font, anchor="ls", stroke_width=2, stroke_fill=WHITE)
    for x, y, text in picture.lines():
        draw.text((x * scale, y * scale), text, BLACK, font, anchor="mm")
    return np.asarray(canvas)


def _font(size: float) -> FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * (1 << FRACTION)).astype(np.int32)


def _rgb(colour: str) -> Sequence[int]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def encoded(picture: Picture, ext: str) -> bytes:
    """The picture as a PNG or JPEG file's content."""
    image = cv2.cvtColor(pixels(picture), cv2.COLOR_RGB2BGR)
    return cv2.imencode(f".{ext}", image)[1].tobytes()
