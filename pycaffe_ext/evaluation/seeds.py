"""A figure over several seeds: its mean, its interval, and how much the seeds' test sets have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import combinations
from math import inf, isfinite
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import contrasts
from pycaffe_ext.evaluation.folds import in_folds
from pycaffe_ext.evaluation.intervals import Interval, all_alike, checked_confidence, logit_interval

Limits = tuple[float, float] | None  # between which a figure lies; None where it is not bounded
SHARE: Limits = (0.0, 1.0)  # an AUC, a sensitivity
NOT_NEGATIVE: Limits = (0.0, inf)  # an error in mm
NOT_POSITIVE: Limits = (-inf, 0.0)  # minus such an error
NO_LIMITS = (-inf, inf)
EXCESS = 1 / 3  # of the way from the overlap by chance to equal test sets: for halves, two thirds


class SeedInterval(NamedTuple):
    """mean over `seeds` seeds (or folds of seeds) and its interval; low and high are None where none can be given."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


class Overlap(NamedTuple):
    """What the test sets of two seeds have in common, 0 to 1, over all pairs of seeds."""

    mean: float
    largest: float


class Cases(NamedTuple):
    """covariance : (seeds, seeds) of the values owing to the cases of the test sets, see `contrasts.Figure`
    groups : effective ones that carry the figure, in the smallest test set"""

    covariance: np.ndarray
    groups: float


def group_overlap(groups: Sequence[Sequence[Hashable]]) -> Overlap | None:
    """How much the test sets of seeds overlap; None for a single seed.

    groups : for each seed the group of each of its test frames.
    Of two seeds it is the cosine of their counts of frames by group: the correlation of two means over the test
    frames if groups differed and trainings did not.  For groups of one size it is the share of common groups.
    Raises UserError for a test set without frames.
    """
    counts = [Counter(own) for own in groups]
    if not all(counts):
        raise UserError("a test set without frames has no groups")
    pairs = [_cosine(first, second) for first, second in combinations(counts, 2)]
    return Overlap(float(np.mean(pairs)), max(pairs)) if pairs else None


def is_large(overlap: float, share: float) -> bool:
    """Whether test sets have clearly more in common than chance makes.

    share : of the groups that a test set has, which is what two test sets share by chance
    """
    return overlap > share + EXCESS * (1 - share)


def seed_interval(
    values: Sequence[float],
    overlap: float,
    cases: Cases | None = None,
    limits: Limits = SHARE,
    confidence: float = 0.95,
    trials: Sequence[int] = (),
) -> SeedInterval:
    """Mean over seeds of a figure (AUC, sensitivity) with an interval for other trainings and other test groups.

    values : of each seed        overlap : of the test sets, the mean of `group_overlap`; 0 for independent ones
    cases : how the values vary with the test groups, where that is known
    With `cases` the interval is that of `contrasts.estimate`, which covers 95 to 98 % with 3, 5 and 10 seeds
    (`make coverage`).  Without, it is the t interval with the variance of Nadeau and Bengio (2003), s^2 (1 / S +
    r / (1 - r)), the overlap as r: as if seeds differed by their cases alone, so it is too wide where they do not.
    The plain t interval takes r = 0.
    trials : which seeds these are; of folds of seeds the interval is that of `contrasts.fold_estimate`
    limits : between which the figure lies, see `set_out`; on the plain scale the interval of an AUC or a sensitivity is
    too high where few groups bring most false positives, and misses the truth in one study of ten.
    There is none for a single seed, for equal values, which say that the seeds varied nothing, and for equal test sets
    without `cases`.
    Raises UserError for values that are not finite or none at all, and for an overlap outside 0 to 1; ValueError for a
    mean outside the limits, which are not those of this figure then.
    """
    own = _finite(values)
    if not 0 <= overlap <= 1:
        raise UserError(f"overlap {overlap}: must lie between 0 and 1")
    mean, seeds = float(own.mean()), int(own.size)
    if in_folds(trials):
        return _of_folds(own, trials, limits, confidence)
    if seeds < 2 or np.ptp(own) < 1e-12:
        return SeedInterval(mean, None, None, seeds)
    if cases is not None and np.isfinite(cases.covariance).all() and cases.groups > 1:
        reach = contrasts.estimate(own, *cases).interval(confidence).high - mean
    elif overlap < 1 - 1e-9:
        reach = _corrected_reach(own, overlap, confidence)
    else:
        return SeedInterval(mean, None, None, seeds)
    return SeedInterval(mean, *set_out(mean, reach, limits, all_alike(seeds, confidence)), seeds)


def set_out(mean: float, reach: float, limits: Limits, alike: float) -> Interval:
    """Ends of mean -/+ reach: between two finite limits on the logit scale, at a single one cut off.

    alike : as `intervals.on_logit_scale`.   Raises ValueError for a mean outside the limits.
    """
    least, most = limits or NO_LIMITS
    if not least <= mean <= most:
        raise ValueError(f"a mean of {mean:g} does not lie between {least:g} and {most:g}")
    if not (isfinite(least) and isfinite(most)):
        return Interval(max(mean - reach, least), min(mean + reach, most))
    width = most - least
    found = logit_interval((mean - least) / width, reach / width, alike)
    return Interval(least + width * found.low, least + width * found.high)


def _of_folds(values: np.ndarray, trials: Sequence[int], limits: Limits, confidence: float) -> SeedInterval:
    try:
        found = contrasts.fold_estimate(values, np.full((values.size, values.size), np.nan), 2, trials)
    except UserError:  # a fold is missing, or all are equal
        return SeedInterval(float(values.mean()), None, None, int(values.size))
    reach, trained = found.interval(confidence).high - found.value, found.seeds * found.folds
    return SeedInterval(found.value, *set_out(found.value, reach, limits, all_alike(trained, confidence)), trained)


def scheme_interval(figure: contrasts.Figure, scheme: int, overlap: float, limits: Limits = SHARE) -> SeedInterval:
    """`seed_interval` of one scheme, over the seeds with which it was run; scheme : its column in the figure."""
    seeds = np.flatnonzero(np.isfinite(figure.values[:, scheme]))
    cases = Cases(figure.covariance[:, scheme, :, scheme][np.ix_(seeds, seeds)], figure.effective_groups)
    trials = [figure.trials[seed] for seed in seeds.tolist()] if figure.trials else ()
    return seed_interval(figure.values[seeds, scheme].tolist(), overlap, cases, limits, trials=trials)


def _corrected_reach(values: np.ndarray, overlap: float, confidence: float) -> float:
    from scipy.special import stdtrit

    variance = values.var(ddof=1) * (1 / values.size + overlap / (1 - overlap))
    return float(stdtrit(values.size - 1, 0.5 + checked_confidence(confidence) / 2) * np.sqrt(variance))


def _cosine(first: Counter[Hashable], second: Counter[Hashable]) -> float:
    norms = [np.sqrt(sum(count**2 for count in own.values())) for own in (first, second)]
    return min(1.0, float(sum(count * second[name] for name, count in first.items()) / norms[0] / norms[1]))


def _finite(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise UserError(f"a mean over seeds needs one finite value per seed, there are {array.tolist()}")
    return array
