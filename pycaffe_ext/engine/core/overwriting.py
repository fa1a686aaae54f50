"""Which blobs share memory, and what a backward pass reads where a layer in place has overwritten it.

**Values.**  Blobs share their values where Caffe's do: the tops of Split, Flatten and Reshape, and of Concat and Slice
with one bottom and one top, have their bottom's (`Blob.share_data`), and a layer in place has its bottom's, being the
same blob.  What such a layer computes is therefore what every blob of that memory shows from then on, and what later
layers read, whichever of its names they use.  All other tops have memory of their own.

**Gradients.**  A backward pass reads the values of the forward pass.  Where a layer in place has written over values
that an earlier layer's backward pass reads (`Layer.reads_bottoms`, `reads_tops`; parameters are never written over),
or over its own bottom, that layer is handed the tensor of before.  Caffe hands it the new values, and its gradient is
then wrong; see engine.core.overwritten_in_caffe.  Blobs' gradients are apart from each other, but for the
single bottom and top of Flatten, Reshape, Concat and Slice, which share theirs as in Caffe.

**Cost.**  Which values are written over is known when the net is built.  Only there does a layer in place leave the
tensor that it finds as it is and bind a new one (`Layer.may_overwrite`); nothing is copied.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import torch

from pycaffe_ext.engine.core.blob import Blob, BlobView
from pycaffe_ext.engine.core.wiring import Wiring


class Reading(NamedTuple):
    """A layer whose backward pass may read the values of one of its blobs."""

    layer: int
    end: str  # "bottom" or "top"
    place: int


class AsItWas(BlobView):
    """A blob with the values that a layer saw in the forward pass; its gradient is the blob's own."""

    def __init__(self, owner: Blob, values: torch.Tensor) -> None:
        super().__init__(owner, values.shape)
        self._then = values

    @property
    def data(self) -> torch.Tensor:
        return self._then

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        self.owner.data = value


class Overwriting:
    """What a net keeps for its backward pass; made once its layers and their need of a backward pass are known."""

    def __init__(self, net: Wiring) -> None:
        self._blobs = {"bottom": net.bottoms, "top": net.tops}  # not the net, which would keep itself alive
        self._lost = {
            i: [reading for reading in readings if _is_read(net, reading)] for i, readings in overwritten(net).items()
        }
        self._kept: dict[int, dict[tuple[str, int], torch.Tensor]] = {
            reading.layer: {} for readings in self._lost.values() for reading in readings
        }
        for i, readings in self._lost.items():
            net.layers[i].may_overwrite = not readings

    def before_forward(self, i: int) -> None:
        """Keep what layer i is about to write over; what was kept for itself is of another pass."""
        if i in self._kept:
            self._kept[i] = {}
        for layer, end, place in self._lost.get(i, ()):
            self._kept[layer].setdefault((end, place), self._blobs[end][layer][place].data)

    def as_they_were(self, i: int, end: str, blobs: list[Blob]) -> list[Blob]:
        """The bottoms or tops of layer i for its backward pass."""
        kept = self._kept.get(i)
        if not kept:
            return blobs
        return [AsItWas(blob, kept[end, j]) if (end, j) in kept else blob for j, blob in enumerate(blobs)]

    def forget(self, i: int) -> None:
        """Give up what was kept for layer i."""
        if i in self._kept:
            self._kept[i] = {}


def writes_in_place(net: Wiring, i: int) -> list[Blob]:
    """The blobs whose values layer i replaces by others."""
    layer = net.layers[i]
    return [blob for blob in net.tops[i] if blob in net.bottoms[i]] if layer.changes_values else []


def overwritten(net: Wiring) -> dict[int, list[Reading]]:
    """Layer in place -> the readings of the values it replaces, as a bottom (its own included) or a top."""
    current: dict[int, list[Reading]] = defaultdict(list)  # id of a memory -> the readings of its present values
    out = {}
    for i, (bottoms, tops) in enumerate(zip(net.bottoms, net.tops, strict=True)):
        for j, blob in enumerate(bottoms):
            current[id(blob.values)].append(Reading(i, "bottom", j))
        written = writes_in_place(net, i)
        if written:
            out[i] = [reading for blob in written for reading in current.pop(id(blob.values), [])]
        for j, blob in enumerate(tops):
            current[id(blob.values)].append(Reading(i, "top", j))
    return out


def _is_read(net: Wiring, reading: Reading) -> bool:
    layer = net.layers[reading.layer]
    return net.needs_backward(reading.layer) and (layer.reads_bottoms if reading.end == "bottom" else layer.reads_tops)
