"""Drawings of nets without graphviz: SVG, PNG, JPEG, PDF, PostScript; and DOT text.

`draw_net_to_file(net, "net.svg", "TB")`; rankdir is LR (from left to right), TB (from top to bottom) or BT.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from pycaffe_ext import strings
from pycaffe_ext.caffe.draw_graph import (
    BLOB_STYLE,
    LAYER_STYLE_DEFAULT,
    NEURON_LAYER_STYLE,
    Graph,
    choose_color_by_layertype,
    edge_text,
    get_layer_lr_mult,
    get_pooling_types_dict,
    graph_of,
    label_lines,
)
from pycaffe_ext.caffe.draw_picture import Picture
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.files import writing
from pycaffe_ext.proto import caffe_pb2

__all__ = [
    "BLOB_STYLE",
    "LAYER_STYLE_DEFAULT",
    "NEURON_LAYER_STYLE",
    "caffe_pb2",
    "choose_color_by_layertype",
    "draw_net",
    "draw_net_to_file",
    "get_edge_label",
    "get_layer_label",
    "get_layer_lr_mult",
    "get_pooling_types_dict",
    "get_pydot_graph",
]

DIRECTIONS = ("LR", "TB", "BT")
TEXT = ("dot", "raw")
RASTERS = ("png", "jpg", "jpeg")
FORMATS = ("svg", *RASTERS, "pdf", "ps", "eps")


def draw_net(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """The drawing of a net as a file's content; `phase` (caffe.TRAIN, caffe.TEST) leaves out other layers.

    ext : svg, png, pdf, ps, eps, jpg, or dot for graphviz's text;  display_lrm : show the layers' lr_mult
    Raises UserError for another ext or rankdir.
    """
    known(rankdir, DIRECTIONS, "rankdir")
    known(ext, (*FORMATS, *TEXT), "format of a drawing")
    graph = graph_of(caffe_net, rankdir, True, phase, display_lrm)
    return strings.encode(_dot(graph, rankdir)) if ext in TEXT else _picture(Picture(graph, rankdir), ext)


def _picture(picture: Picture, ext: str) -> bytes:
    """A picture as a file's content; what draws it is loaded only where it is needed."""
    if ext == "svg":
        from pycaffe_ext.caffe import draw_svg

        return draw_svg.encoded(picture)
    if ext in RASTERS:
        from pycaffe_ext.caffe import draw_raster

        return draw_raster.encoded(picture, ext)
    from pycaffe_ext.caffe import draw_page

    return draw_page.encoded(picture, ext)


def draw_net_to_file(
    caffe_net: caffe_pb2.NetParameter,
    filename: str,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Write the drawing of a net in the format that the file's ending names, whole or not at all."""
    ext = os.path.splitext(filename)[1].removeprefix(".")
    content = draw_net(caffe_net, rankdir, ext, phase, display_lrm)
    with writing(filename, "wb") as file:
        file.write(content)


def get_pydot_graph(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """The drawing as a graph of pydot's; raises UserError where neither pydot nor pydotplus is installed."""
    pydot = _pydot()
    graph = graph_of(caffe_net, known(rankdir, DIRECTIONS, "rankdir"), label_edges, phase, display_lrm)
    out = pydot.Dot(_quoted(graph.name), graph_type="digraph", rankdir=rankdir)
    nodes = [
        pydot.Node(
            f"n{i}",
            label=_quoted("\n".join(node.lines)),
            shape=node.style["shape"],
            fillcolor=_quoted(node.style["fillcolor"]),
            style="filled",
        )
        for i, node in enumerate(graph.nodes)
    ]
    for node in nodes:
        out.add_node(node)
    for start, end, label in graph.edges:
        out.add_edge(pydot.Edge(nodes[start], nodes[end], label=_quoted(label)))
    return out


def get_edge_label(layer: caffe_pb2.LayerParameter) -> str:
    """What a layer's tops carry, as graphviz takes a label."""
    return edge_text(layer) or '""'


def get_layer_label(layer: caffe_pb2.LayerParameter, rankdir: str, display_lrm: bool = False) -> str:
    """A layer's text as graphviz takes a label: quoted, on one line in vertical drawings."""
    lines = label_lines(layer, rankdir, display_lrm)
    return '"{}"'.format((" " if rankdir in ("TB", "BT") else r"\n").join(lines))


def _pydot() -> Any:
    for name in ("pydotplus", "pydot"):
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    raise UserError("get_pydot_graph needs pydot: `pip install pydot`; draw_net and draw_net_to_file do without")


def _dot(graph: Graph, rankdir: str) -> str:
    lines = [f"digraph {_quoted(graph.name)} {{", f"  rankdir={rankdir};"]
    for i, node in enumerate(graph.nodes):
        style = ", ".join(f"{name}={_quoted(value)}" for name, value in node.style.items())
        lines.append(f"  n{i} [label={_quoted(chr(10).join(node.lines))}, {style}];")
    for start, end, label in graph.edges:
        lines.append(f"  n{start} -> n{end}" + (f" [label={_quoted(label)}];" if label else ";"))
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
