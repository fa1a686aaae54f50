"""The pictures of a classification show the numbers they are given; their looks are judged by eye."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from pycaffe_ext import plotting
from pycaffe_ext.evaluation import calibration, class_intervals, class_resampling, classes
from pycaffe_ext.evaluation.class_intervals import Estimate
from pycaffe_ext.evaluation.classes import Images
from pycaffe_ext.evaluation.intervals import Interval
from pycaffe_ext.report.by_class import figures


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, which are also written."""
    kept = []
    monkeypatch.setattr(figures, "save", lambda figure, path: (kept.append(figure), plotting.save(figure, path)))
    monkeypatch.setattr(class_resampling, "RESAMPLES", 30)
    return kept


def some_images(count, n=120, seed=0):
    rng = np.random.default_rng(seed)
    label = np.arange(n) % count
    z = rng.normal(size=(n, count))
    z[np.arange(n), label] += 2
    return Images(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), label, np.arange(n) // 4)


def estimates(images):
    return {kind: Estimate(value, None, Interval(0.5, 1.0)) for kind, value in classes.aucs(images).items()}


def test_a_curve_for_each_class_and_its_area_in_the_legend(tmp_path, drawn):
    images = some_images(4)
    areas = estimates(images)
    figures.classes_figure(tmp_path / "a.png", images, list("abcd"), areas, Estimate(0.9, None, None), "t")
    (figure,) = drawn
    lines = figure.axes[0].get_lines()
    for kind, name in enumerate("abcd"):
        line = next(line for line in lines if line.get_label().startswith(f"{name}: {areas[kind].value:.3f}"))
        assert np.array_equal(line.get_xydata(), np.stack(classes.roc_curve(images, kind), axis=1))


def test_of_many_classes_a_band_with_the_extreme_ones(tmp_path, drawn):
    images = some_images(12, n=240)
    areas = estimates(images)
    names = [f"class {i}" for i in range(12)]
    figures.classes_figure(tmp_path / "a.png", images, names, areas, Estimate(0.9, None, None))
    axes = drawn[0].axes[0]
    assert len([part for part in axes.collections if isinstance(part, PolyCollection)]) == 2
    labels = [line.get_label() for line in axes.get_lines() if not line.get_label().startswith("_")]
    worst, best = (pick(areas, key=lambda kind: areas[kind].value) for pick in (min, max))
    assert labels[1].startswith(f"lowest, class {worst}:")
    assert labels[2].startswith(f"highest, class {best}:")
    mean = next(line for line in axes.get_lines() if line.get_label().startswith("mean"))
    assert mean.get_ydata() == pytest.approx(classes.sensitivities_along(images, figures.GRID).mean(axis=0))


def test_error_bars_at_the_specificities(tmp_path, drawn):
    images = some_images(2)
    points = class_intervals.sensitivities(images, 1)
    curve = figures.Curve(*classes.roc_curve(images, 1), "net", points)
    figures.roc_figure(tmp_path / "a.png", {"net": curve})
    bars = drawn[0].axes[0].containers
    assert len(bars) == 3
    for bar, point in zip(bars, points, strict=True):
        (segment,) = bar.lines[2][0].get_segments()
        assert segment[:, 0] == pytest.approx(1 - point.specificity)
        assert segment[:, 1] == pytest.approx(point.estimate.group)


def test_the_confusion_matrix_shows_counts_and_shares_and_a_gap_for_an_absent_class(tmp_path, drawn):
    counts = np.array([[3, 1, 0], [0, 0, 0], [1, 0, 9]])
    figures.confusion_figure(tmp_path / "a.png", counts, ["cat", "dog", "cow"])
    axes = drawn[0].axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["75 %\n3", "25 %\n1", "0 %\n0", "10 %\n1", "0 %\n0", "90 %\n9"]
    assert axes.images[0].get_array().mask.any(axis=1).tolist() == [False, True, False]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "cow"]


def test_a_large_confusion_matrix_has_no_numbers_and_names_every_third_class(tmp_path, drawn):
    figures.confusion_figure(tmp_path / "a.png", np.eye(100, dtype=int), [f"class {i}" for i in range(100)])
    axes = drawn[0].axes[0]
    assert not axes.texts
    assert [label.get_text() for label in axes.get_yticklabels()][:3] == ["class 0", "class 3", "class 6"]


def test_the_reliability_diagram(tmp_path, drawn):
    bins = calibration.reliability(some_images(2))
    figures.reliability_figure(tmp_path / "a.png", {"net": bins}, "class dog")
    above, below = drawn[0].axes
    assert below.get_xlabel() == "probability of class dog"
    assert [bar.get_height() for bar in below.patches] == [own.images for own in bins]
    segments = above.containers[0].lines[2][0].get_segments()
    for segment, own in zip(segments, bins, strict=True):
        assert segment[:, 0] == pytest.approx(own.mean)
        assert segment[:, 1] == pytest.approx(own.observed.group or own.observed.image)


def test_images_are_shown_whole_in_squares():
    image = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
    square = figures.squared(image)
    assert square.shape == (5, 5, 3)
    assert (square[1:3] == image).all()
    assert (square[[0, 3, 4]] == 255).all()


def test_best_and_worst_images_stand_at_either_side(tmp_path, drawn):
    shots = [figures.Shot(np.full((4, 4, 3), i, np.uint8), f"0.{i}") for i in range(5)]
    figures.extremes_figure(tmp_path / "a.png", {"cat": (shots[:3], shots[3:]), "dog": (shots[:1], [])})
    texts = [axes.get_xlabel() for axes in drawn[0].axes]
    assert texts == ["0.0", "0.1", "0.2", "0.3", "0.4", "", "0.0", "", "", "", "", ""]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("cat", "cat"), ("x" * 30, "x" * 23 + "…"), ("two\nlines", "two lines"), ("caf\udce9", "caf\ufffd")],
)
def test_names_that_fit_beside_a_figure(name, shown):
    assert figures.short(name) == shown
