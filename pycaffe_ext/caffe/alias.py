"""`import caffe` as another name of this package, for scripts and Python layers that stay as they are."""

from __future__ import annotations

import sys
from importlib import import_module

from pycaffe_ext import caffe
from pycaffe_ext.errors import UserError


def install() -> None:
    """Let `import caffe`, `import caffe.io`, `from caffe.proto import caffe_pb2` and the like find this package.

    Raises UserError where another caffe is loaded already.
    """
    found = sys.modules.get("caffe")
    if found not in (None, caffe):
        raise UserError(f"another caffe is loaded already ({getattr(found, '__file__', found)}); call install() before")
    sys.modules["caffe"] = caffe
    for name in (*caffe.MODULES, "proto.caffe_pb2"):
        sys.modules[f"caffe.{name}"] = import_module(f"{caffe.__name__}.{name}")
