"""The report on other data sets: its figures by hand from the files of the runs, and what a reader must know."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import provenance_lab
import pytest
from report_lab import test_outside, write_frames, write_study
from sklearn.metrics import roc_auc_score

from pycaffe_ext import plotting
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics import detection
from pycaffe_ext.files import read_json
from pycaffe_ext.report import external_part
from pycaffe_ext.report import report as report_of
from pycaffe_ext.report.detection import pages, results
from pycaffe_ext.report.report import write_report
from pycaffe_ext.runs import finished

SKILLS = {"ft-fc8": 0.5, "ft-conv1": 2.0}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def patched():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plotting, "DPI", 30)
        patch.setattr(detection, "RESAMPLES", 60)
        patch.setattr(pages, "PARTS", (results.claims, results.results))
        yield patch


@pytest.fixture(scope="module")
def study(patched, tmp_path_factory):
    """Two schemes with two seeds, all tested on `far`; one of them on `near` too, which has the training frames."""
    root = tmp_path_factory.mktemp("study")
    folders = write_study(root, tuple(SKILLS))
    write_frames(root / "far", groups=8, seed=5)
    names = {}
    for folder in folders:
        run = finished.load(folder)
        names["far"] = test_outside(patched, run, root / "far", SKILLS[run.settings.scheme])
    write_frames(root / "near" / "in")
    names["near"] = test_outside(patched, finished.load(folders[0]), root / "near", 0.5)
    return folders, names


def reported(study, out: Path, **options) -> Path:
    done, missing = report_of.loaded(study[0])
    write_report(done, out, missing, resamples=200, progress=False, **options)
    return out


@pytest.fixture(scope="module")
def out(study, tmp_path_factory) -> Path:
    return reported(study, tmp_path_factory.mktemp("report") / "polyp")


def auc_of(folder: Path) -> float:
    found = rows(folder / "scores.csv")
    return roc_auc_score([row["lesion"] != "0" for row in found], [float(row["probability"]) for row in found])


def test_both_tests_and_the_fall_are_those_of_the_scores(study, out):
    folders, names = study
    table = {(row["figure"], row["name"]): row for row in rows(out / "external.csv")}
    assert len(table) == 4 * 3, "three rates and the AUC, of two nets and the detector"
    for scheme in SKILLS:
        own = [folder for folder in folders if f"-{scheme}-" in folder.name]
        inside = [auc_of(folder) for folder in own]
        outside = [auc_of(folder / "external" / names["far"]) for folder in own]
        row = table["candidate AUC", scheme]
        assert row["seeds"] == "2" and row["allows_for_trainings"] == "True"
        assert float(row["internal"]) == pytest.approx(np.mean(inside))
        assert float(row["external"]) == pytest.approx(np.mean(outside))
        assert float(row["fall"]) == pytest.approx(np.mean(np.subtract(inside, outside)))
        assert float(row["fall_low"]) < float(row["fall"]) < float(row["fall_high"])
        assert float(row["external_low"]) < float(row["external"]) < float(row["external_high"])


def test_the_auc_of_patches_stands_in_both_tests_too(study, out):
    folders, names = study
    table = {row["name"]: row for row in rows(out / "external_patch_auc.csv")}
    assert set(table) == set(SKILLS)
    for scheme, row in table.items():
        own = [folder for folder in folders if f"-{scheme}-" in folder.name]
        inside = np.mean([finished.load(folder).result.test["patch_auc"] for folder in own])
        outside = np.mean(
            [read_json(folder / "external" / names["far"] / "result.json")["test"]["patch_auc"] for folder in own]
        )
        assert (row["seeds"], float(row["internal"]), float(row["external"])) == (
            "2",
            pytest.approx(inside),
            pytest.approx(outside),
        )
        assert float(row["fall"]) == pytest.approx(inside - outside)


def test_the_page_says_what_was_tested_and_names_what_is_not_independent(study, out):
    page = (out / "report.md").read_text()
    assert page.index("## External test: far") < page.index("## External test: near")
    far, near = page.split("## External test: ")[1:3]
    assert "All 24 frames of far in 8 groups" in far and "resembles" not in far and "warning" not in far
    assert "Only 8 groups in far: intervals by group are unreliable." in far and "Only 12" not in near
    assert re.search(r"\| polyps \| \d+ \| 24 \|", far)
    assert "Incomplete: 3 runs not tested on near" in near
    assert "36 of 36 frames of near are near-duplicates" not in near
    assert "12 of 36 frames of near are near-duplicates of training or validation frames" in near
    assert "Near-duplicates stay in the test" in near and "resembles items of" in near
    assert "far: 24 frames in 8 groups, 4 nets; near: 36 frames in 12 groups, 1 net" in page.split("Reporting table")[1]
    assert "One seed: the intervals are for other test groups, not for other trainings" in near.replace("\\", "")


def test_thresholds_comparisons_and_every_file_are_on_the_page(study, out):
    page = (out / "report.md").read_text()
    linked = set(re.findall(r"\]\(([^)]+)\)", page))
    written = {path.name for path in out.iterdir()} - {"report.md", "report.html", "report.json"}
    assert linked == written
    names = {"external.csv", "external_froc.png", "external_thresholds.csv", "external_table_s1.csv"}
    assert (
        names | {"external_auc_pairs.csv", "external_scheme_pairs.csv", "external2.csv", "external2_froc.png"}
        <= written
    )
    thresholds = {row["name"]: row for row in rows(out / "external_thresholds.csv") if row["seed"] == "0"}
    folder = next(folder for folder in study[0] if "-ft-conv1-" in folder.name)
    run = finished.load(folder)
    assert float(thresholds["ft-conv1"]["threshold"]) == run.result.thresholds[0]["threshold"]
    assert thresholds["ft-conv1"]["test_of"] == "24"
    pairs = rows(out / "external_table_s1.csv")
    assert {(row["first"], row["second"]) for row in pairs} >= {("ft-fc8", "ft-conv1")}
    over = {(row["first"], row["second"], row["figure"]): row for row in rows(out / "external_scheme_pairs.csv")}
    assert over["ft-fc8", "ft-conv1", "candidate AUC"]["reason"] == "8 groups; 10 are needed"
    provenance_lab.check_page(page)


def test_one_data_set_can_be_asked_for(study, tmp_path):
    page = (reported(study, tmp_path / "one", external=study[1]["far"]) / "report.md").read_text()
    assert "External test: far" in page and "External test: near" not in page
    with pytest.raises(UserError, match="no run was tested on elsewhere-000000; the same make command"):
        reported(study, tmp_path / "none", external="elsewhere-000000")


def test_runs_without_one_have_no_such_section(study):
    done = [finished.load(folder) for folder in study[0]]
    assert [one.name for one in external_part.externals(finished.study(done))] == sorted(study[1].values())
    for run in done:
        run.__dict__["folder"] = run.folder / "elsewhere"
    assert external_part.externals(finished.study(done)) == []
