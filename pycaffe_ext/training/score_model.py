"""The score net of any train_val net: for snapshots that were not trained here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.records.datum import open_database
from pycaffe_ext.strings import native, portable

DATA, SILENCE = "Data", "Silence"
CLASSIFIERS = ("InnerProduct", "Convolution")
AFTER_SCORES = ("Softmax", "SoftmaxWithLoss", "Accuracy")


@dataclass(frozen=True)
class ScoreModel:
    """What `scoring.score` must know of a score net.

    head : the blob of the raw class values.  layer : the layer that learns them.
    """

    source: Path
    batch_size: int
    head: str
    classes: int
    layer: str


def describe(net: caffe_pb2.NetParameter, head: str | None = None) -> ScoreModel:
    """Read it off a score net; `head` is the last InnerProduct or Convolution unless it is named."""
    data = _data_layer(net)
    layer = _head(net, head)
    param = layer.convolution_param if layer.type == "Convolution" else layer.inner_product_param
    source = Path(native(data.data_param.source))
    return ScoreModel(source, data.data_param.batch_size, _scores(net, layer), param.num_output, layer.name)


def from_train_val(
    net: caffe_pb2.NetParameter, source: Path, head: str | None = None, batch_size: int | None = None
) -> caffe_pb2.NetParameter:
    """The TEST phase of a train_val net over the LMDB `source`: what its head's class values need, and no more."""
    score = caffe_pb2.NetParameter(name=net.name)
    tested = caffe_pb2.NetParameter(layer=[layer for layer in net.layer if _in_test(layer)])
    _data_layer(tested)
    for layer in _needed(tested, _scores(tested, _head(tested, head))):
        added = score.layer.add()
        added.CopyFrom(layer)
        if layer.type == DATA:
            added.data_param.source = portable(str(source))
            added.data_param.batch_size = batch_size or layer.data_param.batch_size
    return score


def _needed(net: caffe_pb2.NetParameter, blob: str) -> list[caffe_pb2.LayerParameter]:
    """The layers that `blob` comes from, and those that silence what else these make, in order."""
    wanted, needed, made = {blob}, set[int](), set[str]()
    for place, layer in reversed(list(enumerate(net.layer))):
        if wanted.intersection(layer.top):
            wanted.update(layer.bottom)
            needed.add(place)
            made.update(layer.top if layer.type != DATA else [])  # the label is an output
    rest = made - wanted
    return [
        layer
        for place, layer in enumerate(net.layer)
        if place in needed or (layer.type == SILENCE and rest.issuperset(layer.bottom))
    ]


def _scores(net: caffe_pb2.NetParameter, head: caffe_pb2.LayerParameter) -> str:
    """The blob of the raw class values: the head's, or what a chain of layers makes of it (SqueezeNet's pool10)."""
    blob, reached = head.top[0], False
    for layer in net.layer:
        if reached and list(layer.bottom) == [blob] and layer.type not in AFTER_SCORES:
            blob = _taken(net, layer)
        reached = reached or layer.name == head.name
    return blob


def _taken(net: caffe_pb2.NetParameter, layer: caffe_pb2.LayerParameter) -> str:
    """Of several tops (of a Slice) the one that a layer reads which makes something of it."""
    read = {name for other in net.layer if other.type != SILENCE for name in other.bottom}
    return next((name for name in layer.top if name in read), layer.top[0])


def entries(source: Path) -> int:
    """How many Datums an LMDB holds; UserError as from `open_database`."""
    with open_database(source) as transaction:
        return transaction.stat()["entries"]


def _in_test(layer: caffe_pb2.LayerParameter) -> bool:
    """Whether a layer belongs to the TEST phase (rules by level or stage are left to Caffe)."""
    phases = [rule.phase for rule in layer.include if rule.HasField("phase")]
    barred = any(rule.HasField("phase") and rule.phase == caffe_pb2.TEST for rule in layer.exclude)
    return not barred and (not phases or caffe_pb2.TEST in phases)


def _data_layer(net: caffe_pb2.NetParameter) -> caffe_pb2.LayerParameter:
    found = [layer for layer in net.layer if layer.type == DATA]
    if len(found) != 1:
        raise UserError(f"net {net.name or 'without a name'}: {len(found)} Data layers in the TEST phase, 1 expected")
    return found[0]


def _head(net: caffe_pb2.NetParameter, name: str | None) -> caffe_pb2.LayerParameter:
    heads = {layer.name: layer for layer in net.layer if layer.type in CLASSIFIERS}
    if not heads or (name and name not in heads):
        raise UserError(
            f"no {' or '.join(CLASSIFIERS)} layer {name or 'at all'} to score by (there are: {', '.join(heads) or '-'})"
        )
    return heads[name or list(heads)[-1]]
