"""Parts of a report on classification: counts, results over seeds, of one seed and by class, AUC by depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pycaffe_ext.evaluation import calibration, class_intervals, class_summary, strata
from pycaffe_ext.evaluation.class_comparison import BALANCED
from pycaffe_ext.evaluation.class_intervals import SPECIFICITIES
from pycaffe_ext.evaluation.class_summary import Summary
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS, Interval
from pycaffe_ext.evaluation.seeds import SHARE, Limits, seed_interval
from pycaffe_ext.evaluation.strata import GroupRow
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import depth, depth_part, design_part
from pycaffe_ext.report.by_class.figures import estimate_text
from pycaffe_ext.report.by_class.material import BY_GROUP, Material
from pycaffe_ext.report.depth import Seeds
from pycaffe_ext.report.model import Block, Folded, Note, Section, Table

GROUPED = 2  # test images of a group, on average, from which groups are told apart
SENSITIVITY = "sensitivity at specificity"
BRIER = "Brier score"
LIMITS: dict[str, Limits] = {BRIER: (0.0, 2.0)}  # the sum over classes
FIGURES: dict[str, Callable[[Summary], float]] = {  # columns of the results over seeds, beside the primary endpoint
    "balanced accuracy": lambda own: own.balanced_accuracy.value,
    "accuracy": lambda own: own.accuracy.value,
    BRIER: lambda own: own.brier.value,
    "calibration error": lambda own: calibration.expected_error(list(own.bins)),
}


def results(folder: Path, material: Material) -> Section:
    """Over seeds: the primary endpoint first."""
    columns = _columns(material).items()
    found = {figure: material.over_seeds(value, LIMITS.get(figure, SHARE)) for figure, value in columns}
    depth.write_results(folder, found)
    seeds = design_part.seeds_text(material.study)
    text = f"{seeds}. Means of schemes with different numbers of seeds are not comparable."
    along = {figure: names for figure, names in found.items() if figure.startswith(SENSITIVITY)}
    others = {figure: names for figure, names in found.items() if figure not in along}
    tables = [_over_seeds(figures) for figures in (others, along) if figures]
    return Section("Results", [text, *tables, *_one_seed(folder, material)])


def variance(folder: Path, material: Material) -> Section:
    """Where the variance of the primary endpoint comes from."""
    return design_part.variance(folder, material.study, material.areas, list(material.looks), material.endpoint)


def _over_seeds(found: Mapping[str, Mapping[str, Seeds]]) -> Table:
    """A row for each net, a column for each figure."""
    first = next(iter(found.values()))
    rows = [
        (name, own.over.seeds, *(depth.shown(names[name].over) for names in found.values()))
        for name, own in first.items()
    ]
    return Table(("", "seeds", *found), rows, "results.csv", (class_summary.summarise, seed_interval))


def _columns(material: Material) -> dict[str, Callable[[Summary], float]]:
    """Figure -> how it is taken from a summary; of two classes also the sensitivities of class 1."""
    columns: dict[str, Callable[[Summary], float]] = {material.endpoint: lambda own: own.auc.value, **FIGURES}
    if len(material.classes) == 2:
        for i, specificity in enumerate(SPECIFICITIES):
            columns[f"{SENSITIVITY} {specificity:g}"] = partial(_sensitivity, i)
    return columns


def _sensitivity(i: int, own: Summary) -> float:
    return own.sensitivities[1][i].estimate.value


def _one_seed(folder: Path, material: Material) -> list[Block]:
    """Both intervals of the main seed's figures; and those of each class by the deepest net."""
    seed = material.study.main_seed
    rows = []
    for name, own in material.summaries[seed].items():
        for figure, estimate in (
            (material.endpoint, own.auc),
            (BALANCED, own.balanced_accuracy),
            ("accuracy", own.accuracy),
            (BRIER, own.brier),
        ):
            rows.append((name, figure, f"{estimate.value:.3f}", _ends(estimate.image), _ends(estimate.group)))
    text = (
        f"Seed {seed}, with two intervals each: by image, which takes images as independent of each other, and by"
        " group, which does not (empty: too few groups)."
    )
    header = ("", "figure", "value", "95 % by image", "95 % by group")
    return [
        text,
        Folded(f"Intervals, seed {seed}", [Table(header, rows, made_by=(class_summary.summarise,))]),
        *_few(material),
        *_by_class(folder, material),
    ]


def _few(material: Material) -> list[Block]:
    groups = material.deepest.result.test["groups_of_class"]
    few = [f"{name} ({count})" for name, count in groups.items() if count < ENOUGH_GROUPS]
    if not few:
        return []
    return [
        Note(f"Fewer than {ENOUGH_GROUPS} test groups, so that intervals by group are unreliable: {', '.join(few)}")
    ]


def _by_class(folder: Path, material: Material) -> list[Block]:
    run, names = material.deepest, material.classes
    own = material.summaries[material.study.main_seed][material.study.name(run)]
    test = run.result.test
    rows = [
        (
            names[kind],
            test["images_of_class"][names[kind]],
            test["groups_of_class"][names[kind]],
            estimate_text(own.areas[kind]) if kind in own.areas else "",
            estimate_text(recall),
        )
        for kind, recall in own.recalls.items()
    ]
    header = ("class", f"test {material.word}s", "groups", "AUC against the rest", "recall")
    write_csv(folder / "by_class.csv", header, rows)
    text = f"By class, {material.study.name(run)}, seed {material.study.main_seed}; {BY_GROUP}."
    return [text, Table(header, rows, "by_class.csv", (class_intervals.areas, class_intervals.recalls))]


def by_group(folder: Path, material: Material) -> Section:
    """Recall of each class by group, where groups hold several images."""
    seed, name = material.study.main_seed, material.study.name(material.deepest)
    classes = list(enumerate(material.classes))
    found = {
        (net, kind): strata.recall_by_group(images, place)
        for net, images in material.main.items()
        for place, kind in classes
    }
    header = ("name", "class", "group", "images", "hits", "of", "recall", "exact_low", "exact_high")
    rows = [
        (*key, own.group, own.frames, own.hits, own.lesions, own.sensitivity, *(own.exact or ("", "")))
        for key, groups in found.items()
        for own in groups
        if own.lesions
    ]
    write_csv(folder / "recall_by_group.csv", header, rows)
    images = material.main[name]
    each = images.label.size / np.unique(images.group).size
    if each < GROUPED:
        text = f"A group has {each:.1f} test {material.word}s on average: too few to tell groups apart."
        return Section("Recall by group", [f"{text} All: recall_by_group.csv."])
    text = (
        f"Recall of {name} by group (video, patient), seed {seed}: in the mean of the groups a large one counts no more"
        " than a small one; its 95 % interval is a t interval over groups. All nets and groups: recall_by_group.csv."
    )
    lines = [
        _group_line(kind, found[name, kind]) for _, kind in classes if any(own.lesions for own in found[name, kind])
    ]
    columns = ("class", "groups", "mean of the groups", "lowest group")
    made_by = (strata.recall_by_group, strata.group_mean)
    return Section("Recall by group", [text, Table(columns, lines, "recall_by_group.csv", made_by)])


def _group_line(kind: str, rows: Sequence[GroupRow]) -> tuple[object, ...]:
    mean = strata.group_mean(rows)
    ends = f" {_ends(mean.interval)}" if mean.interval else ""
    return kind, mean.groups, f"{mean.mean:.3f}{ends}", f"{mean.worst:.3f}"


def _ends(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval.low:.3f}, {interval.high:.3f}]"


def by_depth(folder: Path, material: Material) -> Section:
    """AUC by depth of tuning."""
    found, level = material.over_seeds(lambda own: own.auc.value), f"{material.endpoint} of the test {material.word}s"
    return depth_part.section(folder, material, found, depth_part.AUC, level, (class_intervals.areas,))
