"""The figures of merit of a study as arrays over seeds and schemes, with their covariance over the test groups."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pycaffe_ext.evaluation import froc, roc
from pycaffe_ext.evaluation.contrasts import Figure, covariance_of
from pycaffe_ext.evaluation.folds import fewest, in_folds
from pycaffe_ext.progress import bar

RESAMPLES = 1000
CELLS = 4_000_000  # bounds the memory of the resamples of a net


@dataclass(frozen=True)
class StudyFigures:
    """Figures of every scheme and seed, in the order of `seeds` and `schemes`.

    sensitivity : false positives per frame -> sensitivity at that rate        mean : over these rates
    auc : of the candidates
    """

    seeds: tuple[int, ...]
    schemes: tuple[str, ...]
    sensitivity: dict[float, Figure]
    mean: Figure
    auc: Figure

    @property
    def rates(self) -> tuple[float, ...]:
        return tuple(self.sensitivity)


def study_figures(
    cases: Mapping[int, Mapping[str, froc.Cases]],
    group: Mapping[int, Sequence[Hashable]],
    rates: Sequence[float],
    by: str = "lesion",
    resamples: int = RESAMPLES,
    seed: int = 0,
    progress: bool = False,
) -> StudyFigures:
    """Figures of all nets of a study.

    cases : seed, or fold of a seed (`Trial`) -> scheme -> scored candidates of its test frames, the same for all
    group : seed -> (frames,) video or patient of each test frame; the same name in two seeds is the same group
    rates : false positives per frame        by : "lesion" or "frame"
    resamples : of the groups, all seeds together, from which the covariance of sensitivities is taken.  That of the
    AUC follows from its influence values (Obuchowski 1997).  Both carry the factor groups / (groups - 1),
    of groups of one size.
    Raises UserError where an AUC is undefined.
    """
    seeds, schemes = tuple(cases), tuple(dict.fromkeys(name for own in cases.values() for name in own))
    numbers = {name: i for i, name in enumerate(sorted({str(g) for own in group.values() for g in own}))}
    member = {key: np.array([numbers[str(g)] for g in group[key]], np.int64) for key in seeds}
    shape = len(seeds), len(schemes)
    sensitivity = np.full((*shape, len(rates)), np.nan)
    drawn = np.full((resamples, *shape, len(rates)), np.nan)
    chances = np.full(len(numbers), 1 / len(numbers))
    weights = np.random.default_rng(seed).multinomial(len(numbers), chances, resamples).T.astype(np.int32, order="C")
    places = [(i, j) for i, key in enumerate(seeds) for j, name in enumerate(schemes) if name in cases[key]]
    for i, j in bar(places, "resampling", unit="net", progress=progress):
        own, at = cases[seeds[i]][schemes[j]], member[seeds[i]]
        curve = froc.curve(own)
        sensitivity[i, j] = [froc.sensitivity_at(curve, rate, by) for rate in rates]
        drawn[:, i, j] = resampled(own, at, weights, rates, by)
    with_lesion, effective = _carrying(cases, member, by)
    trials = seeds if in_folds(seeds) else ()
    spread = _deviations(drawn, effective)
    figures = {
        rate: Figure(sensitivity[..., k], covariance_of(spread[..., k]), with_lesion, trials, effective)
        for k, rate in enumerate(rates)
    }
    mean = Figure(sensitivity.mean(axis=-1), covariance_of(spread.mean(axis=-1)), with_lesion, trials, effective)
    return StudyFigures(seeds, schemes, figures, mean, auc_figure(cases, group, schemes, by))


def auc_figure(
    cases: Mapping[int, Mapping[str, froc.Cases]],
    group: Mapping[int, Sequence[Hashable]],
    schemes: Sequence[str],
    by: str = "lesion",
) -> Figure:
    """AUC of the candidates of every seed and scheme, as `study_figures` has it; columns as in `schemes`.

    Raises UserError where an AUC is undefined.
    """
    numbers = {name: i for i, name in enumerate(sorted({str(g) for own in group.values() for g in own}))}
    member = {key: np.array([numbers[str(g)] for g in group[key]], np.int64) for key in cases}
    area = np.full((len(cases), len(schemes)), np.nan)
    influence = np.full((len(numbers), *area.shape), np.nan)
    for i, (key, of_seed) in enumerate(cases.items()):
        for j, name in enumerate(schemes):
            if (own := of_seed.get(name)) is not None:
                label = (own.lesion > 0).astype(np.int64)
                area[i, j] = roc.auc(label, own.score)
                influence[:, i, j] = auc_influence(label, own.score, member[key][own.frame], len(numbers))
    with_lesion, effective = _carrying(cases, member, by)
    scale = np.sqrt(effective / max(effective - 1, 1))
    trials = tuple(cases) if in_folds(tuple(cases)) else ()
    return Figure(area, covariance_of(scale * influence), with_lesion, trials, effective)


def _carrying(
    cases: Mapping[int, Mapping[str, froc.Cases]], member: Mapping[int, np.ndarray], by: str
) -> tuple[int, float]:
    """Groups with lesions in the smallest test set, and how many groups of one size tell as much."""
    first = {key: next(iter(own.values())) for key, own in cases.items()}
    with_lesion = fewest({key: froc.lesion_groups(own, member[key]) for key, own in first.items()})
    effective = fewest({key: froc.effective_lesion_groups(own, member[key], by) for key, own in first.items()})
    return round(with_lesion), effective


def auc_influence(label: np.ndarray, score: np.ndarray, member: np.ndarray, groups: int) -> np.ndarray:
    """(groups,) what each group of cases adds to the error of an AUC; 0 for a group without cases.

    label : (n,) 1 = positive      score : (n,)      member : (n,) int, group of each case
    The sum of their squares is the AUC's variance for groups drawn at random; it is DeLong's where every case is a
    group of its own, but for his factors n / (n - 1).
    """
    from scipy.stats import rankdata

    positive = label == 1
    above = rankdata(score)[positive] - rankdata(score[positive])  # negatives below each positive, ties one half
    below = rankdata(-score)[~positive] - rankdata(-score[~positive])  # positives above each negative
    won = np.empty(label.size)
    won[positive] = above / above.size / below.size
    won[~positive] = below / above.size / below.size
    area = float(won[positive].sum())
    count = np.where(positive, above.size, below.size)
    influence: np.ndarray = np.bincount(member, won - area / count, groups)
    return influence


def resampled(
    cases: froc.Cases, member: np.ndarray, weights: np.ndarray, rates: Sequence[float], by: str
) -> np.ndarray:
    """(resamples, rates) sensitivities where each group counts as often as it was drawn; nan without a lesion.

    member : (frames,) int, group of each frame        weights : (groups, resamples) int32
    The same as `froc.resampled_sensitivities` of these draws, many resamples at a time.
    """
    false, best = cases.false_scores(), cases.best_scores(by)
    order = np.argsort(-best[0], kind="stable")
    bounds: np.ndarray = np.r_[-false[0], np.inf]
    above = np.searchsorted(-best[0][order], bounds, side="left")
    false_group, found_group = member[false[1]], member[best[1]][order]
    step = max(1, CELLS // max(false_group.size, found_group.size, 1))
    values = np.empty((weights.shape[1], len(rates)))
    for start in range(0, len(values), step):
        part = weights[:, start : start + step]
        hits = np.zeros((found_group.size + 1, part.shape[1]), np.int32)
        np.cumsum(part[found_group], axis=0, out=hits[1:])
        false_count = np.cumsum(part[false_group], axis=0, dtype=np.int32)
        drawn = np.add.reduce(part[member], axis=0)  # frames
        for k, rate in enumerate(rates):
            allowed = froc.allowance(rate, drawn).astype(np.int32)
            too_many = np.count_nonzero(false_count <= allowed, axis=0)
            values[start : start + step, k] = _share(hits, above, too_many)
    return values


def _share(hits: np.ndarray, above: np.ndarray, too_many: np.ndarray) -> np.ndarray:
    """(resamples,) the share that scores above the first false positive that is one too many.

    hits : (targets + 1, resamples) how many are found among the best 0, 1, ...
    above : (false positives + 1,) how many targets score above each false positive, and above none
    too_many : (resamples,) that false positive
    """
    found = hits[above[too_many], np.arange(hits.shape[1])]
    share: np.ndarray = np.divide(found, hits[-1], out=np.full(found.shape, np.nan), where=hits[-1] > 0)
    return share


def _deviations(drawn: np.ndarray, groups: float) -> np.ndarray:
    """Resampled values about their means, scaled so that the mean square is the variance.

    drawn : (resamples, seeds, schemes, rates); nan for nets that were not run.  Resamples in which a test set got no
    lesion are left out; where these are more than a twentieth, the groups are too few and all becomes nan.
    """
    run = ~np.isnan(drawn).all(axis=(0, 3))
    defined = np.isfinite(drawn[:, run]).all(axis=(1, 2))
    if defined.sum() < 0.95 * len(drawn) or groups < 2:
        return np.full((1, *drawn.shape[1:]), np.nan)
    drawn = drawn[defined]
    deviation: np.ndarray = (drawn - drawn.mean(axis=0)) * np.sqrt(groups / (groups - 1) / (len(drawn) - 1))
    return deviation
