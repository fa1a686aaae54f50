"""Caffe's HDF5 caffemodel: a group for each layer in `data` (and `diff`), a float32 data set for each of its blobs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pycaffe_ext.errors import LayerError, UserError
from pycaffe_ext.files import writing
from pycaffe_ext.strings import decode, encode

if TYPE_CHECKING:
    import h5py  # elsewhere where it is used: most programs read no HDF5

Pathlike = str | os.PathLike[str]
Arrays = Sequence[np.ndarray | None]
Layers = Mapping[str, Arrays] | Iterable[tuple[str, Arrays]]  # as dict() takes them; only pairs can hold a name twice

MAGIC = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Pathlike) -> bool:
    """Whether a file's content is HDF5, whatever its name is; False for a missing one."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (FileNotFoundError, IsADirectoryError):
        return False


def write_weights_h5(path: Pathlike, blobs: Layers, diffs: Layers | None = None) -> None:
    """Write blobs by layer as Caffe's HDF5 caffemodel (`data/<layer>/<i>`, float32), whole or not at all.

    None stands for a blob that another layer owns: it is left out, as Caffe does.  `diffs` go to `diff/<layer>/<i>`.
    Raises UserError as `check_names` does.
    """
    import h5py

    parts = {"data": _pairs(blobs)} | ({} if diffs is None else {"diff": _pairs(diffs)})
    check_names(parts["data"])
    with writing(path, "w+b") as file, h5py.File(file, "w") as store:
        for part, layers in parts.items():
            _write_layers(store.create_group(part), layers)


def check_names(blobs: Layers) -> None:
    """Raise UserError, naming the layer, unless an HDF5 caffemodel of these layers can be written and read again.

    Caffe aborts on an empty name, on one that stands twice and on `a/b` without a layer `a` before it: each `/` is a
    group within a group.  It writes `a/`, `/a` and `a/b` beside `a`, but does not find their weights again.
    """
    import h5py

    pairs = _pairs(blobs)
    drafts = [(name, [None if array is None else np.empty(0) for array in arrays]) for name, arrays in pairs]
    with h5py.File("draft", "w", driver="core", backing_store=False) as store:
        data = store.create_group("data")
        _write_layers(data, drafts)
        found = {_layer_name(name): set(group) for name, group in data.items()}
    for name, arrays in pairs:
        own = {str(i) for i, array in enumerate(arrays) if array is not None}
        if own and found.get(name) != own:
            raise _refusal(name, "its weights would not be found again")


def _pairs(layers: Layers) -> list[tuple[str, Arrays]]:
    return list(layers.items() if isinstance(layers, Mapping) else layers)


def _write_layers(group: h5py.Group, layers: Iterable[tuple[str, Arrays]]) -> None:
    import h5py

    for name, arrays in layers:
        try:  # as Caffe calls it: h5py's own create_group would make the groups between
            layer = h5py.Group(h5py.h5g.create(group.id, encode(name)))
        except ValueError:
            raise _refusal(name, _why(name)) from None
        for i, array in enumerate(arrays):
            if array is not None:
                layer.create_dataset(str(i), data=np.asarray(array, dtype=np.float32))


def _layer_name(key: str | bytes) -> str:
    """A group's name as messages have it; h5py gives bytes for one that is not UTF-8."""
    return decode(os.fsencode(key))


def _why(name: str) -> str:
    if not name:
        return "a group needs a name"
    return "'/' separates groups within groups" if "/" in name else "it is taken, or none that HDF5 allows"


def _refusal(name: str, why: str) -> LayerError:
    return LayerError(
        name,
        f"layer {name!r}: HDF5 can't hold weights under this name ({why}); rename the layer, or write binary"
        " weights (snapshot_format: BINARYPROTO; Net.save)",
    )


def read_layers_h5(path: Pathlike) -> dict[str, list[np.ndarray | None]]:
    """Blobs, float32, of each group in `data` of an HDF5 caffemodel, in the order of the names; None for one left out.

    A layer without blobs of its own is there with none.  Raises UserError for a truncated or garbled file, and for
    groups within groups: Caffe does not read those, and a net would keep its fillers without a word.
    """
    import h5py

    try:
        with h5py.File(path, "r") as store:
            if "data" not in store:
                raise UserError(f"{path}: has no group 'data'; a caffemodel.h5 was expected")
            groups = {name: group for name, group in store["data"].items() if isinstance(group, h5py.Group)}
            return {_layer_name(name): _read_layer(path, name, group) for name, group in groups.items()}
    except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:  # h5py's words for damage vary
        raise UserError(f"{path}: is truncated or damaged HDF5 ({error}); get or write it again") from None


def _read_layer(path: Pathlike, name: str, group: h5py.Group) -> list[np.ndarray | None]:
    import h5py

    if inner := next((key for key, item in group.items() if isinstance(item, h5py.Group)), None):
        raise UserError(
            f"{path}: layer '{name}/{inner}' is a group within a group, which Caffe does not read: it would"
            " start from its filler; take or write a binary caffemodel"
        )
    blobs = {int(key): np.asarray(item, np.float32) for key, item in group.items() if key.isdigit()}
    return [blobs.get(i) for i in range(max(blobs, default=-1) + 1)]
