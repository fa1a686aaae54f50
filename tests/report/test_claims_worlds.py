"""Whole studies of known truth through the chain of claims: the verdicts keep their level, and find what is there."""

from dataclasses import replace

import numpy as np
import pytest

from pycaffe_ext.evaluation.contrasts import Verdict
from pycaffe_ext.evaluation.study_figures import study_figures
from pycaffe_ext.evaluation.study_worlds import StudyWorld, coverage, draw_study
from pycaffe_ext.report import claims_worlds as w

RESAMPLES = 60
AS_GOOD = "Deep tuning is as good as training from scratch or better"


def test_the_closed_forms_are_those_of_a_large_test_set():
    world = StudyWorld({"a": 0.8, "b": 0.7}, seeds=2, training=0.0, groups=3000, pool=3000, frames=2, spread=0.7)
    cases, group = draw_study(world, np.random.default_rng(0))
    found = study_figures(cases, group, w.RATES, resamples=2)
    for j, value in enumerate(world.sensitivity.values()):
        for rate in w.RATES:
            wanted = world.true_sensitivity(value, rate)
            assert found.sensitivity[rate].values[:, j] == pytest.approx(wanted, abs=0.03)
        assert world.true_sensitivity(value, world.rate) == pytest.approx(value)
        assert found.auc.values[:, j] == pytest.approx(world.true_auc(value), abs=0.02)


def test_truths_follow_from_the_world():
    equal = w.truths(StudyWorld(w.schemes()))
    assert {name for name, sign in equal.items() if sign} == {AS_GOOD, f"{AS_GOOD}, by AUC"}
    worse = w.truths(StudyWorld(w.worse_by(0.05)))
    assert worse[AS_GOOD] == 0 and worse["Performance grows with the depth of tuning"] == -1
    assert w.truths(StudyWorld(w.worse_by(0.08)))[AS_GOOD] == -1
    assert set(w.truths(StudyWorld(w.rising(0.02))).values()) == {1, -1}


SAME = "Nets from scratch end equally good, whatever their weights start from, by AUC"


def test_truths_of_fillers_go_by_the_margin():
    worlds = {loss: StudyWorld(w.with_fillers(loss)) for loss in (0.0, 0.02, 0.04)}
    assert [w.truths(world)[SAME] for world in worlds.values()] == [1, 0, -1]


def test_fillers_that_differ_by_more_than_the_margin_are_not_called_equal():
    world = StudyWorld(w.with_fillers(0.04), seeds=5, training=0.02, groups=100, pool=200)
    found = w.level(world, 8, RESAMPLES)
    assert found.claims[SAME].shown == 0, found


def test_nine_equal_schemes_give_few_false_verdicts():
    """Counted tests of single nets gave one in 97 of 100 studies like these, and chance alone allows 5."""
    world = replace(w.WORLDS["nine equal schemes, 3 seeds, 400 images"], groups=100, pool=200)
    found = w.level(world, 16, RESAMPLES)
    assert found.false <= 0.13, found


def test_a_deep_net_worse_by_eight_points_is_not_called_as_good():
    world = replace(w.WORLDS["deep worse by 0.08, 5 seeds"], training=0.02)
    rng, verdicts = np.random.default_rng(0), []
    for _ in range(5):
        claims = w.study_claims(world, rng, RESAMPLES)
        verdicts.append(next(row.verdict for row in claims if row.statement == AS_GOOD))
    assert Verdict.SHOWN not in verdicts


def test_true_differences_are_found():
    """Growth over eight depths and a shallow net that is much worse, in studies of eight seeds."""
    world = StudyWorld(w.rising(0.03), seeds=8, training=0.02, groups=150, pool=300)
    found = w.level(world, 3, RESAMPLES)
    assert found.false == 0
    assert found.claims["Performance grows with the depth of tuning"].shown == 1, found


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_over_seeds_with_overlapping_test_sets(seeds):
    """The plain t interval is too narrow where seeds share half of their test videos; that of the report is not."""
    world = StudyWorld({"net": 0.8}, seeds=seeds, training=0.01, groups=20, pool=40, frames=3, spread=0.7)
    found = coverage(world, 100, 100)
    assert found["cases"] >= 0.88 and found["overlap"] >= 0.88, found
    assert found["plain"] < found["cases"], found
