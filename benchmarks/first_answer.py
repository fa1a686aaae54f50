"""Run by the Python of either engine: NET WEIGHTS; prints the seconds of import, build, first pass and tenth pass.

The net has one input, `data`.  Written for Python 3.9, which the genuine Caffe has; the argument after the weights, if
there is one, is the module to import as pycaffe.
"""

import os
import sys
from importlib import import_module
from time import perf_counter

os.environ.setdefault("GLOG_minloglevel", "2")
PASSES = 10


def main() -> None:
    path, weights, module = (*sys.argv[1:], "caffe")[:3]
    times = [perf_counter()]
    caffe = import_module(module)
    make = caffe.Net  # ours loads its engine only for those who want a net
    times.append(perf_counter())
    net = make(path, weights, caffe.TEST)
    times.append(perf_counter())
    net.blobs["data"].data[...] = 1
    passes = []
    for _ in range(PASSES):
        begun = perf_counter()
        net.forward()
        passes.append(perf_counter() - begun)
    seconds = (times[1] - times[0], times[2] - times[1], passes[0], passes[-1])
    print(" ".join(f"{value:.6f}" for value in seconds))


main()
