"""Claim 2, the gap against the amount of data: by hand, in both directions of a figure, and what is missing."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from grid_evidence import DEEP, MM, SCRATCH, drawn, evidence, without
from scipy.stats import t as student

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.contrasts import Estimate, Verdict, contrast
from pycaffe_ext.evaluation.findings import gaps, grids
from pycaffe_ext.evaluation.findings.every import claims
from pycaffe_ext.evaluation.findings.model import Scheme

MEANS = {
    "ft-fc8": {"1": 0.80, "1/4": 0.79, "1/20": 0.78},
    "ft-conv1": {"1": 0.84, "1/4": 0.81, "1/20": 0.79},
    "scratch": {"1": 0.80, "1/4": 0.70, "1/20": 0.60},
}


def of_seeds(own, scheme: str, fraction: str) -> np.ndarray:
    return own.figure.values[:, own.column(scheme, fraction)]


def gap(own, fraction: str) -> np.ndarray:
    return of_seeds(own, "ft-conv1", fraction) - of_seeds(own, "scratch", fraction)


def test_the_claim_is_the_slope_of_the_gap_seed_by_seed():
    own = drawn(MEANS, case_sd=0.002)
    trend, ends = gaps.by_evidence(own)
    octaves = np.log2([1, 4, 20])
    slopes = [np.polyfit(octaves, [gap(own, f)[seed] for f in own.fractions], 1)[0] for seed in range(own.seeds)]
    assert trend.estimate.value == pytest.approx(np.mean(slopes) * np.log2(20))
    assert trend.estimate.seed_error == pytest.approx(np.std(slopes, ddof=1) * np.log2(20) / sqrt(own.seeds))
    weights = (octaves - octaves.mean()) / ((octaves - octaves.mean()) ** 2).sum() * np.log2(20)
    assert trend.estimate.case_error == pytest.approx(0.002 * sqrt(2 * (weights**2).sum()))  # two nets a fraction
    assert ends.estimate.value == pytest.approx((gap(own, "1/20") - gap(own, "1")).mean())
    assert (trend.primary, ends.primary) == (True, False) and ends.verdict is None
    assert trend.test.above and trend.p < 0.001


def test_two_fractions_have_the_plain_interaction_alone():
    own = drawn({name: {"1": of["1"], "1/4": of["1/4"]} for name, of in MEANS.items()})
    (found,) = gaps.by_evidence(own)
    assert found.estimate.value == pytest.approx((gap(own, "1/4") - gap(own, "1")).mean())
    assert found.contrast == "(ft-conv1 minus scratch) at 1/4 minus the same at 1"


def test_a_shrinking_gap_speaks_against_the_claim():
    turned = {**MEANS, "scratch": {"1": 0.6, "1/4": 0.7, "1/20": 0.8}}
    (found, *_) = claims([drawn(turned)])
    assert found.verdict is Verdict.AGAINST and found.estimate.value < 0


def test_an_error_counts_as_less_is_better():
    """The error in mm of the net from scratch grows faster: values are minus the error."""
    errors = {name: {f: -(1 - mean) for f, mean in own.items()} for name, own in MEANS.items()}
    ours, theirs = (gaps.by_evidence(own)[0] for own in (drawn(errors, merit=MM), drawn(MEANS)))
    assert ours.test.above and ours.estimate.value == pytest.approx(theirs.estimate.value)
    assert [row.estimate.value > 0 for row in gaps.gaps(drawn(errors, merit=MM))] == [True] * 3


def test_the_gap_at_each_fraction_is_a_contrast_of_its_own():
    own = drawn(MEANS)
    weights = np.zeros(9)
    weights[[own.column("ft-conv1", "1/4"), own.column("scratch", "1/4")]] = 1, -1
    assert gaps.gaps(own)[1].estimate == contrast(own.figure, weights)


def test_a_fraction_without_one_of_the_runs_is_left_out_and_named():
    own = without(drawn(MEANS), "scratch", "1/20")
    (found,) = gaps.by_evidence(own)
    assert found.note == "without 1/20, where fewer than two seeds have both runs"
    assert found.estimate.value == pytest.approx((gap(own, "1/4") - gap(own, "1")).mean())
    assert gaps.gaps(own)[2].reason == "no run of scratch at 1/20 of the data is finished"


def test_a_seed_without_one_of_the_runs_does_not_count():
    own = without(drawn(MEANS), "ft-conv1", "1/4", seeds=[1])
    assert gaps.by_evidence(own)[0].estimate.seeds == 4


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (drawn(MEANS, seeds=1), "one seed: how much a net varies from training to training is unknown"),
        (drawn({name: {"1": of["1"]} for name, of in MEANS.items()}), "one fraction of the data in the study"),
        (drawn({"ft-fc8": MEANS["ft-fc8"], "scratch": MEANS["scratch"]}), "no deep fine-tuning in the study"),
        (drawn({"ft-conv1": MEANS["ft-conv1"]}), "no training from scratch in the study"),
        (drawn(MEANS, groups=9), "a test set has 9 groups; 10 are needed"),
        (without(without(drawn(MEANS), "scratch", "1/20"), "ft-conv1", "1/4"), "fewer than two fractions at which"),
    ],
)
def test_what_cannot_be_tested_says_why(own, reason):
    (found, *_) = claims([own])
    assert reason in found.reason and found.verdict is Verdict.NOT_TESTED and found.p is None and found.tested == 0


def test_over_applications_each_counts_in_its_own_error_from_scratch():
    """A figure in other units says the same, and the mean has the degrees of freedom of all."""
    first = drawn(MEANS, training=0.002)
    millimetres = replace(
        first,
        application="imt",
        title="imt, alexnet",
        source="imt",
        merit=MM,
        figure=replace(first.figure, values=7 * (first.figure.values - 1), covariance=49 * first.figure.covariance),
    )
    alone = gaps.by_evidence(first)[0].estimate
    found = gaps.over_applications([first, millimetres], "alexnet").estimate
    error = 1 - of_seeds(first, "scratch", "1").mean()
    assert found.value == pytest.approx(alone.value / error)
    assert found.seed_error == pytest.approx(alone.seed_error / error / sqrt(2))
    assert found.seed_freedom == pytest.approx(8)
    assert found.p() == pytest.approx(2 * student.sf(found.value / found.error, 8), rel=1e-3)
    assert gaps.over_applications([first], "alexnet") is None


def test_an_application_that_cannot_be_tested_is_left_out_of_the_mean():
    own = [drawn(MEANS, application=name, seed=i) for i, name in enumerate(("a", "b"))]
    found = gaps.over_applications([*own, drawn(MEANS, seeds=1, application="c")], "alexnet")
    assert found.note == "without c, alexnet, where the claim cannot be tested" and found.estimate.value > 0
    assert "fewer than two applications" in gaps.over_applications([own[0], drawn(MEANS, seeds=1)], "alexnet").reason


def test_applications_of_one_source_share_their_cases():
    parts = [drawn(MEANS, case_sd=0.01).figure for _ in range(2)]
    estimates = [contrast(own, np.array([0, 0, 0, 1, 0, 0, -1, 0, 0])) for own in parts]
    apart, shared = (grids.combined(estimates, [0.5, 0.5], of) for of in (("a", "b"), ("a", "a")))
    assert shared.case_error == pytest.approx(estimates[0].case_error)
    assert apart.case_error == pytest.approx(estimates[0].case_error / sqrt(2))
    assert apart.groups - 1 == pytest.approx(2 * (shared.groups - 1))


def test_draws_have_the_distribution_by_which_contrasts_are_tested():
    rng = np.random.default_rng(1)
    root = 0.01 * rng.normal(size=(4, 4))
    covariance = np.broadcast_to((root @ root.T)[None, :, None, :], (4, 4, 4, 4))
    values = {"ft-conv1": {"1": [0.8, 0.81, 0.79, 0.82], "1/4": [0.77, 0.75, 0.79, 0.78]}}
    values["scratch"] = {"1": [0.7, 0.68, 0.74, 0.71], "1/4": [0.6, 0.66, 0.61, 0.58]}
    own = evidence(values, covariance=covariance, groups=12)
    weights = np.array([1.0, -1.0, -1.0, 1.0])
    found = contrast(own.figure, weights)
    taken = grids.draws(own.figure, range(4), rng, 200_000) @ weights
    for confidence in (0.5, 0.9, 0.99):
        ends = np.quantile(taken, [(1 - confidence) / 2, (1 + confidence) / 2])
        assert ends == pytest.approx(found.interval(confidence), rel=0.03)
    with pytest.raises(UserError, match="no seed with all of these runs"):
        grids.draws(without(own, "scratch", "1").figure, range(4), rng)


def test_the_sides_of_the_gap_are_the_deepest_tuning_and_the_published_scratch():
    own = drawn(MEANS)
    assert (own.deepest, own.scratch) == (DEEP, SCRATCH)
    assert drawn({"ft-fc8": MEANS["ft-fc8"]}).deepest is None
    chain = Scheme("gradual", None, chain=True)
    assert replace(own, schemes=(DEEP, chain, SCRATCH)).scratch == SCRATCH and not chain.scratch


def test_two_donors_of_one_application_are_no_two_applications():
    first, second = (drawn(MEANS, application="polyp", seed=i) for i in (0, 1))
    second = replace(second, title="polyp, alexnet, other.caffemodel")
    assert gaps.over_applications([first, second], "alexnet") is None
    third = drawn(MEANS, application="imt", seed=2)
    found = gaps.over_applications([first, second, third], "alexnet")
    assert found.note == "without polyp, alexnet, other.caffemodel: an application counts once"
    folders = [replace(own, application="folder", task=f"folder, {own.title}") for own in (first, second)]
    assert gaps.over_applications(folders, "alexnet") is not None, "class folders of two data sets are two tasks"


def test_variants_of_a_net_are_one_net_in_claims_over_applications():
    first, second = (drawn(MEANS, application=app, seed=i) for i, app in enumerate(("polyp", "imt")))
    same = claims([first, second])
    variant = claims([first, replace(second, net="variant", family=first.net)])
    assert [(one.claim, one.estimate and one.estimate.value) for one in variant] == [
        (one.claim, one.estimate and one.estimate.value) for one in same
    ]
    assert len(claims([first, replace(second, net="variant")])) < len(same)


def test_in_folds_applications_of_one_source_err_alike():
    """All of an estimate's error stands in one part there, cases included."""
    folded = Estimate(0.05, 0.02, 0.0, 1, 40, 0.01, 0.01, 5, 4)
    apart, shared = (grids.combined([folded, folded], [0.5, 0.5], of) for of in (("a", "b"), ("a", "a")))
    assert shared.seed_error == pytest.approx(0.02) and shared.seed_freedom == 4
    assert apart.seed_error == pytest.approx(0.02 / sqrt(2)) and apart.seed_freedom == pytest.approx(8)
