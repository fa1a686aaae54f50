"""Videos as folders of PNG files, decoded once, from the first frame to the last and never by seeking.

Seeking lands on other frames in many formats, and a frame beside the mask of another is a wrong number. A folder in
the cache bears a digest of the video's bytes and of the way of decoding, and is whole or absent.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pycaffe_ext.data.frames import DIGESTS
from pycaffe_ext.data.masks import BLACK, RINGING, THRESHOLD, check_lost
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest, writing_folder
from pycaffe_ext.progress import bar
from pycaffe_ext.sizes import check_space
from pycaffe_ext.threads import in_order

SUFFIXES = (".mp4", ".avi", ".mpg", ".mpeg", ".wmv", ".mov", ".mkv", ".m4v", ".webm", ".vob", ".ts", ".flv")
WAY = "1: PNG; masks: largest channel > 127, 1 bit"  # another way of decoding gets other folders
ENCODERS = 2
LOST = 0.02  # share of the frames a header may name in excess: for many formats it is an estimate
GHOST = 64  # what a moving white leaves behind in a compressed video stays below
SHARE = {False: 0.5 * 3, True: 0.05}  # bytes a pixel takes as PNG at most: of frames, of masks


@dataclass(frozen=True)
class Stream:
    """What a video's header says: (height, width) of a frame, how many, and by how many degrees it is to be turned."""

    size: tuple[int, int]
    count: int
    turned: int


def probe(video: Path) -> Stream:
    """Read the header; raises UserError if OpenCV can't open the video or it shows no frame."""
    with _opened(video) as capture:
        keys = (
            cv2.CAP_PROP_FRAME_HEIGHT,
            cv2.CAP_PROP_FRAME_WIDTH,
            cv2.CAP_PROP_FRAME_COUNT,
            cv2.CAP_PROP_ORIENTATION_META,
        )
        height, width, count, turned = (int(capture.get(key)) for key in keys)
        return Stream((height, width), max(count, 0), turned)


def decode(videos: Sequence[tuple[Path, bool]], cache: Path, progress: bool = True) -> list[Path]:
    """The folder of each (video, whether it shows masks): 000000.png, 000001.png, ... in the order of the frames.

    Frames are the pixels as OpenCV decodes them, without losses; masks are 1-bit pictures, white where the largest
    channel is above 127. Raises UserError if the disk is too small, a video can't be read, ends before the count in
    its header by more than 2 %, changes its size, or is meant as mask and is neither black nor black and white,
    or has a frame with a grey area away from its white ones.
    """
    homes = [_home(video, is_mask, cache) for video, is_mask in videos]
    todo = {home: job for home, job in zip(homes, videos, strict=True) if not home.exists()}
    _check_space(list(todo.values()), cache)
    for home, (video, is_mask) in todo.items():
        with writing_folder(home) as part:
            _write(video, is_mask, part, progress)
    return homes


def _home(video: Path, is_mask: bool, cache: Path) -> Path:
    way = f"{digest(video)} {'masks' if is_mask else 'frames'} {WAY} OpenCV {cv2.__version__}"
    stem = re.sub(r"[^\w.-]+", "_", video.stem)[:60]
    return cache / f"{stem}-{'masks' if is_mask else 'frames'}-{hashlib.sha256(way.encode()).hexdigest()[:16]}"


def _check_space(videos: Sequence[tuple[Path, bool]], cache: Path) -> None:
    streams = [(probe(video), is_mask) for video, is_mask in videos]
    need = sum(s.size[0] * s.size[1] * s.count * SHARE[is_mask] for s, is_mask in streams)
    what = f"the frames of {len(videos)} videos take up to"
    check_space(cache, need, what, " or choose another folder with RUNS=")


def _write(video: Path, is_mask: bool, folder: Path, progress: bool) -> None:
    expected, count, top, lines = probe(video).count, 0, 0, []
    with bar(title=f"decoding {video.name}", total=expected or None, unit="frame", progress=progress) as shown:
        try:
            for brightest, content in in_order(_encode_mask if is_mask else _encode_frame, _frames(video), ENCODERS):
                name = f"{count:06d}.png"
                (folder / name).write_bytes(content)
                lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
                count, top = count + 1, max(top, brightest)
                shown.update()
        except ValueError as error:
            raise UserError(f"{video}: frame {count}: {error}; write 0 for background and 255 for polyp") from None
    _check_whole(video, count, expected)
    if is_mask and BLACK < top <= THRESHOLD:
        raise UserError(f"{video}: its brightest grey is {top}, so that it is neither black nor black and white")
    (folder / DIGESTS).write_text("".join(lines), encoding="utf-8")


def _check_whole(video: Path, count: int, expected: int) -> None:
    if not count:
        raise UserError(f"{video}: no frame of it can be decoded; download it again, or convert it to frames")
    if count < expected - max(2, LOST * expected):
        raise UserError(
            f"{video}: ends after {count} of the {expected} frames that its header names: cut off or damaged;"
            " download it again"
        )


def _frames(video: Path) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8, BGR, one after the other."""
    with _opened(video) as capture:
        first = None
        while True:
            there, frame = capture.read()
            if not there:
                return
            first = first or frame.shape
            if frame.shape != first:
                raise UserError(f"{video}: its frames change from {first[:2]} to {frame.shape[:2]} (height, width)")
            yield frame


@contextmanager
def _opened(video: Path) -> Iterator[cv2.VideoCapture]:
    """The video, with pixels as stored; FFmpeg's own remarks on damaged files are kept from the terminal."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if not video.is_file():
        raise UserError(f"{video}: no such file")
    with video.open("rb") as file:
        capture = cv2.VideoCapture(_name_for_opencv(video, file.fileno()))
    try:
        if not capture.isOpened():
            raise UserError(f"{video}: not a video that OpenCV can read, or cut off; download it again or convert it")
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        yield capture
    finally:
        capture.release()


def _name_for_opencv(video: Path, descriptor: int) -> str:
    """The path, or where it is not UTF-8, at which OpenCV ends the process, the open file under another name."""
    try:
        os.fspath(video).encode()
    except UnicodeEncodeError:
        return f"/proc/self/fd/{descriptor}"
    return os.fspath(video)


def _encode_frame(frame: np.ndarray) -> tuple[int, bytes]:
    return 0, _png(frame)


def _encode_mask(frame: np.ndarray) -> tuple[int, bytes]:
    """The brightest grey, and the mask as PNG; ValueError if an area would be lost."""
    grey = frame.max(axis=2)
    mask = grey > THRESHOLD
    check_lost(grey, mask, GHOST, RINGING[True])
    return int(grey.max()), _png(np.where(mask, np.uint8(255), np.uint8(0)), cv2.IMWRITE_PNG_BILEVEL, 1)


def _png(pixels: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(".png", pixels, options)[1].tobytes()
