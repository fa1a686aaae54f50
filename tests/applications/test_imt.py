"""Intima-media boundaries: what is packed of a phantom, a whole run, its report, its predictions; wrong input."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from programs import run_tool

from pycaffe_ext.applications import imt, preparation, registry
from pycaffe_ext.data.boundaries import WallImage, lattice
from pycaffe_ext.data.boundaries.spacing import spacing_of
from pycaffe_ext.data.synthetic.artery import write_phantom
from pycaffe_ext.detector.walls import places
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import read_mean
from pycaffe_ext.report import report
from pycaffe_ext.runs import dense, finished, predict
from pycaffe_ext.runs.dense import DenseNet
from pycaffe_ext.runs.settings import DataRequest, Machine
from pycaffe_ext.training.command import Caffe

SMALL = (
    "--patches",
    "180",
    "--epochs",
    "2",
    "--batch",
    "16",
    "--arch",
    "lenet",
    "--base-lr",
    "0.0005",
    "--mean",
    "60,60,60",
)
WIDE = 20  # steps between the columns here: fewer patches


@pytest.fixture(autouse=True)
def few_columns(monkeypatch):
    monkeypatch.setattr(lattice, "ACROSS", WIDE)
    monkeypatch.setattr("pycaffe_ext.detector.walls.maps.ACROSS", WIDE)


@pytest.fixture(scope="module")
def data(made_once) -> Path:
    """Ten patients with an image each."""
    make = lambda folder: write_phantom(folder / "phantom", 10, 1, seed=3, workers=1, progress=False)  # noqa: E731
    return made_once("walls", make) / "phantom"


@pytest.fixture(scope="module")
def done(data, tmp_path_factory) -> Path:
    """The folder in which a run of the phantom was made, as runs/first."""
    folder = tmp_path_factory.mktemp("imt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lattice, "ACROSS", WIDE)
        patch.setattr("pycaffe_ext.detector.walls.maps.ACROSS", WIDE)
        made = run_tool("train_and_test", "imt-scratch", "--data", data, *SMALL, "--run", "first", cwd=folder)
    assert made.returncode == 0, made.stderr
    (folder / "out").write_text(made.stdout)
    return folder


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def prepared(data, runs, size=28, **options):
    application = registry.load("imt")
    request = DataRequest("imt", str(data), patches=180, options=tuple(options.items()))
    application.check(request)
    return preparation.prepare(application, request, size, runs)


@pytest.fixture(scope="module")
def plain(data, tmp_path_factory) -> preparation.Prepared:
    """The phantom's patches, without options."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lattice, "ACROSS", WIDE)
        patch.setattr("pycaffe_ext.detector.walls.maps.ACROSS", WIDE)
        return prepared(data, tmp_path_factory.mktemp("plain"))


def test_three_classes_are_balanced_and_the_test_has_every_place(plain):
    found = plain
    assert found.packed.classes == ("background", "lumen-intima", "media-adventitia")
    for split in ("train", "val"):
        labels = [int(row["label"]) for row in rows_of(found.packed.index(split))]
        assert len(set(np.bincount(labels, minlength=3))) == 1
    test = found.test
    assert len(rows_of(found.packed.index("test"))) == len(test.samples)
    per_image = np.bincount(test.samples.item)
    assert (per_image % 37 == 0).all() and len(set(per_image.tolist())) <= 4
    text = registry.load("imt").data_text(found.packed.facts, found.packed.patches)
    assert "lumen-intima" in text[0] and text[2].startswith("test  5 images in 5 groups")


def test_where_a_test_image_is_looked_at_does_not_depend_on_what_was_drawn(data, plain, tmp_path):
    """The places come from the image alone: with boundaries a millimetre lower they are the same."""
    moved = tmp_path / "moved"
    shutil.copytree(data, moved)
    for table in moved.glob("boundaries/*/*.csv"):
        rows = rows_of(table)
        for row in rows:
            row["y"] = f"{float(row['y']) + 1 / 0.06:.4f}"
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    first, second = plain.test.samples, prepared(moved, tmp_path / "runs").test.samples
    np.testing.assert_array_equal(first.place, second.place)
    assert (first.label != second.label).any()
    assert not np.allclose(first.measures[:, 0], second.measures[:, 0])


def test_the_distance_decides_what_belongs_to_a_boundary(data, tmp_path):
    near, far = (
        np.bincount(prepared(data, tmp_path, near_mm=mm).test.samples.label, minlength=3) for mm in ("0.05", "0.25")
    )
    assert 2 * near[1] < far[1] and 2 * near[2] < far[2]


@pytest.mark.slow
def test_a_run_from_images_to_curves(done):
    folder = done / "runs" / "first"
    result = json.loads((folder / "result.json").read_text())
    test = result["test"]
    assert test["judged_images"] == 5 and test["groups"] == 5
    assert test["chosen"]["slope"] in (0.1, 0.5, 3.0)
    for scores in ("network", "gradients"):
        assert 0 < test[scores]["thickness"]["mean_absolute"]["value"] < 1
    assert {"errors.png", "bland_altman.png", "scores.csv", "images.csv", "scores_val.csv"} <= set(result["files"])
    assert "mean absolute error of the thickness in mm" in (done / "out").read_text()


@pytest.mark.slow
def test_whole_regions_give_the_probabilities_of_the_patches(done, tmp_path):
    """LeNet has no padding; every place of a test image, through the caffe command line either way."""
    run = finished.load(done / "runs" / "first")
    name = run.test.items[0]
    (item,) = (one for one in run.application.items(run.settings.request, done / "runs").items if one.name == name)
    samples = run.application.apply([item], run.packed.found)
    by_patch = predict.probabilities(run, [item], samples, Machine(threads=1), tmp_path / "a")
    image = (3, 28, 28)
    net = DenseNet(run.folder / "score_test.prototxt", run.weights, "ip2_imt", 3, image)
    at_once = dense.probabilities(Caffe(), net, run.application, [item], samples, tmp_path / "b")
    np.testing.assert_allclose(at_once, by_patch, atol=1e-4)


@pytest.mark.slow
def test_a_run_on_whole_regions_subtracts_the_means_of_the_datas_channels(done, data):
    """A net from scratch has the mean image of its patches, and a region has no such."""
    order = ("imt-scratch", "--data", data, *SMALL[:-2], "--dense", "1", "--run", "regions")
    made = run_tool("train_and_test", *order, cwd=done)
    assert made.returncode == 0, made.stderr
    run = finished.load(done / "runs" / "regions")
    means = read_mean(run.packed.mean_file).mean(axis=(1, 2))
    texts = [(run.folder / name).read_text() for name in ("train_val.prototxt", "dense/score.prototxt")]
    for text in texts:
        values = re.findall(r"mean_value: ([0-9.]+)", text)
        np.testing.assert_allclose(
            np.array(values, float).reshape(-1, 3), means[None] + np.zeros((len(values) // 3, 1))
        )
        assert values and "mean_file" not in text
    assert "with DENSE=1 the means of its channels, " in made.stdout
    assert run.record.resolved["input"]["of_data"] and run.mean_file is None


def test_whole_regions_are_scored_once():
    with pytest.raises(UserError, match="TEST_VIEWS=2: DENSE=1 scores every place once"):
        registry.load("imt").check(DataRequest("imt", test_views=2, options=(("dense", "1"),)))


@pytest.mark.slow
def test_a_finished_run_is_tested_on_another_data_set(done, data, tmp_path):
    """By the regulariser that its own validation chose; the report shows by how much it falls."""
    write_phantom(tmp_path / "other", 3, 1, seed=11, workers=1, progress=False)
    order = ("imt-scratch", "--data", data, *SMALL, "--run", "first", "--test-data", tmp_path / "other")
    made = run_tool("train_and_test", *order, cwd=done)
    assert made.returncode == 0, made.stderr
    (file,) = (done / "runs" / "first" / "external").glob("*/result.json")
    outside, inside = (json.loads(path.read_text())["test"] for path in (file, done / "runs" / "first" / "result.json"))
    assert outside["judged_images"] == 3 and outside["chosen"] == inside["chosen"]
    page = report.write_report([finished.load(done / "runs" / "first")], tmp_path / "report", progress=False)
    assert (tmp_path / "report" / "external.csv").exists() and "fall" in page.read_text()


@pytest.mark.slow
def test_the_report_of_a_study(done):
    page = report.write_report([finished.load(done / "runs" / "first")], done / "report", progress=False)
    text = page.read_text()
    for words in ("gradients", "Bland", "Holm", "Best and worst images", "lower is better"):
        assert words in text, words
    files = {path.name for path in (done / "report").iterdir()}
    assert {"errors.png", "bland_altman.png", "extreme_images.png", "pairs.csv", "thickness.csv"} <= files


@pytest.mark.slow
def test_predictions_for_a_picture_without_boundaries(done, data, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(data / "images" / "patient000" / "00.png", tmp_path / "in")
    order = ("--run", done / "runs" / "first", "--data", tmp_path / "in", "--out", tmp_path / "out")
    refused = run_tool("predict", *order, cwd=tmp_path)
    assert refused.returncode == 1 and "no mm per pixel" in refused.stderr
    (tmp_path / "in" / "calibration.csv").write_text("frame,mm_per_pixel\n00,0.06\n")
    made = run_tool("predict", *order, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    (thick,) = rows_of(tmp_path / "out" / "thickness.csv")
    curves = rows_of(tmp_path / "out" / "curves.csv")
    assert thick["image"] == "00" and int(thick["columns"]) == len(curves) > 8
    assert all(float(row["ma"]) > float(row["li"]) for row in curves)
    each = [float(row["thickness_mm"]) for row in curves]
    assert float(thick["mean_thickness_mm"]) == pytest.approx(np.mean(each), abs=1e-3)
    drawn = cv2.imread(str(tmp_path / "out" / "overlays" / "00.png"))
    assert drawn.shape[0] > 360 and (np.ptp(drawn[:360].astype(int), axis=2) > 60).sum() > 300


def test_without_data_a_phantom_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setattr(imt, "PATIENTS", 2)
    monkeypatch.setattr(imt, "FRAMES", 1)
    application, request = registry.load("imt"), DataRequest("imt", seed=5)
    found = application.items(request, tmp_path).items
    assert [item.source for item in found] == ["phantom"] * 2 and found[0].group != found[1].group
    before = sorted((tmp_path / "data").rglob("*.png"))
    application.items(request, tmp_path)
    assert sorted((tmp_path / "data").rglob("*.png")) == before and len(before) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_mm": "big"}, "PATCH_MM=big: expected a length in mm, 1 to 12"),
        ({"near_mm": "0"}, "NEAR_MM=0: expected a length in mm, 0.02 to 0.5"),
        ({"near_mm": "nan"}, "NEAR_MM=nan"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        registry.load("imt").check(DataRequest("imt", options=tuple(options.items())))


def test_data_help_says_what_a_folder_of_walls_holds(data):
    found = run_tool("data_help", "--data", data)
    assert found.returncode == 0, found.stderr
    assert "is walls:" in found.stdout and "10 images with both boundaries" in found.stdout
    assert "10 groups" in found.stdout


def test_wrong_data_get_one_line(data, tmp_path):
    with pytest.raises(UserError, match="images/ and boundaries/"):
        registry.load("imt").check(DataRequest("imt", str(tmp_path)))
    with pytest.raises(UserError, match="DATASET=walls says what DATA= holds"):
        registry.load("imt").check(DataRequest("imt", dataset="walls"))
    with pytest.raises(UserError, match="TEST_VIEWS=3 is out of range"):
        registry.load("imt").check(DataRequest("imt", test_views=3))
    few = tmp_path / "few"
    shutil.copytree(data, few)
    (few / "calibration.csv").write_text("frame,mm_per_pixel\n*,0.005\n")
    with pytest.raises(UserError, match=r"00\.png: shows 1\.\d mm of tissue"):
        prepared(few, tmp_path / "runs")


def test_images_on_which_nothing_can_be_judged_do_not_decide_the_offsets():
    image = WallImage("a", "a", "", Path("a.png"), 0.1)
    looked_at = lattice.Lattice(np.arange(4), np.zeros(4, int), 5)
    edges = np.zeros((20, 2))
    known = places.Wall(looked_at, np.tile([10.0, 20], (4, 1)), np.tile([9.0, 21], (4, 1)), edges)
    spoiled = places.Wall(looked_at, np.full((4, 2), np.nan), np.tile([50.0, 60], (4, 1)), edges)
    assert places.offsets_of([(image, known), (image, spoiled)]) == pytest.approx((0.1, -0.1))
    with pytest.raises(UserError, match="no column of 2 training images can be judged"):
        places.offsets_of([(image, spoiled)] * 2)


def test_where_the_spacing_of_a_picture_is_said(tmp_path):
    images = tmp_path / "images" / "p"
    images.mkdir(parents=True)
    picture = images / "7.png"
    picture.write_bytes(b"")
    with pytest.raises(UserError, match="no mm per pixel"):
        spacing_of(picture)
    for lines, expected in (("*,0.07", 0.07), ("p/7,0.05\n*,0.07", 0.05), ("p/7.png,0.04", 0.04)):
        (tmp_path / "calibration.csv").write_text(f"frame,mm_per_pixel\n{lines}\n")
        assert spacing_of(picture) == expected
    (tmp_path / "calibration.csv").write_text("frame,mm_per_pixel\np/8,0.05\n")
    with pytest.raises(UserError, match="no mm per pixel"):
        spacing_of(picture)
    (tmp_path / "calibration.csv").write_text("frame,mm_per_pixel\n*,3\n")
    with pytest.raises(UserError, match="line 2: 3 mm per pixel"):
        spacing_of(picture)
