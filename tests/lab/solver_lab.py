"""A bench for whole runs: tiny LMDBs, nets and solvers, run by the genuine Caffe and by the embedded engine."""

from __future__ import annotations

import contextlib
import io
import re
import signal
import subprocess
import threading
from pathlib import Path

import cv2
import lmdb
import numpy as np

from pycaffe_ext import glog
from pycaffe_ext.engine.cli import main
from pycaffe_ext.genuine import root
from pycaffe_ext.proto import blob_to_array, caffe_pb2, read_blobs, read_message

TRAIN = ("train", "--solver=solver.prototxt", "--weights=init.caffemodel")
NET = """name: "tiny"
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  data_param {{ source: "train" batch_size: 7 backend: LMDB }} transform_param {{ scale: 0.01 mean_value: 100 }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  data_param {{ source: "train" batch_size: 4 backend: LMDB }} transform_param {{ scale: 0.01 mean_value: 100 }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv" {params}
  convolution_param {{ num_output: 4 kernel_size: 3
    weight_filler {{ type: "gaussian" std: 0.1 }} bias_filler {{ type: "constant" value: 0.1 }} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{ name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  param {{ lr_mult: 1 decay_mult: 1 }} param {{ lr_mult: 2 decay_mult: 0 }}
  inner_product_param {{ num_output: 3 weight_filler {{ type: "gaussian" std: 0.1 }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
layer {{ name: "acc" type: "Accuracy" bottom: "fc" bottom: "label" top: "acc" include {{ phase: TEST }} }}
"""
SOLVER = {
    "net": '"net.prototxt"',
    "test_iter": 3,
    "test_interval": 10,
    "base_lr": 0.05,
    "lr_policy": '"step"',
    "gamma": 0.5,
    "stepsize": 8,
    "momentum": 0.9,
    "weight_decay": 0.005,
    "display": 3,
    "max_iter": 20,
    "snapshot": 10,
    "snapshot_prefix": '"snap"',
    "solver_mode": "CPU",
    "average_loss": 4,
}


def images(count: int, shape: tuple[int, int, int] = (3, 8, 9), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`count` uint8 images (N, C, H, W) whose brightness follows their label 0, 1, 2."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    pixels = rng.integers(0, 130, (count, *shape)) + 60 * labels[:, None, None, None]
    return pixels.astype(np.uint8), labels


def write_lmdb(path: Path, pixels: np.ndarray, labels: np.ndarray, kind: str = "raw") -> Path:
    """kind: raw, float (float_data) or png (encoded)."""
    with lmdb.open(str(path), map_size=1 << 28) as env, env.begin(write=True) as transaction:
        for i, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            transaction.put(b"%08d_x" % i, datum(image, int(label), kind).SerializeToString())
    return path


def datum(image: np.ndarray, label: int, kind: str) -> caffe_pb2.Datum:
    channels, height, width = image.shape
    out = caffe_pb2.Datum(channels=channels, height=height, width=width, label=label)
    if kind == "png":
        out.encoded, out.data = True, cv2.imencode(".png", image.transpose(1, 2, 0))[1].tobytes()
    elif kind == "float":
        out.float_data.extend(image.astype(float).ravel().tolist())
    else:
        out.data = image.tobytes()
    return out


def solver_text(**changes: object) -> str:
    """SOLVER with some settings changed (None leaves one out; a list repeats it)."""
    lines = []
    for name, value in {**SOLVER, **changes}.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        lines += [f"{name}: {one}" for one in values]
    return "\n".join(lines) + "\n"


def prepare(folder: Path, params: str = "", **changes: object) -> Path:
    """A folder with LMDB `train`, net.prototxt, solver.prototxt and init.caffemodel."""
    from pycaffe_ext.engine.core.net import Net
    from pycaffe_ext.proto import read_net, write_weights

    folder.mkdir(exist_ok=True, parents=True)
    write_lmdb(folder / "train", *images(25))
    (folder / "net.prototxt").write_text(NET.format(params=params))
    (folder / "solver.prototxt").write_text(solver_text(**changes))
    with contextlib.chdir(folder):
        net = Net(read_net("net.prototxt"), caffe_pb2.TRAIN)
    write_weights(folder / "init.caffemodel", net.to_proto())
    return folder


def run_genuine(folder: Path, *arguments: str, check: bool = True) -> str:
    """Run the genuine caffe in `folder`; its log.  With check=False the log may be that of a refusal."""
    command = [root.command("caffe"), *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3000, check=False)
    assert not check or run.returncode == 0, run.stderr[-2000:]
    return run.stderr


def run_ours(folder: Path, *arguments: str) -> str:
    """Run the embedded engine in `folder`, in this process; its log."""
    level = glog.set_min_level(0)
    out, handlers = io.StringIO(), {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        with contextlib.chdir(folder), contextlib.redirect_stderr(out):
            main(list(arguments))
    finally:
        glog.set_min_level(level)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return out.getvalue()


def messages(log: str, since: str = "Starting Optimization") -> list[str]:
    """What the log says from `since` on, without times, speeds and the reading thread's lines."""
    said = [(m[1], m[2]) for m in re.finditer(r"^[IWEF]\d{4} [\d:.]{15} +\d+ ([\w.]+):\d+\] (.*)$", log, re.M)]
    texts = [
        re.sub(r" \(\S+ iter/s, \S+s/\d+ iters\)", "", text)
        for file, text in said
        if file not in ("data_layer.cpp", "blocking_queue.cpp")
    ]
    return texts[next(i for i, text in enumerate(texts) if since in text) :]


def assert_same_messages(ours: str, theirs: str, since: str = "Starting Optimization", rtol: float = 2e-4) -> None:
    """Same lines in the same order; numbers in them agree."""
    a, b = messages(ours, since), messages(theirs, since)
    number = r"(?<![\w#])-?\d+\.?\d*(?:e[+-]?\d+)?(?!\w)"
    assert [re.sub(number, "N", line) for line in a] == [re.sub(number, "N", line) for line in b]
    for mine, other in zip(a, b, strict=True):
        ours_in, theirs_in = ([float(x) for x in re.findall(number, line)] for line in (mine, other))
        np.testing.assert_allclose(ours_in, theirs_in, rtol=rtol, err_msg=f"{mine} | {other}")


def assert_same_weights(ours: Path, theirs: Path, tolerance: float) -> float:
    """Each blob's difference is below `tolerance` of its norm; returns the worst."""
    a, b = read_blobs(ours), read_blobs(theirs)
    assert {name: [x.shape for x in blobs] for name, blobs in a.items()} == {
        name: [x.shape for x in blobs] for name, blobs in b.items()
    }
    pairs = [(x, y, name) for name in a for x, y in zip(a[name], b[name], strict=True)]
    return _assert_close(pairs, tolerance)


def assert_same_state(ours: Path, theirs: Path, tolerance: float) -> None:
    """Binary solverstates: the same iteration, step, number of histories, and histories."""
    a, b = (read_message(path, caffe_pb2.SolverState()) for path in (ours, theirs))
    assert (a.iter, a.current_step, len(a.history)) == (b.iter, b.current_step, len(b.history))
    pairs = zip(map(blob_to_array, a.history), map(blob_to_array, b.history), range(len(a.history)), strict=True)
    _assert_close(list(pairs), tolerance)


def _assert_close(pairs: list, tolerance: float) -> float:
    worst = 0.0
    for mine, other, name in pairs:
        error = np.linalg.norm(mine - other) / max(np.linalg.norm(other), 1e-12)
        assert error <= tolerance, f"{name}: {error}"
        worst = max(worst, float(error))
    return worst


def reading_threads() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())
