"""Figures over folds: their mean by hand, the level of their test in simulation, and what is refused."""

import numpy as np
import pytest
from scipy import stats

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, roc
from pycaffe_ext.evaluation.contrasts import Figure, contrast_test, fold_estimate
from pycaffe_ext.evaluation.designs import Trial
from pycaffe_ext.evaluation.fold_worlds import FoldWorld, shown
from pycaffe_ext.evaluation.folds import arranged, fold_mean
from pycaffe_ext.evaluation.seeds import scheme_interval, seed_interval
from pycaffe_ext.evaluation.study_figures import study_figures

VALUES = np.array([0.80, 0.84, 0.90, 0.78, 0.88])


def trials_of(seeds: int, folds: int, split: int | None = None) -> list[Trial]:
    return [Trial(seed, split, fold, folds) for seed in range(seeds) for fold in range(1, folds + 1)]


def test_a_trial_is_a_seed_or_a_fold_of_one():
    assert [f"{trial}" for trial in (Trial(3), Trial(3, 0, 2, 5))] == ["3", "3 fold 2"]
    assert Trial(3) == 3 and len({*trials_of(7, 5)}) == 35
    assert sorted(set(trials_of(3, 4))) == trials_of(3, 4)


def test_one_cross_validation_by_hand():
    """s^2 (1 / 5 + 1 / 4) with 4 degrees of freedom: Nadeau and Bengio's corrected t."""
    error = np.sqrt(VALUES.var(ddof=1) * (1 / 5 + 1 / 4))
    wanted = VALUES.mean() - stats.t.ppf(0.975, 4) * error, VALUES.mean() + stats.t.ppf(0.975, 4) * error
    found = seed_interval(VALUES.tolist(), 0.0, limits=None, trials=trials_of(1, 5))
    assert found == (pytest.approx(0.84), *(pytest.approx(end, abs=1e-6) for end in wanted), 5)
    estimate = fold_estimate(VALUES, np.full((5, 5), np.nan), 40, trials_of(1, 5))
    assert estimate.p(0.8) == pytest.approx(2 * stats.t.sf(abs(VALUES.mean() - 0.8) / error, 4), abs=1e-6)
    assert estimate.smallest() > 0


def test_seeds_with_folds_of_their_own_do_not_shrink_the_error():
    one, three = fold_mean(VALUES, trials_of(1, 5)), fold_mean(np.tile(VALUES, 3), trials_of(3, 5))
    assert three.variance == pytest.approx(one.variance) and (one.freedom, three.freedom) == (4, 12)


def test_seeds_that_share_their_folds_are_averaged_first():
    """What training changes averages out; what the groups of a fold change stays."""
    trials = trials_of(2, 5, split=0)
    noise = np.array([0.1, -0.1, 0.1, -0.1, 0.1])
    found = fold_mean(np.r_[VALUES + noise, VALUES - noise], trials)
    assert found[:4] == pytest.approx((0.84, VALUES.var(ddof=1) * 0.45, 4, VALUES.var(ddof=1)))


def test_a_seed_that_lacks_a_fold_is_left_out():
    trials = trials_of(2, 5)
    assert arranged(np.r_[VALUES, VALUES], trials)[0].shape == (2, 5)
    table, _ = arranged(np.r_[VALUES, VALUES][:9], trials[:9])
    assert table.tolist() == [VALUES.tolist()]
    with pytest.raises(UserError, match="no seed with all of its 5 folds"):
        arranged(VALUES[:4], trials[:4])
    assert seed_interval(VALUES[:4].tolist(), 0.0, trials=trials[:4])[1:3] == (None, None)
    with pytest.raises(UserError, match="seed 7 has no fold"):
        arranged(VALUES, [*trials[:4], Trial(7)])


def test_equal_folds_have_no_interval():
    with pytest.raises(UserError, match="all 5 folds give the same value"):
        fold_mean(np.full(5, 0.8), trials_of(1, 5))
    assert seed_interval([0.8] * 5, 0.0, trials=trials_of(1, 5)) == (0.8, None, None, 5)


def test_a_contrast_of_two_schemes_goes_fold_by_fold():
    values = np.stack([VALUES, VALUES - np.array([0.01, 0.03, 0.02, 0.04, 0.02])], axis=1)
    figure = Figure(values, np.full((5, 2, 5, 2), np.nan), 40, tuple(trials_of(1, 5)))
    found = contrast_test(figure, np.array([1.0, -1.0]))
    difference = values[:, 0] - values[:, 1]
    error = np.sqrt(difference.var(ddof=1) * 0.45)
    assert found.estimate.value == pytest.approx(0.024) and found.estimate.folds == 5
    assert found.p == pytest.approx(2 * stats.t.sf(0.024 / error, 4), abs=1e-6)
    assert scheme_interval(figure, 0, 0.0) == seed_interval(VALUES.tolist(), 0.0, trials=trials_of(1, 5))


def fold_of_cases(rng: np.random.Generator, shift: float, frames: int = 60) -> froc.Cases:
    """A lesion and three false candidates a frame; all scores of the fold's net are shifted."""
    lesion = np.tile([1, 0, 0, 0], frames)
    scores = rng.normal(size=lesion.size) + 2 * lesion + shift
    return froc.Cases(np.repeat(np.arange(frames), 4), scores, lesion, np.ones(frames, np.int64))


def test_nets_whose_scores_lie_elsewhere_are_not_ranked_against_each_other():
    """The mean over folds does not change with a net's scale; a common ranking would lose a tenth of AUC."""
    rng = np.random.default_rng(0)
    cases = {trial: {"a": fold_of_cases(rng, 1.5 * trial.fold)} for trial in trials_of(1, 5)}
    group = {trial: np.arange(60) + 100 * trial.fold for trial in cases}
    found = study_figures(cases, group, (1.0,), resamples=30)
    own = [roc.auc(one["a"].lesion, one["a"].score) for one in cases.values()]
    interval = scheme_interval(found.auc, 0, 0.0)
    assert interval.mean == pytest.approx(np.mean(own)) and interval.low > 0.85
    pooled = [np.concatenate([getattr(one["a"], name) for one in cases.values()]) for name in ("lesion", "score")]
    assert roc.auc(*pooled) < interval.mean - 0.1
    assert found.auc.groups == 300, "all folds together test all groups"


def test_folds_have_no_covariance_by_cases():
    rng = np.random.default_rng(1)
    cases = {trial: {"a": fold_of_cases(rng, 0.0)} for trial in trials_of(1, 3)}
    group = {trial: np.arange(60) + 100 * trial.fold for trial in cases}
    covariance = study_figures(cases, group, (1.0,), resamples=30).auc.covariance[:, 0, :, 0]
    assert np.count_nonzero(covariance - np.diag(np.diag(covariance))) == 0 and (np.diag(covariance) > 0).all()


@pytest.mark.parametrize(
    "world",
    [
        FoldWorld(),
        FoldWorld(groups=15, features=100, spread=0.5, luck=0.0),
        FoldWorld(seeds=3),
        FoldWorld(seeds=3, same=True),
    ],
    ids=str,
)
def test_the_level_is_kept(world):
    found = shown(world, 150)
    assert found["folds"] <= 0.09, "5 % and twice the simulation's error"
    assert found["folds"] < found["plain"]


def test_a_true_difference_is_found():
    assert shown(FoldWorld(groups=40, handicap=0.7), 60)["folds"] > 0.5
