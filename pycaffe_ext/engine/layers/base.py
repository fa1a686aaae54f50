"""What every layer is: parameters, a shape rule, a forward and a backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

import torch

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.fillers import fill, is_zero
from pycaffe_ext.engine.parallel import one_thread
from pycaffe_ext.errors import LayerError, UserError
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.proto.forks import known_type

LayerMaker = Callable[[caffe_pb2.LayerParameter, "caffe_pb2.Phase", torch.device], "Layer"]
M = TypeVar("M", bound=LayerMaker)
_LAYERS: dict[str, LayerMaker] = {}


class Layer:
    """One layer of a net, as Caffe's `Layer`: the same order of calls, the same meaning of the gradients.

    `setup` runs once and may put a blob of the layer's own in a top's place; `reshape` runs before each forward pass.
    `backward` writes the gradient of each bottom whose `propagate_down` is true and ADDS to the gradient of each
    parameter whose `param_propagate_down` is true.  In a net the blobs that it is given have the values of the forward
    pass, as far as `reads_bottoms` and `reads_tops` ask for them, whatever a layer in place has made of them since.
    A top blob may be its bottom blob (in place).  Counts of blobs are None where Caffe does not restrict them.
    """

    exact_bottoms: int | None = None
    min_bottoms: int | None = None
    max_bottoms: int | None = None
    exact_tops: int | None = None
    min_tops: int | None = None
    max_tops: int | None = None
    equal_bottoms_tops = False
    auto_top_blobs = False
    is_loss = False
    in_place = False  # whether a top may be its own bottom
    keeps_tops = False  # whether a pass may rely on what the previous one left in the tops
    reads_bottoms = True  # whether the backward pass reads the bottoms' values, or they are held for it
    reads_tops = False  # the same of the tops' values
    changes_values = True  # whether the values of a layer in place differ from those that it finds
    may_overwrite = True  # whether a layer in place may write into the tensor it finds (engine.core.overwriting)

    def __init__(self, param: caffe_pb2.LayerParameter, phase: caffe_pb2.Phase, device: torch.device) -> None:
        self.param = caffe_pb2.LayerParameter()
        self.param.CopyFrom(param)
        self.name, self.type = param.name, param.type
        self.bottom_names, self.top_names = list(param.bottom), list(param.top)
        self.phase = phase
        self.device = device
        self.blobs: list[Blob] = []
        self.param_propagate_down: list[bool] = []
        self.loss_weights: list[float] = []

    @property
    def training(self) -> bool:
        return self.phase == caffe_pb2.TRAIN

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Check the layer's settings and create its parameters."""

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Give each top its shape."""
        raise NotImplementedError

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        raise NotImplementedError

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if any(propagate_down):
            self.fail("has no gradient")

    def operations(self, bottom: list[Blob], top: list[Blob]) -> int:
        """About how many operations a forward pass takes: whether several threads pay."""
        return 4 * sum(blob.count for blob in [*bottom, *top])

    def allow_force_backward(self, bottom_index: int) -> bool:
        """Whether `force_backward` of the net reaches this bottom."""
        return not self.is_loss or bottom_index != 1

    def fail(self, message: str) -> NoReturn:
        """Raise UserError that names this layer."""
        raise LayerError(self.name, f"layer {self.name!r} ({self.type}): {message}")

    def check(self, condition: bool, message: str) -> None:
        if not condition:
            self.fail(message)

    def legacy_shape(self, blob: Blob) -> tuple[int, int, int, int]:
        """(N, C, H, W) as Caffe's old accessors see a blob of up to 4 axes, 1 for those that it lacks."""
        self.check(len(blob.shape) <= 4, f"blobs may have up to 4 axes, not shape {blob.shape}")
        n, c, h, w = (*blob.shape, *[1] * (4 - len(blob.shape)))
        return n, c, h, w

    def axis(self, axis: int, blob: Blob, name: str = "axis") -> int:
        """`axis`, negative ones counted from the end, checked against the blob."""
        axes = len(blob.shape)
        self.check(-axes <= axis < axes, f"{name} {axis} is outside a blob of shape {blob.shape}")
        return axis % axes

    def add_blob(self, shape: Sequence[int], filler: caffe_pb2.FillerParameter | None = None) -> None:
        """Append a parameter, filled (zero without a filler)."""
        blob = Blob(shape, self.device)
        if filler is not None and not is_zero(filler):  # a new blob reads as zero and takes no memory before that
            values = torch.empty(blob.shape)  # drawn on the CPU: a seed gives the same parameters on every device
            try:
                with one_thread():
                    fill(values, filler)
            except UserError as error:
                self.fail(str(error))
            blob.data = values.to(self.device)
        self.blobs.append(blob)

    def check_counts(self) -> None:
        """Raise UserError unless the numbers of bottoms and tops are what this type of layer takes."""
        bottoms, tops = len(self.bottom_names), len(self.top_names)
        for kind, given, exact, least, most, auto in (
            ("bottom", bottoms, self.exact_bottoms, self.min_bottoms, self.max_bottoms, False),
            ("top", tops, self.exact_tops, self.min_tops, self.max_tops, self.auto_top_blobs),
        ):
            if exact is not None and given != exact and not (auto and given < exact):
                self.fail(f"takes {exact} {kind} blob(s), not {given}")
            if least is not None and given < least and not auto:
                self.fail(f"takes at least {least} {kind} blob(s), not {given}")
            if most is not None and given > most:
                self.fail(f"takes at most {most} {kind} blob(s), not {given}")
        if self.equal_bottoms_tops and bottoms != tops:
            self.fail(f"takes as many tops as bottoms, not {tops} for {bottoms}")
        if not self.in_place and not set(self.bottom_names).isdisjoint(self.top_names):
            self.fail("can't work in place: its top and bottom need different names")

    def set_loss_weights(self, top: list[Blob]) -> None:
        """Check the loss weight of each top; a loss with one top has 1 by default, other layers 0."""
        given = list(self.param.loss_weight)
        if (given or self.is_loss) and len(given or [1.0]) != len(top):
            self.fail(f"loss_weight must be given once for each of its {len(top)} tops, not {len(given)} times")
        self.loss_weights = given or [float(self.is_loss)] * len(top)
        self.fill_loss_weights(top)

    def fill_loss_weights(self, top: list[Blob]) -> None:
        for blob, weight in zip(top, self.loss_weights, strict=True):
            if weight:
                blob.diff.fill_(weight)


class NeuronLayer(Layer):
    """Element-wise, one bottom, one top of the same shape, in place if wanted."""

    exact_bottoms = exact_tops = 1
    in_place = True

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].reshape(bottom[0].shape)


class AutogradLayer(Layer):
    """A layer given by one differentiable function; the gradients are torch's own.

    `compute(bottoms, params)` returns one tensor for each top.  It is evaluated again for the gradient.
    """

    def compute(self, bottoms: list[torch.Tensor], params: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        raise NotImplementedError

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        tops = self.compute([blob.data for blob in bottom], [blob.data for blob in self.blobs])
        for blob, value in zip(top, tops, strict=True):
            blob.data = value.reshape(blob.shape).contiguous()

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        targets = [(i, blob, False) for i, blob in enumerate(bottom) if propagate_down[i]]
        offset = len(bottom)
        targets += [(offset + i, b, True) for i, b in enumerate(self.blobs) if self.param_propagate_down[i]]
        if not targets:
            return
        leaves = [blob.data.detach() for blob in [*bottom, *self.blobs]]
        wanted = [leaves[i].requires_grad_() for i, _, _ in targets]
        with torch.enable_grad():
            tops = self.compute(leaves[:offset], leaves[offset:])
        pairs = [
            (value, blob.diff.view(value.shape)) for value, blob in zip(tops, top, strict=True) if value.requires_grad
        ]
        values, above = [value for value, _ in pairs], [gradient for _, gradient in pairs]
        gradients = torch.autograd.grad(values, wanted, above, allow_unused=True) if pairs else [None] * len(targets)
        own = _apart(gradients, [blob.diff for blob in top])
        for (_, blob, is_param), gradient in zip(targets, own, strict=True):
            if is_param and gradient is not None:
                blob.accumulate(gradient)
            elif not is_param:
                blob.diff = torch.zeros_like(blob.data) if gradient is None else gradient


def _apart(gradients: Sequence[torch.Tensor | None], above: list[torch.Tensor]) -> list[torch.Tensor | None]:
    """The gradients in memory of their own: torch gives those of a sum as one tensor, which may be the top's."""
    taken, out = {tensor.untyped_storage().data_ptr() for tensor in above}, []
    for gradient in gradients:
        own = None if gradient is None else gradient.contiguous()
        if own is not None and own.untyped_storage().data_ptr() in taken:
            own = own.clone()
        if own is not None:
            taken.add(own.untyped_storage().data_ptr())
        out.append(own)
    return out


def register(name: str) -> Callable[[M], M]:
    """Decorator: make a layer's class, or the function that chooses it, known under Caffe's name of its type."""

    def keep(maker: M) -> M:
        _LAYERS[name] = maker
        return maker

    return keep


def layer_types() -> list[str]:
    """Names of all types that the engine has."""
    return sorted(_LAYERS)


def layer_class(param: caffe_pb2.LayerParameter) -> LayerMaker:
    """The class for a layer; raises UserError that names the layer and the types there are."""
    if param.type in _LAYERS:
        return _LAYERS[param.type]
    try:
        return _LAYERS[known_type(param.name, param.type, layer_types())]
    except UserError as error:
        raise LayerError(param.name, str(error)) from None
