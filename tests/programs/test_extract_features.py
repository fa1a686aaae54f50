"""extract_features and draw_net."""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree

import lmdb
import numpy as np
import pytest
from programs import run_tool

from pycaffe_ext.genuine import root
from pycaffe_ext.proto import array_to_blob, caffe_pb2, write_weights
from pycaffe_ext.proto.caffe_pb2 import Datum
from pycaffe_ext.records import database

TOOLS = Path(__file__).parents[2] / "tools"
NET = """
layer {{ name: "d" type: "Data" top: "x" top: "y" data_param {{ source: "{0}/images" batch_size: 3 backend: LMDB }} }}
layer {{ name: "conv" type: "Convolution" bottom: "x" top: "conv"
  convolution_param {{ num_output: 2 kernel_size: 3 }} }}
layer {{ name: "drop" type: "Dropout" bottom: "conv" top: "drop" }}
layer {{ name: "fc" type: "InnerProduct" bottom: "drop" top: "fc" inner_product_param {{ num_output: 4 }} }}
"""


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A folder with net.prototxt, weights.caffemodel and an LMDB of seven images."""
    rng = np.random.default_rng(0)
    with database.creating(tmp_path / "images") as put:
        images = rng.integers(0, 256, (7, 3, 8, 9), dtype=np.uint8)
        datums = [Datum(channels=3, height=8, width=9, data=image.tobytes(), label=i) for i, image in enumerate(images)]
        put([(b"%08d" % i, datum.SerializeToString()) for i, datum in enumerate(datums)])
    (tmp_path / "net.prototxt").write_text(NET.format(tmp_path))
    weights = caffe_pb2.NetParameter()
    for name, shape in (("conv", (2, 3, 3, 3)), ("fc", (4, 2 * 6 * 7))):
        blobs = [array_to_blob(rng.standard_normal(size)) for size in (shape, shape[:1])]
        weights.layer.add(name=name, blobs=blobs)
    write_weights(tmp_path / "weights.caffemodel", weights)
    return tmp_path


def theirs(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    program = root.command("extract_features")
    order = [program, folder / "weights.caffemodel", folder / "net.prototxt", *arguments]
    return subprocess.run(list(map(str, order)), capture_output=True, text=True, check=False)


def ours(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_tool("extract_features", folder / "weights.caffemodel", folder / "net.prototxt", *arguments)


def records(folder: Path) -> list[tuple[bytes, Datum]]:
    with lmdb.open(str(folder), readonly=True, lock=False) as env, env.begin() as transaction:
        return [(key, Datum.FromString(value)) for key, value in transaction.cursor()]


@pytest.mark.genuine
def test_same_keys_shapes_and_features_as_the_genuine_program(trained: Path) -> None:
    names = {who: ",".join(str(trained / f"{who}_{blob}") for blob in ("conv", "fc")) for who in ("theirs", "ours")}
    done = theirs(trained, "conv,fc", names["theirs"], 4, "lmdb")
    assert done.returncode == 0, done.stderr
    done = ours(trained, "conv,fc", names["ours"], 4, "lmdb", "CPU")
    assert done.returncode == 0, done.stderr
    assert "Extracted features of 12 query images for feature blob fc" in done.stderr
    for blob in ("conv", "fc"):
        found, wanted = (records(trained / f"{who}_{blob}") for who in ("ours", "theirs"))
        assert len(wanted) == 12 and [key for key, _ in found] == [key for key, _ in wanted]
        for (_, a), (_, b) in zip(found, wanted, strict=True):
            assert a.ByteSize() == b.ByteSize() and a.ListFields()[:3] == b.ListFields()[:3]
            np.testing.assert_allclose(a.float_data, b.float_data, atol=1e-5 * np.abs(b.float_data).max())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["conv,nix", "a,b", 1, "lmdb"], "unknown feature blob name 'nix'"),
        (["conv,fc", "a", 1, "lmdb"], "2 blob names but 1 dataset names"),
        (["conv", "images", 1, "lmdb"], "exists already"),
        (["conv", "a", "many", "lmdb"], "must be a whole number"),
        (["conv", "a", 0, "lmdb"], "at least 1"),
        (["conv", "a", 1, "lmdb", "TPU"], "unknown mode 'TPU'"),
    ],
)
def test_mistakes_take_one_line_and_leave_nothing(arguments: list[object], message: str, trained: Path) -> None:
    before = sorted(trained.iterdir())
    arguments[1] = ",".join(str(trained / name) for name in arguments[1].split(","))
    done = ours(trained, *arguments)
    assert done.returncode == 1 and message in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert sorted(trained.iterdir()) == before


def draw(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_tool("draw_net", *arguments)


def test_a_net_is_drawn(trained: Path) -> None:
    assert draw(trained / "net.prototxt", trained / "net.svg", "--rankdir", "TB", "--phase", "TEST").returncode == 0
    words = " ".join(ElementTree.parse(trained / "net.svg").getroot().itertext())
    assert all(name in words for name in ("conv", "drop", "fc"))
    assert draw(trained / "net.prototxt", trained / "net.png", "--display_lrm").returncode == 0
    assert (trained / "net.png").read_bytes().startswith(b"\x89PNG")


def test_a_drawing_that_cannot_be_made_is_one_line(trained: Path) -> None:
    for net, picture, *more in (("nowhere", "net.svg"), ("net", "net.xyz"), ("net", "net.svg", "--rankdir=XY")):
        done = draw(trained / f"{net}.prototxt", trained / picture, *more)
        assert done.returncode == 1 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
        assert not (trained / picture).exists()
