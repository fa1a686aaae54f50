"""Which training converges sooner: censoring by the cap, pairs by seed, the sign test."""

import pytest
from scipy.stats import binomtest

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.convergence import Course, Time, converged, least_pairs, sign_test


def test_convergence_is_the_first_epoch_within_one_percent_of_the_best():
    points = ((1.0, 0.7), (2.0, 0.80), (3.0, 0.805), (4.0, 0.79))
    assert converged(Course(points, cap=10, stopped=True)) == (2, True)
    capped = converged(Course(points, cap=4, stopped=False))
    assert capped == (2, False) and str(capped) == "≥ 2 (not reached)"
    with pytest.raises(UserError, match="without snapshots"):
        converged(Course((), 4, True))


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ((3, True), (5, True), "sooner"),
        ((5, True), (3, True), "later"),
        ((3, True), (3, True), "tied"),
        ((3, True), (5, False), "sooner"),
        ((5, True), (3, False), "undecided"),
        ((3, False), (5, True), "undecided"),
        ((5, False), (3, True), "later"),
        ((3, True), (3, False), "undecided"),
        ((3, False), (5, False), "undecided"),
    ],
)
def test_a_capped_run_decides_only_what_its_least_time_decides(first, second, wanted):
    found = sign_test([(Time(*first), Time(*second))])._asdict()
    assert {name: found[name] for name in ("sooner", "later", "tied", "undecided") if found[name]} == {wanted: 1}


def test_the_sign_test_is_the_exact_one_over_decided_pairs():
    quick, slow = Time(2, True), Time(9, True)
    found = sign_test([(quick, slow)] * 7 + [(slow, quick)] + [(quick, quick)] * 3)
    assert found.p == pytest.approx(binomtest(7, 8).pvalue) and found.decided == 8
    interval = binomtest(7, 8).proportion_ci(method="exact")
    assert found.share() == pytest.approx((interval.low, interval.high))
    assert sign_test([(quick, quick)]).p is None and sign_test([]).p is None


def test_pairs_that_a_level_needs():
    assert least_pairs(0.05) == 6 and binomtest(6, 6).pvalue < 0.05 < binomtest(5, 5).pvalue
    assert least_pairs(0.005) == 9
