"""The paper's amount of data: memory and rate of everything between the frames on disk and the packed patches.

40 videos of 945 frames; their pictures are a few hundred distinct ones, linked under many names (within a video only,
where near-duplicates are of one group anyhow), and their candidates are simulated, ten a frame. All else is real:
splitting, labelling, balancing, packing 100 000 patches, the mean, and every check that a run makes. The rival of the
LMDB is a plain file of the same bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

import cv2
import lmdb
import numpy as np

from benchmarks.materials import once
from benchmarks.program import Program, peak_of
from benchmarks.rows import ROOT, Experiment, Lab, Row, Sample, Side
from pycaffe_ext.errors import UserError
from pycaffe_ext.sizes import check_space

VIDEOS, FRAMES, DISTINCT = 40, 945, 10  # distinct: pictures of a video
CANDIDATES = 10  # of a frame
PATCHES = 100_000
SIDES = ((480, 400), (576, 480), (720, 576))  # (width, height) of the videos in turn
SHOWS_POLYP = 4  # every fourth picture does, as in the paper's videos
SIDE = 227  # rows and columns of a patch
PATCH_BYTES = 3 * SIDE * SIDE
WRITTEN = 20_000  # patches in a sample of writing alone
LONGEST = 3600  # seconds
MIB = 2**20


def _simulated(lab: Lab) -> Iterator[Sample]:
    """Each sample is a whole preparation in a process of its own."""
    data = once(lab.folder / "scale-frames", VIDEOS * DISTINCT * 300_000, _draw_videos)
    runs = lab.folder / "scale-runs"
    needed = (PATCHES + WRITTEN) * (PATCH_BYTES + 4096)
    check_space(lab.folder, needed, "packing needs", "")

    def sample() -> tuple[float, ...]:
        shutil.rmtree(runs, ignore_errors=True)
        command = (sys.executable, "-m", "benchmarks.scale", data, runs)
        try:
            environment = lab.environment | {"PYTHONPATH": str(ROOT)}
            with Program(command, environment, limit=LONGEST) as program:
                return tuple(json.loads(program.finish().splitlines()[-1]))
        finally:
            shutil.rmtree(runs, ignore_errors=True)

    yield sample


def _draw_videos(folder: Path) -> None:
    """images/VIDEO/FRAME.jpg and masks/VIDEO/FRAME.png; equal pictures are one file under many names."""
    for video in range(VIDEOS):
        for part in ("images", "masks"):
            (folder / part / f"video{video:02d}").mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda video: _draw_video(folder, video), range(VIDEOS)))


def _draw_video(folder: Path, video: int) -> None:
    width, height = SIDES[video % len(SIDES)]
    rng = np.random.default_rng(video)
    for number in range(DISTINCT):
        scene = cv2.resize(rng.integers(0, 256, (12, 14, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 6, scene.shape)
        mask = np.zeros((height, width), np.uint8)
        if number % SHOWS_POLYP == 0:
            cv2.ellipse(mask, _middle(width, height), (width // 10, height // 12), 0, 0, 360, 255, -1)
        files = [
            folder / part / f"video{video:02d}" / f"{number:05d}.{kind}"
            for part, kind in (("images", "jpg"), ("masks", "png"))
        ]
        cv2.imwrite(str(files[0]), np.clip(scene + grain, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
        cv2.imwrite(str(files[1]), mask)
        for copy in range(number + DISTINCT, FRAMES, DISTINCT):
            for file in files:
                os.link(file, file.with_name(f"{copy:05d}{file.suffix}"))


def _middle(width: int, height: int) -> tuple[int, int]:
    return width // 2, height // 2


def prepare(data: Path, runs: Path) -> tuple[float, ...]:
    """(peak of resident memory in MiB, patches a second, s for near-duplicates, s in all) of one preparation."""
    from pycaffe_ext.applications import preparation
    from pycaffe_ext.applications.polyp import MODEL, Polyp, labelled
    from pycaffe_ext.data import groups, pack
    from pycaffe_ext.detector import UNTRAINED_MODEL
    from pycaffe_ext.runs.settings import Settings

    class Simulated(Polyp):
        def propose(self, parts: Any, workspace: Path, _request: Any) -> Any:
            UNTRAINED_MODEL.save(workspace / MODEL)
            frames = [frame for part in parts.values() for frame in part]
            return labelled(frames, [_candidates(number, frame.name) for number, frame in enumerate(frames)])

    begun = perf_counter()
    request = Settings.of("polyp", "ft-fc8", data=str(data), patches=PATCHES, test_views=120).request
    spent = {"pack": 0.0, "hash_frames": 0.0}
    for module, name in ((pack, "pack"), (groups, "hash_frames")):
        setattr(module, name, _timed(getattr(module, name), name, spent))
    done = preparation.prepare(Simulated(), request, SIDE, runs).packed
    packed = done.patches["train"] + done.patches["val"]
    if packed != PATCHES:
        raise UserError(f"{packed} patches were packed, not {PATCHES}")
    return peak_of(os.getpid()), packed / spent["pack"], spent["hash_frames"], perf_counter() - begun


def _candidates(number: int, name: str) -> np.ndarray:
    """(10, 5) simulated candidates of a frame: two in the middle, where a polyp would be, the others elsewhere."""
    width, height = SIDES[int(name[5:7]) % len(SIDES)]
    rng = np.random.default_rng(number)
    sizes = rng.uniform(0.15, 0.3, (CANDIDATES, 2)) * (width, height)
    centres = rng.uniform(0.2, 0.35, (CANDIDATES, 2)) * (width, height)
    centres[:2] = _middle(width, height)
    score = np.sort(rng.random(CANDIDATES))[::-1]
    return np.column_stack([centres - sizes / 2, sizes, score]).astype(np.float32)


P = ParamSpec("P")
T = TypeVar("T")


def _timed(function: Callable[P, T], name: str, spent: dict[str, float]) -> Callable[P, T]:
    def run(*arguments: P.args, **settings: P.kwargs) -> T:
        begun = perf_counter()
        result = function(*arguments, **settings)
        spent[name] += perf_counter() - begun
        return result

    return run


def _writing(write: Callable[[Path, Any], Any]) -> Side:
    """Samples of `write`(folder, records): MB/s until the bytes are on the disk."""

    @contextmanager
    def side(lab: Lab) -> Iterator[Sample]:
        from pycaffe_ext.records.datum import to_bytes

        patches = np.random.default_rng(0).integers(0, 256, (64, 3, 227, 227), np.uint8)
        records = [to_bytes(patch, 1) for patch in patches]

        def sample() -> tuple[float, ...]:
            folder = lab.folder / "scale-writing"
            folder.mkdir(parents=True)
            try:
                begun = perf_counter()
                write(folder, records)
                os.sync()
                return (WRITTEN * PATCH_BYTES / 1e6 / (perf_counter() - begun),)
            finally:
                shutil.rmtree(folder)

        yield sample

    return side


def _write_file(folder: Path, records: list[bytes]) -> None:
    with (folder / "file").open("wb") as file:
        for number in range(WRITTEN):
            file.write(records[number % len(records)])


def _write_lmdb(folder: Path, records: list[bytes]) -> None:
    """As the packing does: five patches in a transaction, under keys in random order."""
    order = np.random.default_rng(0).permutation(WRITTEN)
    with lmdb.open(str(folder), map_size=2 * WRITTEN * PATCH_BYTES, sync=False) as database:
        for start in range(0, WRITTEN, 5):
            with database.begin(write=True) as transaction:
                for number in range(start, start + 5):
                    transaction.put(b"%08d" % order[number], records[number % len(records)])


EXPERIMENTS = (
    Experiment(
        rows=(
            Row(
                "scale-memory",
                "polyps at the paper's size, from 37 800 frames to 100 000 patches: peak memory",
                "MiB",
                limit=2048,
            ),
            Row(
                "scale-patches",
                "cutting and packing them: decoding, cutting, LMDB, index",
                "patches/s",
                better="more",
                limit=1500,
            ),
            Row("scale-duplicates", "near-duplicates among 37 800 frames, decoding included", "s"),
            Row("scale-time", "all of the preparation but the detector, every check included", "s"),
        ),
        ours=contextmanager(_simulated),
        warm_ups=0,
    ),
    Experiment(
        rows=(Row("scale-writing", f"{WRITTEN} raw patches as an LMDB, until on the disk", "MB/s", 0.8, "more"),),
        ours=_writing(_write_lmdb),
        rival=_writing(_write_file),
        rival_name="plain file",
    ),
)

if __name__ == "__main__":
    print(json.dumps(prepare(*map(Path, sys.argv[1:]))))
