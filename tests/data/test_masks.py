"""Masks of every kind: read right, or refused by name; never empty, or without one of their polyps, in silence."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from pycaffe_ext.applications.polyp import APPLICATION
from pycaffe_ext.applications.preparation import found_folder
from pycaffe_ext.data.frames import Frame, read_mask
from pycaffe_ext.data.masks import to_mask
from pycaffe_ext.data.reading import Reading
from pycaffe_ext.data.sources import find
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.settings import Settings

KVASIR = Path(__file__).parents[3] / "shared" / "data" / "kvasir-seg" / "masks"
SIZE = 96, 128
ONE, OTHER = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
ONE[20:50, 20:50] = True  # a polyp
OTHER[60:80, 90:115] = True  # another one, far away
BOTH = ONE | OTHER
RING = np.zeros(SIZE, bool)
RING[16:54, 16:54] = True
RING &= ~ONE  # a border of ONE, 4 pixels wide


def greys(one: float, other: float = 0, back: float = 0, ring: float | None = None, kind=np.uint8) -> np.ndarray:
    pixels = np.full(SIZE, back, kind)
    pixels[ONE], pixels[OTHER] = one, other
    if ring is not None:
        pixels[RING] = ring
    return pixels


def colours(one: tuple, other: tuple, back: tuple = (0, 0, 0)) -> np.ndarray:
    return np.where(ONE[..., None], one, np.where(OTHER[..., None], other, back)).astype(np.uint8)


def read(folder: Path, mask: np.ndarray | Image.Image, rule: str = "auto", suffix: str = ".png", **options):
    path = folder / f"mask{suffix}"
    if isinstance(mask, Image.Image) or suffix != ".tif":
        (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(path, **options)
    else:
        tifffile.imwrite(path, mask, **options)
    return read_mask(Frame("a", path, path, "a", reading=Reading(rule)))


def palette(*entries: tuple[int, int, int], **options) -> Image.Image:
    """ONE is 1, OTHER is 2."""
    image = Image.fromarray(greys(1, 2), mode="P")
    image.putpalette([value for entry in entries for value in entry])
    image.info |= options
    return image


WHOLE = {
    "0, 255": greys(255, 255),
    "0, 1": greys(1, 1),
    "0, 85": greys(85, 85),
    "0, 65535": greys(65535, 65535, kind=np.uint16),
    "0, 255 in 16 bits": greys(255, 255, kind=np.uint16),
    "0, 1 in 16 bits": greys(1, 1, kind=np.uint16),
    "1 bit": BOTH,
    "red and green": colours((255, 0, 0), (0, 255, 0)),
    "dark red": colours((128, 0, 0), (128, 0, 0)),
    "red, green and 16 bits": "deep",
    "palette": palette((0, 0, 0), (128, 0, 0), (0, 128, 0)),
    "palette with a transparent background": palette((0, 0, 0), (255, 0, 0), (0, 255, 0), transparency=0),
    "alpha on white": np.dstack([np.full((*SIZE, 3), 255, np.uint8), greys(255, 255)]),
    "alpha with the mask": np.dstack([greys(255, 255)] * 4),
    "grey and alpha": np.dstack([np.full(SIZE, 255, np.uint8), greys(255, 255)]),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_masks_of_two_greys_keep_every_polyp(kind, tmp_path):
    if kind == "red, green and 16 bits":
        deep = colours((255, 0, 0), (0, 255, 0))[..., ::-1].astype(np.uint16)  # in 8 of 16 bits
        cv2.imwrite(str(tmp_path / "mask.png"), deep)
        mask = read_mask(Frame("a", tmp_path / "mask.png", tmp_path / "mask.png", "a"))
    else:
        mask = read(tmp_path, WHOLE[kind])
    np.testing.assert_array_equal(mask, BOTH)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_compressed_and_smoothed_masks_are_cut_at_the_middle(quality, tmp_path):
    jpeg = cv2.imdecode(cv2.imencode(".jpg", greys(255, 255), [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)
    large = cv2.resize(greys(255, 255), None, fx=quality / 20, fy=quality / 20, interpolation=cv2.INTER_LANCZOS4)
    for pixels in (jpeg, large, cv2.GaussianBlur(greys(255, 255), (7, 7), 0)):
        np.testing.assert_array_equal(read(tmp_path, pixels), pixels > 127)
    read(tmp_path, greys(255, 255), suffix=".jpg", quality=quality)
    stored = np.array(Image.open(tmp_path / "mask.jpg"))
    np.testing.assert_array_equal(read(tmp_path, greys(255, 255), suffix=".jpg", quality=quality), stored > 127)


@pytest.mark.skipif(not KVASIR.is_dir(), reason="needs shared/data/kvasir-seg beside the project")
def test_no_honest_mask_is_refused_however_it_was_stored():
    for path in sorted(KVASIR.iterdir())[::50]:
        mask = read_mask(Frame("a", path, path, "a"))
        grey = mask.astype(np.uint8) * 255
        for quality in (20, 75):
            jpeg = cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)
            for lossy in (True, False):
                np.testing.assert_array_equal(to_mask(jpeg, lossy), jpeg > 127)
        for scale in (0.5, 1.5, 3):
            scaled = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            np.testing.assert_array_equal(to_mask(scaled, False), scaled > 127)


REFUSED = {
    "0, 85, 170": (greys(170, 85), {}, "more than two greys: 0, 85, 170"),
    "0, 100, 255": (greys(255, 100), {}, "more than two greys: 0, 100, 255"),
    "0, 1, 2": (greys(1, 2), {}, "not 0 and one other, and none is above 127 .the brightest: 2"),
    "object 1, void border 255": (greys(1, 0, ring=255), {}, "more than two greys: 0, 1, 255"),
    "0, 200, 255": (greys(255, 200), {}, "more than two greys: 0, 200, 255"),
    "200, 255": (greys(255, 255, 200), {}, "more than two greys: 200, 255"),
    "smoothed": (cv2.GaussianBlur(greys(255, 100), (5, 5), 0), {}, "away from its polyps are grey, up to 100"),
    "2 bits": (Image.fromarray(greys(2, 1) * 85), {"bits": 2}, "more than two greys: 0, 85, 170"),
    "inverted": (greys(0, 0, 255), {}, "as if it were inverted"),
    "inverted bits": (~BOTH, {}, "as if it were inverted"),
    "palette without colours": (palette((0, 0, 0), (0, 0, 0), (0, 0, 0)), {}, "vary, and the mask .* all black"),
    "transparent palette": (palette((0, 0, 0), (255, 0, 0), (0, 9, 0), transparency=1), {}, "white and transparent"),
    "red on blue": (colours((255, 0, 0), (255, 0, 0), (0, 0, 255)), {}, "vary, and the mask .* all white"),
    "alpha on black": (np.dstack([np.zeros((*SIZE, 3), np.uint8), greys(255, 255)]), {}, "transparency vary"),
    "grey and alpha on black": (np.dstack([np.zeros(SIZE, np.uint8), greys(255, 255)]), {}, "transparency vary"),
    "a transparent polyp": (
        np.dstack([greys(255, 255)] * 3 + [np.where(OTHER, 0, 255).astype(np.uint8)]),
        {},
        "white and transparent",
    ),
    "all transparent": (np.dstack([greys(255, 255)] * 3 + [np.zeros(SIZE, np.uint8)]), {}, "white and transparent"),
    "dark in 16 bits": (greys(65535, 20000, kind=np.uint16), {}, "more than two greys: 0, 20000, 65535"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_masks_that_would_lose_a_polyp_are_refused_by_name(kind, tmp_path):
    mask, options, words = REFUSED[kind]
    with pytest.raises(UserError, match=rf"mask.png: .*{words}.*MASK=") as error:
        read(tmp_path, mask, **options)
    assert "\n" not in str(error.value) and "write 0" in str(error.value)


@pytest.mark.parametrize("suffix", [".jpg"])
@pytest.mark.parametrize(("one", "other"), [(255, 100), (255, 60), (170, 85)])
def test_lossy_masks_that_would_lose_a_polyp_are_refused_by_name(suffix, one, other, tmp_path):
    with pytest.raises(UserError, match=r"mask.jpg: .*away from its polyps are grey"):
        read(tmp_path, greys(one, other), suffix=suffix)


TIFFS = {
    "0, 0.5": (greys(0.5, 0.5, kind=np.float32), BOTH),
    "0, 1": (greys(1, 1, kind=np.float64), BOTH),
    "0, 255": (greys(255, 255, kind=np.float32), BOTH),
    "0, 1 in 32 bits": (greys(1, 1, kind=np.int32), BOTH),
    "0, 0.3, 0.9": (greys(0.9, 0.3, kind=np.float32), "more than two greys"),
    "not a number": (greys(np.nan, 1, kind=np.float32), "8 or 16 bits"),
    "negative": (greys(-1, 1, kind=np.float32), "8 or 16 bits"),
    "empty first page": (np.stack([np.zeros(SIZE, np.uint8), greys(255)]), "has 2 pages"),
    "same pages": (np.stack([greys(255), greys(255)]), "has 2 pages"),
}


@pytest.mark.parametrize("kind", TIFFS)
def test_tiff_masks(kind, tmp_path):
    pixels, wanted = TIFFS[kind]
    if isinstance(wanted, str):
        with pytest.raises(UserError, match=f"mask.tif: .*{wanted}"):
            read(tmp_path, pixels, suffix=".tif", photometric="minisblack")
    else:
        np.testing.assert_array_equal(read(tmp_path, pixels, suffix=".tif", photometric="minisblack"), wanted)


def test_cmyk_masks_are_read_by_their_colours(tmp_path):
    image = Image.fromarray(colours((255, 255, 255), (255, 0, 0))).convert("CMYK")
    np.testing.assert_array_equal(read(tmp_path, image, suffix=".tif"), BOTH)


@pytest.mark.parametrize(
    ("rule", "mask", "wanted"),
    [
        ("nonzero", greys(170, 85), BOTH),
        ("nonzero", greys(1, 2), BOTH),
        ("nonzero", greys(1, 0, ring=255), ONE | RING),
        ("threshold", greys(170, 85), ONE),
        ("threshold", greys(0, 0, 255), ~BOTH),
        ("inverted", greys(0, 0, 255), BOTH),
        ("inverted", ~BOTH, BOTH),
        ("inverted", greys(255, 255, 255), np.zeros(SIZE, bool)),
        ("value:1", greys(1, 0, ring=255), ONE),
        ("value:85", greys(170, 85), OTHER),
    ],
)
def test_mask_says_how_greys_are_read(rule, mask, wanted, tmp_path):
    np.testing.assert_array_equal(read(tmp_path, mask, rule), wanted)


@pytest.mark.parametrize("value", [1, 255])
def test_white_of_one_bit_is_1_and_255(value, tmp_path):
    np.testing.assert_array_equal(read(tmp_path, greys(255, 255) > 0, f"value:{value}"), BOTH)


def test_another_value_of_one_bit_is_refused(tmp_path):
    with pytest.raises(UserError, match="it has 1 bit a pixel, so that no grey is 85; write 0") as error:
        read(tmp_path, greys(255, 255) > 0, "value:85")
    assert "\n" not in str(error.value)


def test_nonzero_of_a_lossy_mask_leaves_its_noise_out(tmp_path):
    mask = read(tmp_path, greys(170, 85), "nonzero", ".jpg", quality=60)
    assert (mask[ONE | OTHER]).mean() > 0.99 and not mask[:, 60:80].any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask": "non-zero"}, "unknown MASK 'non-zero'; did you mean 'nonzero'"),
        ({"mask": "value:0"}, "MASK=value:0: write value:N"),
        ({"mask": "value"}, "MASK=value: write value:N"),
        ({"damaged": "ignore"}, "unknown DAMAGED 'ignore'.*refuse, keep"),
    ],
)
def test_wrong_words_are_told_at_once(given, message):
    with pytest.raises(UserError, match=message):
        APPLICATION.check(Settings.of("polyp", "scratch", **given).request)


def test_the_rule_reaches_every_frame_and_the_name_of_its_data(tmp_path):
    for part, picture in (("images", np.dstack([greys(9, 200, 90)] * 3)), ("masks", greys(170, 85))):
        (tmp_path / part).mkdir()
        Image.fromarray(picture).save(tmp_path / part / "a.png")
    request = Settings.of("polyp", "scratch", data=str(tmp_path), mask="nonzero").request
    frames = APPLICATION.items(request, tmp_path / "runs").items
    np.testing.assert_array_equal(read_mask(frames[0]), BOTH)
    with pytest.raises(UserError, match="more than two greys"):
        find(tmp_path, progress=False)
    plain = Settings.of("polyp", "scratch", data=str(tmp_path)).request
    keeping = Settings.of("polyp", "scratch", data=str(tmp_path), damaged="keep").request
    folders = {found_folder(APPLICATION, one, tmp_path, "x") for one in (request, plain, keeping)}
    assert len(folders) == 3
