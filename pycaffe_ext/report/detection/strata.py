"""Part of a report on detection: sensitivity by video or patient, and by the size of the lesion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.data.frames import map_frames, read_mask
from pycaffe_ext.detector import lesions
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, strata
from pycaffe_ext.evaluation.metrics.detection import ENDPOINT_RATE
from pycaffe_ext.evaluation.strata import GroupMean, GroupRow, SizeRow
from pycaffe_ext.evaluation.thresholds import Share
from pycaffe_ext.files import write_csv
from pycaffe_ext.report.detection.material import Material
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
SIZE_HEADER = (
    "name",
    "threshold",
    "least_percent_of_frame",
    "below_percent_of_frame",
    "hits",
    "polyps",
    "sensitivity",
    "exact_low",
    "exact_high",
    "group_low",
    "group_high",
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
        sizes = polyp_sizes(material)
    except UserError as error:
        sizes, notes = None, [f"No sizes: {error}."]
    found = {name: _strata(material, name, cases, sizes) for name, cases in _cases(material).items()}
    groups = [_group_cells(name, own, row) for name, own in found.items() for row in own.groups]
    write_csv(folder / GROUPS, GROUP_HEADER, groups)
    classes = [_size_cells(name, own, row) for name, own in found.items() for row in own.sizes]
    write_csv(folder / SIZES, SIZE_HEADER, classes)
    name = material.study.name(material.deepest)
    _draw(folder / "strata.png", found[name], f"{name}, {material.title}")
    return Section(TITLE, [_text(material), _figure(name, material), _group_table(found), *_size_table(found), *notes])


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


def polyp_sizes(material: Material) -> np.ndarray:
    """(lesions,) area of each test polyp in per cent of its frame, frame after frame; UserError where masks are gone or
    have changed."""
    test, items = material.deepest.test, material.items
    shown = np.flatnonzero(test.samples.targets)
    if gone := [test.items[i] for i in shown if test.items[i] not in items]:
        raise UserError(f"{gone[0]} is no longer in the data set")
    frames = [items[test.items[i]] for i in shown]
    areas = map_frames(lambda frame: lesion_areas(read_mask(frame)), frames, "measuring", progress=False)
    counts = [own.size for own in areas]
    if counts != test.samples.targets[shown].tolist():
        raise UserError("the masks have changed since the run")
    return np.concatenate(areas)


def lesion_areas(mask: np.ndarray) -> np.ndarray:
    """(lesions,) area of each lesion of a mask (H, W) bool, in per cent of the frame, in the order of their numbers."""
    labels, count = lesions(mask)
    return np.asarray(100 * np.bincount(labels.ravel(), minlength=count + 1)[1:] / labels.size)


def _text(material: Material) -> str:
    recorded = bool(material.deepest.result.thresholds)
    where = "chosen on validation frames" if recorded else "read off the test curve, as this run recorded no other"
    return (
        f"Polyps found at the threshold for at most {ENDPOINT_RATE:g} false positive a frame, {where}. Seed"
        f" {material.study.main_seed}. In the mean of the groups a long video counts no more than a short one; its"
        " interval is a t interval over groups. Sizes: area in per cent of the frame, in thirds of the test polyps."
    )


def _figure(name: str, material: Material) -> Figure:
    caption = (
        f"Sensitivity of {name} by group (video or patient) and by size of the polyp, seed {material.study.main_seed}."
        " Groups are ordered by it, the number of polyps stands in brackets. Bars of groups: exact binomial 95 %"
        " intervals; of sizes: 95 % by group, exact where the groups are too few. Of many groups the dots alone. All"
        f" nets: {GROUPS}, {SIZES}."
    )
    return Figure("strata.png", caption, (strata.by_group, strata.by_size))


def _draw(path: Path, own: Strata, title: str) -> None:
    groups = [
        Dot(row.group, row.sensitivity, row.exact, row.lesions) for row in own.groups if row.sensitivity is not None
    ]
    found = [(_class(row), row.found) for row in own.sizes]
    sizes = [Dot(name, share.value, share.group or share.exact, share.total) for name, share in found]
    labels = ("sensitivity (polyps found)", "groups with polyps", "area, % of the frame")
    strata_figure(path, groups, own.mean.mean, sizes, labels, title)


def _class(row: SizeRow) -> str:
    if not np.isfinite(row.least):
        return "all" if not np.isfinite(row.most) else f"below {row.most:.3g}"
    return f"from {row.least:.3g}" if not np.isfinite(row.most) else f"{row.least:.3g} to {row.most:.3g}"


def _group_table(found: Mapping[str, Strata]) -> Table:
    header = ("", "threshold", "mean of the groups", "lowest group", "groups with polyps")
    rows = [
        (name, f"{own.threshold:.6g}", _mean_text(own.mean), f"{own.mean.worst:.3f}", own.mean.groups)
        for name, own in found.items()
    ]
    return Table(header, rows, GROUPS, (strata.by_group, strata.group_mean))


def _mean_text(mean: GroupMean) -> str:
    return f"{mean.mean:.3f}" + (f" [{mean.interval.low:.3f}, {mean.interval.high:.3f}]" if mean.interval else "")


def _size_table(found: Mapping[str, Strata]) -> Sequence[Block]:
    first = next(iter(found.values())).sizes
    if not first:
        return ()
    header = ("area, % of the frame", *(f"{_class(row)} ({row.found.total} polyps)" for row in first))
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
