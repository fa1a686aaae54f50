"""Figures of walls by hand-computed numbers, and what the metric writes and reads again."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from pycaffe_ext.data.items import Samples
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import walls
from pycaffe_ext.evaluation.agreement import icc_agreement
from pycaffe_ext.evaluation.metrics import boundaries
from pycaffe_ext.evaluation.metrics.base import PatchScores, TestData
from pycaffe_ext.evaluation.metrics.boundaries import ALONE, BASELINE, NETWORK, Boundaries
from pycaffe_ext.evaluation.wall_figures import accuracy_figure
from pycaffe_ext.files import write_csv

NAN = np.nan
TRUE = np.array([[10, 20], [10, 22], [NAN, NAN], [30, 40], [30, 40], [5, 15.0], [5, 15]])
OFF = np.array([[1, -1], [-1, 1], [9, 9], [2, 2], [2, 2], [0, 3.0], [0, 1]])


def made(off=OFF):
    """Three images of two patients, at 0.05, 0.1 and 0.1 mm per pixel."""
    return walls.Walls(
        ("a", "b", "c"),
        np.array(["p", "p", "q"]),
        np.array([0.05, 0.1, 0.1]),
        np.array([0, 0, 0, 1, 1, 2, 2]),
        np.array([0.0, 8, 16, 0, 8, 0, 8]),
        TRUE,
        np.where(np.isfinite(TRUE), TRUE, 12) + off,
    )


def test_errors_and_thicknesses_are_those_of_the_columns():
    own = made()
    assert own.judged == [0, 1, 2]
    assert [errors.tolist() for errors in own.errors(0)] == [
        pytest.approx([50, -50, NAN], nan_ok=True),
        [200, 200],
        [0, 0],
    ]
    first = own.of_images(1)[2]
    assert (first.signed, first.mean, first.median, first.percentile95) == pytest.approx((200, 200, 200, 290))
    found, true = own.thickness
    assert true == pytest.approx([0.05 * 11, 1.0, 1.0])
    assert found == pytest.approx([0.05 * (8 + 14) / 2, 1.0, 1.2])
    assert own.absolute == pytest.approx([0, 0, 0.2])


def test_the_record_has_every_figure():
    found = walls.record(made(), seed=0)
    json.dumps(found)
    thick = found["thickness"]
    assert thick["bias"]["value"] == pytest.approx(0.2 / 3)
    spread = 1.959964 * np.std([0, 0, 0.2], ddof=1)
    assert thick["lower"]["value"] == pytest.approx(0.2 / 3 - spread, abs=1e-6)
    assert thick["mean_absolute"]["value"] == pytest.approx(0.2 / 3)
    pairs = np.column_stack(made().thickness)
    assert thick["icc"]["value"] == pytest.approx(icc_agreement(pairs))
    li = found["LI"]
    assert li["columns"] == pytest.approx(
        {"judged": 6, "signed": 400 / 6, "mean": 500 / 6, "median": 50, "percentile95": 200}
    )
    assert li["mean"]["value"] == pytest.approx((50 + 200 + 0) / 3)
    low, high = li["mean"]["group_95"]
    assert low < 250 / 3 < high
    assert walls.counts(made())["groups"] == 2


def test_an_image_without_a_judged_column_is_left_out():
    own = made()
    own.true[3:5] = NAN
    again = walls.Walls(own.names, own.group, own.mm, own.image, own.x, own.true.copy(), own.found)
    own.true[3:5] = TRUE[3:5] = [30, 40]
    assert again.judged == [0, 2] and len(again.thickness[0]) == 2 and again.judged_group.tolist() == ["p", "q"]


def test_the_covariance_over_seeds_is_that_of_the_means_by_group():
    """Of one seed and independent images it is the variance of their mean; a seed's groups are matched by name."""
    rng = np.random.default_rng(0)
    count = 40
    true = np.tile([10.0, 20.0], (count, 1))
    image = np.arange(count)
    names, mm = tuple(map(str, image)), np.full(count, 0.1)

    def of(errors):
        return walls.Walls(names, image, mm, image, np.zeros(count), true, true + np.column_stack([0 * errors, errors]))

    drawn = [np.abs(rng.normal(3, 1, count)) for _ in range(3)]
    own = {0: {"a": of(drawn[0]), "b": of(drawn[1])}, 1: {"a": of(drawn[2])}}
    found = accuracy_figure(own, {0: image, 1: image}, ["a", "b"])
    assert found.values[0].tolist() == pytest.approx([-0.1 * drawn[0].mean(), -0.1 * drawn[1].mean()])
    assert np.isnan(found.values[1, 1]) and found.groups == count
    expected = np.cov(0.1 * np.stack(drawn)) / count
    assert found.covariance[0, 0, 0, 0] == pytest.approx(expected[0, 0])
    assert found.covariance[0, 0, 0, 1] == pytest.approx(expected[0, 1])
    assert found.covariance[0, 1, 1, 0] == pytest.approx(expected[1, 2])
    large = np.where(image < 20, 0, image)  # half of the images are of one patient
    uneven = accuracy_figure(own, {0: large, 1: large}, ["a", "b"])
    assert uneven.groups == 21 and uneven.effective_groups == pytest.approx(40**2 / (20**2 + 20))


class Peaks(Boundaries):
    """The most probable row of each column."""

    chosen = {"way": "peaks"}

    def curves(self, test, probability, alone=False):
        """Alone: a row deeper."""
        samples = test.samples
        keys = list(dict.fromkeys(zip(samples.item.tolist(), samples.place[:, 0].tolist(), strict=True)))
        found = []
        for item, x in keys:
            rows = np.flatnonzero((samples.item == item) & (samples.place[:, 0] == np.float32(x)))
            found.append([samples.place[rows[probability[rows, kind].argmax()], 1] for kind in (1, 2)])
        image, x = np.array(keys).T
        return image.astype(np.int64), x, np.array(found, np.float64) + (0, alone)


@pytest.fixture()
def tested():
    """Two images of two columns of six rows; the net finds the boundaries, but a row too deep in one column."""
    item, x = np.repeat([0, 1], 12), np.tile(np.repeat([4.0, 8.0], 6), 2)
    y = np.tile(np.arange(6.0), 4)
    label = np.tile([0, 1, 0, 0, 2, 0], 4)
    measures = np.tile([1.0, 4.0, 1.5, 4.5, 0.1, 0, 0], (24, 1))
    samples = Samples(
        item,
        np.tile(np.arange(12), 2),
        np.column_stack([x, y]).astype(np.float32),
        label.astype(np.int32),
        np.zeros(24, int),
        np.zeros(2, int),
        measures=measures,
    )
    test = TestData(("a", "b"), np.array(["p", "q"]), samples, ("none", "li", "ma"))
    probability = np.eye(3)[label] * 0.8 + 0.2 / 3
    probability[[4, 5]] = probability[[5, 4]]
    return test, PatchScores(np.arange(24), label, probability)


def test_the_metric_judges_writes_and_reads_again(tested, tmp_path):
    test, scores = tested
    metric = Peaks()
    evaluation = metric.evaluate(test, scores)
    assert 0.9 < evaluation.patch_auc < 1
    result = metric.result(evaluation, 0)
    json.dumps(result)
    assert result[NETWORK]["thickness"]["mean_absolute"]["value"] == pytest.approx(0.025)
    assert result[ALONE]["thickness"]["mean_absolute"]["value"] == pytest.approx(0.125)
    assert result[BASELINE]["MA"]["columns"]["signed"] == pytest.approx(50)
    headline = metric.headline(result)
    assert headline.value == pytest.approx(0.025) and not headline.higher_is_better
    assert metric.headline(result, of_baseline=True).value == pytest.approx(0)
    assert result["chosen"] == {"way": "peaks"}
    assert any("median error" in line for line in metric.text(result))
    assert any("without the image's edges: " in line and "0.125" in line for line in metric.text(result))
    del result[ALONE]  # a run of an earlier version
    assert not any("without the image" in line for line in metric.text(result))
    for table in metric.tables(evaluation, 0):
        write_csv(tmp_path / table.file, table.header, table.rows)
    again = metric.read(tmp_path, test)
    np.testing.assert_array_equal(again.network.found, evaluation.network.found)
    np.testing.assert_array_equal(again.baseline.found, evaluation.baseline.found)
    with (tmp_path / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["scores"], row["image"]) for row in rows] == [(s, i) for s in (NETWORK, BASELINE) for i in "ab"]
    assert float(rows[0]["ma_hausdorff_um"]) == pytest.approx(100)


def test_scores_of_other_columns_or_boundaries_are_refused(tested, tmp_path):
    test, scores = tested
    metric = Peaks()
    evaluation = metric.evaluate(test, scores)
    table = metric.scores(evaluation)
    rows = [list(row) for row in table.rows]
    for change, message in (
        (lambda rows: rows[:-1], "other columns"),
        (lambda rows: [["z", *rows[0][1:]], *rows[1:]], "not the images"),
        (lambda rows: [[*rows[0][:2], "7.5", *rows[0][3:]], *rows[1:]], "not the boundaries"),
    ):
        write_csv(tmp_path / "scores.csv", table.header, change(rows))
        with pytest.raises(UserError, match=message):
            metric.read(tmp_path, test)


def test_validation_takes_both_interfaces_as_one_class():
    probability = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7], [0.3, 0.6, 0.1], [0.8, 0.1, 0.1]])
    assert Peaks().validation(probability, np.array([0, 1, 2, 0])) == 1.0  # which interface it is does not count


def test_too_few_judged_images_are_refused(tested):
    test, scores = tested
    test.samples.measures[:12, :2] = NAN
    evaluation = Peaks().evaluate(test, scores)
    with pytest.raises(UserError, match="1 test image with a column"):
        Peaks().result(evaluation, 0)
    test.samples.measures[:, :2] = NAN
    with pytest.raises(UserError, match="no column of 2 images"):
        Peaks().evaluate(test, scores)
    assert boundaries.MEASURES[4] == "mm_per_pixel"
