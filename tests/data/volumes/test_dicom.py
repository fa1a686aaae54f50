"""DICOM series: what becomes a volume, what is left out, what is refused in one line."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from ct import SIZE, rotation, values, write_slices

from pycaffe_ext.data.volumes import dicom
from pycaffe_ext.data.volumes.dicom import read_series
from pycaffe_ext.errors import UserError


def read(folder):
    series = read_series(folder)
    return dicom.hounsfield(series.files, series.geometry.size), series


@pytest.mark.parametrize(
    ("signed", "slope", "offset"),
    [(True, 1, 0), (True, 1, -1024), (False, 1, -1024), (False, 2, -1024), (True, 0.5, -8)],
)
def test_hounsfield_units_of_signed_and_unsigned_slices(tmp_path, signed, slope, offset):
    volume = values() // 2 * 2
    write_slices(tmp_path, volume, signed=signed, slope=slope, offset=offset)
    found, series = read(tmp_path)
    assert found.dtype == np.int16
    assert np.array_equal(found, volume)
    assert series.notes == ()


def test_values_outside_the_scanners_circle_are_air(tmp_path):
    volume = values()
    volume[2, 3, 4] = -2000
    write_slices(tmp_path, volume, offset=0)
    assert read(tmp_path)[0][2, 3, 4] == -1024


def test_each_slice_has_its_own_slope(tmp_path):
    def change(one, i):
        one.RescaleSlope = 1 + i

    volume = values()
    write_slices(tmp_path, volume, slope=1, offset=0, change=change)
    factors = np.arange(1, len(volume) + 1)[:, None, None]
    assert np.array_equal(read(tmp_path)[0], np.maximum(volume * factors, -1024))


def test_slices_are_in_the_order_of_their_places_not_of_their_names(tmp_path):
    volume = values()
    write_slices(tmp_path, volume[::-1], places=np.arange(len(volume))[::-1] * 1.25)
    found, series = read(tmp_path)
    assert np.array_equal(found, volume)
    assert [path.name for path in series.files][:2] == ["D0006.dcm", "D0005.dcm"]
    assert np.allclose(series.geometry.origin, (-10, -20, 30))
    assert np.allclose(series.geometry.spacing, (0.7, 0.8, 1.25))


@pytest.mark.parametrize(
    "axes",
    [
        np.eye(3),
        np.diag([-1, -1, 1]),
        np.diag([1, -1, -1]),
        np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
        rotation(12) @ rotation(8, axis=0),
    ],
)
def test_a_landmark_keeps_its_place_under_any_axes(tmp_path, axes):
    volume = np.full(SIZE, -1000, np.int16)
    volume[4, 1, 6] = 500
    write_slices(tmp_path, volume, axes=axes)
    found, series = read(tmp_path)
    at = np.unravel_index(int(found.argmax()), found.shape)
    expected = np.array([-10, -20, 30]) + axes @ (np.array([6, 1, 4]) * [0.7, 0.8, 1.25])
    assert np.allclose(series.geometry.to_patient(at), expected, atol=1e-4)


def localiser(one, i):
    one.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def test_a_localiser_and_other_files_are_left_out_and_named(tmp_path):
    write_slices(tmp_path, values())
    write_slices(tmp_path, values()[:2, :3], series="9", names="scout{}.dcm", change=localiser)
    write_slices(
        tmp_path, values()[:1], series="8", names="dose{}.dcm", change=lambda one, i: setattr(one, "Modality", "SR")
    )
    (tmp_path / "DICOMDIR.txt").write_text("not a slice")
    found, series = read(tmp_path)
    assert np.array_equal(found, values())
    assert series.notes == (
        f"{tmp_path}: left out 1 file of modality SR (dose1.dcm)",
        f"{tmp_path}: left out 2 localisers (scout1.dcm)",
    )


def test_of_several_series_the_axial_one_with_most_slices(tmp_path):
    write_slices(tmp_path, values(), series="1")
    write_slices(tmp_path, values(1)[:3], series="2", names="thick{}.dcm", spacing=(0.7, 0.8, 2.5))
    coronal = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    write_slices(tmp_path, values(2, (9, 7, 8)), series="3", names="cor{}.dcm", axes=coronal)
    found, series = read(tmp_path)
    assert np.array_equal(found, values())
    assert series.notes == (f"{tmp_path}: 3 series; took the axial one with most slices (6), left out 9, 3 slices",)


def test_a_choice_between_equals_is_asked_for(tmp_path):
    write_slices(tmp_path, values(), series="1", number=4)
    write_slices(tmp_path, values(1), series="2", number=5, names="b{}.dcm")
    with pytest.raises(UserError, match="series 4 and 5 have 6 axial slices each; keep the files of one"):
        read_series(tmp_path)


def test_a_copied_file_counts_once(tmp_path):
    write_slices(tmp_path, values())
    shutil.copy(tmp_path / "D0002.dcm", tmp_path / "E.dcm")
    found, series = read(tmp_path)
    assert np.array_equal(found, values())
    assert series.notes == (f"{tmp_path / 'E.dcm'}: left out, a copy of D0002.dcm",)


@pytest.mark.parametrize("names", ["IM{}", "1.2.840.{:02d}"])
def test_files_without_an_ending_are_read(tmp_path, names):
    write_slices(tmp_path, values(), names=names)
    (tmp_path / "README").write_text("not a slice")
    assert np.array_equal(read(tmp_path)[0], values())


def spoil(tag, value, of=3):
    def change(one, i):
        if i == of:
            setattr(one, tag, value)

    return change


def tilted(one, i):
    x, y, z = (float(v) for v in one.ImagePositionPatient)
    one.ImagePositionPatient = [x, y + 0.3 * i, z]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"places": [0, 1, 2, 4, 5, 6]}, r"2.00 mm between D0003.dcm and D0004.dcm, elsewhere 1.00 mm \(1 missing\)"),
        ({"places": [0, 1, 2, 3, 4, 6.6]}, r"2.60 mm between .*\(spacings are mixed\)"),
        ({"places": [0, 1, 2, 3.4, 4.8, 6.2]}, "mixed spacings, 1.00 to 1.40 mm"),
        ({"places": [0, 1, 1, 2, 3, 4]}, "D0002.dcm and D0003.dcm lie at the same place"),
        ({"places": [0] * 6}, "lie at the same place"),
        ({"change": spoil("PixelSpacing", [0.9, 0.7])}, "D0004.dcm: pixels of 0.9 mm, but D0001.dcm has 0.8 mm"),
        ({"change": spoil("Rows", 9)}, "D0004.dcm: Rows 9, but D0001.dcm has 7"),
        ({"change": spoil("ImageOrientationPatient", [1, 0, 0, 0, 0.99, 0.141])}, "D0004.dcm: is not parallel"),
        ({"change": spoil("ImageOrientationPatient", None)}, "D0004.dcm: no ImageOrientationPatient"),
        ({"change": spoil("SamplesPerPixel", 3)}, "D0004.dcm: is in colour"),
        ({"change": spoil("BitsAllocated", 8)}, "D0004.dcm: has 8 bits a pixel"),
        ({"change": spoil("NumberOfFrames", 40)}, "D0004.dcm: has 40 frames"),
        ({"change": tilted}, "gantry tilt"),
        ({"axes": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])}, "no axial series"),
        ({"change": localiser}, r"no CT slices in it \(6 localisers \(D0001.dcm\) only\)"),
    ],
)
def test_what_is_no_volume(tmp_path, options, words):
    write_slices(tmp_path, values(), **options)
    with pytest.raises(UserError, match=words) as error:
        read_series(tmp_path)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path))


def test_places_that_are_rounded_are_even(tmp_path):
    places = np.round(np.arange(6) * 0.625, 1)
    write_slices(tmp_path, values(), places=places)
    assert read_series(tmp_path).geometry.spacing[2] == pytest.approx(0.62, abs=0.01)


def test_files_that_are_cut_off(tmp_path):
    write_slices(tmp_path, values())
    cut = tmp_path / "D0003.dcm"
    whole = cut.read_bytes()
    cut.write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match="D0003.dcm: not a DICOM file"):
        read_series(tmp_path)
    cut.write_bytes(whole[:-40])
    series = read_series(tmp_path)
    with pytest.raises(UserError, match="D0003.dcm: cannot be read as a volume, or is cut off"):
        dicom.hounsfield(series.files, series.geometry.size)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no CT slices in it"):
        read_series(tmp_path / "empty")


def test_a_series_without_air_is_not_in_hounsfield_units(tmp_path):
    """A slice may be without air, as one in the heart; a chest is not."""

    def change(one, i):
        del one.RescaleSlope, one.RescaleIntercept

    volume = values()
    volume[3] = np.maximum(volume[3], 0)
    write_slices(tmp_path / "right", volume)
    assert np.array_equal(read(tmp_path / "right")[0], volume)
    write_slices(tmp_path / "stored", volume, signed=False, change=change)
    with pytest.raises(
        UserError, match=r"/stored: has no value below -200 \(the least is 24\).*add its offset"
    ) as error:
        read(tmp_path / "stored")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("slope", "offset"), [("1", "-1024"), ("0.0039215686", "0"), ("2", "7")])
@pytest.mark.parametrize("value", [1, 255])
def test_a_masks_stored_values_count_whatever_its_rescale(tmp_path, slope, offset, value):
    """PixelData is put into copies of the CT's slices, whose slope and intercept stay."""

    def change(one, i):
        one.RescaleSlope, one.RescaleIntercept = slope, offset

    mask = np.zeros(SIZE, np.int16)
    mask[2, 3:5, 4] = value
    write_slices(tmp_path, mask, offset=0, change=change)
    series = read_series(tmp_path, mask=True)
    assert np.array_equal(dicom.mask_values(series.files, SIZE), mask)


def test_masks_whose_stored_values_are_no_numbers_of_clots(tmp_path):
    mask = np.zeros(SIZE, np.int16)
    mask[2, 3, 4] = -1
    write_slices(tmp_path / "below", mask, offset=0)
    series = read_series(tmp_path / "below", mask=True)
    with pytest.raises(UserError, match=r"D0003.dcm: is not a mask: it has values other than 0, 1, 2"):
        dicom.mask_values(series.files, SIZE)
    write_slices(tmp_path / "raised", np.abs(mask), offset=-1024)  # 1024 where no clot is
    series = read_series(tmp_path / "raised", mask=True)
    with pytest.raises(UserError, match=r"/raised: no stored value of the mask is 0 \(the least is 1024\); store 0"):
        dicom.mask_values(series.files, SIZE)


def test_a_mask_that_is_cut_off(tmp_path):
    write_slices(tmp_path, np.zeros(SIZE, np.int16), offset=0)
    cut = tmp_path / "D0003.dcm"
    cut.write_bytes(cut.read_bytes()[:-40])
    series = read_series(tmp_path, mask=True)
    with pytest.raises(UserError, match=r"D0003.dcm: cannot be read as a volume, or is cut off"):
        dicom.mask_values(series.files, SIZE)
