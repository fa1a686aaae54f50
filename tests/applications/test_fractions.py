"""FRACTION= with the applications that learn what they propose: it thins the nets' training groups and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext.applications.preparation import prepare
from pycaffe_ext.applications.registry import load
from pycaffe_ext.data import pack
from pycaffe_ext.data.boundaries import lattice
from pycaffe_ext.data.synthetic.artery import write_phantom
from pycaffe_ext.detector import quality
from pycaffe_ext.runs.settings import Settings

WIDE = 16  # columns of the lattice, so that an artery has few places


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(quality, "TREES", 10)
    monkeypatch.setattr(lattice, "ACROSS", WIDE)
    monkeypatch.setattr("pycaffe_ext.detector.walls.maps.ACROSS", WIDE)
    monkeypatch.setenv("PYCAFFE_EXT_THREADS", "1")


@pytest.fixture(scope="module")
def arteries(made_once):
    make = lambda folder: write_phantom(folder / "phantom", 10, 1, seed=3, workers=1, progress=False)  # noqa: E731
    return made_once("walls", make) / "phantom"


@pytest.mark.parametrize(("app", "options"), [("polyp", {}), ("frames", {"degrade": "1"}), ("imt", {})])
def test_the_training_groups_are_thinned_and_nothing_else(app, options, miniature, arteries, tmp_path):
    data, application = str(arteries if app == "imt" else miniature), load(app)
    whole, half = (
        prepare(
            application,
            Settings.of(app, "scratch", data=data, patches=80, test_views=1, fraction=fraction, **options).request,
            24,
            tmp_path / "runs",
        )
        for fraction in ("1", "1/2")
    )
    groups = [{row["group"] for row in pack.read_index(own.packed.index("train"))} for own in (whole, half)]
    assert groups[1] < groups[0] and len(groups[1]) == half.packed.share["groups"] < half.packed.share["of"]
    assert half.packed.facts["val"] == whole.packed.facts["val"]
    assert half.packed.facts["test"] == whole.packed.facts["test"]
    assert half.packed.facts["train"]["groups"] == half.packed.share["groups"]
    assert half.packed.fitted == whole.packed.fitted  # the detector, the forest, the offsets are those of all groups
    for own in ("validation", "test"):
        mine, other = getattr(half, own).samples, getattr(whole, own).samples
        assert np.array_equal(mine.label, other.label) and np.array_equal(mine.place, other.place)
    slices = [own.test_slices.selections[0] for own in (whole, half)]
    assert np.array_equal(slices[0].sample, slices[1].sample)
