"""Files across the engines: what one writes, the other reads, resumes from, and makes the same of."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import genuine_python
import numpy as np
from engine_cases import relative_error
from solver_lab import images, prepare, run_genuine, run_ours, write_lmdb

from oracle import Group, Outcome, outcome
from oracle.training import norm_errors
from pycaffe_ext import proto
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.random import set_seed
from pycaffe_ext.engine.solver import snapshot
from pycaffe_ext.genuine import root
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.proto.upgrade import SOLVER_TYPES
from tests.proto.test_upgrade import NETS as OLD_NETS
from tests.proto.test_upgrade import their_upgrade

TOOLS = Path(__file__).resolve().parents[3] / "tools"
BATCHES = Path(__file__).resolve().parents[1] / "data_runner.py"
RUN = {"ours": run_ours, "theirs": run_genuine}
BOTH_WAYS = (("ours", "theirs"), ("theirs", "ours"))
FORMATS = {"BINARYPROTO": "", "HDF5": ".h5"}
TRAIN = ("train", "-solver=solver.prototxt", "-weights=init.caffemodel")
RESUMED, EXACT = 1e-4, 0.0

READ_WEIGHTS = """
import sys, caffe, numpy as np
net = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)
blobs = ((name, i, blob.data) for name, blobs in net.params.items() for i, blob in enumerate(blobs))
np.savez(sys.argv[3], **{f"{name}:{i}": data for name, i, data in blobs})
(net.save_hdf5 if sys.argv[4].endswith(".h5") else net.save)(sys.argv[4])
"""


@dataclass(frozen=True)
class Row:
    """compute: an empty folder -> errors by the name of what was compared."""

    name: str
    compute: Callable[[Path], dict[str, float]]


def groups() -> list[Group]:
    norm, bits = "norm of the difference over the blob's norm", "identical in every bit"
    return [
        group("snapshots, resumed", snapshots(), norm, RESUMED, 2),
        group("caffemodels", caffemodels(), bits, EXACT, 2),
        group("means and databases", databases(), bits, EXACT, 4),
        group("old formats", old_formats(), bits, EXACT, 7),
    ]


def group(name: str, rows: list[Row], measure: str, tolerance: float, quick: int) -> Group:
    return Group("Files", name, rows, partial(run, tolerance=tolerance), measure, tolerance, quick)


def run(rows: Sequence[Row], folder: Path, tolerance: float) -> Iterator[Outcome]:
    for i, row in enumerate(rows):
        place = folder / str(i)
        place.mkdir()
        set_seed(i)
        try:
            found = row.compute(place)
        except (Exception, AssertionError) as error:  # a failed row, not the end of the run
            yield Outcome(row.name, np.nan, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
            continue
        yield outcome(row.name, found, tolerance)


def same(ours: np.ndarray, theirs: np.ndarray) -> float:
    """0 where shapes and all values are equal; else the relative error, inf for other shapes."""
    return relative_error(ours, theirs) if ours.shape == theirs.shape else np.inf


# ---- snapshots


def snapshots() -> list[Row]:
    kinds = {"SGD": {}, "Adam": {"type": '"Adam"', "base_lr": 0.01}}
    return [
        Row(
            f"{kind}, {name}: written by {first}, resumed by {second}",
            partial(_resume, name=name, first=first, second=second, settings=settings),
        )
        for (kind, settings), name, (first, second) in itertools.product(kinds.items(), FORMATS, BOTH_WAYS)
    ]


def _resume(folder: Path, name: str, first: str, second: str, settings: dict) -> dict[str, float]:
    """`first` trains; both resume from its snapshot in the middle (the reader begins at the first record again)."""
    ending = FORMATS[name]
    prepare(folder / "lab", snapshot_format=name, **settings)
    RUN[first](folder / "lab", *TRAIN)
    results = {}
    for engine in (first, second):
        RUN[engine](folder / "lab", "train", "-solver=solver.prototxt", f"-snapshot=snap_iter_10.solverstate{ending}")
        results[engine] = _named(proto.read_blobs(folder / "lab" / f"snap_iter_20.caffemodel{ending}"))
        state = snapshot.read_state(str(folder / "lab" / f"snap_iter_20.solverstate{ending}"))
        results[engine] |= {f"history {i}": array for i, array in enumerate(state.history)}
    return norm_errors(results["ours"], results["theirs"])


def _named(blobs: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    return {f"{name}:{i}": array for name, arrays in blobs.items() for i, array in enumerate(arrays)}


# ---- caffemodels


def caffemodels() -> list[Row]:
    files = ("init.caffemodel", "init.caffemodel.h5", "old.caffemodel")
    return [
        Row(
            f"{name} of ours, read by the genuine engine, written by it as {again}, read by ours",
            partial(_weights, name=name, again=again),
        )
        for name in files
        for again in ("again.caffemodel", "again.caffemodel.h5")
    ]


def _weights(folder: Path, name: str, again: str) -> dict[str, float]:
    """What the genuine engine reads from our file, and what we read from the file that it then writes."""
    lab = prepare(folder / "lab")
    net = Net(proto.parse(_without_data(lab), caffe_pb2.NetParameter()), caffe_pb2.TEST)
    net.copy_trained_layers_from(lab / "init.caffemodel")
    ours = _named({layer.name: [blob.data.numpy() for blob in layer.blobs] for layer in net.layers if layer.blobs})
    proto.write_weights_h5(lab / "init.caffemodel.h5", _arrays(net))
    proto.write_weights(lab / "old.caffemodel", _as_of_2014(_arrays(net)))
    (folder / "net.prototxt").write_text(_without_data(lab))
    ask_genuine(READ_WEIGHTS, folder / "net.prototxt", lab / name, folder / "out.npz", folder / again)
    theirs = dict(np.load(folder / "out.npz"))
    back = _named({layer: blobs for layer, blobs in proto.read_blobs(folder / again).items() if blobs})
    return {f"read {key}": same(ours[key], theirs[key]) for key in theirs} | {
        f"back {key}": same(back[key], ours[key]) for key in ours
    }


def _arrays(net: Net) -> dict[str, list[np.ndarray]]:
    return {layer.name: [blob.data.numpy() for blob in layer.blobs] for layer in net.layers if layer.blobs}


def _as_of_2014(blobs: dict[str, list[np.ndarray]]) -> caffe_pb2.NetParameter:
    """V1 layers whose blobs have the four legacy dimensions, padded by ones in front."""
    net, types = caffe_pb2.NetParameter(name="old"), {"conv": "CONVOLUTION", "fc": "INNER_PRODUCT"}
    for name, arrays in blobs.items():
        layer = net.layers.add(name=name, type=types[name])
        for array in arrays:
            blob = proto.array_to_blob(array, layer.blobs.add())
            blob.ClearField("shape")
            blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - array.ndim) + array.shape
    return net


def _without_data(lab: Path) -> str:
    """The lab's net with an Input instead of its database."""
    text = (lab / "net.prototxt").read_text()
    given = (
        'layer { name: "data" type: "Input" top: "data" top: "label"'
        " input_param { shape { dim: 4 dim: 3 dim: 8 dim: 9 } shape { dim: 4 } } }\n"
    )
    return given + text[text.index('layer { name: "conv"') :]


def ask_genuine(script: str, *arguments: Path) -> None:
    done = genuine_python.run("-c", script, *arguments, check=False)
    if done.returncode:
        raise AssertionError(f"the genuine Caffe died: {done.stderr[-300:]}")


# ---- means and databases


def databases() -> list[Row]:
    ours = [
        ("raw", 3, ""),
        ("raw", 1, "scale: 0.5"),
        ("float", 2, "crop_size: 6"),
        ("png", 3, "mean_value: 3"),
        ("png", 1, "force_color: true"),
        ("png", 3, "force_gray: true"),
    ]
    flags = {
        "raw": (),
        "encoded png": ("--encoded", "--encode_type=png"),
        "encoded jpg": ("--encoded", "--encode_type=jpg"),
        "grey": ("--gray",),
        "resized": ("--resize_height=7", "--resize_width=11"),
    }
    rows = [
        Row(
            f"LMDB of ours, {kind}, {channels} channels, {transform or 'as it is'}",
            partial(_our_database, kind=kind, channels=channels, transform=transform),
        )
        for kind, channels, transform in ours
    ]
    rows += [
        Row(f"LMDB of the genuine convert_imageset, {name}", partial(_their_database, flags=given))
        for name, given in flags.items()
    ]
    rows += [
        Row(f"mean file of {name}", partial(_mean_file, program=program))
        for name, program in (
            ("ours, subtracted by both", [sys.executable, str(TOOLS / "compute_image_mean.py")]),
            ("the genuine compute_image_mean, subtracted by both", [str(root.command("compute_image_mean"))]),
        )
    ]
    return [*rows, Row("compute_image_mean of both", _same_mean)]


def _our_database(folder: Path, kind: str, channels: int, transform: str) -> dict[str, float]:
    write_lmdb(folder / "db", *images(9, (channels, 9, 12)), kind)
    return _read_by_both(folder, transform)


def _their_database(folder: Path, flags: tuple[str, ...]) -> dict[str, float]:
    pixels, labels = images(7, (3, 16, 20))
    lines = []
    for i, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        cv2.imwrite(str(folder / f"{i}.png"), image.transpose(1, 2, 0))
        lines.append(f"{i}.png {label}")
    (folder / "list").write_text("\n".join(lines) + "\n")
    order = [root.command("convert_imageset"), *flags, f"{folder}/", folder / "list", folder / "db"]
    subprocess.run(order, check=True, capture_output=True)
    return _read_by_both(folder, "crop_size: 5" if "--encode_type=jpg" not in flags else "")


def _mean_file(folder: Path, program: list[str]) -> dict[str, float]:
    write_lmdb(folder / "db", *images(9, (3, 9, 12)))
    subprocess.run([*program, folder / "db", folder / "mean"], check=True, capture_output=True)
    return _read_by_both(folder, f'mean_file: "{folder / "mean"}" crop_size: 7 scale: 0.1')


def _same_mean(folder: Path) -> dict[str, float]:
    write_lmdb(folder / "db", *images(40, (3, 9, 12)))
    ours = [sys.executable, TOOLS / "compute_image_mean.py"]
    programs = {"ours": ours, "theirs": [root.command("compute_image_mean")]}
    for name, program in programs.items():
        subprocess.run([*program, folder / "db", folder / name], check=True, capture_output=True)
    return {"mean": same(*(proto.read_mean(folder / name) for name in programs))}


def _read_by_both(folder: Path, transform: str, count: int = 3) -> dict[str, float]:
    """Every batch of the Data layer over folder/db in both engines."""
    text = (
        f'layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ {transform} }}'
        f' data_param {{ source: "{folder / "db"}" backend: LMDB batch_size: 4 }} }}'
    )
    (folder / "net.prototxt").write_text(text)
    genuine_python.run(BATCHES, folder / "net.prototxt", caffe_pb2.TEST, count, folder / "out.npz")
    net, ours = Net(proto.parse(text, caffe_pb2.NetParameter()), caffe_pb2.TEST), []
    for _ in range(count):
        net.forward()
        ours.append({name: net.blobs[name].data.numpy().copy() for name in ("data", "label")})
    theirs = np.load(folder / "out.npz")
    return {name: same(np.stack([batch[name] for batch in ours]), theirs[name]) for name in ("data", "label")}


# ---- old formats


def old_formats() -> list[Row]:
    rows = [Row(f"net: {name}", partial(_old_net, text=text)) for name, text in OLD_NETS.items()]
    rows += [
        Row(f"binary net: {name}", partial(_old_net, text=OLD_NETS[name], binary=True))
        for name in ("V0", "V1", "every field of every V0 type", "every field of every V1 type")
    ]
    return rows + [Row(f"solver_type {kind}", partial(_old_solver, kind=kind)) for kind in SOLVER_TYPES]


def _old_net(folder: Path, text: str, binary: bool = False) -> dict[str, float]:
    ours = proto.parse(text, caffe_pb2.NetParameter())
    if binary:
        (folder / "old").write_bytes(ours.SerializeToString())
        order = [root.command("upgrade_net_proto_binary"), folder / "old", folder / "new"]
        subprocess.run(order, capture_output=True, check=False)  # it complains of fields that it leaves out
        theirs = caffe_pb2.NetParameter.FromString((folder / "new").read_bytes())
    else:
        theirs = proto.parse(their_upgrade("upgrade_net_proto_text", text, folder), caffe_pb2.NetParameter())
    return {"net": 0.0 if proto.to_text(proto.upgrade_net(ours)) == proto.to_text(theirs) else np.inf}


def _old_solver(folder: Path, kind: str) -> dict[str, float]:
    text = f'net: "n" base_lr: 0.01 momentum: 0.9 solver_type: {kind} stepvalue: 3 stepvalue: 5'
    theirs = proto.parse(their_upgrade("upgrade_solver_proto_text", text, folder), caffe_pb2.SolverParameter())
    ours = proto.upgrade_solver(proto.parse(text, caffe_pb2.SolverParameter()))
    return {"solver": 0.0 if ours == theirs else np.inf}
