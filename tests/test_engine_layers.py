"""Each layer against the genuine Caffe: forward, gradients to bottoms and to parameters, within 1e-5."""

from __future__ import annotations

import numpy as np
import pytest
from cases import families
from engine_cases import differences, one, ours, run_genuine

from pycaffe_ext.training import genuine

needs_genuine = pytest.mark.skipif(not genuine.installed(), reason="the genuine Caffe is not installed (make caffe)")
CASES = [case for cases in families().values() for case in cases]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Index of a case -> what differs from the genuine engine."""
    root = tmp_path_factory.mktemp("cases")
    mine = [ours(case, root / str(i)) for i, case in enumerate(CASES)]
    run_genuine([root / str(i) for i in range(len(CASES))])
    return [differences(out, root / str(i) / "out.npz", CASES[i].tolerance) for i, out in enumerate(mine)]


@needs_genuine
@pytest.mark.genuine
@pytest.mark.parametrize("index", range(len(CASES)), ids=[case.name for case in CASES])
def test_layer_is_the_genuine_one(results, index):
    assert not results[index]


@pytest.mark.parametrize("kind, text", [("BNLL", ""), ("Power", "power_param { power: 3 scale: 0.5 shift: 2 }")])
def test_gradient_in_place_is_the_one_out_of_place(kind, text, tmp_path):
    there, here = (ours(one(kind, text, tops=tops), tmp_path / tops) for tops in ("y", "x"))
    given = [np.load(tmp_path / tops / "in.npz")[f"diff:{tops}"] for tops in ("y", "x")]
    slopes = there["diff:x"] / given[0], here["diff:x"] / given[1]
    np.testing.assert_allclose(*slopes, rtol=1e-3)
