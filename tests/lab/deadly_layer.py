"""A Python layer in which a training is killed, as by a cut of power: once, at an iteration that its net names."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from pycaffe_ext import caffe

LAYER = """
layer {{ name: "deadly" type: "Python" bottom: "label" top: "deadly" include {{ phase: TRAIN }}
  python_param {{ module: "deadly_layer" layer: "Deadly" param_str: "{at} {armed}" }} }}
"""


class Deadly(caffe.Layer):
    """param_str : the forward pass, from 1, in which the process is killed, and a file without which it is not."""

    def setup(self, bottom, top):
        at, armed = self.param_str.split(maxsplit=1)
        self.left, self.armed = int(at), Path(armed)

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.left -= 1
        if self.left == 0 and self.armed.exists():
            self.armed.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def backward(self, top, propagate_down, bottom):
        pass
