"""A trained net as an ONNX model that computes what Caffe computes in the TEST phase."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pycaffe_ext.errors import UserError
from pycaffe_ext.export.source import Preparation, Source
from pycaffe_ext.files import writing

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 17
IR_VERSION = 8  # the one that came with opset 17: readers need not be newer


def to_model(source: Source, preparation: Preparation) -> ModelProto:
    """The model: inputs and outputs bear the names of Caffe's blobs, float32, with the batch size of the prototxt.

    Raises UserError, naming the layer, for a type or a setting that has no ONNX form here, a missing or misshapen
    blob, or a layer that wants more bottoms.
    """
    try:
        from onnx import checker, helper
    except ImportError:
        raise UserError("this needs the package onnx: pip install 'pycaffe_ext[export]'") from None
    from pycaffe_ext import __version__
    from pycaffe_ext.export.graph import Graph
    from pycaffe_ext.export.layers import emit

    graph = Graph(source)
    for layer in source.layers:
        emit(graph, layer)
    if not graph.inputs:
        raise UserError("the net has no Input layer; export its deploy prototxt")
    inputs, outputs = (
        [helper.make_tensor_value_info(value.name, 1, value.shape) for value in values]
        for values in (graph.inputs, graph.outputs())
    )
    model = helper.make_model(
        helper.make_graph(graph.nodes, source.name or "net", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="pycaffe_ext",
        producer_version=__version__,
    )
    helper.set_model_props(model, preparation.metadata())
    checker.check_model(model, full_check=True)
    return model


def write(source: Source, path: str | Path, preparation: Preparation) -> None:
    """Write the model, whole or not at all; UserError as `to_model` says."""
    model = to_model(source, preparation)
    with writing(path, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))
