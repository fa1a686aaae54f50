"""What the genuine engine aborts on, this one refuses in one line: nets, solvers, weights, commands."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from refusals import REFUSED
from solver_lab import prepare, run_ours, solver_text

from oracle import Group, Outcome
from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root
from pycaffe_ext.proto import write_mean
from pycaffe_ext.training.log import last_words

TIME = ("time", "-model=net.prototxt", "-iterations=1")
TEST = ("test", "-model=net.prototxt", "-iterations=1")
TRAIN = ("train", "-solver=solver.prototxt", "-weights=init.caffemodel")
SECONDS = 60  # neither engine needs more to refuse

INPUT = """layer { name: "in" type: "Input" top: "x" top: "t" top: "z"
  input_param { shape { dim: 2 dim: 4 dim: 5 dim: 6 } shape { dim: 2 } shape { dim: 2 dim: 3 dim: 5 dim: 6 } } }
"""
CONV = 'type: "Convolution" bottom: "x" top: "y" convolution_param'
POOL = 'type: "Pooling" bottom: "x" top: "y" pooling_param'
FC = 'type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 }'
FC2 = 'layer { name: "m" type: "InnerProduct" bottom: "y" top: "w" inner_product_param { num_output: 3 }'
DATA = 'type: "Data" top: "d" data_param { source: "train" backend: LMDB batch_size: 2 } transform_param'
TWO = 'bottom: "x" bottom: "z" top: "y"'


@dataclass(frozen=True)
class Row:
    """One command of `caffe` in a folder made by solver_lab.prepare, with one thing wrong.

    net: another net; swap: (old, new) in the lab's net;
    solver: settings of the lab's solver that are changed; cut: a file that loses its end.
    """

    name: str
    command: tuple[str, ...] = TIME
    net: str = ""
    swap: tuple[str, str] = ("", "")
    solver: dict[str, object] = field(default_factory=dict)
    cut: str = ""


LAYERS = {
    "unknown layer type": 'type: "Convolusion" bottom: "x" top: "y"',
    "no layer type": 'bottom: "x" top: "y"',
    "missing bottom": FC.replace('"x"', '"nothing"'),
    "duplicate top": FC.replace('"y"', '"t"'),
    "in place where it can't be": FC.replace('"y"', '"x"'),
    "too few bottoms": 'type: "SoftmaxWithLoss" bottom: "x" top: "y"',
    "too many bottoms": 'type: "ReLU" bottom: "x" bottom: "z" top: "y"',
    "too many tops": FC.replace('top: "y"', 'top: "y" top: "w"'),
    "no top": FC.replace('top: "y"', ""),
    "unknown field": FC.replace("num_output", "num_outputs"),
    "text for a number": FC.replace("3", '"three"'),
    "unknown value of an enum": f"{POOL} {{ pool: MIN kernel_size: 2 }}",
    "brace not closed": FC + " }",
    "no num_output": f"{CONV} {{ kernel_size: 3 }}",
    "num_output 0": f"{CONV} {{ num_output: 0 kernel_size: 3 }}",
    "no kernel_size": f"{CONV} {{ num_output: 2 }}",
    "kernel_size 0": f"{CONV} {{ num_output: 2 kernel_size: 0 }}",
    "kernel_size and kernel_h": f"{CONV} {{ num_output: 2 kernel_size: 3 kernel_h: 3 kernel_w: 3 }}",
    "three kernel sizes for two axes": f"{CONV} {{ num_output: 2 kernel_size: 3 kernel_size: 3 kernel_size: 3 }}",
    "stride 0": f"{CONV} {{ num_output: 2 kernel_size: 3 stride: 0 }}",
    "channels not divided by group": f"{CONV} {{ num_output: 3 kernel_size: 1 group: 3 }}",
    "num_output not divided by group": f"{CONV} {{ num_output: 3 kernel_size: 1 group: 2 }}",
    "kernel larger than the image": f"{CONV} {{ num_output: 3 kernel_size: 9 }}",
    "pad as large as the window": f"{POOL} {{ kernel_size: 2 pad: 2 }}",
    "pooling without a window": f"{POOL} {{ pool: MAX }}",
    "global pooling with a window": f"{POOL} {{ global_pooling: true kernel_size: 2 }}",
    "pooling of two axes": 'type: "Pooling" bottom: "t" top: "y" pooling_param { kernel_size: 2 }',
    "even local_size": 'type: "LRN" bottom: "x" top: "y" lrn_param { local_size: 4 }',
    "Concat of unlike shapes": f'type: "Concat" {TWO} concat_param {{ axis: 2 }}',
    "Concat axis out of range": f'type: "Concat" {TWO} concat_param {{ axis: 4 }}',
    "Concat axis and concat_dim": f'type: "Concat" {TWO} concat_param {{ axis: 1 concat_dim: 1 }}',
    "Eltwise of unlike shapes": f'type: "Eltwise" {TWO}',
    "Eltwise coefficients": 'type: "Eltwise" bottom: "x" bottom: "x" top: "y" eltwise_param { coeff: 1 }',
    "Eltwise PROD with coefficients": 'type: "Eltwise" bottom: "x" bottom: "x" top: "y" eltwise_param'
    " { operation: PROD coeff: 1 coeff: 1 }",
    "Slice not divisible": 'type: "Slice" bottom: "x" top: "y" top: "w" top: "v"',
    "Slice points": 'type: "Slice" bottom: "x" top: "y" top: "w" slice_param { slice_point: 1 slice_point: 2 }',
    "Slice points not rising": 'type: "Slice" bottom: "x" top: "y" top: "w" top: "v" slice_param'
    " { slice_point: 3 slice_point: 1 }",
    "Reshape to another count": 'type: "Reshape" bottom: "x" top: "y" reshape_param { shape { dim: 7 dim: 7 } }',
    "Reshape with two unknowns": 'type: "Reshape" bottom: "x" top: "y" reshape_param { shape { dim: -1 dim: -1 } }',
    "Reshape copying an axis that is not there": 'type: "Reshape" bottom: "t" top: "y" reshape_param'
    " { shape { dim: 1 dim: 2 dim: 0 } }",
    "Flatten backwards": 'type: "Flatten" bottom: "x" top: "y" flatten_param { axis: 3 end_axis: 1 }',
    "Scale by an unlike bottom": f'type: "Scale" {TWO} scale_param {{ axis: 0 }}',
    "Bias by an unlike bottom": f'type: "Bias" {TWO} bias_param {{ axis: 0 }}',
    "BatchNorm that learns its statistics": 'type: "BatchNorm" bottom: "x" top: "y" param { lr_mult: 1 }',
    "labels of another count": 'type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "y"',
    "Accuracy labels of another count": 'type: "Accuracy" bottom: "x" bottom: "t" top: "y"',
    "top_k above the classes": 'type: "ArgMax" bottom: "x" top: "y" argmax_param { axis: 1 top_k: 5 }',
    "EuclideanLoss of unlike shapes": 'type: "EuclideanLoss" bottom: "x" bottom: "z" top: "y"',
    "SigmoidCrossEntropyLoss of unlike shapes": 'type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "z" top: "y"',
    "softmax axis out of range": 'type: "Softmax" bottom: "x" top: "y" softmax_param { axis: 4 }',
    "three param blocks for two blobs": FC + " param {} param {} param {}",
    "propagate_down for two": FC + " propagate_down: true propagate_down: true",
    "loss_weight for two": FC + " loss_weight: 1 loss_weight: 0",
    "include and exclude": FC + " include { phase: TRAIN } exclude { phase: TEST }",
    "unknown filler": f'{CONV} {{ num_output: 2 kernel_size: 1 weight_filler {{ type: "xaver" }} }}',
    "bilinear filler on unlike sides": f"{CONV} {{ num_output: 2 kernel_h: 2 kernel_w: 3"
    ' weight_filler { type: "bilinear" } }',
    "shared parameters of unlike shapes": FC + ' param { name: "w" } } ' + FC2 + ' param { name: "w" }',
    "shared permissively, unlike counts": FC
    + ' param { name: "w" } } '
    + FC2
    + ' param { name: "w" share_mode: PERMISSIVE }',
    "lr_mult conflict of shared parameters": FC
    + ' param {} param { name: "b" lr_mult: 1 } } '
    + FC2
    + ' param {} param { name: "b" lr_mult: 2 }',
    "decay_mult conflict of shared parameters": FC
    + ' param {} param { name: "b" decay_mult: 1 } } '
    + FC2
    + ' param {} param { name: "b" decay_mult: 0 }',
    "shapes for some tops only": 'type: "Input" top: "a" top: "b" top: "c" input_param { shape { dim: 1 }'
    " shape { dim: 1 } }",
    "fillers for some tops only": 'type: "DummyData" top: "a" top: "b" top: "c" dummy_data_param { shape { dim: 1 }'
    " data_filler {} data_filler {} }",
    "batch size 0": DATA.replace("batch_size: 2", "") + " {}",
    "no such database": DATA.replace('"train"', '"nosuch"') + " {}",
    "crop larger than the image": DATA + " { crop_size: 10 }",
    "mean_file and mean_value": DATA + ' { mean_file: "mean.binaryproto" mean_value: 1 }',
    "two mean_values for three channels": DATA + " { mean_value: 1 mean_value: 2 }",
    "no such mean_file": DATA + ' { mean_file: "nosuch.binaryproto" }',
    "mean_file of another size": DATA + ' { mean_file: "mean.binaryproto" }',
    "no such list of HDF5 files": 'type: "HDF5Data" top: "d" hdf5_data_param { source: "nosuch" batch_size: 1 }',
    "no such list of images": 'type: "ImageData" top: "d" top: "l" image_data_param { source: "nosuch" batch_size: 1 }',
}
SOLVERS = {
    "unknown policy": {"lr_policy": '"stepp"'},
    "no policy": {"lr_policy": None},
    "step without stepsize": {"stepsize": None},
    "negative gamma": {"gamma": -0.5},
    "sigmoid without stepsize": {"lr_policy": '"sigmoid"', "stepsize": None},
    "unknown type": {"type": '"Foo"'},
    "unknown regularization": {"regularization_type": '"L3"'},
    "momentum with AdaGrad": {"type": '"AdaGrad"'},
    "momentum with RMSProp": {"type": '"RMSProp"'},
    "rms_decay above 1": {"type": '"RMSProp"', "momentum": None, "rms_decay": 1.5},
    "no net": {"net": None},
    "two nets": {"train_net": '"net.prototxt"'},
    "test net without test_iter": {
        "net": None,
        "train_net": '"net.prototxt"',
        "test_net": '"net.prototxt"',
        "test_iter": None,
    },
    "too many test_iter": {
        "net": None,
        "train_net": '"net.prototxt"',
        "test_net": '"net.prototxt"',
        "test_iter": [1, 2],
    },
    "two test_states for one test_iter": {"test_state": ["{}", "{}"]},
    "no test_interval": {"test_interval": None},
    "snapshot_prefix in no folder": {"snapshot_prefix": '"no/such/folder/x"'},
    "missing net file": {"net": '"nosuch.prototxt"'},
    "misspelt field": {"momentun": 0.9},
    "a field twice": {"base_lr": [0.1, 0.2]},
}
WEIGHTS = "-weights=init.caffemodel"
COMMANDS = [
    Row("shape mismatch on a matching name", (*TEST, WEIGHTS), swap=("num_output: 3", "num_output: 5")),
    Row(
        "another number of blobs on a matching name",
        (*TEST, WEIGHTS),
        swap=("num_output: 4", "num_output: 4 bias_term: false"),
    ),
    Row("fine-tuning on a shape mismatch", TRAIN, swap=("num_output: 4", "num_output: 6")),
    Row("weights that are missing", (*TEST, "-weights=nosuch.caffemodel")),
    Row("weights that are cut off", (*TEST, WEIGHTS), cut="init.caffemodel"),
    Row("HDF5 weights that are missing", (*TEST, "-weights=nosuch.caffemodel.h5")),
    Row("model that is missing", ("test", "-model=nosuch.prototxt", WEIGHTS)),
    Row("test without a model", ("test", WEIGHTS)),
    Row("test without weights", TEST),
    Row("time without a model", ("time",)),
    Row("train without a solver", ("train",)),
    Row("solver that is missing", ("train", "-solver=nosuch.prototxt")),
    Row("weights and a snapshot at once", (*TRAIN, "-snapshot=init.caffemodel")),
    Row("snapshot that is missing", ("train", "-solver=solver.prototxt", "-snapshot=nosuch.solverstate")),
    Row("snapshot that is none", ("train", "-solver=solver.prototxt", "-snapshot=net.prototxt")),
    Row("unknown command", ("trian", "-solver=solver.prototxt")),
    Row("unknown flag", (*TRAIN, "-solvr=x")),
    Row("unknown effect of a signal", (*TRAIN, "-sigint_effect=halt")),
    Row("unknown phase", (*TIME, "-phase=train")),
    Row("text for iterations", ("time", "-model=net.prototxt", "-iterations=x")),
]


SOUND = [  # without anything wrong, so that a refusal means what it says
    Row("a net", net=f'{INPUT}layer {{ name: "l" {FC} }}'),
    Row(
        "BatchNorm with three param blocks, whose rates a file's upgrade sets to 0",
        net=f'{INPUT}layer {{ name: "l" type: "BatchNorm" bottom: "x" top: "y" {"param {} " * 3} }}',
    ),
    Row("a net that reads", net=f'layer {{ name: "l" {DATA} {{}} }}'),
    Row("a training", TRAIN),
    Row("a test", (*TEST, WEIGHTS)),
]


def rows_of_layers() -> list[Row]:
    return [Row(name, net=f'{INPUT}layer {{ name: "l" {body} }}\n') for name, body in LAYERS.items()]


def groups() -> list[Group]:
    measure = "both engines refuse: the genuine one by an abort, this one by a UserError of one line"
    solvers = [Row(name, TRAIN, solver=settings) for name, settings in SOLVERS.items()]
    layers = [Row(name, net=text) for name, (text, _) in REFUSED.items()]
    parts = {
        "in a net": rows_of_layers(),
        "in one layer": layers,
        "in a solver": solvers,
        "in a command or its files": COMMANDS,
    }
    return [Group("Errors", name, rows, run, measure, quick=12) for name, rows in parts.items()]


def run(rows: Sequence[Row], folder: Path) -> Iterator[Outcome]:
    for row in rows:
        ours, theirs = try_both(row, folder)
        problems = ["the genuine engine accepts it"] if not theirs else []
        if not isinstance(ours, UserError):
            problems.append(f"this engine raises {ours!r}" if ours else "this engine accepts it")
        elif "\n" in str(ours) or len(str(ours)) < 15:
            problems.append(f"no line to read: {ours!r}")
        yield Outcome(row.name, problem="; ".join(problems))


def try_both(row: Row, folder: Path) -> tuple[Exception | None, str]:
    """(what this engine raises, the genuine engine's last words); None and "" where they accept the row."""
    if not (folder / "lab").exists():
        prepare(folder / "lab")
        write_mean(folder / "lab" / "mean.binaryproto", np.zeros((3, 5, 5), np.float32))
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name) / "lab"
        shutil.copytree(folder / "lab", place)
        spoil(place, row)
        order = [root.command("caffe"), *row.command]
        run = subprocess.run(order, cwd=place, capture_output=True, text=True, timeout=SECONDS, check=False)
        return _ours(place, row), last_words(run.stderr.splitlines()) if run.returncode else ""


def _ours(place: Path, row: Row) -> Exception | None:
    try:
        run_ours(place, *row.command)
    except Exception as error:
        return error
    return None


def spoil(folder: Path, row: Row) -> None:
    """Make the one thing wrong."""
    net = folder / "net.prototxt"
    if row.net or row.swap[0]:
        net.write_text(row.net or net.read_text().replace(*row.swap))
    if row.solver:
        (folder / "solver.prototxt").write_text(solver_text(**row.solver))
    if row.cut:
        whole = (folder / row.cut).read_bytes()
        (folder / row.cut).write_bytes(whole[: len(whole) // 2])
