"""The same scripts on the genuine pycaffe and on this project's: every number, every name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import genuine_python
import numpy as np
import pytest

HERE = Path(__file__).parents[1] / "lab"
SCRIPT, SURFACE = HERE / "pycaffe_script.py", HERE / "pycaffe_surface.py"
GENUINE, OURS = "genuine", [sys.executable, "-m", "pycaffe_ext.caffe"]
SETTINGS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "GLOG_minloglevel": "2"}
TOLERANCE, AFTER_UPDATES = 1e-5, 1e-4  # of the largest value

IMPORTED = "imported by the genuine module for itself"
NOT_HERE = {
    "caffe": {"_caffe": "the genuine module's compiled part"},
    "caffe.io": {"skimage": IMPORTED},
    "caffe.net_spec": dict.fromkeys(("OrderedDict", "protobuf", "six"), IMPORTED),
    "caffe.coord_map": {"division": IMPORTED},
    "caffe.draw": {"pydot": IMPORTED},
    "caffe.pycaffe": dict.fromkeys(("OrderedDict", "caffe", "izip_longest", "np", "six"), IMPORTED),
    "layer": dict.fromkeys(("setup", "reshape"), "the engine calls them; a script has no blobs to hand to them"),
    "Layer": dict.fromkeys(("setup", "reshape", "blobs"), "a layer in Python defines or is given its own"),
    "Net": {"_blobs_dict": "where the genuine module keeps `blobs`"},
    "proto": {"enum_type_wrapper": IMPORTED},
}

pytestmark = pytest.mark.genuine


def run(engine, *order, cwd):
    if engine == GENUINE:
        return genuine_python.run(*order, cwd=cwd).stdout
    done = subprocess.run(
        [*engine, *map(str, order)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **SETTINGS},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of the genuine run and of ours, each after reading what the other wrote."""
    both = tmp_path_factory.mktemp("genuine"), tmp_path_factory.mktemp("ours")
    for engine, folder in zip((GENUINE, OURS), both, strict=True):
        run(engine, SCRIPT, folder, cwd=folder)
    for engine, folder, other in zip((GENUINE, OURS), both, both[::-1], strict=True):
        run(engine, SCRIPT, folder, other, cwd=folder)
    return both


@pytest.mark.parametrize("name, least", [("out.npz", 130), ("crossed.npz", 15)])
def test_a_script_gives_the_same_numbers(folders, name, least):
    theirs, ours = (np.load(folder / name) for folder in folders)
    assert set(theirs.files) == set(ours.files) and len(ours.files) >= least
    assert [line for key in theirs.files if (line := difference(key, theirs[key], ours[key]))] == []


def difference(key, theirs, ours):
    """What differs, as a line to read; "" if nothing does."""
    if theirs.shape != ours.shape or theirs.dtype.kind != ours.dtype.kind:
        return f"{key}: {theirs.dtype} {theirs.shape} != {ours.dtype} {ours.shape}"
    if theirs.dtype.kind != "f":
        return "" if np.array_equal(theirs, ours) else f"{key}: {theirs.tolist()} != {ours.tolist()}"
    trained = any(f"{word}" in key for word in ("SGD", "Nesterov", "Ada", "RMSProp"))
    error = np.abs(theirs.astype(float) - ours).max() / max(np.abs(theirs).max(), 1e-30) if theirs.size else 0.0
    return "" if error <= (AFTER_UPDATES if trained else TOLERANCE) else f"{key}: {error:.2g}"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What each shows, thing by thing: (genuine, ours)."""
    return [json.loads(run(engine, SURFACE, cwd=tmp_path_factory.mktemp("surface"))) for engine in (GENUINE, OURS)]


def test_every_public_name_is_there(names):
    theirs, ours = names
    public = {
        thing: {name for name in shown if name.strip("_") == name or thing == "Net"} for thing, shown in theirs.items()
    }
    missing = {thing: shown - set(ours[thing]) - set(NOT_HERE.get(thing, {})) for thing, shown in public.items()}
    assert {thing: sorted(lost) for thing, lost in missing.items() if lost} == {}


def test_names_left_out_are_still_the_genuine_ones(names):
    theirs, ours = names
    for thing, left_out in NOT_HERE.items():
        assert set(left_out) <= set(theirs[thing]) - set(ours[thing]), thing
