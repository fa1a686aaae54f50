"""The Python layer: a layer that a module of the user's defines, in pycaffe's style."""

from __future__ import annotations

from typing import Any

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.python_layer import ArrayBlob, ParamBlobs, caffe_is_ours, load_class
from pycaffe_ext.engine.layers.base import Layer, register
from pycaffe_ext.engine.parallel import FEW
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2


@register("Python")
class Python(Layer):
    """Runs the class python_param.layer of the module python_param.module; see engine/python_layer.py.

    instance : the user's object.  Its errors pass through as they are, with a note that names the layer.
    share_in_parallel concerns several solvers in one process, which there are not.
    """

    in_place = keeps_tops = True
    reads_bottoms = False  # its backward pass sees the blobs as they are then, as in Caffe

    def __init__(self, param: caffe_pb2.LayerParameter, phase: caffe_pb2.Phase, device: torch.device) -> None:
        super().__init__(param, phase, device)
        python = self.param.python_param
        try:
            cls = load_class(python.module, python.layer)
        except UserError as error:
            self.fail(str(error))
        self.instance = cls(self.param)
        self.instance.param_str, self.instance.phase = python.param_str, phase
        self.instance.blobs = ParamBlobs(self.blobs, device)

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        with caffe_is_ours():
            self._run("setup", bottom, top)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._run("reshape", bottom, top)

    def operations(self, bottom: list[Blob], top: list[Blob]) -> int:
        return FEW  # at least: what a script does is its own affair

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob in top:
            if blob in bottom and not self.may_overwrite:
                blob.data = blob.data.clone()
        self._run("forward", bottom, top)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        self._run("backward", top, list(propagate_down), bottom)

    def _run(self, name: str, *arguments: list[Any]) -> None:
        method = getattr(self.instance, name, None)
        if method is None:
            self.fail(f"class {self.param.python_param.layer!r} has no method {name!r}")
        shown = [[ArrayBlob(item) if isinstance(item, Blob) else item for item in items] for items in arguments]
        try:
            method(*shown)
        except Exception as error:
            error.add_note(f"in {name} of layer {self.name!r} (Python)")
            raise
        for view in (item for items in shown for item in items if isinstance(item, ArrayBlob)):
            view.flush()
        self.instance.blobs.flush()
