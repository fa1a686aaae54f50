"""Who beats whom: the verdicts of Table S1 as matrices, one for each operating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycaffe_ext.plotting import SMALL, TITLE, WIDTH, page, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BETTER, WORSE, EQUAL = "#56B4E9", "#E69F00", "#f2f2f2"  # blue and orange of Okabe and Ito, light enough for a mark
UNTESTED = "#b3b3b3"
NOT_TESTED = 2  # beside 1, 0 and -1


def matrix_figure(
    path: Path,
    names: Sequence[str],
    tested: Mapping[str, np.ndarray],
    bars: Mapping[str, np.ndarray],
    explained: str,
    title: str = "",
) -> None:
    """Write matrices of verdicts as PNG, rows against columns: at a glance, who beats whom.

    names : (n,) of the curves.  tested, bars : title of the panel -> (n, n) int: 1 = the row is better than the column,
    -1 = worse, 0 = no difference shown, 2 = not tested; by the paired test (the colour) and by the paper's rule (the
    mark); bars may be empty.
    explained : what the paired test is, for the legend.
    """
    height = WIDTH / len(tested) + 1.27 + 0.062 * max(map(len, names))  # squares, names below them, legends
    figure, panels = page(columns=len(tested), height=height, grid=False, squeeze=False, sharey=True)
    for axes, (panel, verdicts) in zip(panels[0], tested.items(), strict=True):
        _draw_verdicts(axes, verdicts, bars.get(panel, np.zeros_like(verdicts)))
        _name_squares(axes, names)
        axes.set_title(panel, fontsize=SMALL + 1)
        axes.set_anchor("N")  # what room is left is below, where the names and the legends are
    panels[0][0].set_ylabel("this curve ...")
    panels[0][len(tested) // 2].set_xlabel("... against this one")
    _explain(figure, explained, any((verdicts == NOT_TESTED).any() for verdicts in tested.values()), bool(bars))
    figure.suptitle(title, fontsize=TITLE)
    save(figure, path)


def _draw_verdicts(axes: Axes, tested: np.ndarray, bars: np.ndarray) -> None:
    from matplotlib.colors import ListedColormap

    shown = np.ma.masked_array(tested, np.eye(len(tested), dtype=bool))
    axes.imshow(shown, cmap=ListedColormap([WORSE, EQUAL, BETTER, UNTESTED]), vmin=-1, vmax=NOT_TESTED)
    for row, column in np.argwhere(np.abs(bars) == 1):
        sign = "+" if bars[row, column] > 0 else "−"
        axes.text(column, row, sign, ha="center", va="center", fontsize=SMALL + 1)


def _name_squares(axes: Axes, names: Sequence[str]) -> None:
    edges = np.arange(len(names) + 1) - 0.5
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=SMALL - 1)
    axes.set_yticks(range(len(names)), names, fontsize=SMALL - 1)
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="white", lw=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def _explain(figure: Figure, tested: str, untested: bool, marked: bool) -> None:
    """Legends below the panels: the colours at the left, the marks, if there are any, at the right."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    colours = [(BETTER, "row is better"), (WORSE, "row is worse"), (EQUAL, "no difference shown")]
    colours += [(UNTESTED, "not tested")] if untested else []
    marks = [
        Line2D([], [], ls="", marker=f"${sign}$", color="black", ms=7, label=f"row is {word}")
        for sign, word in (("+", "better"), ("-", "worse"))
    ]
    marks.append(Line2D([], [], ls="", label="no mark: they overlap"))
    legends = [("left", f"colour: {tested}", [Patch(color=color, label=label) for color, label in colours])]
    if marked:
        legends.append(("right", "mark: error bars do not overlap (the paper's rule)", marks))
    for place, heading, handles in legends:
        legend = figure.legend(
            handles=handles, title=heading, loc=f"outside lower {place}", fontsize=SMALL, title_fontsize=SMALL
        )
        legend.set_alignment("left")
