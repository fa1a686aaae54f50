"""Figures of a study in folds: every group is tested once by each seed, by a net that was trained on the other folds.

**The estimate is the mean of the folds' figures.**  Scores of different nets are not on one scale: ranking the folds'
scores together, for one ROC or FROC curve, mixes how well each net ranks with how its scores happen to lie, and is
biased (Parker, Günter and Bedo 2007; Forman and Scholz 2010, whose AUC_avg this is; Airola et al. 2011).  So each fold
has its own curve and thresholds, at its own false positives per frame.  Folds are balanced in items and strata, so
their mean is close to the share of all lesions that are found, which would weight folds by their lesions.

**Its variance** has no unbiased estimator (Bengio and Grandvalet 2004): the test sets of a seed's folds have no group
in common, but any two training sets have k - 2 of k - 1 folds in common, and all nets of all seeds are tested on the
same groups.  That of Nadeau and Bengio (2003) for one k-fold cross-validation is taken,

    Var(mean) = w (1 / k + n_test / n_train) = w (1 / k + 1 / (k - 1)),    w = variance between the folds of a seed

averaged over seeds and not divided by their number: more seeds do not add groups.  Its t has k - 1 degrees of freedom
for each seed with folds of its own; seeds that share their folds (SPLIT_SEED=) are averaged within each fold first.

Chosen by simulation (`evaluation.fold_worlds`): two linear learners of equal worth on groups of cases, 15 to 40
groups, 3 to 10 folds, 1 to 5 seeds. Of studies without a difference this rule shows one in 1 to 7 %; the plain t over
folds in 8 to 16 % with one seed and 31 to 46 % with several; Bouckaert and Frank's (2004) for repeated cross-
validation, which divides 1 / k by the seeds and counts seeds * k - 1 degrees of freedom, in up to 16 % with 3 seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.designs import Trial


class FoldMean(NamedTuple):
    """mean of the folds' figures.   variance : of the mean, with `freedom` degrees of freedom.
    within : variance between the folds of a seed, w.   seeds, folds : how many there are of each"""

    mean: float
    variance: float
    freedom: int
    within: float
    seeds: int
    folds: int


def in_folds(trials: Iterable[int]) -> bool:
    """Whether these are folds of seeds, and not seeds."""
    return any(isinstance(trial, Trial) and trial.fold is not None for trial in trials)


def fold_mean(values: np.ndarray, trials: Iterable[int]) -> FoldMean:
    """The mean over the seeds of which every fold is there.

    values : (trials,)        trials : the fold of a seed that each value is of
    Raises UserError if no seed has all its folds, and where all folds have the same value.
    """
    found = fold_means(np.asarray(values)[:, None], list(trials))
    if (within := float(found.within[0, 0])) < 1e-24:
        raise UserError(f"all {found.folds} folds give the same value: how it varies is unknown")
    variance = within * found.factor
    return FoldMean(float(found.mean[0]), variance, found.freedom, within, found.seeds, found.folds)


class FoldMeans(NamedTuple):
    """Several figures of the same folds, so that any sum of them has the mean and the variance of `fold_mean`.

    mean : (figures,)        within : (figures, figures) covariance between the folds of a seed, with `freedom`
    """

    mean: np.ndarray
    within: np.ndarray
    freedom: int
    seeds: int
    folds: int

    @property
    def factor(self) -> float:
        """Times `within` is the covariance of the means."""
        return 1 / self.folds + 1 / (self.folds - 1)


def fold_means(values: np.ndarray, trials: Sequence[int]) -> FoldMeans:
    """values : (trials, figures)        Raises UserError if no seed has all its folds."""
    tables = [arranged(column, trials) for column in values.T]
    table, shared = np.stack([own for own, _ in tables], axis=-1), tables[0][1]
    seeds, folds = table.shape[:2]
    used = table.mean(axis=0, keepdims=True) if shared else table
    deviation = used - used.mean(axis=1, keepdims=True)
    freedom = len(used) * (folds - 1)
    within = np.einsum("sfa,sfb->ab", deviation, deviation) / freedom
    return FoldMeans(table.mean(axis=(0, 1)), within, freedom, seeds, folds)


def fewest(carried: Mapping[int, float]) -> float:
    """What carries a figure, groups say, in the seed where it is least: the folds of a seed together are one test.

    carried : by trial.   Seeds of which a fold is missing do not count, as in `fold_mean`, unless there are no others.
    """
    of_seed: dict[int, list[float]] = {}
    folds = {}
    for trial, count in carried.items():
        seed = trial.seed if isinstance(trial, Trial) else trial
        of_seed.setdefault(seed, []).append(count)
        folds[seed] = (trial.folds if isinstance(trial, Trial) else None) or 1
    whole = [sum(own) for seed, own in of_seed.items() if len(own) == folds[seed]]
    return min(whole or map(sum, of_seed.values()))


def arranged(values: np.ndarray, trials: Iterable[int]) -> tuple[np.ndarray, bool]:
    """(seeds, folds) values of the seeds of which every fold is there, and whether these seeds share their folds."""
    by_seed: dict[int, dict[int, float]] = {}
    splits, folds = {}, 2
    for value, trial in zip(values.tolist(), trials, strict=True):
        if not isinstance(trial, Trial) or trial.fold is None or trial.folds is None:
            raise UserError(f"seed {trial} has no fold, others have: report on them one by one")
        by_seed.setdefault(trial.seed, {})[trial.fold] = value
        splits[trial.seed], folds = trial.split, trial.folds
    whole = {seed: own for seed, own in by_seed.items() if len(own) == folds}
    if not whole:
        raise UserError(f"no seed with all of its {folds} folds: run the missing ones")
    table = np.array([[own[fold] for fold in sorted(own)] for own in whole.values()])
    return table, len(whole) > 1 and len({splits[seed] for seed in whole}) == 1
