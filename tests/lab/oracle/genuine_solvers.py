"""Run by the genuine Caffe's Python 3.9: trains the solvers of the folders named on standard input, one a line.

Each holds solver.prototxt and start.caffemodel; it gets out.npz with every parameter after ITERATIONS (the argument)
iterations, under the keys LAYER:I.
"""

import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy as np

caffe.set_mode_cpu()
for folder in sys.stdin.read().split("\n"):
    os.chdir(folder)
    solver = caffe.get_solver("solver.prototxt")
    solver.net.copy_from("start.caffemodel")
    solver.step(int(sys.argv[1]))
    named = ((name, i, blob) for name, blobs in solver.net.params.items() for i, blob in enumerate(blobs))
    np.savez("out.npz", **{f"{name}:{i}": blob.data.copy() for name, i, blob in named})
