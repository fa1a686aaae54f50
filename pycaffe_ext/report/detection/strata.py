"""Part of a report on detection: sensitivity by video or patient, and by the size of the lesion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, strata
from pycaffe_ext.evaluation.strata import GroupMean, GroupRow, SizeRow
from pycaffe_ext.evaluation.thresholds import Share
from pycaffe_ext.evaluation.words import ENDPOINT_RATE
from pycaffe_ext.files import write_csv
from pycaffe_ext.report.detection.material import Material, detecting
from pycaffe_ext.report.model import Block, Figure, Section, Table
from pycaffe_ext.report.strata_figure import Dot, strata_figure
from pycaffe_ext.runs.finished import RunFiles

TITLE = "Sensitivity by video and by size"
GROUPS, SIZES = "sensitivity_by_group.csv", "sensitivity_by_size.csv"
GROUP_HEADER = (
    "name",
    "group",
    "threshold",
    "frames",
    "hits",
    "polyps",
    "sensitivity",
    "exact_low",
    "exact_high",
    "false_positives_per_frame",
)


@dataclass(frozen=True)
class Strata:
    """Of one net.  threshold : as `threshold_of` has it        sizes : none where the masks are gone"""

    threshold: float
    groups: list[GroupRow]
    mean: GroupMean
    sizes: list[SizeRow]


def section(folder: Path, material: Material) -> Section:
    """Draw strata.png, write both tables and show the mean over groups and the classes of sizes."""
    notes: list[Block] = []
    try:
        sizes = lesion_sizes(material)
    except UserError as error:
        sizes, notes = None, [f"No sizes: {error}."]
    found = {name: _strata(material, name, cases, sizes) for name, cases in _cases(material).items()}
    groups = [_group_cells(name, own, row) for name, own in found.items() for row in own.groups]
    write_csv(folder / GROUPS, material.words.columns(GROUP_HEADER), groups)
    classes = [_size_cells(name, own, row) for name, own in found.items() for row in own.sizes]
    write_csv(folder / SIZES, _size_header(material), classes)
    name = material.study.name(material.deepest)
    _draw(folder / "strata.png", found[name], f"{name}, {material.title}", material)
    return Section(
        TITLE,
        [
            _text(material, sizes is not None),
            _figure(name, material),
            _group_table(found, material),
            *_size_table(found, material),
            *notes,
        ],
    )


def _size_header(material: Material) -> tuple[str, ...]:
    unit = detecting(material.deepest).size[1]
    ends = "exact_low", "exact_high", "group_low", "group_high"
    return (
        "name",
        "threshold",
        f"least_{unit}",
        f"below_{unit}",
        "hits",
        f"{material.words.target}s",
        "sensitivity",
        *ends,
    )


def _cases(material: Material) -> Mapping[str, froc.Cases]:
    return material.cases(material.study.main_seed)


def _strata(material: Material, name: str, cases: froc.Cases, sizes: np.ndarray | None) -> Strata:
    group = material.group[material.study.main_seed]
    run = material.study.main.get(name)
    threshold = threshold_of(
        run or material.study.first(material.study.main_seed), "network" if run else "detector", cases
    )
    rows = strata.by_group(cases, group, threshold)
    by_size = [] if sizes is None else strata.by_size(cases, group, sizes, threshold, resamples=material.resamples)
    return Strata(threshold, rows, strata.group_mean(rows), by_size)


def threshold_of(run: RunFiles, scores: str, cases: froc.Cases) -> float:
    """The threshold of the primary operating point that the run chose on validation frames; where it has none, that of
    the test curve."""
    recorded = [row["threshold"] for row in run.result.thresholds if row["scores"] == scores]
    if recorded and recorded[0] is not None:
        return float(recorded[0])
    return froc.operating_point(froc.curve(cases), ENDPOINT_RATE).threshold


def lesion_sizes(material: Material) -> np.ndarray:
    """(lesions,) size of each test lesion, item after item; UserError where items are gone, have changed, or have no
    sizes."""
    test, items = material.deepest.test, material.items
    shown = np.flatnonzero(test.samples.targets)
    if gone := [test.items[i] for i in shown if test.items[i] not in items]:
        raise UserError(f"{gone[0]} is no longer in the data set")
    sizes = detecting(material.deepest).sizes([items[test.items[i]] for i in shown])
    if [own.size for own in sizes] != test.samples.targets[shown].tolist():
        raise UserError("the masks have changed since the run")
    return np.concatenate(sizes)


def _text(material: Material, sized: bool) -> str:
    recorded = bool(material.deepest.result.thresholds)
    item, target = material.words.item, material.words.target
    where = f"chosen on validation {item}s" if recorded else "read off the test curve, as this run recorded no other"
    return (
        f"{target.capitalize()}s found at the threshold for at most {material.words.rate(ENDPOINT_RATE)}, {where}. Seed"
        f" {material.study.main_seed}. In the mean of the groups a group with many {target}s counts no more than one"
        " with few; its interval is a t interval over groups."
        + (f" Sizes: {detecting(material.deepest).size[0]}, in thirds of the test {target}s." if sized else "")
    )


def _figure(name: str, material: Material) -> Figure:
    caption = (
        f"Sensitivity of {name} by group (video or patient) and by size of the {material.words.target}, seed"
        f" {material.study.main_seed}. Groups are ordered by it, the number of {material.words.target}s stands in"
        " brackets. Bars of groups: exact binomial 95 % intervals; of sizes: 95 % by group, exact where the groups are"
        f" too few. Of many groups the dots alone. All nets: {GROUPS}, {SIZES}."
    )
    return Figure("strata.png", caption, (strata.by_group, strata.by_size))


def _draw(path: Path, own: Strata, title: str, material: Material) -> None:
    groups = [
        Dot(row.group, row.sensitivity, row.exact, row.lesions) for row in own.groups if row.sensitivity is not None
    ]
    found = [(_class(row), row.found) for row in own.sizes]
    sizes = [Dot(name, share.value, share.group or share.exact, share.total) for name, share in found]
    labels = (
        material.words.sensitivity("lesion"),
        f"groups with {material.words.target}s",
        detecting(material.deepest).size[0],
    )
    strata_figure(path, groups, own.mean.mean, sizes, labels, title)


def _class(row: SizeRow) -> str:
    if not np.isfinite(row.least):
        return "all" if not np.isfinite(row.most) else f"below {row.most:.3g}"
    return f"from {row.least:.3g}" if not np.isfinite(row.most) else f"{row.least:.3g} to {row.most:.3g}"


def _group_table(found: Mapping[str, Strata], material: Material) -> Table:
    header = ("", "threshold", "mean of the groups", "lowest group", f"groups with {material.words.target}s")
    rows = [
        (name, f"{own.threshold:.6g}", _mean_text(own.mean), f"{own.mean.worst:.3f}", own.mean.groups)
        for name, own in found.items()
    ]
    return Table(header, rows, GROUPS, (strata.by_group, strata.group_mean))


def _mean_text(mean: GroupMean) -> str:
    return f"{mean.mean:.3f}" + (f" [{mean.interval.low:.3f}, {mean.interval.high:.3f}]" if mean.interval else "")


def _size_table(found: Mapping[str, Strata], material: Material) -> Sequence[Block]:
    first = next(iter(found.values())).sizes
    if not first:
        return ()
    target = material.words.target
    header = (
        detecting(material.deepest).size[0],
        *(f"{_class(row)} ({row.found.total} {target}s)" for row in first),
    )
    rows = [(name, *(_share_text(row.found) for row in own.sizes)) for name, own in found.items()]
    return [Table(header, rows, SIZES, (strata.by_size,))]


def _share_text(found: Share) -> str:
    low, high = found.group or found.exact
    return f"{found.value:.3f} [{low:.3f}, {high:.3f}]"


def _group_cells(name: str, own: Strata, row: GroupRow) -> tuple[Any, ...]:
    sensitivity = "" if row.sensitivity is None else row.sensitivity
    counts = row.frames, row.hits, row.lesions, sensitivity
    return name, row.group, own.threshold, *counts, *(row.exact or ("", "")), row.false_positives_per_frame


def _size_cells(name: str, own: Strata, row: SizeRow) -> tuple[Any, ...]:
    found = row.found
    ends = *found.exact, *(found.group or ("", ""))
    return name, own.threshold, row.least, row.most, found.hits, found.total, found.value, *ends
