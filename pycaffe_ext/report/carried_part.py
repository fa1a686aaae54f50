"""Part of every report: thresholds that were chosen on validation samples, and what they reach on the test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycaffe_ext.evaluation import thresholds
from pycaffe_ext.evaluation.metrics import carried
from pycaffe_ext.files import write_csv
from pycaffe_ext.report.model import Block, Bullets, Folded, Section, Table

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import Study

TITLE = "Thresholds from validation"
FILE = "thresholds.csv"
MANY = 12  # rows from which the table is folded
PARTS = ("validation", "test")
COUNTS = ("hits", "of", "sensitivity", "false_positives", "negatives_or_frames", "false_positive_rate")
ENDS = ("exact_95", "group_95", "false_positive_rate_exact_95", "false_positive_rate_group_95")
HEAD = ("scores", "class", "criterion", "rate", "threshold", "reason")
HEADER = (
    "name",
    "seed",
    *HEAD,
    *(f"{part}_{name}" for part in PARTS for name in COUNTS),
    *(f"{part}_{name}_{end}" for part in PARTS for name in ENDS for end in ("low", "high")),
)
MADE_BY = (
    thresholds.chosen,
    thresholds.chosen_share,
    thresholds.chosen_youden,
    thresholds.carried,
    thresholds.carried_share,
)


def section(folder: Path, study: Study, file: str = FILE) -> Section:
    """Write thresholds.csv, or a `file` of another name, and show the rows of the main seed."""
    found = list(_rows(study))
    write_csv(folder / file, HEADER, [_cells(*row) for row in found])
    missing = [f"{study.name(run)}, seed {run.settings.trial}" for run in study.runs if not run.result.thresholds]
    notes: list[Block] = [f"Not recorded by runs of an earlier version: {'; '.join(missing)}."] if missing else []
    own = [(name, row) for name, seed, row in found if seed == study.main_seed]
    if not own:
        return Section(TITLE, notes)
    return Section(
        TITLE, [_text(own, study.main_seed, file), *_shown(own, study.main_seed, file), *_reasons(own), *notes]
    )


def _text(own: Sequence[tuple[str, Mapping[str, Any]]], seed: int, file: str) -> str:
    rates = list(dict.fromkeys(str(row["rate"]) for _, row in own))
    return (
        "The threshold is fixed on the validation samples, all of them as they occur, scored with the chosen snapshot"
        " (scores_val.csv of each run); the test is then read at it, so neither the sensitivity nor the rate comes out"
        f" exactly as wanted. Rate: {' or '.join(rates)}. Intervals: 95 % by group, exact where the groups are too few."
        f" Seed {seed}; {file} has every seed, both intervals and the counts."
    )


def _shown(own: Sequence[tuple[str, Mapping[str, Any]]], seed: int, file: str) -> list[Block]:
    header = (
        "",
        "class",
        "chosen for",
        "threshold",
        "validation: sensitivity",
        "validation: rate",
        "test: sensitivity",
        "test: rate",
    )
    table = Table(header, [_line(name, row) for name, row in own if row["threshold"] is not None], file, MADE_BY)
    return [Folded(f"Thresholds, seed {seed}", [table])] if len(table.rows) > MANY else [table]


def _reasons(own: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Block]:
    texts = [
        f"{name}, {row['class']}, {row['criterion']}: {row['reason']}" for name, row in own if row["threshold"] is None
    ]
    return [Bullets(texts)] if texts else []


def _rows(study: Study) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """(name, seed, row) of the networks, and once a seed of what scored the samples before."""
    for run in study.runs:
        for row in run.result.thresholds:
            if row["scores"] == "network":
                yield study.name(run), run.settings.trial, row
    for seed in study.seeds:
        recorded = [run for run in study.of_seed(seed).values() if run.result.thresholds]
        for row in recorded[0].result.thresholds if recorded else ():
            if row["scores"] != "network":
                yield str(row["scores"]), seed, row


def _cells(name: str, seed: int, row: Mapping[str, Any]) -> tuple[Any, ...]:
    reached = [row[part] or {} for part in PARTS]
    return (
        name,
        seed,
        *("" if row[key] is None else row[key] for key in HEAD),
        *(own.get(key, "") for own in reached for key in COUNTS),
        *(end for own in reached for key in ENDS for end in own.get(key) or ("", "")),
    )


def _line(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    figures = [carried.share_text(row[part], what) for part in PARTS for what in ("sensitivity", "false_positive_rate")]
    return name, str(row["class"]), str(row["criterion"]), f"{row['threshold']:.6g}", *figures
