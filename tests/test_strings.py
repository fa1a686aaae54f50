"""Prototxts whose names and paths are not UTF-8: bytes in, the same bytes out, as in Caffe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from solver_lab import run_ours

from pycaffe_ext import strings
from pycaffe_ext.genuine import root
from pycaffe_ext.proto import caffe_pb2, encoding, read_net, read_solver, read_weights, write_text

ROOT = Path(__file__).parents[1]
GBK, LATIN = "数据".encode("gbk"), "couché".encode("latin-1")
NET = b"""# %s
name: "%s"
layer { name: "d" type: "DummyData" top: "x" top: "y" dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 }
  data_filler { type: "gaussian" } data_filler { type: "constant" } } }
layer { name: "%s" type: "InnerProduct" bottom: "x" top: "%s" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "%s" bottom: "y" top: "loss" }
""" % (GBK, LATIN, LATIN, LATIN, LATIN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a name in GBK, and a net in it."""
    path = tmp_path / os.fsdecode(GBK)
    try:
        path.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (path / "net.prototxt").write_bytes(NET)
    return path


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"plain",
        "é数😀".encode(),
        GBK,
        LATIN,
        bytes(range(256)),
        bytes(range(255, -1, -1)),
        b"\xed\xa0\xbd",
        b"\xf4\x90\x80\x80",
        "\U0010ff80\U0010ffff".encode(),
        b"\xc3" + "é".encode() + b"\xa9",
    ],
)
def test_any_bytes_survive_in_a_message(raw):
    text = strings.decode(raw)
    assert strings.encode(text) == raw
    assert os.fsencode(strings.native(text)) == raw and strings.portable(os.fsdecode(raw)) == text
    net = caffe_pb2.NetParameter(name=text, input=["a", text])
    net.layer.add(name=text).blobs.add(data=[1, 2])
    content, again = encoding.serialize(net), caffe_pb2.NetParameter()
    assert content.count(raw) >= 3
    encoding.unserialize(content, again)
    assert again == net


def test_a_net_is_written_with_the_bytes_it_was_read_with(folder, tmp_path):
    net = read_net(folder / "net.prototxt")
    write_text(tmp_path / "again", net)
    assert (tmp_path / "again").read_bytes().count(LATIN) == 4 and GBK not in (tmp_path / "again").read_bytes()
    assert read_net(tmp_path / "again") == net


def test_a_solver_in_such_a_folder_names_its_snapshots(folder):
    (folder / "solver.prototxt").write_bytes(b'net: "' + GBK + b'/net.prototxt"')
    solver = read_solver(folder / "solver.prototxt")
    assert strings.encode(solver.net) == GBK + b"/net.prototxt"
    assert strings.native(solver.snapshot_prefix) == str(folder / "solver")


def caffe(*arguments: object, folder: Path) -> bytes:
    """What the embedded `caffe` says."""
    order = [sys.executable, "-m", "pycaffe_ext", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(order, cwd=folder, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_training_reads_and_writes_such_names(folder, tmp_path):
    (tmp_path / "solver").write_bytes(
        b'net: "%s/net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 2 snapshot: 1 snapshot_prefix: "%s/s"'
        b" solver_mode: CPU" % (GBK, GBK)
    )
    log = caffe("train", "-solver=solver", folder=tmp_path)
    assert b"Creating training net from net file: " + GBK + b"/net.prototxt" in log
    assert b"Creating Layer " + LATIN in log
    weights = read_weights(folder / "s_iter_2.caffemodel")
    assert strings.encode(weights.layer[1].name) == LATIN and weights.layer[1].blobs
    resumed = run_ours(tmp_path, "train", "-solver=solver", f"-snapshot={folder}/s_iter_1.solverstate")
    assert "Optimization Done" in resumed


@pytest.mark.genuine
def test_the_genuine_program_reads_the_same_net(folder, tmp_path):
    write_text(tmp_path / "ours", read_net(folder / "net.prototxt"))
    for source, target in ((folder / "net.prototxt", "a"), (tmp_path / "ours", "b")):
        order = [root.command("upgrade_net_proto_text"), source, tmp_path / target]
        subprocess.run(order, capture_output=True, check=True)
    theirs = (tmp_path / "a").read_bytes()
    assert theirs == (tmp_path / "b").read_bytes() and rb'"couch\351"' in theirs
    assert read_net(tmp_path / "a") == read_net(folder / "net.prototxt")
