"""Caffe's messages, where scripts look for them, and this project's readers and writers of Caffe's files."""

from pycaffe_ext.proto import *  # noqa: F403
from pycaffe_ext.proto import __all__ as __all__
