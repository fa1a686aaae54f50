"""The recommendation: the shallowest scheme that is shown to be good enough, against all others, by a margin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grid_evidence import AUC, DEEP, MIDDLE, SHALLOW, drawn, evidence, without
from scipy import stats
from scipy.optimize import brentq

from pycaffe_ext.evaluation import fold_worlds
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.findings import grids, noninferior
from pycaffe_ext.evaluation.findings.model import Evidence
from pycaffe_ext.evaluation.findings.noninferior import recommendation
from pycaffe_ext.evaluation.fold_worlds import FoldWorld
from pycaffe_ext.evaluation.folds import fold_mean

MEANS = {"ft-fc8": {"1": 0.75}, "ft-conv4": {"1": 0.795}, "ft-conv1": {"1": 0.80}, "scratch": {"1": 0.70}}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_shallowest_within_the_margin_is_recommended():
    own = drawn(MEANS, training=0.002)
    found = recommendation(own, "1", rng())
    assert found.scheme == "ft-conv4"
    assert [one.shown for one in found.candidates] == [False, True, True, False]
    assert found.text == "ft-conv4: shown to be not worse than the best by 0.02 AUC"
    wider, narrower = (replace(own, merit=replace(AUC, margin=margin)) for margin in (0.07, 0.001))
    assert recommendation(wider, "1", rng()).scheme == "ft-fc8"
    assert recommendation(narrower, "1", rng()).scheme == "ft-conv1"


def test_of_two_schemes_the_bound_is_the_one_sided_one():
    own = evidence({"ft-fc8": {"1": [0.8, 0.79, 0.785]}, "ft-conv1": {"1": [0.80, 0.805, 0.79]}}, case_sd=0.002)
    difference = grids.estimate(own, {("ft-fc8", "1"): 1, ("ft-conv1", "1"): -1})
    bound = brentq(lambda null: difference.p_above(null) - noninferior.LEVEL, -1, 1)
    found = recommendation(own, "1", rng(), draws=200_000).candidates[0]
    assert found.difference.value == pytest.approx(difference.value) and found.rival == "ft-conv1"
    assert found.bound == pytest.approx(bound, rel=0.03)
    assert found.margin_shown == -found.bound


def test_bounds_for_all_schemes_are_wider_than_for_one_and_narrower_than_bonferronis():
    own = drawn(MEANS, training=0.004, seeds=4)
    found = recommendation(own, "1", rng(), draws=100_000).candidates[0]

    def bound(level: float) -> float:
        return brentq(lambda null: found.difference.p_above(null) - level, -1, 1)

    assert bound(noninferior.LEVEL / 3) < found.bound < bound(noninferior.LEVEL)


def test_every_other_scheme_counts_not_only_the_apparent_best():
    """The net from scratch varies so much that nothing is shown against it."""
    values = {
        "ft-fc8": {"1": [0.80, 0.801, 0.799]},
        "ft-conv1": {"1": [0.801, 0.8, 0.8]},
        "scratch": {"1": [0.9, 0.79, 0.7]},
    }
    found = recommendation(evidence(values), "1", rng())
    assert found.scheme is None and {one.rival for one in found.candidates[:2]} == {"scratch"}
    calm = recommendation(evidence({name: values[name] for name in ("ft-fc8", "ft-conv1")}), "1", rng())
    assert calm.scheme == "ft-fc8"


def test_none_shown_says_what_it_would_need():
    own = drawn(MEANS, training=0.01, seeds=3)
    found = recommendation(own, "1", rng())
    assert found.scheme is None
    candidate = next(one for one in found.candidates if one.seeds_needed)
    assert candidate.seeds_needed > 3
    assert f"about {candidate.seeds_needed} seeds instead of 3 would show {candidate.scheme}" in found.text
    assert "the smallest margin that this study shows is" in found.needs
    few = drawn({name: {"1": 0.8} for name in MEANS}, training=0.001, case_sd=0.2)
    assert "more seeds alone would not do: the 100 test groups are too few" in recommendation(few, "1", rng()).needs


def test_as_many_seeds_as_needed_do_show_it():
    """A study with that number of seeds and the same estimates has the power that was promised."""
    own = drawn(MEANS, training=0.01, seeds=3)
    candidate = next(one for one in recommendation(own, "1", rng()).candidates if one.seeds_needed)
    names = list(MEANS)
    trials = [drawn(MEANS, training=0.01, seeds=candidate.seeds_needed, seed=i) for i in range(20)]
    shown = [recommendation(one, "1", rng(), 1000).candidates[names.index(candidate.scheme)].shown for one in trials]
    assert np.mean(shown) >= 0.6


def test_a_worse_scheme_is_seldom_recommended():
    """All but the deepest are worse by the margin; a hundred studies of three seeds."""
    means = {name: {"1": 0.80 if name == "ft-conv1" else 0.78} for name in MEANS}
    found = [recommendation(drawn(means, 3, 0.01, i), "1", rng(), 1000).scheme for i in range(100)]
    assert sum(one not in (None, "ft-conv1") for one in found) <= 8


@pytest.mark.parametrize(
    ("own", "reason", "missing"),
    [
        (drawn(MEANS, seeds=1), "one seed: how much a net varies", tuple(MEANS)),
        (drawn(MEANS, groups=5), "a test set has 5 groups; 10 are needed", ()),
        (drawn({"ft-fc8": {"1": 0.8}}), "fewer than two schemes with two finished seeds at 1", ()),
        (
            without(without(drawn(MEANS, 3), "ft-fc8", "1", [0]), "ft-conv1", "1", [1]),
            "1 seed with all of these runs",
            (),
        ),
    ],
)
def test_what_cannot_be_tested_says_why(own, reason, missing):
    found = recommendation(own, "1", rng())
    assert found.reason.startswith(reason) and found.scheme is None and found.candidates == ()
    assert found.missing == missing and found.text.startswith("none shown; ")


def test_a_scheme_without_a_run_is_named_and_the_others_are_compared():
    found = recommendation(without(drawn(MEANS, training=0.002), "ft-conv4", "1"), "1", rng())
    assert (found.scheme, found.missing) == ("ft-conv1", ("ft-conv4",))
    assert [one.scheme for one in found.candidates] == ["ft-fc8", "ft-conv1", "scratch"]


def of_folds(world: FoldWorld, number: int, margin: float) -> Evidence:
    """A study in folds; the shallowest scheme is the learner with the handicap."""
    areas, trials = fold_worlds.areas(world, np.random.default_rng([5, number]), learners=3)
    values = areas[:, [1, 0, 2]]
    unknown = np.zeros((*values.shape, *values.shape))
    figure = Figure(values, unknown, world.groups, tuple(trials))
    merit = replace(AUC, margin=margin)
    schemes = (SHALLOW, MIDDLE, DEEP)
    return Evidence("polyp", "alexnet", "polyp, alexnet", "polyp", merit, schemes, ("1",), (16.0,), figure)


@pytest.mark.parametrize("world", [FoldWorld(handicap=0.4), FoldWorld(handicap=0.4, seeds=3, same=True)], ids=str)
def test_in_folds_a_scheme_that_is_worse_by_the_margin_is_hardly_ever_recommended(world):
    studies = [of_folds(world, number, 0.02) for number in range(80)]
    values = np.concatenate([own.figure.values for own in studies])
    behind = float((values[:, 1:].mean() - values[:, 0]).mean())
    assert behind > 0.02
    at_margin = [replace(own, merit=replace(own.merit, margin=behind)) for own in studies]
    found = [recommendation(own, "1", rng(), draws=600).scheme for own in at_margin]
    assert found.count("ft-fc8") <= 0.05 * 80 + 4, "5 % and twice the simulation's error"
    wide = [replace(own, merit=replace(own.merit, margin=0.3)) for own in studies]
    assert [recommendation(own, "1", rng(), draws=600).scheme for own in wide].count("ft-fc8") > 60


def test_in_folds_a_missing_fold_leaves_its_seed_out_and_none_whole_is_said():
    own = of_folds(FoldWorld(), 0, 0.3)
    values = own.figure.values.copy()
    values[0, 1] = np.nan
    found = recommendation(replace(own, figure=replace(own.figure, values=values)), "1", rng())
    assert found.scheme is None and found.reason == "no seed with all of its 5 folds: run the missing ones"


def test_draws_of_folds_have_the_variance_by_which_a_contrast_is_tested():
    own = of_folds(FoldWorld(seeds=2), 1, 0.02)
    drawn = grids.draws(own.figure, [0, 1, 2], rng(), 200_000)
    for weights in ((1, -1, 0), (0.5, 0.5, -1), (0, 0, 1)):
        expected = fold_mean(own.figure.values @ np.array(weights), own.figure.trials)
        single = drawn @ np.array(weights)
        assert single.mean() == pytest.approx(expected.mean, abs=5e-4)
        low, high = np.quantile(single, (0.025, 0.975))
        reach = stats.t.ppf(0.975, expected.freedom) * np.sqrt(expected.variance)
        assert (high - low) / 2 == pytest.approx(reach, rel=0.02)
