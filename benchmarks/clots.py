"""How many clots of the phantom have a candidate, by the clot's size, on seeds on which nothing was chosen.

    python -m benchmarks.clots --seeds 1 2 3 --patients 16

A clot's size is the diameter of a ball of its volume.  The volumes are those that a run of pe with that seed and number
of patients draws; the default ones are 26 of seed 0, on whose training and validation patients the score was chosen.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.applications.pe import PATIENTS, phantom
from pycaffe_ext.data.items import Floats
from pycaffe_ext.data.volumes import Volume, clots
from pycaffe_ext.detector.vessels.volumes import Found, search
from pycaffe_ext.errors import UserError, run_cli
from pycaffe_ext.evaluation.intervals import clopper_pearson

SIZES = (0.0, 4.0, 6.0)  # mm, from which clots are counted; 4 mm is what the toolkit promises to find


@dataclass(frozen=True)
class Counted:
    """The clots of a seed's volumes.  diameter : (n,) mm, of a ball of the clot's volume.   hit : (n,) whether some
    candidate lies in it.   most : candidates of the volume that has most."""

    diameter: Floats
    hit: NDArray[np.bool_]
    most: int


def counted(volumes: Sequence[Volume], found: Sequence[Found]) -> Counted:
    """All clots of volumes, which have masks, and what was found in each."""
    diameters, hits = [], []
    for volume, own in zip(volumes, found, strict=True):
        labels = volume.labels()
        if labels is None:
            raise UserError(f"{volume.name}: no mask, so its clots have no size")
        size = clots.sizes(labels, volume.geometry)[:, 0]
        diameters.append(np.cbrt(6 * size / np.pi))
        hits.append(np.isin(np.arange(1, len(size) + 1), own.clot))
    return Counted(np.concatenate(diameters), np.concatenate(hits), max(len(own.score) for own in found))


def together(seeds: Sequence[Counted]) -> Counted:
    """As if they were one seed."""
    diameter, hit = (np.concatenate(parts) for parts in zip(*((one.diameter, one.hit) for one in seeds), strict=True))
    return Counted(diameter, hit, max(one.most for one in seeds))


def text(seeds: dict[int, Counted]) -> str:
    """A line a seed and one for all, a column a size: clots with a candidate of all, the share, its exact interval."""
    rows = [(f"seed {seed}", one) for seed, one in seeds.items()]
    rows += [("all", together(list(seeds.values())))] * (len(rows) > 1)
    head = f"{'':10}" + "".join(f"{f'from {size:g} mm':>34}" for size in SIZES) + "   candidates at most"
    return "\n".join(
        [head, *(f"{name:10}" + "".join(_cell(one, size) for size in SIZES) + f"{one.most:21}" for name, one in rows)]
    )


def _cell(one: Counted, size: float) -> str:
    hit = one.hit[one.diameter >= size]
    if not hit.size:
        return f"{'-':>34}"
    interval = clopper_pearson(int(hit.sum()), hit.size)
    return f"{f'{hit.sum()} of {hit.size}: {hit.mean():.3f} [{interval.low:.3f}, {interval.high:.3f}]':>34}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the phantom [0]")
    parser.add_argument("--patients", type=int, default=PATIENTS, help="of each seed [%(default)s]")
    parser.add_argument("--folder", type=Path, help="where the volumes go, and are looked up [a temporary folder]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        seeds = {}
        for seed in given.seeds:
            volumes = phantom(folder, seed, given.patients)
            seeds[seed] = counted(volumes, search(volumes))
        print(text(seeds))


if __name__ == "__main__":
    run_cli(main)
