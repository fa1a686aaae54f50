"""Every pair of schemes over trainings: by hand where cases do not matter, by drawing where nothing differs."""

import numpy as np
import pytest
from scipy import stats

from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.scheme_pairs import scheme_pairs

NAMES = ("a", "b", "c")


def figure(values: np.ndarray, groups: int = 50) -> Figure:
    return Figure(values, np.zeros((*values.shape, *values.shape)), groups)


def test_without_chance_in_the_cases_it_is_the_paired_t_test_with_holms_factors():
    values = np.random.default_rng(0).normal([0.9, 0.8, 0.79], 0.01, (5, 3))
    pairs = scheme_pairs({"AUC": figure(values)}, NAMES)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    p = [stats.ttest_rel(values[:, i], values[:, j]).pvalue for i, j in ((0, 1), (0, 2), (1, 2))]
    assert [pair.test.p for pair in pairs] == pytest.approx(p, rel=1e-5)
    assert [pair.p_holm for pair in pairs] == pytest.approx([3 * p[0], max(3 * p[0], 2 * p[1]), p[2]], rel=1e-5)
    assert [pair.verdict for pair in pairs] == ["a > b", "a > c", "no difference shown"]


def test_the_adjustment_goes_over_all_figures():
    values = np.random.default_rng(0).normal([0.9, 0.8, 0.79], 0.01, (5, 3))
    one = scheme_pairs({"AUC": figure(values)}, NAMES)
    two = scheme_pairs({"AUC": figure(values), "at 1": figure(values[:, ::-1])}, NAMES)
    assert len(two) == 6 and two[2].p_holm >= one[2].p_holm and two[0].p_holm > one[0].p_holm
    assert [pair.verdict for pair in two[3:]] == ["no difference shown", "c > a", "c > b"]


@pytest.mark.parametrize(
    ("values", "groups", "reason"),
    [(np.ones((1, 3)), 50, "seed"), (np.random.default_rng(0).normal(size=(5, 3)), 5, "5 groups")],
)
def test_what_cannot_be_tested_says_why(values, groups, reason):
    for pair in scheme_pairs({"AUC": figure(values, groups)}, NAMES):
        assert pair.test is None and pair.p_holm is None and pair.verdict == "not tested" and reason in pair.reason


def test_a_scheme_that_some_seeds_lack_is_compared_on_those_it_has():
    values = np.random.default_rng(2).normal([0.9, 0.8, 0.7], 0.01, (5, 3))
    values[3:, 2] = np.nan
    pairs = scheme_pairs({"AUC": figure(values)}, NAMES)
    assert [pair.test.estimate.seeds for pair in pairs] == [5, 3, 3]
    assert pairs[1].test.p == pytest.approx(stats.ttest_rel(values[:3, 0], values[:3, 2]).pvalue, rel=1e-5)


def test_equal_schemes_differ_in_at_most_one_of_twenty_tables():
    rng = np.random.default_rng(3)
    tables = [scheme_pairs({"AUC": figure(rng.normal(0.8, 0.04, (5, 3)))}, NAMES) for _ in range(300)]
    wrong = sum(any(">" in pair.verdict for pair in table) for table in tables)
    assert wrong <= stats.binom.ppf(0.999, len(tables), 0.05)
