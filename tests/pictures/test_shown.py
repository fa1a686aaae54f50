"""Pictures as a viewer shows them, and whole pictures made square."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from pycaffe_ext.data.crops import CROPS, Crop, cut, square_side
from pycaffe_ext.errors import UserError
from pycaffe_ext.pictures.resize import resize
from pycaffe_ext.pictures.shown import SUFFIXES, shown

COARSE = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
RGB = cv2.resize(COARSE, (36, 30), interpolation=cv2.INTER_CUBIC)
GREY = RGB[..., 0]
FORMS = {
    **dict.fromkeys((".jpe", ".jfif", ".jif", ".jpg"), "JPEG"),
    **dict.fromkeys((".jp2", ".j2k", ".jpf", ".jpx"), "JPEG2000"),
    **dict.fromkeys((".pbm", ".pgm", ".pnm"), "PPM"),
    **dict(zip((".apng", ".dib", ".tif"), ("PNG", "BMP", "TIFF"), strict=True)),
}


def written(path, pixels, form=None, **options):
    Image.fromarray(pixels).save(path, form, **options)
    return path


def rgb(path, **options):
    return shown(path, **options)[..., ::-1]


def write_without_pillow(path, pixels):
    """A Sun raster or a flat Photoshop file, which Pillow reads and does not write."""
    if path.suffix == ".ras":
        cv2.imwrite(str(path), pixels[..., ::-1])
        return
    height, width = pixels.shape[:2]
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, height, width, 8, 3)
    path.write_bytes(head + bytes(12) + bytes(2) + pixels.transpose(2, 0, 1).tobytes())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_ending_is_read_as_its_library_decodes_it(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    if suffix in (".ras", ".psd"):
        write_without_pillow(path, RGB)
    else:
        written(path, GREY if suffix in (".pgm", ".pbm") else RGB, FORMS.get(suffix, suffix[1:]))
    with Image.open(path) as image:
        expected = np.array(image.convert("RGB"))
    assert expected.shape == RGB.shape
    close = 1 if suffix.startswith(".j") else 0  # two builds of libjpeg-turbo
    assert np.abs(rgb(path).astype(int) - expected).max() <= close


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_sixteen_bits_are_scaled_by_their_full_range(suffix, tmp_path):
    values = np.array([[0, 128, 129], [257, 32896, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), values)
    expected = [[0, 0, 1], [1, 128, 255]]  # 257 sixteenth-bit steps make one of 8 bits
    np.testing.assert_array_equal(shown(tmp_path / f"a{suffix}"), np.repeat(np.array(expected)[..., None], 3, 2))


def test_sixteen_bits_of_which_twelve_are_used_are_scaled_by_twelve(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[0, 2048, 4095]], np.uint16))
    assert shown(tmp_path / "a.png")[0, :, 0].tolist() == [0, 128, 255]
    cv2.imwrite(str(tmp_path / "b.png"), np.array([[0, 2048, 4096]], np.uint16))
    assert shown(tmp_path / "b.png")[0, :, 0].tolist() == [0, 8, 16]
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((2, 2), np.uint16))
    assert not shown(tmp_path / "c.png").any()


def test_twelve_bits_of_a_pgm_are_scaled_by_what_it_says(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 4095 " + np.array([0, 2048, 4095], ">u2").tobytes())
    assert shown(tmp_path / "a.pgm")[0, :, 0].tolist() == [0, 128, 255]


def test_sixteen_bit_colours_keep_their_order(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[[65535, 32896, 0]]], np.uint16))  # BGR
    assert shown(tmp_path / "a.png").tolist() == [[[255, 128, 0]]]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_transparency_is_over_black(form, tmp_path):
    pixels = np.array([[[200, 100, 50, 255], [200, 100, 50, 128], [200, 100, 50, 0]]], np.uint8)
    path = written(tmp_path / "a", pixels, form, **({"lossless": True, "exact": True} if form == "WEBP" else {}))
    assert rgb(path).tolist() == [[[200, 100, 50], [100, 50, 25], [0, 0, 0]]]


def test_grey_with_transparency_and_a_transparent_palette_are_over_black(tmp_path):
    path = written(tmp_path / "a.png", np.array([[[200, 255], [200, 51]]], np.uint8))
    assert rgb(path).tolist() == [[[200] * 3, [40] * 3]]
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "p.png", transparency=1)
    assert rgb(tmp_path / "p.png").tolist() == [[[10, 20, 30], [0, 0, 0]]]


def test_palette_one_bit_and_inverted_grey(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    for name in ("p.png", "p.gif", "p.tif", "p.bmp"):
        image.save(tmp_path / name)
        assert rgb(tmp_path / name).tolist() == [[[10, 20, 30], [40, 50, 60]]], name
    for name in ("b.png", "b.tif", "b.bmp"):
        Image.fromarray(np.array([[True, False]])).save(tmp_path / name)
        assert rgb(tmp_path / name).tolist() == [[[255] * 3, [0] * 3]], name
    tifffile.imwrite(tmp_path / "w.tif", np.array([[0, 200]], np.uint8), photometric="miniswhite")
    assert rgb(tmp_path / "w.tif").tolist() == [[[255] * 3, [55] * 3]]


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_inks_are_shown_as_colours(form, tmp_path):
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:, 8:] = (0, 255, 255, 0)  # magenta and yellow: red
    Image.fromarray(inks, "CMYK").save(tmp_path / "a", form)
    found = rgb(tmp_path / "a").astype(int)
    assert np.abs(found[:, :6] - 255).max() <= 3
    assert np.abs(found[:, 10:] - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "AVIF", "JPEG"])
def test_exif_turns_the_picture_as_viewers_do(orientation, form, tmp_path):
    exif = Image.Exif()
    exif[274] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}, "AVIF": {"quality": 95}}.get(form, {})
    written(tmp_path / "a", RGB, form, exif=exif, **options)
    with Image.open(tmp_path / "a") as image:
        expected = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.abs(rgb(tmp_path / "a").astype(int) - expected).max() <= 1


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_the_first_picture_of_an_animation(form, tmp_path):
    frames = [Image.fromarray(np.full((4, 4, 3), grey, np.uint8)) for grey in (40, 200)]
    frames[0].save(
        tmp_path / "a", form, save_all=True, append_images=frames[1:], **{"lossless": True} if form == "WEBP" else {}
    )
    assert (shown(tmp_path / "a") == 40).all()


def test_pages_of_a_tiff_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 5, 6), np.uint8), photometric="minisblack")
    with pytest.raises(UserError, match="a.tif: has 2 pages; keep the one that is meant"):
        shown(tmp_path / "a.tif")


def test_floats_count_from_black_to_white_and_nothing_else(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 0.5, 1]], np.float32))
    assert shown(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 128, 255]
    for values in ([0, 0.5, 1.5], [-0.1, 0, 1], [0, np.nan, 1]):
        tifffile.imwrite(tmp_path / "b.tif", np.array([values], np.float32))
        with pytest.raises(UserError, match="b.tif: has floats outside 0 to 1"):
            shown(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "c.tif", np.array([[-5, 5]], np.int16))
    with pytest.raises(UserError, match="c.tif: has int16 pixels"):
        shown(tmp_path / "c.tif")


def test_damage_is_refused_or_kept(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue()[:-40])
    with pytest.raises(UserError, match="a.jpg: cut off or damaged"):
        shown(tmp_path / "a.jpg")
    assert shown(tmp_path / "a.jpg", keep_damaged=True).shape == RGB.shape
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(UserError, match="b.png: not a readable image"):
        shown(tmp_path / "b.png")


# --- made square ------------------------------------------------------------------------------------------------------

WIDE = np.zeros((10, 30, 3), np.uint8)
WIDE[:, :10], WIDE[:, 10:20], WIDE[:, 20:] = 50, 100, 150


def test_squash_keeps_everything_and_stretches():
    square = resize(WIDE, 10)
    assert square.shape == (10, 10, 3)
    assert square[5, [0, 5, 9], 0].tolist() == [50, 100, 150]


def test_keep_is_letterboxed_in_proportion():
    square = resize(WIDE, 30, "keep")
    assert not square[:10].any()
    assert not square[20:].any()
    np.testing.assert_array_equal(square[10:20], WIDE)
    np.testing.assert_array_equal(resize(WIDE.swapaxes(0, 1), 30, "keep"), square.swapaxes(0, 1))


def test_crop_is_the_middle():
    assert (resize(WIDE, 7, "crop") == 100).all()


def test_an_axis_that_shrinks_is_averaged_also_where_the_other_grows():
    stripes = np.zeros((2, 400, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(resize(stripes, 100).astype(int) - 100).max() <= 1


def test_an_unknown_way_is_refused():
    with pytest.raises(UserError, match="unknown RESIZE 'squash2'; did you mean 'squash'"):
        resize(WIDE, 10, "squash2")


def test_sizes_are_the_papers_and_scale_with_the_net():
    assert square_side(227) == 256
    assert square_side(224) == 253


def test_crops_are_cut_where_they_say():
    side = square_side(20)
    image = np.arange(side * side * 3, dtype=np.uint32).reshape(side, side, 3).astype(np.uint8)
    assert side == 23
    for crop, patch in zip(CROPS, cut(image, CROPS, 20), strict=True):
        top, left = round(crop.dy * 3 + 0.01), round(crop.dx * 3 + 0.01)
        expected = image[top : top + 20, left : left + 20]
        np.testing.assert_array_equal(patch, (expected[:, ::-1] if crop.mirror else expected).transpose(2, 0, 1))
    assert CROPS[0] == Crop(0.5, 0.5, False)
    assert len(set(CROPS)) == 18
