"""A net that classifies images: its evaluation, records and tables; what was written is read again as it was."""

import csv
import io
import json

import numpy as np
import pytest
from class_lab import Frames, data, patches
from sklearn.metrics import roc_auc_score

from pycaffe_ext import plotting
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import class_resampling, roc
from pycaffe_ext.evaluation.metrics import carried
from pycaffe_ext.evaluation.metrics.base import PatchScores, TestData
from pycaffe_ext.evaluation.metrics.by_class import BASELINE, NETWORK, RocByClass
from pycaffe_ext.files import write_csv

NAMES = ("p", "group", "Zähne, oben")


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(class_resampling, "RESAMPLES", 40)
    monkeypatch.setattr(plotting, "DPI", 30)


@pytest.fixture
def two():
    """Test data of two classes with a baseline, and the evaluation of a net."""
    test = data(("blurred", "clear"), baseline=True)
    return test, Frames().evaluate(test, patches(test))


@pytest.fixture
def three():
    test = data(NAMES)
    return test, RocByClass().evaluate(test, patches(test))


def table(metric, evaluation, file):
    """Rows of a table as a reader of the CSV file gets them."""
    found = next(one for one in metric.tables(evaluation, 0) if one.file == file)
    text = io.StringIO()
    csv.writer(text).writerows([found.header, *found.rows])
    return list(csv.DictReader(io.StringIO(text.getvalue())))


def test_an_image_is_scored_by_the_mean_of_its_patches(three):
    test, evaluation = three
    scores = patches(test)
    for i in (0, 17, 89):
        assert evaluation.images.probability[i] == pytest.approx(scores.probability[scores.sample == i].mean(axis=0))
    assert evaluation.names == test.items
    assert evaluation.images.group.tolist() == test.group.tolist()
    assert evaluation.patch_auc == pytest.approx(roc_auc_score(scores.label, scores.probability, multi_class="ovr"))


def test_validation_is_an_auc_also_from_single_precision():
    p = np.float32([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]])
    assert RocByClass().validation(p, np.array([0, 0, 1, 1])) == 0.75


def test_the_result_of_two_classes(two):
    test, evaluation = two
    result = Frames().result(evaluation, 0)
    json.dumps(result, allow_nan=False)
    label, score = test.samples.label, evaluation.images.probability[:, 1]
    assert result[NETWORK]["auc"]["value"] == roc.auc(label, score)
    assert result[NETWORK]["auc"]["image_95"] == list(roc.auc_interval(label, score))
    assert result[BASELINE]["auc"]["value"] == roc.auc(label, test.samples.score)
    assert result["images"] == 90
    assert result["groups"] == len(set(test.group))
    assert result["images_of_class"] == {"blurred": 45, "clear": 45}
    assert list(result[NETWORK]["sensitivity_of_class"]) == ["clear"]
    assert np.sum(result[NETWORK]["confusion"]) == 90


def test_the_headline_is_the_auc_by_group(two, three):
    metric = Frames()
    result = metric.result(two[1], 0)
    line = metric.headline(result)
    assert (line.name, line.value, [line.low, line.high]) == (
        "AUC",
        result[NETWORK]["auc"]["value"],
        result[NETWORK]["auc"]["group_95"],
    )
    assert metric.headline(result, of_baseline=True).value == result[BASELINE]["auc"]["value"]
    line = RocByClass().headline(RocByClass().result(three[1], 0))
    assert line.name == "mean one-against-rest AUC"


def test_the_headline_without_groups_is_by_image(two):
    test, _ = two
    alone = TestData(test.items, np.array(["one"] * 90), test.samples, test.classes)
    result = Frames().result(Frames().evaluate(alone, patches(alone)), 0)
    assert result[NETWORK]["auc"]["group_95"] is None
    assert not result["enough_groups"]
    line = Frames().headline(result)
    assert [line.low, line.high] == result[NETWORK]["auc"]["image_95"]


def test_the_lines_for_the_terminal(two, three):
    text = "\n".join(Frames().text(Frames().result(two[1], 0)))
    assert "90 frames of 2 classes in 15 groups" in text
    assert "AUC, network: " in text
    assert "AUC, random forest: " in text
    assert "sensitivity for clear at a specificity of 0.9: " in text
    text = "\n".join(RocByClass().text(RocByClass().result(three[1], 0)))
    assert "mean one-against-rest AUC, network: " in text
    assert "lowest AUCs: " in text
    assert BASELINE not in text


def test_scores_are_a_line_an_image(two, three):
    rows = table(Frames(), two[1], "scores.csv")
    assert list(rows[0]) == ["frame", "group", "label", "predicted", "p_blurred", "p_clear", "baseline"]
    for i, row in enumerate(rows):
        assert row["frame"] == two[0].items[i]
        assert row["label"] == two[0].classes[two[0].samples.label[i]]
        assert (row["predicted"] == "clear") == (float(row["p_clear"]) > 0.5)
        assert float(row["baseline"]) == two[0].samples.score[i]
    rows = table(RocByClass(), three[1], "scores.csv")
    assert list(rows[0]) == ["image", "group", "label", "predicted", *(f"p_{name}" for name in NAMES)]


def test_the_roc_table_has_the_curve_of_each_class(two, three):
    rows = table(RocByClass(), three[1], "roc.csv")
    for kind, name in enumerate(NAMES):
        own = [row for row in rows if row["class"] == name]
        p, positive = three[1].images.probability[:, kind], three[1].images.label == kind
        for row in own:
            detected = p >= float(row["threshold"])
            assert float(row["sensitivity"]) == pytest.approx(detected[positive].mean())
            assert float(row["false_positive_share"]) == pytest.approx(detected[~positive].mean())
            assert float(row["exact_low"]) <= float(row["sensitivity"]) <= float(row["exact_high"])
    rows = table(Frames(), two[1], "roc.csv")
    assert {(row["scores"], row["class"]) for row in rows} == {(NETWORK, "clear"), (BASELINE, "clear")}


def test_confusion_and_calibration_tables(three):
    images = three[1].images
    rows = table(RocByClass(), three[1], "confusion.csv")
    assert len(rows) == 9
    for row in rows:
        label, predicted = NAMES.index(row["label"]), NAMES.index(row["predicted"])
        count = ((images.label == label) & (images.predicted == predicted)).sum()
        assert (int(row["images"]), float(row["share_of_label"])) == (count, pytest.approx(count / 30))
    rows = table(RocByClass(), three[1], "calibration.csv")
    assert sum(int(row["images"]) for row in rows) == 90
    assert all(float(row["exact_low"]) <= float(row["observed_share"]) <= float(row["exact_high"]) for row in rows)


@pytest.mark.parametrize("kind", ["two", "three"])
def test_what_was_written_is_read_again(tmp_path, request, kind):
    test, evaluation = request.getfixturevalue(kind)
    metric = Frames() if kind == "two" else RocByClass()
    for one in metric.tables(evaluation, 0):
        write_csv(tmp_path / one.file, one.header, one.rows)
    again = metric.read(tmp_path, test)
    assert (again.images.probability == evaluation.images.probability).all()
    assert (again.images.label == evaluation.images.label).all()
    assert (again.names, again.classes, again.patch_auc) == (evaluation.names, evaluation.classes, None)
    assert metric.result(again, 0)[NETWORK] == metric.result(evaluation, 0)[NETWORK]


def test_scores_of_other_images_are_refused(tmp_path, two):
    test, evaluation = two
    metric = Frames()
    one = next(iter(metric.tables(evaluation, 0)))
    write_csv(tmp_path / one.file, one.header, list(one.rows)[:-1])
    with pytest.raises(UserError, match="not the frames that were tested"):
        metric.read(tmp_path, test)
    with pytest.raises(UserError, match="needs the columns image, label"):
        RocByClass().read(tmp_path, test)
    with pytest.raises(UserError, match=r"scores\.csv is missing"):
        metric.read(tmp_path / "none", test)


def test_a_class_that_no_test_image_shows():
    test = data(("a", "b"))
    wider = TestData(test.items, test.group, test.samples, ("a", "b", "c"))
    scores = patches(test)
    padded = np.c_[scores.probability, np.zeros(len(scores.label))]
    result = RocByClass().result(RocByClass().evaluate(wider, PatchScores(scores.sample, scores.label, padded)), 0)
    json.dumps(result, allow_nan=False)
    assert list(result[NETWORK]["auc_of_class"]) == ["a", "b"]
    assert result["images_of_class"]["c"] == 0


def test_a_score_is_no_baseline_of_three_classes():
    test = data(NAMES, baseline=True)
    with pytest.raises(ValueError, match="baseline of 3 classes"):
        RocByClass().evaluate(test, patches(test))


@pytest.mark.parametrize("kind", ["two", "three"])
def test_the_figures_of_a_run(tmp_path, request, kind):
    _, evaluation = request.getfixturevalue(kind)
    metric = Frames() if kind == "two" else RocByClass()
    files = metric.figures(tmp_path, evaluation, "ft-fc6", "a title")
    assert files == ["roc.png", "confusion.png", "reliability.png"]
    assert all((tmp_path / file).read_bytes().startswith(b"\x89PNG") for file in files)


def test_thresholds_are_chosen_on_validation_and_carried_to_the_test(two, three):
    for metric, (test, evaluation), scored in (
        (Frames(), two, [NETWORK, "random forest"]),
        (RocByClass(), three, [NETWORK]),
    ):
        validation = metric.evaluate(
            *(part := data(test.classes, seed=7, baseline=len(scored) == 2), patches(part, seed=8))
        )
        rows = metric.thresholds(validation, evaluation, 0)
        classes = test.classes if len(test.classes) > 2 else test.classes[1:]
        assert [(row["scores"], row["class"]) for row in rows[::4]] == [(s, c) for s in scored for c in classes]
        assert json.loads(json.dumps(rows)) == rows
        for row in rows:
            kind, images = test.classes.index(row["class"]), row["scores"] == NETWORK
            for part, own in (("validation", validation), ("test", evaluation)):
                own = own.images if images else own.baseline
                above, positive = own.probability[:, kind] >= row["threshold"], own.label == kind
                assert row[part]["hits"] == (above & positive).sum() and row[part]["of"] == positive.sum()
                assert row[part]["false_positives"] == (above & ~positive).sum()
                assert row[part]["false_positive_rate"] == (above & ~positive).sum() / (~positive).sum()
            if row["criterion"].startswith("specificity at least"):
                wanted = float(row["criterion"].split()[-1])
                assert row["validation"]["false_positive_rate"] <= 1 - wanted + 1e-9
                own = validation.images if images else validation.baseline
                score, positive = own.probability[:, kind], own.label == kind
                allowed = [t for t in score if (score[~positive] >= t).mean() <= 1 - wanted + 1e-9]
                best = max((score[positive] >= t).mean() for t in allowed)
                assert row["validation"]["sensitivity"] == pytest.approx(best)


def test_where_there_is_no_threshold_the_reason_is_recorded(two):
    test, evaluation = two
    worst = PatchScores(np.arange(90), test.samples.label, np.where(test.samples.label[:, None] == [0, 1], 0.2, 0.8))
    rows = Frames().thresholds(Frames().evaluate(test, worst), evaluation, 0)
    youden = rows[3]
    assert (youden["threshold"], youden["validation"], youden["test"]) == (None, None, None)
    assert youden["reason"] == "no threshold tells more than chance does on the validation samples"
    assert carried.text(youden).endswith(f"none ({youden['reason']})")
