"""Where the clots of a volume lie: a mask, in which each has a number, or points in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats, Ints
from pycaffe_ext.data.volumes import dicom, image_files
from pycaffe_ext.data.volumes.geometry import Geometry
from pycaffe_ext.errors import UserError

Labels = NDArray[np.int32]
MARGIN = 1.5  # mm, about a voxel, around a clot of a mask in which a candidate still hits it
REACH = 5.0  # mm around a clot's stated position in which it does
MATLAB = "Mask"  # FUMPE's variable


def read_mask(path: Path, geometry: Geometry, files: Sequence[Path], compare: bool = True) -> Labels:
    """(z, y, x) int32 numbers of clots, 1 to n, 0 where none is, as `numbered` makes them.

    path : a file, a folder of DICOM slices, or a .mat file with (y, x, z) in the order of the volume's file names.
    files : of the volume, in the order of its z axis.   compare : whether spacing, origin and direction must be the
    volume's too, where the mask states them.  Raises UserError for another size or geometry.
    """
    if path.suffix.lower() == ".mat":
        return numbered(_of_matlab(path, geometry, files))
    if path.is_dir():
        series = dicom.read_series(path, mask=True)
        check_geometry(path, series.geometry, geometry, compare)
        return numbered(dicom.mask_values(series.files, geometry.size))
    check_geometry(path, image_files.geometry_of(path), geometry, compare)
    return numbered(image_files.labels(path))


def numbered(mask: NDArray[Any]) -> Labels:
    """Numbers 1 to n, 0 = none, of a mask's clots.

    A mask with one value beside 0 has a clot for each 26-connected part; one with several has a clot for each value.
    """
    from scipy.ndimage import find_objects, label  # here: it takes a while to load

    out = np.zeros(mask.shape, np.int32)
    box = (find_objects((mask != 0).view(np.uint8)) or [None])[0]
    if box is None:
        return out
    values, inverse = np.unique(mask[box], return_inverse=True)
    several = np.count_nonzero(values) > 1
    shift = 0 if values[0] == 0 else 1
    parts = inverse.reshape(mask[box].shape) + shift if several else label(mask[box], np.ones((3, 3, 3)))[0]
    out[box] = parts
    return out


def clot_in_mask(labels: Labels, geometry: Geometry, points: Floats, within: float = MARGIN) -> Ints:
    """(n,) number of the clot at each of (n, 3) points (x, y, z) in mm, 0 = none.

    within : mm up to the middle of the nearest voxel of a clot that count as in it; 0 = the point's own voxel only.
    """
    voxels = np.rint(geometry.to_voxels(points)).astype(np.int64).reshape(-1, 3)
    inside = ((voxels >= 0) & (voxels < labels.shape)).all(axis=1)
    found = np.zeros(len(voxels), np.int64)
    found[inside] = labels[tuple(voxels[inside].T)]
    places = np.argwhere(labels)
    if within <= 0 or not len(places):
        return found
    near = clot_at_positions(geometry.to_patient(places), points, within)
    return np.where((found == 0) & (near > 0), labels[tuple(places[near - 1].T)], found)


def clot_at_positions(positions: Floats, points: Floats, within: float = REACH) -> Ints:
    """(n,) number, from 1, of the nearest of (m, 3) positions within so many mm of (n, 3) points, 0 = none."""
    from scipy.spatial import cKDTree

    positions = np.asarray(positions, np.float64).reshape(-1, 3)
    if not len(positions):
        return np.zeros(len(points), np.int64)
    distance, nearest = cKDTree(positions).query(np.asarray(points, np.float64).reshape(-1, 3))
    return np.where(distance <= within, nearest + 1, 0)


def sizes(labels: Labels, geometry: Geometry) -> NDArray[np.float64]:
    """(n, 4) of each clot: its volume in mm3 and its extents in mm along the array's x, y and z axis."""
    from scipy.ndimage import find_objects

    voxels = np.bincount(labels.ravel())[1:] * geometry.voxel_volume
    boxes = find_objects(labels)
    extents = [[(part.stop - part.start) * step for part, step in zip(box[::-1], geometry.spacing)] for box in boxes]  # noqa: B905
    return np.column_stack([voxels, np.array(extents).reshape(-1, 3)])


def check_geometry(path: Path, mask: Geometry, volume: Geometry, compare: bool) -> None:
    if mask.size != volume.size:
        shapes = [" x ".join(map(str, size[::-1])) for size in (mask.size, volume.size)]
        raise UserError(f"{path}: the mask has {shapes[0]} voxels, its volume {shapes[1]}; draw it on that volume")
    if compare and not mask.same(volume):
        raise UserError(
            f"{path}: the mask has the volume's size but another geometry ({_described(mask)}; volume:"
            f" {_described(volume)})"
        )


def _described(geometry: Geometry) -> str:
    numbers = ["/".join(f"{v:g}" for v in values) for values in (geometry.spacing, geometry.origin)]
    turned = "" if np.allclose(geometry.axes, np.eye(3)) else ", turned axes"
    return f"{numbers[0]} mm from {numbers[1]}{turned}"


def _of_matlab(path: Path, geometry: Geometry, files: Sequence[Path]) -> NDArray[Any]:
    """(z, y, x); slice k of the file belongs to the k-th file of the volume by name, wherever that lies."""
    mask = _matlab_array(path)
    depth, height, width = geometry.size
    if mask.shape != (height, width, depth) or len(files) != depth:
        shape = " x ".join(map(str, mask.shape))
        raise UserError(f"{path}: {MATLAB} is {shape}, its volume {height} x {width} x {depth} (y, x, slices)")
    by_name = sorted(range(depth), key=lambda i: _natural(files[i].name))
    out = np.empty(geometry.size, mask.dtype)
    out[by_name] = np.moveaxis(mask, 2, 0)
    return out


def _natural(name: str) -> list[tuple[int, str]]:
    """Key by which D9 comes before D10."""
    import re

    return [(int(word), "") if word.isdecimal() else (-1, word) for word in re.split(r"(\d+)", name)]


def _matlab_array(path: Path) -> NDArray[Any]:
    from scipy.io import loadmat

    try:
        try:
            mask = loadmat(path)[MATLAB]
        except NotImplementedError:  # MATLAB's version 7.3 is HDF5, with its axes reversed
            import h5py

            with h5py.File(path) as file:
                mask = np.asarray(file[MATLAB]).T
    except KeyError:
        raise UserError(f"{path}: no variable {MATLAB} in it; it is no mask of FUMPE") from None
    except FileNotFoundError:
        raise
    except Exception:  # SciPy and h5py raise what their parsers stumble over
        raise UserError(f"{path}: not a MATLAB file, or cut off; download it again") from None
    return np.asarray(mask)
