"""Curves: FROC (Fig. 2(a) of the paper), ROC of candidates, and the course of trainings (as Fig. 10 has it)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pycaffe_ext.evaluation import froc, intervals, roc
from pycaffe_ext.evaluation.words import POLYPS, Words
from pycaffe_ext.plotting import BASELINE, BLACK, COLOURS, HEIGHT, TITLE, Style, legend_below, page, save, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pycaffe_ext.training.table import Row

RATES = (0.5, 1, 2, 4)  # false positives per frame
FRACTIONS = (0.05, 0.1, 0.2)  # of the false candidates
DETECTOR = "hand-crafted detector"
FEW = 2  # curves whose legend has room inside the axes


class Band(NamedTuple):
    """An interval along the curve: false positives per frame, low and high sensitivity, all of one length."""

    rates: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Bar(NamedTuple):
    """Operating points with their intervals, all of one length: place on the x axis, value, low, high."""

    at: Sequence[float]
    value: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def froc_figure(
    path: Path,
    curves: Mapping[str, froc.Curve],
    baseline: froc.Curve | None = None,
    bands: Mapping[str, Band] | None = None,
    by: str = "lesion",
    rates: Sequence[float] = RATES,
    limit: float = 8,
    title: str = "",
    looks: Mapping[str, Style] | None = None,
    words: Words = POLYPS,
) -> None:
    """Write FROC curves as PNG: sensitivity against false positives per frame, to the longest's end or to `limit`.

    curves : name -> curve, in the order of the legend        baseline : the hand-crafted detector's own scores
    by : "lesion" or "frame"        bands : name -> e.g. bootstrap interval, drawn shaded
    rates : where every curve that reaches them has an error bar, the exact binomial 95 % interval; () for none.
    looks : name -> style; unset: by order.   words : what frames and lesions are called.
    """
    figure, axes = page(height=_height(curves))
    looks = {**(looks or styles(list(curves))), DETECTOR: BASELINE}
    drawn = {**curves, **({DETECTOR: baseline} if baseline is not None else {})}
    limit = min(limit, _half_up(max(curve.false_positives_per_frame[-1] for curve in drawn.values())))
    for i, (name, curve) in enumerate(drawn.items()):
        # the curve as it can be operated: sensitivity stays until the next step; it ends with the last candidate
        axes.plot(
            curve.false_positives_per_frame,
            curve.sensitivity(by),
            drawstyle="steps-post",
            lw=1.6,
            label=name,
            **looks[name].of_line(),
        )
        reached = [rate for rate in rates if rate <= min(limit, curve.false_positives_per_frame[-1])]
        _error_bars(axes, _operating_bars(curve, reached, by), _beside(i, len(drawn), limit), looks[name])
        if bands and name in bands:
            band = bands[name]
            axes.fill_between(band.rates, band.low, band.high, color=looks[name].colour, alpha=0.15, linewidth=0)
    axes.set(xlim=(0, limit), ylim=(0, 1.01))
    axes.set_title(title, fontsize=TITLE)
    axes.set_xlabel(f"false positives per {words.item}")
    axes.set_ylabel(words.sensitivity(by))
    _legend(figure, axes, len(drawn), _explanation(len(drawn), bool(rates), bool(bands)))
    save(figure, path)


def roc_figure(
    path: Path,
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    fractions: Sequence[float] = FRACTIONS,
    title: str = "",
    looks: Mapping[str, Style] | None = None,
    words: Words = POLYPS,
) -> None:
    """Write ROC curves of candidates as PNG; the legend has the AUC of each, which is over all candidates.

    labels : (n,) 1 = the candidate hits a polyp.  scores : name -> (n,), higher = more polyp-like.  Polyps without any
    candidate do not count here: they do in the FROC curve.
    fractions : of false candidates, where each curve has an exact binomial 95 % interval; () for none.
    """
    figure, axes = page(height=_height(scores) + 0.6)
    looks = {**(looks or styles(list(scores))), DETECTOR: BASELINE}
    for i, (name, own) in enumerate(scores.items()):
        false, true = _roc(labels, own)
        label = f"{name}, {roc.auc(labels, own):.3f}"
        axes.plot(false / false[-1], true / true[-1], lw=1.6, label=label, **looks[name].of_line())
        hits = [int(true[false <= fraction * false[-1]].max()) for fraction in fractions]
        _error_bars(axes, _binomial_bars(fractions, hits, int(true[-1])), _beside(i, len(scores), 1), looks[name])
    axes.plot([0, 1], [0, 1], color="#bbbbbb", lw=0.8, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    axes.set_title(title, fontsize=TITLE)
    axes.set_xlabel(f"false-positive fraction (share of the candidates that hit no {words.target})")
    axes.set_ylabel("sensitivity (share of the candidates that hit one)")
    explained = _explanation(len(scores), bool(fractions), False)
    _legend(figure, axes, len(scores), "area under the curve" + (f"; {explained}" if explained else ""))
    save(figure, path)


def convergence_figure(
    path: Path, rows: Sequence[Row], best: int, losses: Mapping[int, float] | None = None, title: str = ""
) -> None:
    """Write the course of a training as PNG: losses above, validation AUC below, by epoch; the best is marked.

    rows : of auc.csv        best : iteration of the chosen snapshot
    losses : iteration -> displayed training loss (see `training.log.parse`); where None, the rows' mean loss
    """
    figure, (above, below) = page(rows=2, height=1.25 * HEIGHT, sharex=True)
    epochs, per_epoch = [row.epoch for row in rows], rows[-1].iteration / rows[-1].epoch
    if losses:
        at = [iteration / per_epoch for iteration in losses]
        above.plot(at, list(losses.values()), color=COLOURS[4], lw=1, label="training, displayed")
    mean = [np.nan if row.train_loss is None else row.train_loss for row in rows]
    above.plot(epochs, mean, "o-", ms=4, color=COLOURS[0], label="training, mean since the last snapshot")
    above.plot(epochs, [row.validation_loss for row in rows], "s--", ms=4, color=COLOURS[1], label="validation")
    above.set_ylabel("loss (cross-entropy)")
    above.set_ylim(bottom=0)
    below.plot(epochs, [row.auc for row in rows], "o-", ms=4, color=COLOURS[2], label="validation")
    chosen = next(row for row in rows if row.iteration == best)
    label = f"best: {chosen.auc:.3f}, iteration {best}"
    below.plot(chosen.epoch, chosen.auc, "*", ms=14, color=COLOURS[1], markeredgecolor="black", label=label)
    below.set_ylabel("AUC (patches)")
    below.set_xlabel(f"epoch ({per_epoch:.6g} iterations each)")
    for axes in (above, below):
        axes.axvline(chosen.epoch, color="#999999", lw=0.8, zorder=0)
        axes.legend(loc="best")
    above.set_title(title, fontsize=TITLE)
    save(figure, path)


def convergences_figure(
    path: Path,
    trainings: Mapping[str, tuple[Sequence[Row], int]],
    title: str = "",
    looks: Mapping[str, Style] | None = None,
) -> None:
    """Write the validation AUC of several trainings by epoch as PNG, as Fig. 10 of the paper.

    trainings : name -> (rows of auc.csv, iteration of the chosen snapshot, which gets a star)
    """
    figure, axes = page(height=_height(trainings, few=0))
    looks = looks or styles(list(trainings))
    for name, (rows, _) in trainings.items():
        style = looks[name]
        axes.plot(
            [row.epoch for row in rows],
            [row.auc for row in rows],
            marker=style.marker,
            ms=3.5,
            lw=1.4,
            label=name,
            **style.of_line(),
        )
    for name, (rows, best) in trainings.items():
        chosen = next(row for row in rows if row.iteration == best)
        axes.plot(chosen.epoch, chosen.auc, "*", ms=11, color=looks[name].colour, markeredgecolor=BLACK, mew=0.7)
    axes.set_xlabel("epoch")
    axes.set_ylabel("AUC of the validation patches")
    axes.set_xlim(left=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title(title, fontsize=TITLE)
    legend_below(figure, axes, "star: the chosen snapshot")
    save(figure, path)


def _roc(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(false, true) positives at each threshold, from none to all."""
    threshold = np.r_[np.inf, np.unique(scores)[::-1]]
    ranked = (np.sort(scores[labels == k]) for k in (0, 1))
    return tuple(own.size - np.searchsorted(own, threshold, side="left") for own in ranked)


def _operating_bars(curve: froc.Curve, rates: Sequence[float], by: str) -> Bar:
    points = [froc.operating_point(curve, rate, by) for rate in rates]
    return _binomial_bars(rates, [point.hits for point in points], curve.hits(by)[1])


def _binomial_bars(at: Sequence[float], hits: Sequence[int], total: int) -> Bar:
    bounds = [intervals.clopper_pearson(count, total) for count in hits]
    return Bar(at, [count / total for count in hits], [b.low for b in bounds], [b.high for b in bounds])


def _error_bars(axes: Axes, bar: Bar, shift: float, style: Style) -> None:
    value = np.array(bar.value)
    reach = np.maximum(np.abs(np.array([bar.low, bar.high]) - value), 0)
    axes.errorbar(
        np.array(bar.at) + shift,
        value,
        yerr=reach,
        fmt=style.marker,
        ms=3.5,
        color=style.colour,
        capsize=2.5,
        elinewidth=1.1,
    )


def _half_up(value: float) -> float:
    """The next half or whole number, above zero."""
    return max(0.5, np.ceil(2 * value) / 2)


def _beside(i: int, count: int, limit: float) -> float:
    """How far the bar of curve i is moved, so that those of all curves at one rate stand side by side."""
    return 0.006 * limit * (i - (count - 1) / 2)


def _explanation(curves: int, bars: bool, shaded: bool) -> str:
    said = ["bars: exact binomial 95 %" + (",\nside by side for each rate" if curves > 1 else "")] if bars else []
    return "\n".join(said + (["shaded: 95 % bootstrap by group"] if shaded else []))


def _legend(figure: Figure, axes: Axes, curves: int, title: str) -> None:
    if curves > FEW:
        legend_below(figure, axes, title.replace("\n", " "))
    else:
        axes.legend(title=title, loc="lower right", alignment="left")


def _height(curves: Mapping[str, object], few: int = FEW) -> float:
    """Of the page: as many curves as have their legend below get room for it."""
    return HEIGHT + (0.25 * (1 + len(curves) // 4) if len(curves) > few else 0)
