"""Parts of a report about its design: seeds and folds, what their test sets share, what was set aside, components."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycaffe_ext.data import fractions
from pycaffe_ext.evaluation.components import Component, Components, components
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.designs import Trial
from pycaffe_ext.evaluation.folds import in_folds
from pycaffe_ext.evaluation.seeds import Overlap, group_overlap, is_large
from pycaffe_ext.files import write_csv
from pycaffe_ext.report.model import Section, Table

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import RunFiles, Study

SEEDS = (
    "Mean over seeds with its 95 % interval for other trainings and other test groups; a seed decides the split into"
    " training and test groups, the choice of patches, the fillers and the order of training"
)
ONE_SPLIT = (
    "Mean over seeds with its 95 % interval for other trainings and other test groups; all seeds have one split into"
    " training and test groups (SPLIT_SEED={split}), and a seed decides the fillers and the order of training"
)
FOLDS = (
    "Mean over {folds} folds{of} with its 95 % interval, whose variance allows for training sets that overlap (Nadeau"
    " and Bengio 2003); every group is tested once{by}, by the net of its fold, at thresholds of that fold"
)
SINGLE = (
    "groups are single {item}s and their near-duplicates: where the data name no video or patient, {item}s of one"
    " patient may be on both sides of a split"
)
HARDLY = "the seeds hardly vary the split, so they say little about other training sets"
PARTS = {"split": "split", "training": "training", "both": "split and training", "cases": "cases of a test set"}
COLUMNS = tuple(f"{name}_{end}" for name in PARTS for end in ("sd", "low", "high"))
HEADER = ("name", "trials", "splits", *COLUMNS)


def first_runs(study: Study) -> dict[int, RunFiles]:
    """seed -> a run of it."""
    return {seed: study.first(seed) for seed in study.seeds}


def test_groups(study: Study) -> dict[int, list[str]]:
    """seed -> group of each test item; synthetic groups of two data seeds are other groups under the same names."""
    return {
        seed: [str(name) if run.same_groups else f"{run.settings.request.seed} {name}" for name in run.test.group]
        for seed, run in first_runs(study).items()
    }


test_groups.__test__ = False  # type: ignore[attr-defined]  # pytest: this is no test


def overlap(study: Study) -> Overlap | None:
    """Of the seeds' test sets; None for a single seed, and for folds, of which a seed's are disjoint."""
    return None if in_folds(study.seeds) else group_overlap(list(test_groups(study).values()))


def mean_overlap(study: Study) -> float:
    """Mean share of their groups that two seeds' test sets have in common; 0 where there is nothing to share."""
    found = overlap(study)
    return found.mean if found else 0.0


def fixed_split(study: Study) -> int | None:
    """The one split seed of several training seeds (SPLIT_SEED=), None where each has its own."""
    trials = [run.settings.trial for run in study.runs]
    splits = {trial.split for trial in trials}
    return splits.pop() if len(splits) == 1 < len({trial.seed for trial in trials}) else None


def seeds_line(study: Study) -> str:
    """Which seeds and folds there are; figures of single runs show the main one."""
    trials = [run.settings.trial for run in study.runs]
    seeds = ", ".join(map(str, sorted({trial.seed for trial in trials})))
    folds = trials[0].folds
    each = f", {folds} folds each" if folds else ""
    return f"{seeds}{each}; figures of single runs show seed {study.main_seed}"


def overlap_text(study: Study) -> str:
    """What the seeds' test sets have in common, and what chance makes of it."""
    if in_folds(study.seeds):
        return "every group is tested by one fold of each seed"
    found, share = overlap(study), tested_share(study)
    if found is None:
        return "one seed, one test set"
    common = f"{100 * found.mean:.0f} % on average, at most {100 * found.largest:.0f} %"
    if fixed_split(study) is not None:
        return f"{common}: one test set for all seeds"
    chance = f" (halves drawn by chance: {100 * share:.0f} %)" if study.runs[0].settings.request.data else ""
    return f"{common}{chance}; {_distinct(study)} distinct test sets among {len(study.seeds)} seeds"


def notes(study: Study) -> list[str]:
    """What a reader must know of seeds whose test sets are more alike than chance makes them."""
    found = overlap(study)
    if found is None or fixed_split(study) is not None:
        return []
    different, seeds = _distinct(study), len(study.seeds)
    if different == seeds and not is_large(found.mean, tested_share(study)):
        return []
    many = f"{different} distinct test set{'s' * (different != 1)} among {seeds} seeds"
    return [f"{many}, {100 * found.mean:.0f} % in common on average: {HARDLY}; use data with more groups, or FOLDS="]


def _distinct(study: Study) -> int:
    return len({frozenset(groups) for groups in test_groups(study).values()})


def tested_share(study: Study) -> float:
    """The share of the groups that a seed tests on, of those that may be tested: what two test sets share by chance."""
    shares = []
    for run in first_runs(study).values():
        groups = {split: int(fact["groups"]) for split, fact in run.packed.facts.items()}
        groups["train"] = int(run.packed.share.get("of", groups["train"]))  # a fraction leaves some of them out
        shares.append(groups["test"] / (sum(groups.values()) - int(run.packed.tuning.get("groups", 0))))
    return float(np.mean(shares))


def seeds_text(study: Study) -> str:
    """What a mean over seeds or folds is, what was set aside, and what the groups are; stands beside the tables."""
    single = SINGLE.format(item=study.runs[0].application.words[0])
    return "; ".join([_means(study), tuning_text(study), *([single] if single_pictures(study) else [])])


def _means(study: Study) -> str:
    trials = [run.settings.trial for run in study.runs]
    seeds = len({trial.seed for trial in trials})
    if trials[0].folds:
        several = seeds > 1
        return FOLDS.format(
            folds=trials[0].folds, of=f" of each of {seeds} seeds" * several, by=" by each seed" * several
        )
    split = fixed_split(study)
    return SEEDS if split is None else ONE_SPLIT.format(split=split)


def tuning_text(study: Study) -> str:
    """Which part was set aside for the choice of settings."""
    part = study.runs[0].packed.tuning
    if not part:
        return "no part was set aside for tuning (TUNING=)"
    return (
        f"set aside for tuning, for training only and never validated or tested on: {part['groups']:g} groups with"
        f" {part['items']:g} items (TUNING={part['share']:g})"
    )


def share_text(study: Study) -> str:
    """Which training groups the nets learnt from."""
    shares = [run.packed.share for run in first_runs(study).values() if run.packed.share]
    if study.runs[0].settings.request.fraction == fractions.ALL or not shares:
        return "all (FRACTION=1)"
    counts = [" of ".join(map(str, pair)) for pair in sorted({(one["groups"], one["of"]) for one in shares})]
    return (
        f"{' or '.join(counts)} (FRACTION={shares[0]['share']}), drawn by the split's seed, those of smaller fractions"
        " within those of the larger; candidates, validation and test are those of all"
    )


def single_pictures(study: Study) -> bool:
    """Whether the data set knows no groups: each is named after a picture in it."""
    test = study.runs[0].test
    return set(map(str, test.group)) <= set(test.items)


def variance(folder: Path, study: Study, figure: Figure, names: Sequence[str], title: str) -> Section:
    """Write components.csv and show it: where the variance of a figure over seeds and folds comes from.

    figure : rows are `study.seeds`        names : of its columns        title : what the figure is
    """
    found = _all_components(study, figure, names)
    write_csv(folder / "components.csv", HEADER, [(name, *_numbers(own)) for name, own in found.items()])
    reasons = dict.fromkeys(part.note for own in found.values() for part in _parts(own) if part.note)
    text = (
        f"Standard deviation of one trial's {title} owing to each source, with 95 % intervals: on which groups a net"
        " was trained, how its training went, which cases it was tested on."
    )
    rows = [(name, *map(_text, _parts(own))) for name, own in found.items()]
    explained = [f"-: {'; '.join(reasons)}."] if reasons else []
    table = Table(("", *PARTS.values()), rows, "components.csv", (components,))
    return Section("Components of variance", [text, table, *explained])


def _all_components(study: Study, figure: Figure, names: Sequence[str]) -> dict[str, Components]:
    found = {name: _components(study, figure, column) for column, name in enumerate(names)}
    return {name: own for name, own in found.items() if own}


def _components(study: Study, figure: Figure, column: int) -> Components | None:
    rows = np.flatnonzero(np.isfinite(figure.values[:, column]))
    if not rows.size:
        return None
    split = [_split_of(study.seeds[row]) for row in rows.tolist()]
    covariance = figure.covariance[:, column, :, column][np.ix_(rows, rows)]
    folds = max(_folds(study), 1)
    return components(figure.values[rows, column], covariance, split, figure.groups // folds)


def _folds(study: Study) -> int:
    return study.runs[0].settings.trial.folds or 0


def _split_of(trial: int) -> tuple[int, int | None]:
    return (trial.split, trial.fold) if isinstance(trial, Trial) else (trial, None)


def _parts(own: Components) -> tuple[Component, ...]:
    return own.split, own.training, own.both, own.cases


def _numbers(own: Components) -> tuple[object, ...]:
    ends = [
        "" if value is None else sqrt(value) for part in _parts(own) for value in (part.variance, part.low, part.high)
    ]
    return own.trials, own.splits, *ends


def _text(part: Component) -> str:
    if part.variance is None or part.low is None or part.high is None:
        return "-"
    return f"{sqrt(part.variance):.3f} [{sqrt(part.low):.3f}, {sqrt(part.high):.3f}]"
