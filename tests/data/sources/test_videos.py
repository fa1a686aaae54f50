"""Videos and folders of frames: each frame carries a number that its mask carries too, so that a shift would show."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pycaffe_ext.data import sources
from pycaffe_ext.data.frames import DIGESTS, Frame, fingerprint, read_image, read_mask
from pycaffe_ext.data.reading import Reading
from pycaffe_ext.data.sources import decode
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest

SIZE = (48, 64)
BLOCK = 8
CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".mkv": "FFV1", ".wmv": "WMV2", ".mov": "mp4v", ".mpg": "MPG1"}


def picture(code: int) -> np.ndarray:
    """(48, 64, 3) uint8: the 8 bits of `code` as bright and dark blocks in the first row of blocks, grey elsewhere."""
    frame = np.full((*SIZE, 3), 90, np.uint8)
    for bit in range(8):
        frame[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 200 if code >> bit & 1 else 20
    return frame


def drawn(code: int, white: int = 255) -> np.ndarray:
    """A mask with the same bits, black elsewhere."""
    mask = np.zeros((*SIZE, 3), np.uint8)
    mask[:BLOCK] = np.where(picture(code)[:BLOCK] > 100, white, 0)
    return mask


def bits(plane: np.ndarray, level: float) -> int:
    """The code in a frame's or a mask's blocks."""
    middles = [plane[BLOCK // 2, bit * BLOCK + BLOCK // 2] > level for bit in range(8)]
    return sum(int(on) << bit for bit, on in enumerate(middles))


def video(path: Path, pictures: list[np.ndarray]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = cv2.VideoWriter_fourcc(*CODECS[path.suffix.lower()])
    writer = cv2.VideoWriter(str(path), codec, 25.0, pictures[0].shape[1::-1])
    assert writer.isOpened(), path
    for frame in pictures:
        writer.write(frame)
    writer.release()
    return path


def folder_of(path: Path, pictures: list[np.ndarray], name: str = "{:04d}.png", first: int = 1) -> Path:
    path.mkdir(parents=True)
    for n, frame in enumerate(pictures, first):
        assert cv2.imwrite(str(path / name.format(n)), frame)
    return path


CODES = [3, 77, 200, 5, 131, 254, 64, 18, 99, 240, 7, 111]
FRAMES, MASKS = [picture(c) for c in CODES], [drawn(c) for c in CODES]


def find(folder: Path, dataset: str | None = None) -> list[Frame]:
    return sources.find(folder, dataset, folder.parent / "cache", progress=False)


def seen(frames: list[Frame]) -> list[int]:
    return [bits(read_image(frame.image)[..., 1], 110) for frame in frames]


def marked(frames: list[Frame]) -> list[int]:
    return [bits(read_mask(frame), 0.5) for frame in frames]


def fails(folder: Path, *words: str, dataset: str | None = None) -> None:
    with pytest.raises(UserError) as error:
        find(folder, dataset)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    cache = folder.parent / "cache"
    assert not [path for path in cache.glob("*") if path.name.startswith(".")], "a part was left"


@pytest.mark.parametrize(
    ("frames", "masks"),
    [
        (".avi", ".avi"),
        (".mp4", ".mkv"),
        (".wmv", ".mp4"),
        (".MKV", ".mov"),
        (".mpg", ".avi"),
    ],
)
def test_every_frame_lies_beside_its_own_mask(tmp_path, frames, masks):
    video(tmp_path / f"set/videos/one{frames}", FRAMES)
    video(tmp_path / f"set/masks/one{masks}", MASKS)
    found = find(tmp_path / "set")
    assert [f.name for f in found] == [f"one/{i:06d}" for i in range(len(CODES))]
    assert {(f.group, f.source) for f in found} == {("one", "videos")}
    assert seen(found) == marked(found) == CODES


def test_frames_are_the_decoded_pixels_without_losses_and_masks_one_bit(tmp_path):
    path = video(tmp_path / "set/videos/one.mp4", FRAMES)
    video(tmp_path / "set/masks/one.mp4", MASKS)
    found = find(tmp_path / "set")
    capture = cv2.VideoCapture(str(path))
    for frame in found:
        np.testing.assert_array_equal(read_image(frame.image), capture.read()[1])
    assert not capture.read()[0]
    assert cv2.imread(str(found[0].mask), cv2.IMREAD_UNCHANGED).max() == 255
    header = found[0].mask.read_bytes()[16:26]
    assert header[8] == 1  # bits a pixel


def test_decoding_happens_once_for_each_content(tmp_path, monkeypatch):
    video(tmp_path / "set/videos/one.avi", FRAMES)
    video(tmp_path / "set/masks/one.avi", MASKS)
    first = find(tmp_path / "set")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.png")}
    again = find(tmp_path / "set")
    assert again == first and all(path.stat().st_mtime_ns == t for path, t in times.items())
    video(tmp_path / "set/videos/one.avi", FRAMES[::-1])
    video(tmp_path / "set/masks/one.avi", MASKS[::-1])
    assert marked(find(tmp_path / "set")) == CODES[::-1]
    monkeypatch.setattr(decode, "WAY", "another way")
    assert not {f.image.parent for f in find(tmp_path / "set")} & {f.image.parent for f in first}


def test_digests_in_the_cache_are_those_of_its_files(tmp_path):
    video(tmp_path / "set/videos/one.avi", FRAMES)
    video(tmp_path / "set/masks/one.avi", MASKS)
    found = find(tmp_path / "set")
    before = fingerprint(found)
    for folder in {path.parent for f in found for path in (f.image, f.mask)}:
        lines = dict(reversed(line.split("  ")) for line in (folder / DIGESTS).read_text().splitlines())
        assert lines == {path.name: digest(path) for path in folder.glob("*.png")}
        (folder / DIGESTS).unlink()
    assert fingerprint(find(tmp_path / "set")) == before


def test_interruption_leaves_nothing_and_the_next_call_goes_on(tmp_path, monkeypatch):
    video(tmp_path / "set/videos/a.avi", FRAMES)
    video(tmp_path / "set/masks/a.avi", MASKS)
    encode, calls = decode._encode_mask, []

    def interrupted(frame):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return encode(frame)

    monkeypatch.setattr(decode, "_encode_mask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        find(tmp_path / "set")
    assert [path.name.split("-")[1] for path in (tmp_path / "cache").iterdir()] == ["frames"]
    monkeypatch.setattr(decode, "_encode_mask", encode)
    assert marked(find(tmp_path / "set")) == CODES


def test_folders_of_frames_are_clips_too(tmp_path):
    folder_of(tmp_path / "set/videos/one", FRAMES)
    folder_of(tmp_path / "set/masks/one", MASKS)
    found = find(tmp_path / "set")
    assert found[0].name == "one/0001" and found[0].image.is_relative_to(tmp_path / "set")
    assert seen(found) == marked(found) == CODES
    (tmp_path / "set/masks/one/0003.png").unlink()
    fails(tmp_path / "set", "masks/one", "no mask for 0003")


@pytest.mark.parametrize("first", [0, 1])
def test_a_video_with_a_folder_of_masks_and_the_other_way_round(tmp_path, first):
    video(tmp_path / "set/videos/one.avi", FRAMES)
    folder_of(tmp_path / "set/masks/one", MASKS, "frame {}.png", first)  # 10 comes after 9, not after 1
    folder_of(tmp_path / "set/videos/two", FRAMES[::-1], "{}.png", first)
    video(tmp_path / "set/masks/two.avi", MASKS[::-1])
    found = find(tmp_path / "set")
    one, two = ([f for f in found if f.group == group] for group in ("one", "two"))
    two.sort(key=lambda f: int(f.name.split("/")[1]))
    assert seen(one) == marked(one) == CODES
    assert seen(two) == marked(two) == CODES[::-1]


def test_masks_of_a_video_need_numbers_without_gaps(tmp_path):
    video(tmp_path / "set/videos/one.avi", FRAMES)
    masks = folder_of(tmp_path / "set/masks/one", MASKS)
    (masks / "0004.png").unlink()
    fails(tmp_path / "set", "masks/one", "without a gap", "from 1 to 12", "11")
    (masks / "0012.png").rename(masks / "0004.png")
    fails(tmp_path / "set", "11 masks", "12 frames")
    (masks / "0011.png").rename(masks / "last.png")
    fails(tmp_path / "set", "numbers of its frames")


def test_masks_of_another_size_in_the_midst_are_found(tmp_path):
    video(tmp_path / "set/videos/one.avi", FRAMES)
    masks = folder_of(tmp_path / "set/masks/one", MASKS)
    cv2.imwrite(str(masks / "0007.png"), MASKS[6][:-2])
    fails(tmp_path / "set", "0007.png", "64x46", "64x48")


def test_videos_without_polyps_are_said_to_be_so(tmp_path):
    video(tmp_path / "set/videos/one.avi", FRAMES)
    video(tmp_path / "set/masks/one.avi", MASKS)
    video(tmp_path / "set/videos/two.avi", FRAMES[:4])
    fails(tmp_path / "set", "no masks for two", "without_polyps/")
    (tmp_path / "set/without_polyps").mkdir()
    (tmp_path / "set/videos/two.avi").rename(tmp_path / "set/without_polyps/two.avi")
    folder_of(tmp_path / "set/without_polyps/three", FRAMES[:2])
    found = find(tmp_path / "set")
    assert [f.group for f in found if f.mask is None] == ["three"] * 2 + ["two"] * 4
    assert seen([f for f in found if f.group == "two"]) == CODES[:4]


def test_wrong_folders_of_videos_are_named(tmp_path):
    folder = tmp_path / "set"
    video(folder / "one.avi", FRAMES)
    fails(folder, "looks like videos", "videos/ is missing")
    (folder / "videos").mkdir()
    (folder / "masks").mkdir()
    fails(folder, "no video and no folder of frames in videos/")
    (folder / "masks").rmdir()
    (folder / "one.avi").rename(folder / "videos/one.avi")
    fails(folder, "looks like videos", "masks/ and without_polyps/ are missing")
    video(folder / "masks/one.avi", MASKS)
    video(folder / "masks/zwei.avi", MASKS)
    fails(folder, "no video for masks zwei")
    (folder / "masks/zwei.avi").unlink()
    video(folder / "without_polyps/one.avi", FRAMES)
    fails(folder, "one both in videos/ and in without_polyps/")
    shutil.rmtree(folder / "without_polyps")
    video(folder / "videos/one.mp4", FRAMES)
    fails(folder, "one.mp4", "same name as one.avi")
    cv2.imwrite(str(folder / "videos/0001.png"), FRAMES[0])
    fails(folder, "videos/0001.png", "folder of their own")


def test_a_mask_video_of_another_length_or_size_is_refused(tmp_path):
    video(tmp_path / "set/videos/one.avi", FRAMES)
    video(tmp_path / "set/masks/one.avi", MASKS[:-1])
    fails(tmp_path / "set", "masks/one.avi", "11 masks", "one.avi has 12 frames")
    video(tmp_path / "set/masks/one.avi", [mask[:32] for mask in MASKS])
    fails(tmp_path / "set", "masks/one.avi", "64x32", "64x48")


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4"])
def test_a_mask_video_that_was_cut_off_is_named(tmp_path, suffix):
    rng = np.random.default_rng(0)
    noisy = [rng.integers(0, 2, (*SIZE, 1), np.uint8).repeat(3, 2) * 255 for _ in range(60)]
    video(tmp_path / "set/videos/one.avi", noisy)
    mask = video(tmp_path / f"set/masks/one{suffix}", noisy)
    content = mask.read_bytes()
    mask.write_bytes(content[: len(content) // 2])
    fails(tmp_path / "set", f"masks/one{suffix}", "cut off")


def test_files_that_are_no_videos_are_named(tmp_path):
    video(tmp_path / "set/masks/one.avi", MASKS)
    (tmp_path / "set/videos").mkdir()
    (tmp_path / "set/videos/one.mp4").write_bytes(b"no video" * 100)
    fails(tmp_path / "set", "one.mp4", "not a video that OpenCV can read")
    order = [sys.executable, "tools/data_help.py", "--data", str(tmp_path / "set"), "--runs", str(tmp_path / "runs")]
    done = subprocess.run(order, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, "FFmpeg's remarks belong to nobody"


def test_mask_videos_that_a_threshold_would_empty_are_refused(tmp_path):
    video(tmp_path / "set/videos/one.avi", FRAMES)
    video(tmp_path / "set/masks/one.mkv", [drawn(c, 100) for c in CODES])
    fails(tmp_path / "set", "masks/one.mkv", "brightest grey is", "black and white")
    video(tmp_path / "set/masks/one.mkv", [drawn(0)] * len(CODES))
    fails(tmp_path / "set", "no polyp in any of 12 masks")


def test_a_disk_that_is_too_small_is_noticed_before(tmp_path, monkeypatch):
    video(tmp_path / "set/videos/one.avi", FRAMES)
    video(tmp_path / "set/masks/one.avi", MASKS)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    fails(tmp_path / "set", "2 videos take up to", "1 kB are free", "too little", "RUNS=")
    assert not (tmp_path / "cache").exists()


def test_groups_csv_puts_the_videos_of_a_patient_together(tmp_path):
    for name in ("a", "b", "c"):
        video(tmp_path / f"set/videos/{name}.avi", FRAMES[:3])
        video(tmp_path / f"set/masks/{name}.avi", MASKS[:3])
    table = tmp_path / "set/groups.csv"
    table.write_text("video,group\na,p1\nb,p1\nc,p2\n")
    assert {(f.name[0], f.group) for f in find(tmp_path / "set")} == {("a", "p1"), ("b", "p1"), ("c", "p2")}
    table.write_text("video,group\na,p1\nb,p1\n")
    fails(tmp_path / "set", "groups.csv", "no group for c")


@pytest.mark.parametrize("place", ["{part}/{clip}", "{clip}/{part}"])
def test_collections_with_frame_and_gt(tmp_path, place):
    for clip in ("1", "2"):
        folder_of(tmp_path / "set" / place.format(part="Frame", clip=clip), FRAMES[:3])
        folder_of(tmp_path / "set" / place.format(part="GT", clip=clip), MASKS[:3])
    found = find(tmp_path / "set")
    assert [f.group for f in found] == ["1"] * 3 + ["2"] * 3
    assert seen(found) == marked(found) == CODES[:3] * 2


# --- ASU-Mayo ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "masks",
    [
        "Training/ShortVD_wp_2_GT.wmv",
        "Training/GT_ShortVD_wp_2.wmv",
        "Training/Ground Truth/ShortVD_wp_2.wmv",
        "Ground_Truth/ShortVD_wp_2.avi",
        "Training/ShortVD_wp_2 GT.mp4",
    ],
)
def test_asu_mayo_videos_say_in_their_names_whether_there_are_polyps(tmp_path, masks):
    video(tmp_path / "set/Training/ShortVD_wp_2.wmv", FRAMES)
    video(tmp_path / "set" / masks, MASKS)
    video(tmp_path / "set/Training/ShortVD_np_5.wmv", FRAMES[:4])
    found = find(tmp_path / "set")
    assert {f.source for f in found} == {"asu-mayo"}
    with_polyps = [f for f in found if f.group == "shortvd_wp_2"]
    assert seen(with_polyps) == marked(with_polyps) == CODES
    assert [(f.group, f.mask) for f in found if f not in with_polyps] == [("shortvd_np_5", None)] * 4


def test_asu_mayo_as_folders_of_frames(tmp_path):
    folder_of(tmp_path / "set/wp_2/Frame", FRAMES)
    folder_of(tmp_path / "set/wp_2/GT", MASKS)
    folder_of(tmp_path / "set/np_5", FRAMES[:3])
    found = find(tmp_path / "set", "asu-mayo")
    assert marked([f for f in found if f.group == "wp_2"]) == CODES
    assert sum(f.mask is None for f in found) == 3


def test_asu_mayo_files_that_cannot_be_told_are_named(tmp_path):
    folder = tmp_path / "set"
    video(folder / "VD_np_1.wmv", FRAMES)
    fails(folder, "looks like asu-mayo", "wp (with polyps)")
    video(folder / "VD_wp_2.wmv", FRAMES)
    fails(folder, "VD_wp_2.wmv", "shows polyps (wp) and has no masks")
    video(folder / "VD_wp_2_GT.wmv", MASKS)
    video(folder / "test/VD_7.wmv", FRAMES)
    fails(folder, "neither wp nor np in the name of VD_7.wmv")
    shutil.rmtree(folder / "test")
    video(folder / "VD_wp_3_GT.wmv", MASKS)
    fails(folder, "VD_wp_3_GT.wmv", "no video for these masks")
    (folder / "VD_wp_3_GT.wmv").unlink()
    video(folder / "VD_wp_2.avi", FRAMES)
    fails(folder, "same name as", "VD_wp_2.avi")


def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path, monkeypatch):
    """At any time few decoded frames wait to be written."""
    video(tmp_path / "set/videos/one.avi", FRAMES * 20)
    video(tmp_path / "set/masks/one.avi", MASKS * 20)
    waiting, most = [0], [0]
    frames, encode = decode._frames, decode._encode_frame

    def counted(path):
        for frame in frames(path):
            waiting[0] += 1
            most[0] = max(most[0], waiting[0])
            yield frame

    def written(frame):
        result = encode(frame)
        waiting[0] -= 1
        return result

    monkeypatch.setattr(decode, "_frames", counted)
    monkeypatch.setattr(decode, "_encode_frame", written)
    monkeypatch.setattr(decode, "_encode_mask", lambda frame: (255, written(frame)[1]))
    assert len(find(tmp_path / "set")) == 12 * 20
    assert most[0] <= decode.ENCODERS + 2


def test_mask_videos_that_would_lose_a_polyp_are_refused(tmp_path):
    """A darker polyp beside a white one, and one that is alone in its frame."""
    both, alone = drawn(128), drawn(0)
    both[32:44, 4:16] = alone[32:44, 4:16] = 100
    for number, (name, masks) in enumerate({"both": [drawn(128), both], "alone": [drawn(128), alone]}.items()):
        home = tmp_path / str(number) / "set"
        video(home / "videos/one.avi", FRAMES[:2])
        video(home / "masks/one.mkv", masks)
        fails(home, "masks/one.mkv: frame 1", "grey", (name == "both" and "away from its polyps") or "black and white")


def test_mask_is_for_masks_in_files(tmp_path):
    video(tmp_path / "set/videos/one.avi", FRAMES)
    video(tmp_path / "set/masks/one.mkv", MASKS)
    with pytest.raises(UserError, match="MASK=nonzero is for masks in files.*one-masks"):
        sources.find(tmp_path / "set", None, tmp_path / "cache", progress=False, reading=Reading("nonzero"))
