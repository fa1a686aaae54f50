"""Frames, candidates, patches and the LMDB that holds them."""

from pycaffe_ext.records import ENCODINGS

__all__ = ["ENCODINGS"]
