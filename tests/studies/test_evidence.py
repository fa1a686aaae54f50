"""Finished runs as evidence: what is compared with what, values from the runs' own scores, directions, and margins."""

from __future__ import annotations

import csv
import re
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
from pycaffe_ext.files import read_json, write_json
from pycaffe_ext.runs import finished as finished_runs
from pycaffe_ext.runs import pipeline
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


def changed(folder, **resolved):
    """The run in `folder` with other facts under "resolved", or of the other donor; it is put back afterwards."""
    record = read_run(folder)
    donor = {"donor": resolved.pop("donor")} if "donor" in resolved else {}
    write_run(folder, replace(record, resolved=record.resolved | resolved, inputs=record.inputs | donor))
    return record


def same(found, packed):
    pass


def other_items(found, packed):
    write_json(packed / "data.json", read_json(packed / "data.json") | {"fingerprint": "of other labels"})


def other_scores(found, packed):
    table = found / "samples.csv"
    table.write_text(re.sub(r",[0-9.]+$", ",0.5", table.read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("change", [same, other_items, other_scores])
def test_runs_on_data_that_were_changed_between_two_fractions_are_refused(finished, tmp_path, change):
    cells, runs = finished
    folders = [own.folder(runs) for own in cells[:-1] if own.settings.request.fraction == "1/4"]
    before = finished_runs.load(folders[0]).packed
    shutil.copytree(before.found, tmp_path / "found")
    packed = tmp_path / "found" / before.folder.name
    change(tmp_path / "found", packed)
    records = [changed(folder, data=str(packed)) for folder in folders]
    try:
        if change is same:
            assert len(evidence(cells, runs)) == 1
        else:
            with pytest.raises(UserError, match=r"different data \(FRACTION=1, 1/4\), so the data or their labels"):
                evidence(cells, runs)
    finally:
        for folder, record in zip(folders, records, strict=True):
            write_run(folder, record)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"donor": "another file"}, "but another donor: the file, or its card, was changed"),
        ({"input": {"mean": "data", "scale": 0.5}}, "but another mean or scale of the input: the file, or its card"),
    ],
)
def test_a_donor_that_was_changed_between_two_runs_is_named(finished, facts, said):
    cells, runs = finished
    for own in (cells[6], cells[9]):  # at all data, and at a quarter of them
        record = changed(own.folder(runs), **facts)
        with pytest.raises(UserError, match=said):
            evidence(cells, runs)
        write_run(own.folder(runs), record)
    assert len(evidence(cells, runs)) == 1


def test_data_of_the_same_path_from_another_working_folder_are_told_apart(finished, tmp_path):
    cells, runs = finished
    own = cells[0].settings
    record = changed(cells[0].folder(runs), source=str(tmp_path))
    with pytest.raises(UserError, match=f"holds a run of DATA={tmp_path}, not of .*; choose another RUNS="):
        evidence(cells, runs)
    with pytest.raises(UserError, match=f"holds a run of DATA={tmp_path}"):
        pipeline.run(own, runs)
    changed(cells[0].folder(runs), source=str(tmp_path / "moved"))
    assert len(evidence(cells, runs)) == 1
    write_run(cells[0].folder(runs), record)


def test_fractions_that_are_trained_with_other_settings_are_questions_of_their_own():
    def of(fraction, line, epochs=8, scheme="ft-conv1"):
        return Cell(Settings.of("polyp", scheme, fraction=fraction, epochs=epochs), line=line)

    assert len(questions([of("1", 1), of("1/4", 5)])) == 1
    assert len(questions([of("1", 1), of("1/4", 1), of("1", 1, 20, "scratch"), of("1/4", 1, 20, "scratch")])) == 1
    first, second = questions([of("1", 1), of("1/4", 5, epochs=30)])
    assert (first.fractions, second.fractions) == (("1",), ("1/4",)) and first.title != second.title


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
