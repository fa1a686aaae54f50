"""Pictures of boundaries: box plots of errors by net, Bland-Altman, images with both curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats
from pycaffe_ext.evaluation.agreement import limits_of_agreement
from pycaffe_ext.evaluation.boundary_errors import pooled
from pycaffe_ext.evaluation.walls import INTERFACES, Walls
from pycaffe_ext.plotting import (
    BASELINE,
    BLACK,
    COLOURS,
    GREY,
    HEIGHT,
    SMALL,
    TITLE,
    WIDTH,
    Style,
    empty_page,
    legend_below,
    page,
    picture,
    save,
    styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NETWORK, TRUTH = COLOURS[1], COLOURS[4]


@dataclass(frozen=True)
class Shot:
    """An image (H, W, 3) uint8 BGR around the wall.  x : (c,), true, found : (c, 2), in its pixels."""

    image: NDArray[np.uint8]
    x: Floats
    true: Floats
    found: Floats
    caption: str


def run_figures(folder: Path, nets: Mapping[str, Walls], title: str) -> list[str]:
    """Draw errors.png and bland_altman.png of a run and its baseline, the last of `nets`."""
    looks = looks_of(list(nets))
    errors_figure(folder / "errors.png", nets, looks, title)
    bland_altman_figure(folder / "bland_altman.png", nets, looks, title)
    return ["errors.png", "bland_altman.png"]


def looks_of(names: Sequence[str]) -> dict[str, Style]:
    """name -> style; the last is the baseline."""
    return {**styles(names[:-1]), names[-1]: BASELINE}


def errors_figure(path: Path, nets: Mapping[str, Walls], looks: Mapping[str, Style], title: str = "") -> None:
    """Write box plots as PNG: absolute errors of all columns in micrometres, a panel for each interface.

    Boxes go from quartile to quartile, whiskers from the 5th to the 95th percentile; columns beyond are not drawn.
    """
    figure, panels = page(columns=len(INTERFACES), height=max(HEIGHT * 0.8, 1.2 + 0.32 * len(nets)), sharex=True)
    for interface, (axes, words) in enumerate(zip(panels, INTERFACES.values(), strict=True)):
        values = [np.abs(pooled(walls.errors(interface))) for walls in nets.values()]
        boxes = axes.boxplot(
            values[::-1], orientation="horizontal", whis=(5, 95), showfliers=False, patch_artist=True, widths=0.6
        )
        for box, median, name in zip(boxes["boxes"], boxes["medians"], reversed(list(nets)), strict=True):
            box.set(facecolor=looks[name].colour, alpha=0.45)
            median.set(color=BLACK, lw=1.6)
        names = list(nets)[::-1] if interface == 0 else [""] * len(nets)
        axes.set_yticks(range(1, len(nets) + 1), names, fontsize=SMALL)
        axes.set_xlabel("absolute error in micrometres")
        axes.set_title(f"{words} interface", fontsize=TITLE)
    figure.suptitle(title, fontsize=TITLE)
    save(figure, path)


def bland_altman_figure(path: Path, nets: Mapping[str, Walls], looks: Mapping[str, Style], title: str = "") -> None:
    """Write Bland-Altman plots as PNG, a panel for each net: difference of the thickness against its mean, in mm."""
    figure, panels = page(columns=len(nets), height=HEIGHT * 0.85, sharex=True, sharey=True, squeeze=False)
    for axes, (name, walls) in zip(panels[0], nets.items(), strict=True):
        found, true = walls.thickness
        axes.plot((found + true) / 2, found - true, ls="", marker=looks[name].marker, ms=4, color=looks[name].colour)
        bias, low, high = limits_of_agreement(found, true)
        for value, line in ((bias, "-"), (low, "--"), (high, "--")):
            axes.axhline(value, color=GREY, lw=1.2, ls=line)
            axes.annotate(
                f"{value:+.3f}", (1, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=SMALL
            )
        axes.axhline(0, color="#bbbbbb", lw=0.8, zorder=0)
        axes.set_title(name, fontsize=SMALL + 1)
        axes.set_xlabel("mean of both in mm", fontsize=SMALL)
    panels[0][0].set_ylabel("thickness found minus drawn, in mm")
    figure.suptitle(title, fontsize=TITLE)
    save(figure, path)


def walls_figure(path: Path, rows: Mapping[str, Sequence[Shot]], title: str = "") -> None:
    """Write images with both curves as PNG, a row for each kind ("best", "worst")."""
    columns = max(map(len, rows.values()))
    tallest = [max([shot.image.shape[0] / shot.image.shape[1] for shot in shots] or [0.1]) for shots in rows.values()]
    heights = [share * WIDTH / columns + 0.5 for share in tallest]
    figure = empty_page(sum(heights) + 0.8)
    panels = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for line, (kind, shots) in zip(panels, rows.items(), strict=True):
        for axes in line:
            picture(axes)
        for axes, shot in zip(line, shots, strict=False):
            _draw(axes, shot)
        line[0].set_title(kind, fontsize=SMALL, loc="left")
    legend_below(figure, panels[0][0])
    figure.suptitle(title, fontsize=TITLE)
    save(figure, path)


def _draw(axes: Axes, shot: Shot) -> None:
    picture(axes, shot.image[:, :, ::-1])
    for curves, colour, line, name in ((shot.true, TRUTH, "-", "drawn"), (shot.found, NETWORK, "--", "found")):
        axes.plot(shot.x, curves[:, 0], color=colour, ls=line, lw=1.1, label=name)
        axes.plot(shot.x, curves[:, 1], color=colour, ls=line, lw=1.1)
    axes.set_xlabel(shot.caption, fontsize=SMALL - 1)
