"""Miniature chests for tests: a body, two lungs, tubes filled with contrast, dark parts in them, some of them clots."""

from __future__ import annotations

import numpy as np

from pycaffe_ext.data.volumes import image_files
from pycaffe_ext.data.volumes.geometry import Geometry

SIZE = (24, 56, 84)  # z, y, x
SPACING = (2.5, 2.5, 2.5)
TUBES = 3  # in each lung
CONTRAST, CLOT, OTHER = 360, 50, 120  # HU; the last of a dark part that is no clot


def chest(seed=0, clots=2, others=4):
    """(z, y, x) int16 HU and uint8 numbers of the clots of a patient: at most one dark part in each half of a tube."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(SIZE)
    values = np.full(SIZE, -1000.0)
    values[:, 3:53, 3:81] = 40
    shift = int(rng.integers(-3, 4))
    values[:, 10 + shift : 46 + shift, 8:38] = values[:, 10 - shift : 46 - shift, 46:76] = -850
    labels = np.zeros(SIZE, np.uint8)
    tubes = [(rng.integers(18, 38), left + 9 * i + rng.integers(0, 3)) for left in (13, 51) for i in range(TUBES)]
    for row, column in tubes:
        values[(y - row) ** 2 + (x - column) ** 2 <= 6] = CONTRAST
    places = [(height, *tube) for tube in tubes for height in (6, 17)]
    order = rng.permutation(len(places))[: clots + others]
    for number, place in enumerate(order):
        height, row, column = places[place]
        dark = ((z - height) / 2.2) ** 2 + ((y - row) / 1.3) ** 2 + ((x - column) / 1.3) ** 2 <= 1
        values[dark] = CLOT if number < clots else OTHER
        labels[dark] = number + 1 if number < clots else 0
    return np.rint(values + rng.normal(0, 12, SIZE)).astype(np.int16), labels


def geometry(seed=0):
    """Each patient's volume lies elsewhere, so that voxels and millimetres cannot be mixed up."""
    return Geometry(SIZE, SPACING, (-100.0 + seed, -70.0 - 2 * seed, 300.0 + 5 * seed))


def write(folder, patients=12, seed=0, clots=2, bare=1):
    """volumes/PATIENT.nii.gz and masks/PATIENT.nii.gz; the last `bare` patients have no clot."""
    for name in ("volumes", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(patients):
        values, labels = chest(seed + number, 0 if number >= patients - bare else clots)
        for place, array in (("volumes", values), ("masks", labels)):
            image_files.write(folder / place / f"p{number:02d}.nii.gz", array, geometry(number))
