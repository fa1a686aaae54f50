"""The picture of a graph: where its boxes, curves and texts lie, whatever draws them."""

from __future__ import annotations

from itertools import pairwise

from pycaffe_ext.caffe.draw_graph import Graph, Node
from pycaffe_ext.caffe.draw_layout import Point, layout

FONT = 12.0  # size in pixels
LETTER, LINE = 0.64 * FONT, 1.3 * FONT  # width and height of a letter
MARGIN, PADDING, CORNER, ARROW = 12.0, 8.0, 7.0, 7.0

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

    def points(self, curve: list[Point]) -> list[Point]:
        """A curve's control points (x, y): the first, then three for each cubic curve."""
        return [self._point(at) for at in curve]

    def outlines(self) -> list[tuple[list[Point], str]]:
        """Outline and colour of each node."""
        pairs = zip(self.graph.nodes, self.boxes, strict=True)
        return [(outline(node, box), node.style["fillcolor"]) for node, box in pairs]

    def labels(self) -> list[tuple[float, float, str]]:
        """Left end of the base line and text of each edge's label."""
        return [(*self._label_place(i), label) for i, (*_, label) in enumerate(self.graph.edges) if label]

    def lines(self) -> list[tuple[float, float, str]]:
        """Centre and text of each line in a node."""
        pairs = zip(self.graph.nodes, self.boxes, strict=True)
        return [place for node, box in pairs for place in line_places(node, box)]

    def _label_place(self, edge: int) -> Point:
        x, y = self._point(self.curves[edge][0])
        if self._rankdir == "LR":
            return x + 3, y - 3
        return x + 4, y + (-8 if self._rankdir == "BT" else FONT + 4)


def _size(node: Node) -> Point:
    return (max(map(len, node.lines)) * LETTER + 2 * PADDING, len(node.lines) * LINE + PADDING)


def _curve(way: list[Point]) -> list[Point]:
    """Control points of cubic curves through the points of a way (along, across), leaving along the ranks."""
    points = way[:1]
    for (a, x), (b, y) in pairwise(way):
        points += [((a + b) / 2, x), ((a + b) / 2, y), (b, y)]
    return points


def outline(node: Node, box: Box) -> list[Point]:
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


def line_places(node: Node, box: Box) -> list[tuple[float, float, str]]:
    """Centre and middle of each line of text."""
    x, y, w, h = box
    top = y + h / 2 - len(node.lines) * LINE / 2
    return [(x + w / 2, top + (i + 0.5) * LINE, line) for i, line in enumerate(node.lines)]
