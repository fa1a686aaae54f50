"""Nets written in Python: `n = NetSpec(); n.data = layers.Input(...); n.conv = layers.Convolution(n.data, ...)`.

A call of `layers.TYPE(*bottoms, **fields)` gives the layer's top (a tuple of them for ntop > 1, the layer for ntop 0).
Fields are those of the layer's own parameter message or of LayerParameter.  What is assigned to a NetSpec takes its
name from there; other layers are named by type and number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2

Names = dict[Any, str]  # of a Top or a Function
Made = dict["Function", caffe_pb2.LayerParameter]  # those made so far, in their order


def param_name_dict() -> dict[str, str]:
    """Type of layer -> its parameter field without `_param`: {"Convolution": "convolution", "LRN": "lrn", ...}."""
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields
    return {
        field.message_type.name.removesuffix("Parameter"): field.name.removesuffix("_param")
        for field in fields
        if field.message_type and field.name.endswith("_param")
    }


_param_names = param_name_dict()


def to_proto(*tops: Top | Function) -> caffe_pb2.NetParameter:
    """The net of all layers that `tops` need, named by type and number."""
    return _assemble(tops, {})


def _assemble(wanted: Any, names: Names) -> caffe_pb2.NetParameter:
    made: Made = {}
    counts: Counter[str] = Counter()
    for top in wanted:
        top.add_to(made, names, counts)
    return caffe_pb2.NetParameter(layer=made.values())


def assign_proto(proto: Message, name: str, val: Any) -> None:
    """Set field `name`: a dict fills a message, a list a repeated field, and a single value is a list of one there."""
    repeated = hasattr(getattr(proto, name), "extend")
    values = val if isinstance(val, (list, tuple)) else [val]
    if repeated and values and isinstance(values[0], dict):
        for fields in values:
            _fill(getattr(proto, name).add(), fields)
    elif repeated:
        getattr(proto, name).extend(values)
    elif isinstance(val, dict):
        _fill(getattr(proto, name), val)
    else:
        setattr(proto, name, val)


def _fill(proto: Message, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        assign_proto(proto, name, value)


class Top:
    """One output blob of a layer: number `n` of Function `fn`."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn, self.n = fn, n

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net of all layers that this blob needs."""
        return to_proto(self)

    def add_to(self, made: Made, names: Names, counts: Counter[str]) -> None:
        """As Function.add_to."""
        self.fn.add_to(made, names, counts)


class Function:
    """A layer: its type, its inputs (Tops), its fields and its tops.  Raises TypeError for an input of another kind."""

    def __init__(self, type_name: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> None:
        for i, given in enumerate(inputs):
            if not isinstance(given, Top):
                raise TypeError(f"{type_name} input {i} is not a Top (type is {type(given)})")
        self.type_name, self.inputs, self.params = type_name, inputs, dict(params)
        self.ntop = self.params.pop("ntop", 1)
        self.in_place = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def add_to(self, made: Made, names: Names, counts: Counter[str]) -> None:
        """Put this layer into `made`, after those it reads; `counts` numbers the layers of each type without a name."""
        if self in made:
            return
        for given in self.inputs:
            given.add_to(made, names, counts)
        bottoms = [made[given.fn].top[given.n] for given in self.inputs]
        layer = caffe_pb2.LayerParameter(type=self.type_name, bottom=bottoms)
        layer.top.extend(bottoms if self.in_place else [self._named(top, names, counts) for top in self.tops])
        layer.name = self._named(self.tops[0] if self.tops else self, names, counts)
        for name, value in self.params.items():
            self._assign(layer, name, value)
        made[self] = layer

    def _named(self, thing: Top | Function, names: Names, counts: Counter[str]) -> str:
        if thing not in names:
            counts[self.type_name] += 1
            names[thing] = f"{self.type_name}{counts[self.type_name]}"
        return names[thing]

    def _assign(self, layer: caffe_pb2.LayerParameter, name: str, value: Any) -> None:
        """Set a field of the layer's own parameters, or else of the layer."""
        own = f"{_param_names.get(self.type_name, '')}_param"
        inside = hasattr(layer, own) and name in getattr(layer, own).DESCRIPTOR.fields_by_name
        target = getattr(layer, own) if inside and not name.endswith("param") else layer
        if name not in target.DESCRIPTOR.fields_by_name:
            raise AttributeError(f"{self.type_name} has no field {name!r}, and no layer has")
        try:
            assign_proto(target, name, value)
        except (TypeError, ValueError, AttributeError) as error:
            raise type(error)(f"{self.type_name}, {name}={value!r}: {error}") from None


class NetSpec:
    """A net whose blobs and layers take the names of the attributes (or items) that they are assigned to."""

    tops: dict[str, Top | Function]

    def __init__(self) -> None:
        super().__setattr__("tops", {})

    def __setattr__(self, name: str, value: Top | Function) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Top | Function:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.tops[name]

    def __setitem__(self, name: str, value: Top | Function) -> None:
        self.tops[name] = value

    def __getitem__(self, name: str) -> Top | Function:
        return self.tops[name]

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net of all layers that the assigned blobs need."""
        for name, top in self.tops.items():
            if not isinstance(top, (Top, Function)):
                raise UserError(
                    f"{name} is {type(top).__name__}, not a blob; unpack a layer of several tops, e.g."
                    " n.data, n.label = ..."
                )
        return _assemble(self.tops.values(), {top: name for name, top in self.tops.items()})


class Layers:
    """Makes layers: `Layers().Convolution(bottom, kernel_size=3)` is the top of a 3x3 convolution of `bottom`."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def layer(*inputs: Top, **params: Any) -> Any:
            made = Function(name, inputs, params)
            return made if made.ntop == 0 else made.tops[0] if made.ntop == 1 else made.tops

        return layer


class Parameters:
    """The values of enumerations: `Parameters().Pooling.MAX`."""

    def __getattr__(self, name: str) -> Any:
        if not hasattr(caffe_pb2, f"{name}Parameter"):
            raise AttributeError(f"there is no message {name}Parameter")
        return getattr(caffe_pb2, f"{name}Parameter")


layers = Layers()
params = Parameters()
