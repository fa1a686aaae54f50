"""Run by the genuine Caffe's Python 3.9: each case folder given gets an `out.npz` with every blob and gradient.

The first argument keeps only keys that begin with it ("" keeps all).
A case folder holds net.prototxt and in.npz with the keys phase, data:BLOB, param:LAYER:I and diff:BLOB.
"""

import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy as np


def run(folder, prefix):
    given = np.load(os.path.join(folder, "in.npz"))
    net = caffe.Net(os.path.join(folder, "net.prototxt"), int(given["phase"]))
    for key in given.files:
        kind, _, name = key.partition(":")
        if kind == "data":
            net.blobs[name].data[...] = given[key]
        if kind == "param":
            layer, i = name.rsplit(":", 1)
            net.params[layer][int(i)].data[...] = given[key]
    net.forward()
    for key in given.files:
        if key.startswith("diff:"):
            net.blobs[key[5:]].diff[...] = given[key]
    net.backward()
    out = {}
    for name, blob in net.blobs.items():
        out["data:" + name] = blob.data.copy()
        out["diff:" + name] = blob.diff.copy()
    for name, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            out[f"param:{name}:{i}"] = blob.data.copy()
            out[f"grad:{name}:{i}"] = blob.diff.copy()
    out["outputs"] = np.array(list(net.outputs))
    out["names"] = np.array(list(net._layer_names))
    np.savez(os.path.join(folder, "out.npz"), **{key: out[key] for key in out if key.startswith(prefix)})


caffe.set_mode_cpu()
for name in sys.argv[2:]:
    run(name, sys.argv[1])
