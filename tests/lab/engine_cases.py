"""Conformance as data: nets written as text, run by both engines from the same numbers."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import genuine_python
import numpy as np
import torch

from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.proto import caffe_pb2, parse
from pycaffe_ext.training.log import last_words

RUNNER = Path(__file__).with_name("genuine_runner.py")
PHASES = {"TRAIN": caffe_pb2.TRAIN, "TEST": caffe_pb2.TEST}
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Case:
    """One net.  shapes: input blobs; layers: prototxt behind the Input layer; labels: blob -> number of classes.

    scale: size of the inputs; params: size of the parameters; positive: inputs are made so (for Log and the like).
    filled: parameters keep what each engine's fillers have made of them, which must be equal.
    """

    name: str
    shapes: dict[str, tuple[int, ...]]
    layers: str
    phase: str = "TRAIN"
    labels: dict[str, int] = field(default_factory=dict)
    scale: float = 1.0
    params: float = 0.5
    positive: bool = False
    filled: bool = False
    values: dict[str, np.ndarray] = field(default_factory=dict)
    force: bool = True
    tolerance: float = TOLERANCE

    def prototxt(self) -> str:
        tops = " ".join(f'top: "{name}"' for name in self.shapes)
        shapes = " ".join("shape {" + "".join(f" dim: {n}" for n in shape) + " }" for shape in self.shapes.values())
        force = "force_backward: true\n" if self.force else ""
        inputs = f'layer {{ name: "in" type: "Input" {tops} input_param {{ {shapes} }} }}\n'
        return f'name: "{self.name}"\n{force}{inputs if self.shapes else ""}{self.layers}\n'

    def inputs(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {name: self._input(name, shape, rng) for name, shape in self.shapes.items()}

    def _input(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        if name in self.values:
            return np.asarray(self.values[name], np.float32).reshape(shape)
        if name in self.labels:
            return rng.integers(0, self.labels[name], shape).astype(np.float32)
        values = rng.standard_normal(shape) * self.scale
        return (np.abs(values) + 0.1 if self.positive else values).astype(np.float32)


def layer(kind: str, settings: str = "", bottoms: str = "x", tops: str = "y", name: str = "") -> str:
    """One layer's prototxt; bottoms and tops are separated by blanks; its name is the type's in small letters."""
    ends = "".join(f' bottom: "{b}"' for b in bottoms.split()) + "".join(f' top: "{t}"' for t in tops.split())
    return f'layer {{ name: "{name or kind.lower()}" type: "{kind}"{ends} {settings} }}\n'


def one(kind: str, settings: str = "", shape: tuple[int, ...] = (2, 3, 7, 6), tops: str = "y", **rest) -> Case:
    """The case of one layer with the one bottom `x`; `rest` are fields of Case."""
    return Case(
        f"{kind} {settings} {shape} -> {tops} {rest.get('phase', '')}".strip(),
        {"x": shape},
        layer(kind, settings, tops=tops),
        **rest,
    )


def ours(case: Case, folder: Path) -> dict[str, np.ndarray]:
    """Run the case in our engine; leave the same numbers in `folder` for the genuine one."""
    given, out = run_on(case, torch.device("cpu"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.prototxt").write_text(case.prototxt())
    np.savez(folder / "in.npz", **given)
    return out


def run_on(case: Case, device: torch.device) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Run the case in our engine on a device: what it was given, and what came out."""
    rng = np.random.default_rng(len(case.name))
    net = Net(parse(case.prototxt(), caffe_pb2.NetParameter()), PHASES[case.phase], device=device)
    given = {"phase": np.array(PHASES[case.phase])}
    for name, array in case.inputs(rng).items():
        given[f"data:{name}"] = array
        net.blobs[name].data = torch.tensor(array, device=device)
    for layer in net.layers:
        for i, blob in enumerate([] if case.filled else layer.blobs):
            array = np.asarray(rng.standard_normal(blob.shape) * case.params, np.float32)
            if layer.type == "BatchNorm":
                array = np.abs(array) + 0.5
            elif layer.type == "Scale" and i == 0:  # else what normalises behind it magnifies rounding
                array += np.copysign(np.float32(0.5), array)
            given[f"param:{layer.name}:{i}"] = array
            blob.data.copy_(torch.from_numpy(array))
    net.forward()
    for name in net.outputs:
        if not net.loss_weights[name]:
            array = np.asarray(rng.standard_normal(net.blobs[name].shape), np.float32)
            given[f"diff:{name}"] = array
            net.blobs[name].diff = torch.tensor(array, device=device)
    net.backward()
    return given, collect(net)


def collect(net: Net) -> dict[str, np.ndarray]:
    """Every blob, parameter and gradient of a net, under the runner's keys."""
    out = {"outputs": np.array(net.outputs), "names": np.array(net.layer_names)}
    for name, blob in net.blobs.items():
        out[f"data:{name}"], out[f"diff:{name}"] = blob.data.cpu().numpy(), blob.diff.cpu().numpy()
    for layer in net.layers:
        for i, blob in enumerate(layer.blobs):
            values, gradient = blob.data.cpu().numpy(), blob.diff.cpu().numpy()
            out[f"param:{layer.name}:{i}"], out[f"grad:{layer.name}:{i}"] = values, gradient
    return out


def run_genuine(folders: list[Path], prefix: str = "") -> None:
    """One genuine process for many cases; results whose key begins with `prefix` are kept."""
    run = _genuine_process(folders, prefix)
    if run.returncode:
        raise AssertionError(f"the genuine Caffe ended with {run.returncode}: {run.stderr[-2000:]}")


def run_genuine_each(folders: list[Path]) -> dict[Path, str]:
    """Like run_genuine, but a case at which the genuine process dies is passed over: such cases -> its last words."""
    died, rest = {}, list(folders)
    while rest and (run := _genuine_process(rest)).returncode:
        at = next((i for i, folder in enumerate(rest) if not (folder / "out.npz").exists()), len(rest) - 1)
        died[rest[at]] = f"the genuine Caffe died: {last_words(run.stderr.splitlines())}"
        rest = rest[at + 1 :]
    return died


def _genuine_process(folders: list[Path], prefix: str = "") -> subprocess.CompletedProcess[str]:
    return genuine_python.run(RUNNER, prefix, *folders, check=False)


def errors(mine: dict[str, np.ndarray], path: Path) -> dict[str, float]:
    """Key -> relative error against the genuine results in `path`; inf where names or shapes differ."""
    return errors_against(mine, dict(np.load(path)))


def errors_against(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict[str, float]:
    """The same against results that are at hand."""
    return {key: _error(key, mine.get(key), values) for key, values in theirs.items()}


def _error(key: str, a: np.ndarray | None, b: np.ndarray) -> float:
    if key in ("outputs", "names"):
        return 0.0 if a.tolist() == b.tolist() else np.inf
    return relative_error(a, b) if a is not None and a.shape == b.shape else np.inf


def differences(mine: dict[str, np.ndarray], path: Path, tolerance: float = TOLERANCE) -> list[str]:
    """What differs by more than `tolerance` of a blob's largest value, as lines to read."""
    theirs = np.load(path)
    found = {key: error for key, error in errors(mine, path).items() if not error <= tolerance}
    return [
        f"{key}: {_brief(mine.get(key))} != {_brief(theirs[key])}" if error == np.inf else f"{key}: error {error:.2g}"
        for key, error in found.items()
    ]


def _brief(array: np.ndarray | None) -> str:
    if array is None:
        return "nothing"
    return str(array.tolist()) if array.dtype.kind == "U" else f"shape {array.shape}"


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference over the largest value of `b`; NaN where either has one."""
    if not a.size:
        return 0.0
    scale = float(np.abs(b).max())
    worst = float(np.abs(a.astype(np.float64) - b).max())
    return worst / scale if scale else worst
