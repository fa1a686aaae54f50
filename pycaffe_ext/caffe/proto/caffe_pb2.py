"""Caffe's messages under the name that `import caffe.proto.caffe_pb2` looks for: the very module, not a copy."""

import sys

from pycaffe_ext.proto import caffe_pb2

sys.modules[__name__] = caffe_pb2
