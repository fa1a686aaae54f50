"""Who beats whom: the verdicts of Table S1 as matrices, one for each operating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pycaffe_ext.report.style import SMALL, TITLE, page, save

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
    mark).
    explained : what the paired test is, for the legend.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    height = 3.3 + 0.062 * max(map(len, names))  # squares of a third of the page, names below them, legends
    figure, panels = page(columns=len(tested), height=height, grid=False, squeeze=False, sharey=True)
    for axes, (panel, verdicts) in zip(panels[0], tested.items(), strict=True):
        shown = np.ma.masked_array(verdicts, np.eye(len(names), dtype=bool))
        axes.imshow(shown, cmap=ListedColormap([WORSE, EQUAL, BETTER, UNTESTED]), vmin=-1, vmax=NOT_TESTED)
        for row, column in np.argwhere(np.abs(bars[panel]) == 1):
            axes.text(column, row, "+" if bars[panel][row, column] > 0 else "−", ha="center", va="center",
                      fontsize=SMALL + 1)  # fmt: skip
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=SMALL - 1)
        axes.set_yticks(range(len(names)), names, fontsize=SMALL - 1)
        axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", lw=1)
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(panel, fontsize=SMALL + 1)
        axes.set_anchor("N")  # what room is left is below, where the names and the legends are
    panels[0][0].set_ylabel("this curve ...")
    panels[0][len(tested) // 2].set_xlabel("... against this one")
    keys = [Patch(color=BETTER, label="row is better"), Patch(color=WORSE, label="row is worse"),
            Patch(color=EQUAL, label="no difference shown")]  # fmt: skip
    if any((verdicts == NOT_TESTED).any() for verdicts in tested.values()):
        keys.append(Patch(color=UNTESTED, label="not tested"))
    marks = [Line2D([], [], ls="", marker=f"${sign}$", color="black", ms=7, label=f"row is {word}")
             for sign, word in (("+", "better"), ("-", "worse"))]  # fmt: skip
    marks.append(Line2D([], [], ls="", label="no mark: they overlap"))
    one = figure.legend(handles=keys, title=f"colour: {explained}", loc="outside lower left", fontsize=SMALL,
                        title_fontsize=SMALL)  # fmt: skip
    two = figure.legend(handles=marks, title="mark: error bars do not overlap (the paper's rule)",
                        loc="outside lower right", fontsize=SMALL, title_fontsize=SMALL)  # fmt: skip
    for legend in (one, two):
        legend.set_alignment("left")
    figure.suptitle(title, fontsize=TITLE)
    save(figure, path)
