"""Data sets of artery walls as users have them: what is read, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from pycaffe_ext.data import boundaries
from pycaffe_ext.data.boundaries import cubs, folder, reading, ucy
from pycaffe_ext.errors import UserError

SHARED = Path(__file__).parents[4] / "shared" / "data" / "ucy-imt"
SIZE = (60, 80)
X = np.arange(5, 75, 7)
LI, MA = 30 + X / 20, 40 + X / 20


def picture(seed=0, size=SIZE):
    return np.random.default_rng(seed).integers(0, 90, size, np.uint8)


def write_picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


# --- any folder ---------------------------------------------------------------------------------------------------


def table(li=LI, ma=MA, extra=""):
    lines = [f"LI,{x},{y:.3f}" for x, y in zip(X, li, strict=True)] + [
        f"media-adventitia,{x},{y:.3f}" for x, y in zip(X, ma, strict=True)
    ]
    head = "boundary,x,y" + (",width,height" if extra else "")
    return "\n".join([head, *(line + extra for line in lines)]) + "\n"


@pytest.fixture()
def plain(tmp_path):
    """Two images of patient a, one of patient b."""
    for i, name in enumerate(("a/1", "a/2", "b/1")):
        write_picture(tmp_path / "images" / f"{name}.png", picture(i))
        place = tmp_path / "boundaries" / f"{name}.csv"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(table())
    (tmp_path / "calibration.csv").write_text("frame,mm_per_pixel\n*,0.06\nb/1,0.05\n")
    return tmp_path


def test_any_folder(plain):
    found = boundaries.find(plain, progress=False)
    assert [(image.name, image.group, image.mm_per_pixel) for image in found] == [
        ("a/1", "a", 0.06),
        ("a/2", "a", 0.06),
        ("b/1", "b", 0.05),
    ]
    curves = found[0].curves()
    assert np.allclose(curves.li, 30 + curves.x / 20, atol=1e-3)
    assert np.allclose(curves.thickness(0.06), 0.6)
    grey, marks = found[0].scan()
    assert grey.shape == marks.mask.shape == SIZE
    assert found[0].picture().shape == (*SIZE, 3)


def test_a_patients_folders_are_one_group(plain):
    """images/PATIENT/SIDE/NAME: the patient, not the side, must not be on two sides of a split."""
    for home in ("images", "boundaries"):
        (plain / home / "a").rename(plain / home / "left")
        (plain / home / "b").rename(plain / home / "right")
        (plain / home / "p").mkdir()
        for side in ("left", "right"):
            (plain / home / side).rename(plain / home / "p" / side)
    (plain / "calibration.csv").write_text("frame,mm_per_pixel\n*,0.06\n")
    assert [(image.name, image.group) for image in boundaries.find(plain, progress=False)] == [
        ("p/left/1", "p"),
        ("p/left/2", "p"),
        ("p/right/1", "p"),
    ]


def test_a_changed_boundary_or_spacing_changes_the_content(plain):
    first = [image.content() for image in boundaries.find(plain, progress=False)]
    (plain / "calibration.csv").write_text("frame,mm_per_pixel\n*,0.06\n")
    (plain / "boundaries/a/1.csv").write_text(table(ma=MA + 0.01))
    second = [image.content() for image in boundaries.find(plain, progress=False)]
    assert [a == b for a, b in zip(first, second, strict=True)] == [False, True, False]


def test_groups_of_a_table_win_and_equal_images_are_joined(plain):
    (plain / "groups.csv").write_text("frame,group\na/1,p\na/2,q\nb/1,r\n")
    write_picture(plain / "images/b/1.png", picture(0))
    assert [image.group for image in boundaries.find(plain, progress=False)] == ["p", "q", "p"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (table(li=MA, ma=LI), "cross at x = 5: LI"),
        (table(ma=MA + 20), "outside the image of 80 x 60"),
        (table(extra=",80,61"), "drawn on an image with height 61, this one has 60"),
        ("boundary,x,y\nLI,1,2\nLI,70,3\n", "no points of MA"),
        ("boundary,x,y\nlumen,1,2\n", "line 2: boundary 'lumen' is not known"),
        ("boundary,x,y\nLI,1,a\n", "line 2: y 'a' is not a number"),
        ("boundary,x,y\nLI,1,nan\nMA,1,5\n", "not a finite number"),
        ("x,y\n1,2\n", "needs the header `boundary,x,y`"),
    ],
)
def test_boundaries_that_do_not_fit(plain, text, words):
    (plain / "boundaries/a/2.csv").write_text(text)
    with pytest.raises(UserError, match=words) as error:
        boundaries.find(plain, progress=False)
    assert str(error.value).startswith(str(plain / "boundaries/a/2.csv"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "a/1.png: no mm per pixel; write .*calibration.csv"),
        ("frame,mm_per_pixel\na/1,0.06\n", "a/2.png: no mm per pixel"),
        ("frame,mm_per_pixel\n*,60\n", "line 2: 60 mm per pixel"),
        ("frame,mm_per_pixel\n*,nan\n", "line 2: nan mm per pixel"),
        ("frame,mm_per_pixel\nc,0.06\n", "no image 'c'"),
        ("frame,mm_per_pixel\n*,0.06\n*,0.07\n", "listed twice"),
    ],
)
def test_calibrations_that_do_not_fit(plain, text, words):
    (plain / "calibration.csv").unlink()
    if text is not None:
        (plain / "calibration.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        boundaries.find(plain, progress=False)


def test_an_image_without_boundaries_and_boundaries_without_an_image(plain):
    (plain / "boundaries/b/1.csv").rename(plain / "boundaries/b/2.csv")
    with pytest.raises(UserError, match="no boundaries of b/1"):
        boundaries.find(plain, progress=False)
    write_picture(plain / "images/b/3.png", picture())
    (plain / "images/b/1.png").unlink()
    (plain / "images/b/3.png").rename(plain / "images/b/2.png")
    (plain / "boundaries/b/9.csv").write_text(table())
    with pytest.raises(UserError, match=r"b/9.csv: no image of this name"):
        boundaries.find(plain, progress=False)


def test_colour_doppler_is_refused_and_a_coloured_mark_is_not(plain):
    colours = cv2.cvtColor(picture(), cv2.COLOR_GRAY2BGR)
    colours[10:13, 10:13] = (0, 255, 255)
    write_picture(plain / "images/a/1.png", colours)
    found = boundaries.find(plain, progress=False)
    assert found[0].scan()[1].mask[10:13, 10:13].all()
    colours[20:40, 20:60] = (0, 0, 200)
    write_picture(plain / "images/a/1.png", colours)
    with pytest.raises(UserError, match=r"a/1.png: 16.9 % of its pixels are coloured, as in colour Doppler"):
        boundaries.find(plain, progress=False)


def test_sixteen_bits_are_read_by_their_range(tmp_path):
    write_picture(tmp_path / "twelve.png", picture().astype(np.uint16) * 16)
    write_picture(tmp_path / "sixteen.png", picture().astype(np.uint16) * 257 + 4096)
    assert np.abs(reading.read(tmp_path / "twelve.png").grey.astype(int) - picture()).max() <= 1
    assert np.abs(reading.read(tmp_path / "sixteen.png").grey.astype(int) - picture() - 16).max() <= 1


def test_folders_that_hold_no_such_set(tmp_path, plain):
    with pytest.raises(UserError, match="no such folder"):
        boundaries.find(plain / "none")
    with pytest.raises(UserError, match="is a file"):
        boundaries.find(plain / "calibration.csv")
    with pytest.raises(UserError, match="holds a/, b/; expected images/ and boundaries/"):
        boundaries.find(plain / "images")
    with pytest.raises(UserError, match="did you mean 'walls'"):
        boundaries.find(plain, "wals")


# --- DICOM --------------------------------------------------------------------------------------------------------


def dicom(path, pixels, **tags):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.sequence import Sequence
    from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.SOPClassUID, found.SOPInstanceUID = UltrasoundImageStorage, generate_uid(entropy_srcs=["test"])
    found.Rows, found.Columns = pixels.shape[:2]
    found.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    found.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        found.PlanarConfiguration = 0
    found.BitsAllocated = found.BitsStored = 8 * pixels.itemsize
    found.HighBit, found.PixelRepresentation = found.BitsStored - 1, 0
    regions = tags.pop("regions", ())
    if regions:
        items = []
        for down, across, unit in regions:
            item = Dataset()
            item.PhysicalDeltaY, item.PhysicalDeltaX = down, across
            item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = unit
            items.append(item)
        found.SequenceOfUltrasoundRegions = Sequence(items)
    for name, value in tags.items():
        setattr(found, name, value)
    found.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save_as(path, enforce_file_format=True)


def test_a_dicom_file_states_its_spacing(plain):
    (plain / "images/b/1.png").unlink()
    (plain / "calibration.csv").write_text("frame,mm_per_pixel\na/1,0.06\na/2,0.06\n")
    dicom(plain / "images/b/1.dcm", picture(2), regions=[(0.5, 0.5, 4), (0.0055, 0.0055, 3)])
    found = boundaries.find(plain, progress=False)[-1]
    assert found.mm_per_pixel == pytest.approx(0.055)
    assert np.array_equal(reading.read(found.path).grey, picture(2))


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({}, "no spacing in this DICOM file"),
        ({"regions": [(0.005, 0.006, 3)]}, "0.05 x 0.06 mm; resample it"),
        ({"PixelSpacing": [0, 0]}, "spacing of 0 x 0 mm"),
    ],
)
def test_dicom_files_without_a_spacing_that_can_be_used(tmp_path, tags, words):
    dicom(tmp_path / "1.dcm", picture(), **tags)
    with pytest.raises(UserError, match=words) as error:
        reading.stated_spacing(tmp_path / "1.dcm")
    assert str(error.value).startswith(str(tmp_path / "1.dcm"))


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes_are_looked_up(tmp_path, bits):
    """Index i stands for the grey 255 - 4 i; a coloured palette is colour Doppler."""
    index = picture() % 64
    kind, scale = (np.uint8, 1) if bits == 8 else (np.uint16, 257)
    lut = np.zeros(256, kind)
    lut[:64] = (255 - 4 * np.arange(64)) * scale

    def write(name, red):
        tags = {"PhotometricInterpretation": "PALETTE COLOR"}
        for colour, values in (("Red", red), ("Green", lut), ("Blue", lut)):
            tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
            tags[f"{colour}PaletteColorLookupTableData"] = values.tobytes()
        dicom(tmp_path / name, index, **tags)
        return tmp_path / name

    assert np.array_equal(reading.read(write("grey.dcm", lut)).grey, 255 - 4 * index)
    with pytest.raises(UserError, match="% of its pixels are coloured, as in colour Doppler"):
        reading.read(write("colour.dcm", np.zeros(256, kind)))


def test_dicom_pixels_by_window_and_by_range(tmp_path):
    deep = picture().astype(np.uint16) * 100
    dicom(tmp_path / "range.dcm", deep, PixelSpacing=[0.06, 0.06])
    assert np.abs(reading.read(tmp_path / "range.dcm").grey - deep / 65535 * 255).max() <= 0.51
    dicom(tmp_path / "window.dcm", deep, WindowCenter=4500, WindowWidth=9000)
    expected = np.clip((deep - 4499.5) / 8999 + 0.5, 0, 1) * 255
    assert np.abs(reading.read(tmp_path / "window.dcm").grey - expected).max() <= 0.51
    dicom(tmp_path / "inverted.dcm", picture(), PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(reading.read(tmp_path / "inverted.dcm").grey, 255 - picture())
    assert reading.read(tmp_path / "range.dcm").mm_per_pixel == 0.06
    colours = np.repeat(picture()[..., None], 3, axis=2)
    dicom(tmp_path / "grey-rgb.dcm", colours)
    assert np.array_equal(reading.read(tmp_path / "grey-rgb.dcm").grey, picture())
    assert reading.size_of(tmp_path / "grey-rgb.dcm") == SIZE


def test_dicom_files_that_are_refused(tmp_path):
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[:20, :, 0] = 200
    dicom(tmp_path / "doppler.dcm", colours)
    dicom(tmp_path / "clip.dcm", picture(), NumberOfFrames=7)
    (tmp_path / "text.dcm").write_text("no DICOM")
    for name, words in (
        ("doppler", "33.3 % of its pixels are coloured"),
        ("clip", "7 frames"),
        ("text", "not a DICOM file"),
    ):
        with pytest.raises(UserError, match=words):
            reading.read(tmp_path / f"{name}.dcm")


# --- University of Cyprus -----------------------------------------------------------------------------------------


def write_ucy(home, name, seed=0, thickness=None, day="2002:02:04 09:27:44", **fields):
    import tifffile

    x, y = (np.ravel(np.column_stack(pair)) + 1.0 for pair in ((X, X), (LI, MA)))
    exact = float(np.mean(MA - LI) * 0.06)
    content = {"Param_3": x[:, None], "Param_4": y[:, None], "scale": 0.06, "imt_thikn": thickness or exact}
    savemat(home / f"{name}.scl", {**content, **fields}, appendmat=False)
    tifffile.imwrite(home / f"{name}.CRI", picture(seed), datetime=day)


def test_ucy_points_scale_and_groups(tmp_path):
    write_ucy(tmp_path, "AAAAA", 1)
    write_ucy(tmp_path, "AAAAB", 2)
    write_ucy(tmp_path, "AAAAC", 3, day="2002:02:05 10:00:00")
    write_ucy(tmp_path, "AAAAD", 3, day="2002:02:06 10:00:00")
    found = boundaries.find(tmp_path, progress=False)
    assert [image.source for image in found] == ["ucy-imt"] * 4
    assert [image.group for image in found] == ["day-2002-02-04"] * 2 + ["day-2002-02-05"] * 2  # the last two: equal
    assert found[0].mm_per_pixel == 0.06
    assert np.allclose(found[0].li, np.column_stack([X, LI]))
    (tmp_path / "groups.csv").write_text("frame,group\nAAAAA,e0\nAAAAB,e1\nAAAAC,e2\nAAAAD,e2\n")
    assert [image.group for image in boundaries.find(tmp_path, progress=False)] == ["e0", "e1", "e2", "e2"]


def test_ucy_points_of_another_image_are_left_out(tmp_path):
    write_ucy(tmp_path, "AAAAA", 1)
    write_ucy(tmp_path, "AAAAB", 2, thickness=3.58)
    assert [image.name for image in boundaries.find(tmp_path, progress=False)] == ["AAAAA"]
    assert [image.name for image in ucy.find(tmp_path, keep_stale=True)] == ["AAAAA", "AAAAB"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scale": 0.0}, "a scale of 0 mm per pixel"),
        ({"scale": np.nan}, "a scale of nan mm per pixel"),
        ({"Param_3": np.arange(3.0)}, "3 x and 20 y"),
        ({"Param_4": np.repeat(10.0, 20), "imt_thikn": 1e-9}, "cross|AAAAA"),
    ],
)
def test_ucy_files_that_do_not_fit(tmp_path, fields, words):
    write_ucy(tmp_path, "AAAAA", **fields)
    with pytest.raises(UserError, match=words):
        ucy.find(tmp_path, keep_stale=True)


def test_ucy_files_that_are_missing_or_no_matlab(tmp_path):
    write_ucy(tmp_path, "AAAAA")
    (tmp_path / "AAAAA.scl").write_bytes(b"text")
    with pytest.raises(UserError, match=r"AAAAA.scl: not a MATLAB file"):
        boundaries.find(tmp_path, progress=False)
    savemat(tmp_path / "AAAAA.scl", {"scale": 1.0}, appendmat=False)
    with pytest.raises(UserError, match="no field Param_3"):
        boundaries.find(tmp_path, progress=False)
    write_ucy(tmp_path, "AAAAB")
    (tmp_path / "AAAAB.CRI").unlink()
    with pytest.raises(UserError, match=r"AAAAB.cri: missing"):
        boundaries.find(tmp_path, progress=False)


@pytest.mark.parametrize("names", [("AAAAA.CRI", "AAAAA.cri"), ("AAAAA.scl", "AAAAA.SCL")])
def test_two_ucy_files_of_one_name(tmp_path, names):
    write_ucy(tmp_path, "AAAAA")
    (tmp_path / names[1]).write_bytes((tmp_path / names[0]).read_bytes())
    with pytest.raises(
        UserError, match=f"same name as AAAAA{names[0][5:]}|same name as {names[1]}; keep one of the two"
    ):
        ucy.find(tmp_path)


@pytest.mark.skipif(not SHARED.exists(), reason="the IMT database is not beside the checkout")
def test_the_real_database():
    every = ucy.find(SHARED, keep_stale=True)
    kept = {image.name for image in ucy.find(SHARED)}
    assert len(every) == 79
    assert {image.name for image in every} - kept == {"AAACX", "AAAFI", "AAANB"}
    first = every[0]
    assert first.curves().thickness(first.mm_per_pixel).mean() == pytest.approx(0.857, abs=0.01)
    assert {176, 235} <= set(boundaries.image.burned_in.graphic_levels(reading.read(first.path).grey))
    mask = first.scan()[1].mask
    assert mask[284:299, 414].all()  # the sonographer's cross on the lumen-intima boundary


# --- CUBS ---------------------------------------------------------------------------------------------------------


def write_cubs(home, name, images="IMAGES", profiles="SEGMENTATIONS", rows=True, seed=0):
    write_picture(home / images / f"{name}.tiff", picture(seed))
    place = home / profiles / "Manual-A1"
    place.mkdir(parents=True, exist_ok=True)
    for kind, y in (("LI", LI), ("MA", MA)):
        points = np.array([X + 1, y + 1]) if rows else np.column_stack([X + 1, y + 1])
        np.savetxt(place / f"{name}-{kind}.txt", points, fmt="%.4f")
    (home / "CF").mkdir(exist_ok=True)
    (home / "CF" / f"{name}_CF.txt").write_text("0.0605 \n")


def test_cubs_clinical(tmp_path):
    for i, name in enumerate(("clin_0001_L", "clin_0001_R", "clin_0002_L")):
        write_cubs(tmp_path, name, rows=i != 1, seed=i)
    write_picture(tmp_path / "IMAGES/clin_0003_L.tiff", picture(9))  # not drawn by this analyst
    found = boundaries.find(tmp_path, progress=False)
    assert [(image.name, image.group) for image in found] == [
        ("clin_0001_L", "clin_0001"),
        ("clin_0001_R", "clin_0001"),
        ("clin_0002_L", "clin_0002"),
    ]
    assert {image.source for image in found} == {"cubs-clinical"}
    for image in found:
        assert np.allclose(image.ma, np.column_stack([X, MA]), atol=1e-4)
        assert image.mm_per_pixel == 0.0605


def test_two_cubs_images_of_one_name(tmp_path):
    write_cubs(tmp_path, "clin_0001_L")
    write_picture(tmp_path / "IMAGES/clin_0001_L.tif", picture(1))
    with pytest.raises(UserError, match="same name as clin_0001_L.tiff?; keep one of the two"):
        cubs.find(tmp_path)


def test_cubs_technical(tmp_path):
    write_cubs(tmp_path / "set", "tech_001", "images", "LIMA-Profiles")
    (found,) = boundaries.find(tmp_path, progress=False)
    assert (found.group, found.source) == ("tech_001", "cubs-technical")


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("CF/clin_0001_L_CF.txt", None, "missing; it is the image's calibration"),
        ("CF/clin_0001_L_CF.txt", "abc", "expected one number"),
        ("CF/clin_0001_L_CF.txt", "60", "60 mm per pixel cannot be"),
        ("SEGMENTATIONS/Manual-A1/clin_0001_L-MA.txt", None, "both boundaries are needed"),
        ("SEGMENTATIONS/Manual-A1/clin_0001_L-MA.txt", "1 2 3\n4 5\n", "expected two lines of numbers"),
        ("SEGMENTATIONS/Manual-A1/clin_0001_L-MA.txt", "", "expected two lines of numbers"),
        ("IMAGES/other.tiff", "x", "images of CUBS are called"),
    ],
)
def test_cubs_files_that_do_not_fit(tmp_path, file, text, words):
    write_cubs(tmp_path, "clin_0001_L")
    if text is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=words):
        cubs.find(tmp_path)


def test_written_boundaries_are_read_again(tmp_path):
    points = [("LI", float(x), y) for x, y in zip(X, LI, strict=True)] + [
        ("MA", float(x), y) for x, y in zip(X, MA, strict=True)
    ]
    folder.write_boundaries(tmp_path / "1.csv", points, SIZE)
    li, ma = folder.read_boundaries(tmp_path / "1.csv", SIZE)
    assert np.allclose(li, np.column_stack([X, LI]), atol=1e-4)
    assert np.allclose(ma, np.column_stack([X, MA]), atol=1e-4)
    with pytest.raises(UserError, match="drawn on an image with height 60, this one has 61"):
        folder.read_boundaries(tmp_path / "1.csv", (61, 80))
