"""What a blob holds, by content: blobs of one digest have the same values for the same records.

A digest covers types, settings and weights of the layers that a blob comes from, but neither names nor what is for
training alone, such as rates and fillers. So the nets of several schemes, and the nets that only score, find what
another has stored. Records have a digest of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import lmdb
from google.protobuf.message import Message

from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.layers import Layer
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.records import cursor
from pycaffe_ext.strings import native

OTHERS = ("name", "bottom", "top", "blobs", "param", "include", "exclude", "phase", "loss_weight", "propagate_down")
OF_THE_DATABASE = ("source", "batch_size", "prefetch", "backend", "rand_skip")
SIZE = 16  # bytes of a digest


def layer_digests(net: Net, layers: Sequence[int]) -> dict[int, bytes]:
    """Index of a layer -> digest of what it computes: type, settings, weights."""
    return {i: _digest(net.layers[i]) for i in layers}


def blob_digests(net: Net, layers: Sequence[int], computed: Mapping[int, bytes]) -> dict[int, bytes]:
    """id of a blob -> digest of what `layers` (indices, in their order) leave in it; they read records and each other
    only.   computed : their digests."""
    found: dict[int, bytes] = {}
    for i in layers:
        bottoms = [found[id(blob)] for blob in net.bottoms[i]]
        if net.layers[i].type == "Split":
            found |= {id(blob): bottoms[0] for blob in net.tops[i]}
            continue
        whole = hashlib.blake2b(computed[i] + b"".join(bottoms), digest_size=SIZE).digest()
        found |= {id(blob): whole + number.to_bytes(2, "little") for number, blob in enumerate(net.tops[i])}
    return found


def _digest(layer: Layer) -> bytes:
    whole = hashlib.blake2b(_settings(layer.param), digest_size=SIZE)
    if layer.type == "Slice":  # without slice points, its number of tops decides where it cuts
        whole.update(len(layer.top_names).to_bytes(4, "little"))
    for blob in layer.blobs:
        whole.update(repr(tuple(blob.shape)).encode())
        whole.update(blob.data.detach().cpu().contiguous().numpy().data)
    return whole.digest()


def _settings(param: caffe_pb2.LayerParameter) -> bytes:
    """What of a layer's description decides its values; a mean file by its content."""
    kept = caffe_pb2.LayerParameter()
    kept.CopyFrom(param)
    for name in OTHERS:
        kept.ClearField(name)
    mean = b""
    if kept.transform_param.mean_file:
        mean = hashlib.blake2b(Path(native(kept.transform_param.mean_file)).read_bytes()).digest()
        kept.transform_param.ClearField("mean_file")
    for field, value in kept.ListFields():
        if isinstance(value, Message):
            _clear(value, OF_THE_DATABASE if field.name == "data_param" else ())
    return kept.SerializeToString(deterministic=True) + mean


def _clear(settings: Message, names: Sequence[str]) -> None:
    for field, _ in settings.ListFields():
        if field.name in names or field.name.endswith("filler"):
            settings.ClearField(field.name)


def records_digest(database: cursor.Database) -> bytes:
    """Of every key and value of an LMDB."""
    assert isinstance(database, lmdb.Environment), "of a LevelDB nothing is stored"
    whole = hashlib.blake2b(digest_size=SIZE)
    with database.begin(buffers=True) as transaction, transaction.cursor() as found:
        for key, value in found.iternext(keys=True, values=True):
            whole.update(len(key).to_bytes(8, "little") + len(value).to_bytes(8, "little"))
            whole.update(key)
            whole.update(value)
    return whole.digest()
