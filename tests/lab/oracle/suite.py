"""All groups, in the order of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oracle import (
    Group,
    Outcome,
    deviations,
    files,
    layers,
    loglines,
    networks,
    nonfinite,
    overwriting,
    refusals,
    solvers,
)
from pycaffe_ext.errors import UserError

CHAPTERS = (layers, overwriting, nonfinite, solvers, networks, files, loglines, refusals, deviations)


def all_groups() -> list[Group]:
    return [group for chapter in CHAPTERS for group in chapter.groups()]


def chosen(words: list[str]) -> list[Group]:
    """The groups whose chapter or name begins with one of the words (capitals don't matter); all without words."""
    groups = all_groups()
    found = [group for group in groups if not words or any(_matches(group, word.lower()) for word in words)]
    for word in words:
        if not any(_matches(group, word.lower()) for group in groups):
            raise UserError(f"no group {word!r}; there are {', '.join(f'{g.chapter}/{g.name}' for g in groups)}")
    return found


def outcomes(group: Group, rows: Sequence[Any], folder: Path) -> Iterator[Outcome]:
    """One outcome a row; where the group itself breaks, the rows that are left have failed."""
    done = 0
    try:
        for outcome in group.run(rows, folder):
            done += 1
            yield outcome
    except Exception as error:
        problem = f"not run, {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        yield from (Outcome(row.name, np.nan, problem) for row in rows[done:])


def _matches(group: Group, word: str) -> bool:
    return group.name.lower().startswith(word) or group.chapter.lower().startswith(word)
