"""Pulmonary embolism: what is packed of miniature chests, a whole run, its report, its predictions; wrong input."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import chest_lab
import cv2
import numpy as np
import pytest
from ct import rotation, write_slices
from programs import run_tool

from pycaffe_ext.applications import pe, preparation, registry
from pycaffe_ext.data import volumes
from pycaffe_ext.data.synthetic.chest import Size
from pycaffe_ext.data.volumes import clots, image_files, loan, shown
from pycaffe_ext.data.volumes.aligned import Views, aligned_patches
from pycaffe_ext.data.volumes.geometry import Geometry, Upright
from pycaffe_ext.detector.vessels import volumes as search
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc
from pycaffe_ext.evaluation.metrics.base import PatchScores
from pycaffe_ext.report import report
from pycaffe_ext.runs import finished
from pycaffe_ext.runs.settings import DataRequest

SMALL = ("--patches", "160", "--epochs", "2", "--batch", "16", "--arch", "lenet", "--test-views", "2")
PATIENTS = 12
RSNA_HEADER = "StudyInstanceUID,SeriesInstanceUID,SOPInstanceUID,pe_present_on_image\n"


@pytest.fixture(scope="module")
def data(made_once) -> Path:
    """Twelve patients with two clots each, the last without."""
    return made_once("chests", lambda folder: chest_lab.write(folder / "chests", PATIENTS)) / "chests"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Where the tests of packing put their data: the candidates of a volume are searched once."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def done(data, tmp_path_factory) -> Path:
    """The folder in which a run was made, as runs/first."""
    folder = tmp_path_factory.mktemp("pe")
    made = run_tool("train_and_test", "pe-scratch", "--data", data, *SMALL, "--run", "first", cwd=folder)
    assert made.returncode == 0, made.stderr
    (folder / "out").write_text(made.stdout)
    return folder


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def prepared(data, runs, size=28, said=None, **options):
    application = registry.load("pe")
    request = DataRequest("pe", str(data), patches=160, test_views=2, options=tuple(options.items()))
    application.check(request)
    return preparation.prepare(application, request, size, runs, (said if said is not None else []).append)


def with_positions(data, folder, shift=0.0):
    """The same volumes, with the middle of each clot in positions.csv, moved by `shift` mm along x."""
    shutil.copytree(data / "volumes", folder / "volumes")
    lines = ["volume,x,y,z"]
    for volume in volumes.find(data):
        labels = volume.labels()
        points = [
            volume.geometry.to_patient(np.argwhere(labels == i + 1)).mean(axis=0) for i in range(int(labels.max()))
        ]
        lines += [f"{volume.name},{x + shift},{y},{z}" for x, y, z in points] or [f"{volume.name},,,"]
    (folder / "positions.csv").write_text("\n".join(lines) + "\n")
    return folder


# --- what is packed -----------------------------------------------------------------------------------------------


def test_candidates_are_positive_where_the_mask_has_a_clot(data, runs):
    found = prepared(data, runs).found
    samples = found.samples
    for i, volume in enumerate(found.items):
        own = samples.item == i
        voxels = np.rint(volume.geometry.to_voxels(samples.place[own, :3].astype(float))).astype(int)
        labels = volume.labels()
        expected = labels[tuple(voxels.T)]
        inside = expected > 0
        assert np.array_equal(samples.target[own][inside], expected[inside])
        away = [np.linalg.norm((voxels - v) * 2.5, axis=1) for v in np.argwhere(labels)]
        near = np.min(away, axis=0) <= clots.MARGIN if away else np.zeros(len(voxels), bool)
        assert np.array_equal(samples.target[own] > 0, near)
        assert set(samples.target[own]) >= set(range(1, int(labels.max()) + 1))  # every clot has a candidate
        assert (np.diff(samples.score[own]) <= 0).all()
    assert np.array_equal(samples.label, samples.target > 0)
    assert samples.targets.tolist().count(0) == 1
    assert np.allclose(np.linalg.norm(samples.place[:, 3:], axis=1), 1, atol=1e-5)
    assert np.median(np.abs(samples.place[samples.label > 0, 5])) > 0.9  # the tubes run along z


def test_training_patches_are_balanced_and_every_test_candidate_is_scored(data, runs):
    found = prepared(data, runs)
    for split in ("train", "val"):
        labels = [int(row["label"]) for row in rows_of(found.packed.index(split))]
        assert np.bincount(labels).tolist() == [len(labels) // 2] * 2
    rows = rows_of(found.packed.index("test"))
    assert len(rows) == 2 * len(found.test.samples)
    assert {"volume", "candidate", "extent_mm", "angle", "shift_mm"} <= rows[0].keys()
    text = registry.load("pe").data_text(found.packed.facts, found.packed.patches)
    assert text[2].startswith("test  6 volumes in 6 groups, ")
    assert "candidates a volume cover 100.0 % of the clots" in text[2]


def test_patches_are_those_of_the_volume_along_the_vessel(data, runs):
    found = prepared(data, runs).found
    volume, place, views = found.items[0], found.samples.place[:2], Views()
    cut = list(found.application.cut(volume, place, np.array([0, 31]), 20))
    expected = aligned_patches(volume.hounsfield(), volume.geometry, place, [views.view(0), views.view(31)], 20)
    assert np.array_equal(cut, expected)
    assert expected.std() > 10


def test_patients_are_never_on_two_sides(data, runs, tmp_path):
    grouped = tmp_path / "grouped"
    shutil.copytree(data, grouped)
    names = [f"p{i:02d}" for i in range(PATIENTS)]
    lines = [f"{name},patient{i // 2}" for i, name in enumerate(names)]
    (grouped / "groups.csv").write_text("volume,group\n" + "\n".join(lines) + "\n")
    found = prepared(grouped, runs).found
    split_of: dict[str, set[str]] = {}
    for item, split in zip(found.items, found.split.tolist(), strict=True):
        split_of.setdefault(item.group, set()).add(split)
    assert len(split_of) == PATIENTS // 2
    assert all(len(splits) == 1 for splits in split_of.values())


def test_positions_count_within_the_distance_that_is_asked_for(data, runs, tmp_path):
    moved, application = with_positions(data, tmp_path / "moved", shift=3.0), registry.load("pe")
    positive = []
    for reach in (2.0, 4.0, 12.0):
        request = DataRequest("pe", str(moved), options=(("near_mm", str(reach)),))
        items = application.items(request, runs).items
        samples = application.apply_labelled(items, runs / "data" / "x")
        for i, volume in enumerate(items):
            own = samples.item == i
            points, places = samples.place[own, :3].astype(float), np.array(volume.positions).reshape(-1, 3)
            away = np.linalg.norm(points[:, None] - places[None], axis=2)
            expected = (away <= reach).any(axis=1)
            assert np.array_equal(samples.label[own] > 0, expected)
            if expected.any():
                assert np.array_equal(samples.target[own][expected], away[expected].argmin(axis=1) + 1)
        positive.append(int(samples.label.sum()))
    assert positive[0] < positive[1] < positive[2]


# --- candidates ---------------------------------------------------------------------------------------------------


def test_the_orientation_of_the_array_decides_nothing(tmp_path):
    """The same chest stored with other axes, flipped and swapped, has its candidates at the same points."""
    values, _ = chest_lab.chest(3)
    plain = chest_lab.geometry(3)
    upright = search.proposed(_stored(tmp_path / "a.nrrd", values, plain))
    axes = plain.axes[:, [2, 0, 1]] * [-1, 1, -1]  # the array's x, y, z axis run to the feet, the left, the front
    turned = np.flip(values.transpose(1, 2, 0), (0, 2))
    origin = plain.to_patient([values.shape[0] - 1, values.shape[1] - 1, 0])
    geometry = Geometry(turned.shape, (2.5, 2.5, 2.5), tuple(origin.tolist()), tuple(axes.ravel().tolist()))
    view = Upright.of(geometry)
    assert np.array_equal(view.view(turned), values)
    found = search.proposed(_stored(tmp_path / "b.nrrd", turned, geometry))
    assert np.allclose(found[0], upright[0], atol=1e-3)
    assert np.allclose(found[1], upright[1])
    places = np.random.default_rng(0).uniform(0, 20, (5, 3))
    assert np.allclose(view.seen(view.voxels(places)), places)
    assert np.allclose(geometry.to_patient(view.voxels(places)), plain.to_patient(places))


def _stored(path, values, geometry):
    image_files.write(path, values, geometry)
    return volumes.Volume(path.stem, path.stem, "x", (path,), geometry)


def test_a_rotated_patient_gives_rotated_places(tmp_path):
    values, _ = chest_lab.chest(3)
    turn = rotation(17)
    plain = chest_lab.geometry(3)
    turned = replace(plain, direction=tuple((turn @ plain.axes).ravel().tolist()))
    (a, _), (b, _) = (
        search.proposed(_stored(tmp_path / f"{i}.nrrd", values, g)) for i, g in enumerate((plain, turned))
    )
    shift = np.array(plain.origin)
    assert np.allclose((a[:, :3] - shift) @ turn.T, b[:, :3] - shift, atol=1e-2)
    assert np.median(np.abs(np.sum((a[:, 3:] @ turn.T) * b[:, 3:], axis=1))) > 0.98


def test_candidates_are_searched_once_and_an_interrupted_search_goes_on(data, tmp_path, monkeypatch):
    found = volumes.find(data)[:3]
    first = search.search(found[:2], tmp_path)
    searched = []
    original = search.proposed
    monkeypatch.setattr(search, "proposed", lambda volume: searched.append(volume.name) or original(volume))
    again = search.search(found, tmp_path)
    assert searched == [found[2].name]
    for a, b in zip(first, again, strict=False):
        assert np.array_equal(a.place, b.place)
        assert np.array_equal(a.score, b.score)
    next(tmp_path.glob("*.npz")).write_bytes(b"cut off")
    search.search(found, tmp_path)
    assert len(searched) == 2
    assert [own.clots for own in search.search(found, labelled=False)] == [0, 0, 0]


def test_other_splits_have_the_same_candidates(data, runs, monkeypatch):
    prepared(data, runs)
    monkeypatch.setattr(search, "proposed", lambda volume: pytest.fail("searched again"))
    request = DataRequest("pe", str(data), patches=160, test_views=2, seed=5)
    preparation.prepare(registry.load("pe"), request, 28, runs)


def test_few_volumes_are_searched_and_in_memory_at_once(data):
    huge = replace(volumes.find(data)[0], geometry=Geometry((1000, 512, 512), (1, 1, 1)))
    assert search.workers([huge]) == 1
    loan._kept.clear()
    for volume in volumes.find(data)[:5]:
        with loan.on_loan(volume) as values:
            assert np.array_equal(values, volume.hounsfield())
        assert len(loan._kept) <= loan.KEPT


# --- pictures -----------------------------------------------------------------------------------------------------


def test_slices_are_upright_and_boxes_lie_around_their_points():
    values = np.zeros((4, 5, 6), np.int16)
    values[1, 3, 2] = 500
    flipped = Geometry((4, 5, 6), (2.0, 2.0, 3.0), (50.0, 60.0, 70.0), (-1, 0, 0, 0, -1, 0, 0, 0, -1))
    slices = shown.Slices(flipped, values)
    point = flipped.to_patient([[1, 3, 2]])
    (level,) = slices.level(point)
    assert level == 2  # the second of four from the head is the third from the feet
    x, y, width, height = slices.boxes(point)[0]
    picture = slices.picture(int(level))[..., 0]
    row, column = (axis.mean() for axis in np.nonzero(picture > 100))
    assert (x + width / 2, y + height / 2) == pytest.approx((column + 0.5, row + 0.5))
    assert width == pytest.approx(shown.SIDE / 2 * slices.zoom)
    assert column < picture.shape[1] * 0.7  # array column 2 of 6 from the left is column 3 from the right
    disc = slices.discs(point, int(level), 2.5)
    assert np.argwhere(disc).mean(axis=0) == pytest.approx((row, column))
    assert not slices.discs(point, 0, 2.5).any()


# --- figures of merit ---------------------------------------------------------------------------------------------


def test_a_clot_hit_twice_counts_once_and_patients_are_counted_by_their_volumes(data, runs):
    """By hand, on scores that are known."""
    found = prepared(data, runs)
    test = replace(found.test, group=np.array(["a", "a", "b", "b", "c", "c"]))
    samples = test.samples
    score = np.random.default_rng(1).uniform(0.1, 0.9, len(samples))
    metric = registry.load("pe").metric
    both = np.repeat(np.arange(len(samples)), 2)
    spread = np.tile([-0.05, 0.05], len(samples))  # two patches, whose mean is the score
    positive = score[both] + spread
    patches = PatchScores(both, samples.label[both], np.column_stack([1 - positive, positive]))
    evaluation = metric.evaluate(test, patches)
    assert np.allclose(evaluation.cases.score, score)
    for threshold in (0.3, 0.6, 0.8):
        called = score >= threshold
        hit = {(int(samples.item[i]), int(samples.target[i])) for i in np.flatnonzero(called) if samples.target[i]}
        patients = {str(test.group[volume]) for volume, _ in hit}
        curve = froc.curve(evaluation.cases)
        at = np.searchsorted(-curve.threshold, -threshold, side="right") - 1
        assert curve.lesion_hits[at] == len(hit)
        assert curve.frame_hits[at] == len(patients)
        assert curve.lesion_frames == len({str(g) for g, n in zip(test.group, samples.targets, strict=True) if n})
        assert curve.false_positives_per_frame[at] == np.sum(called & (samples.target == 0)) / 6
    result = metric.result(evaluation, 0)
    assert {"volumes", "false_positives_per_volume_at_most"} <= result.keys()
    assert result["network"]["patient"][0]["of"] == 3
    assert "frame" not in json.dumps(result)
    assert "polyp" not in " ".join(metric.text(result))
    assert metric.headline(result).name == "sensitivity at 1 false positive a volume"


# --- a run --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_from_volumes_to_froc(done):
    folder = done / "runs" / "first"
    result = json.loads((folder / "result.json").read_text())
    test = result["test"]
    assert test["volumes"] == test["groups"] == 6
    assert 0 < test["network"]["patient"][0]["sensitivity"] <= 1
    assert test["detector"]["lesion"][2]["sensitivity"] > 0.5  # of tobogganing, at 2 false positives a volume
    assert {"froc.png", "scores.csv", "froc.csv", "scores_val.csv"} <= set(result["files"])
    assert rows_of(folder / "scores.csv")[0].keys() == {"volume", "candidate", "lesion", "probability", "detector"}
    assert "patient_sensitivity" in rows_of(folder / "froc.csv")[0]
    said = (done / "out").read_text()
    assert "false positives a volume" in said and "frame" not in said and "polyp" not in said


@pytest.mark.slow
def test_the_report_speaks_of_volumes_and_clots(done):
    page = report.write_report([finished.load(done / "runs" / "first")], done / "report", progress=False)
    files = {path.name for path in (done / "report").iterdir()}
    assert {"candidates.png", "patches.png", "froc_all_by_patient.png", "sensitivity_by_size.csv"} <= files
    text = page.read_text()
    for words in ("test volumes", "by clot", "volume, ml", "… with a candidate"):
        assert words in text, words
    assert not re.search(r"\b(frames?|polyps?)\b", text, re.IGNORECASE)
    for table in (done / "report").glob("*.csv"):
        if table.name != "thresholds.csv":  # its columns are those of every application
            assert not re.search("frame|polyp", table.read_text().splitlines()[0]), table.name
    sizes = rows_of(done / "report" / "sensitivity_by_size.csv")
    assert {"least_ml", "below_ml", "clots"} <= sizes[0].keys()


@pytest.mark.slow
def test_predictions_say_where_candidates_lie_in_the_patient_and_in_the_array(done, data, tmp_path):
    values, labels = chest_lab.chest(50)
    geometry = chest_lab.geometry(50)
    write_slices(tmp_path / "in" / "series", values, spacing=geometry.spacing, origin=geometry.origin)
    write_slices(tmp_path / "in" / "series", values[:1], series="9", number=7, names="L{}.dcm", change=_localiser)
    shutil.copy(data / "volumes" / "p03.nii.gz", tmp_path / "in")
    order = ("--run", done / "runs" / "first", "--data", tmp_path / "in", "--out", tmp_path / "out")
    made = run_tool("predict", *order, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    rows = rows_of(tmp_path / "out" / "candidates.csv")
    assert {row["volume"] for row in rows} == {"series", "p03"}
    own = [row for row in rows if row["volume"] == "series"]
    assert [int(row["rank"]) for row in own] == list(range(1, len(own) + 1))
    probability = [float(row["probability"]) for row in own]
    assert probability == sorted(probability, reverse=True)
    points = np.array([[float(row[f"{axis}_lps_mm"]) for axis in "xyz"] for row in own])
    voxels = np.array([[int(row[f"voxel_{axis}"]) for axis in "zyx"] for row in own])
    assert np.allclose(geometry.to_patient(voxels), points, atol=0.01)
    assert set(labels[tuple(voxels.T)]) >= {1, 2}
    drawn = sorted(path.stem for path in (tmp_path / "out" / "overlays" / "series").glob("*.png"))
    expected = {row["slice"] for row in own if float(row["probability"]) >= pe.SHOWN} or {own[0]["slice"]}
    assert drawn == sorted(expected)
    picture = cv2.imread(str(tmp_path / "out" / "overlays" / "series" / f"{drawn[0]}.png"))
    assert (np.ptp(picture.astype(int), axis=2) > 60).sum() > 100  # a coloured box
    alone = run_tool("predict", *order[:2], "--data", tmp_path / "in" / "series", "--out", tmp_path / "b", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert [row["probability"] for row in rows_of(tmp_path / "b" / "candidates.csv")] == [
        row["probability"] for row in own
    ]


def _localiser(header, number):
    header.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


@pytest.mark.slow
def test_predictions_refuse_what_is_no_volume(done, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("no.nii", "slice.dcm", "film.mp4"):
        (tmp_path / name).write_text("nothing")
    wrong = {"empty": "no volume in it", "no.nii": "cannot be read as a volume"}
    for name, words in (wrong | dict.fromkeys(("slice.dcm", "film.mp4"), "not a volume (.nii, .nii.gz,")).items():
        order = ("--run", done / "runs" / "first", "--data", tmp_path / name, "--out", tmp_path / "out")
        refused = run_tool("predict", *order, cwd=tmp_path)
        assert refused.returncode == 1
        assert words in refused.stderr and refused.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_finished_run_is_tested_on_another_data_set(done, data, tmp_path):
    chest_lab.write(tmp_path / "other", 3, seed=70, bare=0)
    order = ("pe-scratch", "--data", data, *SMALL, "--run", "first", "--test-data", tmp_path / "other")
    made = run_tool("train_and_test", *order, cwd=done)
    assert made.returncode == 0, made.stderr
    (file,) = (done / "runs" / "first" / "external").glob("*/result.json")
    outside = json.loads(file.read_text())
    assert outside["test"]["volumes"] == 3 and outside["test"]["lesions"] == 6
    assert "3 volumes" in made.stdout and "frame" not in made.stdout


# --- the phantom --------------------------------------------------------------------------------------------------


def test_without_data_a_phantom_is_drawn_once_and_called_so(tmp_path, monkeypatch):
    monkeypatch.setattr(pe, "PATIENTS", 2)
    monkeypatch.setattr(pe, "SIZE", Size(pixel=6, width=200, depth=150, height=40, thickness=4, thinnest=4))
    application, request = registry.load("pe"), DataRequest("pe", seed=5)
    found = application.items(request, tmp_path).items
    assert [item.source for item in found] == ["phantom"] * 2 and found[0].group != found[1].group
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.gz")}
    application.items(request, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.gz")} == before and len(before) == 4
    assert "phantom" in application.data_name(request)


# --- wrong input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"near_mm": "close"}, "NEAR_MM=close: expected a length in mm, 0.5 to 50"),
        ({"near_mm": "0"}, "NEAR_MM=0: expected a length in mm"),
        ({"near_mm": "nan"}, "NEAR_MM=nan"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        registry.load("pe").check(DataRequest("pe", options=tuple(options.items())))


def copied(data, folder):
    shutil.copytree(data, folder)
    return folder


def no_volume(data, folder):
    copied(data, folder)
    for path in (folder / "volumes").iterdir():
        path.unlink()


def other_geometry(data, folder):
    copied(data, folder)
    path = folder / "masks" / "p04.nii.gz"
    image_files.write(path, chest_lab.chest(4)[1], chest_lab.geometry(5))


def no_clot(data, folder):
    copied(data, folder)
    for i in range(PATIENTS):
        image_files.write(
            folder / "masks" / f"p{i:02d}.nii.gz", np.zeros(chest_lab.SIZE, np.uint8), chest_lab.geometry(i)
        )


def one_patient(data, folder):
    copied(data, folder)
    names = "\n".join(f"p{i:02d},anna" for i in range(PATIENTS))
    (folder / "groups.csv").write_text(f"volume,group\n{names}\n")


def localiser_only(data, folder):
    copied(data, folder)
    (folder / "volumes" / "p00.nii.gz").unlink()
    write_slices(folder / "volumes" / "p00", chest_lab.chest(0)[0][:1], change=_localiser)


def no_hounsfield(data, folder):
    copied(data, folder)
    values = np.clip(chest_lab.chest(2)[0].astype(int) + 1024, 0, None).astype(np.uint16)
    image_files.write(folder / "volumes" / "p02.nii.gz", values, chest_lab.geometry(2))


def rsna(data, folder):
    folder.mkdir()
    (folder / "train.csv").write_text(RSNA_HEADER)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_volume, "volumes: no volume in it"),
        (other_geometry, r"masks/p04.nii.gz: the mask has the volume's size but another geometry"),
        (no_clot, "no clot is marked in any of 12 volumes"),
        (one_patient, "group"),
        (localiser_only, r"volumes/p00: no CT slices in it \(1 localiser"),
        (no_hounsfield, r"p02.nii.gz: has no value below -200"),
        (rsna, "says which slices show an embolism .*, not where; .* can be used with `folder`"),
    ],
)
def test_wrong_data_get_one_line(data, tmp_path, spoil, message):
    spoil(data, tmp_path / "data")
    with pytest.raises(UserError, match=message) as error:
        prepared(tmp_path / "data", tmp_path / "runs")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("runs/data/pe-data-*/packed*"))


def test_other_wrong_requests_get_one_line(data, tmp_path):
    application = registry.load("pe")
    with pytest.raises(UserError, match="volumes/ with masks/"):
        application.check(DataRequest("pe", str(tmp_path)))
    with pytest.raises(UserError, match="DATASET=fumpe says what DATA= holds"):
        application.check(DataRequest("pe", dataset="fumpe"))
    with pytest.raises(UserError, match="TEST_VIEWS=46 is out of range"):
        application.check(DataRequest("pe", test_views=46))


def test_what_was_left_out_is_said(data, runs, tmp_path):
    folder = copied(data, tmp_path / "data")
    (folder / "volumes" / "p01.nii.gz").unlink()
    values, geometry = chest_lab.chest(1)[0], chest_lab.geometry(1)
    write_slices(folder / "volumes" / "p01", values, spacing=geometry.spacing, origin=geometry.origin)
    write_slices(folder / "volumes" / "p01", values[:1], series="9", number=7, names="L{}.dcm", change=_localiser)
    cv2.imwrite(str(folder / "preview.png"), np.zeros((4, 4), np.uint8))
    said: list[str] = []
    prepared(folder, runs, said=said)
    assert any("left out 1 localiser (L1.dcm)" in line for line in said)
    assert any("preview.png" in line for line in said)


def test_data_help_says_what_a_folder_of_volumes_holds(data):
    found = run_tool("data_help", "--data", data)
    assert found.returncode == 0, found.stderr
    assert "is volumes:" in found.stdout and "12 volumes, 11 of them with clots, 22 clots in all" in found.stdout
    assert "spacing along x, y, z: 2.5, 2.5, 2.5 mm" in found.stdout
