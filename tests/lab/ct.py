"""Miniature CT volumes and DICOM series for tests."""

from __future__ import annotations

import numpy as np

SIZE = (6, 7, 8)  # z, y, x


def values(seed=0, size=SIZE):
    """(z, y, x) int16 Hounsfield units with air in them."""
    found = np.random.default_rng(seed).integers(-900, 600, size).astype(np.int16)
    found[0, 0, 0] = -1000
    return found


def write_slices(  # noqa: PLR0913 - a scanner has many settings
    folder,
    volume,
    *,
    spacing=(0.7, 0.8, 1.25),
    origin=(-10.0, -20.0, 30.0),
    axes=None,
    signed=True,
    slope=1,
    offset=-1024,
    series="1.2.3",
    number=1,
    names="D{:04d}.dcm",
    places=None,
    change=None,
):
    """A DICOM file for each slice of (z, y, x) `volume` in Hounsfield units, as a scanner writes CT.

    spacing : x, y, z.   axes : (3, 3), columns the directions of x, y, z.   places : steps from the origin along the
    z axis in mm of each slice.   change : (dataset, slice number) -> None, to spoil it.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    axes = np.eye(3) if axes is None else np.asarray(axes, float)
    places = np.arange(len(volume)) * spacing[2] if places is None else places
    for i, (plane, place) in enumerate(zip(volume, places, strict=True)):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = CTImageStorage
        one.SOPInstanceUID = generate_uid(entropy_srcs=[str(folder), series, str(i)])
        one.SeriesInstanceUID, one.SeriesNumber, one.Modality = series, number, "CT"
        one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.Rows, one.Columns = plane.shape
        one.PixelSpacing = [spacing[1], spacing[0]]
        one.ImagePositionPatient = [f"{v:.6f}" for v in np.asarray(origin) + axes[:, 2] * place]
        one.ImageOrientationPatient = [f"{v:.8f}" for v in [*axes[:, 0], *axes[:, 1]]]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, int(signed)
        one.RescaleSlope, one.RescaleIntercept = slope, offset
        stored = np.rint((plane.astype(float) - offset) / slope)
        one.PixelData = stored.astype(np.int16 if signed else np.uint16).tobytes()
        if change is not None:
            change(one, i)
        one.save_as(folder / names.format(i + 1), enforce_file_format=True)


def rotation(degrees, axis=2):
    """(3, 3) rotation about the patient's x, y or z axis."""
    a = np.radians(degrees)
    found = np.eye(3)
    i, j = [k for k in range(3) if k != axis]
    found[i, i] = found[j, j] = np.cos(a)
    found[i, j], found[j, i] = -np.sin(a), np.sin(a)
    return found
