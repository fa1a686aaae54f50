"""What a donor is worth before training: its features as both engines compute them, and the command itself."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import lmdb
import numpy as np
import pytest
from programs import run_tool
from training_lab import ENGINES, SMALL

from pycaffe_ext import caffe, nets
from pycaffe_ext.donor import DONOR
from pycaffe_ext.proto import read_blobs, write_text
from pycaffe_ext.records.datum import to_bytes
from pycaffe_ext.runs import linear_probe
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.scoring import collect

PATCHES = 3
ROW = re.compile(r"^(\S.*?) +AUC (\d\.\d+) \[(\d\.\d+), (\d\.\d+)\]$", re.M)


def packed(folder: Path, size: int) -> np.ndarray:
    """An LMDB of PATCHES patches, and them."""
    patches = np.random.default_rng(0).integers(0, 256, (PATCHES, 3, size, size), np.uint8)
    with lmdb.open(str(folder), map_size=1 << 24) as database, database.begin(write=True) as transaction:
        for number, patch in enumerate(patches):
            transaction.put(f"{number:08d}".encode(), to_bytes(patch, number % 2))
    return patches


def features(command: tuple[str, ...], spec: nets.NetSpec, head: str, weights: Path, folder: Path) -> np.ndarray:
    net, blob = linear_probe.features_net(nets.score_net(spec, str(folder / "lmdb"), PATCHES), head)
    write_text(folder / "features.prototxt", net)
    with closing(Caffe(command).test(folder / "features.prototxt", weights, 1)) as lines:
        return collect(lines)[blob].reshape(PATCHES, -1)


@pytest.mark.parametrize("command", ENGINES)
def test_alexnets_features_are_what_fc8_reads(command, tmp_path):
    spec = nets.NetSpec("polyp", "ft-fc8", 2, width=Fraction(1, 8), mean_value=(100.0,), scale=0.0167)
    patches = packed(tmp_path / "lmdb", 227)
    found = features(command, spec, "fc8_polyp", DONOR, tmp_path)
    deploy = nets.deploy(spec)
    deploy.layer[0].input_param.shape[0].dim[0] = PATCHES
    write_text(tmp_path / "deploy.prototxt", deploy)
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), str(DONOR), caffe.TEST)
    net.blobs["data"].data[...] = (patches.astype(np.float32) - 100) * np.float32(0.0167)
    net.forward()
    assert found.shape == net.blobs["fc7"].data.shape and found.any()
    np.testing.assert_allclose(found, net.blobs["fc7"].data, atol=1e-4 * np.abs(found).max())


@pytest.mark.parametrize("command", ENGINES)
def test_maps_are_averaged_over_their_places(command, tmp_path):
    """SqueezeNet's conv10 reads a map: its mean over the places is what conv10's own mean over them depends on."""
    spec = nets.NetSpec("polyp", "scratch", 2, arch="squeezenet", mean_value=(100.0,))
    packed(tmp_path / "lmdb", 227)
    deploy = tmp_path / "deploy.prototxt"
    write_text(deploy, nets.deploy(spec))
    caffe.set_random_seed(0)
    net = caffe.Net(str(deploy), caffe.TEST)
    net.save(str(tmp_path / "random.caffemodel"))
    found = features(command, spec, "conv10_polyp", tmp_path / "random.caffemodel", tmp_path)
    with closing(_values(tmp_path, spec)) as lines:
        concat = collect(lines)["fire9/concat"].reshape(PATCHES, 512, -1)
    np.testing.assert_allclose(found, concat.mean(axis=2), rtol=1e-3, atol=1e-4 * np.abs(found).max())


def _values(folder: Path, spec: nets.NetSpec):
    """What `caffe test` prints of the map itself."""
    net = linear_probe.features_net(nets.score_net(spec, str(folder / "lmdb"), PATCHES), "conv10_polyp")[0]
    del net.layer[-1]
    write_text(folder / "map.prototxt", net)
    return Caffe().test(folder / "map.prototxt", folder / "random.caffemodel", 1)


@pytest.mark.slow
def test_the_command_says_what_the_donor_is_worth(miniature, miniature_run, tmp_path):
    shutil.copytree(miniature_run / "runs" / "data", tmp_path / "runs" / "data")
    order = [word for word in SMALL if word not in ("--batch", "16")]
    done = run_tool("probe_donor", "polyp", "--data", miniature, *order, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fc8_polyp" in done.stdout and "training and validation patches" in done.stdout
    rows = {name: tuple(map(float, numbers)) for name, *numbers in ROW.findall(done.stdout)}
    assert list(rows) == ["the embedded donor", "random weights"]
    assert all(low <= auc <= high for auc, low, high in rows.values())
    (difference,) = re.findall(r"^difference ([+-]\d\.\d+) \[", done.stdout, re.M)
    assert float(difference) == pytest.approx(rows["the embedded donor"][0] - rows["random weights"][0], abs=0.0011)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["data"]  # nothing is left beside the data


def test_the_random_weights_are_those_of_a_training_from_scratch(tmp_path, monkeypatch):
    """The fillers of the seed, and not the donor's weights."""
    spec = nets.NetSpec(
        "polyp", "ft-fc8", 2, width=Fraction(1, 8), mean_value=(100.0,), train_source="lmdb", val_source="lmdb"
    )
    packed(tmp_path / "lmdb", 227)
    net = object.__new__(linear_probe._Net)
    net.caffe, net.folder = Caffe(), tmp_path
    net.spec = replace(spec, train_source=str(tmp_path / "lmdb"), val_source=str(tmp_path / "lmdb"), batch_size=1)
    for seed in (1, 2):
        net.settings = Settings.of("polyp", "ft-fc8", seed=seed)
        (tmp_path / f"{seed}").mkdir()
        net.random_weights().rename(tmp_path / f"{seed}.caffemodel")
    first, second = (read_blobs(tmp_path / f"{seed}.caffemodel")["conv1"][0] for seed in (1, 2))
    assert first.std() == pytest.approx(0.01, rel=0.1)  # AlexNet's Gaussian
    assert not np.array_equal(first, second)


def test_another_net_without_a_donor_is_one_line(tmp_path):
    done = run_tool("probe_donor", "frames", "--arch", "squeezenet", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "WEIGHTS=" in done.stderr and not (tmp_path / "runs").exists()
