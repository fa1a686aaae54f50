"""Candidates of CT volumes: where they lie in the patient, along which axis the vessel runs, and which clot they hit.

Volumes are read one at a time by a few processes.  What was found in a volume is kept in a file of its own, so that
an interrupted search goes on, and other splits of the same volumes have the same candidates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats, Ints
from pycaffe_ext.data.volumes import Volume, image_files
from pycaffe_ext.data.volumes.geometry import Upright
from pycaffe_ext.detector.vessels import axis, candidates, grid, segmentation
from pycaffe_ext.files import digest, writing
from pycaffe_ext.processes import map_processes
from pycaffe_ext.threads import cores

MEMORY = 3.2e9  # bytes that the processes share
BYTES = 10.0  # that a voxel of a volume takes while it is searched, at most
LOADED = 0.25e9  # that a process takes before it reads anything


@dataclass(frozen=True)
class Found:
    """Candidates of a volume, best first.  place : (n, 6) float32, point (x, y, z) in mm in the patient and unit vector
    of the vessel's axis.   score : (n,) of tobogganing.   clot : (n,) number of the clot that each hits, 0 = none.
    clots : how many the volume has."""

    place: NDArray[np.float32]
    score: Floats
    clot: Ints
    clots: int


def search(volumes: Sequence[Volume], store: Path | None = None, labelled: bool = True) -> list[Found]:
    """The candidates of each volume, in order.

    store : folder where places and scores are kept and looked up.   labelled : whether clots are marked in them; else
    all hit none.
    """
    if store is not None:
        store.mkdir(parents=True, exist_ok=True)
    work = partial(found_in, store=store, labelled=labelled)
    return list(map_processes(work, volumes, "candidates", workers(volumes), unit="volume", chunk=1))


def workers(volumes: Sequence[Volume]) -> int:
    """Processes that MEMORY has room for."""
    largest = max((int(np.prod(volume.geometry.size)) for volume in volumes), default=1)
    return max(1, min(cores(), int(MEMORY // (LOADED + BYTES * largest))))


def found_in(volume: Volume, store: Path | None = None, labelled: bool = True) -> Found:
    """As `search`, of one volume."""
    place, score = _kept(volume, store) if store is not None else proposed(volume)
    if not labelled:
        return Found(place, score, np.zeros(len(score), np.int64), 0)
    clot, clots = volume.clots_at(place[:, :3].astype(np.float64))
    return Found(place, score, clot, clots)


def proposed(volume: Volume) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(n, 6) places and (n,) scores, as `Found` has them."""
    values, geometry = volume.hounsfield(), volume.geometry
    upright = Upright.of(geometry)
    found = candidates.find_candidates(upright.view(values), upright.steps(geometry))
    points = geometry.to_patient(upright.voxels(found.voxel))
    place = np.concatenate([points, axis.vessel_axes(values, geometry, points)], axis=1).astype(np.float32)
    return place, np.asarray(found.score, np.float64)


def settings() -> dict[str, object]:
    """What decides about places and scores besides the volume, JSON-able."""
    return {
        "most": candidates.MOST,
        "weights": dict(candidates.WEIGHTS),
        "grid": grid.GRID,
        "apart": (candidates.TOGETHER, candidates.APART),
        "dark": candidates.DARK,
        "tube": segmentation.TUBE,
        "scales": segmentation.SCALES,
        "axis": axis.SCALES,
    }


def _kept(volume: Volume, store: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """As `proposed`, from the volume's file in `store`, which is written if it is not there."""
    path = store / f"{_mark(volume)}.npz"
    try:
        with np.load(path) as file:
            return file["place"], file["score"]
    except (OSError, EOFError, KeyError, ValueError, BadZipFile):  # not there, or cut off
        place, score = proposed(volume)
        with writing(path, "wb") as out:
            np.savez(out, place=place, score=score)
        return place, score


def _mark(volume: Volume) -> str:
    """Changes with the voxels, their place in the patient and the settings of the search; not with names or clots."""
    total = hashlib.sha256(f"{volume.geometry} {settings()}".encode())
    for path in volume.files:
        for part in image_files.parts(path):
            total.update(digest(part).encode())
    return total.hexdigest()[:24]
