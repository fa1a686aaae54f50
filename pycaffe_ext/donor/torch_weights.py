"""Weights of torchvision's nets as a caffemodel with a card.

torchvision's nets read R G B in 0 to 1, less a mean, over a standard deviation for each channel; nets here read B G R
in 0 to 255 less a mean, times one scale.  So the mean goes into the card, the mean of the three standard deviations
becomes the card's scale, what remains of each is multiplied into conv1's weights of that channel, and these are turned
round.  The outputs stay the same, and conv1 stays in the scale in which it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pycaffe_ext import nets
from pycaffe_ext.donor import torch_nets
from pycaffe_ext.donor.cards import Card, card_path, write_card
from pycaffe_ext.donor.torch_files import read_state
from pycaffe_ext.donor.torch_nets import BIAS, MEAN, TITLES, TorchNet
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import array_to_blob, caffe_pb2, write_weights

SHOWN = 4  # names in an error
State = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Imported:
    """What was written: the caffemodel, its card, and the net that it is of."""

    weights: Path
    card: Path
    net: TorchNet
    classes: int
    text: str  # what the card says of the input


def import_weights(
    path: Path, out: Path, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> Imported:
    """Turn a state dict of torchvision's VGG-16, SqueezeNet 1.1, ResNet-50 or GoogLeNet into `out`, with its card.

    mean, std : of R, G, B in 0 to 1, as the net was trained; None = those of torchvision's published weights.
    Raises UserError for what `read_state` refuses, for a net of another kind (with the difference), for tensors that
    are missing, unknown, misshapen or not finite, for statistics that cannot be, and where `out` or its card is there.
    """
    _check_out(out)
    state = read_state(path)
    net = recognised(path, state)
    given = replace(net, mean=_statistic("mean", mean, net.mean), std=_statistic("std", std, net.std))
    made, classes = caffemodel(path, given, state)
    write_weights(out, made)
    try:
        card = write_card(out, card_of(path, given))
    except BaseException:
        out.unlink()
        raise
    return Imported(out, card, given, classes, _input_text(given))


def recognised(path: Path, state: State) -> TorchNet:
    """The net whose tensors these are, by their names; UserError with the difference for any other."""
    if reason := torch_nets.refusal(state):
        raise UserError(f"{path}: {reason}")
    net = torch_nets.likeliest({name: value.shape for name, value in state.items()})
    if net is None:
        raise UserError(f"{path}: is none of torchvision's {TITLES}; its tensors: {_names(list(state))}")
    known = {name for tensors in net.tensors(2).values() for name in tensors}
    missing = [name for name in known if name not in state]
    if missing:
        raise UserError(f"{path}: is no whole {net.title} of torchvision; missing: {_names(sorted(missing))}")
    others = [name for name in state if name not in known and not name.startswith(net.ignored or ("\0",))]
    if others:
        raise UserError(f"{path}: has tensors that torchvision's {net.title} has not: {_names(others)}")
    return net


def caffemodel(path: Path, net: TorchNet, state: State) -> tuple[caffe_pb2.NetParameter, int]:
    """(the net with its blobs, how many classes it has); UserError for tensors that do not fit or are not finite."""
    classes = max(2, len(state[f"{net.modules[net.head]}.{BIAS}"]))
    wanted = net.tensors(classes)
    _check(path, net, state, {name: shape for tensors in wanted.values() for name, shape in tensors.items()})
    kinds = {layer.name: layer.type for layer in nets.architecture(net.arch).deploy(_spec(net, classes)).layer}
    made = caffe_pb2.NetParameter(name=f"{net.title} of torchvision")
    for i, (layer, tensors) in enumerate(wanted.items()):
        arrays = [state[name] for name in tensors]
        if i == 0:
            arrays[0] = first_weights(arrays[0], net.std)
        if next(iter(tensors)).endswith(MEAN):
            arrays.append(np.ones(1, np.float32))
        kind = kinds.get(layer, kinds[_spec(net, classes).head])
        made.layer.add(name=layer, type=kind).blobs.extend(array_to_blob(array) for array in arrays)
    return made, classes


def first_weights(weight: np.ndarray, std: Sequence[float]) -> np.ndarray:
    """The first convolution (outputs, R G B, rows, columns) for B G R: each channel times mean(std) / its own std."""
    remainder = np.mean(std) / np.asarray(std)
    return np.ascontiguousarray((weight * remainder[:, None, None])[:, ::-1], np.float32)


def card_of(path: Path, net: TorchNet) -> Card:
    """The card: mean in B, G, R of 0 to 255, the mean standard deviation as scale, the remainder in words."""
    remainder = ", ".join(f"{np.mean(net.std) / value:.4f}" for value in reversed(net.std))
    rest = f"the weights of the first layer for B, G, R times {remainder} (the rest of the standard deviations)"
    return Card(
        mean_value=tuple(round(255 * value, 4) for value in reversed(net.mean)),
        scale=float(1 / (255 * np.mean(net.std))),
        arch=net.arch,
        input_size=nets.architecture(net.arch).input[-1],
        source=f"{path.name}, a state dict of torchvision's {net.title}; {rest}",
    )


def _spec(net: TorchNet, classes: int) -> nets.NetSpec:
    return nets.NetSpec("imagenet", "scratch", classes, arch=net.arch)


def _check(path: Path, net: TorchNet, state: State, wanted: Mapping[str, tuple[int, ...]]) -> None:
    wrong = [
        f"{name} {_size(state[name].shape)}, not {_size(shape)}"
        for name, shape in wanted.items()
        if state[name].shape != shape
    ]
    if wrong:
        raise UserError(f"{path}: is not torchvision's {net.title}; shapes that differ: {_names(wrong)}")
    broken = [name for name in wanted if not np.isfinite(state[name]).all()]
    if broken:
        raise UserError(f"{path}: holds values that are not finite: {_names(broken)}")


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "one number"


def _statistic(name: str, given: Sequence[float] | None, published: tuple[float, ...]) -> tuple[float, ...]:
    if given is None:
        return published
    low = -np.inf if name == "mean" else 0.0
    if len(given) != 3 or not all(np.isfinite(value) and low < value <= 1 for value in given):
        raise UserError(f"{name} {' '.join(map(str, given))}: give three numbers for R, G and B, in 0 to 1")
    return tuple(given)


def _check_out(out: Path) -> None:
    if not out.name.endswith(".caffemodel"):
        raise UserError(f"{out}: weights are written as .caffemodel; choose another OUT=")
    for path in (out, card_path(out)):
        if path.exists():
            raise UserError(f"{path} is there already; choose another OUT= or remove it")


def _input_text(net: TorchNet) -> str:
    mean = ", ".join(f"{255 * value:.6g}" for value in reversed(net.mean))
    return f"B G R of 0 to 255 minus {mean}, times {1 / (255 * np.mean(net.std)):.4g}"


def _names(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
