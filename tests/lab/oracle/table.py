"""The page docs/reference/conformance.md: what was compared, how many rows, the worst error, what failed."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

import pycaffe_ext
from oracle import Group, Outcome
from oracle.deviations import WITHOUT_ROW

HEAD = """# Conformance with the genuine Caffe 1.0

Written by `make conformance` ({date}); not edited by hand. Each row is run by both engines from the same numbers: the
embedded one (pycaffe_ext {ours}, PyTorch {torch}, NumPy {numpy}, {threads} thread(s)) and the genuine BVLC Caffe 1.0 on
the CPU (Debian 11's package, OpenBLAS), on {machine}. An error is relative; a row fails where its error exceeds the
tolerance, is not a number, or shapes and names differ.
"""


@dataclass(frozen=True)
class Result:
    group: Group
    outcomes: list[Outcome]

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.problem]

    @property
    def worst(self) -> str:
        """The largest error in two digits, `nan` where a row has none; nothing where the rows have no measure."""
        if self.group.tolerance is None or not self.outcomes:
            return ""
        return f"{np.max([outcome.error for outcome in self.outcomes]):.1e}"


def markdown(results: Iterable[Result]) -> str:
    results = list(results)
    parts = [head(), _chapters(results)]
    stated = [row for result in results for row in result.group.rows if hasattr(row, "reason")]
    if stated:
        lines = [f"- **{row.name}**: {row.reason}." for row in stated]
        parts.append("## Deliberate deviations\n\n" + "\n".join(lines) + "\n")
        lines = [f"- **{name}**: {reason}." for name, reason in WITHOUT_ROW.items()]
        parts.append("Without a row, because there is nothing to compare with:\n\n" + "\n".join(lines) + "\n")
    failed = [(result.group, outcome) for result in results for outcome in result.failed]
    if failed:
        lines = [f"- {group.chapter}, {group.name}: `{row.name}`: {row.problem}" for group, row in failed]
        parts.append("## Failed\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def head() -> str:
    return HEAD.format(
        date=date.today(),
        ours=pycaffe_ext.__version__,
        torch=version("torch"),
        numpy=np.__version__,
        threads=os.environ.get("OMP_NUM_THREADS", os.cpu_count()),
        machine=_processor(),
    )


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", file.read_text(), re.M) if file.exists() else None
    return f"{found[1] if found else platform.machine()}, {platform.system()}"


def _chapters(results: list[Result]) -> str:
    lines = ["| chapter | group | rows | failed | worst error | tolerance |", "|---|---|--:|--:|--:|--:|"]
    lines += [_line(result) for result in results]
    count, failed = (sum(len(getattr(r, name)) for r in results) for name in ("outcomes", "failed"))
    lines.append(f"| **all** | | **{count}** | **{failed}** | | |")
    measures = {result.group.chapter: [] for result in results}
    for result in results:
        text = f"{result.group.name}: {result.group.measure}"
        measures[result.group.chapter].append((result.group.measure, text))
    return "\n".join([*lines, "", *_notes(measures), ""])


def _notes(measures: dict[str, list[tuple[str, str]]]) -> list[str]:
    """One note a chapter: how its errors are measured, once where all groups have the same measure."""
    notes = []
    for chapter, found in measures.items():
        same = len({measure for measure, _ in found}) == 1
        notes.append(f"- {chapter}: {found[0][0] if same else '; '.join(text for _, text in found)}.")
    return notes


def _line(result: Result) -> str:
    group = result.group
    bound = f"{group.tolerance:.0e}" if group.tolerance is not None else ""
    rows = str(len(result.outcomes)) if result.outcomes else "0 (its files are not here)"
    return f"| {group.chapter} | {group.name} | {rows} | {len(result.failed)} | {result.worst} | {bound} |"
