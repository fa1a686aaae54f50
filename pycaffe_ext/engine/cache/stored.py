"""What lies in a folder of shared rows for a net: its own boundary's rows, and those of shallower ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pycaffe_ext.engine.cache import content
from pycaffe_ext.engine.cache.boundary import Boundary, find_boundary
from pycaffe_ext.engine.cache.shared import Shared, SharedRows
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.proto import caffe_pb2


@dataclass(frozen=True)
class Start:
    """A shallower boundary from whose rows a deeper one is computed.   left : the layers that then still run, in their
    order."""

    boundary: Boundary
    rows: SharedRows
    left: list[int]


def open_rows(
    shared: Shared, net: Net, boundary: Boundary, computed: Mapping[int, bytes], make: bool = True
) -> SharedRows | None:
    """The shared rows of a boundary with its present weights; None if there is no room, or, unless they may be made,
    if there are none.   computed : digests of its layers (`content.layer_digests`)."""
    source = boundary.sources[0]
    if len(boundary.sources) > 1 or source.param.data_param.backend != caffe_pb2.DataParameter.LMDB:
        return None
    digests = content.blob_digests(net, boundary.layers, computed)
    order = sorted(range(len(boundary.blobs)), key=lambda i: digests[id(boundary.blobs[i])])
    shapes = [blob.shape[1:] for blob in boundary.blobs]
    return shared.open(_function(boundary, digests), source, boundary.records, shapes, order, make)


def find_start(shared: Shared, net: Net, boundary: Boundary, computed: Mapping[int, bytes]) -> Start | None:
    """The deepest of the shallower boundaries whose rows have been stored and pay; each ends below a layer with
    weights, as that of a training does.   computed : see open_rows."""
    for end in reversed([i for i in boundary.layers if net.layers[i].blobs]):
        shallower = find_boundary(net, frozenset(i for i in boundary.layers if i < end))
        rows = open_rows(shared, net, shallower, computed, make=False) if shallower else None
        if shallower and rows and rows.pays:
            return Start(shallower, rows, [i for i in shallower.rest if i in boundary.layers])
    return None


def longest(shared: Shared, net: Net) -> Boundary | None:
    """The longest boundary of a net that only scores of which a training has stored rows, of whatever records."""
    still = [i for i, layer in enumerate(net.layers) if not any(layer.loss_weights)]
    whole = find_boundary(net, frozenset(still))
    computed = content.layer_digests(net, whole.layers) if whole else {}
    for end in range(len(net.layers), 0, -1):
        boundary = find_boundary(net, frozenset(i for i in still if i < end))
        if boundary and shared.has(_function(boundary, content.blob_digests(net, boundary.layers, computed))):
            return boundary
    return None


def _function(boundary: Boundary, digests: Mapping[int, bytes]) -> bytes:
    """The digest of what the boundary's blobs are."""
    parts = sorted(digests[id(blob)] for blob in boundary.blobs)
    return hashlib.blake2b(b"".join(parts), digest_size=content.SIZE).digest()
