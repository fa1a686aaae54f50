"""How a net is wired: its layers in order, the blobs between them, and which of them learn."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from pycaffe_ext.engine.core.blob import Blob, BlobView
from pycaffe_ext.engine.core.graph import filter_layers, insert_splits, with_state
from pycaffe_ext.engine.layers import Layer, layer_class
from pycaffe_ext.errors import LayerError
from pycaffe_ext.proto import caffe_pb2

DEFAULT_SPEC = caffe_pb2.ParamSpec()
AUTOMATIC = "(automatic)"  # Caffe's name for tops that the description does not name


class Wiring:
    """The layers of a net made from its description (already upgraded), with the blobs and parameters they share.

    Parameters: phase is caffe_pb2.TRAIN or TEST; level and stages select layers by their rules.
    Raises UserError, naming the layer, for whatever Caffe refuses.

    blobs: name -> Blob in the order of the layers.  loss_weights: name of each top -> its loss weight.
    layer_names: a name a layer.  bottom_names, top_names: lists of names, one list a layer.
    inputs: tops of Input layers.  outputs: blobs that no layer reads, in alphabetical order.
    learnable_params: each parameter once, however often it is shared; params_lr, params_weight_decay,
    has_params_lr, has_params_decay and param_owner_names (layer name, display name) run alongside.
    """

    def __init__(
        self,
        param: caffe_pb2.NetParameter,
        phase: caffe_pb2.Phase,
        level: int = 0,
        stages: Iterable[str] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.phase = phase
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
        self.outputs: list[str] = []
        self.learnable_params: list[Blob] = []
        self.params_lr: list[float] = []
        self.params_weight_decay: list[float] = []
        self.has_params_lr: list[bool] = []
        self.has_params_decay: list[bool] = []
        self.param_owner_names: list[tuple[str, str]] = []
        self.param_display_names: list[list[str]] = []
        self._shared: dict[str, tuple[int, Blob, str]] = {}
        self._layer_backward: list[bool] = []
        self._bottom_backward: list[list[bool]] = []
        self._build()

    def needs_backward(self, layer: int) -> bool:
        """Whether the backward pass runs this layer."""
        return self._layer_backward[layer]

    def wanted_bottoms(self, layer: int) -> list[bool]:
        """For each bottom of a layer, whether its backward pass writes that bottom's gradient."""
        return self._bottom_backward[layer]

    def _build(self) -> None:
        unread: set[str] = set()
        learns: dict[int, bool] = {}  # id of a blob -> whether its gradient is wanted below
        with torch.no_grad():
            for layer_param in self.param.layer:
                self._add_layer(layer_param, unread, learns)
        self.outputs = sorted(unread)
        self._prune_backward()
        if self.param.force_backward:
            self._force_backward()

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
