"""Data layers that read no LMDB: batches of the genuine Caffe, bad files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from solver_lab import datum, images, needs_genuine
from test_engine_data import batches, genuine_batches

from pycaffe_ext.errors import UserError
from pycaffe_ext.training import genuine


def write_images(folder: Path, pixels: np.ndarray, labels: np.ndarray, ending: str = "png") -> None:
    """img/0.png ... and list.txt, a line for each: name and label."""
    (folder / "img").mkdir()
    for i, image in enumerate(pixels):
        cv2.imwrite(str(folder / "img" / f"{i}.{ending}"), image.transpose(1, 2, 0))
    lines = [f"{i}.{ending} {label}\n" for i, label in enumerate(labels)]
    (folder / "list.txt").write_text("".join(lines))


@pytest.fixture
def leveldb(tmp_path):
    """A LevelDB `ldb` of 7 images, written by the genuine convert_imageset where it is installed, else here."""
    plyvel = pytest.importorskip("plyvel", reason="plyvel is not installed (pip install 'pycaffe_ext[leveldb]')")
    pixels, labels = images(7)
    if genuine.installed():
        write_images(tmp_path, pixels, labels)
        command = [genuine.command("convert_imageset"), "-backend", "leveldb", "img/", "list.txt", "ldb"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return tmp_path
    with plyvel.DB(str(tmp_path / "ldb"), create_if_missing=True) as db:
        for i, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            db.put(b"%08d" % i, datum(image, int(label), "raw").SerializeToString())
    return tmp_path


LEVELDB = """layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "ldb" backend: LEVELDB batch_size: 5 } transform_param { crop_size: 6 scale: 0.5 } }"""


def test_leveldb_holds_what_was_packed(leveldb):
    pixels, labels = images(7)
    out = batches(leveldb, LEVELDB, count=2)
    np.testing.assert_array_equal(out["data"].reshape(10, 3, 6, 6)[:7], pixels[:, :, 1:7, 1:7] * 0.5)
    np.testing.assert_array_equal(out["label"].ravel(), np.concatenate([labels, labels[:3]]))


@needs_genuine
@pytest.mark.genuine
def test_leveldb_batches_are_the_genuine_ones(leveldb):
    ours = batches(leveldb, LEVELDB)
    theirs = genuine_batches(leveldb, LEVELDB)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_bad_leveldbs_are_refused(leveldb):
    table = next(path for path in (leveldb / "ldb").iterdir() if path.name.startswith("MANIFEST"))
    table.write_bytes(table.read_bytes()[:20])
    with pytest.raises(UserError, match="layer 'data'.*ldb: cannot be read as a LevelDB"):
        batches(leveldb, LEVELDB)
    with pytest.raises(UserError, match="nosuch: no LevelDB there"):
        batches(leveldb, LEVELDB.replace('"ldb"', '"nosuch"'))
    assert not (leveldb / "nosuch").exists()


def test_without_plyvel_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "ldb").mkdir()
    (tmp_path / "ldb" / "CURRENT").touch()
    monkeypatch.setitem(sys.modules, "plyvel", None)
    with pytest.raises(UserError, match=r"pip install 'pycaffe_ext\[leveldb\]'"):
        batches(tmp_path, LEVELDB)
