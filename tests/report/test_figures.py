"""The figures show the numbers they are given, with labelled axes; their looks are judged by eye."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scipy.stats import binomtest

from pycaffe_ext import plotting
from pycaffe_ext.data.patches import VIEWS, cut
from pycaffe_ext.evaluation import froc, roc
from pycaffe_ext.report import depth, figures, filters, matrix, montage
from pycaffe_ext.training.table import Row

DRAWING = (figures, depth, matrix, montage, filters)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, which are also written."""
    kept = []
    for module in DRAWING:
        monkeypatch.setattr(module, "save", lambda figure, path: (kept.append(figure), plotting.save(figure, path)))
    return kept


def some_cases(seed, frames=60):
    rng = np.random.default_rng(seed)
    frame = np.repeat(np.arange(frames), 5)
    lesion = np.tile([1, 0, 0, 0, 0], frames)
    return froc.Cases(frame, rng.normal(size=frame.size) + lesion, lesion, np.ones(frames, int))


def some_curve(seed):
    return froc.curve(some_cases(seed))


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}


def bars(container):
    return container.lines[2][0].get_segments()


def exact(hits, total):
    interval = binomtest(int(hits), int(total)).proportion_ci(method="exact")
    return [interval.low, interval.high]


def legend_of(figure):
    """Title and labels of the legend, wherever it stands."""
    legend = figure.axes[0].get_legend() or figure.legends[0]
    return legend.get_title().get_text(), [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("by", froc.SENSITIVITIES)
def test_froc_figure(tmp_path, drawn, by):
    curves = {f"net {i}": some_curve(i) for i in range(9)}
    band = figures.Band(np.array([0, 4]), np.array([0, 0.5]), np.array([0.5, 1]))
    figures.froc_figure(tmp_path / "froc.png", curves, some_curve(99), {"net 0": band}, by, rates=(0.5, 1, 9))
    image = cv2.imread(str(tmp_path / "froc.png"))
    assert image.shape[1] == 1400 and image.std() > 1
    (axes,) = drawn[0].axes
    assert "per frame" in axes.get_xlabel()
    assert {"lesion": "polyps found", "frame": "frames with a polyp"}[by] in axes.get_ylabel()
    shown = lines(axes)
    assert list(shown) == [*curves, figures.DETECTOR]
    assert len({(line.get_color(), line.get_linestyle()) for line in shown.values()}) == 10
    for name, curve in curves.items():
        np.testing.assert_array_equal(shown[name].get_xdata(), curve.false_positives_per_frame)
        np.testing.assert_array_equal(shown[name].get_ydata(), curve.sensitivity(by))
    title, labels = legend_of(drawn[0])
    assert sorted(labels) == sorted(shown), "one entry for each curve"
    assert "exact" in title and "bootstrap" in title


def test_error_bars_are_the_exact_intervals_at_the_operating_points(tmp_path, drawn):
    curve = some_curve(0)
    figures.froc_figure(tmp_path / "froc.png", {"net": curve}, rates=(0.5, 1, 7))
    found = bars(drawn[0].axes[0].containers[0])
    assert len(found) == 2, "four false candidates a frame: the curve does not reach seven"
    for bar, rate in zip(found, (0.5, 1), strict=True):
        point = froc.operating_point(curve, rate)
        assert bar[:, 0].tolist() == [rate, rate]
        np.testing.assert_allclose(bar[:, 1], exact(point.hits, point.total))


def test_bars_of_different_curves_stand_side_by_side_and_the_detector_has_them_too(tmp_path, drawn):
    figures.froc_figure(tmp_path / "froc.png", {"a": some_curve(0), "b": some_curve(1)}, some_curve(2), rates=(1,))
    at = [bars(container)[0][0, 0] for container in drawn[0].axes[0].containers]
    assert len(set(at)) == 3 and np.mean(at) == pytest.approx(1)


def test_roc_figure(tmp_path, drawn):
    from sklearn.metrics import roc_curve

    first, second = some_cases(0), some_cases(1)
    label = (first.lesion > 0).astype(int)
    scores = {"net": first.score, "flat": np.round(second.score)}
    figures.roc_figure(tmp_path / "roc.png", label, scores, fractions=(0.1,))
    (axes,) = drawn[0].axes
    assert "false-positive" in axes.get_xlabel() and "sensitivity" in axes.get_ylabel()
    shown = lines(axes)
    for name, own in scores.items():
        line = shown[f"{name}, {roc.auc(label, own):.3f}"]
        false, true, _ = roc_curve(label, own, drop_intermediate=False)
        np.testing.assert_allclose(line.get_xdata(), false)
        np.testing.assert_allclose(line.get_ydata(), true)
        bar = bars(axes.containers[list(scores).index(name)])[0]
        np.testing.assert_allclose(bar[:, 1], exact(true[false <= 0.1].max() * 60, 60))


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


def test_convergences_of_several_nets(tmp_path, drawn):
    fast, slow = (
        [Row(10 * i, float(i), 0.5, 0.6, auc) for i, auc in enumerate(aucs, 1)]
        for aucs in ((0.8, 0.9, 0.85), (0.5, 0.6, 0.7))
    )
    figures.convergences_figure(tmp_path / "c.png", {"fast": (fast, 20), "slow": (slow, 30)})
    (axes,) = drawn[0].axes
    assert "epoch" in axes.get_xlabel() and "validation" in axes.get_ylabel()
    assert lines(axes)["fast"].get_ydata().tolist() == [0.8, 0.9, 0.85]
    stars = [line for line in axes.get_lines() if line.get_marker() == "*"]
    assert [(star.get_xdata()[0], star.get_ydata()[0]) for star in stars] == [(2, 0.9), (3, 0.7)]


def test_failed_figure_leaves_nothing(tmp_path):
    with pytest.raises(StopIteration):
        figures.convergence_figure(tmp_path / "c.png", [Row(50, 1.0, 0.5, 0.6, 0.7)], best=999)
    assert list(tmp_path.iterdir()) == []


def test_matplotlib_is_imported_only_to_draw():
    modules = ", ".join(module.__name__ for module in DRAWING)
    code = f"import sys, {modules}; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("count", (1, 8, 12, 24))
def test_no_two_curves_look_alike(count):
    names = [f"ft-{i}" for i in range(count)]
    scratch = ["scratch", "scratch-xavier", "scratch-msra"]
    looks = plotting.styles([*names, *scratch], scratch)
    assert list(looks) == [*names, *scratch]
    assert len({(look.colour, look.line) for look in (*looks.values(), plotting.BASELINE)}) == count + 4
    assert all(looks[name].colour == plotting.BLACK for name in scratch)


def luminance_and_hue_apart(colour, other):
    return np.abs(np.subtract(to_rgb(colour), to_rgb(other))).max()


def test_hits_and_false_positives_differ_by_more_than_colour(tmp_path, drawn):
    image = np.full((100, 120, 3), 90, np.uint8)
    mask = np.zeros((100, 120), bool)
    mask[40:60, 40:60] = True
    boxes = np.array([[40, 40, 20, 20], [80, 10, 30, 30]], float)
    numbers = np.array([0.9, 0.25]), np.array([True, False]), np.array([1, 2])
    scene = montage.Scene(image, mask, boxes, *numbers, "frame a")
    montage.candidates_figure(tmp_path / "c.png", [scene])
    axes = drawn[0].axes[0]
    edges = [patch for patch in axes.patches if patch.get_edgecolor()[:3] != to_rgb("white")]
    by_place = {patch.get_xy(): patch for patch in edges}
    hit, false = by_place[40, 40], by_place[80, 10]
    assert hit.get_linestyle() != false.get_linestyle()
    assert luminance_and_hue_apart(hit.get_edgecolor()[:3], false.get_edgecolor()[:3]) > 0.5
    assert (hit.get_width(), hit.get_height()) == (20, 20)
    assert axes.get_xlabel() == "1: 0.90 hit\n2: 0.25" and axes.get_title() == "frame a"
    assert axes.get_xlim() == (-0.5, 119.5), "what is drawn upon the frame does not shrink it"


def test_mosaic_has_every_view_in_its_place():
    image = np.random.default_rng(0).integers(0, 255, (80, 90, 3), np.uint8)
    patches = cut(image, (20, 20, 30, 24), VIEWS, 16)
    picture = montage.mosaic(patches)
    for index in (0, 1, 8, 39, 40, 77, 119):
        column, row = divmod(index, 8)
        left = column * (16 + montage.GAP) + column // 5 * 2 * montage.GAP
        top = row * (16 + montage.GAP)
        rgb = patches[index][::-1].transpose(1, 2, 0)
        np.testing.assert_array_equal(picture[top : top + 16, left : left + 16], rgb)


def test_views_figure_labels_scales_shifts_and_orientations(tmp_path, drawn):
    image = np.full((100, 120, 3), 90, np.uint8)
    montage.views_figure(tmp_path / "v.png", image, np.zeros((100, 120), bool), (30, 30, 40, 30))
    below = drawn[0].axes[2]
    shifts = [text.get_text() for text in below.get_xticklabels()]
    assert shifts == ["centre", "left", "right", "up", "down"] * 3
    assert len(below.get_yticklabels()) == 8
    assert [text.get_text() for text in below.texts] == ["box x 1", "box x 1.2", "box x 1.5"]


@pytest.mark.parametrize("box", ((0, 0, 10, 10), (90, 70, 30, 30), (0, 0, 120, 100), (50, 50, 3, 3)))
def test_surroundings_hold_the_box_and_stay_in_the_frame(box):
    left, top, right, bottom = montage.surroundings(box, (100, 120))
    assert 0 <= left <= box[0] and box[0] + box[2] <= right <= 120
    assert 0 <= top <= box[1] and box[1] + box[3] <= bottom <= 100
    assert max(box[2:]) > 40 or right - left == bottom - top, "a square where it fits"


def test_depth_figure_has_every_seed_the_mean_and_the_interval(tmp_path, drawn):
    seeds = {
        name: depth.over_seeds(dict(enumerate(values)), overlap=0.0)
        for name, values in {
            "ft-fc8": (0.6, 0.7, 0.8),
            "ft-conv1": (0.8, 0.85, 0.9),
            "scratch": (0.5, 0.6, 0.7),
        }.items()
    }
    tuned = {"patches": {name: seeds[name] for name in ("ft-fc8", "ft-conv1")}}
    looks = plotting.styles(list(seeds), ["scratch"])
    depth.depth_figure(tmp_path / "d.png", tuned, {"patches": {"scratch": seeds["scratch"]}}, looks)
    (axes,) = drawn[0].axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["ft-fc8", "ft-conv1"]
    assert "AUC" in axes.get_ylabel() and "deep" in axes.get_xlabel()
    assert lines(axes)["seed 2"].get_ydata().tolist() == [0.8, 0.9]
    np.testing.assert_allclose(lines(axes)["scratch"].get_ydata(), 0.6)
    from scipy import special, stats

    values = np.array([0.6, 0.7, 0.8])
    reach = stats.t.ppf(0.975, 2) * stats.sem(values) / (0.7 * 0.3)  # an AUC has its interval on the logit scale
    np.testing.assert_allclose(bars(axes.containers[0])[0][:, 1], special.expit(special.logit(0.7) + [-reach, reach]))


def test_depth_of_one_seed_has_no_interval(tmp_path, drawn):
    one = {"patches": {"ft-fc8": depth.over_seeds({0: 0.6}, 0.0), "ft-conv1": depth.over_seeds({0: 0.7}, 0.0)}}
    depth.depth_figure(tmp_path / "d.png", one, {}, {})
    assert all(bar.size == 0 or np.isnan(bar).any() for bar in bars(drawn[0].axes[0].containers[0]))
    assert "interval" not in " ".join(legend_of(drawn[0])[1])


def test_matrix_figure(tmp_path, drawn):
    tested = np.array([[0, 1, 2], [-1, 0, 0], [2, 0, 0]])
    paper = np.array([[0, 0, 2], [0, 0, 1], [2, -1, 0]])
    matrix.matrix_figure(tmp_path / "m.png", ["a", "b", "c"], {"at 1": tested}, {"at 1": paper}, "a test")
    axes = drawn[0].axes[0]
    shown = axes.get_images()[0]
    rgb = shown.to_rgba(shown.get_array())[:, :, :3]
    colours = {1: matrix.BETTER, -1: matrix.WORSE, 0: matrix.EQUAL, 2: matrix.UNTESTED}
    for row, column in zip(*np.where(~np.eye(3, dtype=bool)), strict=True):
        np.testing.assert_allclose(rgb[row, column], to_rgb(colours[tested[row, column]]))
    assert {text.get_position(): text.get_text() for text in axes.texts} == {(2, 1): "+", (1, 2): "−"}
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c"]
    labels = [text.get_text() for legend in drawn[0].legends for text in legend.get_texts()]
    assert "not tested" in labels


def test_filters_are_drawn_on_one_scale_and_their_difference_on_its_own(tmp_path, drawn):
    before = np.random.default_rng(0).normal(size=(12, 3, 5, 5)).astype(np.float32)
    after = before + 0.01 * before[::-1]
    filters.filters_figure(tmp_path / "f.png", before, after, title="conv1")
    first, second, change, empty = drawn[0].axes
    reach, columns = max(np.abs(before).max(), np.abs(after).max()), filters.columns_for(12)
    for axes, weights in ((first, before), (second, after)):
        np.testing.assert_allclose(axes.get_images()[0].get_array(), filters.tiles(weights, reach, columns))
    times = float(change.get_title().split("magnified ")[1].split(" ")[0])
    assert times == pytest.approx(reach / np.abs(after - before).max(), rel=0.01) and times > 90
    assert "1 % of the donor's" in change.get_title()
    assert not empty.get_images()


def test_filters_that_changed_more_than_they_were_are_not_cut_off(tmp_path, drawn):
    before = np.random.default_rng(0).normal(size=(12, 3, 5, 5)).astype(np.float32)
    filters.filters_figure(tmp_path / "f.png", before, -2 * before)
    for axes in drawn[0].axes[:2]:
        inside = axes.get_images()[0].get_array()
        assert np.count_nonzero((inside == 0).all(axis=-1)) == 0, "nothing is clipped to black"
    title = drawn[0].axes[2].get_title()
    assert "reduced 1.5 times" in title and "300 % of the donor's" in title


@pytest.mark.parametrize(("length", "columns"), [(4, 4), (24, 3), (60, 1), (200, 1)])
def test_a_legend_has_as_many_columns_as_fit_the_picture(length, columns):
    figure, axes = plotting.page(columns=2, height=4.4)
    for number in range(9):
        axes[0].plot([0, 1], [0, number], label=f"{number}" + "n" * length)
    plotting.legend_below(figure, axes[0])
    (legend,) = figure.legends
    assert legend._ncols == columns and len(legend.get_texts()) == 9
    assert length > 60 or legend.get_window_extent().width <= figure.bbox.width
