"""The figures of a grid's page, as SVG with their numbers: trainings, depth, amount of data, what more data would
bring."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pycaffe_ext import plotting
from pycaffe_ext.data.fractions import ALL
from pycaffe_ext.evaluation.findings.model import LearningCurve
from pycaffe_ext.evaluation.seeds import seed_interval
from pycaffe_ext.plotting import COLOURS, GREY, MARKERS
from pycaffe_ext.report import svg
from pycaffe_ext.report.grid.material import Panel, Value, capital, data_text
from pycaffe_ext.report.model import Figure, Table
from pycaffe_ext.schemes import SCRATCH
from pycaffe_ext.training import early_stopping, fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 5.0, 3.5  # inches, so that a page on a phone shows them about as large as they are drawn
TEXT = 9.5  # points
LONGEST = 36  # characters beside an axis
SHORT = 18  # characters of labels of which three stand side by side
VALUE_HEADER = ("scheme", "fraction", "mean", "low", "high", "by")
INTERVALS = "Intervals are of 95 %, for other trainings and other test groups; those of one seed for other groups only"


def convergence(folder: Path, panel: Panel, number: int) -> Figure | None:
    """Fig. 10 of the paper: the validation AUC of the deepest tuning and of all trainings from scratch, by iteration.

    None where the largest fraction has none of them.
    """
    fraction = panel.largest
    names = [*panel.depths[-1:], *(name for name in panel.others if name in SCRATCH)]
    if not any(panel.at(fraction, name) for name in names):
        return None
    figure, axes = _canvas()
    looks, rows = plotting.styles(names), []
    for name in names:
        for i, run in enumerate(panel.at(fraction, name)):
            at, auc = [row.iteration for row in run.snapshots], [row.auc for row in run.snapshots]
            style = looks[name]
            axes.plot(at, auc, lw=1.4, label=name if not i else None, **style.of_line())
            best = run.result.best
            axes.plot(best.iteration, best.validation_auc, "*", ms=10, color=style.colour)
            rows += [(name, str(run.settings.trial), *pair) for pair in zip(at, map(_text, auc), strict=True)]
    axes.set_xlabel("iterations")
    axes.set_ylabel("AUC of the validation patches")
    axes.set_xlim(left=0)
    path = _save(figure, axes, folder / f"training-{number}.svg")
    return Figure(
        path,
        f"Validation AUC in training, {panel.title}, {data_text(fraction)}. As Fig. 10 of the paper: the deepest tuning"
        " and trainings from scratch. A line a seed; the star is the snapshot that is tested.",
        (fit.score_snapshot, early_stopping.best),
        Table(("scheme", "seed", "iterations", "validation AUC"), rows),
    )


def by_depth(folder: Path, panel: Panel, number: int) -> Figure:
    """The figure of merit by depth of tuning, a line a fraction; trainings from scratch stand beside."""
    evidence, tuned, others = panel.evidence, panel.depths, panel.others
    places = {name: i + (0.6 if name in others and tuned else 0.0) for i, name in enumerate([*tuned, *others])}
    figure, axes = _canvas(0.4)
    for i, fraction in enumerate(evidence.fractions):
        values = {name: panel.value(name, fraction) for name in places}
        label: str | None = data_text(fraction)
        for names, line in ((tuned, "-"), (others, "")):
            points = [(places[name] + _beside(i, len(evidence.fractions)), values[name]) for name in names]
            if _points(axes, points, i, label, line):
                label = None
    _baseline(axes, panel)
    axes.set_xticks(list(places.values()), [name.removeprefix("ft-") for name in places], rotation=40, ha="right")
    axes.set_xlabel("shallow  <  first layer that is tuned  <  deep" if tuned else "")
    axes.set_ylabel(_axis(panel))
    path = _save(figure, axes, folder / f"depth-{number}.svg")
    return Figure(
        path,
        f"Performance by depth of tuning, {panel.title}. {capital(evidence.merit.name)}{panel.direction}; a line for"
        f" each amount of training data, what has no depth at the right{_beside_it(panel)}. {INTERVALS}.",
        (seed_interval,),
        _values_table(panel, [*tuned, *others]),
    )


def by_fraction(folder: Path, panel: Panel, number: int) -> Figure | None:
    """The figure of merit by the amount of data: deepest tuning against scratch.  None for a single fraction."""
    evidence = panel.evidence
    names = [*panel.depths[-1:], *([evidence.scratch.name] if evidence.scratch else [])]
    if len(evidence.fractions) < 2 or not names:
        return None
    figure, axes = _canvas()
    for i, name in enumerate(names):
        points = [
            (evidence.share(fraction) * 1.03 ** (i - 0.5), panel.value(name, fraction))
            for fraction in evidence.fractions
        ]
        _points(axes, points, i, name, "-")
    _baseline(axes, panel)
    _share_axis(
        axes, panel, zip(map(evidence.share, evidence.fractions), evidence.fractions, evidence.trained, strict=True)
    )
    path = _save(figure, axes, folder / f"fraction-{number}.svg")
    return Figure(
        path,
        f"Performance by amount of training data, {panel.title}. {capital(evidence.merit.name)}{panel.direction} of"
        f" {' and '.join(names)}{_beside_it(panel)}. {INTERVALS}.",
        (seed_interval,),
        _values_table(panel, names),
    )


def learning(
    folder: Path, panel: Panel, curve: LearningCurve, number: int, made_by: Sequence[Callable[..., Any]]
) -> Figure:
    """What twice the data would bring to one scheme: the fitted curve, drawn beyond what was measured.

    Points and curve stand at the shares that were fitted.  curve : one with a doubling
    """
    figure, axes = _canvas()
    places = [curve.base_share * share for share in curve.shares]
    values = [Value(point.over.mean, point.over.low, point.over.high, "") for point in curve.points]
    _points(axes, zip(places, values, strict=True), 0, f"{curve.scheme}, measured", "")
    at, value = (np.array(part) for part in zip(*curve.drawn, strict=True))
    for part, line, label in ((at <= 1, "-", curve.form), (at >= 1, "--", "beyond the data")):
        axes.plot(curve.base_share * at[part], value[part], color=COLOURS[1], lw=1.6, ls=line, label=label)
    ticks = [(at, point.fraction, point.groups) for at, point in zip(places, curve.points, strict=True)]
    _share_axis(axes, panel, ticks, beyond=curve.base_share)
    path = _save(figure, axes, folder / f"learning-{number}.svg")
    header = ("fraction", "training groups", "mean", "low", "high", "seeds")
    rows = [
        (point.fraction, f"{point.groups:g}", *map(_text, point.over[:3]), point.over.seeds) for point in curve.points
    ]
    return Figure(
        path,
        f"What more data would bring, {panel.title}, {curve.scheme}. {capital(panel.evidence.merit.name)}"
        f"{panel.direction} at each amount of training data, with 95 % intervals, and a curve through them"
        f"{f' ({curve.form})' if curve.form else ''}; beyond {data_text(curve.base)} it is a guess.",
        made_by,
        Table(header, rows),
    )


def _canvas(more: float = 0.0) -> tuple[Any, Axes]:
    figure, axes = plotting.page(width=WIDTH, height=HEIGHT + more)
    axes.tick_params(labelsize=TEXT)
    axes.xaxis.label.set_size(TEXT)
    axes.yaxis.label.set_size(TEXT)
    return figure, axes


def _save(figure: Any, axes: Axes, path: Path) -> str:
    """With a legend below; returns the file's name."""
    handles, labels = axes.get_legend_handles_labels()
    columns = 3 if max(map(len, labels), default=0) < SHORT else 2
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, fontsize=TEXT, frameon=False, handlelength=2.2
    )
    svg.save(figure, path)
    return path.name


def _points(axes: Axes, points: Iterable[tuple[float, Value | None]], place: int, label: str | None, line: str) -> bool:
    """Means with their intervals at places of the x axis; False where no place has a value."""
    known = [(at, value) for at, value in points if value is not None]
    if not known:
        return False
    mean = np.array([value.mean for _, value in known])
    reach = np.array([_reach(value) for _, value in known]).T
    axes.errorbar(
        [at for at, _ in known],
        mean,
        yerr=reach,
        marker=MARKERS[place % len(MARKERS)],
        color=COLOURS[place % len(COLOURS)],
        ls=line,
        ms=5,
        lw=1.5,
        elinewidth=1,
        capsize=2.5,
        label=label,
    )
    return True


def _baseline(axes: Axes, panel: Panel) -> None:
    """The hand-crafted baseline as a line across, with its interval as a band; none where there is none."""
    if (value := panel.baseline) is None:
        return
    axes.axhline(value.mean, **plotting.BASELINE.of_line(), lw=1.5, label=panel.alone, zorder=1)
    if value.low is not None and value.high is not None:
        axes.axhspan(value.low, value.high, color=plotting.BASELINE.colour, alpha=0.12, lw=0, zorder=0)


def _beside_it(panel: Panel) -> str:
    """The part of a caption that is about the hand-crafted baseline."""
    return f"; the line across, with its interval, is the {panel.evidence.baseline} alone" if panel.baseline else ""


def _reach(value: Value) -> tuple[float, float]:
    if value.low is None or value.high is None:
        return 0.0, 0.0
    return max(value.mean - value.low, 0.0), max(value.high - value.mean, 0.0)


def _beside(place: int, count: int) -> float:
    """How far the marks of a line are moved, so that those of one scheme stand side by side."""
    return 0.09 * (place - (count - 1) / 2)


def _share_axis(
    axes: Axes, panel: Panel, ticks: Iterable[tuple[float, str, float]], beyond: float | None = None
) -> None:
    """Shares of the training groups on a logarithmic axis.

    ticks : (share, fraction, how many groups it is, nan if unknown).   beyond : the share up to which was measured
    """
    texts = {
        share: f"{'all' if fraction == ALL else fraction}\n{groups:.0f}" if np.isfinite(groups) else fraction
        for share, fraction, groups in ticks
    }
    if beyond is not None:
        texts[2 * beyond] = "twice"
        axes.axvline(beyond, color=GREY, lw=0.8, ls=":", zorder=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(texts), list(texts.values()))
    axes.minorticks_off()
    least, most = min(texts), max(texts)
    axes.set_xlim(least / 1.25, most * 1.25)
    axes.set_xlabel("share of the training groups, and how many they are")
    axes.set_ylabel(_axis(panel))


def _axis(panel: Panel) -> str:
    """The figure of merit, broken where it is longer than the axis."""
    return textwrap.fill(f"{panel.evidence.merit.name}{panel.direction}", LONGEST)


def _values_table(panel: Panel, names: Sequence[str]) -> Table:
    pairs = [(name, fraction) for fraction in panel.evidence.fractions for name in names]
    rows = [
        (name, fraction, *map(_text, value[:3]), value.basis)
        for name, fraction in pairs
        if (value := panel.value(name, fraction))
    ]
    if own := panel.baseline:
        rows.append((panel.alone, "-", *map(_text, own[:3]), own.basis))
    return Table(VALUE_HEADER, rows)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
