"""Every layer with a top of its own and every layer in place behind it, and the chains that published nets have.

Where the genuine engine computes a gradient from values that a layer in place has written over (`spoilt`), a row is
held against the genuine engine's run of the net with that layer out of place, and the deviations hold the difference.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cases.sharing import conv, fc
from engine_cases import TOLERANCE, Case, layer, ours, relative_error, run_genuine_each

from oracle import Group, Outcome, layers, outcome
from pycaffe_ext import glog
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.proto import caffe_pb2, parse

IMAGE, MANY, FLAT, TIME = (2, 3, 4, 6), (6, 3, 4, 6), (3, 6), (2, 3, 4)


@dataclass(frozen=True)
class Maker:
    """A layer with a top `y` of its own; tops : those after y; others : shapes of the bottoms after the first, `x`.

    below : the first bottom is instead what a learned layer makes of x; nothing is forced to have a gradient, and a
    loss stands behind.
    """

    kind: str
    settings: str = ""
    shape: tuple[int, ...] = IMAGE
    others: tuple[tuple[str, tuple[int, ...]], ...] = ()
    tops: str = ""
    labels: tuple[tuple[str, int], ...] = ()
    values: tuple[tuple[str, tuple[float, ...]], ...] = ()
    positive: bool = False
    below: bool = False

    @property
    def name(self) -> str:
        bottoms = "of two" if self.others == LIKE_X and self.kind == "Concat" else ""
        return " ".join(filter(None, (self.kind, bottoms, self.settings, self.tops and f"with {self.tops}")))

    def top(self) -> tuple[int, ...]:
        """The shape of y."""
        described = parse(self.case("", "", "TRAIN").prototxt(), caffe_pb2.NetParameter())
        before = glog.set_min_level(2)  # LSTM and RNN say what they make
        shape = Net(described, caffe_pb2.TRAIN).blobs["y"].shape
        glog.set_min_level(before)
        return shape

    def text(self) -> str:
        below = layer("Bias", tops="b") if self.below else ""
        first = "b" if self.below else "x"
        return below + layer(self.kind, self.settings, " ".join([first, *dict(self.others)]), f"y {self.tops}", "maker")

    def case(self, name: str, behind: str, phase: str, **others: tuple[int, ...]) -> Case:
        values = {blob: np.array(each, np.float32) for blob, each in self.values}
        return Case(
            name,
            {"x": self.shape, **dict(self.others), **others},
            self.text() + behind,
            phase,
            dict(self.labels),
            positive=self.positive,
            values=values,
            force=not self.below,
            params=1.0 if self.kind == "Power" else 0.5,
        )


def pooling(settings: str) -> str:
    return f"pooling_param {{ kernel_size: 2 stride: 2 {settings} }}"


WINDOW = "convolution_param { num_output: 3 kernel_size: 3 pad: 1 }"
RECURRENT = "recurrent_param { num_output: 4 }"
STREAMS = {"others": (("cont", TIME[:2]),), "values": (("cont", (0, 0, 0, 1, 1, 1)),)}
LIKE_X = (("p", IMAGE),)
MAKERS = [
    Maker("AbsVal"),
    Maker("BNLL"),
    Maker("BatchNorm"),
    Maker("BatchNorm", "batch_norm_param { use_global_stats: true }"),
    Maker("Bias"),
    Maker("Bias", "bias_param { axis: 0 num_axes: -1 }"),
    Maker("Bias", "bias_param { axis: 0 }", others=LIKE_X),
    Maker("Clip", "clip_param { min: -0.5 max: 0.8 }"),
    Maker("Concat"),
    Maker("Concat", others=LIKE_X),
    Maker("Convolution", WINDOW),
    Maker("Deconvolution", WINDOW),
    Maker("Dropout", "dropout_param { dropout_ratio: 0 }"),
    Maker("ELU"),
    *(
        Maker("Eltwise", f"eltwise_param {{ {text} }}", others=LIKE_X)
        for text in (
            "operation: SUM coeff: 1 coeff: -2",
            "operation: PROD",
            "operation: PROD stable_prod_grad: false",
            "operation: MAX",
        )
    ),
    Maker("Exp"),
    Maker("Flatten"),
    Maker("Im2col", WINDOW.replace("num_output: 3", "")),
    Maker("InnerProduct", "inner_product_param { num_output: 4 }", FLAT),
    Maker("LRN"),
    Maker("LRN", "lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 }"),
    Maker("Log", positive=True),
    Maker("MVN"),
    Maker("MVN", "mvn_param { normalize_variance: false }"),
    Maker("PReLU"),
    Maker("Pooling", pooling("pool: MAX")),
    Maker("Pooling", pooling("pool: AVE")),
    Maker("Pooling", pooling("pool: MAX"), tops="mask"),
    *(
        Maker("Power", f"power_param {{ {text} }}", positive=True)
        for text in ("power: 1 scale: 2 shift: 1", "power: 2", "power: 3 scale: 0.5", "power: 3 scale: 0.5 shift: 1")
    ),
    Maker("ReLU"),
    Maker("ReLU", "relu_param { negative_slope: 0.2 }"),
    *(
        Maker("Reduction", f"reduction_param {{ axis: 2 coeff: 0.2 operation: {name} }}", MANY)
        for name in ("SUM", "ASUM", "SUMSQ")
    ),
    Maker("Reshape", "reshape_param { shape { dim: 0 dim: 4 dim: -1 } }"),
    Maker("SPP", "spp_param { pyramid_height: 1 }", MANY),
    Maker("SPP", "spp_param { pyramid_height: 2 }"),
    Maker("Scale"),
    Maker("Scale", "scale_param { bias_term: true }"),
    Maker("Scale", "scale_param { axis: 0 }", others=LIKE_X),
    Maker("Sigmoid"),
    Maker("Slice"),
    Maker("Slice", "slice_param { axis: 2 }", tops="z"),
    Maker("Softmax"),
    Maker("Split"),
    Maker("Swish"),
    Maker("TanH"),
    Maker("Tile", "tile_param { tiles: 2 }"),
    Maker("Crop", "crop_param { offset: 1 }", others=(("p", (2, 3, 2, 3)),)),
    Maker("BatchReindex", others=(("p", (3,)),), labels=(("p", 2),), below=True),
    Maker("Filter", others=(("p", (2,)),), values=(("p", (1, 1)),), below=True),
    Maker("LSTM", RECURRENT, TIME, **STREAMS),
    Maker("RNN", RECURRENT, TIME, **STREAMS),
]
FOLLOWERS = (
    ("BNLL", ""),
    ("BatchNorm", ""),
    ("Bias", ""),
    ("Clip", "clip_param { min: 0.1 max: 0.4 }"),
    ("Dropout", "dropout_param { dropout_ratio: 0 }"),
    ("ELU", ""),
    ("Eltwise", ""),
    ("Exp", ""),
    ("Log", "log_param { shift: 20 scale: 0.5 }"),
    ("MVN", ""),
    ("PReLU", ""),
    ("Power", "power_param { power: 2 shift: 3 }"),
    ("ReLU", ""),
    ("ReLU", "relu_param { negative_slope: 0.2 }"),
    ("Scale", ""),
    ("Sigmoid", ""),
    ("Softmax", "softmax_param { axis: -1 }"),
    ("Swish", ""),
    ("TanH", ""),
)
READ_TOPS = ("ELU", "Exp", "LRN", "MVN", "Power", "Sigmoid", "Softmax", "Swish", "TanH")  # in their backward passes
POSITIVE = ("Exp", "Power", "Sigmoid", "Softmax")  # here
KEEP_POSITIVE = ("ELU", "PReLU", "ReLU")
SPOIL_THEMSELVES = ("BNLL", "Clip", "Eltwise", "Log", "MVN", "Power")  # they read the bottoms that they write over
SHARING = ("Concat", "Flatten", "Reshape", "Slice", "Split")


def spoilt(maker: Maker, follower: str, settings: str, phase: str) -> bool:
    """Whether the genuine engine's backward pass reads what the follower has written over, and that matters.

    It does not where the values stay, or become zero with their gradients and the maker needs no others.
    """
    if follower in SPOIL_THEMSELVES:
        return True
    reads = maker.kind in READ_TOPS or "stable_prod_grad: false" in maker.settings
    linear = ("WITHIN_CHANNEL", "normalize_variance: false", "power: 1", "power: 2")
    stay = follower == "Dropout" or (maker.kind in POSITIVE and follower in KEEP_POSITIVE)
    zero = follower == "ReLU" and not settings and maker.kind != "MVN"
    again = maker.kind == "MVN" and follower == "BatchNorm" and phase == "TRAIN"  # which finds nothing to normalise
    return reads and not (stay or zero or again or any(word in maker.settings for word in linear))


@dataclass(frozen=True)
class Row:
    """A net, and where the genuine engine's gradients in it are spoilt, the net with the last layer out of place.

    The latter's last top is `apart`.
    """

    case: Case
    apart: Case | None = None
    sharing: bool = False  # whether x and y have one memory

    @property
    def name(self) -> str:
        return self.case.name


def pair(maker: Maker, follower: str, settings: str, phase: str) -> Row:
    others = {"q": maker.top()} if follower == "Eltwise" else {}
    name = " ".join(f"{maker.name}, then {follower} {settings} in place, {phase}".split()).replace('"', "")
    here, there = (
        maker.case(
            name,
            layer(follower, settings, "y q" if others else "y", top, "follower")
            + (fc("end", top, "loss_weight: 0.5") if maker.below else ""),
            phase,
            **others,
        )
        for top in ("y", "apart")
    )
    shared = maker.kind in SHARING and not (maker.others or maker.tops)
    return Row(here, there if spoilt(maker, follower, settings, phase) else None, shared)


def pairs(phase: str) -> list[Row]:
    return [pair(maker, *follower, phase) for maker, follower in itertools.product(MAKERS, FOLLOWERS)]


def chains(phase: str) -> list[Row]:
    """What published nets are made of: each later layer in place or with a top of its own, in every combination."""
    starts = {
        "Convolution": ({"x": IMAGE}, conv("a", "x")),
        "Deconvolution": ({"x": IMAGE}, layer("Deconvolution", WINDOW, "x", "a", "a")),
        "InnerProduct": ({"x": FLAT}, fc("a", "x", outputs=5)),
        "Eltwise": ({"x": IMAGE, "p": IMAGE}, layer("Eltwise", "", "x p", "a", "a")),
        "Concat": ({"x": IMAGE, "p": IMAGE}, layer("Concat", "", "x p", "a", "a")),
        "Pooling": ({"x": IMAGE}, layer("Pooling", pooling("pool: MAX"), "x", "a", "a")),
    }
    orders = (
        ("BatchNorm", "Scale", "ReLU"),
        ("BatchNorm", "ReLU"),
        ("BatchNorm", "Scale", "PReLU"),
        ("Scale", "ReLU"),
        ("BatchNorm", "ELU"),
        ("Bias", "ReLU", "Dropout"),
    )
    rows = []
    for (start, (shapes, text)), order in itertools.product(starts.items(), orders):
        for in_place in itertools.product((True, False), repeat=len(order)):
            rows.append(Row(_chain(f"{start}, {phase}", shapes, text, order, in_place, phase)))
    return [*rows, *_blocks(phase)]


def _chain(name: str, shapes: dict, text: str, order: Sequence[str], in_place: Sequence[bool], phase: str) -> Case:
    blob, words = "a", []
    for i, (kind, here) in enumerate(zip(order, in_place, strict=True)):
        top = blob if here else f"{blob}{i}"
        settings = {"Scale": "scale_param { bias_term: true }", "Dropout": "dropout_param { dropout_ratio: 0 }"}
        text += layer(kind, settings.get(kind, ""), blob, top, f"{kind.lower()}{i}")
        words.append(f"{kind} {'in place' if here else 'apart'}")
        blob = top
    end = fc if shapes["x"] == FLAT else conv
    return Case(f"{name}: {', '.join(words)}", shapes, text + end("end", blob), phase)


def _blocks(phase: str) -> list[Row]:
    """Shortcuts as in ResNet: two readers of a blob, the branches with layers in place, a sum, a ReLU in place."""

    def normal(blob: str, end: str = "") -> str:
        return "".join(
            layer(kind, settings, blob, blob, f"{blob}_{kind}{end}")
            for kind, settings in (("BatchNorm", ""), ("Scale", "scale_param { bias_term: true }"))
        )

    def relu(blob: str) -> str:
        return layer("ReLU", "", blob, blob, f"{blob}_relu")

    before = (
        conv("a", "x") + layer("BatchNorm", "", "a", "n", "n") + layer("Scale", "", "n", "n", "n_scale") + relu("n")
    )
    first = conv("a", "x") + normal("a") + relu("a")
    branch = conv("b", "a") + normal("b") + relu("b") + conv("c", "b") + normal("c")
    end = relu("s") + conv("end", "s")
    total = {
        name: layer("Eltwise", f"eltwise_param {{ operation: {name} }}", "{} c", "s", "s")
        for name in ("SUM", "PROD", "MAX")
    }
    rows = [
        Case(f"ResNet's block, {name}, {phase}", {"x": IMAGE}, first + branch + text.replace("{}", "a") + end, phase)
        for name, text in total.items()
    ]
    rows += [
        Case(
            f"ResNet's block with a convolution beside it, {phase}",
            {"x": IMAGE},
            first + conv("d", "a") + normal("d") + branch + total["SUM"].replace("{}", "d") + end,
            phase,
        ),
        Case(
            f"pre-activation block, {phase}",
            {"x": IMAGE},
            before + conv("c", "n") + total["SUM"].replace("{}", "a") + conv("end", "s"),
            phase,
        ),
        Case(
            f"dense block, {phase}",
            {"x": IMAGE},
            before + conv("b", "n") + layer("Concat", "", "a b", "c", "c") + relu("c") + conv("end", "c"),
            phase,
        ),
    ]
    return [Row(case) for case in rows]


VIEWS = {
    "Flatten": "",
    "Reshape": "reshape_param { shape { dim: 0 dim: 0 dim: -1 } }",
    "Concat": "",
    "Slice": "",
    "Split": "",
}


def views(phase: str) -> list[Row]:
    """Layers in place behind a layer that shares its bottom's memory: who reads what, before and behind them."""
    rows = []
    for (view, settings), (kind, more) in itertools.product(VIEWS.items(), FOLLOWERS):
        if kind in SPOIL_THEMSELVES:
            continue
        shown = layer(view, settings, "a", "v")
        here = layer(kind, more, "v", "v", "here")
        readers = {
            "nobody else": "",
            "a reader behind": layer("Power", "power_param { scale: 2 }", "a", "r", "reader"),
            "a view of the view": layer("Reshape", VIEWS["Reshape"], "v", "w"),
        }
        for who, reader in readers.items():
            name = " ".join(f"{view}, then {kind} {more} in place, {who}, {phase}".split())
            rows.append(Row(Case(name, {"x": MANY}, conv("a", "x") + shown + here + reader, phase)))
    return rows


def groups() -> list[Group]:
    kinds = {"a top of its own, then in place": pairs, "chains": chains, "views": views}
    made = {f"{what}, {phase}": rows(phase) for what, rows in kinds.items() for phase in ("TRAIN", "TEST")}
    measure = (
        "largest difference over the largest value of the blob, or of all gradients; where the genuine engine"
        " computes a gradient from overwritten values, against its gradient with the layer out of place"
    )
    return [Group("In place", name, rows, run, measure, TOLERANCE, 12) for name, rows in made.items()]


def run(rows: Sequence[Row], folder: Path) -> Iterator[Outcome]:
    numbered = list(enumerate(rows))
    for start in range(0, len(numbered), layers.AT_ONCE):
        part = [(row, folder / str(i)) for i, row in numbered[start : start + layers.AT_ONCE]]
        mine = [_ours(row, place) for row, place in part]
        died = run_genuine_each([place for (_, place), out in zip(part, mine, strict=True) if isinstance(out, dict)])
        for (row, place), out in zip(part, mine, strict=True):
            if isinstance(out, str) or place in died:
                yield Outcome(row.name, np.nan, out if isinstance(out, str) else died[place])
            else:
                yield outcome(row.name, differences(row, out, place), row.case.tolerance)


def _ours(row: Row, place: Path) -> dict[str, np.ndarray] | str:
    """What this engine computes; `place` is left for the genuine one."""
    try:
        mine = ours(row.case, place)
    except Exception as error:  # a failed row, not the end of the run
        return f"{type(error).__name__}: {error}"
    if row.apart is not None:
        write_apart(row, place)
    return mine


def write_apart(row: Row, place: Path) -> None:
    """Have `place`, which has the row's net and numbers, run the net with the last layer out of place instead."""
    (place / "net.prototxt").write_text(row.apart.prototxt())
    given = dict(np.load(place / "in.npz"))
    np.savez(place / "in.npz", **{"diff:apart" if key == "diff:y" else key: value for key, value in given.items()})


def differences(row: Row, mine: dict[str, np.ndarray], place: Path) -> dict[str, float]:
    """Key of the genuine results -> error of ours.

    A gradient that is zero but for rounding is held against the net's largest one, not against itself.
    """
    theirs = dict(np.load(place / "out.npz"))
    theirs.pop("diff:w", None)  # there it is the memory of the diff below, which the layer in place writes to
    if row.apart is not None:
        theirs["data:y"] = theirs.pop("data:apart")
        for key in ("outputs", "diff:apart", *(["data:x"] if row.sharing else [])):
            del theirs[key]
    gradients = [key for key in theirs if key.startswith(("diff:", "grad:"))]
    largest = max(float(np.abs(theirs[key]).max(initial=0)) for key in gradients)
    return {
        key: _difference(mine.get(key), value, largest if key in gradients else 0.0) for key, value in theirs.items()
    }


def _difference(a: np.ndarray | None, b: np.ndarray, scale: float) -> float:
    if a is None or a.size != b.size:
        return np.inf
    if b.dtype.kind == "U":
        return 0.0 if a.tolist() == b.tolist() else np.inf
    a, b = a.ravel(), b.ravel()  # MVN in place gives its bottom four axes
    return relative_error(np.append(a, scale), np.append(b, scale))
