"""Shares by video or patient and by the size of lesions, as dots with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pycaffe_ext.evaluation.intervals import Interval
from pycaffe_ext.plotting import COLOURS, SMALL, TITLE, page, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 30  # groups whose names have room
SHORT = 14  # characters of a name


class Dot(NamedTuple):
    """A share of `total` with its 95 % interval; None where there is none."""

    name: str
    value: float
    interval: Interval | None
    total: int


def strata_figure(
    path: Path, groups: Sequence[Dot], mean: float, sizes: Sequence[Dot], labels: tuple[str, str, str], title: str = ""
) -> None:
    """Write a panel of groups, from the lowest share up, and one of sizes, which is left out where there are none.

    mean : over the groups, a line        labels : of the share, the groups and the sizes
    """
    widths = [3, 1] if sizes else [1]
    figure, panels = page(columns=len(widths), height=3.8, squeeze=False, sharey=True, width_ratios=widths)
    ordered = sorted(groups, key=lambda dot: (dot.value, dot.name))
    left = panels[0][0]
    _dots(left, ordered, few=len(ordered) <= NAMED)
    left.axhline(mean, color=COLOURS[1], lw=1.2, zorder=1)
    left.set(ylim=(-0.02, 1.02), ylabel=labels[0])
    left.set_xlabel(f"{len(ordered)} {labels[1]}; line: their mean, {mean:.3f}")
    if sizes:
        _dots(panels[0][1], sizes, few=True)
        panels[0][1].set_xlabel(labels[2])
    figure.suptitle(title, fontsize=TITLE)
    save(figure, path)


def _dots(axes: Axes, dots: Sequence[Dot], few: bool) -> None:
    """few : with names and intervals; of many groups the dots alone."""
    at, value = np.arange(len(dots)), np.array([dot.value for dot in dots])
    if not few:
        axes.plot(at, value, ".", ms=3, color=COLOURS[0], zorder=3)
        axes.set_xticks([])
        return
    ends = np.array([dot.interval or (dot.value, dot.value) for dot in dots]).reshape(-1, 2).T
    axes.errorbar(at, value, yerr=np.maximum(np.abs(ends - value), 0), fmt="o", ms=4, capsize=2, color=COLOURS[0])
    names = [f"{_short(dot.name)} ({dot.total})" for dot in dots]
    axes.set_xticks(at, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=SMALL - 1)
    axes.set_xlim(-0.6, len(dots) - 0.4)


def _short(name: str) -> str:
    return name if len(name) <= SHORT else f"…{name[1 - SHORT :]}"
