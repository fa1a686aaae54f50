"""Run by the genuine Caffe's Python 3.9: one forward pass in TEST phase.  Arguments: net.prototxt, weights, out.npz,
and perhaps input.npy for the blob `data`.  out.npz gets every blob."""

import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy as np

caffe.set_mode_cpu()
net = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)
if len(sys.argv) > 4:
    net.blobs["data"].data[...] = np.load(sys.argv[4])
net.forward()
np.savez(sys.argv[3], **{name.replace("/", "|"): blob.data for name, blob in net.blobs.items()})
