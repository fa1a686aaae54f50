"""A finished run tested on another data set, whole: nothing is trained again, and equal frames give equal figures."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pycaffe_ext.applications import preparation
from pycaffe_ext.command_line.main import main
from pycaffe_ext.data.similar import Similar
from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root
from pycaffe_ext.report import report
from pycaffe_ext.runs import external, external_data, finished, pipeline
from pycaffe_ext.runs.external_data import Outside, check_classes, outside
from pycaffe_ext.runs.records import read_external
from pycaffe_ext.runs.settings import DataRequest, Machine, Settings, TestSet
from pycaffe_ext.studies import study


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def place(miniature_run, miniature, tmp_path_factory) -> Path:
    """A copy of the finished run as runs/first, with the frames that it was tested on as other/."""
    place = tmp_path_factory.mktemp("external")
    shutil.copytree(miniature_run / "runs", place / "runs")
    record = json.loads((place / "runs" / "first" / "run.json").read_text())
    data = Path(record["resolved"]["data"])
    record["resolved"]["data"] = str(place / "runs" / data.relative_to(miniature_run / "runs"))
    (place / "runs" / "first" / "run.json").write_text(json.dumps(record))
    for row in rows_of(Path(record["resolved"]["data"]).parent / "items.csv"):
        for part in ("images", "masks"):
            (source,) = (miniature / part).glob(f"{row['frame']}.*")
            target = place / row["split"] / part / source.relative_to(miniature / part)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return place


@pytest.fixture(scope="module")
def run(place) -> finished.RunFiles:
    found = finished.load(place / "runs" / "first")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def tested(place, run) -> tuple[Path, list[str]]:
    """The test on the frames of the run's own test, and what was said."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pipeline, "train", lambda *_, **__: pytest.fail("it was trained again"))
        pipeline.run(
            run.settings, place / "runs", "first", say=said.append, outside=asked(run.settings.request, place, "test")
        )
    (folder,) = (place / "runs" / "first" / "external").iterdir()
    return folder, said


def asked(request: DataRequest, place: Path, name: str, dataset: str | None = None) -> Outside:
    found = outside(request, TestSet(str(place / name), dataset), place / "runs")
    assert found is not None
    return found


@pytest.mark.slow
def test_the_own_test_frames_as_another_data_set_give_the_own_figures(tested, run):
    """Brute force: the same frames, found, cut, scored and evaluated along the other path."""
    record = read_external(tested[0])
    scores = [rows_of(folder / "scores.csv") for folder in (run.folder, tested[0])]
    keys = [{(row["frame"], row["candidate"], row["lesion"], row["detector"]) for row in rows} for rows in scores]
    assert keys[0] == keys[1] and len(keys[0]) > 20
    assert chances(tested[0]) == pytest.approx(chances(run.folder), abs=1e-4)  # Caffe logs six digits
    inside, there = run.result.test, record.test
    for figure in ("candidate_auc", "detector_auc", "frames", "groups", "lesions", "candidates"):
        assert there[figure] == pytest.approx(inside[figure], abs=1e-9)
    assert there["detector"] == inside["detector"]
    points = [test["network"]["lesion"] for test in (inside, there)]
    assert [point["hits"] for point in points[0]] == [point["hits"] for point in points[1]]


@pytest.mark.slow
def test_thresholds_are_those_of_the_own_validation_part(tested, run):
    found = read_external(tested[0]).thresholds
    assert [row["threshold"] for row in found] == [row["threshold"] for row in run.result.thresholds]
    assert [row["validation"] for row in found] == [row["validation"] for row in run.result.thresholds]
    assert [row["test"]["hits"] for row in found] == [row["test"]["hits"] for row in run.result.thresholds]


@pytest.mark.slow
def test_near_duplicates_are_named_and_kept(tested, run, place):
    folder, said = tested
    record = read_external(folder)
    assert record.similar["items"] == record.items and record.similar["known"] == 0 and not record.warnings
    assert f"{record.items} frames in " in "\n".join(said) and "(test)" in "\n".join(said)
    again = external.run_test(run, asked(run.settings.request, place, "train"), Machine(), said.append)
    known = read_external(again)
    assert known.similar["known"] == known.items == known.test["frames"]
    (warning,) = known.warnings
    assert f"{known.items} of {known.items} frames of train are near-duplicates of training or validation" in warning
    assert {row["part"] for row in rows_of(again / "similar.csv")} == {"train"}
    assert all(row["item"] == row["nearest"] and row["bits"] == "0" for row in rows_of(again / "similar.csv"))
    assert len(external.load(run)) == 2, "several data sets stand side by side"


@pytest.mark.slow
def test_files_are_whole_and_nothing_temporary_is_left(tested):
    names = {path.name for path in tested[0].iterdir()}
    files = {"result.json", "scores.csv", "froc.csv", "roc.csv", "froc.png", "similar.csv", "score_test.prototxt"}
    assert names == files and set(read_external(tested[0]).files) <= files


@pytest.mark.slow
def test_a_finished_test_is_shown_and_not_repeated(tested, run, place, monkeypatch):
    monkeypatch.setattr(external, "_carry_out", lambda *_: pytest.fail("it was tested again"))
    said: list[str] = []
    pipeline.run(
        run.settings, place / "runs", "first", say=said.append, outside=asked(run.settings.request, place, "test")
    )
    assert any("external test on test" in text for text in said)


def chances(folder: Path) -> dict[tuple[str, str], float]:
    return {(row["frame"], row["candidate"]): float(row["probability"]) for row in rows_of(folder / "scores.csv")}


@pytest.mark.slow
def test_slices_come_to_the_same(tested, run, place, monkeypatch):
    """A test that the run packs slice by slice, in its own folder, is one of all patches at once."""
    monkeypatch.setattr(external, "FOLDER", "sliced")
    monkeypatch.setattr(preparation, "SLICE", 1 + len(chances(tested[0])) // 2)
    folder = external.run_test(run, asked(run.settings.request, place, "test"), Machine(), lambda _: None)
    assert chances(folder) == pytest.approx(chances(tested[0]), abs=1e-6)
    assert {path.name for path in folder.iterdir()} == {path.name for path in tested[0].iterdir()}
    both = [run.packed.found / read_external(one).packed for one in (folder, tested[0])]
    assert both[0].parent == both[1].parent and [(one / "test_lmdb").exists() for one in both] == [False, True]


@pytest.mark.slow
@pytest.mark.genuine
def test_the_genuine_caffe_scores_alike(tested, run, place, monkeypatch):
    monkeypatch.setattr(external, "FOLDER", "genuine")
    machine = Machine(str(root.command()))
    folder = external.run_test(run, asked(run.settings.request, place, "test"), machine, lambda _: None)
    assert chances(folder) == pytest.approx(chances(tested[0]), abs=1e-4)
    assert "1.0.0" in read_external(folder).caffe


@pytest.mark.slow
def test_data_that_changed_since_the_training_are_refused(run, place):
    changed = asked(run.settings.request, place, "val")
    with pytest.raises(UserError, match="is not what the run was made of any more"):
        external_data.prepare(
            changed, replace(run.packed, fingerprint="0" * 64), run.settings.request, 227, lambda _: None
        )


WRONG = [
    ("nowhere", None, "nowhere: no such folder; TEST_DATA= is the folder of a data set"),
    ("empty", None, "empty: is empty; expected images/ and masks/"),
    ("frames", None, "TEST_DATA=.*frames is the same folder as DATA="),
    ("link", None, "TEST_DATA=.*link is the same folder as DATA="),
    ("other", "kvasir-seg", "not the layout of kvasir-seg"),
    ("other", "kvasir-sge", "did you mean 'kvasir-seg'"),
    ("grey", None, "grey.*MASK="),
]


@pytest.fixture
def two_sets(tmp_path) -> Path:
    """Two data sets of a frame each, one whose mask has greys of no meaning, and an empty folder."""
    rng = np.random.default_rng(0)
    for name, greys in (("frames", (255, 0)), ("other", (255, 255)), ("grey", (255, 90))):
        for part in ("images", "masks"):
            (tmp_path / name / part).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / name / "images" / "1.png"), rng.integers(0, 255, (90, 120, 3), np.uint8))
        mask = np.zeros((90, 120), np.uint8)
        mask[10:40, 10:40], mask[50:80, 70:100] = greys
        cv2.imwrite(str(tmp_path / name / "masks" / "1.png"), mask)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "frames")
    return tmp_path


@pytest.mark.parametrize(("name", "dataset", "words"), WRONG)
def test_a_wrong_data_set_is_refused_in_one_line_before_anything_is_prepared(
    two_sets, monkeypatch, name, dataset, words
):
    monkeypatch.setattr(pipeline, "prepare", lambda *_: pytest.fail("it went on to the data"))
    settings = Settings.of("polyp", "ft-fc8", data=str(two_sets / "frames"))
    with pytest.raises(UserError, match=words) as error:
        pipeline.run(
            settings,
            two_sets / "runs",
            say=lambda _: None,
            outside=asked(settings.request, two_sets, name, dataset),
        )
    assert "\n" not in str(error.value)


def test_commands_hand_it_on(two_sets, monkeypatch):
    given: list[Outside | str] = []
    monkeypatch.setattr(pipeline, "run", lambda *_, outside: given.append(outside))
    monkeypatch.setattr(study, "run_all", lambda *_, outside: given.append(outside))
    monkeypatch.setattr(report, "loaded", lambda folders: ([], []))
    monkeypatch.setattr(report, "write_report", lambda *_, external, **__: given.append(external))
    order = [f"--data={two_sets / 'frames'}", f"--test-data={two_sets / 'other'}", f"--runs={two_sets / 'runs'}"]
    main(["polyp-ft-fc8", *order, "--test-dataset=plain", "--mask=nonzero"])
    main(["polyp", *order])
    main(["polyp-tables", *order])
    run, runs, name = given
    assert (run.source, run.request.dataset, run.request.option("mask")) == (
        str(two_sets / "other"),
        "plain",
        "nonzero",
    )
    assert runs.request == TestSet(str(two_sets / "other")).request(DataRequest("polyp")) and name == runs.name
    for word in ("polyp-ft-fc8", "polyp", "polyp-tables"):
        with pytest.raises(UserError, match="TEST_DATASET=etis says what TEST_DATA= holds"):
            main([word, "--test-dataset=etis"])
    assert len(given) == 3


def test_the_layout_alone_is_an_error():
    assert TestSet.given(None, None) is None and TestSet.given("a", "kvasir-seg") == TestSet("a", "kvasir-seg")
    with pytest.raises(UserError, match="TEST_DATASET=etis says what TEST_DATA= holds; give TEST_DATA= too"):
        TestSet.given(None, "etis")


def test_the_other_data_set_is_no_part_of_a_runs_name():
    request = DataRequest(
        "polyp", "a", seed=3, patches=80, test_views=2, encoding="jpg", options=(("mask", "nonzero"),)
    )
    other = TestSet("b").request(request)
    assert (other.data, other.test_views, other.encoding, other.option("mask")) == ("b", 2, "jpg", "nonzero")
    assert (other.seed, other.folds, other.tuning) == (0, None, None)
    assert other == TestSet("b").request(replace(request, seed=4, patches=100, folds=3, fold=1, tuning=0.2))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (("cat",), "has no class 'dog'; the nets tell cat, dog, the folder has cat"),
        (("cat", "dog", "eel"), "class 'eel' is not one of the nets'"),
        (("cat", "dogs"), "has no class 'dog'"),
    ],
)
def test_classes_are_compared_by_name(found, words):
    check_classes("x", ("cat", "dog"), ("cat", "dog"))
    with pytest.raises(UserError, match=f"TEST_DATA=x: {words}"):
        check_classes("x", ("cat", "dog"), found)


def test_near_duplicates_of_training_and_validation_are_warned_of():
    rows = [Similar("a", "test", 3, "x", 1), Similar("b", "val", 1, "y", 0), Similar("b", "train", 2, "z", 4)]
    found = external.summed(rows)
    assert (found["items"], found["pairs"], found["known"]) == (2, 6, 1)
    assert [row[:2] for row in found["first"]] == [["b", "val"], ["b", "train"], ["a", "test"]]
    (text,) = external.warnings(rows, 9, "frame", "B")
    assert "1 of 9 frames of B are near-duplicates of training or validation frames (the first: b, of y in val)" in text
    assert external.warnings(rows[:1], 9, "frame", "B") == []
