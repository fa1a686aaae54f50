"""CaffeNet, the BVLC reference net: AlexNet with pooling before normalisation and biases that start at 1.

Names and shapes are those of bvlc_reference_caffenet.caffemodel.
"""

from __future__ import annotations

from pycaffe_ext.nets.alexnet import table_one
from pycaffe_ext.nets.layers import Layer
from pycaffe_ext.nets.spec import NetSpec

INPUT = (3, 227, 227)


def layers(spec: NetSpec, _in_use: bool) -> list[Layer]:
    """From conv1 to the head, reading the blob `data`."""
    return table_one(spec, bias=1, pool_first=True)
