"""Folders of frames and masks: the layouts that are read, and what is said about wrong ones."""

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pycaffe_ext.data.frames import (
    DIGESTS,
    Frame,
    check_sizes,
    fingerprint,
    map_frames,
    polyp_pixels,
    read_image,
    read_mask,
)
from pycaffe_ext.data.masks import to_mask
from pycaffe_ext.data.sources.plain import find as find_frames
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest


def put(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


def make(folder: Path, names: list[str], image: str = ".jpg", mask: str = ".png", size=(40, 50)) -> Path:
    rng = np.random.default_rng(0)
    for name in names:
        shape = np.zeros(size, np.uint8)
        shape[10:20, 15:30] = 255
        put(folder / "images" / f"{name}{image}", rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        put(folder / "masks" / f"{name}{mask}", shape)
    return folder


def fails(folder: Path, *words: str) -> None:
    with pytest.raises(UserError) as error:
        find_frames(folder, progress=False)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_plain_folder_gives_sorted_frames_with_a_group_each(tmp_path):
    frames = find_frames(make(tmp_path, ["b", "a"]))
    assert [(f.name, f.group) for f in frames] == [("a", "a"), ("b", "b")]
    assert frames[0].image == tmp_path / "images/a.jpg"
    assert frames[0].mask == tmp_path / "masks/a.png"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".bmp", ".tif"])
def test_every_suffix_is_read_on_either_side(tmp_path, suffix):
    frames = find_frames(make(tmp_path, ["a"], image=suffix, mask=suffix))
    assert read_image(frames[0].image).shape == (40, 50, 3)
    assert read_mask(frames[0]).sum() == 150


def test_subfolders_are_groups_and_names_keep_them(tmp_path):
    frames = find_frames(make(tmp_path, ["v1/0", "v1/1", "v2/0", "loose"]))
    assert [(f.name, f.group) for f in frames] == [
        ("loose", "loose"),
        ("v1/0", "v1"),
        ("v1/1", "v1"),
        ("v2/0", "v2"),
    ]


def test_groups_csv_wins(tmp_path):
    make(tmp_path, ["a", "b", "c"])
    (tmp_path / "groups.csv").write_text("\ufeffframe,group\na,p1\nc,p1\nb,p2\n", encoding="utf-8")
    assert [f.group for f in find_frames(tmp_path)] == ["p1", "p2", "p1"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("frame,group\na,p\n", ["groups.csv", "no group for b"]),
        ("frame,group\na,p\nb,p\nzz,p\n", ["no such frame: zz"]),
        ("frame,group\na,p\na,q\nb,p\n", ["'a'", "twice"]),
        ("frame,group\na,p\nb,\n", ["lacks", "b"]),
        ("frame,group\na,p\nb\n", ["lacks", "b"]),
        ("name,video\na,p\nb,p\n", ["header `frame,group`"]),
        ("", ["header"]),
        (b"\xff\xfe\x00", ["UTF-8"]),
    ],
)
def test_wrong_groups_csv_is_named(tmp_path, table, words):
    make(tmp_path, ["a", "b"])
    (tmp_path / "groups.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    fails(tmp_path, *words)


def test_missing_folders_are_named(tmp_path):
    fails(tmp_path / "nowhere", "nowhere", "no such folder")
    fails(tmp_path, "images", "no such folder")
    (tmp_path / "images").mkdir()
    fails(tmp_path, "masks", "no such folder")
    (tmp_path / "masks").mkdir()
    fails(tmp_path, "no image")


def test_frames_and_masks_without_partner_are_named(tmp_path):
    make(tmp_path, [f"f{i}" for i in range(6)])
    for i in range(1, 6):
        (tmp_path / f"masks/f{i}.png").unlink()
    fails(tmp_path, "no mask for f1, f2, f3 and 2 more", "all-black")
    for i in range(1, 6):
        (tmp_path / f"images/f{i}.jpg").unlink()
    put(tmp_path / "masks/x.png", np.zeros((40, 50), np.uint8))
    fails(tmp_path, "no frame for masks x")


def test_two_files_of_one_name_are_refused(tmp_path):
    make(tmp_path, ["a"])
    make(tmp_path, ["a"], image=".png")
    fails(tmp_path, "a.png", "same name as a.jpg")


def test_hidden_and_foreign_files_are_passed_over(tmp_path):
    make(tmp_path, ["a"])
    (tmp_path / "images/._a.jpg").write_bytes(b"fork")
    (tmp_path / "images/notes.txt").write_text("x")
    assert len(find_frames(tmp_path)) == 1


def test_sizes_must_agree(tmp_path):
    make(tmp_path, ["a", "b"])
    put(tmp_path / "masks/b.png", np.zeros((50, 40), np.uint8))
    fails(tmp_path, "b.png", "40x50", "50x40")


@pytest.mark.parametrize("part", ["images/a.jpg", "masks/a.png"])
def test_files_that_are_no_images_are_named(tmp_path, part):
    make(tmp_path, ["a"])
    (tmp_path / part).write_bytes(b"not an image")
    fails(tmp_path, part, "not a readable image")


def test_cut_off_image_is_an_error_not_half_a_picture(tmp_path):
    path = make(tmp_path, ["a"]) / "images/a.jpg"
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(UserError, match="a.jpg.*cut off"):
        read_image(path)
    path.unlink()
    with pytest.raises(UserError, match="a.jpg: no such file"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif"])
def test_pixels_are_those_that_pillow_decodes(tmp_path, suffix):
    path = make(tmp_path, ["a"], image=suffix) / f"images/a{suffix}"
    np.testing.assert_array_equal(read_image(path), np.array(Image.open(path).convert("RGB"))[..., ::-1])


def test_png_with_deep_colours_is_read_as_pillow_does(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (8, 9, 3)).astype(np.uint16)
    put(tmp_path / "deep.png", deep)
    read = read_image(tmp_path / "deep.png")
    np.testing.assert_array_equal(read, np.array(Image.open(tmp_path / "deep.png").convert("RGB"))[..., ::-1])
    assert np.abs(read.astype(int) - deep // 256).max() <= 1


def test_damaged_png_is_an_error(tmp_path):
    path = make(tmp_path, ["a"], image=".png") / "images/a.png"
    content = path.read_bytes()
    for damaged in (content[:-300], content[:900] + b"\x55" + content[901:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="a.png.*cut off"):
            read_image(path)


def test_image_is_bgr_and_grey_becomes_three_channels(tmp_path):
    picture = np.zeros((8, 9, 3), np.uint8)
    picture[..., 0] = 200  # blue
    put(tmp_path / "blue.png", picture)
    put(tmp_path / "grey.png", picture[..., 0])
    np.testing.assert_array_equal(read_image(tmp_path / "blue.png"), picture)
    assert (read_image(tmp_path / "grey.png") == 200).all()


def test_mask_threshold_and_one_bit_masks(tmp_path):
    path = tmp_path / "mask.png"
    frame = Frame("a", tmp_path / "a.png", path, "a")
    put(path, np.array([[0, 127, 128, 255]], np.uint8))
    assert read_mask(frame).tolist() == [[False, False, True, True]]
    cv2.imwrite(str(path), np.array([[0, 255, 255, 0]], np.uint8), [cv2.IMWRITE_PNG_BILEVEL, 1])
    assert read_mask(frame).tolist() == [[False, True, True, False]]


def test_frame_known_to_be_without_polyp_reads_as_empty_mask(tmp_path):
    put(tmp_path / "a.png", np.zeros((5, 7, 3), np.uint8))
    mask = read_mask(Frame("a", tmp_path / "a.png", None, "a"))
    assert mask.shape == (5, 7)
    assert mask.dtype == bool
    assert not mask.any()


def test_polyp_pixels_and_a_data_set_without_any(tmp_path):
    frames = find_frames(make(tmp_path, ["a", "b"]))
    put(tmp_path / "masks/b.png", np.zeros((40, 50), np.uint8))
    assert polyp_pixels(frames).tolist() == [150, 0]
    with pytest.raises(UserError, match="no polyp in any of 1 masks"):
        polyp_pixels(frames[1:])


def test_fingerprint_follows_content_not_place(tmp_path):
    one, two = make(tmp_path / "one", ["a", "b"]), make(tmp_path / "two", ["a", "b"])
    print_one = fingerprint(find_frames(one))
    assert print_one == fingerprint(find_frames(two))
    put(two / "masks/b.png", np.zeros((40, 50), np.uint8))
    assert print_one != fingerprint(find_frames(two))
    (one / "groups.csv").write_text("frame,group\na,p\nb,p\n")
    assert print_one != fingerprint(find_frames(one))


# --- masks of every kind ----------------------------------------------------------------------------------------------

WHERE = np.zeros((16, 16), bool)
WHERE[4:12, 4:12] = True


def mask_file(path: Path, image: Image.Image, **options) -> Frame:
    image.save(path, **options)
    return Frame("a", path, path, "a")


def grey(value: int, back: int = 0, kind=np.uint8) -> Image.Image:
    return Image.fromarray(np.where(WHERE, value, back).astype(kind))


def colour(value: tuple[int, ...], back: tuple[int, ...] = (0, 0, 0)) -> Image.Image:
    return Image.fromarray(np.where(WHERE[..., None], value, back).astype(np.uint8))


def paletted(entries: dict[int, tuple[int, int, int]], value: int) -> Image.Image:
    image = Image.fromarray(np.where(WHERE, value, 0).astype(np.uint8), mode="P")
    colours = np.zeros((256, 3), np.uint8)
    for index, entry in entries.items():
        colours[index] = entry
    image.putpalette(colours.tobytes())
    return image


@pytest.mark.parametrize(
    ("suffix", "image"),
    [
        (".png", grey(255)),
        (".png", grey(1)),  # 0 and 1: nothing is above 127
        (".tif", grey(1)),
        (".bmp", grey(1)),
        (".png", grey(38)),  # 0 and another
        (".png", Image.fromarray(WHERE)),  # 1 bit
        (".tif", grey(65535, kind=np.uint16)),
        (".tif", grey(255, kind=np.uint16)),
        (".tif", grey(1, kind=np.uint16)),
        (".png", grey(65535, 200, np.uint16)),
        (".tif", grey(1, kind=np.float32)),
        (".png", colour((255, 0, 0))),  # its grey as a weighted sum is 76
        (".png", colour((0, 0, 255))),
        (".jpg", colour((255, 255, 255))),
        (".png", colour((255, 255, 255, 255), (255, 255, 255, 0))),  # drawn in the alpha channel
        (".png", colour((255, 0, 0, 255), (0, 0, 0, 255))),
        (".png", colour((255, 255), (0, 255))),  # grey and alpha
        (".png", paletted({1: (128, 0, 0)}, 1)),
        (".png", paletted({1: (1, 1, 1)}, 1)),
        (".png", paletted({7: (0, 200, 0)}, 7)),
    ],
)
def test_masks_of_every_kind_keep_their_polyps(tmp_path, suffix, image):
    frame = mask_file(tmp_path / f"mask{suffix}", image)
    np.testing.assert_array_equal(read_mask(frame), WHERE)


@pytest.mark.parametrize(("suffix", "value"), [(".png", 0), (".jpg", 0), (".jpg", 1), (".jpg", 12)])
def test_black_masks_are_empty(tmp_path, suffix, value):
    frame = mask_file(tmp_path / f"mask{suffix}", grey(value, value))
    assert not read_mask(frame).any()


@pytest.mark.parametrize(
    ("suffix", "image", "words"),
    [
        (".png", grey(100, 20), "none is above 127.*100"),  # two greys, neither of them 0
        (".png", Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16) // 2), "127"),  # classes, or too dark
        (".png", grey(1, 1), "brightest: 1"),  # nothing but polyp
        (".jpg", grey(100), "brightest grey is"),
        (".tif", grey(3000, 20, np.uint16), "32767"),
        (".tif", grey(-1, 0, np.int32), "8 or 16 bits"),
    ],
)
def test_masks_that_a_threshold_would_empty_are_errors(tmp_path, suffix, image, words):
    frame = mask_file(tmp_path / f"mask{suffix}", image)
    with pytest.raises(UserError, match=f"mask{suffix}.*{words}") as error:
        read_mask(frame)
    assert "write 0" in str(error.value) and "\n" not in str(error.value)


def test_jpeg_masks_ring_and_are_cut_at_the_middle(tmp_path):
    frame = mask_file(tmp_path / "mask.jpg", grey(255), quality=30)
    stored = np.array(Image.open(frame.mask))
    assert len(np.unique(stored)) > 2
    np.testing.assert_array_equal(read_mask(frame), stored > 127)


def test_to_mask_on_whole_ranges():
    greys = np.arange(256, dtype=np.uint8)[None]
    assert to_mask(greys, lossy=False).sum() == 128
    assert to_mask(greys.astype(np.uint16) * 257, lossy=True).sum() == 128
    assert to_mask(np.zeros((0, 5), np.uint8), lossy=False).shape == (0, 5)


def test_rotation_by_exif_must_be_that_of_the_mask(tmp_path):
    exif = Image.Exif()
    exif[274] = 3  # upside down: the sizes agree
    turned, upright = tmp_path / "a.jpg", tmp_path / "a.png"
    grey(255).save(turned, exif=exif)
    grey(255).save(upright)
    with pytest.raises(UserError, match="a.jpg.*EXIF orientation is 3.*1.*upright"):
        check_sizes([Frame("a", turned, upright, "a")])
    check_sizes([Frame("a", turned, turned, "a"), Frame("b", upright, upright, "b")])


def test_alpha_of_a_frame_is_dropped_and_16_bits_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4, 4), (10, 20, 30, 0), np.uint8)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == (30, 20, 10)).all()
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "b.tif")
    with pytest.raises(UserError, match="b.tif.*8 bits"):
        read_image(tmp_path / "b.tif")


# --- memory and digests -----------------------------------------------------------------------------------------------


def test_few_frames_are_under_way_at_a_time():
    frames = [Frame(str(i), Path("x"), None, "g") for i in range(200)]
    lock, started, most = threading.Lock(), [], []

    def work(frame: Frame) -> str:
        with lock:
            started.append(frame.name)
        return frame.name

    class Watching(list):
        """The frames, noting how far the reading of them runs ahead of the work."""

        def __iter__(self):
            for i, frame in enumerate(list.__iter__(self)):
                most.append(i - len(started))
                yield frame

    assert map_frames(work, Watching(frames), "working") == [frame.name for frame in frames]
    assert max(most) <= 5


def test_digests_written_beside_frames_are_those_of_the_files(tmp_path):
    frames = find_frames(make(tmp_path / "set", ["a", "b"]))
    computed = fingerprint(frames)
    for part in ("images", "masks"):
        files = sorted((tmp_path / "set" / part).iterdir())
        (tmp_path / "set" / part / DIGESTS).write_text("".join(f"{digest(path)}  {path.name}\n" for path in files))
    moved = [Frame(f.name, f.image, f.mask, f.group) for f in find_frames((tmp_path / "set").rename(tmp_path / "new"))]
    assert fingerprint(moved) == computed
    (tmp_path / "again").mkdir()
    other = (tmp_path / "new").rename(tmp_path / "again/set")
    (other / "images" / DIGESTS).write_text(f"{'0' * 64}  a.jpg\n")
    assert fingerprint(find_frames(other)) != computed  # they are what is used
