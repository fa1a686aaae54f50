"""The unit tests that Caffe publishes for pycaffe pass with `caffe` meaning this project's module.

They are not part of this project: `make caffe` fetches them beside the genuine Caffe.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import genuine_python
import numpy as np
import pytest

from pycaffe_ext import caffe
from pycaffe_ext.genuine import source
from pycaffe_ext.proto import read_net

RUNNER = Path(__file__).parents[1] / "lab" / "published_runner.py"
FOLDER = source.folder() / "python/caffe/test"
PUBLISHED = {  # module -> number of tests in it
    "test_coord_map": 11,
    "test_draw": 1,
    "test_io": 5,
    "test_layer_type_list": 1,
    "test_nccl": 1,
    "test_net": 18,
    "test_net_spec": 3,
    "test_python_layer": 6,
    "test_python_layer_with_param_str": 2,
    "test_solver": 4,
}

pytestmark = [
    pytest.mark.genuine,
    pytest.mark.skipif(not source.installed(), reason="`make caffe` has not fetched Caffe's tests"),
]


def run(modules, folder):
    """{module: numbers} and everything that was printed."""
    order = [sys.executable, str(RUNNER), str(FOLDER), *modules]
    done = subprocess.run(
        order, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "GLOG_minloglevel": "2"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run(PUBLISHED, tmp_path_factory.mktemp("published"))


@pytest.mark.parametrize("module", PUBLISHED)
def test_published(module, results):
    counts, printed = results
    assert counts[module] == {"run": PUBLISHED[module], "failures": 0, "errors": 0, "skipped": 0}, printed[-3000:]


def test_every_published_file_is_run():
    assert {path.stem for path in FOLDER.glob("test_*.py")} == set(PUBLISHED)


def _run_by_the_genuine(script, folder):
    genuine_python.run(script, cwd=folder)


def _run_by_ours(script, folder):
    subprocess.run([sys.executable, "-m", "pycaffe_ext.caffe", script], cwd=folder, check=True, capture_output=True)


def test_published_script_writes_the_same_nets(tmp_path):
    """examples/pycaffe/caffenet.py, unchanged, on both."""
    script = str(source.folder() / "examples/pycaffe/caffenet.py")
    nets = []
    for run_script in (_run_by_the_genuine, _run_by_ours):
        run_script(script, tmp_path)
        nets.append([read_net(tmp_path / name) for name in ("train.prototxt", "test.prototxt")])
    assert nets[0] == nets[1]


def test_published_python_layer_trains(monkeypatch):
    """examples/pycaffe: a net whose loss is a Python layer; the gradients are those of the loss that Caffe has."""
    folder = source.folder() / "examples/pycaffe"
    monkeypatch.syspath_prepend(folder / "layers")
    net = caffe.Net(str(folder / "linreg.prototxt"), caffe.TRAIN)
    loss = net.forward()["loss"]
    net.backward()
    difference = net.blobs["ipx"].data - net.blobs["ipy"].data
    np.testing.assert_allclose(loss, (difference**2).sum() / 10 / 2, rtol=1e-4)
    np.testing.assert_allclose(net.blobs["ipx"].diff, difference / 10, atol=1e-5)
    assert np.abs(net.params["ipy"][0].diff).max() > 0
