"""How every figure looks: a page's width, colours that people of any colour vision can tell apart, written whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pycaffe_ext.files import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours; their yellow is too pale for a line, their black is kept for nets trained from scratch
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
BLACK, GREY = "#000000", "#666666"
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DOTTED = (0, (1, 1.2))
WIDTH, HEIGHT = 7.0, 4.6  # inches: the width of a page's text
DPI = 200
SMALL = 8.0  # points: legends and labels
TITLE = 10.0


class Style(NamedTuple):
    """How one curve is drawn in every figure of a report."""

    colour: str
    line: Any
    marker: str

    def of_line(self) -> dict[str, Any]:
        return {"color": self.colour, "linestyle": self.line}


BASELINE = Style(GREY, DOTTED, "*")


def styles(names: Sequence[str], scratch: Sequence[str] = ()) -> dict[str, Style]:
    """name -> style; no two have the same colour and line up to 24 fine-tuned nets and 4 from `scratch`, in black."""
    tuned = [name for name in names if name not in scratch]
    found = {name: Style(COLOURS[i % 6], STYLES[(i % 4 + i // 12) % 4], MARKERS[i % 8]) for i, name in enumerate(tuned)}
    found |= {name: Style(BLACK, STYLES[i % 4], MARKERS[i % 8]) for i, name in enumerate(scratch) if name in names}
    return {name: found[name] for name in names}


def page(
    rows: int = 1,
    columns: int = 1,
    height: float = HEIGHT,
    grid: bool = True,
    width: float = WIDTH,
    **options: Any,
) -> tuple[Figure, Any]:
    """A figure of the page's width, or another, and its axes, as `Figure.subplots` gives them."""
    figure = empty_page(height, width)
    axes = figure.subplots(rows, columns, **options)
    for one in np.ravel(axes):
        if grid:
            one.grid(color="#dddddd", lw=0.6)
            one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def empty_page(height: float, width: float = WIDTH) -> Figure:
    """A figure of the page's width, or another; in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def picture(axes: Axes, image: np.ndarray | None = None, **options: Any) -> None:
    """Show an (H, W, 3) RGB image, or nothing, without ticks and frame."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if image is not None:
        axes.imshow(image, interpolation="antialiased", **options)
        axes.autoscale(False)  # what is drawn upon it must not shrink it


def legend_below(figure: Figure, axes: Axes, title: str = "", columns: int = 4) -> None:
    """One legend under the plots, in as many columns as there is room for: it hides no curve and is not cut off.

    columns : at most
    """
    handles, labels = axes.get_legend_handles_labels()
    for count in range(columns, 0, -1):
        legend = figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=count,
            title=title,
            fontsize=SMALL,
            title_fontsize=SMALL,
            handlelength=2.6,
        )
        if count == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def printable(text: str) -> str:
    """Text with each byte that is not UTF-8 as the replacement character: Matplotlib draws no surrogates."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    from matplotlib.text import Text

    for axes in figure.axes:
        if legend := axes.get_legend():
            legend.set_frame_on(True)
            for text in (*legend.get_texts(), legend.get_title()):
                text.set_fontsize(8.5)
    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text()))
    with writing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=DPI)
