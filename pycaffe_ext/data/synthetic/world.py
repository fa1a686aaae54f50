"""What the synthetic colons hold, and how an endoscope frames them: the settings in which worlds differ."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pycaffe_ext.errors import UserError

TEXT = (200, 200, 200)  # BGR of the letters beside the scene


@dataclass(frozen=True)
class World:
    """polyps : fewest and most in a video that shows some.  size : half the length of a polyp, least and greatest, in
    radii of the tube (one of 0.05 seen from a radius away is 4 % of the picture wide).  flat : share of flat lesions.
    border : black surround, as a share of the picture's width, with text in it.  smallest : pixels; less of a polyp
    is not annotated.   Raises UserError for a value out of its range.
    """

    polyps: tuple[int, int] = (1, 2)
    size: tuple[float, float] = (0.26, 0.46)
    flat: float = 0.2
    border: float = 0.0
    smallest: int = 350

    def __post_init__(self) -> None:
        for name, low, high, (least, most) in (
            ("polyps", *self.polyps, (1, 20)),
            ("size", *self.size, (0.02, 0.6)),
            ("flat", self.flat, self.flat, (0, 1)),
            ("border", self.border, self.border, (0, 0.6)),
            ("smallest", self.smallest, self.smallest, (1, 10**6)),
        ):
            if not least <= low <= high <= most:
                raise UserError(f"synthetic world: {name} is {getattr(self, name)}; allowed: {least} to {most}, rising")

    def scene(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of what the camera sees in a picture of that size."""
        return tuple(round(n * (1 - self.border)) for n in size)  # type: ignore[return-value]

    def framed(self, seen: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The scene, (h, w) or (h, w, 3) uint8, in a black picture of `size`, right of the middle, text on its left."""
        if seen.shape[:2] == size:
            return seen
        picture = np.zeros((*size, *seen.shape[2:]), np.uint8)
        top, left = (size[0] - seen.shape[0]) // 2, (size[1] - seen.shape[1]) * 3 // 4
        picture[top : top + seen.shape[0], left : left + seen.shape[1]] = seen
        if seen.ndim == 3:
            for line, words in enumerate(("ID 0001", "F 34", "12:05:17")):
                place = 2, round(size[0] * (0.1 + 0.06 * line))
                cv2.putText(picture, words, place, cv2.FONT_HERSHEY_SIMPLEX, left / 120, TEXT, 1, cv2.LINE_AA)
        return picture


USUAL = World()
WORLDS = {
    "usual": USUAL,
    "small": World(polyps=(2, 5), size=(0.07, 0.22), flat=0.6, border=0.15, smallest=60),
    "tiny": World(polyps=(3, 6), size=(0.04, 0.10), flat=0.4, border=0.3, smallest=24),
    "crowded": World(polyps=(4, 7), size=(0.10, 0.4), flat=0.4, border=0.0, smallest=120),
}
