"""A net: layers in order, the blobs between them, and which of them learn."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import torch

from pycaffe_ext.engine.core import debug_info, transfer
from pycaffe_ext.engine.core.blob import Blob, BlobView
from pycaffe_ext.engine.core.graph import filter_layers, insert_splits, with_state
from pycaffe_ext.engine.core.overwriting import Overwriting
from pycaffe_ext.engine.layers import Layer, layer_class
from pycaffe_ext.engine.parallel import FEW, one_thread
from pycaffe_ext.errors import LayerError
from pycaffe_ext.proto import array_to_blob, caffe_pb2

if TYPE_CHECKING:
    from pycaffe_ext.engine.cache.prefix import FrozenPrefix

Callback = Callable[[int], None]
DEFAULT_SPEC = caffe_pb2.ParamSpec()
AUTOMATIC = "(automatic)"  # Caffe's name for tops that nobody asked for


class Net:
    """A net made from its description (already upgraded), as Caffe's `Net`.

    Parameters: phase is caffe_pb2.TRAIN or TEST; level and stages select layers by their rules.
    Raises UserError, naming the layer, for whatever Caffe refuses.

    blobs: name -> Blob in the order of the layers.  loss_weights: name of each top -> its loss weight.
    layer_names: a name a layer.  bottom_names, top_names: lists of names, one list a layer.
    inputs: tops of Input layers.  outputs: blobs that no layer reads, in alphabetical order.
    learnable_params: each parameter once, however often it is shared; params_lr, params_weight_decay,
    has_params_lr, has_params_decay and param_owner_names (layer name, display name) run alongside.
    lean: set it where nobody looks at the blobs between layers after a backward pass: each is given up as soon as the
    pass is through with it.
    prefix: where it is set, whole forward passes read what it has stored instead of running the layers below.
    debug_info: whether each pass logs the mean sizes of values and gradients.
    before_forward, after_forward, before_backward, after_backward: called with each layer's index on its turn.
    """

    def __init__(
        self,
        param: caffe_pb2.NetParameter,
        phase: int,
        level: int = 0,
        stages: Iterable[str] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.phase = phase
        self.debug_info = False
        self.prefix: FrozenPrefix | None = None
        self.before_forward: list[Callback] = []
        self.after_forward: list[Callback] = []
        self.before_backward: list[Callback] = []
        self.after_backward: list[Callback] = []
        self.param = insert_splits(filter_layers(with_state(param, phase, level, stages)))
        self.name = param.name
        self.layers: list[Layer] = []
        self.layer_names: list[str] = []
        self.bottoms: list[list[Blob]] = []
        self.tops: list[list[Blob]] = []
        self.bottom_names: list[list[str]] = []
        self.top_names: list[list[str]] = []
        self.blobs: dict[str, Blob] = {}
        self.loss_weights: dict[str, float] = {}
        self.inputs: list[str] = []
        self.learnable_params: list[Blob] = []
        self.params_lr: list[float] = []
        self.params_weight_decay: list[float] = []
        self.has_params_lr: list[bool] = []
        self.has_params_decay: list[bool] = []
        self.param_owner_names: list[tuple[str, str]] = []
        self.param_display_names: list[list[str]] = []
        self._shared: dict[str, tuple[int, Blob, str]] = {}
        self.lean = False
        self._layer_backward: list[bool] = []
        self._bottom_backward: list[list[bool]] = []
        self._build()

    # ---- building

    def _build(self) -> None:
        unread: set[str] = set()
        learns: dict[int, bool] = {}  # id of a blob -> whether the gradient of it is wanted below
        with torch.no_grad():
            for layer_param in self.param.layer:
                self._add_layer(layer_param, unread, learns)
        self.outputs = sorted(unread)
        self._shown = frozenset(self.outputs)
        self._prune_backward()
        if self.param.force_backward:
            self._force_backward()
        self._overwriting = Overwriting(self)
        transfer.warn_of_twins(self)

    def _add_layer(self, param: caffe_pb2.LayerParameter, unread: set[str], learns: dict[int, bool]) -> None:
        if not param.HasField("phase"):
            param.phase = self.phase
        layer = layer_class(param)(param, param.phase, self.device)
        bottom_names, asked = layer.bottom_names, list(param.propagate_down)
        if len(asked) not in (0, len(bottom_names)):
            layer.fail(
                "propagate_down must be given for none or for each of its"
                f" {len(bottom_names)} bottoms, not {len(asked)} times"
            )
        layer.check_counts()
        bottom = [self._bottom(layer, i, name, unread) for i, name in enumerate(bottom_names)]
        names, top = self._make_tops(layer, unread)
        layer.setup(bottom, top)
        self.blobs.update(zip(names, top, strict=True))  # a layer may have put a blob of its own in a top's place
        layer.reshape(bottom, top)
        layer.set_loss_weights(top)
        self._add_params(layer, param)
        wanted = [learns[id(blob)] for blob in bottom]
        learning = any(wanted) or any(layer.param_propagate_down)
        for blob in top:
            learns[id(blob)] = learning or (blob in bottom and learns[id(blob)])
        self.layers.append(layer)
        self.layer_names.append(layer.name)
        self.loss_weights.update(zip(names, layer.loss_weights, strict=True))
        self.bottoms.append(bottom)
        self.tops.append(top)
        self.bottom_names.append(bottom_names)
        self.top_names.append(names)
        self._layer_backward.append(learning)
        self._bottom_backward.append(asked or wanted)

    def _bottom(self, layer: Layer, i: int, name: str, unread: set[str]) -> Blob:
        if name not in unread:
            raise LayerError(layer.name, f"layer {layer.name!r}: unknown bottom blob {name!r} (bottom {i})")
        unread.discard(name)
        return self.blobs[name]

    def _make_tops(self, layer: Layer, unread: set[str]) -> tuple[list[str], list[Blob]]:
        names, bottoms, blobs = list(layer.top_names), layer.bottom_names, []
        for i, name in enumerate(names):
            if name not in bottoms[i : i + 1]:
                if name in self.blobs:
                    layer.fail(f"top blob {name!r} is already made by another layer")
                self.blobs[name] = Blob((), self.device)
            unread.add(name)
            blobs.append(self.blobs[name])
        if layer.type == "Input":
            self.inputs += names
        if layer.auto_top_blobs:
            for _ in range(max(layer.min_tops or 0, layer.exact_tops or 0) - len(names)):
                names.append(AUTOMATIC)
                blobs.append(self.blobs.setdefault(AUTOMATIC, Blob((), self.device)))
        return names, blobs

    def _add_params(self, layer: Layer, described: caffe_pb2.LayerParameter) -> None:
        """Enter a layer's parameters; the layer may have changed its own copy of the param blocks."""
        blobs, asked = len(layer.blobs), list(described.param)
        if len(asked) > blobs:
            layer.fail(f"has {blobs} parameter blob(s) but {len(asked)} param blocks")
        layer.param_propagate_down += [spec.lr_mult != 0 for spec in asked] + [True] * (blobs - len(asked))
        specs = list(layer.param.param) if blobs else []
        specs += [DEFAULT_SPEC] * (blobs - len(specs))
        self.param_display_names.append([self._add_param(layer, i, specs[i]) for i in range(blobs)])

    def _add_param(self, layer: Layer, i: int, spec: caffe_pb2.ParamSpec) -> str:
        name = spec.name
        display = name or str(i)
        if name and name in self._shared:
            self._share_param(layer, i, spec)
            return display
        if name:
            self._shared[name] = (len(self.learnable_params), layer.blobs[i], layer.name)
        self.learnable_params.append(layer.blobs[i])
        self.params_lr.append(spec.lr_mult)
        self.params_weight_decay.append(spec.decay_mult)
        self.has_params_lr.append(spec.HasField("lr_mult"))
        self.has_params_decay.append(spec.HasField("decay_mult"))
        self.param_owner_names.append((layer.name, display))
        return display

    def _share_param(self, layer: Layer, i: int, spec: caffe_pb2.ParamSpec) -> None:
        index, owner, owner_name = self._shared[spec.name]
        mine = layer.blobs[i]
        permissive = spec.share_mode == caffe_pb2.ParamSpec.PERMISSIVE
        same = owner.count == mine.count if permissive else owner.shape == mine.shape
        if not same:
            layer.fail(
                f"cannot share param {spec.name!r} of layer {owner_name!r}: it has shape {owner.shape}, here"
                f" it would have {mine.shape} ({'same count' if permissive else 'same shape'} needed)"
            )
        layer.blobs[i] = owner if owner.shape == mine.shape else BlobView(owner, mine.shape)
        for field, values, given in (
            ("lr_mult", self.params_lr, self.has_params_lr),
            ("decay_mult", self.params_weight_decay, self.has_params_decay),
        ):
            if not spec.HasField(field):
                continue
            if given[index] and values[index] != getattr(spec, field):
                layer.fail(
                    f"shared param {spec.name!r} has {field} {getattr(spec, field):g} here and"
                    f" {values[index]:g} in layer {owner_name!r}; they must agree"
                )
            given[index], values[index] = True, getattr(spec, field)

    def _prune_backward(self) -> None:
        """Take away the backward passes that no loss asks for or that end in nothing."""
        under_loss: set[int] = set()
        skipped: set[int] = set()
        for i in reversed(range(len(self.layers))):
            layer, top, bottom = self.layers[i], self.tops[i], self.bottoms[i]
            contributes, skip = self._role(layer, top, under_loss, skipped)
            if self._layer_backward[i] and skip:
                self._layer_backward[i] = False
                self._bottom_backward[i] = [False] * len(bottom)
            if not contributes:
                self._layer_backward[i] = False
            for j, blob in enumerate(bottom):
                if contributes:
                    under_loss.add(id(blob))
                else:
                    self._bottom_backward[i][j] = False
                if not self._bottom_backward[i][j]:
                    skipped.add(id(blob))

    @staticmethod
    def _role(layer: Layer, top: list[Blob], under_loss: set[int], skipped: set[int]) -> tuple[bool, bool]:
        """(contributes to a loss, may skip its backward pass)."""
        contributes, skip = False, True
        for blob, weight in zip(top, layer.loss_weights, strict=True):
            contributes |= bool(weight) or id(blob) in under_loss
            skip &= id(blob) in skipped
            if contributes and not skip:
                break
        return contributes, skip

    def _force_backward(self) -> None:
        for i, layer in enumerate(self.layers):
            self._layer_backward[i] = True
            allowed = [layer.allow_force_backward(j) for j in range(len(self.bottoms[i]))]
            self._bottom_backward[i] = [a or b for a, b in zip(allowed, self._bottom_backward[i], strict=True)]
            layer.param_propagate_down = [True] * len(layer.blobs)

    # ---- running

    @torch.no_grad()
    def forward(self, start: int | None = None, end: int | None = None) -> float:
        """Run layers start..end (indices, both included; all by default); the weighted sum of their losses."""
        return float(sum(self.forward_losses(start, end).tolist()))

    @torch.no_grad()
    def forward_losses(self, start: int | None = None, end: int | None = None) -> torch.Tensor:
        """The same, but the weighted losses one by one, on the net's device: nobody has to wait for them."""
        losses = []
        whole = start is None and end is None
        chosen = range(len(self.layers))[start or 0 : None if end is None else end + 1]
        for i in self.prefix.advance(self) if self.prefix and whole else chosen:
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
        if self.debug_info:
            debug_info.log_forward(self, i)
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
                if self.debug_info:
                    debug_info.log_backward(self, i, self._bottom_backward[i])
            _call(self.after_backward, i)
            if self.lean:
                self._overwriting.forget(i)
                self._release_tops(i)
        if self.debug_info and start is None and end is None:
            debug_info.log_params(self)

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

    def needs_backward(self, layer: int) -> bool:
        """Whether the backward pass runs this layer."""
        return self._layer_backward[layer]

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
