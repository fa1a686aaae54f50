"""What lies in a data set's folder: taken, refused or counted, never passed over in silence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pycaffe_ext.applications.polyp import APPLICATION
from pycaffe_ext.applications.preparation import prepare
from pycaffe_ext.data import sources
from pycaffe_ext.data.frames import SUFFIXES, read_image, read_mask
from pycaffe_ext.data.sources import listing
from pycaffe_ext.data.sources.listing import OTHERS, SYSTEM_FOLDERS, UNREAD, ending, left_out
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.settings import Settings
from tests.data.sources.test_videos import FRAMES, MASKS, video

POLYP = np.zeros((16, 16), bool)
POLYP[4:12, 4:12] = True


def put(path: Path, mask: bool, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.where(POLYP, 255, 0).astype(np.uint8) if mask else np.full((16, 16, 3), 90, np.uint8)
    Image.fromarray(pixels).save(path, **options)


def data_set(folder: Path, *names: str) -> Path:
    for name in names:
        put(folder / f"images/{name}", False)
        put(folder / f"masks/{name}", True)
    return folder


def names(folder: Path, dataset: str | None = None) -> list[str]:
    return [frame.name for frame in find(folder, dataset)]


def find(folder: Path, dataset: str | None = None):
    return sources.find(folder, dataset, folder.parent / "cache", progress=False)


def counted(folder: Path) -> dict[str, tuple[int, str]]:
    return {one.kind: (one.files, one.example) for one in left_out(folder, find(folder))}


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(UserError) as error:
        find(folder)
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words), error.value


def test_an_ending_has_one_meaning():
    from pycaffe_ext.data.sources import decode

    every = (*SUFFIXES, *decode.SUFFIXES, *UNREAD, *OTHERS)
    assert len(set(every)) == len(every) and all(one == one.lower() and one.startswith(".") for one in every)
    assert [ending(Path(name)) for name in ("a.PNG", "b.NII.gz", "c.csv.gz", "d")] == [".png", ".nii.gz", ".gz", ""]


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".WEBP"])
def test_webp_and_gif_are_pictures(tmp_path, suffix):
    put(tmp_path / f"images/a{suffix}", False)
    put(tmp_path / f"masks/a{suffix}", True, lossless=True)
    (frame,) = find(tmp_path)
    assert abs(read_image(frame.image).astype(int) - 90).max() <= 2
    np.testing.assert_array_equal(read_mask(frame), POLYP)
    assert counted(tmp_path) == {}


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
@pytest.mark.parametrize("part", ["images", "masks"])
def test_animations_are_refused(tmp_path, suffix, part):
    data_set(tmp_path, f"a{suffix}")
    pictures = [Image.new("L", (16, 16), level) for level in (255, 0)]
    pictures[0].save(tmp_path / part / f"a{suffix}", save_all=True, append_images=pictures[1:])
    refused(tmp_path, f"{part}/a{suffix}", "several pictures")


@pytest.mark.parametrize("part", ["images", "masks"])
@pytest.mark.parametrize(
    "name", ["b.heic", "b.HEIC", "b.dcm", "b.nii.gz", "b.avif", "b.mp4", "b.png.part", "b.001", "a.xcf"]
)
def test_what_is_not_read_is_refused_where_pictures_are_read(tmp_path, part, name):
    data_set(tmp_path, "a.png")
    (tmp_path / part / name).write_bytes(b"x")
    refused(tmp_path, f"{part}/{name}", f"ending in {ending(Path(name))}", "not read", ".png")


def test_a_picture_without_an_ending_is_refused_and_a_note_is_not(tmp_path):
    data_set(tmp_path, "a.png")
    for name in ("README", "notes.txt", "boxes.XML", "Thumbs.db", "a.png:Zone.Identifier", "desktop.ini"):
        (tmp_path / "images" / name).write_text("x")
    assert names(tmp_path) == ["a"] and counted(tmp_path) == {}
    (tmp_path / "images/a.png").rename(tmp_path / "images/b")
    refused(tmp_path, "images/b", "a picture without an ending")


def test_two_pictures_of_one_name_are_refused(tmp_path):
    put(data_set(tmp_path, "a.png") / "images/a.JPG", False)
    refused(tmp_path, "a.png", "same name as a.JPG")


@pytest.mark.parametrize(
    "system",
    [*SYSTEM_FOLDERS, "@eaDir", "$RECYCLE.BIN", ".thumbnails", ".AppleDouble", ".ipynb_checkpoints", "__MACOSX"],
)
def test_thumbnails_double_no_data_set(tmp_path, system):
    data_set(tmp_path, "a.png", "v/b.png", f"{system}/a.png", f"v/{system}/b.png/SYNOPHOTO_THUMB_M.jpg")
    assert names(tmp_path) == ["a", "v/b"]
    assert counted(tmp_path) == {f"in {system}/": (4, f"images/{system}/a.png")}


LAYOUTS = {
    "kvasir-seg": [("images/cju0qkwl35piu0993l0dewei2.jpg", "masks/cju0qkwl35piu0993l0dewei2.png")],
    "hyperkvasir": [("segmented-images/images/a.png", "segmented-images/masks/a.png")],
    "cvc-clinicdb": [("Original/1.png", "Ground Truth/1.png")],
    "cvc-colondb": [("1.bmp", "p1.bmp")],
    "etis-larib": [("ETIS-LaribPolypDB/1.png", "Ground Truth/p1.png")],
    "polypgen": [("data_C1/images_C1/a.jpg", "data_C1/masks_C1/a_mask.png")],
    "asu-mayo": [("wp_1/Frame/1.png", "wp_1/GT/1.png")],
    "videos": [("videos/one/1.png", "masks/one/1.png")],
    "plain": [("images/a.png", "masks/a.png")],
}


@pytest.mark.parametrize("slug", sources.SOURCES)
def test_no_layout_is_doubled_by_thumbnails(tmp_path, slug):
    for pair in LAYOUTS[slug]:
        for path, mask in zip(pair, (False, True), strict=True):
            put(tmp_path / path, mask)
            put(tmp_path / Path(path).parent / "@eaDir" / Path(path).name, mask)
            put(tmp_path / "@eaDir" / path, mask)
    frames = find(tmp_path, slug)
    assert len(frames) == 1 and not [f for f in frames if "@eaDir" in f"{f.image}{f.mask}"]
    assert left_out(tmp_path, frames)[0].kind == "in @eaDir/"


def test_everything_that_is_not_taken_is_counted_by_kind(tmp_path):
    data_set(tmp_path, "a.png", "b.png")
    for name in (
        "images/._a.png",
        "old/c.png",
        "old/more/d.webp",
        "e.heic",
        "scan.nii.gz",
        "film.mp4",
        "f.png",
        "old/notes.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert counted(tmp_path) == {
        "in the folder itself": (2, "f.png"),
        "in old/": (1, "old/c.png"),
        "in old/more/": (1, "old/more/d.webp"),
        ".heic": (1, "e.heic"),
        ".nii.gz": (1, "scan.nii.gz"),
        "hidden": (1, "images/._a.png"),
    }
    text = sources.left_out_text(left_out(tmp_path, find(tmp_path)))
    assert "1 in old/ (old/c.png)" in text and "\n" not in text


def test_videos_that_were_decoded_are_taken_and_others_are_counted(tmp_path):
    folder = tmp_path / "set"
    video(folder / "videos/one.avi", FRAMES[:3])
    video(folder / "masks/one.avi", MASKS[:3])
    assert counted(folder) == {}
    video(folder / "raw/two.avi", FRAMES[:3])
    assert counted(folder) == {"in raw/": (1, "raw/two.avi")}
    (folder / "videos/three.rmvb").write_bytes(b"x")
    refused(folder, "three.rmvb", "ending in .rmvb", ".mp4")


def test_a_video_of_asu_mayo_that_is_not_read_is_refused(tmp_path):
    put(tmp_path / "np_2/1.png", False)
    put(tmp_path / "wp_1/Frame/1.png", False)
    put(tmp_path / "wp_1/GT/1.png", True)
    assert len(find(tmp_path, "asu-mayo")) == 2
    (tmp_path / "np_3.rmvb").write_bytes(b"x")
    refused(tmp_path, "np_3.rmvb", "ending in .rmvb")


def test_links_in_circles_end_and_a_folder_is_entered_once(tmp_path):
    data_set(tmp_path, *(f"v{n}/{n}.png" for n in range(9)))
    for part in ("images", "masks"):
        for n in range(9):
            for other in range(9):
                (tmp_path / part / f"v{n}/to{other}").symlink_to(tmp_path / part / f"v{other}")
        (tmp_path / part / "again").symlink_to(tmp_path / part / "v1")
        (tmp_path / part / "aa").symlink_to("aa")
    assert names(tmp_path) == [f"v{n}/{n}" for n in range(9)]
    assert counted(tmp_path) == {}


def test_a_linked_folder_inside_the_data_set_is_not_counted_as_left_out(tmp_path):
    data_set(tmp_path / "disk", "a.png")
    for part in ("images", "masks"):
        (tmp_path / part).symlink_to(tmp_path / "disk" / part)
    assert names(tmp_path, "plain") == ["a"]
    assert left_out(tmp_path, find(tmp_path, "plain")) == []


def test_folders_that_may_not_be_looked_into_stop_no_count(tmp_path, monkeypatch):
    data_set(tmp_path, "a.png")
    (tmp_path / "lost+found").mkdir()
    inside = Path.iterdir

    def iterdir(path):
        if path.name == "lost+found":
            raise PermissionError(13, os.strerror(13), str(path))
        return inside(path)

    monkeypatch.setattr(listing.Path, "iterdir", iterdir)
    assert counted(tmp_path) == {}


def test_a_run_says_first_what_is_left_out(tmp_path):
    put(data_set(tmp_path / "set", "a.png") / "spare/b.png", False)

    class Said(Exception):
        pass

    def say(line: str) -> None:
        raise Said(line)

    with pytest.raises(Said, match=r"left out .*1 in spare/ \(spare/b.png\)"):
        request = Settings.of("polyp", "ft-fc8", data=str(tmp_path / "set")).request
        prepare(APPLICATION, request, 227, tmp_path / "runs", say)
    assert not (tmp_path / "runs").exists()
