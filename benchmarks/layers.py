"""Where the time goes: each layer's mean forward and backward milliseconds by both engines' `caffe time`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks import nets
from benchmarks.program import Program
from benchmarks.rows import Lab
from benchmarks.sides import genuine_caffe, ours

HEADER = ("layer", "pass", "genuine ms", "ours ms", "ratio")
LINE = re.compile(r"\] +(\S+)\s+(forward|backward): (\S+) ms\.$")
ITERATIONS = 5

Times = dict[tuple[str, str], float]  # (layer, "forward" or "backward") -> milliseconds


def compare(lab: Lab, batch: int = 32) -> list[Sequence[str]]:
    """Rows under HEADER for AlexNet in TRAIN, in the net's order; ratio: genuine / ours, above 1 ours is faster."""
    words = ("time", f"-model={nets.alexnet(lab, 'scratch', batch)}", f"-iterations={ITERATIONS}")
    theirs, mine = (_times(engine(lambda _lab: words)(lab), lab) for engine in (genuine_caffe, ours))
    rows = [_row(*key, theirs[key], mine[key]) for key in theirs if key in mine]
    totals = [sum(times[key] for key in theirs if key in mine) for times in (theirs, mine)]
    return [HEADER, *rows, _row("all", "both", *totals)]


def parse(lines: Sequence[str]) -> Times:
    """The means that a `caffe time` log ends in."""
    found = (LINE.search(line) for line in lines)
    return {(match[1], match[2]): float(match[3]) for match in found if match}


def _times(command: Sequence[str | Path], lab: Lab) -> Times:
    with Program(command, lab.environment, kept=1000) as program:
        return parse(program.finish().splitlines())


def _row(layer: str, which: str, theirs: float, mine: float) -> Sequence[str]:
    ratio = f"{theirs / mine:.2f}x" if mine > 0 else ""
    return layer, which, f"{theirs:.2f}", f"{mine:.2f}", ratio
