"""Net, solvers and tools under the module's name in the genuine package."""

from pycaffe_ext.caffe.net import Net
from pycaffe_ext.caffe.runtime import NCCL, Timer
from pycaffe_ext.caffe.solvers import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
)

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
]
