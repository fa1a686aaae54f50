"""Run by the genuine Caffe's Python 3.9: batches of a Data layer.  Arguments: net.prototxt, phase, count, out.npz."""

import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy as np

caffe.set_mode_cpu()
net = caffe.Net(sys.argv[1], int(sys.argv[2]))
batches = []
for _ in range(int(sys.argv[3])):
    net.forward()
    batches.append({name: blob.data.copy() for name, blob in net.blobs.items()})
np.savez(sys.argv[4], **{name: np.stack([batch[name] for batch in batches]) for name in batches[0]})
