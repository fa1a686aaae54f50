"""Pictures through Pillow: BMP, WebP, GIF and the rare kinds of JPEG and PNG."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from pycaffe_ext.pictures.picture import Picture, Refused

ORIENTATION = 274  # EXIF's and TIFF's tag
LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF")
ALPHA = ("PA", "LA", "RGBA", "La", "RGBa")
PLAIN = ("1", "L", "RGB", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")

warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)  # no pixel depends on it, and it names no file
Image.MAX_IMAGE_PIXELS = None  # `stored` has a limit of its own, which frames of 14 000 x 13 500 pixels keep


def decode(content: bytes) -> Picture:
    """The picture as stored; raises whatever Pillow raises for what it can't read."""
    with Image.open(BytesIO(content)) as image:
        lossy = image.format in LOSSY or (image.format == "WEBP" and b"VP8L" not in content[:4096])
        stored = np.array(image)
        stored = stored.astype(np.uint16) if image.format == "PPM" and image.mode == "I" else stored  # 0..65535
        stored = stored.view(np.uint8) != 0 if image.mode == "1" else stored  # Pillow's True is 255
        if image.mode in ALPHA or (image.mode in ("1", "L", "P", "RGB") and "transparency" in image.info):
            rgba = np.array(image.convert("RGBA"))
            return Picture(rgba[..., 2::-1], 255, stored, rgba[..., 3], lossy)
        pixels = stored if image.mode in PLAIN else np.array(image.convert("RGB"))
    return Picture(pixels[..., ::-1] if pixels.ndim == 3 else pixels, full_of(pixels.dtype), stored, lossy=lossy)


def header(content: bytes, first: bool = False) -> tuple[int, int, int]:
    """(height, width, orientation) without decoding.  Raises Refused for an animation, unless its `first` will do."""
    with Image.open(BytesIO(content)) as image:
        if not first and image.format in ("GIF", "WEBP") and getattr(image, "n_frames", 1) > 1:
            raise Refused("has several pictures in it; store each as a file of its own")
        return image.height, image.width, 1 if image.format == "PNG" else _orientation(image)


def sixteen_bits(path: Path) -> bool:
    """Whether `decode` gives more than 8 bits, without decoding."""
    with Image.open(path) as image:
        return image.mode.startswith("I")


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # viewers show a picture whose EXIF is broken, and show it as stored
        return 1


def full_of(dtype: np.dtype) -> float:
    """What stands for white: 1 for bits and floats, else the largest number of the type."""
    return 1 if dtype.kind in "bf" else int(np.iinfo(dtype).max)


def convert(pixels: np.ndarray, mode: str) -> np.ndarray:
    """(H, W, 3) BGR of (H, W, samples) uint8 in a colour model of Pillow's."""
    return np.array(Image.frombytes(mode, pixels.shape[1::-1], np.ascontiguousarray(pixels)).convert("RGB"))[..., ::-1]
