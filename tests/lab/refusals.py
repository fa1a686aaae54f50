"""Nets that are refused: name -> (prototxt, what is said).  Read by test_layers_errors.py."""

from __future__ import annotations

from engine_cases import layer


def inputs(**shapes: str) -> str:
    """An Input layer with one top for each keyword; a shape is its sizes separated by blanks."""
    text = "".join(f"shape {{{''.join(f' dim: {n}' for n in shape.split())} }} " for shape in shapes.values())
    return layer("Input", f"input_param {{ {text}}}", "", " ".join(shapes))


FORCE = "force_backward: true\n"
X, PAIR, CROPPED = inputs(x="2 3 4 5"), inputs(x="4 3", t="4"), inputs(x="1 2 5 5", z="1 2 4 4")
GAIN = inputs(x="4 3", t="4", h="3 3")
MEMORY = "memory_data_param { batch_size: 1 channels: 1 height: 2 width: 2 }"
NEWER = {
    "Reduction: axis": (X + layer("Reduction", "reduction_param { axis: 4 }"), "axis 4 is outside"),
    "Reduction: two bottoms": (PAIR + layer("Reduction", "", "x t"), "takes 1 bottom"),
    "MVN: five axes": (inputs(x="1 2 3 4 5") + layer("MVN"), "up to 4 axes"),
    "Tile: no tiles": (X + layer("Tile", "tile_param { axis: 1 }"), "tiles must be given and positive"),
    "Tile: negative tiles": (X + layer("Tile", "tile_param { tiles: -1 }"), "positive, not -1"),
    "Tile: axis": (X + layer("Tile", "tile_param { tiles: 2 axis: -5 }"), "axis -5 is outside"),
    "Crop: one bottom": (X + layer("Crop"), "takes 2 bottom"),
    "Crop: beyond": (CROPPED + layer("Crop", "crop_param { offset: 2 }", "x z"), "4 values from 2"),
    "Crop: larger": (inputs(x="1 2 5 5", z="1 2 6 4") + layer("Crop", "", "x z"), "6 values from 0"),
    "Crop: offsets": (CROPPED + layer("Crop", "crop_param { axis: 1 offset: 0 offset: 0 }", "x z"), "each of the 3"),
    "Crop: axis": (inputs(x="1 2", z="1 2") + layer("Crop", "", "x z"), "axis 2 is outside"),
    "Embed: num_output": (X + layer("Embed", "embed_param { input_dim: 3 }"), "num_output must be positive"),
    "Embed: input_dim": (X + layer("Embed", "embed_param { num_output: 3 }"), "input_dim must be positive"),
    "Embed: gradient": (
        FORCE + inputs(x="2") + layer("Embed", "embed_param { input_dim: 3 num_output: 2 }"),
        "can't send a gradient to its indices",
    ),
    "BatchReindex: axes": (inputs(x="2 3", i="2 1") + layer("BatchReindex", "", "x i"), "indices must have 1 axis"),
    "BatchReindex: gradient": (FORCE + PAIR + layer("BatchReindex", "", "x t"), "gradient to its indices"),
    "Filter: tops": (PAIR + layer("Filter", "", "x t", "y z"), "2 bottoms .* make 1 top"),
    "Filter: items": (inputs(x="4 3", t="3") + layer("Filter", "", "x t"), "the selector has 3 items"),
    "Filter: selector": (inputs(x="4 3", t="4 2") + layer("Filter", "", "x t"), "one value an item"),
    "Filter: gradient": (FORCE + PAIR + layer("Filter", "", "x t"), "gradient to its selector"),
    "SPP: axes": (PAIR + layer("SPP", "spp_param { pyramid_height: 2 }"), "must have 4 axes"),
    "SPP: too small": (X + layer("SPP", "spp_param { pyramid_height: 3 }"), "too small for 4 x 4 bins; lower"),
    "Multinomial: labels": (inputs(x="4 3", t="4 2") + layer("MultinomialLogisticLoss", "", "x t"), "needs 4 labels"),
    "Multinomial: items": (inputs(x="4 3", t="3") + layer("MultinomialLogisticLoss", "", "x t"), "needs 4 labels"),
    "Infogain: no matrix": (PAIR + layer("InfogainLoss", "", "x t"), "give infogain_loss_param { source } or a third"),
    "Infogain: no file": (
        PAIR + layer("InfogainLoss", "infogain_loss_param { source: '/no/file' }", "x t"),
        "'infogainloss'.*/no/file: no such file",
    ),
    "Infogain: matrix": (inputs(x="4 3", t="4", h="3 2") + layer("InfogainLoss", "", "x t h"), "3 classes need 3 x 3"),
    "Infogain: normalize": (
        GAIN + layer("InfogainLoss", "loss_param { normalize: true }", "x t h"),
        "not the old normalize",
    ),
    "Infogain: labels": (inputs(x="4 3", t="4 2", h="3 3") + layer("InfogainLoss", "", "x t h"), "4 labels are needed"),
    "Infogain: gradient": (
        FORCE + GAIN + layer("InfogainLoss", "", "x t h"),
        "can't send a gradient to its labels or to H",
    ),
    "Infogain: weights": (GAIN + layer("InfogainLoss", "", "x t h", "y p"), "each of its 2 tops"),
    "Softmax: weights": (PAIR + layer("SoftmaxWithLoss", "", "x t", "y p"), "loss_weight must be given once for each"),
    "Softmax: items": (inputs(x="2 3 4", t="8") + layer("SoftmaxWithLoss", "", "x t"), "must be as many"),
    "Contrastive: channels": (inputs(x="4 3", z="4 2", t="4") + layer("ContrastiveLoss", "", "x z t"), "one shape"),
    "Contrastive: image": (inputs(x="4 3 2", z="4 3 2", t="4") + layer("ContrastiveLoss", "", "x z t"), "one shape"),
    "Contrastive: labels": (inputs(x="4 3", z="4 3", t="4 3") + layer("ContrastiveLoss", "", "x z t"), "4 values"),
    "Stochastic: pad": (X + layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 pad: 1 }"), "MAX and A"),
    "Stochastic: mask": (
        X + layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }", "x", "y m"),
        "only MAX has a second top",
    ),
    "Parameter: bottom": (X + layer("Parameter", "parameter_param { shape { dim: 2 } }"), "takes 0 bottom"),
    "Clip: no max": (X + layer("Clip", "clip_param { min: 1 }"), "required field"),
    "MemoryData: no mean": (
        layer("MemoryData", f"{MEMORY} transform_param {{ mean_file: '/no/mean' }}", "", "x t"),
        "/no/mean: no such file",
    ),
    "MemoryData: two means": (
        layer("MemoryData", f"{MEMORY} transform_param {{ mean_file: '/m' mean_value: 1 }}", "", "x t"),
        "both mean_file and mean_value",
    ),
    "unknown type": (X + layer("Convolutoin"), "'convolutoin': 'Convolutoin'; did you mean 'Convolution'.*Tile"),
}


def rows(kind: str, param: str, *table: tuple) -> dict[str, tuple[str, str]]:
    """Refusals of one type; a row is (settings inside `param`, what is said[, source[, bottoms[, tops]]])."""
    return {
        f"{kind}: {settings or words}": _row(kind, f"{param} {{ {settings} }}" if param else settings, words, *rest)
        for settings, words, *rest in table
    }


def _row(kind: str, text: str, words: str, source: str = X, bottoms: str = "x", tops: str = "y") -> tuple[str, str]:
    return source + layer(kind, text, bottoms, tops), words


TWO, SAME = inputs(x="1 2 4 4", z="1 2 5 5"), inputs(x="2 3", z="2 3")
FC = "inner_product_param { num_output: 2 }"
OLDER = (
    rows(
        "Convolution",
        "convolution_param",
        ("kernel_size: 3", "num_output must be positive"),
        ("num_output: 2", "kernel_size must be given once or for each of 2 axes"),
        ("num_output: 2 kernel_size: 1 kernel_size: 1 kernel_size: 1", "once or for each of 2 axes"),
        ("num_output: 2 kernel_size: 1 group: 2", "3 channels can't be cut into 2 groups"),
        ("num_output: 2 kernel_size: 1 group: 3", "num_output 2 can't be cut into 3 groups"),
        ("num_output: 2 kernel_size: 9", "is larger than the bottom"),
        ("num_output: 2 kernel_size: 0", "must be positive"),
        ("num_output: 2 kernel_h: 1", "must be positive"),
        ("num_output: 2 kernel_size: 1 stride: 0", "stride .* must be positive"),
        ("num_output: 2 kernel_size: 1 kernel_h: 1 kernel_w: 1", "give either kernel_size or"),
        ("num_output: 1 kernel_size: 1", "bottoms differ in shape", TWO, "x z", "a b"),
        ("num_output: 1 kernel_size: 2", "takes as many tops as bottoms, not 1 for 2", TWO, "x z"),
        ('num_output: 2 kernel_size: 1 weight_filler { type: "nope" }', "unknown filler 'nope'"),
        ('num_output: 2 kernel_size: 1 weight_filler { type: "xavier" sparse: 2 }', "sparse is only for the gaussian"),
        ('num_output: 2 kernel_h: 2 kernel_w: 3 weight_filler { type: "bilinear" }', "needs a square kernel"),
    )
    | rows("Deconvolution", "convolution_param", ("kernel_size: 3", "num_output must be positive"))
    | rows(
        "Im2col",
        "convolution_param",
        ("stride: 1", "kernel_size must be given once or for each"),
        ("kernel_size: 0", "must be positive"),
        ("kernel_size: 1 stride: 0", "stride .* must be positive"),
        ("kernel_size: 9", "is larger than the bottom"),
        ("kernel_size: 1", "no spatial axis", PAIR),
        ("kernel_h: 1 kernel_w: 1 kernel_size: 1", "give either"),
    )
    | rows(
        "InnerProduct",
        "inner_product_param",
        ("", "num_output must be positive"),
        ("num_output: 2 axis: 4", "axis 4 is outside"),
        ('num_output: 2 bias_filler { type: "nope" }', "unknown filler 'nope'"),
    )
    | rows("InnerProduct", "", (f"{FC} param {{}} param {{}} param {{}}", "has 2 parameter .* but 3 param blocks"))
    | rows(
        "Pooling",
        "pooling_param",
        ("pool: MAX", "must be given and positive"),
        ("kernel_h: 2", "both kernel_h and kernel_w"),
        ("kernel_size: 2 kernel_h: 2 kernel_w: 2", "give either kernel_size or both"),
        ("kernel_size: 2 stride: 1 stride_h: 1 stride_w: 2", "give either stride or both"),
        ("kernel_size: 2 stride_h: 1", "both stride_h and stride_w"),
        ("kernel_size: 2 pad: 1 pad_h: 1 pad_w: 1", "give either pad or both"),
        ("kernel_size: 2 pad_w: 1", "both pad_h and pad_w"),
        ("kernel_size: 2 pad: 2", "must be smaller than the kernel"),
        ("global_pooling: true kernel_size: 2", "takes no kernel size"),
        ("global_pooling: true pad: 1", "takes stride 1 and pad 0 only"),
        ("kernel_size: 2", "must have 4 axes", PAIR),
        ("kernel_size: 3", "at most 2 top", X, "x", "a b c"),
        ("pool: AVE kernel_size: 2", "only MAX has a second top", X, "x", "a b"),
    )
    | rows("LRN", "lrn_param", ("local_size: 4", "must be odd, not 4"), ("", "must have 4 axes", PAIR))
    | rows(
        "Concat",
        "concat_param",
        ("", "all axes but 1 must agree", inputs(x="2 3 4", z="2 3 5"), "x z"),
        ("axis: 0", "bottoms have shapes", inputs(x="2 3 4", z="2 3"), "x z"),
        ("axis: 2", "axis 2 is outside", SAME, "x z"),
        ("axis: 1 concat_dim: 1", "either axis or concat_dim", SAME, "x z"),
    )
    | rows(
        "Slice",
        "slice_param",
        ("", "can't be cut into 2 equal", X, "x", "a b"),
        ("axis: 1", "into 4 equal", X, "x", "a b c d"),
        ("slice_point: 1", "1 slice points don't make 3", X, "x", "a b c"),
        ("slice_point: 2 slice_point: 1", "must rise", X, "x", "a b c"),
        ("slice_point: 5", "inside axis of size 3", X, "x", "a b"),
        ("axis: 1 slice_dim: 1", "either axis or slice_dim", X, "x", "a b c"),
    )
    | rows(
        "Eltwise",
        "eltwise_param",
        ("", "takes at least 2 bottom"),
        ("operation: MAX", "bottoms differ", inputs(x="2 3", z="2 4"), "x z"),
        ("coeff: 1", "coeff must be given for each of 2", SAME, "x z"),
        ("operation: PROD coeff: 1 coeff: 1", "coeff goes with SUM only", SAME, "x z"),
    )
    | rows(
        "Flatten",
        "flatten_param",
        ("axis: 3 end_axis: 1", "axis 3 lies behind end_axis 1"),
        ("axis: 4", "axis 4 is outside"),
        ("", "can't work in place", X, "x", "x"),
    )
    | rows(
        "Reshape",
        "reshape_param",
        ("shape { dim: 7 }", "can't be given the shape"),
        ("shape { dim: -1 dim: -1 }", "at most one dim may be -1"),
        ("shape { dim: 7 dim: -1 }", "can't be given"),
        ("shape { dim: -3 }", "can't be given"),
        ("shape { dim: 0 dim: 0 dim: 0 dim: 0 dim: 0 }", "dim 0 at 4 has no axis"),
        ("axis: 6 shape { dim: 1 }", "don't fit"),
        ("axis: 2 num_axes: 3 shape { dim: 1 }", "don't fit"),
        ("axis: 1 num_axes: -2 shape { dim: 1 }", "don't fit"),
        ("shape { dim: 0 dim: -1 }", "can't work in place", X, "x", "x"),
    )
    | rows(
        "ArgMax",
        "argmax_param",
        ("top_k: 61", "not in 1..60"),
        ("top_k: 4 axis: 1", "not in 1..3"),
        ("top_k: 0", "not in 1..60"),
        ("axis: 4", "axis 4 is outside"),
        ("", "has no gradient", FORCE + X),
    )
    | rows("Threshold", "", ("", "has no gradient", FORCE + X))
    | rows(
        "Accuracy",
        "accuracy_param",
        ("top_k: 4", "more than the 3 classes", PAIR, "x t"),
        ("", "4 labels are needed", inputs(x="4 3", t="3"), "x t"),
    )
    | rows("Softmax", "softmax_param", ("axis: 4", "axis 4 is outside"))
    | rows(
        "SoftmaxWithLoss",
        "",
        ("", "takes 2 bottom"),
        ("loss_weight: 1", "4 labels are needed", inputs(x="4 3", t="3"), "x t"),
        ("loss_weight: 1 loss_weight: 1", "each of its 1 tops, not 2 times", PAIR, "x t"),
    )
    | rows(
        "EuclideanLoss",
        "",
        ("", "shapes differ", inputs(x="4 3", t="4 2"), "x t"),
        ("loss_weight: 1", "must be as many", inputs(x="4 3", t="3 4"), "x t"),
    )
    | rows(
        "SigmoidCrossEntropyLoss",
        "",
        ("", "shapes differ", inputs(x="4 3", t="4 2"), "x t"),
        ("loss_weight: 1 loss_weight: 0", "takes 1 top", inputs(x="4 3", t="4 3"), "x t", "y p"),
    )
    | rows("HingeLoss", "", ("", "must be as many", inputs(x="4 3", t="3"), "x t"))
    | rows("PReLU", "", ("", "at least 2 axes", inputs(x="4")))
    | rows("Exp", "exp_param", ("base: -2", "base must be positive"), ("base: 0", "base must be positive"))
    | rows("Log", "log_param", ("base: -2", "base must be positive"), ("base: 1", "and not 1"))
    | rows("AbsVal", "", ("", "can't work in place", X, "x", "x"))
    | rows(
        "BatchNorm",
        "",
        ("param { lr_mult: 1 }", "set lr_mult 0"),
        ("param {}", "set lr_mult 0"),
        ("param { lr_mult: 0 } param { decay_mult: 0 }", "set lr_mult 0"),
        ("param { lr_mult: 0 } " * 3 + "param { lr_mult: 0 }", "has 3 parameter .* but 4 param blocks"),
    )
    | rows(
        "Scale",
        "scale_param",
        ("axis: 5", "axis 5 is outside"),
        ("axis: 2 num_axes: 3", "is more than shape"),
        ("num_axes: -2", "must be -1 .* or more"),
        ("", "doesn't fit", inputs(x="2 3 4", z="4"), "x z"),
    )
    | rows(
        "Bias",
        "bias_param",
        ("axis: 2 num_axes: 3", "is more than shape"),
        ("num_axes: -2", "must be -1"),
        ("axis: 0", "doesn't fit", inputs(x="2 3 4", z="2 4"), "x z"),
    )
    | rows(
        "DummyData",
        "dummy_data_param",
        ("", "needs one shape", "", "", "a"),
        ("shape { dim: 1 } shape { dim: 1 }", "one for each of 3", "", "", "a b c"),
        ("shape { dim: 1 } data_filler {} data_filler {}", "needs one data_filler", "", "", "a b c"),
    )
    | rows(
        "Input",
        "input_param",
        ("shape { dim: 1 } shape { dim: 1 }", "one for each of 3 tops", "", "", "a b c"),
        ("shape { dim: 1 }", "takes 0 bottom"),
        ("shape { dim: -1 }", "no negative size", "", "", "a"),
        (f"shape {{{' dim: 1' * 33} }}", "up to 32 axes", "", "", "a"),
    )
    | rows("Split", "", ("", "takes at least 1 top", X, "x", ""))
    | rows("Silence", "", ("", "takes 0 top"))
    | rows("Dropout", "", ("", "takes 1 top", X, "x", "y z"))
    | rows("ELU", "", ("", "takes 1 bottom", X, "x x"))
    | rows(
        "ReLU",
        "",
        ("", "takes 1 bottom blob.s., not 0", X, ""),
        ("propagate_down: true propagate_down: true", "none or for each of its 1 bottoms"),
        ("include { phase: TRAIN } exclude { phase: TEST }", "not both"),
        ("loss_weight: 1 loss_weight: 1", "each of its 1 tops"),
        ("", "unknown bottom blob 'z'", X, "z"),
    )
    | {
        "top made twice": (X + layer("ReLU") + layer("ReLU", "", "x", "y", "b"), "'b'.*already made by another layer"),
        "shared shapes": (
            X
            + layer("InnerProduct", f"{FC} param {{ name: 'w' }}", "x", "a", "a")
            + layer("InnerProduct", f"{FC} param {{ name: 'w' }}", "a", "b", "b"),
            "'b'.*cannot share",
        ),
        "shared rates": (
            X
            + layer("InnerProduct", f"{FC} param {{ name: 'w' lr_mult: 1 }}", "x", "a", "a")
            + layer("InnerProduct", f"{FC} param {{ name: 'w' lr_mult: 2 }}", "x", "b", "b"),
            "'b'.*lr_mult 2 here and 1",
        ),
    }
)
REFUSED = NEWER | OLDER

# Beyond Caffe, which goes on with values from outside its blobs, or with a setting that can't be meant.
STRICTER = {
    "Embed: index": (PAIR + layer("Embed", "embed_param { input_dim: 3 num_output: 2 }", "t"), "must lie in 0..2"),
    "Multinomial: label": (PAIR + layer("MultinomialLogisticLoss", "", "x t"), "labels must lie in 0..2"),
    "Infogain: label": (GAIN + layer("InfogainLoss", "", "x t h"), "labels must lie in 0..2"),
    "Clip: swapped": (X + layer("Clip", "clip_param { min: 1 max: 0 }"), "min 1 is above max 0"),
    "Clip: nothing": (X + layer("Clip"), "needs clip_param"),
    "SPP: no height": (X + layer("SPP"), "pyramid_height must be positive"),
    "Contrastive: few": (inputs(x="4 3", z="4 3", t="3") + layer("ContrastiveLoss", "", "x z t"), "needs 4 values"),
}
