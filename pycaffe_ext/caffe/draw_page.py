"""A picture on a page, PDF or PostScript, by matplotlib."""

from __future__ import annotations

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon
from matplotlib.path import Path

from pycaffe_ext.caffe.draw_layout import Point
from pycaffe_ext.caffe.draw_picture import ARROW, FONT, Picture

DOTS_PER_INCH, LARGEST = 100, 20000  # pixels that a page takes on one side


def encoded(picture: Picture, ext: str) -> bytes:
    """The picture as a file's content; `ext` is one of matplotlib's formats."""
    scale = min(1.0, LARGEST / max(picture.width, picture.height)) / DOTS_PER_INCH
    figure = Figure(figsize=(picture.width * scale, picture.height * scale), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, picture.width), ylim=(picture.height, 0))
    axes.axis("off")
    points = 72 * scale  # of a pixel
    for curve in picture.curves:
        axes.add_patch(_arrow(picture.points(curve), points))
    halo = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": points}
    for x, y, label in picture.labels():
        axes.text(x, y, label, fontsize=FONT * points, bbox=halo)
    for outline, colour in picture.outlines():
        axes.add_patch(Polygon(outline, facecolor=colour, edgecolor="black", linewidth=points))
    for x, y, line in picture.lines():
        axes.text(x, y, line, ha="center", va="center_baseline", fontsize=FONT * points)
    out = BytesIO()
    figure.savefig(out, format=ext)
    return out.getvalue()


def _arrow(curve: list[Point], points: float) -> FancyArrowPatch:
    path = Path(curve, [Path.MOVETO] + [Path.CURVE4] * (len(curve) - 1))
    head = f"-|>,head_width={0.4},head_length={0.8}"
    return FancyArrowPatch(
        path=path,
        arrowstyle=head,
        mutation_scale=ARROW * points,
        color="black",
        linewidth=points,
        shrinkA=0,
        shrinkB=0,
    )
