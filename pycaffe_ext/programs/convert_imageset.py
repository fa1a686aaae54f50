"""A list of images into a database of Datums, as Caffe's convert_imageset makes it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from pycaffe_ext import glog
from pycaffe_ext.errors import UserError
from pycaffe_ext.pictures import opencv
from pycaffe_ext.proto.caffe_pb2 import Datum
from pycaffe_ext.records.database import creating
from pycaffe_ext.records.image_list import read_list
from pycaffe_ext.threads import cores, in_order, one_thread_each

BATCH = 16  # images a thread reads at a time
REPORT = 1000  # images between two lines of the log


@dataclass(frozen=True)
class Options:
    """convert_imageset's flags, with its defaults."""

    gray: bool = False
    shuffle: bool = False
    backend: str = "lmdb"
    resize_width: int = 0
    resize_height: int = 0
    check_size: bool = False
    encoded: bool = False
    encode_type: str = ""


@dataclass(frozen=True)
class Image:
    """A line of the list.  number : its place, counted from 0; name : its path below the root; label : an int32."""

    number: int
    name: str
    label: int


def convert(
    root: str, list_file: str | Path, database: str | Path, options: Options | None = None, workers: int | None = None
) -> int:
    """Write the images of a list into a new database; returns how many.

    root : put before each name as it stands, so it ends in a slash.  Keys are NUMBER_NAME, the number in eight digits.
    A Datum holds BGR (grey: one channel) uint8 planes, or, encoded, the picture's bytes: those of the file where it
    has the wanted type and is not resized.  An image that can't be read is logged and left out, its number with it.
    `workers` threads read (default: one per core), at most workers + 1 batches of 16 images are held.
    Raises UserError if the database exists, the list can't be read, a picture can't be encoded or differs in size from
    the first one under check_size; no database is left then.  Source: Caffe's tools/convert_imageset.cpp.
    """
    options = options or Options()
    if options.check_size and (options.encoded or options.encode_type):
        raise UserError("check_size compares raw pixels, it can't be used with encoded images; leave one of them out")
    images = _images(list_file, options.shuffle)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # an unreadable image is logged here
    glog.info("convert_imageset.cpp:89", f"A total of {len(images)} images.")

    def read(batch: list[Image]) -> list[tuple[Image, Datum | None]]:
        return [(image, read_datum(root + image.name, image.label, options)) for image in batch]

    batches = (images[i : i + BATCH] for i in range(0, len(images), BATCH))
    with creating(database, options.backend) as put, one_thread_each():
        count, size = 0, 0
        for batch in in_order(read, batches, workers or cores()):
            found = [(image, datum) for image, datum in batch if datum is not None]
            if options.check_size:
                size = _check_sizes(found, size)
            put(list(_records(found)))
            before, count = count, count + len(found)
            if count // REPORT > before // REPORT:
                glog.info("convert_imageset.cpp:146", f"Processed {count // REPORT * REPORT} files.")
        if count % REPORT:
            glog.info("convert_imageset.cpp:153", f"Processed {count} files.")
    return count


def _images(list_file: str | Path, shuffle: bool) -> list[Image]:
    lines = read_list(list_file)
    if shuffle:
        glog.info("convert_imageset.cpp:86", "Shuffling data")
        random.shuffle(lines)
    return [Image(number, name, label) for number, (name, label) in enumerate(lines)]


def read_datum(path: str, label: int, options: Options) -> Datum | None:
    """The Datum of an image file, None (after a line in the log) if it can't be read as an image."""
    pixels = opencv.read(path, cv2.IMREAD_GRAYSCALE if options.gray else cv2.IMREAD_COLOR)
    if pixels is None:
        glog.error("io.cpp:83", f"Could not open or find file {path}")
        return None
    height, width = options.resize_height, options.resize_width
    if height > 0 and width > 0:
        pixels = cv2.resize(pixels, (width, height))
    if options.encoded or options.encode_type:
        resized = height > 0 or width > 0
        return Datum(data=_encoded(path, pixels, resized, options.encode_type), label=label, encoded=True)
    shape = dict(zip(("height", "width"), pixels.shape[:2], strict=True), channels=1 if options.gray else 3)
    planes = (pixels,) if options.gray else cv2.split(pixels)
    return Datum(data=b"".join(plane.tobytes() for plane in planes), label=label, encoded=False, **shape)


def _encoded(path: str, pixels: cv2.typing.MatLike, resized: bool, encode_type: str) -> bytes:
    """The file's own bytes if nothing has to change, else the picture re-encoded (JPEG: quality 95)."""
    extension = os.path.basename(path).rpartition(".")[2].lower()
    wanted = encode_type.lower() or extension
    if not resized and (extension == wanted or (wanted, extension) == ("jpg", "jpeg")):
        return Path(path).read_bytes()
    try:
        done, content = cv2.imencode(f".{wanted}", pixels)
    except cv2.error:
        done = False
    if not done:
        raise UserError(f"{path}: can't be encoded as {wanted!r}; choose -encode_type png or jpg")
    return content.tobytes()


def _check_sizes(found: list[tuple[Image, Datum]], size: int) -> int:
    """The common number of values (`size`, or the first image's if that is 0); UserError for another one."""
    for image, datum in found:
        size = size or len(datum.data)
        if len(datum.data) != size:
            raise UserError(f"{image.name}: {len(datum.data)} values, the first image has {size}; resize them alike")
    return size


def _records(found: list[tuple[Image, Datum]]) -> Iterator[tuple[bytes, bytes]]:
    for image, datum in found:
        yield os.fsencode(f"{image.number:08d}_{image.name}"), datum.SerializeToString()
