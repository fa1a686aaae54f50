"""The report on other data sets of nets that classify pictures: the figures are those of the runs' scores."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import provenance_lab
import pytest
from class_lab import patches
from report_lab import Silent
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from pycaffe_ext import plotting
from pycaffe_ext.applications import registry
from pycaffe_ext.applications.preparation import Prepared, prepare
from pycaffe_ext.detector import quality
from pycaffe_ext.evaluation import class_resampling
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import report as report_of
from pycaffe_ext.report.by_class import pages, results
from pycaffe_ext.report.report import write_report
from pycaffe_ext.runs import external, finished
from pycaffe_ext.runs.external_data import outside
from pycaffe_ext.runs.records import VALIDATION_SCORES, Best, ResultRecord, RunRecord, write_result, write_run
from pycaffe_ext.runs.settings import Machine, Settings, TestSet
from pycaffe_ext.training.table import Row, write_rows

GAINS = {"ft-fc8": 0.6, "ft-conv1": 1.4}
SIZE = 20


def class_folders(folder: Path, count: int, start: int, names: tuple[str, str] = ("sick", "well")) -> Path:
    """Pictures that do not resemble each other, of two classes, in groups of two."""
    for k, name in enumerate(names):
        for n in range(count):
            coarse = np.random.default_rng(start + 1000 * k + n).integers(0, 256, (9, 12, 3), np.uint8)
            path = folder / name / f"{name}{n // 2}" / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), cv2.resize(coarse, (44, 30), interpolation=cv2.INTER_CUBIC))
    return folder


def write_finished(runs: Path, settings: Settings, own: Prepared) -> Path:
    """A finished run without a training."""
    folder, metric = runs / settings.name(), registry.load(settings.app).metric
    gain, seed = GAINS[settings.scheme], settings.seed
    test, validation = (metric.evaluate(part, patches(part, gain, seed)) for part in (own.test, own.validation))
    for table in metric.tables(test, seed):
        write_csv(folder / table.file, table.header, table.rows)
    table = metric.scores(validation)
    write_csv(folder / VALIDATION_SCORES, table.header, table.rows)
    write_rows(folder / "auc.csv", [Row(10, 1.0, 0.5, 0.6, 0.7)])
    (folder / "best.caffemodel").write_bytes(b"weights")
    resolved = {"width": "1", "batch": 16, "data": str(own.packed.folder), "donor": None}
    write_run(folder, RunRecord(settings.record(), {}, resolved, {}, [], [], {}, {"caffe": "lab"}))
    write_result(
        folder,
        ResultRecord(
            settings.title,
            "a donor",
            Best(10, 1.0, 0.7),
            1,
            "epochs",
            {},
            {},
            [],
            metric.result(test, seed),
            [],
            thresholds=metric.thresholds(validation, test, seed),
        ),
    )
    return folder


def scored(run, prepared, *_):
    return patches(prepared.test, GAINS[run.settings.scheme] / 2, 30 + run.settings.seed)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two schemes with two seeds, tested on another folder; the runs, the report, and what was said."""
    return reported(tmp_path_factory.mktemp("classes"), "folder", (0, 1), ("sick", "well"))


def reported(root: Path, app: str, seeds: tuple[int, ...], names: tuple[str, str]):
    runs, folders, said = root / "runs", [], []
    data, other = class_folders(root / "own", 24, 0, names), class_folders(root / "other", 22, 500, names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_resampling, "RESAMPLES", 40)
        patch.setattr(plotting, "DPI", 30)
        patch.setattr(pages, "PARTS", (results.results,))
        patch.setattr(external.Caffe, "from_setting", lambda *_: Silent())
        patch.setattr(external.rescoring, "input_size", lambda run: SIZE)
        patch.setattr(external, "_scores", scored)
        patch.setattr(quality, "TREES", 10)
        patch.setenv("PYCAFFE_EXT_THREADS", "1")  # no processes of its own
        for seed in seeds:
            for scheme in GAINS:
                settings = Settings.of(app, scheme, data=str(data), seed=seed, patches=40)
                own = prepare(registry.load(app), settings.request, SIZE, runs)
                folders.append(write_finished(runs, settings, own))
                there = outside(settings.request, TestSet(str(other)), runs)
                external.run_test(finished.load(folders[-1]), there, Machine(), said.append)
        done, missing = report_of.loaded(folders)
        write_report(done, root / "report", missing, progress=False)
    return folders, root / "report", said


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def figures_of(folder: Path) -> dict[str, float]:
    found = rows(folder / "scores.csv")
    label, chance = [row["label"] == "well" for row in found], np.array([float(row["p_well"]) for row in found])
    return {
        "AUC": roc_auc_score(label, chance),
        "balanced accuracy": balanced_accuracy_score(label, chance > 0.5),
        "accuracy": float(np.mean((chance > 0.5) == label)),
    }


def test_both_tests_and_the_fall_are_those_of_the_scores(study):
    folders, out, _ = study
    table = {(row["figure"], row["name"]): row for row in rows(out / "external.csv")}
    assert len(table) == 3 * len(GAINS)
    for scheme in GAINS:
        own = [folder for folder in folders if f"-{scheme}-" in folder.name]
        inside = [figures_of(folder) for folder in own]
        outside_figures = [figures_of(next((folder / "external").iterdir())) for folder in own]
        for figure in ("AUC", "balanced accuracy", "accuracy"):
            row = table[figure, scheme]
            means = [np.mean([one[figure] for one in side]) for side in (inside, outside_figures)]
            assert [float(row["internal"]), float(row["external"])] == pytest.approx(means)
            assert float(row["fall"]) == pytest.approx(means[0] - means[1])
    (row,) = (row for row in rows(out / "external_scheme_pairs.csv") if row["figure"] == "AUC")
    means = [float(table["AUC", scheme]["external"]) for scheme in ("ft-fc8", "ft-conv1")]
    assert float(row["difference"]) == pytest.approx(means[0] - means[1]) and row["trials"] == "2"
    assert float(table["AUC", "ft-conv1"]["fall_low"]) < float(table["AUC", "ft-conv1"]["fall"])


def test_the_section_has_counts_thresholds_and_comparisons(study):
    folders, out, said = study
    page = (out / "report.md").read_text()
    section = page.split("## External test: other")[1]
    assert "All 44 images of other in 22 groups" in section
    assert "| groups (patients, videos) |" in section and "| … of class sick |" in section and "| 22 |" in section
    run = finished.load(folders[0])
    thresholds = rows(out / "external_thresholds.csv")
    own = [row["threshold"] for row in run.result.thresholds]
    assert [float(row["threshold"]) for row in thresholds[: len(own)] if row["threshold"]] == [
        value for value in own if value is not None
    ]
    pairs = {(row["first"], row["second"], row["figure"]) for row in rows(out / "external_pairs.csv")}
    assert pairs == {("ft-fc8", "ft-conv1", figure) for figure in ("AUC", "balanced accuracy")}
    assert "external test on other: 44 images in 22 groups" in said[-1] and ", fall " in said[-1]
    provenance_lab.check_page(page)


def test_the_baseline_falls_too(tmp_path):
    """Frames: the forest on hand-crafted features, of one seed."""
    folders, out, _ = reported(tmp_path, "frames", (0,), ("uninformative", "informative"))
    table = {(row["figure"], row["name"]): row for row in rows(out / "external.csv")}
    row = table["AUC", "hand-crafted features"]
    both = [rows(folder / "scores.csv") for folder in (folders[0], next((folders[0] / "external").iterdir()))]
    inside, there = (
        roc_auc_score([one["label"] == "informative" for one in own], [float(one["baseline"]) for one in own])
        for own in both
    )
    assert (float(row["internal"]), float(row["external"])) == pytest.approx((inside, there))
    assert row["allows_for_trainings"] == "False" and float(row["fall_low"]) < inside - there < float(row["fall_high"])


def test_records_of_all_runs_are_of_the_same_pictures(study):
    records = [external.read_external(next((folder / "external").iterdir())) for folder in study[0]]
    assert len({record.fingerprint for record in records}) == 1 and len({record.packed for record in records}) == 1
    assert all(record.items == 44 and record.similar["items"] == 0 for record in records)
    assert asdict(records[0])["caffe"] == "caffe version 1.0.0 (lab)"
