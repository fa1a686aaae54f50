"""Each layer against the genuine Caffe: forward, gradients to bottoms and to parameters, within 1e-5."""

from __future__ import annotations

import re

import numpy as np
import pytest
from engine_cases import one, ours
from oracle import layers

from pycaffe_ext.engine.layers.base import layer_types

GROUPS = layers.groups()
NAMES = [(group.name, case.name) for group in GROUPS for case in group.rows]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """(family, name of a case) -> its outcome."""
    return {
        (group.name, outcome.name): outcome
        for group in GROUPS
        for outcome in group.run(group.rows, tmp_path_factory.mktemp(group.name))
    }


@pytest.mark.genuine
@pytest.mark.parametrize("name", NAMES, ids=[f"{family}: {case}" for family, case in NAMES])
def test_layer_is_the_genuine_one(outcomes, name):
    assert not outcomes[name].problem


def test_names_tell_cases_apart():
    assert len(set(NAMES)) == len(NAMES)


def test_there_are_four_hundred_cases_over_all_types_that_read_no_file():
    """The others are held in test_engine_data and its neighbours."""
    assert len(NAMES) >= 400
    types = {kind for group in GROUPS for case in group.rows for kind in re.findall(r'type: "(\w+)"', case.prototxt())}
    readers = {"Data", "HDF5Data", "HDF5Output", "ImageData", "MemoryData", "WindowData"}
    assert set(layer_types()) - types == {*readers, "Python"}


@pytest.mark.parametrize("kind, text", [("BNLL", ""), ("Power", "power_param { power: 3 scale: 0.5 shift: 2 }")])
def test_gradient_in_place_is_the_one_out_of_place(kind, text, tmp_path):
    there, here = (ours(one(kind, text, tops=tops), tmp_path / tops) for tops in ("y", "x"))
    given = [np.load(tmp_path / tops / "in.npz")[f"diff:{tops}"] for tops in ("y", "x")]
    slopes = there["diff:x"] / given[0], here["diff:x"] / given[1]
    np.testing.assert_allclose(*slopes, rtol=1e-3)
