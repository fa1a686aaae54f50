"""FUMPE (Masoudi et al. 2018): DICOM slices of 35 patients, masks as MATLAB files.

CT_scans/PAT001/*.dcm and GroundTruth/PAT001.mat, whose variable `Mask` is (y, x, slice).  Its slices follow the names
of the DICOM files, which in some patients run against the slices' places; they are put in order by name here.  Masks
that were converted lie as GroundTruth/PAT001.nii.gz (or .nrrd, .mha, .mhd), or as DICOM slices in GroundTruth/PAT001/.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pycaffe_ext.data.names import some
from pycaffe_ext.data.sources.folders import child, subfolders
from pycaffe_ext.data.sources.listing import ending, walk
from pycaffe_ext.data.volumes import dicom, image_files
from pycaffe_ext.data.volumes.folder import check_mask, grouped, read_volume
from pycaffe_ext.data.volumes.source import VolumeSource
from pycaffe_ext.data.volumes.volume import Volume
from pycaffe_ext.errors import UserError

SCANS, TRUTH = ("CT_scans",), ("GroundTruth", "Ground_Truth")
MASKS = (".mat", *image_files.SUFFIXES)


def find(folder: Path) -> list[Volume]:
    """Its patients with their masks; raises UserError for one that lacks either."""
    scans, truth = child(folder, *SCANS), child(folder, *TRUTH)
    if scans is None or truth is None:
        raise UserError(f"{folder}: CT_scans/ and GroundTruth/ are needed")
    patients = {path.name: path for path in subfolders(scans)}
    masks = _masks(truth)
    if bare := sorted(patients.keys() - masks.keys()):
        raise UserError(f"{truth}: no mask of {some(bare)}; expected {bare[0]}.mat")
    if stray := sorted(masks.keys() - patients.keys()):
        raise UserError(f"{masks[stray[0]]}: no folder {stray[0]}/ in {scans}")
    volumes = [
        replace(read_volume(name, _slices(place), FUMPE.slug), mask=masks[name]) for name, place in patients.items()
    ]
    for volume in volumes:
        if volume.mask is not None and volume.mask.suffix.lower() != ".mat":  # to read one takes seconds
            check_mask(volume)
    return grouped(volumes, folder)


def _masks(truth: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in [*walk(truth, MASKS, depth=0), *(f for f in subfolders(truth) if dicom.holds_slices(f))]:
        name = path.name if path.is_dir() else path.name[: -len(ending(path))]
        if name in found:
            raise UserError(f"{path}: a second mask beside {found[name].name}; keep one of the two")
        found[name] = path
    return found


def _slices(patient: Path) -> Path:
    """The folder with the slices: the patient's, or the only one in it that has any."""
    if dicom.holds_slices(patient):
        return patient
    inside = [path for path in subfolders(patient) if dicom.holds_slices(path)]
    if len(inside) != 1:
        raise UserError(f"{patient}: {len(inside)} folders with DICOM slices in it; one is needed")
    return inside[0]


def _look(folder: Path) -> bool:
    return child(folder, *SCANS) is not None and child(folder, *TRUTH) is not None


FUMPE = VolumeSource(
    slug="fumpe",
    title="FUMPE (Masoudi et al., Scientific Data 2018)",
    counts="35 patients, of whom 33 have clots",
    groups="the patient",
    terms="CC BY 4.0",
    where="doi.org/10.1038/sdata.2018.180",
    layout="""
FOLDER/
  CT_scans/PAT001/*.dcm    the slices
  GroundTruth/PAT001.mat   the mask, variable Mask; or .nii.gz, .nrrd, PAT001/ of slices""",
    look=_look,
    read=find,
)
