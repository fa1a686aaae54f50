"""The picture of a graph: placed once, then written as SVG, as pixels, or through matplotlib for printing."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from pycaffe_ext.caffe.draw_graph import Graph, Node
from pycaffe_ext.caffe.draw_layout import Point, layout

FONT, FAMILY = 12.0, "DejaVu Sans, Verdana, sans-serif"  # size in pixels
LETTER, LINE = 0.64 * FONT, 1.3 * FONT  # width and height of a letter
MARGIN, PADDING, CORNER, ARROW = 12.0, 8.0, 7.0, 7.0
DOTS_PER_INCH, LARGEST = 100, 20000  # pixels that a page takes on one side
RASTERS = ("png", "jpg", "jpeg")
FORMATS = ("svg", *RASTERS, "pdf", "ps", "eps")

Box = tuple[float, float, float, float]  # left, top, width, height


class Picture:
    """boxes of the nodes, curves of the edges (control points, to be turned by `points`), in pixels from top left."""

    font, arrow = FONT, ARROW

    def __init__(self, graph: Graph, rankdir: str) -> None:
        self.graph, self._rankdir = graph, rankdir
        sideways = rankdir == "LR"
        sizes = [_size(node) for node in graph.nodes]
        labels = max((len(label) for *_, label in graph.edges), default=0)
        gap = max(34.0, (labels + 1) * LETTER if sideways else 0.0)
        flow = [size if sideways else size[::-1] for size in sizes]
        placed = layout(flow, [edge[:2] for edge in graph.edges], gap)
        self._along = placed.along
        extent = (placed.along, placed.across) if sideways else (placed.across, placed.along)
        self.width, self.height = (n + 2 * MARGIN for n in extent)
        centres = map(self._point, placed.centres)
        self.boxes: list[Box] = [(x - w / 2, y - h / 2, w, h) for (x, y), (w, h) in zip(centres, sizes, strict=True)]
        self.curves = [_curve(way) for way in placed.ways]

    def _point(self, at: Point) -> Point:
        along, across = at
        along = self._along - along if self._rankdir == "BT" else along
        return (along + MARGIN, across + MARGIN) if self._rankdir == "LR" else (across + MARGIN, along + MARGIN)

    def content(self, ext: str) -> bytes:
        """The picture as a file's content."""
        if ext in RASTERS:
            from pycaffe_ext.caffe import draw_raster

            return draw_raster.encoded(self, ext)
        return self._svg().encode() if ext == "svg" else self._plotted(ext)

    def points(self, curve: list[Point]) -> list[Point]:
        """A curve's control points (x, y): the first, then three for each cubic curve."""
        return [self._point(at) for at in curve]

    def outlines(self) -> list[tuple[list[Point], str]]:
        """Outline and colour of each node."""
        pairs = zip(self.graph.nodes, self.boxes, strict=True)
        return [(_outline(node, box), node.style["fillcolor"]) for node, box in pairs]

    def labels(self) -> list[tuple[float, float, str]]:
        """Left end of the base line and text of each edge's label."""
        return [(*self._label_place(i), label) for i, (*_, label) in enumerate(self.graph.edges) if label]

    def lines(self) -> list[tuple[float, float, str]]:
        """Centre and text of each line in a node."""
        pairs = zip(self.graph.nodes, self.boxes, strict=True)
        return [place for node, box in pairs for place in _line_places(node, box)]

    # ---- SVG

    def _svg(self) -> str:
        size = f'width="{self.width:.0f}" height="{self.height:.0f}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {self.width:.1f} {self.height:.1f}"'
            f' font-family={quoteattr(FAMILY)} font-size="{FONT:g}">',
            f"<title>{escape(self.graph.name)}</title>",
            f'<defs><marker id="arrow" markerWidth="{ARROW:g}" markerHeight="{ARROW:g}" refX="{ARROW:g}"'
            f' refY="{ARROW / 2:g}" orient="auto" markerUnits="userSpaceOnUse">'
            f'<path d="M0,0 L{ARROW:g},{ARROW / 2:g} L0,{ARROW:g} z"/></marker></defs>',
            '<rect width="100%" height="100%" fill="white"/>',
        ]
        parts += [self._svg_curve(curve) for curve in self.curves]
        parts += [_svg_label(*label) for label in self.labels()]
        parts += [_svg_node(node, box) for node, box in zip(self.graph.nodes, self.boxes, strict=True)]
        return "\n".join([*parts, "</svg>"]) + "\n"

    def _svg_curve(self, curve: list[Point]) -> str:
        points = [f"{x:.1f},{y:.1f}" for x, y in self.points(curve)]
        steps = (" ".join(points[i : i + 3]) for i in range(1, len(points), 3))
        return f'<path d="M{points[0]} C{" ".join(steps)}" fill="none" stroke="black" marker-end="url(#arrow)"/>'

    def _label_place(self, edge: int) -> Point:
        x, y = self._point(self.curves[edge][0])
        if self._rankdir == "LR":
            return x + 3, y - 3
        return x + 4, y + (-8 if self._rankdir == "BT" else FONT + 4)

    # ---- matplotlib

    def _plotted(self, ext: str) -> bytes:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Polygon

        scale = min(1.0, LARGEST / max(self.width, self.height)) / DOTS_PER_INCH
        figure = Figure(figsize=(self.width * scale, self.height * scale), dpi=DOTS_PER_INCH)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        axes.axis("off")
        points = 72 * scale  # of a pixel
        for curve in self.curves:
            axes.add_patch(self._arrow(curve, points))
        halo = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": points}
        for x, y, label in self.labels():
            axes.text(x, y, label, fontsize=FONT * points, bbox=halo)
        for outline, colour in self.outlines():
            axes.add_patch(Polygon(outline, facecolor=colour, edgecolor="black", linewidth=points))
        for x, y, line in self.lines():
            axes.text(x, y, line, ha="center", va="center_baseline", fontsize=FONT * points)
        out = BytesIO()
        figure.savefig(out, format=ext)
        return out.getvalue()

    def _arrow(self, curve: list[Point], points: float) -> Any:
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        path = Path(self.points(curve), [Path.MOVETO] + [Path.CURVE4] * (len(curve) - 1))
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


def _size(node: Node) -> Point:
    return (max(map(len, node.lines)) * LETTER + 2 * PADDING, len(node.lines) * LINE + PADDING)


def _curve(way: list[Point]) -> list[Point]:
    """Control points of cubic curves through the points of a way (along, across), leaving along the ranks."""
    points = way[:1]
    for (a, x), (b, y) in zip(way, way[1:], strict=False):
        points += [((a + b) / 2, x), ((a + b) / 2, y), (b, y)]
    return points


def _outline(node: Node, box: Box) -> list[Point]:
    x, y, w, h = box
    c = CORNER if node.style["shape"] == "octagon" else 0.0
    return [
        (x + c, y),
        (x + w - c, y),
        (x + w, y + c),
        (x + w, y + h - c),
        (x + w - c, y + h),
        (x + c, y + h),
        (x, y + h - c),
        (x, y + c),
    ]


def _line_places(node: Node, box: Box) -> list[tuple[float, float, str]]:
    """Centre and middle of each line of text."""
    x, y, w, h = box
    top = y + h / 2 - len(node.lines) * LINE / 2
    return [(x + w / 2, top + (i + 0.5) * LINE, line) for i, line in enumerate(node.lines)]


def _svg_label(x: float, y: float, text: str) -> str:
    halo = 'paint-order="stroke" stroke="white" stroke-width="4"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {halo}>{escape(text)}</text>'


def _svg_node(node: Node, box: Box) -> str:
    outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in _outline(node, box))
    text = "".join(
        f'<text x="{x:.1f}" y="{y + 0.35 * FONT:.1f}" text-anchor="middle">{escape(line)}</text>'
        for x, y, line in _line_places(node, box)
    )
    return f'<polygon points="{outline}" fill="{node.style["fillcolor"]}" stroke="black"/>{text}'
