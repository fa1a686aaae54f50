"""The paper's claims on polyps: which schemes each of them speaks of, and how tests become a verdict."""

import numpy as np
import pytest

from pycaffe_ext.evaluation import froc
from pycaffe_ext.evaluation.comparison import compare
from pycaffe_ext.report import claims as c
from pycaffe_ext.schemes import compared

METHODS = [c.Method(scheme, scheme) for scheme in compared("alexnet")]
FRAMES = 200


def scored(strength: float, seed: int) -> froc.Cases:
    """A lesion in each frame, hit by one of five candidates, whose scores lie `strength` above the others'."""
    rng = np.random.default_rng(seed)
    lesion = np.tile([1, 0, 0, 0, 0], FRAMES)
    noise = np.random.default_rng(1).normal(size=lesion.size) + 0.3 * rng.normal(size=lesion.size)
    return froc.Cases(np.repeat(np.arange(FRAMES), 5), noise + strength * lesion, lesion, np.ones(FRAMES, int))


def compared_curves(strengths: dict[str, float]):
    cases = {name: scored(strength, number) for number, (name, strength) in enumerate(strengths.items(), 2)}
    return compare(cases, np.arange(FRAMES), (0.5, 1.0), resamples=300)


def test_the_depths_of_alexnet_are_those_that_the_paper_names():
    who = c.roles(METHODS)
    assert who.last == ["ft-fc8"] and who.last_two == ["ft-fc7"]
    assert who.shallow == ["ft-fc7", "ft-fc6"]
    assert who.moderate == ["ft-conv5", "ft-conv4", "ft-conv3"]
    assert who.deep == ["ft-conv2", "ft-conv1"]
    assert who.scratch == ["scratch"]


def test_every_scheme_of_every_net_has_one_depth():
    for arch in ("squeezenet", "vgg16", "googlenet", "resnet50", "lenet"):
        methods = [c.Method(scheme, scheme, arch) for scheme in compared(arch)]
        who = c.roles(methods)
        assert sorted([*who.tuned, *who.scratch]) == sorted(compared(arch)), arch
        assert len(who.last) == len(who.last_two) == 1 and who.deep, arch


def found(strengths: dict[str, float], courses=None, aucs=None):
    methods = [method for method in METHODS if method.name in strengths]
    result = c.claims(methods, "detector", compared_curves(strengths), aucs or {}, courses or {})
    return {claim.statement: claim for claim in result}


def test_nets_that_grow_better_with_depth_uphold_the_claims_and_the_reverse_contradicts_them():
    rising = found({"detector": 0, "ft-fc8": 1, "ft-fc7": 2, "ft-conv4": 3, "ft-conv1": 4.5, "scratch": 2})
    falling = found({"detector": 4.5, "ft-fc8": 4, "ft-fc7": 3, "ft-conv4": 2, "ft-conv1": 1, "scratch": 2})
    for start in ("Every CNN", "Of the fine-tuned", "Tuning the last two", "Moderate tuning beats"):
        statement = next(text for text in rising if text.startswith(start))
        assert rising[statement].verdict == c.HOLDS, statement
        assert falling[statement].verdict in (c.CONTRADICTED, c.AGAINST_IN_PART), statement
    equal = "Deep tuning is as good as training from scratch or better"
    assert rising[equal].verdict == "not contradicted"
    assert falling[equal].verdict in (c.CONTRADICTED, c.AGAINST_IN_PART)
    assert "Deep tuning beats moderate tuning at 0.5 false positives a frame" in rising


def test_equal_nets_show_nothing_and_absent_ones_are_not_tested():
    same = found({"detector": 1, "ft-fc8": 1, "ft-conv1": 1})
    assert same["Every CNN outperforms the hand-crafted detector"].verdict == c.NOT_SHOWN
    assert same["Tuning the last two layers beats tuning only the last"].verdict == c.UNTESTED
    assert "were not run" in same["Tuning the last two layers beats tuning only the last"].evidence


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((0, 0, 0), c.UNTESTED),
        ((3, 0, 3), c.HOLDS),
        ((2, 0, 3), c.IN_PART),
        ((1, 1, 3), c.MIXED),
        ((0, 1, 3), c.AGAINST_IN_PART),
        ((0, 3, 3), c.CONTRADICTED),
        ((0, 0, 3), c.NOT_SHOWN),
    ],
)
def test_verdicts_follow_from_counts(counts, verdict):
    assert c.verdict(c.Tally(*counts)) == verdict


def test_growth_with_depth_is_a_rank_correlation_over_depths():
    statement, rows = "Performance grows with the depth of tuning", compared_curves({"detector": 0.0, "ft-fc8": 1.0})
    tuned = [method for method in METHODS if method.resting is not None]
    rising = {method.name: (0.6 + 0.01 * i, 0.62 + 0.01 * i) for i, method in enumerate(tuned)}
    falling = dict(zip(rising, reversed(rising.values()), strict=True))
    up, down = (
        {claim.statement: claim for claim in c.claims(METHODS, "detector", rows, aucs, {})}[statement]
        for aucs in (rising, falling)
    )
    assert up.verdict == c.HOLDS and "tau between depth and mean test AUC: 1.00" in up.evidence
    assert down.verdict == c.CONTRADICTED


def test_convergence_is_the_first_epoch_within_one_percent_of_the_best():
    assert c.epochs_to_best([(1, 0.7), (2, 0.80), (3, 0.805), (4, 0.79)]) == 2
    quick, slow = [(1, 0.8), (2, 0.8)], [(1, 0.5), (2, 0.6), (3, 0.8)]
    strengths = {"detector": 0, "ft-conv1": 1, "scratch": 1}
    statement = "Deeply tuned nets converge sooner than nets from scratch"
    holds = found(strengths, {"ft-conv1": [quick, quick], "scratch": [slow, slow]})[statement]
    assert holds.verdict == c.HOLDS and "1, 1 (ft-conv1) against 3, 3 (scratch)" in holds.evidence
    assert found(strengths, {"ft-conv1": [slow, quick], "scratch": [quick, slow]})[statement].verdict == c.MIXED
    assert found(strengths, {"ft-conv1": [slow], "scratch": [quick]})[statement].verdict == c.CONTRADICTED


def test_the_table_has_a_line_for_each_claim():
    text = c.markdown([c.Claim("A", c.HOLDS, "1 of 1"), c.Claim("B", c.NOT_SHOWN, "0 of 1")])
    assert text.splitlines()[2] == "| A | **holds** | 1 of 1 |" and len(text.splitlines()) == 4
