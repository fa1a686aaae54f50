"""Finished runs as evidence: what is compared with what, values from the runs' own scores, directions, and margins."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from class_lab import Frames, data, patches

from pycaffe_ext.applications.registry import load
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import roc, walls
from pycaffe_ext.evaluation.findings.every import findings
from pycaffe_ext.evaluation.margins import MARGINS
from pycaffe_ext.evaluation.metrics.boundaries import Evaluation
from pycaffe_ext.runs.records import read_result, read_run, write_result, write_run
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.studies.evidence import Question, evidence, questions
from pycaffe_ext.studies.grid import Cell, check_margins

SEEDS, FRACTIONS = (0, 1, 2), ("1", "1/4")


def cell(settings: Settings, scheme: str, fraction: str, seed: int, **options) -> Cell:
    """One test set for all seeds, as with SPLIT_SEED=0."""
    own = settings.with_request(fraction=fraction)
    return Cell(replace(own, training=replace(own.training, scheme=scheme, seed=seed, weights=None)), **options)


@pytest.fixture(scope="module")
def finished(miniature_run, tmp_path_factory):
    """(cells, runs): two schemes at two fractions with three seeds, made of the miniature's run with noisier scores;
    the last is not finished."""
    runs, first = tmp_path_factory.mktemp("runs"), miniature_run / "runs" / "first"
    settings, rng = read_run(first).parsed_settings(), np.random.default_rng(0)
    cells = [cell(settings, s, f, seed) for s in ("scratch", "ft-conv1") for f in FRACTIONS for seed in SEEDS]
    for own in cells[:-1]:
        folder = own.folder(runs)
        folder.mkdir()
        for name in ("run.json", "result.json"):
            shutil.copy(first / name, folder)
        write_run(folder, replace(read_run(first), settings=own.settings.record()))
        groups = {"1": 8, "1/4": 2}[own.settings.request.fraction]
        write_result(folder, replace(read_result(first), share={"groups": groups}))
        rows = list(csv.DictReader((first / "scores.csv").open()))
        for row in rows:
            row["probability"] = repr(float(rng.random()))
        with (folder / "scores.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return cells, runs


def test_values_are_those_of_the_runs_own_scores(finished):
    cells, runs = finished
    (own,) = evidence(cells, runs)
    assert (own.title, own.source) == ("polyp, alexnet", "frames")
    assert [one.name for one in own.schemes] == ["ft-conv1", "scratch"] and own.deepest.name == "ft-conv1"
    assert (own.fractions, own.trained) == (FRACTIONS, (8.0, 2.0))
    for one in cells[:-1]:
        rows = list(csv.DictReader((one.folder(runs) / "scores.csv").open()))
        label = np.array([int(row["lesion"]) > 0 for row in rows])
        area = roc.auc(label, np.array([float(row["probability"]) for row in rows]))
        column = own.column(one.settings.scheme, one.settings.request.fraction)
        assert own.figure.values[one.settings.seed, column] == pytest.approx(area)
        detector = roc.auc(label, np.array([float(row["detector"]) for row in rows]))
        assert own.figure.values[one.settings.seed, -1] == pytest.approx(detector) and own.baseline == "detector"
    assert np.isnan(own.figure.values[2, own.column("ft-conv1", "1/4")])
    assert own.finished("ft-conv1", "1/4") == 2 and own.merit.margin == MARGINS.auc


def test_the_findings_of_few_groups_say_so_and_what_is_missing_is_missing(finished):
    (own,) = evidence(*finished)
    found = findings([own], draws=100)
    assert "groups; 10 are needed" in found.claims[0].reason
    assert all("groups; 10 are needed" in one.reason for one in found.recommendations)
    assert [point.fraction for point in found.curves[0].points] == list(FRACTIONS)


def test_a_margin_of_the_study_is_the_merits(finished):
    cells, runs = finished
    (own,) = evidence([replace(one, margin=0.05) for one in cells], runs)
    assert own.merit.margin == 0.05
    with pytest.raises(UserError, match="MARGIN=1: a margin must lie between 0 and 1, both excluded"):
        replace(cells[0], margin=1.0)


def test_runs_that_are_compared_have_one_margin(finished):
    cells, _ = finished
    two = [cells[0], replace(cells[1], margin=0.05, line=7)]
    with pytest.raises(UserError, match="line 7: MARGIN 0.05, but line 0 has none for the same polyp and alexnet"):
        check_margins(finished[1], two)
    check_margins(finished[1], [cells[0], Cell(Settings.of("frames", "scratch"), margin=0.1)])


def test_nothing_finished_is_no_evidence(finished, tmp_path):
    assert evidence(finished[0], tmp_path) == ()


def test_runs_of_one_seed_with_other_test_items_are_refused(finished, tmp_path, monkeypatch):
    from pycaffe_ext.report import design_part

    cells, runs = finished
    real = design_part.test_groups
    changed = iter(["a", "b"])

    def other(study):
        return {
            seed: [f"{next(changed)} {name}" for name in groups[:1]] for seed, groups in list(real(study).items())[:1]
        }

    monkeypatch.setattr(design_part, "test_groups", other)
    with pytest.raises(UserError, match="tested on other items than runs of seed 0 with other fractions"):
        evidence(cells, runs)


def test_questions_are_apart_by_application_data_net_and_donor():
    def of(scheme, app="polyp", line=1, **options):
        return Cell(Settings.of(app, scheme, **options), line=line)

    cells = [
        of("ft-fc8"),
        of("ft-conv1", fraction="1/4", seed=3),
        of("scratch"),
        of("ft-fc8", app="frames"),
        of("ft-conv10", arch="squeezenet", weights="/d/a.caffemodel"),
        of("ft-conv10", arch="squeezenet", weights="/d/b.caffemodel"),
        of("scratch", arch="squeezenet"),
        of("scratch", app="imt", epochs=3, line=4),
        of("scratch", app="imt", epochs=4, line=9),
    ]
    assert {one.title: len(one.cells) for one in questions(cells)} == {
        "polyp, alexnet": 3,
        "frames, alexnet": 1,
        "polyp, squeezenet, synthetic, a.caffemodel": 2,
        "polyp, squeezenet, synthetic, b.caffemodel": 2,
        "imt, alexnet, synthetic, line 4": 1,
        "imt, alexnet, synthetic, line 9": 1,
    }


def test_schemes_go_from_shallow_to_deep_then_from_scratch():
    names = ("scratch-msra", "ft-conv1", "scratch", "ft-fc8", "ft-conv2", "ft-conv3")
    (own,) = questions([Cell(Settings.of("polyp", name)) for name in names])
    assert [(one.name, one.learning, one.deep) for one in own.schemes] == [
        ("ft-fc8", 1, False),
        ("ft-conv3", 6, False),
        ("ft-conv2", 7, True),
        ("ft-conv1", 8, True),
        ("scratch", None, False),
        ("scratch-msra", None, False),
    ]


def test_pictures_are_compared_by_their_auc():
    test = data(("blurred", "clear"))
    own = {0: {"a": Frames().evaluate(test, patches(test)), "b": Frames().evaluate(test, patches(test, 0.3, 2))}}
    merit = Frames().merit(own[0]["a"])
    assert (merit.name, merit.unit, merit.best, merit.higher_is_better) == ("AUC of frames", "AUC", 1.0, True)
    found = Frames().merit_figure(own, {0: test.group}, ["a", "none", "b"])
    areas = [roc.auc(one.images.label == 1, one.images.probability[:, 1]) for one in own[0].values()]
    assert found.values[0, [0, 2]] == pytest.approx(areas) and np.isnan(found.values[0, 1])


def test_walls_are_compared_by_their_error_with_less_as_more():
    rng, count = np.random.default_rng(0), 20
    names, image, mm = tuple(map(str, range(count))), np.arange(count), np.full(count, 0.1)
    true = np.tile([10.0, 20.0], (count, 1))

    def of(size: float) -> Evaluation:
        found = true + np.column_stack([np.zeros(count), size * rng.normal(size=count)])
        own = walls.Walls(names, image, mm, image, np.zeros(count), true, found)
        return Evaluation(own, own)

    metric, own = load("imt").metric, {0: {"good": of(1.0), "bad": of(5.0)}}
    merit = metric.merit(own[0]["good"])
    found = metric.merit_figure(own, {0: [str(i) for i in image]}, ["good", "bad"])
    assert found.values[0].tolist() == pytest.approx([-one.network.absolute.mean() for one in own[0].values()])
    assert found.values[0, 0] > found.values[0, 1] and merit.best == 0 and not merit.higher_is_better
    assert (merit.unit, merit.margin, merit.shown(-0.3)) == ("mm", MARGINS.millimetres, 0.3)
    assert f"{merit.shown(0.0):.3f}" == "0.000"


def test_a_chain_is_no_depth_and_no_training_from_scratch():
    training = SimpleNamespace(arch="alexnet")
    cells = [SimpleNamespace(settings=SimpleNamespace(scheme=s, training=training)) for s in ("scratch", "x", "ft-fc8")]
    assert [(one.name, one.learning, one.chain, one.scratch) for one in Question("", tuple(cells)).schemes] == [
        ("ft-fc8", 1, False, False),
        ("x", None, True, False),
        ("scratch", None, False, True),
    ]
