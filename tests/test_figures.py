"""The figures show the numbers they are given, with labelled axes; their looks are judged by eye."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from pycaffe_ext.evaluation import froc, intervals
from pycaffe_ext.report import figures
from pycaffe_ext.training.table import Row


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, which are also written."""
    kept, save = [], figures._save
    monkeypatch.setattr(figures, "_save", lambda figure, path: (kept.append(figure), save(figure, path)))
    return kept


def some_curve(seed, frames=60):
    rng = np.random.default_rng(seed)
    frame = np.repeat(np.arange(frames), 5)
    lesion = np.tile([1, 0, 0, 0, 0], frames)
    return froc.curve(froc.Cases(frame, rng.normal(size=frame.size) + lesion, lesion, np.ones(frames, int)))


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}


@pytest.mark.parametrize("by", froc.SENSITIVITIES)
def test_froc_figure(tmp_path, drawn, by):
    curves = {f"net {i}": some_curve(i) for i in range(9)}
    band = figures.Band(np.array([0, 4]), np.array([0, 0.5]), np.array([0.5, 1]))
    figures.froc_figure(tmp_path / "froc.png", curves, some_curve(99), {"net 0": band}, by, rates=(0.5, 1, 9))
    image = cv2.imread(str(tmp_path / "froc.png"))
    assert image.shape[1] == 1400 and image.std() > 1
    (axes,) = drawn[0].axes
    assert "per frame" in axes.get_xlabel()
    assert {"lesion": "lesions found", "frame": "frames with a polyp"}[by] in axes.get_ylabel()
    shown = lines(axes)
    assert list(shown) == [*curves, "hand-crafted detector"]
    assert len({(line.get_color(), line.get_linestyle()) for line in shown.values()}) == 10
    for name, curve in curves.items():
        np.testing.assert_array_equal(shown[name].get_xdata(), curve.false_positives_per_frame)
        np.testing.assert_array_equal(shown[name].get_ydata(), curve.sensitivity(by))
    assert "Wilson" in axes.get_legend().get_title().get_text()
    assert "bootstrap" in axes.get_legend().get_title().get_text()


def test_error_bars_are_the_intervals_at_the_operating_points(tmp_path, drawn):
    curve = some_curve(0)
    figures.froc_figure(tmp_path / "froc.png", {"net": curve}, rates=(0.5, 1, 7))
    bars = drawn[0].axes[0].containers[0].lines[2][0].get_segments()
    assert len(bars) == 2, "four false candidates a frame: the curve does not reach seven"
    for bar, rate in zip(bars, (0.5, 1), strict=True):
        point = froc.operating_point(curve, rate)
        assert bar[:, 0].tolist() == [rate, rate]
        np.testing.assert_allclose(bar[:, 1], intervals.wilson(point.hits, point.total))


def test_convergence_figure(tmp_path, drawn):
    rows = [Row(50, 1.0, None, 0.6, 0.7), Row(100, 2.0, 0.5, 0.55, 0.9), Row(150, 3.0, 0.4, 0.7, 0.8)]
    figures.convergence_figure(tmp_path / "c.png", rows, 100, {0: 0.7, 75: 0.5}, "polyp-ft-conv3")
    assert cv2.imread(str(tmp_path / "c.png")) is not None
    above, below = drawn[0].axes
    assert "loss" in above.get_ylabel() and "AUC" in below.get_ylabel()
    assert below.get_xlabel() == "epoch (50 iterations each)"
    assert lines(above)["training, displayed"].get_xdata().tolist() == [0, 1.5]
    best = lines(below)["best: 0.900, iteration 100"]
    assert (best.get_xdata(), best.get_ydata()) == (2.0, 0.9)


def test_failed_figure_leaves_nothing(tmp_path):
    with pytest.raises(StopIteration):
        figures.convergence_figure(tmp_path / "c.png", [Row(50, 1.0, 0.5, 0.6, 0.7)], best=999)
    assert list(tmp_path.iterdir()) == []


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, pycaffe_ext.report.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
