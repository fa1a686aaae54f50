"""Free-response ROC: sensitivity against false positives per frame.

Definitions.  A candidate is a scored place in a frame; it either hits one lesion (its centre lies inside the ground
truth [S]) or is a false positive.  At a threshold t the candidates with score >= t are detections.
- lesion-wise sensitivity: lesions hit by at least one detection / all lesions, also those without any candidate;
- frame-wise sensitivity: frames with a lesion in which at least one detection hits / all frames with a lesion;
- case-wise sensitivity, where frames (or volumes) are of cases such as patients: the same of cases;
- false positives per frame: detections that hit nothing / all frames, with lesions or without.
Several detections on one lesion count once, and the further ones are not false positives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.intervals import effective_groups, group_resamples

SENSITIVITIES = ("lesion", "frame")


@dataclass(frozen=True)
class Cases:
    """Scored candidates of a set of frames.

    frame : (n,) int, index of the candidate's frame        score : (n,) float, higher = more lesion-like
    lesion : (n,) int, 0 = false positive, else the number, from 1, of the lesion of that frame which it hits
    lesions : (frames,) int, how many lesions each frame has (frames without candidates included)
    case : (frames,) int, which case, such as a patient, each frame is of: sensitivity "by frame" is then by case, found
    when one of its lesions is; None = each frame is a case by itself
    Raises UserError if there is no lesion or a score is not finite, ValueError for arrays that do not fit.
    """

    frame: np.ndarray
    score: np.ndarray
    lesion: np.ndarray
    lesions: np.ndarray
    case: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name, kind in (("frame", np.int64), ("score", np.float64), ("lesion", np.int64), ("lesions", np.int64)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        if not self.frame.shape == self.score.shape == self.lesion.shape == (self.frame.size,):
            raise ValueError(f"frame {self.frame.shape}, score {self.score.shape}, lesion {self.lesion.shape} differ")
        if self.frame.size and not 0 <= self.frame.min() <= self.frame.max() < self.lesions.size:
            raise ValueError(f"candidates name frames outside 0..{self.lesions.size - 1}")
        if ((self.lesion < 0) | (self.lesion > self.lesions[self.frame])).any():
            raise ValueError("a candidate hits a lesion that its frame does not have")
        if not np.isfinite(self.score).all():
            raise UserError(f"{int((~np.isfinite(self.score)).sum())} candidate scores are not finite")
        if self.lesions.sum() == 0:
            raise UserError("sensitivity undefined: no frame of this set has a lesion; check its masks")

    def false_scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Scores of the false positives, best first, and their frames."""
        false = np.flatnonzero(self.lesion == 0)
        order = false[np.argsort(-self.score[false], kind="stable")]
        return self.score[order], self.frame[order]

    def best_scores(self, by: str) -> tuple[np.ndarray, np.ndarray]:
        """The best score on each lesion (or in each frame or case with a lesion), -inf if nothing hits; and its frame,
        of a case the first that has a lesion."""
        if by not in SENSITIVITIES:
            raise ValueError(f"{by!r} is not one of {SENSITIVITIES}")
        hits = self.lesion > 0
        if by == "lesion":
            first = np.cumsum(self.lesions) - self.lesions
            target = first[self.frame[hits]] + self.lesion[hits] - 1
            frame = np.repeat(np.arange(self.lesions.size), self.lesions)
        else:
            shown = np.flatnonzero(self.lesions)
            case = shown if self.case is None else np.asarray(self.case)[shown]
            _, firsts, member = np.unique(case, return_index=True, return_inverse=True)
            place = np.full(self.lesions.size, -1)
            place[shown] = member
            target, frame = place[self.frame[hits]], shown[firsts]
        best = np.full(frame.size, -np.inf)
        np.maximum.at(best, target, self.score[hits])
        return best, frame


def check_same_frames(cases: Mapping[str, Cases]) -> None:
    """ValueError unless all methods were tested on the same frames with the same lesions, so that they are pairs."""
    first = next(iter(cases), "")
    for name, scored in cases.items():
        if not np.array_equal(scored.lesions, cases[first].lesions):
            raise ValueError(f"{name} was tested on other frames than {first}; they cannot be paired")


@dataclass(frozen=True)
class Curve:
    """Counts at each threshold, from above all scores (nothing detected) down to the lowest score.

    All arrays are (thresholds,); the counts do not fall along the curve.
    """

    threshold: np.ndarray
    false_positives: np.ndarray
    lesion_hits: np.ndarray
    frame_hits: np.ndarray
    frames: int
    lesions: int
    lesion_frames: int

    @property
    def false_positives_per_frame(self) -> np.ndarray:
        return self.false_positives / self.frames

    def hits(self, by: str = "lesion") -> tuple[np.ndarray, int]:
        """(hits at each threshold, of how many): what a binomial interval needs."""
        return {"lesion": (self.lesion_hits, self.lesions), "frame": (self.frame_hits, self.lesion_frames)}[by]

    def sensitivity(self, by: str = "lesion") -> np.ndarray:
        hits, total = self.hits(by)
        return hits / total


@dataclass(frozen=True)
class OperatingPoint:
    threshold: float
    false_positives_per_frame: float  # reached, at most the rate that was asked for
    hits: int
    total: int

    @property
    def sensitivity(self) -> float:
        return self.hits / self.total


def curve(cases: Cases) -> Curve:
    """The FROC curve over all thresholds that the candidates' scores make."""
    threshold = np.r_[np.inf, np.unique(cases.score)[::-1]]
    lesion, frame = (cases.best_scores(by)[0] for by in SENSITIVITIES)
    return Curve(
        threshold,
        _at_least(cases.false_scores()[0], threshold),
        _at_least(lesion, threshold),
        _at_least(frame, threshold),
        frames=cases.lesions.size,
        lesions=lesion.size,
        lesion_frames=frame.size,
    )


def _at_least(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many scores reach each threshold."""
    return scores.size - np.searchsorted(np.sort(scores), thresholds, side="left")


def operating_point(curve: Curve, rate: float, by: str = "lesion") -> OperatingPoint:
    """The point of highest sensitivity with at most `rate` false positives per frame.

    No interpolation: the curve is a staircase, and only its steps can be operated.  Of the thresholds that give
    this sensitivity the highest is taken.
    """
    hits, total = curve.hits(by)
    allowed = np.flatnonzero(curve.false_positives <= allowance(rate, curve.frames))[-1]
    at = int(np.argmax(hits == hits[allowed]))
    return OperatingPoint(float(curve.threshold[at]), float(curve.false_positives_per_frame[at]), int(hits[at]), total)


def operable(curve: Curve) -> np.ndarray:
    """Where on the curve the points lie that `operating_point` returns for some rate: (points,) int, rising.

    At every other threshold the same sensitivity, by lesion and by frame, is to be had with fewer false positives, or
    a higher one with as many.
    """
    last_of_rate = np.r_[np.diff(curve.false_positives) > 0, True]
    return np.unique(np.searchsorted(curve.lesion_hits, curve.lesion_hits[last_of_rate], side="left"))


def allowance(rate: float | np.ndarray, size: float) -> np.ndarray:
    """How many false positives a rate allows: whole, and 0.29 * 100 is 29 although floats make it a little less.

    Raises ValueError for a rate below 0 or not a number.
    """
    rates = np.asarray(rate, np.float64)
    if not (rates >= 0).all():
        raise ValueError(f"false-positive rate {rate}: it must be a number, 0 or more")
    return np.asarray(np.floor(rates * size + 1e-6))


def reaches(curve: Curve, rate: float) -> bool:
    """Whether the curve goes on to the rate; if not, `operating_point` is its end: all candidates are detections."""
    return bool(curve.false_positives[-1] >= allowance(rate, curve.frames))


def sensitivity_at(curve: Curve, rate: float, by: str = "lesion") -> float:
    """The highest sensitivity reached without exceeding `rate` false positives per frame."""
    return operating_point(curve, rate, by).sensitivity


def lesion_groups(cases: Cases, group: Sequence[object] | np.ndarray) -> int:
    """How many groups have a lesion: as many as a sensitivity is averaged over.  group : (frames,)"""
    return int(np.unique(np.asarray(group)[cases.lesions > 0]).size)


def effective_lesion_groups(cases: Cases, group: Sequence[object] | np.ndarray, by: str = "lesion") -> float:
    """How many groups with equally many lesions (or frames with lesions) tell as much as these; 1 if one has them all.

    It decides the t tails of intervals and tests by group (`intervals.effective_groups`).
    """
    _, frame = cases.best_scores(by)
    return effective_groups(np.unique(np.asarray(group)[frame], return_counts=True)[1])


class Staircase(NamedTuple):
    """The curve of one resample.  False positives are counted best first, as often as their group was drawn.

    false : (n,) false positives down to each one of the sample, cumulated
    sensitivity : (n + 1,) share found above each of them, without it; the last: above none, the curve's end
    size : what a rate is counted by, the frames drawn
    """

    false: np.ndarray
    sensitivity: np.ndarray
    size: float

    def at(self, rates: np.ndarray) -> np.ndarray:
        """(rates,) the highest sensitivities with at most that many false positives by frame."""
        return self.sensitivity[np.searchsorted(self.false, allowance(rates, self.size), side="right")]

    def area(self, rate: float) -> float:
        """Mean of `at` over the rates from 0 to `rate`."""
        most = rate * self.size
        steps = np.diff(np.minimum(np.r_[0, self.false, np.inf], most))
        return float(steps @ self.sensitivity / most)


def bootstrap_sensitivities(
    cases: Cases,
    group: Sequence[object] | np.ndarray,
    rates: Sequence[float] | np.ndarray,
    by: str = "lesion",
    resamples: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """(resamples, rates) sensitivities at false-positive rates, the groups of frames drawn with replacement.

    group : (frames,) video or patient of each frame.  The threshold that gives the rate is found again in each
    resample.  Resamples depend only on group and seed, so the rows of two methods over the same frames are paired
    and can be subtracted.  A row is nan where no lesion was drawn.  Raises UserError for fewer than two groups,
    ValueError for a rate below 0 or not a number.
    """
    return sensitivities_of(bootstrap_curves(cases, group, by, resamples, seed), rates, resamples)


def sensitivities_of(
    curves: Iterator[Staircase | None], rates: Sequence[float] | np.ndarray, resamples: int
) -> np.ndarray:
    """(resamples, rates) of the curves of the resamples; a row is nan where there is none."""
    rates = np.asarray(rates, np.float64)
    allowance(rates, 1)  # wrong rates are an error before the work
    values = np.full((resamples, rates.size), np.nan)
    for row, drawn in zip(values, curves, strict=True):
        if drawn:
            row[:] = drawn.at(rates)
    return values


def bootstrap_curves(
    cases: Cases, group: Sequence[object] | np.ndarray, by: str = "lesion", resamples: int = 1000, seed: int = 0
) -> Iterator[Staircase | None]:
    """The curve of each resample of groups of frames, None where no lesion was drawn; see `bootstrap_sensitivities`."""
    if len(group) != cases.lesions.size:
        raise ValueError(f"{len(group)} groups for {cases.lesions.size} frames")
    names, member = np.unique(np.asarray(group), return_inverse=True)
    false, best = cases.false_scores(), cases.best_scores(by)
    return resampled_curves(
        (false[0], member[false[1]]),
        (best[0], member[best[1]]),
        np.bincount(member, minlength=names.size),
        resamples,
        seed,
    )


def resampled_curves(
    false: tuple[np.ndarray, np.ndarray],
    found: tuple[np.ndarray, np.ndarray],
    size: np.ndarray,
    resamples: int,
    seed: int,
) -> Iterator[Staircase | None]:
    """The curve of each resample of groups; None where nothing that is to be found was drawn.

    false : scores, best first, and their groups (int)      found : scores of what is to be found, and their groups
    size : (groups,) what a rate is counted by: a resample that draws group g once allows rate * size[g] for it
    """
    order = np.argsort(-found[0], kind="stable")
    # how many of what is to be found score above each false positive, and above none
    above = np.searchsorted(-found[0][order], np.r_[-false[0], np.inf], side="left")
    false_group, found_group = false[1], found[1][order]
    for weights in group_resamples(np.arange(size.size), resamples, seed):
        hits = np.r_[0, np.cumsum(weights[found_group])]
        yield Staircase(np.cumsum(weights[false_group]), hits[above] / hits[-1], weights @ size) if hits[-1] else None


def candidate_scores(candidate: np.ndarray, probability: np.ndarray, count: int) -> np.ndarray:
    """(count,) mean probability of each candidate's patches [S].

    candidate : (patches,) int, which candidate a patch shows        probability : (patches,) float
    Raises ValueError if a candidate has no patch.
    """
    patches = np.bincount(candidate, minlength=count)
    if patches.size != count or not patches.all():
        raise ValueError(f"{int((patches == 0).sum())} of {count} candidates have no patch, or a patch has another's")
    return np.bincount(candidate, weights=probability, minlength=count) / patches
