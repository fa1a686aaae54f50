"""One CT volume and, where somebody marked them, its clots."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from pycaffe_ext.data.items import Floats, Ints, Picture, fixed_mark
from pycaffe_ext.data.volumes import clots, dicom, image_files
from pycaffe_ext.data.volumes.clots import Labels
from pycaffe_ext.data.volumes.geometry import Geometry, Hounsfield, Three, Upright
from pycaffe_ext.data.volumes.window import MEDIASTINUM, windowed
from pycaffe_ext.files import digest

_whole = Lock()  # pictures of volumes are asked for by several threads, but only one volume is read at a time


@dataclass(frozen=True)
class Volume:
    """name : unique in its data set.   group : patient; never on two sides of a split.   source : the data set.
    files : one file, or DICOM slices in the order of the array's z axis.
    mask : a file or folder as `clots.read_mask` reads it, None where positions are given or nothing was marked.
    positions : (x, y, z) of each clot in mm, in the patient; empty with a mask, and for a volume without clots.
    same_grid : whether the mask belongs to the volume voxel by voxel, whatever its header states.
    reach : mm around a position within which a point hits its clot.
    split : "train", "val" or "test" where the user fixed it, else "".
    notes : what was left out or chosen while the folder was read, for a person.
    Only the header is read until voxels are asked for; no array is kept.
    """

    name: str
    group: str
    source: str
    files: tuple[Path, ...]
    geometry: Geometry
    mask: Path | None = None
    positions: tuple[Three, ...] = ()
    same_grid: bool = False
    notes: tuple[str, ...] = ()
    reach: float = clots.REACH
    split: str = ""

    def hounsfield(self) -> Hounsfield:
        """(z, y, x) int16; not below -1024."""
        if len(self.files) > 1:
            return dicom.hounsfield(self.files, self.geometry.size)
        return image_files.hounsfield(self.files[0])

    def labels(self) -> Labels | None:
        """(z, y, x) int32 numbers of the clots, 1 to n, 0 = none; None where there is no mask."""
        if self.mask is None:
            return None
        return clots.read_mask(self.mask, self.geometry, self.files, compare=not self.same_grid)

    def clots_at(self, points: Floats, within: float = clots.MARGIN) -> tuple[Ints, int]:
        """(n,) number of the clot that each of (n, 3) points (x, y, z) in mm hits, 0 = none; and how many clots it has.

        within : mm around a clot of the mask that count; around a position, `reach` does.
        """
        labels = self.labels()
        if labels is not None:
            return clots.clot_in_mask(labels, self.geometry, points, within), int(labels.max(initial=0))
        return clots.clot_at_positions(np.array(self.positions), points, self.reach), len(self.positions)

    def picture(self) -> Picture:
        """(H, W, 3) uint8 BGR: the middle slice along the patient's axis in the window of the mediastinum, three equal
        channels; rows run to the patient's back and columns to the left, however the file has them."""
        grey = windowed(self._middle(), MEDIASTINUM)
        return np.repeat(grey[..., None], 3, axis=2)

    def highest(self) -> None:
        """Hounsfield units have a window of their own."""

    def _middle(self) -> Hounsfield:
        """(y, x) of the upright volume; of a series, which is axial, one file is read."""
        upright = Upright.of(self.geometry)
        middle = upright.size[0] // 2
        if len(self.files) > 1:
            number = int(upright.voxels((middle, 0, 0))[0])
            return upright.view(dicom.slice_hounsfield(self.files[number])[None])[0]
        with _whole:
            return upright.view(self.hounsfield())[middle].copy()

    @property
    def clots(self) -> int:
        """How many clots are marked; a mask is read for it."""
        labels = self.labels()
        return len(self.positions) if labels is None else int(labels.max(initial=0))

    def content(self) -> str:
        """A line that changes with the name, the group, the positions, the fixed split or the bytes of any file."""
        total = hashlib.sha256()
        for path in self.every_file():
            total.update(f"{path.name}\0{digest(path)}\n".encode(errors="surrogateescape"))
        return f"{self.name}\0{self.group}\0{self.positions!r}\0{total.hexdigest()}{fixed_mark(self.split)}\n"

    def every_file(self) -> list[Path]:
        """Of the voxels and the mask."""
        marked: list[Path] = []
        if self.mask is not None:
            marked = sorted(filter(Path.is_file, self.mask.iterdir())) if self.mask.is_dir() else [self.mask]
        return [part for path in (*self.files, *marked) for part in image_files.parts(path)]
