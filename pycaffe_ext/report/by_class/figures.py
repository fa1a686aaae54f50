"""Pictures of a classification: ROC curves, confusion matrix, reliability diagram, best and worst images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.evaluation import calibration, classes
from pycaffe_ext.evaluation.calibration import Bin
from pycaffe_ext.evaluation.class_intervals import Estimate, Sensitivity
from pycaffe_ext.evaluation.classes import Floats, Images, Ints
from pycaffe_ext.plotting import (
    BLACK,
    COLOURS,
    GREY,
    HEIGHT,
    SMALL,
    TITLE,
    WIDTH,
    Style,
    legend_below,
    page,
    picture,
    printable,
    save,
    styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEGIBLE = 10  # classes that get a curve each; of more a band is drawn
WRITTEN = 12  # classes whose confusion matrix has its numbers written in
NAMED = 40  # classes whose names stand beside the matrix
LONG = 24  # characters of a name
GRID: Floats = np.linspace(0, 1, 501)  # shares of false positives where curves are averaged
BELOW = 15  # characters of a name below an image
SIDE = 3  # images at either side of the best and worst
NOT_THERE = "#d9d9d9"


@dataclass(frozen=True)
class Curve:
    """A ROC curve.  false, true : (corners,) shares.  points : where error bars stand (by group, else exact)."""

    false: Floats
    true: Floats
    label: str
    points: Sequence[Sensitivity] = ()


@dataclass(frozen=True)
class Shot:
    """An image (H, W, 3) uint8 BGR and what is written below it."""

    image: NDArray[np.uint8]
    caption: str


def short(name: str, length: int = LONG) -> str:
    """A name that fits beside a figure."""
    name = " ".join(printable(name).split())
    return name if len(name) <= length else f"{name[: length - 1]}…"


def estimate_text(estimate: Estimate, digits: int = 3) -> str:
    """The figure with its interval by group, or by image where there is none by group."""
    interval = estimate.group or estimate.image
    text = f"{estimate.value:.{digits}f}"
    return text if interval is None else f"{text} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def roc_figure(
    path: Path, curves: Mapping[str, Curve], looks: Mapping[str, Style] | None = None, title: str = "", note: str = ""
) -> None:
    """Write ROC curves as PNG.  curves : key of `looks` -> curve, in the order of the legend; note : its heading."""
    looks = looks or styles(list(curves))
    figure, axes = page(height=_height(len(curves)))
    for i, (key, curve) in enumerate(curves.items()):
        axes.plot(
            curve.false,
            curve.true,
            drawstyle="steps-post",
            lw=1.6,
            label=curve.label,
            **looks[key].of_line(),
        )
        _bars(axes, curve.points, 0.006 * (i - (len(curves) - 1) / 2), looks[key])
    _square(axes, title)
    legend_below(figure, axes, note)
    save(figure, path)


def classes_figure(
    path: Path, images: Images, names: Sequence[str], areas: Mapping[int, Estimate], macro: Estimate, title: str = ""
) -> None:
    """Write the one-against-rest ROC curves of a net as PNG: one a class, or a band where there are many classes.

    names : of the classes.  areas : class -> its AUC.  macro : their mean.
    """
    if len(areas) > LEGIBLE:
        _band_figure(path, images, names, areas, macro, title)
        return
    curves = {}
    for kind, area in areas.items():
        curves[str(kind)] = Curve(*classes.roc_curve(images, kind), f"{short(names[kind])}: {estimate_text(area)}")
    note = f"area under the curve, 95 % interval; mean {estimate_text(macro)}"
    roc_figure(path, curves, None, title, note)


def _band_figure(
    path: Path, images: Images, names: Sequence[str], areas: Mapping[int, Estimate], macro: Estimate, title: str
) -> None:
    """The mean curve, the range of all classes and of their middle half, and the classes with extreme AUCs."""
    figure, axes = page(height=_height(6))
    along = classes.sensitivities_along(images, GRID)
    for low, high, alpha, label in ((0, 100, 0.15, "range of"), (25, 75, 0.3, "middle half of")):
        ends = np.percentile(along, [low, high], axis=0)
        axes.fill_between(GRID, *ends, color=COLOURS[0], alpha=alpha, lw=0, label=f"{label} {len(areas)} classes")
    axes.plot(GRID, along.mean(axis=0), color=COLOURS[0], lw=1.8, label=f"mean: {estimate_text(macro)}")
    order = sorted(areas, key=lambda kind: areas[kind].value)
    for kind, name, colour, line in ((order[0], "lowest", COLOURS[1], "--"), (order[-1], "highest", COLOURS[2], "-.")):
        label = f"{name}, {short(names[kind])}: {estimate_text(areas[kind])}"
        axes.plot(*classes.roc_curve(images, kind), drawstyle="steps-post", lw=1.3, color=colour, ls=line, label=label)
    _square(axes, title)
    legend_below(figure, axes, "area under the curve, 95 % interval", columns=2)
    save(figure, path)


def _square(axes: Axes, title: str) -> None:
    axes.plot([0, 1], [0, 1], color="#bbbbbb", lw=0.8, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    axes.set_title(title, fontsize=TITLE)
    axes.set_xlabel("1 − specificity (share of the other images that are called positive)")
    axes.set_ylabel("sensitivity")


def _bars(axes: Axes, points: Sequence[Sensitivity], shift: float, style: Style) -> None:
    for point in points:
        interval = point.estimate.group or point.estimate.image
        if interval is None:
            continue
        value = point.estimate.value
        reach = [[max(value - interval.low, 0)], [max(interval.high - value, 0)]]
        at = 1 - point.specificity + shift
        axes.errorbar(at, value, yerr=reach, fmt=style.marker, ms=3.5, color=style.colour, capsize=2.5, elinewidth=1.1)


def _height(curves: int) -> float:
    return HEIGHT + 0.9 + 0.13 * curves


def confusion_figure(path: Path, counts: Ints, names: Sequence[str], title: str = "") -> None:
    """Write a confusion matrix as PNG: colours by share of the row, with shares and counts where there is room.

    counts : (classes, classes), rows are the true classes.  A class without an image is grey.
    """
    count = len(names)
    figure, axes = page(height=min(6.6, 2.9 + 0.42 * count), grid=False)
    figure.set_layout_engine("compressed")  # labels stay beside a square that does not fill the page
    share = classes.by_row(counts)
    axes.set_facecolor(NOT_THERE)
    image = axes.imshow(np.ma.masked_invalid(share), cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    if count <= WRITTEN:
        for row, column in np.argwhere(np.isfinite(share)):
            _number(axes, row, column, share[row, column], int(counts[row, column]), count)
    _name_classes(axes, names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(title, fontsize=TITLE)
    save(figure, path)


def _number(axes: Axes, row: int, column: int, share: float, count: int, classes_: int) -> None:
    colour = "white" if share > 0.55 else (BLACK if count else "#aaaaaa")
    text = f"{100 * share:.0f} %\n{count}" if classes_ <= 8 else f"{count}"
    axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=SMALL + (1 if classes_ <= 5 else -1))


def _name_classes(axes: Axes, names: Sequence[str]) -> None:
    step = -(-len(names) // NAMED)  # of more classes every second, third ... is named
    at = list(range(0, len(names), step))
    shown = [short(names[i]) for i in at]
    size = SMALL if len(at) <= 15 else SMALL - 2.5
    upright = len(at) <= 4 and max(map(len, shown)) <= 14
    turned = {"rotation": 90} if len(at) > 15 else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(at, shown, fontsize=size, **({} if upright else turned))
    axes.set_yticks(at, shown, fontsize=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def reliability_figure(
    path: Path, nets: Mapping[str, Sequence[Bin]], of: str, looks: Mapping[str, Style] | None = None, title: str = ""
) -> None:
    """Write a reliability diagram as PNG: observed shares against probabilities above, images in each bin below.

    nets : name -> bins.  of : what the probability is of: "class X", or "the predicted class".
    """
    looks = looks or styles(list(nets))
    figure, (above, below) = page(rows=2, height=1.25 * HEIGHT, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color="#bbbbbb", lw=0.8, zorder=0)
    for i, (name, bins) in enumerate(nets.items()):
        shift = 0.008 * (i - (len(nets) - 1) / 2)
        at, value = np.array([(one.mean, one.observed.value) for one in bins]).T
        reach = np.array([_reach(one.observed) for one in bins]).T
        label = f"{name}, calibration error {calibration.expected_error(list(bins)):.3f}"
        above.plot(at + shift, value, lw=1.2, **looks[name].of_line())
        above.errorbar(
            at + shift, value, reach, fmt=looks[name].marker, ms=4.5, color=looks[name].colour, capsize=2.5, label=label
        )
        width = (bins[0].high - bins[0].low) / (len(nets) + 0.3)
        left = [one.low + width * (i + 0.15) for one in bins]
        below.bar(left, [one.images for one in bins], width, align="edge", color=looks[name].colour, alpha=0.75)
    above.set(xlim=(0, 1), ylim=(-0.02, 1.02))
    above.set_ylabel("observed share")
    above.set_title(title, fontsize=TITLE)
    below.set_ylabel("images")
    below.set_xlabel(f"probability of {of}")
    legend_below(figure, above, columns=2)
    save(figure, path)


def _reach(estimate: Estimate) -> tuple[float, float]:
    interval = estimate.group or estimate.image
    if interval is None:
        return 0.0, 0.0
    return max(estimate.value - interval.low, 0), max(interval.high - estimate.value, 0)


def extremes_figure(path: Path, rows: Mapping[str, tuple[Sequence[Shot], Sequence[Shot]]], title: str = "") -> None:
    """Write the best and the worst images of classes as PNG, a row for each class.

    rows : class -> images with the highest probability of it, and with the lowest; SIDE of each at most.
    """
    figure, panels = page(len(rows), 2 * SIDE, len(rows) * (WIDTH / (2 * SIDE) + 0.5) + 0.75, grid=False, squeeze=False)
    for line, (name, (best, worst)) in zip(panels, rows.items(), strict=True):
        for axes in line:
            picture(axes)
        for axes, shot in [*zip(line, best, strict=False), *zip(line[SIDE:], worst, strict=False)]:
            picture(axes, squared(shot.image)[:, :, ::-1])
            axes.set_xlabel(shot.caption, fontsize=SMALL - 1)
        line[0].set_title(f"{short(name)}: most probable", fontsize=SMALL, loc="left")
        line[SIDE].set_title("least probable", fontsize=SMALL, loc="left", color=GREY)
    figure.suptitle(title, fontsize=TITLE)
    save(figure, path)


def squared(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image in the middle of a white square: rows of images of any shape stand in line, and none is cropped."""
    height, width = image.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    around = ((top, side - height - top), (left, side - width - left), (0, 0))
    return np.pad(image, around, constant_values=255)
