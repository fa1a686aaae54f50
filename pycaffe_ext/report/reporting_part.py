"""Part of every report: the reporting table, its facts taken from what the runs recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pycaffe_ext.applications import sample_tables
from pycaffe_ext.report import design_part, reporting, study_parts
from pycaffe_ext.report.model import Section
from pycaffe_ext.report.reporting import Facts, Look, Partition

if TYPE_CHECKING:
    from pycaffe_ext.report.external_part import External
    from pycaffe_ext.runs.finished import RunFiles, Study

TITLE = "Reporting table"
NAMES = {"train": "training", "val": "validation", "test": "test"}
TEXT = (
    "What CLAIM, STARD-AI and TRIPOD+AI ask for, with the number of each item in them. A program can fill in what the"
    " runs recorded; the rest is for the authors."
)


def section(
    study: Study,
    endpoint: str,
    intervals: str,
    smallest: Sequence[float] = (),
    claims: int = 0,
    externals: Sequence[External] = (),
) -> Section:
    """endpoint, intervals : in words.   smallest : differences that the study can show, of its claims.   claims : how
    many were tested.   externals : other data sets that were tested on."""
    found = facts(study, endpoint, intervals, smallest, claims)
    if externals:
        word = study.runs[0].application.words[0]
        found = replace(found, external="; ".join(one.tested_text(word) for one in externals))
    return Section(TITLE, [TEXT, reporting.table(reporting.rows(found), (facts,))])


def facts(study: Study, endpoint: str, intervals: str, smallest: Sequence[float] = (), claims: int = 0) -> Facts:
    """As `section`; partitions and exclusions are those of the main seed."""
    run = study_parts.deepest(study)
    application, request = run.application, run.settings.request
    overlap = design_part.overlap(study)
    item, target = application.words[0], application.target
    return Facts(
        source=study_parts.source_text(study),
        unit=application.metric.unit,
        item=item,
        target=target,
        group="group",
        groups_known=not design_part.single_pictures(study),
        partitions=partitions(run, bool(target)),
        seeds=len({run.settings.seed for run in study.runs}),
        endpoint=endpoint,
        intervals=intervals,
        reference=application.reference(request),
        shared_groups=max(shared_groups(study.first(seed)) for seed in study.seeds),
        overlap=overlap.mean if overlap else None,
        threshold=_threshold(run),
        looks=looks(study),
        excluded=[
            (f"{left['kind']} files that no {item} was made from", left["files"]) for left in run.record.left_out
        ],
        adjustment=_adjustment(claims),
        smallest_difference=_span(smallest),
    )


def partitions(run: RunFiles, targets: bool) -> dict[str, Partition]:
    """Of items.csv; targets : whether they are counted."""
    rows, split, count = sample_tables.read_items(run.packed.found)
    group = np.array([row.group for row in rows])
    return {
        name: Partition(
            int(np.unique(group[split == part]).size),
            int((split == part).sum()),
            int(count[split == part].sum()) if targets else None,
        )
        for part, name in NAMES.items()
    }


def shared_groups(run: RunFiles) -> int:
    """How many groups lie in two partitions."""
    rows, split, _ = sample_tables.read_items(run.packed.found)
    pairs = {(row.group, part) for row, part in zip(rows, split.tolist(), strict=True)}
    return len(pairs) - len({group for group, _ in pairs})


def looks(study: Study) -> list[Look]:
    """What was chosen on data: snapshots, thresholds, and settings of what proposes the samples."""
    run = study_parts.deepest(study)
    item = run.application.words[0]
    tested = sum(map(_validated_and_tested, (study.first(seed) for seed in study.seeds)))
    what = ["snapshot", *(["threshold"] if run.result.thresholds else [])]
    found = [Look(name, f"validation {item}s of each seed", tested) for name in what]
    return found + ([_settings(run)] if run.packed.fitted else [])


def _settings(run: RunFiles) -> Look:
    """The model that proposes the samples has settings of its own, which no run chooses."""
    what, tuning = f"the settings of the {run.application.metric.baseline}", run.packed.tuning
    if not tuning:
        return Look(what, "data that are not recorded", None)
    return Look(what, f"{tuning['items']:g} {run.application.words[0]}s that are for training only", 0)


def _validated_and_tested(run: RunFiles) -> int:
    """Items that are both in the validation part and in the test."""
    rows, split, _ = sample_tables.read_items(run.packed.found)
    names = np.array([row.name for row in rows])
    return len(set(names[split == "val"]) & set(names[split == "test"]))


def _threshold(run: RunFiles) -> str | None:
    if not run.result.thresholds:
        return None
    criteria = dict.fromkeys(row["criterion"] for row in run.result.thresholds)
    return f"chosen on the validation samples: {', '.join(criteria)}"


def _adjustment(claims: int) -> str:
    tables = "Holm over all pairs of a table, max-T beside it"
    return f"Holm over the {claims} claims tested; {tables}" if claims else tables


def _span(smallest: Sequence[float]) -> str | None:
    """The range of those below 1; no figure of merit can differ by more."""
    if not smallest:
        return None
    possible = [value for value in smallest if value < 1]
    none = f"none by {len(smallest) - len(possible)} of {len(smallest)} claims"
    if not possible:
        return none
    text = f"{min(possible):.3f} to {max(possible):.3f}, by claim"
    return text if len(possible) == len(smallest) else f"{text}; {none}"
