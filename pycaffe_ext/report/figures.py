"""Figures: the FROC curve (Fig. 2(a) of the paper) and the course of a training (as Fig. 10 has it)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pycaffe_ext.evaluation import froc, intervals
from pycaffe_ext.files import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pycaffe_ext.training.table import Row

# Okabe and Ito's colours, which people of any colour vision can tell apart; the yellow is too pale for a line
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", "-.", ":")
BASELINE = {"color": "#666666", "linestyle": (0, (1, 1.2))}
SIZE = (7.0, 4.6)  # inches: the width of a page's text
RATES = (0.5, 1, 2, 4)


class Band(NamedTuple):
    """An interval along the curve: false positives per frame, low and high sensitivity, all of one length."""

    rates: np.ndarray
    low: np.ndarray
    high: np.ndarray


def froc_figure(
    path: Path,
    curves: Mapping[str, froc.Curve],
    baseline: froc.Curve | None = None,
    bands: Mapping[str, Band] | None = None,
    by: str = "lesion",
    rates: Sequence[float] = RATES,
    limit: float = 8,
    title: str = "",
) -> None:
    """Write FROC curves as PNG: sensitivity against false positives per frame, up to `limit`.

    curves : name -> curve, in the order of the legend        baseline : the hand-crafted detector's own scores
    by : "lesion" or "frame"        bands : name -> e.g. bootstrap interval, drawn shaded
    Error bars are 95 % Wilson binomial intervals at those operating points `rates` that a curve reaches.
    """
    figure, axes = _page()
    for i, (name, curve) in enumerate(curves.items()):
        style = {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i // len(COLOURS) % len(STYLES)]}
        _staircase(axes, curve, by, label=name, **style)
        # error bars of different curves at one rate are set side by side
        shift = 0.004 * limit * (i - (len(curves) - 1) / 2)
        reached = [rate for rate in rates if rate <= min(limit, curve.false_positives_per_frame[-1])]
        _error_bars(axes, curve, by, reached, shift, style["color"])
        if bands and name in bands:
            band = bands[name]
            axes.fill_between(band.rates, band.low, band.high, color=style["color"], alpha=0.15, linewidth=0)
    if baseline is not None:
        _staircase(axes, baseline, by, label="hand-crafted detector", **BASELINE)
    axes.set(xlim=(0, limit), ylim=(0, 1), title=title)
    axes.set_xlabel("false positives per frame")
    axes.set_ylabel({"lesion": "sensitivity (lesions found)", "frame": "sensitivity (frames with a polyp found)"}[by])
    axes.legend(title=_explanation(len(curves), bands), loc="lower right", alignment="left")
    _save(figure, path)


def convergence_figure(
    path: Path, rows: Sequence[Row], best: int, losses: Mapping[int, float] | None = None, title: str = ""
) -> None:
    """Write the course of a training as PNG: losses above, validation AUC below, by epoch; the best is marked.

    rows : of auc.csv        best : iteration of the chosen snapshot
    losses : iteration -> displayed training loss (see `training.log.parse`); where None, the rows' mean loss
    """
    figure, (above, below) = _page(rows=2)
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
    above.set_title(title)
    _save(figure, path)


def _staircase(axes: Axes, curve: froc.Curve, by: str, **style: object) -> None:
    """The curve as it can be operated: sensitivity stays until the next step.  It ends with the last candidate."""
    axes.plot(curve.false_positives_per_frame, curve.sensitivity(by), drawstyle="steps-post", lw=1.6, **style)


def _error_bars(axes: Axes, curve: froc.Curve, by: str, rates: Sequence[float], shift: float, colour: str) -> None:
    points = [froc.operating_point(curve, rate, by) for rate in rates]
    value = np.array([point.sensitivity for point in points])
    bounds = np.array([intervals.wilson(point.hits, point.total) for point in points]).reshape(-1, 2).T
    reach = np.maximum(np.abs(bounds - value), 0)
    at = np.array(rates) + shift
    axes.errorbar(at, value, yerr=reach, fmt="o", ms=3.5, color=colour, capsize=3, elinewidth=1.1)


def _explanation(curves: int, bands: Mapping[str, Band] | None) -> str:
    bars = "bars: 95 % binomial (Wilson)" + (",\nside by side for each rate" if curves > 1 else "")
    return bars + ("\nshaded: 95 % bootstrap by group" if bands else "")


def _page(rows: int = 1) -> tuple[Figure, Axes | np.ndarray]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE[0], SIZE[1] * (1 if rows == 1 else 1.25)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, sharex=True)
    for one in np.ravel(axes):
        one.grid(color="#dddddd", lw=0.6)
        one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    for axes in figure.axes:
        if legend := axes.get_legend():
            legend.set_frame_on(True)
            for text in (*legend.get_texts(), legend.get_title()):
                text.set_fontsize(8.5)
    with writing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=200)
