"""Learning curves: a law that is recovered, bounds, two fractions and one, both directions, and the uncertainty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grid_evidence import MM, drawn, without
from scipy.optimize import nnls

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.findings import grids, growth

SHARES = np.array([1, 0.25, 0.05])


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def means(floor: float = 0.1, span: float = 0.08, rate: float = 0.4) -> dict[str, dict[str, float]]:
    return {"ft-conv1": {f: 1 - floor - span * s**-rate for f, s in zip(("1", "1/4", "1/20"), SHARES, strict=True)}}


@pytest.mark.parametrize("law", [(0.1, 0.08, 0.4), (0.0, 0.2, 0.07), (0.05, 0.01, 0.9)])
def test_an_exact_law_is_recovered(law):
    share = np.array([1, 0.5, 0.25, 0.125, 0.05])
    found = growth.fit(share, law[0] + law[1] * share ** -law[2])
    assert found == pytest.approx(law, abs=2e-3)
    assert found.gain == pytest.approx(law[1] * (1 - 2 ** -law[2]), rel=0.02)
    assert float(found(2.0)) == pytest.approx(float(found(1.0)) - found.gain)


def test_the_fit_is_the_weighted_least_squares_one():
    """Against a search over a grid of all three numbers."""
    error = np.array([0.2, 0.23, 0.33, 0.34])
    share = np.array([1, 0.5, 0.2, 0.1])
    found = growth.fit(share, error)
    floors, spans, rates = np.meshgrid(np.linspace(0, 0.2, 61), np.linspace(0, 0.2, 61), np.linspace(*growth.RATES, 60))
    lines = floors[..., None] + spans[..., None] * share ** -rates[..., None]
    least = ((lines - error) ** 2 * share).sum(axis=-1).min()
    assert ((found(share) - error) ** 2 * share).sum() <= least + 1e-9


def test_many_fits_at_once_are_non_negative_least_squares_of_each():
    """Against SciPy's solver at every rate that is tried, borders included."""
    share = np.array([1, 0.5, 0.25, 0.05])
    errors = np.abs(np.random.default_rng(3).normal(0.2, 0.1, (6, 4)))
    errors[0], errors[1] = (0.4, 0.3, 0.2, 0.1), (0.01, 0.1, 0.3, 0.9)  # flat; no floor
    weight = np.sqrt(share)
    for row, (floor, span, rate) in zip(errors, growth.fits(share, errors), strict=True):
        tried = [
            nnls(weight[:, None] * np.stack([np.ones(4), share**-r], axis=1), weight * row)[1]
            for r in np.linspace(*growth.RATES, 96)
        ]
        own = np.linalg.norm(weight * (floor + span * share**-rate - row))
        assert own <= min(tried) + 1e-9 and min(floor, span) >= 0 and growth.RATES[0] <= rate <= growth.RATES[1]


def test_error_that_grows_with_the_data_is_a_flat_line_and_no_parameter_is_negative():
    found = growth.fit(SHARES, np.array([0.3, 0.25, 0.2]))
    assert found.gain == pytest.approx(0) and found.floor > 0
    steep = growth.fit(SHARES, np.array([0.01, 0.4, 0.5]))
    assert growth.RATES[0] <= steep.rate <= growth.RATES[1] and min(steep) >= 0


def test_a_curve_of_a_known_law_covers_what_twice_the_data_bring():
    truth = growth.PowerLaw(0.1, 0.08, 0.4)
    covered = []
    for seed in range(30):
        found = growth.curve(drawn(means(*truth), 5, 0.004, seed), "ft-conv1", rng(), 60)
        assert found.form == growth.LAW and found.doubling.low <= found.doubling.high
        covered.append(found.doubling.low <= truth.gain <= found.doubling.high)
    assert np.mean(covered) >= 0.85
    assert found.doubling.then == pytest.approx(found.doubling.now + found.doubling.gain)
    assert found.drawn[0][0] == 0.05 and found.drawn[-1] == pytest.approx((2.0, found.doubling.then))


def test_points_have_means_and_intervals_of_the_seeds():
    own = drawn(means(), seeds=4)
    found = growth.curve(own, "ft-conv1", rng(), 20)
    for point, fraction in zip(found.points, own.fractions, strict=True):
        values = own.figure.values[:, own.column("ft-conv1", fraction)]
        assert point.over.mean == pytest.approx(values.mean()) and point.over.low < values.mean() < point.over.high
        assert (point.fraction, point.over.seeds) == (fraction, 4)


def test_two_fractions_have_a_line_in_log_n_with_the_interval_of_its_slope():
    own = drawn({"ft-conv1": {"1": 0.8, "1/4": 0.7}})
    found = growth.curve(own, "ft-conv1", rng())
    assert found.form == growth.LINE
    values = own.figure.values
    slopes = (values[:, 0] - values[:, 1]) / 2
    assert found.parameters["per_doubling"] == found.doubling.gain == pytest.approx(slopes.mean())
    ends = grids.estimate(own, {("ft-conv1", "1"): 0.5, ("ft-conv1", "1/4"): -0.5}).interval()
    assert (found.doubling.low, found.doubling.high) == pytest.approx(ends)
    assert found.doubling.then == pytest.approx(values[:, 0].mean() + slopes.mean())


def test_a_line_is_not_continued_past_a_perfect_net():
    found = growth.curve(drawn({"ft-conv1": {"1": 0.96, "1/4": 0.65}}), "ft-conv1", rng())
    assert found.form == growth.LINE and found.doubling is None and growth.PASSES in found.reason
    assert [share for share, _ in found.drawn] == [0.25, 1.0]
    near = growth.curve(drawn({"ft-conv1": {"1": 0.96, "1/4": 0.90}}), "ft-conv1", rng())
    assert near.doubling.then < 1 and near.doubling.now + near.doubling.high <= 1 + 1e-9
    errors = drawn({"ft-conv1": {"1": -0.05, "1/4": -0.35}}, merit=MM)  # mm: no error is below 0
    assert growth.curve(errors, "ft-conv1", rng()).doubling is None


def test_one_fraction_has_no_curve_and_a_law_refuses_two():
    found = growth.curve(drawn({"ft-conv1": {"1": 0.8}}), "ft-conv1", rng())
    assert (found.form, found.doubling) == ("", None) and len(found.points) == 1
    assert found.reason == "one fraction with a finished run: a learning curve needs two or more"
    with pytest.raises(UserError, match="2 fractions: a power law needs 3 or more"):
        growth.fit(np.array([1, 0.5]), np.array([0.1, 0.2]))


def test_one_seed_has_a_curve_without_an_interval_and_says_so():
    found = growth.curve(drawn(means(), seeds=1), "ft-conv1", rng())
    assert found.form == growth.LAW and (found.doubling.low, found.doubling.high) == (None, None)
    assert found.reason.startswith("no interval: 1 seed with all of these runs: how much a net varies")
    assert found.points[0].over.low is None


def test_a_fraction_without_a_run_is_named_and_left_out():
    found = growth.curve(without(drawn(means()), "ft-conv1", "1/4"), "ft-conv1", rng())
    assert found.missing == ("1/4",) and found.form == growth.LINE and len(found.points) == 2
    apart = without(without(drawn(means(), 2), "ft-conv1", "1", [0]), "ft-conv1", "1/4", [1])
    assert growth.curve(apart, "ft-conv1", rng()).reason == "no seed has a finished run at every fraction"


def test_an_error_in_mm_falls_and_its_ends_are_in_order():
    errors = {"ft-conv1": {f: mean - 1 for f, mean in means()["ft-conv1"].items()}}
    ours = growth.curve(drawn(errors, merit=MM), "ft-conv1", rng(), 100)
    theirs = growth.curve(drawn(means()), "ft-conv1", rng(), 100)
    assert ours.doubling.gain == pytest.approx(theirs.doubling.gain) and ours.doubling.then < ours.doubling.now
    assert ours.doubling.now == pytest.approx(1 - theirs.doubling.now)
    assert all(0 < point.over.low < point.over.mean < point.over.high for point in ours.points)
    assert ours.points[0].over.mean < ours.points[-1].over.mean


def test_the_amount_is_counted_in_groups_where_they_are_known():
    own = replace(drawn(means()), trained=(30.0, 8.0, 2.0))
    assert own.shares(own.fractions) == pytest.approx([1, 8 / 30, 2 / 30])
    for unknown in ((30.0, float("nan"), 2.0), (3.0, 1.0, 1.0)):
        assert replace(own, trained=unknown).shares(own.fractions) == pytest.approx(SHARES)


def test_a_curve_keeps_the_fraction_and_the_shares_that_it_was_fitted_to():
    own = replace(drawn(means()), trained=(12.0, 3.0, 1.0))
    found = growth.curve(own, "ft-conv1", rng(), 20)
    assert (found.base, found.base_share) == ("1", 1.0) and found.shares == pytest.approx((1, 1 / 4, 1 / 12))
    assert found.drawn[0][0] == pytest.approx(found.shares[-1])
    less = growth.curve(without(own, "ft-conv1", "1"), "ft-conv1", rng(), 20)
    assert (less.base, less.base_share) == ("1/4", 0.25) and less.shares == pytest.approx((1, 1 / 3))
    assert less.doubling.now == pytest.approx(less.points[0].over.mean)
