"""Generators of nets and solvers in Caffe's own format."""

from pycaffe_ext.nets.alexnet import INPUT
from pycaffe_ext.nets.architectures import ARCHITECTURES, Architecture, architecture, deploy, score_net, train_val
from pycaffe_ext.nets.solver import Schedule, iterations, solver
from pycaffe_ext.nets.spec import NetSpec, parse_width

__all__ = [
    "ARCHITECTURES",
    "INPUT",
    "Architecture",
    "NetSpec",
    "Schedule",
    "architecture",
    "deploy",
    "iterations",
    "parse_width",
    "score_net",
    "solver",
    "train_val",
]
