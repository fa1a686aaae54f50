"""The recommendation: the shallowest scheme that is shown to be good enough, against all others, by a margin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grid_evidence import AUC, drawn, evidence, without
from scipy.optimize import brentq

from pycaffe_ext.evaluation.findings import grids, noninferior
from pycaffe_ext.evaluation.findings.noninferior import recommendation

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
