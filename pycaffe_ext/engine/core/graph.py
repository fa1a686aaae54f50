"""What happens to a net's description before layers are made: rules of inclusion, automatic splits."""

from __future__ import annotations

from collections.abc import Iterable

from pycaffe_ext.errors import LayerError
from pycaffe_ext.proto import caffe_pb2

Place = tuple[int, int]  # index of a layer, index of its top


def with_state(
    param: caffe_pb2.NetParameter, phase: caffe_pb2.Phase, level: int, stages: Iterable[str]
) -> caffe_pb2.NetParameter:
    """A copy of the net's description in the given state; its own level and stages stay where none are given."""
    out = caffe_pb2.NetParameter()
    out.CopyFrom(param)
    out.state.phase = phase
    out.state.level = level or param.state.level
    out.state.stage.extend(stage for stage in stages if stage not in param.state.stage)
    return out


def filter_layers(param: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """The net of the layers whose include and exclude rules admit its state: a copy, unless all of them do."""
    kept = [layer for layer in param.layer if _included(layer, param.state)]
    if len(kept) == len(param.layer):
        return param
    out = caffe_pb2.NetParameter()
    out.CopyFrom(param)
    del out.layer[:]
    out.layer.extend(kept)
    return out


def _included(layer: caffe_pb2.LayerParameter, state: caffe_pb2.NetState) -> bool:
    include, exclude = layer.include, layer.exclude
    if include and exclude:
        raise LayerError(layer.name, f"layer {layer.name!r}: give either include rules or exclude rules, not both")
    if include:
        return any(_meets(rule, state) for rule in include)
    return not any(_meets(rule, state) for rule in exclude)


def _meets(rule: caffe_pb2.NetStateRule, state: caffe_pb2.NetState) -> bool:
    stages = set(state.stage)
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )


def insert_splits(param: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Put a Split layer after each blob that several layers read, so that its gradients add up.

    A loss weight counts as one reader and moves to the first copy.  Names are Caffe's: blob_layer_0_split_1.
    """
    bottoms, tops = [list(layer.bottom) for layer in param.layer], [list(layer.top) for layer in param.layer]
    sources, readers = _readers(param, bottoms, tops)
    out = caffe_pb2.NetParameter()
    out.CopyFrom(param)
    del out.layer[:]
    used: dict[Place, int] = {}

    def copy_name(place: Place, blob: str) -> str:
        used[place] = used.get(place, -1) + 1
        return f"{_split_name(param, place, blob)}_{used[place]}"

    for i, layer in enumerate(param.layer):
        new = out.layer.add()
        new.CopyFrom(layer)
        for j, blob in enumerate(bottoms[i]):
            place = sources[i, j]
            if readers[place] > 1:
                new.bottom[j] = copy_name(place, blob)
        for j, blob in enumerate(tops[i]):
            place = (i, j)
            if readers.get(place, 0) <= 1:
                continue
            weight = layer.loss_weight[j] if j < len(layer.loss_weight) else 0.0
            out.layer.append(_split(_split_name(param, place, blob), blob, readers[place], weight))
            if weight:
                new.ClearField("loss_weight")
                used[place] = 0
    return out


def _readers(
    param: caffe_pb2.NetParameter, bottoms: list[list[str]], tops: list[list[str]]
) -> tuple[dict[Place, Place], dict[Place, int]]:
    """Where each (layer, bottom) comes from, and how many read each (layer, top); the names are those of `param`."""
    last: dict[str, Place] = {}
    sources: dict[Place, Place] = {}
    readers: dict[Place, int] = {}
    for i, layer in enumerate(param.layer):
        for j, blob in enumerate(bottoms[i]):
            if blob not in last:
                raise LayerError(
                    layer.name,
                    f"layer {layer.name!r}: unknown bottom blob {blob!r} (bottom {j}): no"
                    f" layer above makes it (blobs so far: {', '.join(last) or 'none'})",
                )
            sources[i, j] = last[blob]
            readers[last[blob]] = readers.get(last[blob], 0) + 1
        weights = layer.loss_weight
        for j, blob in enumerate(tops[i]):
            last[blob] = (i, j)
            if j < len(weights) and weights[j]:
                readers[i, j] = readers.get((i, j), 0) + 1
    return sources, readers


def _split_name(param: caffe_pb2.NetParameter, place: Place, blob: str) -> str:
    return f"{blob}_{param.layer[place[0]].name}_{place[1]}_split"


def _split(name: str, blob: str, copies: int, loss_weight: float) -> caffe_pb2.LayerParameter:
    layer = caffe_pb2.LayerParameter(name=name, type="Split", bottom=[blob])
    layer.top.extend(f"{name}_{k}" for k in range(copies))
    if loss_weight:
        layer.loss_weight.extend([loss_weight] + [0.0] * (copies - 1))
    return layer
