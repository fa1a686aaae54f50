"""A picture as SVG."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from pycaffe_ext.caffe.draw_graph import Node
from pycaffe_ext.caffe.draw_layout import Point
from pycaffe_ext.caffe.draw_picture import ARROW, FONT, Box, Picture, line_places, outline

FAMILY = "DejaVu Sans, Verdana, sans-serif"


def encoded(picture: Picture) -> bytes:
    """The picture as an SVG file's content."""
    size = f'width="{picture.width:.0f}" height="{picture.height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {picture.width:.1f} {picture.height:.1f}"'
        f' font-family={quoteattr(FAMILY)} font-size="{FONT:g}">',
        f"<title>{escape(picture.graph.name)}</title>",
        f'<defs><marker id="arrow" markerWidth="{ARROW:g}" markerHeight="{ARROW:g}" refX="{ARROW:g}"'
        f' refY="{ARROW / 2:g}" orient="auto" markerUnits="userSpaceOnUse">'
        f'<path d="M0,0 L{ARROW:g},{ARROW / 2:g} L0,{ARROW:g} z"/></marker></defs>',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    parts += [_curve(picture.points(curve)) for curve in picture.curves]
    parts += [_label(*label) for label in picture.labels()]
    parts += [_node(node, box) for node, box in zip(picture.graph.nodes, picture.boxes, strict=True)]
    return ("\n".join([*parts, "</svg>"]) + "\n").encode()


def _curve(curve: list[Point]) -> str:
    points = [f"{x:.1f},{y:.1f}" for x, y in curve]
    steps = (" ".join(points[i : i + 3]) for i in range(1, len(points), 3))
    return f'<path d="M{points[0]} C{" ".join(steps)}" fill="none" stroke="black" marker-end="url(#arrow)"/>'


def _label(x: float, y: float, text: str) -> str:
    halo = 'paint-order="stroke" stroke="white" stroke-width="4"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {halo}>{escape(text)}</text>'


def _node(node: Node, box: Box) -> str:
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline(node, box))
    text = "".join(
        f'<text x="{x:.1f}" y="{y + 0.35 * FONT:.1f}" text-anchor="middle">{escape(line)}</text>'
        for x, y, line in line_places(node, box)
    )
    return f'<polygon points="{corners}" fill="{node.style["fillcolor"]}" stroke="black"/>{text}'
