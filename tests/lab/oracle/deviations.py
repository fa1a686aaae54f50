"""Deliberate deviations: each with its reason, and a check that the engines still differ in just this way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from cases.sharing import IMAGES
from engine_cases import TOLERANCE, Case, layer, one, ours, relative_error, run_genuine, run_genuine_each
from refusals import STRICTER

from oracle import Group, Outcome, nonfinite, overwriting, refusals
from oracle.training import params, solver_param, train_genuine, train_ours
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, parse, write_text, write_weights

CANNOT_BE_MEANT = {
    "Clip whose min is above its max": "Clip: swapped",
    "Clip without clip_param": "Clip: nothing",
    "SPP without pyramid_height": "SPP: no height",
}
WITHOUT_ROW = {  # nothing to compare with: the genuine engine dies, draws other numbers, or has no CPU version
    "Everything random": "fillers that draw, dropout, crops, mirrors, shuffles and window draws come from other"
    " generators; their distributions are tested, and random_seed makes them repeat",
    "Filter that selects nothing": "the genuine engine divides by zero in its backward pass; here the gradient is zero",
    "STOCHASTIC pooling": "the genuine engine has it on a GPU only; here it runs on a CPU too, outside training"
    " with the true gradient of the weighted mean",
    "Convolution in place, dropout_ratio 1": "the genuine engine goes on and computes nonsense; here they are refused",
    "ArgMax of NaN": "the genuine engine sorts by comparisons that fail, in an order that nobody has defined; here NaN"
    " counts as the largest value",
    "The gradient at a NaN": "ReLU, PReLU and Clip give zero there in the genuine engine, ELU NaN; here ReLU and PReLU"
    " pass on what comes from above, which is NaN too as soon as a loss has seen the NaN",
    "The diff of a view's top": "that of Flatten, Reshape, one-bottom Concat and one-top Slice is the memory of their"
    " bottom's diff in the genuine engine and shows what layers in place below made of it; here it may show its own",
    "SigmoidCrossEntropyLoss of confident, right scores": "log(1 + exp(-x)) is computed without the cancellation that"
    " leaves the genuine engine few digits of a loss near zero",
    "LSTM and RNN": "the gradient of x is computed only where somebody asks for it",
    "HDF5Data": "files whose rows differ in shape are refused; the genuine engine does not check",
    "HDF5Output": "a second pass is refused; the genuine engine dies there",
    "Layer names such as a/, /a, or a/b beside a, in HDF5 weights": "the genuine engine writes them and does not find"
    " them again, or can't read the file; here they are refused, and those that it aborts on already before training",
    "HDF5 weights with groups within groups": "the genuine engine passes over such layers, which keep their fillers;"
    " here the file is refused",
    "Blobs without values": "accepted; the genuine engine aborts",
}
CLEARLY = 1e-2  # relative: no rounding
IN_PLACE = {
    "BNLL": "",
    "Clip": "clip_param { min: 0.2 max: 0.8 }",
    "Log": "log_param { scale: 3 shift: 1 }",
    "MVN": "",
    "Power": "power_param { power: 3 scale: 0.5 shift: 2 }",
    "ReLU": "relu_param { negative_slope: -1 }",
}
SPOILT = "the genuine engine computes it from values that the layer in place has overwritten; here it is the true one"


@dataclass(frozen=True)
class Row:
    """holds: an empty folder -> raises AssertionError where the deviation is not the one that `reason` states."""

    name: str
    reason: str
    holds: Callable[[Path], None]


def groups() -> list[Group]:
    measure = "the engines differ, in the way and for the reason that is stated below"
    return [Group("Deviations", "deliberate", rows(), run, measure)]


def run(chosen: Sequence[Row], folder: Path) -> Iterator[Outcome]:
    for i, row in enumerate(chosen):
        place = folder / str(i)
        place.mkdir()
        try:
            row.holds(place)
            yield Outcome(row.name)
        except Exception as error:  # a failed row, not the end of the run
            yield Outcome(row.name, problem=f"{type(error).__name__}: {error or 'it is not so any more'}")


def rows() -> list[Row]:
    fc = layer("InnerProduct", "inner_product_param { num_output: 3 }", "x", "y")
    given = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 4 dim: 6 } } }\n'
    label = (
        'layer { name: "t" type: "DummyData" top: "t" dummy_data_param { shape { dim: 4 }'
        " data_filler { value: 9 } } }\n"
    )
    accuracy, loss = layer("Accuracy", "", "y t", "a"), layer("SoftmaxWithLoss", "", "y t", "l")
    two_weights = layer("SoftmaxWithLoss", "loss_weight: 1 loss_weight: 0", "y t", "l p")
    right = label.replace("9", "2")
    five = given.replace("dim: 6", "dim: 2 dim: 3 dim: 2 dim: 2") + layer("PReLU", "", "x", "y")
    return [
        *(
            Row(
                f"{kind} in place, gradient",
                "the genuine engine computes it from values that it has overwritten; here it is that of"
                " the layer out of"
                " place, which both engines share",
                partial(_in_place, kind=kind, settings=settings),
            )
            for kind, settings in IN_PLACE.items()
        ),
        *(
            Row(f"{name} and then a layer in place, gradient", SPOILT, partial(_spoilt, name=name))
            for name in dict.fromkeys(maker.name for maker, *_ in _spoilt_pairs())
        ),
        Row("a layer in place over what another layer has read before, gradient", SPOILT, _spoilt_view),
        Row(
            "Eltwise SUM in place",
            "the genuine engine sets the top to zero before it reads the bottom that it is;"
            " here it is the sum, with its gradient. PROD and MAX in place are likewise those out of place",
            _sum_in_place,
        ),
        Row(
            "Flatten on Reshape, on Concat with one bottom or Slice with one top, gradient",
            "the genuine engine's two ways of sharing a diff get in each other's way and nothing arrives below; here"
            " it does",
            _lost_on_the_way,
        ),
        *(
            Row(
                f"{name} of NaN",
                "comparisons with NaN fail, so the genuine engine skips it and a wrong number goes on"
                " as a right one; here NaN is passed on",
                partial(nonfinite.passes_on, name=name),
            )
            for name in nonfinite.SKIP_NAN
        ),
        Row("ReLU of minus infinity", "the genuine engine adds 0 * x and gets NaN; here it is 0", _relu_of_infinity),
        Row(
            "Scale in a batch of one, shared by two layers",
            "the genuine engine overwrites the gradient that it should add to; here it is added, as in larger batches",
            _scale_of_one,
        ),
        Row(
            "Scale in a batch of one, with iter_size",
            "as above: of the passes only the last one counts there",
            _scale_summed,
        ),
        Row(
            "MAX pooling's windows that begin beyond the image (stride > kernel, no pad), gradient",
            "the genuine engine adds it in front of the channel, outside its memory for the first; here it is dropped."
            " Forward both give -FLT_MAX, and NaN with AVE",
            _beyond,
        ),
        Row(
            "Accuracy under force_backward",
            "the genuine engine aborts; here nothing is sent down",
            partial(_only_they_refuse, net="force_backward: true\n" + given + right + fc + accuracy),
        ),
        Row(
            "two loss weights of SoftmaxWithLoss's two tops",
            "the genuine engine hands both on to the Softmax inside, which has one top, and aborts",
            partial(_only_they_refuse, net=given + right + fc + two_weights),
        ),
        Row(
            "PReLU of five axes",
            "the genuine engine's old accessors stop at four",
            partial(_only_they_refuse, net=five),
        ),
        Row(
            "labels out of range, SoftmaxWithLoss",
            "the genuine engine reads and writes outside its memory; here it is an error that names the layer",
            partial(_only_we_refuse, net=given + label + fc + loss),
        ),
        Row("labels out of range, Accuracy", "as above", partial(_only_we_refuse, net=given + label + fc + accuracy)),
        Row(
            "labels out of range, MultinomialLogisticLoss",
            "as above",
            partial(_only_we_refuse, net=given + label + fc + layer("MultinomialLogisticLoss", "", "y t", "l")),
        ),
        Row(
            "indices out of range, Embed",
            "as above",
            partial(_only_we_refuse, net=label + layer("Embed", "embed_param { input_dim: 3 num_output: 2 }", "t")),
        ),
        *(
            Row(
                name,
                "the genuine engine goes on with a setting that can't be meant; here it is an error",
                partial(_only_we_refuse, net=STRICTER[key][0]),
            )
            for name, key in CANNOT_BE_MEANT.items()
        ),
    ]


def both(case: Case, folder: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    mine = ours(case, folder)
    run_genuine([folder])
    return mine, dict(np.load(folder / "out.npz"))


def _in_place(folder: Path, kind: str, settings: str) -> None:
    positive = kind == "Log"
    here, theirs_here = both(one(kind, settings, tops="x", positive=positive), folder / "in place")
    _, there = both(one(kind, settings, tops="y", positive=positive), folder / "out of place")
    assert relative_error(here["diff:x"], there["diff:x"]) <= TOLERANCE, "ours is not the gradient out of place"
    assert relative_error(here["diff:x"], theirs_here["diff:x"]) > CLEARLY, "the genuine gradient is the same"


def _spoilt_pairs() -> list[tuple[overwriting.Maker, str, str]]:
    """Layers whose gradient a layer in place behind them spoils in the genuine engine, without doing so to its own."""
    pairs = ((maker, *follower) for maker in overwriting.MAKERS for follower in overwriting.FOLLOWERS)
    return [
        pair for pair in pairs if pair[1] not in overwriting.SPOIL_THEMSELVES and overwriting.spoilt(*pair, "TRAIN")
    ]


def _spoilt(folder: Path, name: str) -> None:
    """For every such layer in place, ours is the genuine gradient of the net where it is out of place."""
    chosen = [overwriting.pair(*pair, "TRAIN") for pair in _spoilt_pairs() if pair[0].name == name]
    found = list(overwriting.run(chosen, folder / "apart"))
    assert not any(each.problem for each in found), [each for each in found if each.problem]
    places = [folder / str(i) for i in range(len(chosen))]
    mine = [ours(row.case, place) for row, place in zip(chosen, places, strict=True)]
    run_genuine(places)
    for row, out, place in zip(chosen, mine, places, strict=True):
        assert relative_error(out["diff:x"], np.load(place / "out.npz")["diff:x"]) > CLEARLY, f"the same: {row.name}"


def _spoilt_view(folder: Path) -> None:
    """InnerProduct reads one top of a Split; a ReLU works in place on the other."""
    fc = layer("InnerProduct", "inner_product_param { num_output: 3 }", "a", "y")
    read = layer("Split", "", "x", "a b")
    case = Case("view", {"x": (4, 6)}, read + fc + layer("ReLU", "", "b", "b"))
    mine, theirs = both(case, folder / "here")
    _, apart = both(Case("view", {"x": (4, 6)}, read + fc + layer("ReLU", "", "b", "c")), folder / "apart")
    given = [np.load(folder / name / "in.npz")["diff:y"] for name in ("here", "apart")]
    x = np.load(folder / "here" / "in.npz")["data:x"]
    assert relative_error(mine["grad:innerproduct:0"], given[0].T @ x) <= TOLERANCE, "ours is not the true one"
    assert relative_error(apart["grad:innerproduct:0"], given[1].T @ x) <= TOLERANCE, "nor is the one out of place"
    assert relative_error(mine["grad:innerproduct:0"], theirs["grad:innerproduct:0"]) > CLEARLY, "theirs is the same"


def _sum_in_place(folder: Path) -> None:
    case = Case("sum", {"x": (3, 4), "q": (3, 4)}, layer("Eltwise", "", "x q", "x"))
    mine, theirs = both(case, folder)
    given = np.load(folder / "in.npz")
    np.testing.assert_allclose(mine["data:x"], given["data:x"] + given["data:q"], rtol=1e-6)
    np.testing.assert_array_equal(mine["diff:q"], given["diff:x"])
    assert relative_error(mine["data:x"], theirs["data:x"]) > CLEARLY, "the genuine sum is the same"


def _lost_on_the_way(folder: Path) -> None:
    views = {"Reshape": "reshape_param { shape { dim: 0 dim: 3 dim: -1 } }", "Concat": "", "Slice": ""}
    for kind, settings in views.items():
        text = layer("TanH", "", "x", "a") + layer(kind, settings, "a", "v") + layer("Flatten", "", "v", "y")
        mine, theirs = both(Case("views", {"x": (2, 3, 4)}, text), folder / kind)
        given = np.load(folder / kind / "in.npz")
        slope = 1 - np.tanh(given["data:x"]) ** 2
        assert relative_error(mine["diff:x"], slope * given["diff:y"].reshape(2, 3, 4)) <= TOLERANCE, "ours is wrong"
        assert relative_error(mine["diff:x"], theirs["diff:x"]) > CLEARLY, f"{kind}: the genuine gradient is the same"


def _relu_of_infinity(folder: Path) -> None:
    mine, theirs = both(nonfinite.case("ReLU", "", "infinities"), folder)
    lowest = np.isneginf(mine["data:x"])
    assert (mine["data:y"][lowest] == 0).all() and np.isnan(theirs["data:y"][lowest]).all()
    np.testing.assert_array_equal(mine["data:y"][~lowest], theirs["data:y"][~lowest])


def _scale_of_one(folder: Path) -> None:
    first, second = (layer("Scale", 'param { name: "p" }', low, high, high) for low, high in ("xa", "ab"))
    shapes = {"x": (1, *IMAGES["x"][1:])}
    mine, theirs = both(Case("shared", shapes, first + second), folder)
    assert relative_error(mine["data:b"], theirs["data:b"]) <= TOLERANCE, "forward differs too"
    alone = np.einsum("nchw,nchw->c", mine["diff:a"], mine["data:x"])
    above = np.einsum("nchw,nchw->c", mine["diff:b"], mine["data:a"])
    assert relative_error(mine["grad:b:0"], alone + above) <= 10 * TOLERANCE, "ours is not the sum"
    assert relative_error(mine["grad:b:0"], theirs["grad:b:0"]) > CLEARLY, "the genuine gradient is the same"


def _scale_summed(folder: Path) -> None:
    """Two equal passes: half their sum is the gradient of one, of which the genuine engine keeps half."""
    text = (
        'layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 1 dim: 2 dim: 3 }'
        " shape { dim: 1 } data_filler { value: 0.7 } data_filler { value: 1 } } }\n"
        + layer("Scale", "", "x", "s")
        + layer("InnerProduct", "inner_product_param { num_output: 3 }", "s", "y")
        + layer("SoftmaxWithLoss", "", "y t", "l")
    )
    (folder / "net.prototxt").write_text(text)
    solver = solver_param(net="net.prototxt", type="SGD", base_lr=0.5, lr_policy="fixed", iter_size=2)
    write_text(folder / "solver.prototxt", solver)
    net, rng = Net(parse(text, caffe_pb2.NetParameter()), caffe_pb2.TRAIN), np.random.default_rng(1)
    for blob in (blob for each in net.layers for blob in each.blobs):
        blob.data = blob.data.new_tensor(rng.normal(size=blob.shape))
    write_weights(folder / "start.caffemodel", net.to_proto())
    assert not train_genuine([folder], 1), "the genuine engine died"
    start, mine, theirs = params(net), train_ours(folder, 1), np.load(folder / "out.npz")
    steps = {name: (mine[name] - start[name], theirs[name] - start[name]) for name in start}
    assert relative_error(*steps["innerproduct:0"]) <= 10 * TOLERANCE, "another layer differs too"
    assert relative_error(steps["scale:0"][0] / 2, steps["scale:0"][1]) <= 10 * TOLERANCE, "theirs is not half of ours"


def _beyond(folder: Path) -> None:
    settings = "pooling_param {{ pool: {} kernel_size: 2 stride: 3 }}"
    mine, theirs = both(one("Pooling", settings.format("AVE"), (1, 3, 6, 7), force=False), folder / "AVE")
    np.testing.assert_allclose(mine["data:y"], theirs["data:y"], rtol=TOLERANCE)
    assert np.isnan(mine["data:y"][:, :, -1]).all(), "there is no window beyond the image"
    mine = ours(one("Pooling", settings.format("MAX"), (1, 3, 6, 7)), folder / "MAX")
    if run_genuine_each([folder / "MAX"]):
        return  # it died of what it wrote there
    theirs = np.load(folder / "MAX" / "out.npz")
    assert relative_error(mine["data:y"], theirs["data:y"]) <= TOLERANCE, "forward differs too"
    assert relative_error(mine["diff:x"], theirs["diff:x"]) > CLEARLY, "the genuine gradient is the same"


def _only_they_refuse(folder: Path, net: str) -> None:
    mine, theirs = refusals.try_both(refusals.Row("", net=net), folder)
    assert mine is None and theirs, f"this engine: {mine!r}, the genuine one: {theirs or 'accepts it'}"


def _only_we_refuse(folder: Path, net: str) -> None:
    mine, theirs = refusals.try_both(refusals.Row("", net=net), folder)
    assert isinstance(mine, UserError), f"this engine: {mine!r}"
    assert "label" not in theirs, f"the genuine one refuses too: {theirs}"  # it may die of what it has written
