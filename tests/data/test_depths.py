"""One white for all pictures of a set that are stored with 16 bits: two kinds are refused, a dark set is warned of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from pycaffe_ext.applications import preparation, registry
from pycaffe_ext.commands import data_help
from pycaffe_ext.data import depths
from pycaffe_ext.data.boundaries import WallImage
from pycaffe_ext.data.depths import PLAIN, Depth
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.images import Image as Labelled
from pycaffe_ext.data.synthetic.artery import write_phantom
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import read_json, write_json
from pycaffe_ext.pictures import shown, stored
from pycaffe_ext.runs import external_data, finished, pipeline, predict
from pycaffe_ext.runs.external_data import Outside
from pycaffe_ext.runs.settings import DataRequest, Machine, Settings, TestSet

SIZE = 20


@dataclass(frozen=True)
class Item:
    name: str
    value: int | None

    def highest(self) -> int | None:
        return self.value


def items(*values):
    return [Item(f"p{i}", value) for i, value in enumerate(values)]


def noise(seed: int, highest: int, size=(30, 44)) -> np.ndarray:
    """(H, W) uint16 that resembles no other one and has this highest value."""
    coarse = np.random.default_rng(seed).integers(0, highest, (9, 12)).astype(np.float32)
    picture = cv2.resize(coarse, size[::-1]).astype(np.uint16)
    picture[0, 0] = highest
    return picture


def class_folders(folder: Path, neg: int, pos: int, count: int = 8, start: int = 0) -> Path:
    """Two classes of noise with 16 bits; neg, pos : the highest value of their pictures."""
    for k, (name, highest) in enumerate((("neg", neg), ("pos", pos))):
        (folder / name).mkdir(parents=True)
        for n in range(count):
            cv2.imwrite(str(folder / name / f"{n}.png"), noise(start + 100 * k + n, highest))
    return folder


def prepared(request: DataRequest, runs: Path) -> preparation.Prepared:
    return preparation.prepare(registry.load(request.app), request, SIZE, runs)


def request(data: Path, app: str = "folder") -> DataRequest:
    return DataRequest(app, str(data), patches=40)


# ---------------------------------------------------------------------------------------------------- one data set


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), PLAIN),
        ((None, None), PLAIN),
        ((None, 0, 0), PLAIN),  # black: of either kind
        ((4095, None, 7, 0), Depth(12, 2, 4095, "p0")),
        ((4096, None, 65535, 0), Depth(16, 2, 65535, "p2")),
    ],
)
def test_a_set_has_one_kind(values, expected):
    found = depths.of(items(*values), "DATA=x", progress=False)
    assert found == expected and Depth.read(found.record()) == found
    assert Depth.read({}) is None


def test_two_kinds_are_refused_in_a_line_that_names_the_nearest_of_each():
    with pytest.raises(UserError) as error:
        depths.of(items(100, 4200, None, 4089, 65535, 0), "DATA=x", progress=False)
    text = str(error.value)
    assert text.startswith(
        "DATA=x: its pictures with 16 bits are of two kinds: 2 of 4 with no value above 4095 (as p3,"
    )
    assert (
        "highest value 4089)" in text
        and "2 with one (as p1, 4200)" in text
        and "save all with 8 bits" in text
        and "times 16" in text
    )
    assert "\n" not in text


@pytest.mark.parametrize(("highest", "white", "times"), [(16383, 65535, 4), (4096, 65535, 15), (1023, 4095, 64)])
def test_a_set_far_below_white_is_warned_of(highest, white, times):
    (line,) = depths.warnings(depths.of(items(highest, None), "DATA=x"), "DATA=x")
    assert line.startswith(
        f"DATA=x: the highest value of its pictures with 16 bits is {highest} (p0), white is {white}"
    )
    assert f"(each value times {times})" in line


@pytest.mark.parametrize("values", [(16384,), (5000, 65535), (1024,), (4095, 3), (0,), (None,)])
def test_no_other_set_is_warned_of(values):
    assert not depths.warnings(depths.of(items(*values), "DATA=x"), "DATA=x")


@pytest.mark.parametrize(("own", "other"), [(12, 16), (16, 12)])
def test_the_other_kind_than_that_of_the_run_is_refused(own, other):
    trained, found = Depth(own, 3, 4000, "a"), Depth(other, 1, 5000, "b")
    with pytest.raises(UserError, match=f"DATA=y: .* as {other} bits \\(b .* 5000\\), .* on as {own} \\(a: 4000\\)"):
        depths.check_same(trained, found, "DATA=y")
    for allowed in (None, PLAIN, found):
        depths.check_same(allowed, found, "DATA=y")
    depths.check_same(trained, PLAIN, "DATA=y")


# ---------------------------------------------------------------------------------------------------- headers


def write(path: Path, pixels: np.ndarray) -> None:
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    elif path.suffix in (".jp2", ".gif", ".webp", ".jpg"):
        Image.fromarray(pixels).save(path)
    else:
        cv2.imwrite(str(path), pixels)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm", ".jp2"])
def test_sixteen_bits_are_told_by_the_header(suffix, tmp_path):
    deep, plain = tmp_path / f"deep{suffix}", tmp_path / f"plain{suffix}"
    write(deep, noise(0, 4089))
    write(plain, (noise(0, 255)).astype(np.uint8))
    assert stored.sixteen_bits(deep) and not stored.sixteen_bits(plain)
    assert shown.highest(plain) is None
    assert shown.highest(deep) == stored.read(deep).pixels.max()


@pytest.mark.parametrize("suffix", [".jpg", ".gif", ".webp", ".bmp"])
def test_formats_of_eight_bits_are_never_decoded_for_it(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"a{suffix}"
    write(path, noise(0, 255).astype(np.uint8))
    monkeypatch.setattr(stored, "read", lambda *_, **__: pytest.fail("it was decoded"))
    assert shown.highest(path) is None


def test_what_is_no_picture_is_left_to_its_reader(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "b.tif").write_bytes(b"II*\0")
    (tmp_path / "c.gif").write_bytes(b"")
    for path in (*tmp_path.iterdir(), tmp_path / "gone.png"):
        assert shown.highest(path) is None


def test_floats_and_twelve_bits_that_the_file_states_are_not_guessed_at(tmp_path):
    tifffile.imwrite(tmp_path / "float.tif", noise(0, 1).astype(np.float16))
    assert shown.highest(tmp_path / "float.tif") is None


@pytest.mark.parametrize("app", ["folder", "pristine", "polyp", "imt", "dicom"])
def test_every_kind_of_picture_answers(app, tmp_path):
    path = tmp_path / ("a.dcm" if app == "dicom" else "a.png")
    path.write_bytes(cv2.imencode(".png", noise(0, 5000))[1].tobytes())
    plain = tmp_path / "plain.png"
    cv2.imwrite(str(plain), np.zeros((4, 4), np.uint8))
    item = {
        "folder": Labelled("a", "g", "s", path, 0, "k"),
        "pristine": Labelled("a", "g", "s", plain, 0, "k", pristine=path),
        "polyp": Frame("a", path, None, "g"),
    }.get(app) or WallImage("a", "g", "s", path, 0.1)
    assert item.highest() == (None if app == "dicom" else 5000)


# ---------------------------------------------------------------------------------------------------- applications


def test_noise_with_a_bright_pixel_in_one_class_is_refused(tmp_path):
    """By that pixel alone, `pos` would be 16 times as dark as `neg`, and nets would tell the two without a fault."""
    data = class_folders(tmp_path / "data", 4000, 4200)
    with pytest.raises(UserError, match="neg/., highest value 4000.* 8 with one \\(as pos/., 4200\\)") as error:
        prepared(request(data), tmp_path / "runs")
    assert str(error.value).startswith(f"DATA={data}: ")


@pytest.mark.parametrize(("highest", "white", "bits"), [(4095, 4095, 12), (60000, 65535, 16)])
def test_sets_of_one_kind_are_packed_as_before(highest, white, bits, tmp_path):
    """As pictures of 8 bits are that were scaled beforehand, each by the white of all."""
    data = class_folders(tmp_path / "data", highest, highest - 1)
    done = prepared(request(data), tmp_path / "runs")
    assert done.packed.depth == {"bits": bits, "pictures": 16, "highest": highest, "item": "neg/7"}
    assert read_json(done.packed.folder / "data.json")["depth"] == done.packed.depth
    for item in done.found.items:
        stored_values = cv2.imread(str(item.path), cv2.IMREAD_UNCHANGED)
        expected = np.rint(stored_values.astype(np.float64) * (255 / white)).astype(np.uint8)
        np.testing.assert_array_equal(item.pixels(), np.repeat(expected[..., None], 3, 2))


def test_a_folder_that_an_earlier_version_packed_is_used_and_gets_the_note(tmp_path, monkeypatch):
    data = class_folders(tmp_path / "data", 4000, 4000)
    first = prepared(request(data), tmp_path / "runs")
    record = first.packed.folder / "data.json"
    write_json(record, {name: value for name, value in read_json(record).items() if name != "depth"})
    monkeypatch.setattr(preparation, "_pack", lambda *_: pytest.fail("packed again"))
    again = prepared(request(data), tmp_path / "runs")
    assert again.packed == first.packed and read_json(record)["depth"]["bits"] == 12


def test_frames_that_are_degraded_are_looked_at_as_they_were(tmp_path):
    home = tmp_path / "set"
    for part in ("images", "masks"):
        (home / part).mkdir(parents=True)
    for n in range(12):
        cv2.imwrite(str(home / "images" / f"{n:02d}.png"), noise(n, 4200 if n == 5 else 4000, (90, 120)))
        mask = np.zeros((90, 120), np.uint8)
        mask[10:40, 10:40] = 255
        cv2.imwrite(str(home / "masks" / f"{n:02d}.png"), mask)
    degraded = replace(request(home, "frames"), options=(("degrade", "1"),))
    with pytest.raises(UserError, match="05, 4200"):
        prepared(degraded, tmp_path / "runs")
    with pytest.raises(UserError, match="05, 4200"):
        prepared(request(home, "polyp"), tmp_path / "runs")


def test_ultrasound_images_of_two_kinds_are_refused(tmp_path):
    write_phantom(tmp_path / "phantom", 4, 1, seed=3, workers=1, progress=False)
    for n, path in enumerate(sorted((tmp_path / "phantom").rglob("*.png"))):
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.uint16)
        grey[0, 0] = 255
        cv2.imwrite(str(path), grey * (257 if n == 2 else 16))
    with pytest.raises(UserError, match="3 of 4 with no value above 4095 .* 4080\\).* 1 with one .* 65535"):
        prepared(request(tmp_path / "phantom", "imt"), tmp_path / "runs")


def test_data_help_says_what_they_are_shown_as(tmp_path, capsys):
    data = class_folders(tmp_path / "data", 16100, 15000)
    data_help.main(["--data", str(data)])
    out = capsys.readouterr().out
    assert "16 pictures are stored with 16 bits and shown as 16: 65535 is white" in out
    assert f"warning: DATA={data}: the highest value of its pictures with 16 bits is 16100 (neg/" in out
    mixed = class_folders(tmp_path / "mixed", 4000, 4200)
    with pytest.raises(UserError, match="4000.*4200"):
        data_help.main(["--data", str(mixed)])


# ---------------------------------------------------------------------------------------------------- other data


def asked(own: DataRequest, folder: Path, runs: Path) -> Outside:
    found = external_data.outside(own, TestSet(str(folder)), runs)
    assert found is not None
    return found


def test_test_data_of_the_other_kind_are_refused(tmp_path):
    runs = tmp_path / "runs"
    own = request(class_folders(tmp_path / "own", 4000, 4000))
    trained = prepared(own, runs).packed
    other = asked(own, class_folders(tmp_path / "other", 60000, 60000, 2, 1000), runs)
    other.read()
    with pytest.raises(UserError, match="^TEST_DATA=.*other: .* as 16 bits .* trained on as 12 "):
        external_data.prepare(other, trained, own, SIZE, lambda _: None)
    old = replace(trained, depth={})  # of an earlier version: not known
    done, _ = external_data.prepare(other, old, own, SIZE, lambda _: None)
    assert done.packed.depth["bits"] == 16
    mixed = asked(own, class_folders(tmp_path / "mixed", 4000, 4200, 2, 2000), runs)
    with pytest.raises(UserError, match="^TEST_DATA=.*mixed: .*4000.*4200"):
        mixed.read()


@pytest.mark.slow
def test_a_run_is_warned_and_applied_to_its_own_kind_only(tmp_path):
    """A run on 14 bits: the warning stands in result.json; pictures of 12 bits are refused, by an old record not."""
    data = class_folders(tmp_path / "data", 16000, 16000)
    settings = Settings.of("folder", "scratch", data=str(data), patches=40, epochs=1, batch=16, arch="lenet")
    said: list[str] = []
    twelve, sixteen = (class_folders(tmp_path / f"to{top}", top, top, 2, 1000) for top in (4000, 60000))
    outside = asked(settings.request, twelve, tmp_path / "runs")
    with pytest.raises(UserError, match="TEST_DATA=.* as 12 bits"):
        pipeline.run(settings, tmp_path / "runs", "run", say=said.append, outside=outside)
    assert not (tmp_path / "runs" / "run" / "run.json").exists()  # before anything was trained
    folder = pipeline.run(settings, tmp_path / "runs", "run", say=said.append)
    (warning,) = read_json(folder / "result.json")["warnings"]
    assert "is 16000 (" in warning and f"warning: {warning}" in said

    def apply(pictures: Path, out: str) -> None:
        predict.predict(folder, pictures, tmp_path / out, Machine(), overlays=False, say=said.append)

    apply(sixteen / "pos", "same")
    with pytest.raises(UserError, match="^DATA=.* as 12 bits .* trained on as 16 "):
        apply(twelve / "pos", "other")
    assert not (tmp_path / "other").exists()
    run = finished.load(folder)
    assert run is not None
    record = run.packed.folder / "data.json"
    write_json(record, {name: value for name, value in read_json(record).items() if name != "depth"})
    apply(twelve / "pos", "unknown")
    cv2.imwrite(str(twelve / "pos" / "0.png"), noise(0, 4100))
    with pytest.raises(UserError, match="^DATA=.* 1 of 2 with no value above 4095 "):
        apply(twelve / "pos", "mixed")
