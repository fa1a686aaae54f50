"""Exports of a finished run: every format gives the run's own probabilities, alone and in any batch; or one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
import torch

from pycaffe_ext import nets
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.errors import UserError
from pycaffe_ext.export import checked
from pycaffe_ext.export.source import Preparation
from pycaffe_ext.files import digest, write_json
from pycaffe_ext.genuine import root
from pycaffe_ext.proto import array_to_blob, caffe_pb2, read_mean, write_mean, write_text, write_weights
from pycaffe_ext.records.datum import to_bytes
from pycaffe_ext.runs import exporting, records
from pycaffe_ext.runs.records import Best, ResultRecord, RunRecord
from pycaffe_ext.runs.settings import Machine, Settings
from pycaffe_ext.runs.transforms import Transform
from pycaffe_ext.training.scoring import ScoreNet

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
stored = pytest.importorskip("safetensors")

from pycaffe_ext.export import pytorch  # noqa: E402

PATCHES = 7
DATA = Path("data", "polyp-1", "packed")  # beside the run
Blobs = dict[str, list[np.ndarray]]


def random_blobs(net: Net, rng: np.random.Generator) -> Blobs:
    """Weights that keep values near 1 through many layers; variances above 0."""
    out: Blobs = {}
    for layer in net.layers:
        shapes = [tuple(blob.shape) for blob in layer.blobs]
        gains = [1.4 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1 for shape in shapes]
        values = [rng.normal(0, gain, shape) for shape, gain in zip(shapes, gains, strict=True)]
        if layer.type == "BatchNorm":
            values = [values[0], np.abs(values[1]) + 0.5, np.ones(1)]
        if layer.type == "Scale":
            values[0] = values[0] + 0.4
        if values:
            out[layer.name] = [value.astype(np.float32) for value in values]
            for blob, value in zip(layer.blobs, out[layer.name], strict=True):
                blob.data.copy_(torch.from_numpy(value))
    return out


def write_run(runs: Path, arch: str = "lenet", transform: Transform | None = None, **options: Any) -> Path:
    """A finished run of an untrained net, its validation patches and their mean, as runs.pipeline leaves them.

    transform : of the patches; None = the data's mean and the net's own scale.
    """
    settings = Settings.of("polyp", "scratch", arch=arch, **options)
    folder, data = runs / settings.name(), runs / DATA
    folder.mkdir(parents=True)
    data.mkdir(parents=True)
    transform = transform or Transform(nets.architecture(arch).scale, "", of_data=True)
    transform.write(folder)
    mean_file = transform.mean_file(folder, data / "mean.binaryproto")
    net = nets.NetSpec("polyp", "scratch", 2, arch=arch, mean_file=str(mean_file or ""))
    spec = replace(net, mean_value=transform.mean_value, scale=transform.scale)
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (PATCHES, *nets.architecture(arch).input)).astype(np.uint8)
    write_lmdb(data / "val_lmdb", patches)
    write_mean(data / "mean.binaryproto", patches.mean(axis=0, dtype=np.float64).astype(np.float32))
    write_json(
        data / "data.json",
        {"fingerprint": "f", "patches": {"train": 9, "val": PATCHES}, "facts": {}, "classes": ["no polyp", "polyp"]},
    )
    deploy = nets.deploy(spec)
    write_text(folder / "deploy.prototxt", deploy)
    write_text(folder / "score_val.prototxt", nets.score_net(spec, str(data / "val_lmdb"), 4))
    blobs = random_blobs(Net(deploy, caffe_pb2.TEST), rng)
    weights = caffe_pb2.NetParameter()
    for name, arrays in blobs.items():
        weights.layer.add(name=name, blobs=map(array_to_blob, arrays))
    write_weights(folder / "best.caffemodel", weights)
    write_records(folder, data, settings, transform)
    return folder


def write_lmdb(folder: Path, patches: np.ndarray) -> None:
    folder.mkdir()
    with lmdb.open(str(folder), map_size=1 << 26) as database, database.begin(write=True) as transaction:
        for i, patch in enumerate(patches):
            transaction.put(f"{i:08d}".encode(), to_bytes(patch, i % 2))


def write_records(folder: Path, data: Path, settings: Settings, transform: Transform) -> None:
    resolved = {"width": "1", "batch": 16, "data": str(data), "donor": None, "input": transform.record()}
    mean_file = transform.mean_file(folder, data / "mean.binaryproto")
    inputs, versions = {"mean.binaryproto": digest(mean_file)} if mean_file else {}, {"caffe": "caffe version 1.0.0"}
    records.write_run(folder, RunRecord(settings.record(), asdict(Machine()), resolved, {}, [], [], inputs, versions))
    best = Best(iteration=1, epoch=1.0, validation_auc=0.5)
    records.write_result(folder, ResultRecord(settings.title, "none", best, 1, "epochs", {}, {}, [], {}, []))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def exported(folder: Path) -> exporting.Exported:
    return exporting.export(folder)


def patches_of(folder: Path) -> np.ndarray:
    data = folder.parent / DATA
    return np.stack([patch for _, patch, _ in exporting.read(data / "val_lmdb")])


def engine_probabilities(folder: Path, mean: Any = None, scale: float = 1 / 256) -> np.ndarray:
    """From raw patches, by the embedded engine with the mean and scale applied as Caffe does.

    mean : what is subtracted; None = the data's image.
    """
    deploy = exporting.read_net(folder / "deploy.prototxt")
    deploy.layer[0].input_param.shape[0].dim[0] = PATCHES
    net = Net(deploy, caffe_pb2.TEST)
    for layer in net.layers:
        for blob, array in zip(
            layer.blobs, exporting.read_blobs(folder / "best.caffemodel").get(layer.name, []), strict=True
        ):
            blob.data.copy_(torch.from_numpy(array))
    mean = read_mean(folder.parent / DATA / "mean.binaryproto") if mean is None else np.float32(mean)
    net.blobs["data"].data = torch.from_numpy((patches_of(folder) - mean) * np.float32(scale))
    net.forward()
    return net.blobs["prob"].data.numpy()


def test_every_format_takes_raw_patches_and_gives_the_engines_probabilities(
    folder: Path, exported: exporting.Exported
) -> None:
    wanted, patches = engine_probabilities(folder), patches_of(folder).astype(np.float32)
    assert wanted.min() > 0.05 and np.ptp(wanted[:, 1]) > 0.01  # not saturated, not all the same
    forwards = checked.forwards(exported.folder)
    assert list(forwards) == ["ONNX", "safetensors", "PyTorch"]
    for forward in forwards.values():
        for batch in (slice(None), slice(2, 3), slice(0, 2)):
            np.testing.assert_allclose(forward(patches[batch]), wanted[batch], rtol=0, atol=1e-6)


def test_the_differences_are_those_from_the_runs_caffe(folder: Path, exported: exporting.Exported) -> None:
    """Caffe logs six digits, so they are small but not 0."""
    assert exported.patches == PATCHES and exported.folder == folder / "export"
    assert all(0 < value < 1e-5 for value in exported.differences.values())
    about = json.loads((exported.folder / "model.json").read_text())
    assert about["check"] == {"patches": 7, "allowed": 1e-4, "largest_difference": dict(exported.differences)}
    assert "class probabilities differ from the run's own by at most" in exported.text()


def test_each_file_says_what_goes_in_and_out(exported: exporting.Exported) -> None:
    about = json.loads((exported.folder / "model.json").read_text())
    assert about["classes"] == ["no polyp", "polyp"] and about["architecture"] == "lenet"
    assert about["input"]["shape"] == ["N", 3, 28, 28] and about["input"]["channels"] == "B G R"
    assert about["applied_inside"]["scale"] == 1 / 256 and about["applied_inside"]["mean_is_an_image"]
    assert about["output"] == {"name": "prob", "shape": ["N", 2], "values": "class probabilities"}
    model = onnx.load(exported.folder / "model.onnx")
    with stored.safe_open(exported.folder / "model.safetensors", "numpy") as file:
        of_safetensors = file.metadata()
    of_onnx = {prop.key: prop.value for prop in model.metadata_props}
    for metadata in (of_onnx, of_safetensors, pytorch.read_about(exported.folder / "model.pt2")):
        assert json.loads(metadata["input"]) == about["input"] and json.loads(metadata["classes"]) == about["classes"]
        assert metadata["scale"] == "1.0" and "mean_value" not in metadata  # nothing is left to the caller
    assert [dim.dim_param for dim in model.graph.input[0].type.tensor_type.shape.dim][0] == "N"


def test_the_pytorch_program_loads_without_this_package(folder: Path, exported: exporting.Exported) -> None:
    np.save(exported.folder.parent / "patches.npy", patches_of(folder).astype(np.float32))
    program = f"""
import sys
sys.modules["pycaffe_ext"] = sys.modules["onnx"] = None  # importing them fails
import numpy, torch
net = torch.export.load({str(exported.folder / "model.pt2")!r}).module()
print(net(torch.from_numpy(numpy.load({str(folder / "patches.npy")!r}))).tolist())
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    (folder / "patches.npy").unlink()
    assert done.returncode == 0, done.stderr[-2000:]
    np.testing.assert_allclose(json.loads(done.stdout), engine_probabilities(folder), rtol=0, atol=1e-6)


@pytest.mark.genuine
@pytest.mark.skipif(not root.installed(), reason="the genuine Caffe is not installed: `make caffe`")
def test_the_genuine_caffe_gives_the_same_scores(folder: Path, tmp_path: Path) -> None:
    found = exporting.export(folder, tmp_path / "out", caffe=str(root.command("caffe")))
    assert all(value < 1e-5 for value in found.differences.values())


MEANS = {  # mean -> (what a run may subtract, the same as an array that spreads over a patch)
    "three values": ((104, 117, 123), np.array([104, 117, 123])[:, None, None]),
    "one value": ((110,), 110),
    "image": (None, np.random.default_rng(1).uniform(80, 140, (3, 28, 28)).astype(np.float32)),
}
CAFFES = (None, pytest.param("genuine", marks=pytest.mark.genuine))


@pytest.mark.parametrize("caffe", CAFFES)
@pytest.mark.parametrize("mean", MEANS)
def test_the_runs_own_mean_and_scale_go_into_every_format(mean: str, caffe: str | None, tmp_path: Path) -> None:
    """`caffe test` and the exported files compute the same from the values, or the image, that the score net names."""
    values, array = MEANS[mean]
    own = Transform(0.02, "", values or (), None if values else array)
    folder = write_run(tmp_path, transform=own)
    found = exporting.export(folder, caffe=str(root.command("caffe")) if caffe else None)
    assert all(value < 1e-5 for value in found.differences.values())
    forward = checked.forwards(found.folder)["safetensors"]
    wanted = engine_probabilities(folder, array, 0.02)
    np.testing.assert_allclose(forward(patches_of(folder).astype(np.float32)), wanted, rtol=0, atol=1e-6)
    assert np.abs(wanted - engine_probabilities(folder)).max() > 1e-3, "another input than the data's mean makes"
    about = json.loads((found.folder / "model.json").read_text())["applied_inside"]
    assert about["scale"] == pytest.approx(0.02) and about["mean_is_an_image"] == (values is None)


def test_a_runs_own_mean_image_that_changed_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs", transform=Transform(1, "", (), MEANS["image"][1]))
    write_mean(folder / "mean.binaryproto", np.zeros((3, 28, 28), np.float32))
    with pytest.raises(UserError, match="mean.binaryproto has changed since .* was trained"):
        exporting.export(folder, tmp_path / "out")
    (folder / "mean.binaryproto").unlink()
    with pytest.raises(UserError, match="mean.binaryproto is missing, and the net needs it"):
        exporting.export(folder, tmp_path / "out")


def test_a_moved_run_is_scored_on_the_data_beside_it_and_an_export_is_replaced(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = shutil.copytree(folder.parent, tmp_path / "elsewhere") / folder.name
    record = json.loads((moved / "run.json").read_text())
    record["resolved"]["data"] = str(tmp_path / "gone" / "polyp-1" / "packed")
    write_json(moved / "run.json", record)
    files = []

    def scored(caffe: Any, net: ScoreNet, *_: Any) -> tuple[np.ndarray, None]:
        layer = exporting.read_net(net.model).layer[0]
        files.extend([layer.data_param.source, layer.transform_param.mean_file])
        return engine_probabilities(folder)[:3], None

    monkeypatch.setattr(exporting, "score", scored)
    (moved / "export").mkdir(exist_ok=True)
    again = exporting.export(moved, count=3)
    assert again.patches == 3 and len(list(again.folder.iterdir())) == 4
    assert files == [str(moved.parent / DATA / name) for name in ("val_lmdb", "mean.binaryproto")]


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder.parent, tmp_path / "runs")
    record = json.loads((folder / "run.json").read_text())
    record["resolved"]["data"] = str(tmp_path / "runs" / DATA)
    write_json(tmp_path / "runs" / folder.name / "run.json", record)
    return tmp_path / "runs" / folder.name


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("run.json", "is not a run's folder"),
        ("result.json", "is not finished"),
        ("deploy.prototxt", "deploy.prototxt"),
        ("best.caffemodel", "best.caffemodel"),
        ("../data/polyp-1/packed/data.json", "packed data of .* are gone"),
        ("../data/polyp-1/packed/mean.binaryproto", "mean.binaryproto is missing"),
        ("../data/polyp-1/packed/val_lmdb/data.mdb", "val_lmdb"),
    ],
)
def test_what_is_missing_is_named_in_one_line(broken: str, message: str, copied: Path, tmp_path: Path) -> None:
    (copied / broken).unlink()
    with pytest.raises((UserError, OSError), match=message):
        exporting.export(copied, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_mean_that_changed_is_refused(copied: Path, tmp_path: Path) -> None:
    write_mean(copied.parent / DATA / "mean.binaryproto", np.zeros((3, 28, 28), np.float32))
    with pytest.raises(UserError, match="mean.binaryproto has changed since .* was trained"):
        exporting.export(copied, tmp_path / "out")


@pytest.mark.parametrize("error", [2e-4, np.nan])
def test_nothing_is_written_where_scores_differ(
    error: float, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = engine_probabilities(folder)
    scores[3, 1] += error
    monkeypatch.setattr(exporting, "score", lambda *_: (scores, None))
    with pytest.raises(UserError, match=r"model.onnx differs from the run's own scores by .* nothing was written"):
        exporting.export(folder, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="holds other files, e.g. thesis.tex"):
        exporting.export(folder, tmp_path)
    with pytest.raises(UserError, match="is not a folder; choose another one with OUT="):
        exporting.export(folder, tmp_path / "thesis.tex" / "out")
    with pytest.raises(UserError, match="is not a folder; choose another one with OUT="):
        exporting.export(folder, tmp_path / "thesis.tex")
    with pytest.raises(UserError, match="patches = 0"):
        exporting.export(folder, tmp_path / "out", count=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_mean_that_does_not_fit_the_net_is_refused() -> None:
    deploy = nets.deploy(nets.NetSpec("polyp", "scratch", 2, arch="lenet"))
    with pytest.raises(UserError, match=r"the mean has shape \(3, 32, 32\), the net's input 'data' \(1, 3, 28, 28\)"):
        exporting.source_of(deploy, {}, Preparation(np.zeros((3, 32, 32), np.float32)))


def thin(net: caffe_pb2.NetParameter, divisor: int, side: int) -> caffe_pb2.NetParameter:
    """The net with fewer channels, for patches of side x side; the classes stay."""
    out = caffe_pb2.NetParameter()
    out.CopyFrom(net)
    out.layer[0].input_param.shape[0].dim[:] = [3, 3, side, side]
    for layer in out.layer:
        for param in (layer.convolution_param, layer.inner_product_param):
            if param.num_output > 2:
                param.num_output = max(param.num_output // divisor, 2)
    return out


@pytest.mark.parametrize(
    ("arch", "side"),
    [
        ("alexnet", 99),
        ("caffenet", 99),
        ("vgg16", 64),
        ("googlenet", 224),
        ("squeezenet", 99),
        ("resnet50", 224),
        ("lenet", 28),
    ],
)
def test_every_net_with_its_preparation_is_the_engines(arch: str, side: int) -> None:
    """Structure, mean and scale; torch.export's own step is in the tests of the run."""
    rng = np.random.default_rng(0)
    net = thin(nets.deploy(nets.NetSpec("polyp", "scratch", 2, arch=arch)), 16, side)
    engine = Net(net, caffe_pb2.TEST)
    blobs = random_blobs(engine, rng)
    mean, scale = np.array([104, 117, 123], np.float32), np.float32(1 / 64)
    patches = rng.integers(0, 256, (3, 3, side, side)).astype(np.float32)
    engine.blobs["data"].data = torch.from_numpy((patches - mean[:, None, None]) * scale)
    engine.forward()
    wanted = engine.blobs["prob"].data.numpy().reshape(3, 2)
    source, _ = exporting.source_of(net, blobs, Preparation(mean, float(scale)))
    found = pytorch.runs(pytorch.module(source))(patches)
    assert wanted.min() > 1e-3 and np.ptp(wanted[:, 1]) > 1e-4
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)
    np.testing.assert_allclose(pytorch.runs(pytorch.module(source))(patches[1:2]), wanted[1:2], rtol=0, atol=2e-6)
