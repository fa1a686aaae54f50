"""Data sets of CT volumes as users have them: what is read, and what is refused in one line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ct import SIZE, rotation, values, write_slices
from scipy.io import savemat

from pycaffe_ext.data import volumes
from pycaffe_ext.data.volumes import clots, image_files
from pycaffe_ext.data.volumes.geometry import Geometry, oriented
from pycaffe_ext.data.volumes.window import EMBOLISM, Window, windowed
from pycaffe_ext.errors import UserError

GRID = Geometry(SIZE, (0.7, 0.8, 1.25), (-10.0, -20.0, 30.0))
GRID_OF_FIVE = Geometry((5, 7, 8), GRID.spacing, GRID.origin)
TURNED = Geometry(SIZE, (0.7, 0.8, 1.25), (5.0, 6.0, 7.0), tuple((rotation(25) @ np.diag([-1, -1, 1])).ravel()))


def write(path, array, geometry=GRID):
    path.parent.mkdir(parents=True, exist_ok=True)
    image_files.write(path, array, geometry)
    return path


def drawn(*voxels, size=SIZE, value=1):
    mask = np.zeros(size, np.uint8)
    for voxel in voxels:
        mask[voxel] = value
    return mask


def refused(folder, words, dataset=None):
    with pytest.raises(UserError, match=words) as error:
        volumes.find(folder, dataset)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", image_files.SUFFIXES)
def test_every_format_keeps_values_and_place(tmp_path, ending):
    path = write(tmp_path / f"a{ending}", values(), TURNED)
    assert np.array_equal(image_files.hounsfield(path), values())
    assert image_files.geometry_of(path).same(TURNED)
    assert len(image_files.parts(path)) == (2 if ending in image_files.BESIDE else 1)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32, np.float64])
def test_types_of_voxels(tmp_path, kind):
    path = write(tmp_path / "a.nrrd", (values() - (3000 if kind is not np.int16 else 0)).astype(kind))
    expected = values() if kind is np.int16 else np.maximum(values().astype(int) - 3000, -1024)
    assert np.array_equal(image_files.hounsfield(path), expected)


def test_niftis_slope_and_offset_are_applied(tmp_path):
    path = write(tmp_path / "a.nii", (values().astype(int) + 1024).astype(np.uint16))
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([1.0, -1024.0], np.float32).tobytes()  # scl_slope, scl_inter
    path.write_bytes(raw)
    assert np.array_equal(image_files.hounsfield(path), values())


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (values().astype(np.uint8), "8 bits a voxel; Hounsfield units need 16"),
        ((values().astype(int) + 1024).astype(np.uint16), r"no value below -200 \(the least is 24\).*add its offset"),
        (np.where(values() > 500, np.nan, values()).astype(np.float32), "a value that is not finite"),
    ],
)
def test_voxels_that_are_no_hounsfield_units(tmp_path, array, words):
    path = write(tmp_path / "a.mha", array)
    with pytest.raises(UserError, match=words) as error:
        image_files.hounsfield(path)
    assert str(error.value).startswith(f"{path}: ")


def test_files_that_are_no_volume(tmp_path):
    import SimpleITK as sitk  # noqa: N813

    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True), tmp_path / "colour.mha")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 6), np.int16)), tmp_path / "flat.mha")
    (tmp_path / "text.nii.gz").write_text("no volume")
    for name, words in (
        ("colour.mha", "3 values a voxel, as colours have"),
        ("flat.mha", "has 2 axes; a volume has three"),
        ("text.nii.gz", "cannot be read as a volume, or is cut off"),
        ("none.nrrd", "no such file"),
    ):
        with pytest.raises(UserError, match=words) as error:
            image_files.geometry_of(tmp_path / name)
        assert "\n" not in str(error.value)


def test_niftis_axes_that_are_sheared(tmp_path):
    path = write(tmp_path / "a.nii", values())
    raw = bytearray(path.read_bytes())
    raw[252:256] = np.array([0, 1], np.int16).tobytes()  # no quaternion, but an affine matrix
    raw[280:328] = np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], np.float32).tobytes()
    path.write_bytes(raw)
    with pytest.raises(UserError, match="a.nii: has axes that are not perpendicular"):
        image_files.geometry_of(path)


def test_windows():
    found = windowed(np.array([-1000, -250, 100, 450, 3000]), EMBOLISM)
    assert found.tolist() == [0, 0, 128, 255, 255]
    assert windowed(np.array([10]), Window(0, 40))[0] == 191


# --- clots --------------------------------------------------------------------------------------------------------


def test_parts_of_one_value_or_values_of_several():
    touching = drawn((1, 1, 1), (2, 2, 2), (4, 4, 4))  # the first two by a corner
    assert np.unique(clots.numbered(touching), return_counts=True)[1].tolist()[1:] == [2, 1]
    assert np.array_equal(clots.numbered(touching * 255), clots.numbered(touching))
    several = drawn((1, 1, 1), (4, 4, 4), value=3) + drawn((1, 1, 2), value=7)
    found = clots.numbered(several)
    assert (found[1, 1, 1], found[4, 4, 4], found[1, 1, 2], found.max()) == (1, 1, 2, 2)
    assert clots.numbered(drawn()).max() == 0
    assert clots.numbered(np.full((2, 2, 2), 5)).tolist() == np.ones((2, 2, 2)).tolist()


def test_a_point_in_a_clot_near_one_and_off():
    labels = clots.numbered(drawn((1, 1, 1), (4, 5, 6)))
    at = TURNED.to_patient([(4, 5, 6), (4, 5, 7), (1, 1, 1.4), (0, 0, 4), (99, 0, 0)])
    assert clots.clot_in_mask(labels, TURNED, at, within=0).tolist() == [2, 0, 1, 0, 0]
    assert clots.clot_in_mask(labels, TURNED, at, within=0.71).tolist() == [2, 2, 1, 0, 0]
    assert clots.clot_in_mask(clots.numbered(drawn()), TURNED, at, within=5).tolist() == [0] * 5


def test_the_nearest_position_within_reach():
    positions = np.array([[0.0, 0, 0], [10, 0, 0]])
    points = np.array([[4.9, 0, 0], [5.1, 0, 0], [0, 5.1, 0], [10, 0, -5]])
    assert clots.clot_at_positions(positions, points).tolist() == [1, 2, 0, 2]
    assert clots.clot_at_positions(np.zeros((0, 3)), points).tolist() == [0] * 4


def test_sizes_in_mm():
    found = clots.sizes(clots.numbered(drawn((1, 1, 1), (1, 1, 2), (1, 2, 2), (4, 4, 4))), GRID)
    assert np.allclose(found, [[3 * 0.7, 1.4, 1.6, 1.25], [0.7, 0.7, 0.8, 1.25]])


# --- any folder ---------------------------------------------------------------------------------------------------


@pytest.fixture()
def plain(tmp_path):
    """Two volumes of patient a, one of patient b; the last without clots."""
    for i, name in enumerate(("a/1", "a/2", "b/1")):
        write(tmp_path / "volumes" / f"{name}.nii.gz", values(i), TURNED)
        write(tmp_path / "masks" / f"{name}.nii.gz", drawn((1, 2, 3)) if i < 2 else drawn(), TURNED)
    return tmp_path


def test_any_folder(plain):
    found = volumes.find(plain)
    assert [(v.name, v.group, v.source) for v in found] == [
        ("a/1", "a", "volumes"),
        ("a/2", "a", "volumes"),
        ("b/1", "b", "volumes"),
    ]
    assert np.array_equal(found[1].hounsfield(), values(1))
    hits, count = found[0].clots_at(TURNED.to_patient([(1, 2, 3), (1, 2, 2)]), within=0)
    assert (hits.tolist(), count) == ([1, 0], 1)
    assert found[2].clots_at(np.zeros((2, 3)))[1] == 0
    assert found[0].picture().shape == (*SIZE[1:], 3)
    assert found[0].picture().dtype == np.uint8


def test_finding_reads_no_voxels(plain, monkeypatch):
    monkeypatch.setattr(image_files, "_array", lambda path: pytest.fail(f"{path} was read"))
    assert len(volumes.find(plain)) == 3


def test_a_changed_mask_or_group_changes_the_content(plain):
    first = [v.content() for v in volumes.find(plain)]
    write(plain / "masks/a/2.nii.gz", drawn((1, 2, 4)), TURNED)
    (plain / "groups.csv").write_text("volume,group\na/1,a\na/2,a\nb/1,c\n")
    second = [v.content() for v in volumes.find(plain)]
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, False, False]


def test_folders_of_slices_and_files_side_by_side(tmp_path):
    write_slices(tmp_path / "volumes/p1/ct", values())
    write(tmp_path / "volumes/p2.nrrd", values(1))
    write(tmp_path / "masks/p1/ct.nii.gz", drawn((1, 2, 3)))
    write(tmp_path / "masks/p2.mha", drawn())
    found = volumes.find(tmp_path)
    assert [(v.name, v.group, len(v.files)) for v in found] == [("p1/ct", "p1", 6), ("p2", "p2", 1)]
    assert np.array_equal(found[0].hounsfield(), values())
    assert found[0].clots_at(GRID.to_patient([(1, 2, 3)]))[0].tolist() == [1]


def test_masks_of_another_size_or_geometry(plain):
    write(plain / "masks/a/2.nii.gz", drawn((0, 0, 0), size=(6, 7, 9)), Geometry((6, 7, 9), TURNED.spacing))
    words = refused(plain, "the mask has 9 x 7 x 6 voxels, its volume 8 x 7 x 6")
    assert words.startswith(str(plain / "masks/a/2.nii.gz"))
    write(plain / "masks/a/2.nii.gz", drawn(), GRID)
    refused(plain, r"another geometry \(0.7/0.8/1.25 mm from -10/-20/30; volume: .* from 5/6/7, turned axes\)")


def test_masks_and_volumes_that_lack_each_other(plain):
    (plain / "masks/b/1.nii.gz").unlink()
    refused(plain, "no mask of b/1; a volume without clots needs a mask of zeros")
    write(plain / "masks/b/1.nii.gz", drawn(), TURNED)
    write(plain / "masks/b/2.nii.gz", drawn(), TURNED)
    refused(plain, "b/2.nii.gz: no volume of this name")


def test_a_volume_twice_and_what_is_no_volume(plain):
    write(plain / "volumes/b/1.mha", values(), TURNED)
    refused(plain, "same name as 1")
    (plain / "volumes/b/1.mha").unlink()
    (plain / "volumes/b/1.png").write_bytes(b"")
    refused(plain, "files ending in .png are not read here")


@pytest.fixture()
def positions(plain):
    """The same, with points instead of masks."""
    import shutil

    shutil.rmtree(plain / "masks")
    x, y, z = TURNED.to_patient([1, 2, 3])
    (plain / "positions.csv").write_text(f"volume,x,y,z\na/1,{x},{y},{z}\na/1,5,6,7\na/2.nii.gz,5,6,7\nb/1,,,\n")
    return plain


def test_positions_instead_of_masks(positions):
    found = volumes.find(positions)
    assert [len(v.positions) for v in found] == [2, 1, 0]
    near = TURNED.to_patient([(1, 2, 4), (5, 6, 7)])
    assert replace(found[0], reach=1.0).clots_at(near)[0].tolist() == [1, 0]
    assert found[0].clots_at(near)[1] == 2
    assert found[0].labels() is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("volume,x,y,z\na/1,5,6,7\n", "no line for a/2, b/1; a volume without clots has a line with"),
        ("volume,x,y,z\nc,5,6,7\n", "line 2: no volume 'c'"),
        ("volume,x,y,z\na/1,5,six,7\n", "line 2: x, y, z are numbers in mm"),
        ("volume,x,y,z\na/1,5,,7\n", "line 2: x, y, z are numbers in mm"),
        ("volume,x,y,z\na/1,5,nan,7\n", r"line 2: \(5, nan, 7\) mm is not in volume a/1"),
        ("volume,x,y,z\na/1,-5,-6,7\n", "not in volume a/1 .*RAS instead of LPS"),
        ("frame,x\na/1,5\n", "needs the header `volume,x,y,z`"),
    ],
)
def test_positions_that_do_not_fit(positions, text, words):
    (positions / "positions.csv").write_text(text)
    assert refused(positions, words).startswith(str(positions / "positions.csv"))


def test_masks_and_positions_together_or_none(positions):
    write(positions / "masks/a/1.nii.gz", drawn())
    refused(positions, "holds masks/ and positions.csv; keep one of the two")


def test_what_is_no_data_set(tmp_path):
    (tmp_path / "volumes").mkdir()
    refused(tmp_path, "expected volumes/ with masks/ or positions.csv")
    (tmp_path / "masks").mkdir()
    refused(tmp_path, "no volume in it")
    refused(tmp_path, "did you mean 'fumpe'", "fump")


# --- published sets -----------------------------------------------------------------------------------------------


def write_fumpe(home, name, volume, mask, backwards=False, **options):
    """The mask's slices follow the files' names, which may run against their places."""
    order = slice(None, None, -1) if backwards else slice(None)
    write_slices(home / "CT_scans" / name, volume[order], places=(np.arange(len(volume)) * 1.25)[order], **options)
    (home / "GroundTruth").mkdir(exist_ok=True)
    savemat(home / f"GroundTruth/{name}.mat", {"Mask": np.moveaxis(mask[order], 0, 2)})


def test_fumpe_whichever_way_its_files_are_numbered(tmp_path):
    mask = drawn((1, 2, 3), (1, 2, 4), (5, 6, 7))
    write_fumpe(tmp_path, "PAT001", values(), mask)
    write_fumpe(tmp_path, "PAT002", values(1), mask, backwards=True, names="D{}.dcm")
    write_fumpe(tmp_path, "PAT003", values(2), drawn())
    found = volumes.find(tmp_path)
    assert [(v.group, v.source) for v in found] == [(f"PAT00{i}", "fumpe") for i in (1, 2, 3)]
    for volume, seed in zip(found, (0, 1), strict=False):
        assert np.array_equal(volume.hounsfield(), values(seed))
        assert np.array_equal(volume.labels() > 0, mask > 0)
    assert found[2].labels().max() == 0


def test_fumpe_of_many_slices_is_sorted_as_people_count(tmp_path):
    volume, mask = values(0, (12, 4, 5)), drawn((10, 1, 2), size=(12, 4, 5))
    write_fumpe(tmp_path, "PAT001", volume, mask, names="D{}.dcm")
    assert np.array_equal(volumes.find(tmp_path)[0].labels(), mask)


def test_fumpe_with_masks_of_other_kinds(tmp_path):
    import h5py

    mask = drawn((1, 2, 3))
    for name in ("PAT001", "PAT002", "PAT003"):
        write_fumpe(tmp_path, name, values(), mask)
    truth = tmp_path / "GroundTruth"
    (truth / "PAT001.mat").unlink()
    write(truth / "PAT001.nii.gz", mask)
    (truth / "PAT002.mat").unlink()
    write_slices(truth / "PAT002", mask, offset=0)
    with h5py.File(truth / "PAT003.mat", "w", userblock_size=512) as file:  # MATLAB 7.3
        file["Mask"] = np.moveaxis(mask, 0, 2).T
    with (truth / "PAT003.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    for volume in volumes.find(tmp_path):
        assert np.array_equal(volume.labels(), mask)


def test_fumpe_that_is_spoiled(tmp_path):
    write_fumpe(tmp_path, "PAT001", values(), drawn()[:, :, :7])
    with pytest.raises(UserError, match=r"PAT001.mat: Mask is 7 x 7 x 6, its volume 7 x 8 x 6 \(y, x, slices\)"):
        volumes.find(tmp_path)[0].labels()
    savemat(tmp_path / "GroundTruth/PAT001.mat", {"GT": drawn()})
    with pytest.raises(UserError, match="no variable Mask"):
        volumes.find(tmp_path)[0].labels()
    (tmp_path / "GroundTruth/PAT001.mat").write_bytes(b"no")
    with pytest.raises(UserError, match="not a MATLAB file, or cut off"):
        volumes.find(tmp_path)[0].labels()
    (tmp_path / "GroundTruth/PAT001.mat").unlink()
    refused(tmp_path, "no mask of PAT001; expected PAT001.mat")
    savemat(tmp_path / "GroundTruth/PAT009.mat", {"Mask": drawn()})
    savemat(tmp_path / "GroundTruth/PAT001.mat", {"Mask": drawn()})
    refused(tmp_path, "PAT009.mat: no folder PAT009/")


def test_cad_pe_by_number_and_by_voxel(tmp_path):
    """Its masks belong to volumes voxel by voxel, whatever their headers state, and have a value for each clot."""
    mask = drawn((1, 2, 3), value=1) + drawn((1, 2, 4), value=2)
    write(tmp_path / "images/001.nrrd", values(), TURNED)
    write(tmp_path / "rs/0001RefStd.nrrd", mask, Geometry(SIZE, (1.0, 1.0, 1.0)))
    write(tmp_path / "images/e0032.nrrd", values(1))
    write(tmp_path / "rs/e0032RefStd.nrrd", drawn())
    found = volumes.find(tmp_path)
    assert [(v.name, v.source) for v in found] == [("001", "cad-pe"), ("e0032", "cad-pe")]
    assert found[0].clots_at(TURNED.to_patient([(1, 2, 3), (1, 2, 4)]))[0].tolist() == [1, 2]
    write(tmp_path / "images/002.nrrd", values(2))
    refused(tmp_path, "no reference standard of 002")


def test_rsna_is_recognised_and_answered(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train.csv").write_text(
        "StudyInstanceUID,SeriesInstanceUID,SOPInstanceUID,pe_present_on_image\n1,2,3,0\n"
    )
    refused(tmp_path, "says which slices show an embolism .* not where; .* with `folder`")


# --- the same scan in two files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", ["LPS", "LAS", "RAS", "RPI"])
def test_a_scan_looks_the_same_whatever_the_order_of_its_voxels(tmp_path, axes):
    """dcm2niix stores rows from the back to the front; near-duplicates are recognised by the picture."""
    volume = values(size=(5, 7, 8))  # an odd number of slices has one in the middle
    write_slices(tmp_path / "volumes/series", volume)
    stored = oriented(Geometry(volume.shape, (0.7, 0.8, 1.25), (-10.0, -20.0, 30.0)), axes)
    flip = tuple(slice(None, None, -1 if letter in "IAR" else 1) for letter in axes[::-1])
    write(tmp_path / "volumes/file.nii.gz", volume[flip], stored)
    for name in ("series", "file"):
        write(tmp_path / f"masks/{name}.nii.gz", drawn(size=volume.shape), stored if name == "file" else GRID_OF_FIVE)
    file, series = volumes.find(tmp_path)
    assert (file.name, series.name) == ("file", "series")
    assert np.array_equal(file.picture(), series.picture())


def test_a_mask_in_copies_of_the_scans_slices(tmp_path):
    """Their rescale intercept is still the scan's; the background is no clot."""

    def change(one, i):
        one.RescaleIntercept = -1024

    write_slices(tmp_path / "volumes/p1", values())
    write_slices(tmp_path / "masks/p1", drawn((2, 3, 4)), offset=0, change=change)
    (volume,) = volumes.find(tmp_path)
    assert np.array_equal(volume.labels(), drawn((2, 3, 4)))
