"""Deepening: the uncertainty is that of a paired difference by group, the rule ends when it should, on known truth."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import roc
from pycaffe_ext.evaluation.deepening import Scored, Step, chosen, ended, growth
from pycaffe_ext.evaluation.intervals import Difference
from pycaffe_ext.evaluation.metrics.base import patch_auc

GROUPS, EACH = 30, 8


def nets(skills: list[float], seed: int, groups: int = GROUPS, each: int = EACH) -> list[Scored]:
    """Nets that tell half of each group's patches by so many standard deviations, with noise of their own."""
    rng = np.random.default_rng(seed)
    label = np.tile(np.arange(each) % 2, groups)
    group = np.repeat(np.arange(groups), each).astype(str)
    common = rng.normal(size=label.size)
    found = []
    for skill in skills:
        chance = 1 / (1 + np.exp(-(skill * label + common + 0.5 * rng.normal(size=label.size))))
        found.append(Scored(np.stack([1 - chance, chance], axis=1), label, group))
    return found


def test_the_error_is_delongs_where_every_patch_is_a_group():
    a, b = nets([1.0, 1.5], 0, groups=150, each=2)
    single = [Scored(one.probability, one.label, np.arange(one.label.size)) for one in (a, b)]
    found = growth(patch_auc, *single, resamples=400)
    delong = roc.auc_difference(a.label, b.probability[:, 1], a.probability[:, 1])
    assert found.value == pytest.approx(delong.value)
    error = (delong.high - delong.low) / 2 / 1.96
    assert found.value - found.low == pytest.approx(error, rel=0.15)


def test_patches_of_one_group_that_speak_alike_are_less_sure():
    a, b = nets([1.0, 1.5], 1)
    copies = [Scored(np.repeat(s.probability, 4, axis=0), np.repeat(s.label, 4), np.repeat(s.group, 4)) for s in (a, b)]
    plain, copied = growth(patch_auc, a, b), growth(patch_auc, *copies)
    assert copied.value == pytest.approx(plain.value) and copied.low == pytest.approx(plain.low)


def test_what_is_no_better_grows_in_about_one_of_six_and_what_is_grows():
    grew = {
        gap: np.mean([growth(patch_auc, *nets([1, 1 + gap], s), resamples=40).low > 0 for s in range(50)])
        for gap in (0, 1)
    }
    assert 0.04 < grew[0] < 0.32  # one standard error: 0.16
    assert grew[1] > 0.95


def test_a_resample_without_a_class_is_left_out_and_too_few_groups_are_refused():
    (net,) = nets([1.0], 0)
    alone = Scored(net.probability, net.label, np.full(net.label.size, "one"))
    with pytest.raises(UserError, match="two groups"):
        growth(patch_auc, alone, alone)
    apart = Scored(net.probability[:4], np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "b"]))
    with pytest.raises(UserError, match="too few groups"):
        growth(patch_auc, apart, apart)


def test_other_patches_are_refused():
    a, b = nets([1.0, 1.0], 0)
    with pytest.raises(UserError, match="not scored on the same validation patches"):
        growth(patch_auc, a, Scored(b.probability, 1 - b.label, b.group))


def steps(*gains: float | None) -> list[Step]:
    """A gain of x +- 1; None for the first."""
    return [
        Step(f"d{i}", 0.0, None if gain is None else Difference(gain, gain - 1, gain + 1, 0.5))
        for i, gain in enumerate(gains)
    ]


@pytest.mark.parametrize(
    ("gains", "end", "depth"),
    [
        ((None,), False, "d0"),
        ((None, 0.5), False, "d0"),
        ((None, 0.5, 0.5), True, "d0"),
        ((None, 2, 0.5), False, "d1"),
        ((None, 0.5, 2, -3, 1.0), True, "d2"),  # no more than its uncertainty is no growth
        ((None, 0.5, 2, 0.5, 3), False, "d4"),
    ],
)
def test_two_steps_without_growth_end_it_at_the_last_that_grew(gains, end, depth):
    course = steps(*gains)
    assert ended(course) == end and chosen(course).name == depth
