"""Log lines: both engines do the same job; the same words, the same numbers to the digits that are printed."""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
from solver_lab import messages, prepare

from oracle import Group
from oracle.files import RUN, TRAIN, Row, group
from pycaffe_ext.training.log import parse as parse_log

PRINTED = 1.01  # one unit: 0.1234565 is printed as 0.123456 or 0.123457 as rounding will have it
JOBS = {
    "a training with tests": (TRAIN, {}),
    "a training that diverges": (TRAIN, {"base_lr": 1e20}),
    "every policy's rate": (TRAIN, {"lr_policy": '"inv"', "gamma": 0.1, "power": 0.75, "display": 1}),
    "iter_size, clipping, average_loss": (TRAIN, {"iter_size": 2, "clip_gradients": 0.05, "average_loss": 7}),
    "debug_info": (TRAIN, {"debug_info": "true", "max_iter": 4}),
    "a test": (("test", "-model=net.prototxt", "-weights=init.caffemodel", "-iterations=5"), {}),
}
NUMBER = re.compile(r"(?<![\w#])-?(?:nan|inf|\d+\.?\d*(?:e[+-]?\d+)?)(?!\w)")


def groups() -> list[Group]:
    printed = "difference of a printed number in units of its sixth digit, the last one printed"
    rows = [
        Row(name, partial(_log, arguments=arguments, settings=settings)) for name, (arguments, settings) in JOBS.items()
    ]
    return [group("log lines", rows, printed, PRINTED, 2)]


def _log(folder: Path, arguments: tuple[str, ...], settings: dict) -> dict[str, float]:
    """Line -> how far its numbers are apart; AssertionError where words differ or the parser finds other things."""
    texts = {}
    for engine in RUN:
        lab = folder / engine
        if not (folder / "lab").exists():
            prepare(folder / "lab", **settings)
        shutil.copytree(folder / "lab", lab)
        texts[engine] = RUN[engine](lab, *arguments)
    since = "Starting Optimization" if arguments[0] == "train" else "Running for"
    ours, theirs = (messages(text, since) for text in texts.values())
    words = [[NUMBER.sub("N", line) for line in lines] for lines in (ours, theirs)]
    if words[0] != words[1]:
        raise AssertionError(f"other words: {[pair for pair in zip(*words, strict=False) if pair[0] != pair[1]][:2]}")
    a, b = (parse_log(text.splitlines()) for text in texts.values())
    for name in ("losses", "rates", "test_outputs", "snapshots"):
        if list(getattr(a, name)) != list(getattr(b, name)):
            raise AssertionError(f"the parser reads other {name}")
    return {mine: _apart(mine, other) for mine, other in zip(ours, theirs, strict=True)} or {"no line": np.inf}


def _apart(mine: str, other: str) -> float:
    pairs = zip(*(np.array([float(x) for x in NUMBER.findall(line)]) for line in (mine, other)), strict=True)
    return max((_units(a, b) for a, b in pairs), default=0.0)


def _units(a: float, b: float) -> float:
    """|a - b| in units of the sixth digit of the larger one; NaN differs from numbers only."""
    if a == b or np.isnan([a, b]).all():
        return 0.0
    return abs(a - b) / 10.0 ** (np.floor(np.log10(max(abs(a), abs(b)))) - 5)
