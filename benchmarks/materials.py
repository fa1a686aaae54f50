"""Made data, each made once and kept in the lab's folder: LMDBs, a mean image, JPEGs with their list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import lmdb
import numpy as np
from tqdm import tqdm

from benchmarks.rows import Lab
from pycaffe_ext import proto
from pycaffe_ext.files import writing, writing_folder
from pycaffe_ext.records.datum import to_bytes
from pycaffe_ext.sizes import check_space

CLASSES = 2
PAGE = 4096
PER_COMMIT = 256


def records(lab: Lab, count: int, side: int) -> Path:
    """An LMDB of `count` raw Datums of (3, side, side) noise, labels 0 and 1 in turn, keys 00000000, 00000001, ..."""
    folder = lab.folder / f"records-{count}x{side}_lmdb"
    needed = count * (3 * side * side + PAGE) + 16 * PAGE
    return once(folder, needed, lambda part: _fill_database(part, count, side, needed))


def mean_of(lab: Lab, side: int) -> Path:
    """A mean image (3, side, side); what it holds does not change what subtracting it costs."""
    file = lab.folder / f"mean-{side}.binaryproto"
    if not file.exists():
        proto.write_mean(file, np.full((3, side, side), 127.5, np.float32))
    return file


def photographs(lab: Lab, count: int) -> Path:
    """A folder with `count` JPEGs, 256 to 500 pixels a side, and list.txt: a line `NAME LABEL` for each."""
    return once(lab.folder / f"jpegs-{count}", count * 100_000, lambda part: _draw_all(part, count))


def once(folder: Path, needed: int, fill: Callable[[Path], None]) -> Path:
    """`folder`, filled by `fill` if it is not there; UserError if the disk has no room for `needed` bytes."""
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    check_space(folder, needed, "it needs", "")
    with writing_folder(folder) as part:
        fill(part)
    return folder


def _fill_database(folder: Path, count: int, side: int, map_size: int) -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (64, 3, side, side), np.uint8)
    with lmdb.open(str(folder), map_size=2 * map_size, sync=False) as database:
        for first in tqdm(range(0, count, PER_COMMIT), f"{count} records", unit="commit", leave=False, disable=None):
            with database.begin(write=True) as transaction:
                for i in range(first, min(first + PER_COMMIT, count)):
                    transaction.put(f"{i:08d}".encode(), to_bytes(noise[i % len(noise)], i % CLASSES), append=True)


def _draw_all(folder: Path, count: int) -> None:
    names = [f"{i:05d}.jpg" for i in range(count)]
    with ThreadPoolExecutor(2) as pool:
        drawn = pool.map(lambda i: _draw(folder / names[i], i), range(count))
        for _ in tqdm(drawn, "JPEGs", count, unit="picture", leave=False, disable=None):
            pass
    with writing(folder / "list.txt") as file:
        file.writelines(f"{name} {i % 1000}\n" for i, name in enumerate(names))


def _draw(path: Path, seed: int) -> None:
    """One picture: a smooth ground, some ellipses, a camera's noise."""
    random = np.random.default_rng(seed)
    height, width = (int(n) for n in random.integers(256, 501, 2))
    ground = random.integers(0, 256, (9, 9, 3), np.uint8)
    image = cv2.resize(ground, (width, height), interpolation=cv2.INTER_CUBIC)
    for x, y, a, b, turn, *colour in _shapes(random, width, height):
        cv2.ellipse(image, (x, y), (a, b), turn, 0, 360, colour, -1, cv2.LINE_AA)
    noise = np.asarray(random.normal(0, 4, image.shape), np.float32)
    cv2.imwrite(str(path), np.clip(image + noise, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])


def _shapes(random: np.random.Generator, width: int, height: int) -> Iterator[tuple[int, ...]]:
    """x, y, half axes, turn in degrees, B, G, R."""
    highest = (width, height, width // 4, height // 4, 180, 256, 256, 256)
    for _ in range(8):
        yield tuple(int(random.integers(5 if n in (2, 3) else 0, top)) for n, top in enumerate(highest))
