"""Drawings of nets: what stands in them, and that nothing overlaps or leaves the picture."""

import xml.dom.minidom
from itertools import combinations

import cv2
import numpy as np
import pytest

from pycaffe_ext.caffe import draw
from pycaffe_ext.caffe.draw_graph import BLOB_STYLE, Graph, graph_of
from pycaffe_ext.caffe.draw_layout import layout
from pycaffe_ext.caffe.draw_picture import Picture
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse

NET = """name: "a <net> & more"
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "x" batch_size: 32 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 2 }
        convolution_param { num_output: 20 kernel_h: 3 kernel_w: 5 stride: 2 } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 7 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" include { phase: TRAIN } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" exclude { phase: TRAIN } }
"""


@pytest.fixture
def net():
    return parse(NET, caffe_pb2.NetParameter())


def arrows(graph):
    text = ["|".join(node.lines) for node in graph.nodes]
    return {(text[start], text[end], label) for start, end, label in graph.edges}


def test_layers_in_place_stand_in_the_order_in_which_they_work(net):
    graph = graph_of(net, "LR", True, None, False)
    found = {(start.split("|")[0], end.split("|")[0]) for start, end, _ in arrows(graph)}
    assert {("conv", "norm"), ("norm", "relu"), ("relu", "pool")} <= found
    assert ("conv", "pool") not in found and ("relu", "conv") not in found


def test_labels(net):
    graph = graph_of(net, "LR", True, None, True)
    assert ("data|(Data)", "data", "Batch 32") in arrows(graph)
    assert ("data|(Data)", "label", "") in arrows(graph)
    nodes = [node.lines for node in graph.nodes]
    assert ["conv", "(Convolution)", "kernel size: 3x5", "stride: 2", "pad: 0", "lr mult: 2.0, 1.0"] in nodes
    assert ["pool", "(Pooling AVE)", "global"] in nodes
    flat = [node.lines for node in graph_of(net, "TB", True, None, False).nodes]
    assert ["conv (Convolution)", "kernel size: 3x5 stride: 2 pad: 0"] in flat
    assert draw.get_layer_label(net.layer[5], "LR") == r'"fc\n(InnerProduct)"'
    assert draw.get_edge_label(net.layer[5]) == "7" and draw.get_edge_label(net.layer[3]) == '""'


@pytest.mark.parametrize("phase, shown, hidden", [("TRAIN", "loss", "prob"), ("TEST", "prob", "loss")])
def test_phase(net, phase, shown, hidden):
    svg = draw.draw_net(net, "TB", "svg", caffe_pb2.Phase.Value(phase)).decode()
    assert f">{shown}<" in svg and f">{hidden}<" not in svg


def test_old_nets_are_drawn_too():
    old = parse(
        'name: "v1" input: "data" input_dim: 1 input_dim: 1 input_dim: 2 input_dim: 2'
        ' layers { name: "ip" type: INNER_PRODUCT bottom: "data" top: "ip" }',
        caffe_pb2.NetParameter(),
    )
    before = old.SerializeToString()
    assert ">ip (InnerProduct)<" in draw.draw_net(old, "TB", "svg").decode()
    assert old.SerializeToString() == before


@pytest.mark.parametrize("rankdir", ["LR", "TB", "BT"])
def test_svg_and_png_show_the_same_picture(net, rankdir):
    svg = xml.dom.minidom.parseString(draw.draw_net(net, rankdir, "svg")).documentElement
    assert svg.getElementsByTagName("title")[0].firstChild.data == "a <net> & more"
    graph = graph_of(net, rankdir, True, None, False)
    assert len(svg.getElementsByTagName("polygon")) == len(graph.nodes)
    assert len(svg.getElementsByTagName("path")) == len(graph.edges) + 1  # and the arrow's head
    image = cv2.imdecode(np.frombuffer(draw.draw_net(net, rankdir, "png"), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[:2] == (int(svg.getAttribute("height")), int(svg.getAttribute("width")))
    for node in svg.getElementsByTagName("polygon"):
        corners = np.array([point.split(",") for point in node.getAttribute("points").split()], float)
        left, top = corners.min(0)
        colour = image[int(top) + 3, int(corners[:, 0].mean()), ::-1]  # above the text
        assert "#" + colour.tobytes().hex().upper() == node.getAttribute("fill")


def test_formats(net, tmp_path):
    for ending, begins in (
        ("png", b"\x89PNG"),
        ("jpg", b"\xff\xd8"),
        ("pdf", b"%PDF"),
        ("eps", b"%!PS"),
        ("svg", b"<svg"),
        ("raw", b"digraph"),
    ):
        draw.draw_net_to_file(net, str(tmp_path / f"net.{ending}"), "TB")
        assert (tmp_path / f"net.{ending}").read_bytes().startswith(begins)
    dot = (tmp_path / "net.raw").read_text()
    assert 'digraph "a <net> & more"' in dot and "rankdir=TB" in dot and '[label="Batch 32"]' in dot


def test_mistakes(net, tmp_path):
    with pytest.raises(UserError, match="unknown format of a drawing 'gif'"):
        draw.draw_net_to_file(net, str(tmp_path / "net.gif"))
    with pytest.raises(UserError, match="unknown rankdir 'UP'"):
        draw.draw_net(net, "UP")
    net.layer[0].include.add(phase=0)
    net.layer[0].exclude.add(phase=1)
    with pytest.raises(ValueError, match="layer 'data' has both include and exclude"):
        draw.draw_net(net, "LR", "svg", caffe_pb2.TRAIN)
    with pytest.raises(ValueError, match="have no weights"):
        draw.get_layer_lr_mult(net.layer[0])
    assert not list(tmp_path.iterdir())


def random_graph(seed, nodes):
    rng = np.random.default_rng(seed)
    graph = Graph("random")
    for i in range(nodes):
        graph.add(["word " * int(rng.integers(1, 6)) for _ in range(rng.integers(1, 4))], BLOB_STYLE)
        for before in rng.choice(i, min(i, int(rng.integers(0, 4))), replace=False):
            graph.edges.append((int(before), i, "12" if rng.random() < 0.5 else ""))
    return graph


@pytest.mark.parametrize("rankdir", ["LR", "TB", "BT"])
@pytest.mark.parametrize("seed, nodes", [(0, 1), (1, 2), (2, 12), (3, 40), (4, 90)])
def test_nothing_overlaps_or_leaves_the_picture(seed, nodes, rankdir):
    picture = Picture(random_graph(seed, nodes), rankdir)
    for left, top, width, height in picture.boxes:
        assert left > 0 and top > 0 and left + width < picture.width and top + height < picture.height
    for (left, top, width, height), (x, y, w, h) in combinations(picture.boxes, 2):
        assert left + width < x or x + w < left or top + height < y or y + h < top
    for (start, end, _), curve in zip(picture.graph.edges, picture.curves, strict=True):
        (x, y), (u, v) = picture.points(curve)[0], picture.points(curve)[-1]
        assert touches(picture.boxes[start], x, y) and touches(picture.boxes[end], u, v)
        assert {"LR": x < u, "TB": y < v, "BT": y > v}[rankdir]


def touches(box, x, y):
    left, top, width, height = box
    return left - 1e-6 <= x <= left + width + 1e-6 and top - 1e-6 <= y <= top + height + 1e-6


def test_a_cycle_is_placed_too():
    placed = layout([(10.0, 10.0)] * 3, [(0, 1), (1, 2), (2, 0)], 5.0)
    assert len({centre[0] for centre in placed.centres}) == 3


def test_without_pydot_the_graph_says_what_to_do(net, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(draw, "import_module", absent)
    with pytest.raises(UserError, match="pip install pydot"):
        draw.get_pydot_graph(net, "LR")
