"""A trained net as an ONNX model that computes what Caffe computes in the TEST phase."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.export import require
from pycaffe_ext.export.source import Preparation, Source
from pycaffe_ext.files import writing

if TYPE_CHECKING:
    from onnx import ModelProto

    from pycaffe_ext.export.graph import Graph

OPSET = 17
IR_VERSION = 8  # the one that came with opset 17: readers need not be newer


def graph_of(source: Source) -> Graph:
    """The net's operators, constants, inputs and outputs.

    Raises UserError, naming the layer, for a type or a setting that has no ONNX form here, a missing or misshapen
    blob, or a layer that wants more bottoms; and without the package onnx.
    """
    require("onnx")
    from pycaffe_ext.export.graph import Graph
    from pycaffe_ext.export.layers import emit

    graph = Graph(source)
    for layer in source.layers:
        emit(graph, layer)
    if not graph.inputs:
        raise UserError("the net has no Input layer; export its deploy prototxt")
    return graph


def to_model(
    source: Source, preparation: Preparation, about: Mapping[str, str] | None = None, any_batch: bool = False
) -> ModelProto:
    """The model: inputs and outputs bear the names of Caffe's blobs, float32.

    about : further metadata.  any_batch : the first axis of inputs and outputs is called N and takes any size;
    else it is the prototxt's.  Raises UserError as `graph_of` does.
    """
    graph = graph_of(source)
    from onnx import checker, helper

    from pycaffe_ext import __version__

    inputs, outputs = (
        [helper.make_tensor_value_info(v.name, 1, ("N", *v.shape[1:]) if any_batch else v.shape) for v in values]
        for values in (graph.inputs, graph.outputs())
    )
    model = helper.make_model(
        helper.make_graph(graph.nodes, source.name or "net", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="pycaffe_ext",
        producer_version=__version__,
    )
    helper.set_model_props(model, {**preparation.metadata(), **(about or {})})
    checker.check_model(model, full_check=True)
    return model


def write(
    source: Source,
    path: str | Path,
    preparation: Preparation,
    about: Mapping[str, str] | None = None,
    any_batch: bool = False,
) -> None:
    """Write the model, whole or not at all; arguments and errors as `to_model`."""
    model = to_model(source, preparation, about, any_batch)
    with writing(path, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))


def load(path: str | Path) -> Callable[[np.ndarray], np.ndarray]:
    """What ONNX Runtime computes on the CPU: the input's float32 values -> the first output's."""
    require("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: it warns of constants that it folds
    session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda values: session.run(None, {name: values})[0]
