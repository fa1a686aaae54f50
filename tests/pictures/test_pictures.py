"""Pictures from their bytes: damage, orientation, TIFF in all its kinds, and whatever decoders raise."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from pycaffe_ext.data.frames import Frame, check_sizes, damaged_frames, fingerprint, read_frame, read_image, read_mask
from pycaffe_ext.data.reading import Reading
from pycaffe_ext.data.sources import find
from pycaffe_ext.data.sources.cvc_clinicdb import CVC_CLINICDB
from pycaffe_ext.errors import UserError
from pycaffe_ext.pictures import opencv, stored
from pycaffe_ext.pictures.picture import turn

SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "cvc-clinicdb-sample"
COARSE = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
PICTURE = cv2.resize(COARSE, (64, 48), interpolation=cv2.INTER_CUBIC)  # RGB
END = b"\xff\xd9"


def encoded(form: str, picture: np.ndarray = PICTURE, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, **options)
    return buffer.getvalue()


def read(folder: Path, content: bytes, name: str = "a.jpg", **options) -> np.ndarray:
    (folder / name).write_bytes(content)
    return read_image(folder / name, **options)


JPEG = encoded("JPEG", quality=95)
HALF = len(JPEG) // 2


# --- JPEG -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "how"),
    [
        (JPEG[:HALF] + END, "premature end"),
        (JPEG[:-12] + END, "premature end"),
        (JPEG[:HALF] + bytes(64) + JPEG[HALF + 64 :], "zeros among its pixels"),
        (JPEG[:-2] + b"recorder" * 9 + END, "extraneous bytes"),
        (JPEG[:HALF], "Premature end"),
        (JPEG[:-2], "Premature end"),
    ],
    ids=["cut off and closed", "little cut off and closed", "hole", "text in front of the end", "cut off", "no end"],
)
def test_damaged_jpeg_is_named_or_kept_and_counted(content, how, tmp_path, capfd):
    with pytest.raises(UserError, match=f"a.jpg: cut off or damaged .*{how}.*DAMAGED=keep") as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == "", "libjpeg's own remark has no file name"
    kept = read(tmp_path, content, keep_damaged=True)
    np.testing.assert_array_equal(kept, opencv.decode(content + END, cv2.IMREAD_COLOR))
    (tmp_path / "b.jpg").write_bytes(JPEG)
    frames = [Frame(n, tmp_path / f"{n}.jpg", None, n, reading=Reading(damaged="keep")) for n in "ab"]
    assert damaged_frames(frames, progress=False) == ["a"]
    np.testing.assert_array_equal(read_frame(frames[0]), kept)


@pytest.mark.parametrize("form", ["marker", "trailing", "padding", "progressive", "restarts"])
def test_bytes_that_no_decoder_looks_at_are_no_damage(form, tmp_path):
    tables = JPEG.index(b"\xff\xdb")
    whole = {
        "marker": JPEG[:tables] + b"\0recorder\0" + JPEG[tables:],
        "trailing": JPEG + b"recorder 12:00",
        "padding": JPEG[:-2] + bytes(500) + END,
        "progressive": encoded("JPEG", quality=95, progressive=True),
        "restarts": encoded("JPEG", quality=95, restart_marker_rows=1),
    }[form]
    np.testing.assert_array_equal(read(tmp_path, whole), opencv.decode(JPEG, cv2.IMREAD_COLOR))


def test_a_zeroed_end_of_a_jpeg_is_not_taken_for_padding(tmp_path):
    with pytest.raises(UserError, match="cut off or damaged"):
        read(tmp_path, JPEG[:HALF] + bytes(len(JPEG) - HALF - 2) + END)


def test_damaged_masks_are_never_kept(tmp_path):
    (tmp_path / "mask.jpg").write_bytes(JPEG[:HALF] + END)
    frame = Frame("a", tmp_path / "mask.jpg", tmp_path / "mask.jpg", "a", reading=Reading(damaged="keep"))
    with pytest.raises(UserError, match="mask.jpg: cut off or damaged"):
        read_mask(frame)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpeg_of_other_colours(mode, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(buffer, "JPEG", quality=95)
    wanted = np.array(Image.open(buffer).convert("RGB"))[..., ::-1]
    np.testing.assert_array_equal(read(tmp_path, buffer.getvalue()), wanted)
    with pytest.raises(UserError, match="cut off or damaged"):
        read(tmp_path, buffer.getvalue()[: len(buffer.getvalue()) // 2] + END)


# --- PNG --------------------------------------------------------------------------------------------------------------


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*chunks: bytes, size: tuple[int, int] = (48, 64), bits: int = 8, colour: int = 2) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", size[1], size[0], bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


ROWS = b"".join(b"\0" + row.tobytes() for row in PICTURE)
IDAT = zlib.compress(ROWS)


@pytest.mark.parametrize(
    ("content", "how"),
    [
        (png(chunk(b"IDAT", IDAT)[:-4] + b"crc!"), "checksum in chunk 'IDAT'"),
        (png(chunk(b"IDAT", IDAT), chunk(b"tEXt", b"a\0b")[:-4] + b"crc!"), "checksum in chunk 'tEXt'"),
        (png(chunk(b"IDAT", IDAT))[:-500], "wrong checksum"),
        (png(chunk(b"IDAT", IDAT))[:-12], "ends early"),
        (png(chunk(b"IDAT", IDAT[: len(IDAT) // 2])), "not complete"),
        (png(chunk(b"IDAT", zlib.compress(ROWS[: 193 * 20]))), "not complete"),
        (png(chunk(b"IDAT", zlib.compress(bytes(9 * 20))), bits=1, colour=0), "not complete"),
    ],
    ids=["checksum", "text's checksum", "cut off", "no end", "half a stream", "few rows", "few rows of bits"],
)
def test_damaged_png_is_named_and_never_kept(content, how, tmp_path):
    for keep in (False, True):
        with pytest.raises(UserError, match=f"a.png: cut off or damaged .*{how}") as error:
            read(tmp_path, content, "a.png", keep_damaged=keep)
        assert "DAMAGED" not in str(error.value)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_of_every_kind_is_read_as_pillow_does(mode, tmp_path):
    image = Image.fromarray(PICTURE).convert(mode)
    image.save(tmp_path / "a.png")
    wanted = np.array(image.convert("RGB"))[..., ::-1]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), wanted)


def test_a_transparent_colour_of_a_png_changes_no_pixel(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.png", transparency=tuple(map(int, PICTURE[0, 0])))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PICTURE[..., ::-1])


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_several_pictures_in_a_file_are_refused(form, tmp_path):
    two = [Image.fromarray(PICTURE[::-1].copy())]
    Image.fromarray(PICTURE).save(tmp_path / "a", form, save_all=True, append_images=two)
    with pytest.raises(UserError, match="a: has (several pictures in it|2 pages);"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize("form", ["BMP", "GIF", "WEBP", "TIFF", "PNG"])
def test_files_that_are_cut_off_are_named(form, tmp_path):
    whole = encoded(form)
    for content in (whole[:30], whole[: len(whole) // 2], whole[:-20]):
        with pytest.raises(UserError, match="^[^ ]*picture: .*cut off"):
            read(tmp_path, content, "picture")


# --- orientation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_frames_are_turned_as_viewers_turn_them(orientation, form, tmp_path):
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if form == "WEBP" else {}
    (tmp_path / "a").write_bytes(encoded(form, exif=exif, **options))
    with Image.open(tmp_path / "a") as image:
        wanted = np.array(ImageOps.exif_transpose(image).convert("RGB"))[..., ::-1]
    found = read_image(tmp_path / "a")
    np.testing.assert_array_equal(found, wanted)
    assert stored.header(tmp_path / "a").size == found.shape[:2]
    np.testing.assert_array_equal(turn(turn(PICTURE, orientation), {6: 8, 8: 6}.get(orientation, orientation)), PICTURE)


def test_exif_behind_the_pixels_of_a_png_counts(tmp_path):
    exif = Image.Exif()
    exif[274] = 8
    late = png(chunk(b"IDAT", IDAT), chunk(b"eXIf", exif.tobytes()[6:]))
    np.testing.assert_array_equal(read(tmp_path, late, "a.png"), np.rot90(PICTURE)[..., ::-1])


def test_a_broken_exif_leaves_the_picture_as_it_is(tmp_path):
    content = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", 30) + b"Exif\0\0" + b"MM\0*" + b"\xff" * 18 + JPEG[2:]
    np.testing.assert_array_equal(read(tmp_path, content), read(tmp_path, JPEG))


def test_frame_and_mask_pair_as_they_are_shown(tmp_path):
    """A mask drawn in a viewer has the size of the turned frame; where sizes cannot tell, both need one orientation."""
    exif = Image.Exif()
    exif[274] = 6
    image, mask = tmp_path / "a.jpg", tmp_path / "a.png"
    image.write_bytes(encoded("JPEG", exif=exif))
    frame = Frame("a", image, mask, "a")
    cv2.imwrite(str(mask), np.zeros((64, 48), np.uint8))
    check_sizes([frame], progress=False)
    assert read_image(image).shape[:2] == read_mask(frame).shape
    cv2.imwrite(str(mask), np.zeros((48, 64), np.uint8))
    with pytest.raises(UserError, match=r"a.png: the mask is 64x48.*a.jpg is 48x64.*EXIF orientation is 6"):
        check_sizes([frame], progress=False)
    image.write_bytes(encoded("JPEG", PICTURE[:, :48], exif=exif))
    cv2.imwrite(str(mask), np.zeros((48, 48), np.uint8))
    with pytest.raises(UserError, match="EXIF orientation is 6.*upright"):
        check_sizes([frame], progress=False)


# --- TIFF -------------------------------------------------------------------------------------------------------------

GREY = np.repeat(PICTURE[..., :1], 3, axis=2)
DEEP = PICTURE.astype(np.uint16) * 257
KINDS = {
    "rgb": (PICTURE, {}, PICTURE),
    "lzw": (PICTURE, {"compression": "lzw", "predictor": True}, PICTURE),
    "deflate": (PICTURE, {"compression": "zlib", "rowsperstrip": 7}, PICTURE),
    "packbits": (PICTURE, {"compression": "packbits"}, PICTURE),
    "tiled": (PICTURE, {"tile": (16, 16)}, PICTURE),
    "planar": (PICTURE.transpose(2, 0, 1), {"planarconfig": "separate"}, PICTURE),
    "planar lzw": (PICTURE.transpose(2, 0, 1), {"planarconfig": "separate", "compression": "lzw"}, PICTURE),
    "bigtiff": (PICTURE, {"bigtiff": True}, PICTURE),
    "big endian": (DEEP, {"byteorder": ">"}, PICTURE),
    "16 bits": (DEEP, {"compression": "lzw"}, PICTURE),
    "16 bits, grey": (DEEP[..., 0], {"photometric": "minisblack"}, GREY),
    "called grey": (PICTURE, {"photometric": "minisblack", "planarconfig": "contig"}, PICTURE),
    "called grey, lzw": (
        PICTURE,
        {"photometric": "minisblack", "planarconfig": "contig", "compression": "lzw"},
        PICTURE,
    ),
    "white is zero": (PICTURE[..., 0], {"photometric": "miniswhite"}, 255 - GREY),
    "transparent": (np.dstack([PICTURE, GREY[..., 0]]), {"extrasamples": ["unassalpha"]}, PICTURE),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tiff_of_every_kind_is_read(kind, tmp_path):
    pixels, options, wanted = KINDS[kind]
    tifffile.imwrite(tmp_path / "a.tif", pixels, **{"photometric": "rgb"} | options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), wanted[..., ::-1])


@pytest.mark.parametrize(
    ("mode", "compression"), [("P", None), ("P", "tiff_lzw"), ("1", "group4"), ("CMYK", "tiff_lzw"), ("YCbCr", None)]
)
def test_tiff_of_other_colours_is_read_as_pillow_does(mode, compression, tmp_path):
    image = Image.fromarray(PICTURE).convert(mode)
    image.save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.array(image.convert("RGB"))[..., ::-1])


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (PICTURE / 255.0, "float64 pixels; write frames with 8 bits"),
        (PICTURE.astype(np.uint16), "16 bits a channel and nothing above 255; write frames with 8 bits"),
        (PICTURE.astype(np.int16), "int16 pixels"),
    ],
)
def test_tiff_that_would_end_darker_is_refused(pixels, words, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    with pytest.raises(UserError, match=f"a.tif: has {words}"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"compression": "lzw"}, {"compression": "zlib", "tile": (16, 16)}])
def test_tiff_that_is_cut_off_or_has_holes_is_named(options, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, photometric="rgb", **options)
    content = (tmp_path / "a.tif").read_bytes()
    for part in (content[:-1], content[: len(content) // 2]):
        with pytest.raises(UserError, match="a.tif: .*cut off"):
            read(tmp_path, part, "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        count = file.pages[0].tags["TileByteCounts" if "tile" in options else "StripByteCounts"]
    hole = bytearray(content)
    hole[count.valueoffset : count.valueoffset + 4] = bytes(4)  # tifffile would leave it black
    with pytest.raises(UserError, match="a.tif: .*cut off"):
        read(tmp_path, bytes(hole), "a.tif")


def test_thumbnails_in_a_tiff_are_no_pages(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(PICTURE, photometric="rgb")
        file.write(PICTURE[::2, ::2], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), PICTURE[..., ::-1])


def test_cvc_clinicdb_as_distributed(tmp_path):
    """Three samples, strips from offset 8 on, and a header that says BlackIsZero."""
    for number in range(1, 4):
        for part, options in (("Original", {"planarconfig": "contig"}), ("Ground Truth", {})):
            (tmp_path / part).mkdir(exist_ok=True)
            pixels = PICTURE if options else np.pad(np.full((20, 20), 255, np.uint8), ((10, 18), (10, 34)))
            tifffile.imwrite(tmp_path / part / f"{number}.tif", pixels, photometric="minisblack", **options)
    frames = find(tmp_path, progress=False)
    assert [(f.name, f.source) for f in frames] == [(str(n), CVC_CLINICDB.slug) for n in (1, 2, 3)]
    np.testing.assert_array_equal(read_frame(frames[0]), PICTURE[..., ::-1])
    assert read_mask(frames[0]).sum() == 400


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="needs shared/data/cvc-clinicdb-sample beside the project")
def test_pixels_of_the_distributed_cvc_clinicdb():
    frames = find(SAMPLE, progress=False)
    assert len(frames) == 25 and {frame.source for frame in frames} == {CVC_CLINICDB.slug}
    for frame in frames:
        raw = np.frombuffer(frame.image.read_bytes(), np.uint8, 288 * 384 * 3, 8).reshape(288, 384, 3)
        np.testing.assert_array_equal(read_frame(frame), raw[..., ::-1])
        assert 0 < read_mask(frame).sum() < 288 * 384 / 2
        assert np.ptp(raw.astype(int), axis=2).max() > 50, "coloured"


# --- whatever decoders raise, names that are no text ------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8\xff",
        b"II*\0",
        b"II+\0\x08\0\0\0" + b"\xff" * 8,
        b"BM" + b"\xff" * 60,
        b"GIF89a\xff\xff",
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\xff" * 30,
        b"\x89PNG\r\n\x1a\n" + b"\xff" * 40,
        png(chunk(b"IDAT", zlib.compress(bytes(99))), size=(100_000, 100_000)),
        b"P6\n100000 100000\n255\n",
    ],
)
def test_bad_headers_are_errors_in_one_line(content, tmp_path):
    for what in (lambda path: read(tmp_path, content, "a"), lambda path: stored.header(path)):
        try:
            what(tmp_path / "a")
        except UserError as error:
            assert str(error).startswith(f"{tmp_path}/a: ") and "\n" not in str(error)
        else:
            assert b"100000" in content or content.startswith(b"\x89PNG"), "only a header was asked for"
    assert opencv.read(tmp_path / "a", cv2.IMREAD_COLOR) is None


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp", "ppm"])
def test_files_are_read_as_imread_reads_them(suffix, tmp_path, capfd):
    """Whole, cut off anywhere, or overwritten: what Caffe's programs take of a file is what OpenCV takes of it."""
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), PICTURE)
    whole = path.read_bytes()
    cuts = [whole[: len(whole) * i // 8] for i in range(9)]
    holes = [whole[: len(whole) * i // 8] + bytes(99) + whole[len(whole) * i // 8 + 99 :] for i in range(8)]
    for content in (*cuts, *holes):
        path.write_bytes(content)
        for flags in (cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE, cv2.IMREAD_UNCHANGED):
            wanted, found = cv2.imread(str(path), flags), opencv.read(path, flags)
            assert (wanted is None) == (found is None), len(content)
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.slow
def test_large_honest_frames_are_read(tmp_path):
    """Of 14 000 x 13 500 pixels, which Pillow calls a bomb; all white and of one bit, so that the file is small."""
    size = 13_500, 14_000
    rows = zlib.compress((b"\0" + b"\xff" * (size[1] // 8)) * size[0], 1)
    pixels = read(tmp_path, png(chunk(b"IDAT", rows), size=size, bits=1, colour=0), "large.png")
    assert pixels.shape == (*size, 3) and pixels.dtype == np.uint8
    assert (pixels[::1000, ::1000] == 255).all()


def test_names_that_are_no_utf_8_are_read(tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xe4rzte"
    for part in (b"images", b"masks"):
        os.makedirs(folder + b"/" + part)
    for name in (b"pol\xffyp", b"gr\xfcn"):
        with open(folder + b"/images/" + name + b".jpg", "wb") as file:
            file.write(JPEG)
        with open(folder + b"/masks/" + name + b".png", "wb") as file:
            file.write(encoded("PNG", np.pad(np.full((20, 20), 255, np.uint8), ((10, 18), (10, 34)))))
    frames = find(os.fsdecode(folder), progress=False)
    assert [frame.name for frame in frames] == ["gr\udcfcn", "pol\udcffyp"], "each byte as os.fsdecode gives it"
    assert len(fingerprint(frames, progress=False)) == 64
    for frame in frames:
        np.testing.assert_array_equal(read_frame(frame), opencv.decode(JPEG, cv2.IMREAD_COLOR))
        assert read_mask(frame).sum() == 400


def test_kept_damage_is_said_with_names():
    from pycaffe_ext.runs.summary import damage_text

    text = damage_text([f"frame{i}" for i in range(7)])
    assert text == "damaged frames that are used (DAMAGED=keep): 7 (frame0, frame1, frame2, frame3, frame4, ...)"
    assert damage_text(["a"]) == "damaged frames that are used (DAMAGED=keep): 1 (a)"
