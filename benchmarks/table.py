"""The table of results: printed, and as a page in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.measure import advantage, is_met
from benchmarks.results import Result
from benchmarks.rows import GENUINE, OURS, Row

ENOUGH = 5  # samples of each side; fewer are no figure to publish
BUSY = 0.05  # share of the cores that other programs may have had
HEADER = ("row", "what", "genuine Caffe", "ours", "better by", "target", "met")
MET = {None: "", True: "yes", False: "missed"}
INTRODUCTION = """# Benchmarks

Written by `make bench`, which measures this engine and the genuine BVLC Caffe 1.0 side by side: the same prototxt
files, the same data, the same number of threads. The two take turns, one sample each; the first of each is thrown
away, the others are shown as median (min to max). "Better by" is the genuine engine's median over ours for times and
memory, ours over the genuine engine's for rates: above 1x ours is the better one. A missed target is shown as `missed`.
"""
METHOD = """## How

- A training iteration is the time between two loss lines of `caffe train`'s log: a forward and backward pass and an
  update, its batch read through the Data layer from an LMDB of raw 227x227 Datums. Start-up does not count.
- Memory is the largest resident set of that process; it counts the pages of the LMDB that are mapped.
- prefix rows: batch 128, epochs of 4 iterations, the nets of `prototxt/` with their dropout; ours is timed after its
  first epoch. The genuine engine's epoch is 4 times its iteration.
- A start-up row has no rival: its target is a time.
- first rows: a new process imports pycaffe and what makes nets, makes the deploy net (batch 1), copies its weights and
  runs ten passes. Real weights for SqueezeNet and GoogLeNet where `../shared/weights` has them, else the fillers' own.
- scale rows: 40 simulated videos of 945 frames; the memory is the largest resident set of the whole preparation.
  Each sample is one in a new process, and the first one counts.
"""

Entry = tuple[Row, Result]
Place = tuple[str, str]  # commit, machine


def render(entries: Sequence[Entry], missing: Mapping[str, str], here: Place) -> tuple[str, str]:
    """(text to print, content of the page); `missing` is row -> why it has no figure, `here` is now's place."""
    notes: list[str] = []
    body = [_cells(row, result, _marks(result, here, notes)) for row, result in entries]
    below = [f"[{i}] {note}" for i, note in enumerate(notes, 1)]
    left_out = [f"{', '.join(rows)}: {reason}" for reason, rows in _by_reason(missing)]
    printed = [*aligned([HEADER, *body]), *below, *(f"left out: {line}" for line in left_out)]
    table = "\n".join([*_markdown(body), "", *(f"- {line}" for line in below), ""])
    sections = [INTRODUCTION, table, _left_out(left_out), METHOD, _places(entries)]
    return "\n".join(printed), "\n".join(section.strip("\n") + "\n" for section in sections if section)


def _cells(row: Row, result: Result, marks: str) -> tuple[str, ...]:
    ours, rivals = result.samples[OURS], [item for item in result.samples.items() if item[0] != OURS]
    if not rivals:
        return row.name + marks, row.what, "", _spread(ours, row), "", _target(row), MET[is_met(row, [], ours)]
    ((name, rival),) = rivals
    named = "" if name == GENUINE else f"{name}: "
    by = f"{advantage(row, rival, ours):.2f}x"
    return (
        row.name + marks,
        row.what,
        named + _spread(rival, row),
        _spread(ours, row),
        by,
        _target(row),
        MET[is_met(row, rival, ours)],
    )


def _spread(values: Sequence[float], row: Row) -> str:
    """Median and range, 3 significant digits, with the unit."""
    middle = f"{_number(median(values))} {row.unit}"
    return middle if len(values) == 1 else f"{middle} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _target(row: Row) -> str:
    if row.limit is not None:
        return f"{'below' if row.better == 'less' else 'at least'} {row.limit:g} {row.unit}"
    if row.margin is not None:
        return f"at most {row.margin:g} {row.unit} more"
    return "" if row.target is None else f"{row.target:g}x"


def _marks(result: Result, here: Place, notes: list[str]) -> str:
    """Numbers of the result's warnings, e.g. " [1] [2]"; new ones are added to `notes`."""
    marks = ""
    for warning in _warnings(result, here):
        if warning not in notes:
            notes.append(warning)
        marks += f" [{notes.index(warning) + 1}]"
    return marks


def _warnings(result: Result, here: Place) -> list[str]:
    """Why a result is not to be taken at its face value."""
    found = []
    if (result.commit, result.machine) != here:
        found.append(f"measured at commit {result.commit} on {result.machine}")
    if result.commit.endswith("+"):
        found.append("measured with changes that are not committed")
    if result.runs < ENOUGH:
        found.append(f"fewer than {ENOUGH} samples of each side: not a figure to publish")
    if result.others > BUSY:
        found.append(f"other programs had more than {BUSY:.0%} of the cores meanwhile: not a figure to publish")
    return found


def _by_reason(missing: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for row, reason in missing.items():
        found.setdefault(reason, []).append(row)
    return list(found.items())


def _left_out(lines: Sequence[str]) -> str:
    return "\n".join(["## Left out\n", *(f"- {line}" for line in lines), ""]) if lines else ""


def _places(entries: Sequence[Entry]) -> str:
    """Machine, commit, dates and versions, once for each group of rows that shares them."""
    lines = ["## Where and with what", ""]
    places: dict[str, list[Result]] = {}
    for _, result in entries:
        shown = ", ".join(f"{name} {number}" for name, number in result.versions.items())
        key = f"commit {result.commit}, {result.threads} threads a side, on {result.machine}: {shown}"
        places.setdefault(key, []).append(result)
    for place, results in places.items():
        dates = sorted({result.date for result in results})
        lines.append(f"- {place}. Measured {dates[0]}" + (f" to {dates[-1]}." if len(dates) > 1 else "."))
    return "\n".join(lines) + "\n"


def _markdown(body: Sequence[Sequence[str]]) -> list[str]:
    lines = [HEADER, ["---"] * len(HEADER), *body]
    return [f"| {' | '.join(line)} |" for line in lines]


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Cells as lines of text, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
