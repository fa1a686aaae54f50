"""A net: its layers run forward and backward."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import torch

from pycaffe_ext.engine.core import transfer
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.overwriting import Overwriting
from pycaffe_ext.engine.core.wiring import Wiring
from pycaffe_ext.engine.layers import Layer
from pycaffe_ext.engine.parallel import FEW, one_thread
from pycaffe_ext.proto import array_to_blob, caffe_pb2

Callback = Callable[[int], None]


class Observer(Protocol):
    """Watches the passes of a net.  It is handed the net each time, so that neither keeps the other alive."""

    def forward_done(self, net: Net, i: int) -> None:
        """Layer i has run its forward pass."""

    def backward_done(self, net: Net, i: int) -> None:
        """Layer i has run its backward pass; not called for a layer that needs none."""

    def pass_done(self, net: Net) -> None:
        """A backward pass over all layers is over."""


class Planner(Protocol):
    """Decides which layers a forward pass over the whole net runs."""

    def advance(self, net: Net) -> Iterator[int]:
        """Yield the indices of the layers to run, in their order, after bringing the blobs of the others up to date."""


class Net(Wiring):
    """A net made from its description (already upgraded), as Caffe's `Net`; `Wiring` has its parameters and attributes.

    lean: set it where the blobs between layers are not read after a backward pass: they are freed during it.
    planner: if set, chooses the layers of every forward pass over the whole net.
    observer: if set, watches each pass, before the callbacks of the same moment.
    before_forward, after_forward, before_backward, after_backward: called with the index of each layer.
    """

    def __init__(
        self,
        param: caffe_pb2.NetParameter,
        phase: caffe_pb2.Phase,
        level: int = 0,
        stages: Iterable[str] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(param, phase, level, stages, device)
        self.lean = False
        self.planner: Planner | None = None
        self.observer: Observer | None = None
        self.before_forward: list[Callback] = []
        self.after_forward: list[Callback] = []
        self.before_backward: list[Callback] = []
        self.after_backward: list[Callback] = []
        self._shown = frozenset(self.outputs)
        self._overwriting = Overwriting(self)
        transfer.warn_of_twins(self)

    # ---- running

    @torch.no_grad()
    def forward(self, start: int | None = None, end: int | None = None) -> float:
        """Run layers start..end (indices, both included; all by default); the weighted sum of their losses."""
        return float(sum(self.forward_losses(start, end).tolist()))

    @torch.no_grad()
    def forward_losses(self, start: int | None = None, end: int | None = None) -> torch.Tensor:
        """The same, but the weighted losses one by one, on the net's device, without waiting for them."""
        losses = []
        whole = start is None and end is None
        chosen = range(len(self.layers))[start or 0 : None if end is None else end + 1]
        for i in self.planner.advance(self) if self.planner and whole else chosen:
            losses += self.run_layer(i)
        return torch.stack(losses) if losses else torch.zeros(0, device=self.device)

    def run_layer(self, i: int) -> list[torch.Tensor]:
        """Run the forward pass of layer i; its losses, each times its weight."""
        layer, bottom, top = self.layers[i], self.bottoms[i], self.tops[i]
        _call(self.before_forward, i)
        layer.reshape(bottom, top)
        self._overwriting.before_forward(i)
        with one_thread(self._is_little(i)):
            layer.forward(bottom, top)
        losses = self._losses(layer, top)
        if self.observer is not None:
            self.observer.forward_done(self, i)
        _call(self.after_forward, i)
        return losses

    def _is_little(self, i: int) -> bool:
        """Whether a pass through layer i is so little work that one thread does it best."""
        if self.device.type != "cpu" or not self.bottoms[i]:  # sources have threads of their own
            return False
        return self.layers[i].operations(self.bottoms[i], self.tops[i]) < FEW

    @staticmethod
    def _losses(layer: Layer, top: list[Blob]) -> list[torch.Tensor]:
        return [(blob.data * blob.diff).sum() for blob, weight in zip(top, layer.loss_weights, strict=True) if weight]

    @torch.no_grad()
    def backward(self, start: int | None = None, end: int | None = None) -> None:
        """Run the backward passes from layer `start` (the last by default) down to layer `end` (the first)."""
        first = 0 if end is None else end
        last = len(self.layers) - 1 if start is None else start
        for i in range(last, first - 1, -1):
            _call(self.before_backward, i)
            if self._layer_backward[i]:
                top = self._overwriting.as_they_were(i, "top", self.tops[i])
                bottom = self._overwriting.as_they_were(i, "bottom", self.bottoms[i])
                with one_thread(self._is_little(i)):
                    self.layers[i].backward(top, self._bottom_backward[i], bottom)
                if self.observer is not None:
                    self.observer.backward_done(self, i)
            _call(self.after_backward, i)
            if self.lean:
                self._overwriting.forget(i)
                self._release_tops(i)
        if self.observer is not None and start is None and end is None:
            self.observer.pass_done(self)

    def _release_tops(self, i: int) -> None:
        """Give up the blobs that layer i made, unless they are a source's, an output of the net or part of its loss."""
        if not self.bottoms[i] or self.layers[i].keeps_tops:
            return
        for name, blob, weight in zip(self.top_names[i], self.tops[i], self.layers[i].loss_weights, strict=True):
            if not weight and blob not in self.bottoms[i] and name not in self._shown:
                blob.release()

    def release_param_diffs(self) -> None:
        """Give up the memory of the parameters' gradients until the next backward pass."""
        for blob in self.learnable_params:
            blob.release_diff()

    def _range(self, start: int | None, end: int | None) -> Iterable[tuple[Layer, list[Blob], list[Blob]]]:
        chosen = slice(start or 0, None if end is None else end + 1)
        return zip(self.layers[chosen], self.bottoms[chosen], self.tops[chosen], strict=True)

    @torch.no_grad()
    def reshape(self) -> None:
        """Give every blob the shape that follows from the inputs' shapes now."""
        for layer, bottom, top in self._range(None, None):
            layer.reshape(bottom, top)

    def clear_param_diffs(self) -> None:
        for blob in self.learnable_params:
            blob.clear_diff()

    # ---- weights

    def copy_trained_layers_from(self, source: str | os.PathLike[str] | caffe_pb2.NetParameter) -> None:
        """Copy parameters by layer name from a caffemodel (any age), an HDF5 one or a NetParameter.

        Source layers of other names are passed over with a line in the log.  Raises UserError where a layer of
        the same name has another number of blobs or another shape.
        """
        transfer.copy_layers(self, source)

    def share_trained_layers_with(self, other: Net) -> None:
        """Use the other net's parameters, by layer name: what one changes, the other sees."""
        transfer.share_layers(self, other)

    def to_proto(self, write_diff: bool = False) -> caffe_pb2.NetParameter:
        """The net as it runs (filtered, with splits) with its parameters, as Caffe writes a caffemodel."""
        out = caffe_pb2.NetParameter(name=self.name)
        for layer in self.layers:
            entry = out.layer.add()
            entry.CopyFrom(layer.param)
            del entry.blobs[:]
            for blob in layer.blobs:
                proto = array_to_blob(blob.data.detach().cpu().numpy(), entry.blobs.add())
                if write_diff:
                    proto.diff.extend(blob.diff.detach().cpu().numpy().ravel().tolist())
        return out


def _call(callbacks: list[Callback], layer: int) -> None:
    for callback in callbacks:
        callback(layer)


def shape_text(shape: Sequence[int]) -> str:
    """A shape as Caffe writes it: dimensions and count, `1 3 4 5 (60)`."""
    return f"{''.join(f'{n} ' for n in shape)}({torch.Size(shape).numel()})"
