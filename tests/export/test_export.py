"""Exports: ONNX Runtime and PyTorch compute what the engine does; safetensors hold the blobs; errors are one line."""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pycaffe_ext import nets
from pycaffe_ext.donor import DONOR, images, recipe
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.errors import UserError
from pycaffe_ext.export import safetensors, source
from pycaffe_ext.export.source import Preparation
from pycaffe_ext.proto import array_to_blob, caffe_pb2, parse, read_blobs, write_mean, write_weights, write_weights_h5

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
stored = pytest.importorskip("safetensors")

from pycaffe_ext.export import onnx as export  # noqa: E402
from pycaffe_ext.export import pytorch  # noqa: E402
from pycaffe_ext.export.layers.registry import EMITTERS  # noqa: E402

ROOT = Path(__file__).parents[2]
SQUEEZENET = ROOT.parent / "shared" / "weights" / "squeezenet_v1.1_imagenet.caffemodel"
TOLERANCE = 1e-5  # of a blob's largest value

Nets = Iterator[tuple[str, tuple[tuple[int, ...], ...], str]]


def layer(kind: str, parameters: str = "", bottoms: int = 1, tops: int = 1) -> str:
    """A layer that reads in0, in1, ... and makes out0, out1, ..."""
    ends = "".join(f' bottom: "in{i}"' for i in range(bottoms)) + "".join(f' top: "out{i}"' for i in range(tops))
    return f'layer {{ name: "it" type: "{kind}"{ends} {parameters} }}'


WINDOWS = ((2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 1), (5, 3, 2), (3, 3, 0), (4, 3, 3), (2, 2, 1))
PADDED_ROWS = (
    (1, 2, (7, 4)),
    (1, 4, (7, 4)),
    (2, 5, (7, 10)),
)  # kernel_w, stride_w, size: a column less than rounded up


def windows() -> Nets:
    """Pooling whose last windows are cut, dropped, padded or exact; both sizes odd and even."""
    for size in ((7, 7), (8, 5), (13, 6)):
        for kernel, stride, pad in WINDOWS:
            for kind in ("MAX", "AVE"):
                text = f"pool: {kind} kernel_size: {kernel} stride: {stride} pad: {pad}"
                yield f"pool {size} {text}", ((2, 3, *size),), layer("Pooling", f"pooling_param {{ {text} }}")
    for text in (
        "pool: AVE kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 0",
        "pool: MAX kernel_h: 2 kernel_w: 4 stride_h: 1 stride_w: 3 pad_h: 1 pad_w: 2",
        "pool: AVE global_pooling: true",
        "pool: MAX global_pooling: true",
        "pool: AVE kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR",
    ):
        yield f"pool {text}", ((2, 3, 8, 9),), layer("Pooling", f"pooling_param {{ {text} }}")
    for kind, (kernel, stride, size) in itertools.product(("MAX", "AVE"), PADDED_ROWS):
        text = f"pool: {kind} kernel_h: 3 kernel_w: {kernel} stride_h: 2 stride_w: {stride} pad_h: 1 pad_w: 0"
        yield f"pool {size} {text}", ((2, 3, *size),), layer("Pooling", f"pooling_param {{ {text} }}")


def weighted() -> Nets:
    convolutions = (
        "num_output: 4 kernel_size: 3",
        "num_output: 6 kernel_size: 3 group: 3 pad: 1 stride: 2",
        "num_output: 4 kernel_size: 3 dilation: 2 pad: 2 bias_term: false",
        "num_output: 2 kernel_h: 1 kernel_w: 4 pad_h: 0 pad_w: 2 stride_h: 1 stride_w: 3",
        "num_output: 4 kernel_size: 2 kernel_size: 3 stride: 2 stride: 1 dilation: 1 dilation: 2",
    )
    for kind in ("Convolution", "Deconvolution"):
        for text in convolutions:
            if kind == "Convolution" or "group: 3" not in text:
                yield f"{kind} {text}", ((2, 3, 9, 10),), layer(kind, f"convolution_param {{ {text} }}")
        yield (
            f"{kind} twice",
            ((1, 2, 5, 5),) * 2,
            layer(kind, "convolution_param { num_output: 2 kernel_size: 3 group: 2 }", 2, 2),
        )
    yield (
        "Deconvolution groups",
        ((2, 6, 4, 5),),
        layer("Deconvolution", "convolution_param { num_output: 4 kernel_size: 4 group: 2 stride: 2 pad: 1 }"),
    )
    yield (
        "Convolution 3-d",
        ((1, 2, 5, 6, 7),),
        layer("Convolution", "convolution_param { num_output: 3 kernel_size: 3 pad: 1 stride: 2 }"),
    )
    for text in (
        "num_output: 5",
        "num_output: 5 bias_term: false transpose: true",
        "num_output: 4 axis: 2",
        "num_output: 4 axis: -1",
    ):
        yield f"fc {text}", ((2, 3, 4, 5),), layer("InnerProduct", f"inner_product_param {{ {text} }}")


def elementwise() -> Nets:
    for kind, text in (
        ("ReLU", ""),
        ("ReLU", "relu_param { negative_slope: 0.1 }"),
        ("PReLU", ""),
        ("Sigmoid", ""),
        ("TanH", ""),
        ("PReLU", "prelu_param { channel_shared: true }"),
        ("ELU", "elu_param { alpha: 0.7 }"),
        ("AbsVal", ""),
        ("Power", "power_param { power: 2 scale: 0.5 shift: 3 }"),
        ("Power", "power_param { scale: -2 }"),
        ("Power", "power_param { power: 3 }"),
        ("Exp", ""),
        ("Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }"),
        ("BNLL", ""),
        ("Threshold", "threshold_param { threshold: 0.2 }"),
        ("Clip", "clip_param { min: -0.5 max: 0.3 }"),
        ("Swish", "swish_param { beta: 1.5 }"),
        ("Dropout", "dropout_param { dropout_ratio: 0.4 }"),
    ):
        yield f"{kind} {text}", ((2, 3, 4, 5),), layer(kind, text)
    squared = 'layer { name: "sq" type: "Power" bottom: "in0" top: "sq" power_param { power: 2 shift: 3 } } '
    for text in ("", "log_param { base: 10 scale: 2 shift: 1 }"):
        yield f"Log {text}", ((2, 3),), squared + layer("Log", text).replace('"in0"', '"sq"')
    for text in ("operation: SUM", "operation: SUM coeff: 1 coeff: -0.5 coeff: 2", "operation: PROD", "operation: MAX"):
        yield f"Eltwise {text}", ((2, 3, 4),) * 3, layer("Eltwise", f"eltwise_param {{ {text} }}", 3)


def normalizing() -> Nets:
    four, shape = ((2, 6, 5, 7),), ((2, 3, 4, 5),)
    for text in (
        "local_size: 5 alpha: 0.5 beta: 0.75 k: 2",
        "local_size: 3 alpha: 1 beta: 0.5",
        "local_size: 3 alpha: 2 beta: 0.75 norm_region: WITHIN_CHANNEL",
    ):
        yield f"LRN {text}", four, layer("LRN", f"lrn_param {{ {text} }}")
    yield "BatchNorm", shape, layer("BatchNorm", "batch_norm_param { eps: 0.01 }")
    yield "BatchNorm 2-d", ((4, 3),), layer("BatchNorm")
    for text in (
        "",
        "bias_term: true",
        "axis: 0 num_axes: 2",
        "axis: 2",
        "axis: 1 num_axes: -1 bias_term: true",
        "num_axes: 0",
    ):
        yield f"Scale {text}", shape, layer("Scale", f"scale_param {{ {text} }}")
    yield "Scale by a blob", ((2, 3, 4, 5), (3, 4)), layer("Scale", "scale_param { axis: 1 bias_term: true }", 2)
    yield "Bias", shape, layer("Bias")
    yield "Bias by a blob", ((2, 3, 4), (2, 3)), layer("Bias", "bias_param { axis: 0 }", 2)
    for text in ("", "across_channels: true", "normalize_variance: false"):
        yield f"MVN {text}", shape, layer("MVN", f"mvn_param {{ {text} }}")
    for axis in (1, -1, 2):
        yield f"Softmax {axis}", shape, layer("Softmax", f"softmax_param {{ axis: {axis} }}")


def shaping() -> Nets:
    shape = ((2, 6, 4, 5),)
    yield "Concat", ((2, 3, 4), (2, 5, 4)), layer("Concat", "", 2)
    yield "Concat axis", ((2, 3, 4), (2, 3, 1)), layer("Concat", "concat_param { axis: -1 }", 2)
    yield "Slice", shape, layer("Slice", "", 1, 3)
    yield "Slice points", shape, layer("Slice", "slice_param { axis: 2 slice_point: 1 slice_point: 2 }", 1, 3)
    yield "Slice one", shape, layer("Slice")
    for text in ("", "axis: 2", "axis: 1 end_axis: 2", "axis: -2"):
        yield f"Flatten {text}", shape, layer("Flatten", f"flatten_param {{ {text} }}")
    for text in (
        "shape { dim: 0 dim: -1 }",
        "shape { dim: 3 dim: 2 dim: 0 } axis: 1 num_axes: 2",
        "shape { dim: 1 dim: 1 } axis: -1 num_axes: 0",
        "shape { dim: -1 } axis: 2",
    ):
        if "num_axes: 2" in text:
            text = "shape { dim: 3 dim: 8 } axis: 1 num_axes: 2"
        yield f"Reshape {text}", shape, layer("Reshape", f"reshape_param {{ {text} }}")
    yield "Crop", ((2, 3, 8, 9), (2, 3, 4, 5)), layer("Crop", "crop_param { offset: 2 }", 2)
    each = "crop_param { axis: 1 offset: 1 offset: 0 offset: 4 }"
    yield "Crop each", ((2, 3, 8, 9), (1, 2, 4, 5)), layer("Crop", each, 2)
    yield "Tile", shape, layer("Tile", "tile_param { axis: 2 tiles: 3 }")
    for kind in ("SUM", "ASUM", "SUMSQ", "MEAN"):
        text = f"reduction_param {{ operation: {kind} axis: 1 coeff: 0.5 }}"
        yield f"Reduction {kind}", shape, layer("Reduction", text)
    yield "Reduction to one", shape, layer("Reduction")
    yield "Reduction to one, times 2", shape, layer("Reduction", "reduction_param { coeff: 2 }")
    yield "Split", shape, layer("Split", "", 1, 2)


def whole() -> Nets:
    yield (
        "in place, on the input too",
        ((2, 3, 4, 4),),
        """
      layer { name: "r0" type: "ReLU" bottom: "in0" top: "in0" }
      layer { name: "c" type: "Convolution" bottom: "in0" top: "c" convolution_param { num_output: 2 kernel_size: 3 } }
      layer { name: "n" type: "Power" bottom: "c" top: "c" power_param { scale: 2 } }
      layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
      layer { name: "d" type: "Dropout" bottom: "c" top: "c" }""",
    )
    yield (
        "shared weights",
        ((2, 4),) * 2,
        """
      layer { name: "a" type: "InnerProduct" bottom: "in0" top: "a" param { name: "w" } param { name: "b" }
              inner_product_param { num_output: 3 } }
      layer { name: "b" type: "InnerProduct" bottom: "in1" top: "b" param { name: "w" } param { name: "b" }
              inner_product_param { num_output: 3 } }""",
    )
    yield (
        "training only",
        ((2, 4),),
        """
      layer { name: "x" type: "Python" bottom: "in0" top: "x" include { phase: TRAIN } }
      layer { name: "s" type: "Silence" bottom: "in0" }
      layer { name: "t" type: "TanH" bottom: "in0" top: "t" include { phase: TEST } }""",
    )


CASES = [case for family in (windows, weighted, elementwise, normalizing, shaping, whole) for case in family()]


def build(text: str, shapes: tuple[tuple[int, ...], ...]) -> Net:
    """The embedded engine's net in the TEST phase, with random parameters."""
    tops = " ".join(f'top: "in{i}"' for i in range(len(shapes)))
    dims = " ".join("shape {" + "".join(f" dim: {n}" for n in shape) + " }" for shape in shapes)
    text = f'name: "n" layer {{ name: "input" type: "Input" {tops} input_param {{ {dims} }} }} {text}'
    net = Net(parse(text, caffe_pb2.NetParameter()), caffe_pb2.TEST)
    rng = np.random.default_rng(1)
    for one in net.layers:
        for blob in one.blobs:
            values = np.asarray(rng.standard_normal(tuple(blob.shape)) * 0.5, np.float32)
            blob.data.copy_(torch.from_numpy(np.abs(values) + np.float32(0.5) if one.type == "BatchNorm" else values))
    return net, text


def save(net: Net, text: str, folder: Path) -> tuple[Path, Path]:
    weights = caffe_pb2.NetParameter(name="n")
    for one in net.layers:
        blobs = [array_to_blob(blob.data.numpy()) for blob in one.blobs]
        weights.layer.add(name=one.name, type=one.type, blobs=blobs)
    write_weights(folder / "w.caffemodel", weights)
    (folder / "n.prototxt").write_text(text)
    return folder / "n.prototxt", folder / "w.caffemodel"


def run(model: bytes, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    wanted = {value.name for value in session.get_inputs()}
    return dict(zip(names, session.run(names, {name: inputs[name] for name in wanted}), strict=True))


def compare(net: Net, model: bytes, inputs: dict[str, np.ndarray]) -> None:
    for name, array in inputs.items():
        net.blobs[name].data = torch.from_numpy(array.copy())
    net.forward()
    agree(net, run(model, inputs))


def agree(net: Net, found: Mapping[str, Any]) -> None:
    """Outputs, arrays or tensors, are the engine's."""
    assert {name.split("@")[0].rstrip("'") for name in found} == set(net.outputs)
    for name, array in found.items():
        array, wanted = np.asarray(array), net.blobs[name.split("@")[0].rstrip("'")].data.numpy()
        assert array.shape == wanted.shape and array.dtype == np.float32
        assert np.abs(array - wanted).max() <= TOLERANCE * np.abs(wanted).max(), name


@pytest.mark.parametrize(("shapes", "text"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_onnx_and_pytorch_compute_what_the_engine_computes(
    shapes: tuple[tuple[int, ...], ...], text: str, tmp_path: Path
) -> None:
    net, text = build(text, shapes)
    exported = source.read(*save(net, text, tmp_path))
    rng = np.random.default_rng(2)
    inputs = {f"in{i}": rng.standard_normal(shape).astype(np.float32) for i, shape in enumerate(shapes)}
    compare(net, export.to_model(exported, Preparation()).SerializeToString(), inputs)
    found = pytorch.module(exported)(*map(torch.from_numpy, inputs.values()))
    names = [value.name for value in export.graph_of(exported).outputs()]
    agree(net, dict(zip(names, found if isinstance(found, tuple) else (found,), strict=True)))


def test_every_layer_that_can_be_exported_has_a_case() -> None:
    cases = "".join(text for _, _, text in CASES)
    assert {name for name in EMITTERS if f'type: "{name}"' not in cases} == {"Input"}


def deployed(param: caffe_pb2.NetParameter, weights: Path, folder: Path, batch: np.ndarray) -> None:
    """The exported net's probabilities are the engine's."""
    (folder / "deploy.prototxt").write_text(str(param))
    model = export.to_model(source.read(folder / "deploy.prototxt", weights), Preparation())
    net = Net(param, caffe_pb2.TEST)
    for one in net.layers:
        for blob, array in zip(one.blobs, read_blobs(weights).get(one.name, []), strict=False):
            blob.data.copy_(torch.from_numpy(array.reshape(tuple(blob.shape))))
    compare(net, model.SerializeToString(), {"data": batch})


def test_alexnet_with_the_embedded_donor(tmp_path: Path) -> None:
    batch = images.image(0, 2_000_000, recipe.SIDE).transpose(2, 0, 1)[None]
    classes = len(read_blobs(DONOR)["fc8_donor"][1])
    param = nets.deploy(recipe.net_spec(recipe.Recipe(), classes, tmp_path, ()))
    deployed(param, DONOR, tmp_path, (batch.astype(np.float32) - 120) * np.float32(recipe.SCALE))


@pytest.mark.skipif(not SQUEEZENET.exists(), reason="needs the weights beside the checkout")
def test_squeezenet_with_real_weights(tmp_path: Path) -> None:
    spec = nets.NetSpec(app="polyp", scheme="ft-fire5", classes=1000, arch="squeezenet")
    text = str(nets.deploy(spec)).replace("conv10_polyp", "conv10")
    batch = np.random.default_rng(0).uniform(-110, 140, (1, 3, 227, 227)).astype(np.float32)
    deployed(parse(text, caffe_pb2.NetParameter()), SQUEEZENET, tmp_path, batch)


@pytest.mark.parametrize("arch", ["lenet", pytest.param("googlenet", marks=pytest.mark.slow)])
def test_generated_nets(arch: str, tmp_path: Path) -> None:
    spec = nets.NetSpec(app="polyp", scheme="scratch", classes=4, arch=arch)
    param = nets.deploy(spec)
    net = Net(param, caffe_pb2.TEST)
    _, weights = save(net, str(param), tmp_path)
    shape = tuple(param.layer[0].input_param.shape[0].dim)
    deployed(param, weights, tmp_path, np.random.default_rng(0).standard_normal(shape).astype(np.float32))


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    text = layer("Convolution", "convolution_param { num_output: 2 kernel_size: 3 }") + (
        ' layer { name: "norm" type: "BatchNorm" bottom: "out0" top: "out0" }'
    )
    return save(*build(text, ((1, 3, 5, 5),)), tmp_path)


def test_hdf5_weights_give_the_same_model(small: tuple[Path, Path], tmp_path: Path) -> None:
    write_weights_h5(tmp_path / "w.caffemodel.h5", read_blobs(small[1]))
    paths = (small[1], tmp_path / "w.caffemodel.h5")
    one, other = (export.to_model(source.read(small[0], path), Preparation()) for path in paths)
    assert one == other


def test_preparation_travels_as_metadata(small: tuple[Path, Path], tmp_path: Path) -> None:
    mean = np.random.default_rng(0).uniform(0, 255, (3, 5, 5)).astype(np.float32)
    write_mean(tmp_path / "mean.binaryproto", mean)
    order = [sys.executable, ROOT / "tools" / "export.py", *small, tmp_path / "out.onnx"]
    order += ["-mean_file", tmp_path / "mean.binaryproto", "-scale=0.00390625"]
    subprocess.run(list(map(str, order)), check=True)
    found = {prop.key: prop.value for prop in onnx.load(tmp_path / "out.onnx").metadata_props}
    assert found["channel_order"] == "BGR" and float(found["scale"]) == 0.00390625
    np.testing.assert_allclose(json.loads(found["mean_value"]), mean.mean(axis=(1, 2)), rtol=1e-6)
    image = np.frombuffer(base64.b64decode(found["mean_image_float32_base64"]), "<f4")
    np.testing.assert_array_equal(image.reshape(json.loads(found["mean_image_shape"])), mean)


def test_safetensors_hold_every_blob_and_the_prototxt(small: tuple[Path, Path], tmp_path: Path) -> None:
    safetensors.write(source.read(*small), tmp_path / "out.safetensors", source.preparation(mean_value="104,117,123"))
    with stored.safe_open(tmp_path / "out.safetensors", "numpy") as file:
        found, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    blobs = read_blobs(small[1])
    assert sorted(found) == ["it.bias", "it.weight", "norm.mean", "norm.scale_factor", "norm.variance"]
    np.testing.assert_array_equal(found["it.weight"], blobs["it"][0])
    np.testing.assert_array_equal(found["norm.scale_factor"], blobs["norm"][2])
    assert json.loads(metadata["mean_value"]) == [104, 117, 123]
    assert parse(metadata["prototxt"], caffe_pb2.NetParameter()).layer[1].name == "it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer("Embed", "embed_param { num_output: 2 input_dim: 3 }"), "layer 'it': type 'Embed' can't be exported"),
        (layer("Convolution", "convolution_param { num_output: 9 kernel_size: 3 }"), "weights hold shape .* needs"),
        (layer("InnerProduct", "inner_product_param { num_output: 9 }").replace('"it"', '"new"'), "0 of its 2 blobs"),
        (layer("ReLU").replace("in0", "nothing"), "no layer before it makes its bottom 'nothing'"),
        (layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"), "only MAX and AVE"),
        (layer("Pooling", "pooling_param { kernel_size: 1 stride: 7 }"), "outside an image"),
        (layer("BatchNorm", "batch_norm_param { use_global_stats: false }"), "statistics of the batch"),
        (layer("Reshape", "reshape_param { shape { dim: 7 } }"), "can't become"),
        (layer("Concat", "concat_param { axis: 7 }"), "has no axis 7"),
    ],
)
def test_what_has_no_onnx_form_names_the_layer(
    text: str, message: str, small: tuple[Path, Path], tmp_path: Path
) -> None:
    head = 'layer { name: "input" type: "Input" top: "in0" input_param { shape { dim: 1 dim: 3 dim: 5 dim: 5 } } } '
    (tmp_path / "bad.prototxt").write_text(head + text)
    with pytest.raises(UserError, match=message):
        export.write(source.read(tmp_path / "bad.prototxt", small[1]), tmp_path / "out.onnx", Preparation())
    assert not (tmp_path / "out.onnx").exists()


def test_a_training_net_and_bad_numbers_are_refused(small: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "train.prototxt").write_text('layer { name: "d" type: "Data" top: "x" }')
    with pytest.raises(UserError, match="layer 'd': type 'Data'"):
        export.to_model(source.read(tmp_path / "train.prototxt", small[1]), Preparation())
    for wrong in ({"mean_value": "1,two"}, {"scale": "nan"}, {"mean_file": "a", "mean_value": "1"}):
        with pytest.raises(UserError):
            source.preparation(**wrong)
    order = [sys.executable, ROOT / "tools" / "export.py", *small, tmp_path / "out.pb"]
    done = subprocess.run(list(map(str, order)), capture_output=True, text=True, check=False)
    named = "train.prototxt:1: layer 'd': type 'Data' can't be exported"
    train = [*order[:2], tmp_path / "train.prototxt", small[1], tmp_path / "out.onnx"]
    assert named in subprocess.run(list(map(str, train)), capture_output=True, text=True, check=False).stderr
    assert done.returncode == 1 and "unknown ending of the output '.pb'" in done.stderr
