"""Claims 1, 4 and 5 on a grid's page: those of the reports, in every application; what is missing is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import report_lab
from class_lab import Frames
from class_study import write_study

from pycaffe_ext.evaluation import folds, roc
from pycaffe_ext.evaluation.contrasts import Test, Verdict
from pycaffe_ext.evaluation.findings.every import findings
from pycaffe_ext.report import model
from pycaffe_ext.report.detection.material import Material as Detected
from pycaffe_ext.report.grid import answer, paper_claims
from pycaffe_ext.report.grid.material import Material, Panel
from pycaffe_ext.runs.records import read_run
from pycaffe_ext.studies.evidence import answered, load
from pycaffe_ext.studies.grid import Cell

BEATS = "Every CNN outperforms the hand-crafted baseline"
AS_GOOD = "Deep tuning is as good as training from scratch or better"


@pytest.fixture(scope="module")
def polyps(tmp_path_factory) -> Panel:
    """Detection: five schemes, two seeds, 14 test groups."""
    root = tmp_path_factory.mktemp("polyps")
    report_lab.write_frames(root / "frames", groups=18)
    report_lab.write_weights(root / "donor.caffemodel", report_lab.net_of(np.random.default_rng(7)))
    folders = report_lab.write_study(root)
    settings = [read_run(folder).parsed_settings() for folder in folders]
    cells = [Cell(own) for own in settings]
    ((own, runs),) = answered(cells, load(cells, root / "runs"))
    return Panel(own, runs)


def of_class(root, metric=None, **options) -> Panel:
    """Classification, of runs whose test items lie in memory."""
    study = write_study(root, metric or Frames(), ("cat", "dog"), **options)
    loaded = {run.folder.name: run for run in study.runs}
    ((own, runs),) = answered([Cell(run.settings) for run in study.runs], loaded)
    return Panel(own, runs)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Panel:
    return of_class(tmp_path_factory.mktemp("pictures"), seeds=(0, 1, 2))


def test_effects_and_p_are_those_of_the_report_on_the_application(polyps):
    table = {row.statement: row for row in Detected(polyps.study, progress=False).claims}
    page = {row.statement: row for row in paper_claims.findings(polyps)}
    assert page.keys() == table.keys() and len(page) == 11
    tested = [name for name, row in table.items() if row.test is not None]
    assert len(tested) >= 8
    for name in tested:
        assert page[name].test == table[name].test, name
        assert (page[name].contrast, page[name].figure) == (table[name].contrast, table[name].figure)
    assert {name: row.reason for name, row in page.items()} == {name: row.reason for name, row in table.items()}
    assert [row.claim for row in page.values() if row.primary] == [5, 1, 4] and all(r.primary for r in table.values())


def test_holms_method_goes_over_all_claims_of_the_page(polyps, pictures):
    others = [*paper_claims.findings(polyps), *paper_claims.findings(pictures)]
    own = [polyps.evidence, pictures.evidence]
    found = findings(own, draws=100, others=others).claims
    assert [row.claim for row in found] == sorted(row.claim for row in found)
    tested = sorted((row for row in found if row.primary and row.p is not None), key=lambda row: row.p)
    assert sorted(row.claim for row in tested) == [1, 1, 3, 3, 5, 5]
    assert tested[0].p_holm == pytest.approx(min(1, 6 * tested[0].p))
    assert {row.tested for row in found} == {6}
    assert all(row.p_holm is None for row in found if not row.primary)
    assert {row.about for row in found if row.claim == 5} == {one.title for one in own}


def area(images) -> float:
    return roc.auc(images.label == 1, images.probability[:, 1])


def test_the_baseline_is_the_last_column_and_every_net_is_compared_with_it(pictures):
    own = pictures.evidence
    assert own.baseline == "random forest" and own.figure.values.shape[1] == len(own.columns) + 1
    alone = {run.settings.seed: area(run.evaluation.baseline) for run in pictures.runs}
    assert own.figure.values[:, -1] == pytest.approx([alone[seed] for seed in (0, 1, 2)])
    assert pictures.baseline.mean == pytest.approx(np.mean(list(alone.values())))
    (found,) = [row for row in paper_claims.findings(pictures) if row.statement == BEATS]
    weakest = [run for run in pictures.runs if run.settings.scheme == found.test.weakest]
    gaps = [area(run.evaluation.images) - alone[run.settings.seed] for run in weakest]
    assert found.estimate.value == pytest.approx(np.mean(gaps)) and found.contrast.endswith("minus random forest")


def test_deep_as_good_as_scratch_has_the_margin_of_the_study(pictures):
    (found,) = [row for row in paper_claims.findings(pictures) if row.claim == 1 and row.primary]
    assert (found.statement, found.margin) == (AS_GOOD, pictures.evidence.merit.margin)
    assert isinstance(found.test, Test) and found.test.null == -found.margin and found.verdict is Verdict.NOT_TESTED


def test_what_is_missing_is_said(pictures, tmp_path):
    class Bare(Frames):
        baseline = None

    bare = of_class(tmp_path, Bare(), schemes=("ft-fc8", "ft-conv1"))
    found = {row.statement: row.reason for row in paper_claims.findings(bare)}
    assert bare.evidence.baseline == "" and bare.baseline is None
    assert found[BEATS] == "this application has no hand-crafted baseline"
    assert found[AS_GOOD] == "nets from scratch were not run with one architecture, width and donor"
    assert found["Performance grows with the depth of tuning"] == "2 depths were run; a claim about growth needs 5"
    (sooner,) = [row for row in paper_claims.findings(pictures) if row.claim == 4]
    assert "of 3 seeds decide, a sign test needs 6" in sooner.reason


@pytest.fixture(scope="module")
def in_folds(tmp_path_factory) -> Panel:
    return of_class(tmp_path_factory.mktemp("folds"), seeds=(0,), folds=4)


def test_a_study_in_folds_has_a_recommendation_and_claims(in_folds):
    found = findings([in_folds.evidence], draws=4000, others=paper_claims.findings(in_folds))
    (advice,), (best,) = found.recommendations, found.best
    assert advice.scheme == "ft-conv1" and not advice.reason
    deep = next(one for one in advice.candidates if one.scheme == "ft-conv1")
    runs = {scheme: in_folds.at("1", scheme) for scheme in ("ft-conv1", deep.rival)}
    areas = {name: np.array([area(run.evaluation.images) for run in own]) for name, own in runs.items()}
    trials = [run.settings.trial for run in runs["ft-conv1"]]
    expected = folds.fold_mean(areas["ft-conv1"] - areas[deep.rival], trials)
    assert deep.difference.value == pytest.approx(expected.mean)
    assert deep.difference.error**2 == pytest.approx(expected.variance) and deep.difference.folds == 4
    assert best.leader.scheme == "ft-conv1" and best.leader.probability > 0.9
    text = model.markdown([answer.recommendations(Material("mine", "", (in_folds,), found, 12))])
    assert "In folds every group is tested once" in text and "| ft-conv1 | all data |" in text
    assert "12 folds" not in text and "(1 seed of 4 folds, 46 effective test groups)" in model.markdown(
        [answer.answer(Material("mine", "", (in_folds,), found, 12))]
    )


def test_more_seeds_are_not_advised_in_folds(in_folds):
    own = in_folds.evidence
    strict = replace(own, merit=replace(own.merit, margin=1e-9))
    (advice,) = findings([strict], draws=400).recommendations
    assert all(one.seeds_needed is None for one in advice.candidates)
