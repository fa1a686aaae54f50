"""A linear classifier on features: what a net's hidden layers are worth before anything is trained."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data.items import Floats, Ints
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import roc
from pycaffe_ext.evaluation.intervals import group_resamples
from pycaffe_ext.progress import bar

FOLDS, INNER = 5, 3  # those that are predicted; within the others, those that choose C
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # C of the logistic regression: the inverse of the L2 penalty's weight
DEFAULT = 1e-2
RESAMPLES = 1000
Groups = NDArray[Any]
Merit = Callable[[Floats, Ints], float]  # (n, classes) probabilities, (n,) labels -> a figure, higher = better


def out_of_fold(features: Floats, label: Ints, group: Groups, seed: int) -> Floats:
    """(n, classes) probabilities of each case, from a classifier that saw no case of its group.

    features : (n, k); label : (n,) int from 0; group : (n,) video or patient of each case.  Logistic regression on
    standardised features with an L2 penalty, chosen by group within the other folds; where these have too few groups
    for that, C is DEFAULT.  Raises UserError where the other folds of a fold lack a class.
    """
    from sklearn.exceptions import ConvergenceWarning

    folds = _folds(FOLDS, label, group, seed)
    if not folds:
        raise UserError("a class has patches of too few groups (videos, patients); a linear probe by group needs more")
    found = np.zeros((len(label), int(label.max()) + 1))
    with bar(total=len(folds), title="linear classifier", unit="fold") as shown, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # at a weak penalty the last digits move on
        for rest, held_out in folds:
            model = _fitted(features[rest], label[rest], group[rest], seed)
            found[np.ix_(held_out, model.classes_)] = model.predict_proba(features[held_out])
            shown.update()
    return found


def _folds(most: int, label: Ints, group: Groups, seed: int) -> list[tuple[Ints, Ints]]:
    """(rest, held out) rows of at most `most` folds by group; none where a rest would lack a class."""
    from sklearn.model_selection import StratifiedGroupKFold

    classes = np.unique(label)
    count = min(most, roc.class_groups(label, group, classes))
    if count < 2:
        return []
    found = list(StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(label, label, group))
    return found if all(np.unique(label[rest]).size == classes.size for rest, _ in found) else []


def _fitted(features: Floats, label: Ints, group: Groups, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=DEFAULT, max_iter=500))
    if not (folds := _folds(INNER, label, group, seed)):
        return model.fit(features, label)
    return GridSearchCV(model, {"logisticregression__C": STRENGTHS}, scoring="neg_log_loss", cv=folds).fit(
        features, label
    )


def by_group(merit: Merit, probability: Floats, label: Ints, group: Groups, seed: int) -> Floats:
    """(resamples,) of a figure with whole groups drawn with replacement; nan where a class was not drawn.

    Resamples depend on group and seed alone, so those of two nets on the same cases are paired.
    """
    every, values = np.unique(label).size, []
    for times in group_resamples(group, RESAMPLES, seed):
        drawn = np.repeat(np.arange(len(label)), times)
        whole = np.unique(label[drawn]).size == every
        values.append(merit(probability[drawn], label[drawn]) if whole else np.nan)
    return np.array(values)
