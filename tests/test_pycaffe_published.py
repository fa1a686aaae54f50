"""The unit tests that Caffe publishes for pycaffe pass with `caffe` meaning this project's module.

They are not part of this project: `make caffe` fetches them beside the genuine Caffe.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pycaffe_ext.training import genuine_source

RUNNER = Path(__file__).with_name("published_runner.py")
FOLDER = genuine_source.folder() / "python/caffe/test"
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
SLOW = ["test_draw"]  # draws the whole model zoo

pytestmark = [pytest.mark.genuine,
              pytest.mark.skipif(not genuine_source.installed(), reason="`make caffe` has not fetched Caffe's tests")]


def run(modules, folder):
    """{module: numbers} and everything that was printed."""
    order = [sys.executable, str(RUNNER), str(FOLDER), *modules]
    done = subprocess.run(order, cwd=folder, capture_output=True, text=True, check=False,
                          env={**os.environ, "GLOG_minloglevel": "2"})
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stdout


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    return run([name for name in PUBLISHED if name not in SLOW], tmp_path_factory.mktemp("published"))


@pytest.mark.parametrize("module", [name for name in PUBLISHED if name not in SLOW])
def test_published(module, quick):
    counts, printed = quick
    assert counts[module] == passed(module), printed[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("module", SLOW)
def test_published_slow(module, tmp_path):
    counts, printed = run([module], tmp_path)
    assert counts[module] == passed(module), printed[-3000:]


def passed(module):
    return {"run": PUBLISHED[module], "failures": 0, "errors": 0, "skipped": 0}


def test_every_published_file_is_run():
    assert {path.stem for path in FOLDER.glob("test_*.py")} == set(PUBLISHED)
