"""Layer cases: forward, the gradient to each bottom, the gradient to each parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from cases import families
from engine_cases import TOLERANCE, Case, errors, ours, run_genuine_each

from oracle import Group, Outcome, outcome

AT_ONCE = 40


def groups() -> list[Group]:
    return [
        Group("Layers", name, cases, run, "largest difference over the blob's largest value", TOLERANCE)
        for name, cases in families().items()
    ]


def run(cases: Sequence[Case], folder: Path) -> Iterator[Outcome]:
    numbered = list(enumerate(cases))
    for start in range(0, len(numbered), AT_ONCE):
        part = [(case, folder / str(i)) for i, case in numbered[start : start + AT_ONCE]]
        yield from _run_part(part)


def _run_part(part: list[tuple[Case, Path]]) -> Iterator[Outcome]:
    mine = [_ours(case, place) for case, place in part]
    died = run_genuine_each([place for (_, place), out in zip(part, mine, strict=True) if isinstance(out, dict)])
    for (case, place), out in zip(part, mine, strict=True):
        if isinstance(out, str) or place in died:
            yield Outcome(case.name, np.nan, out if isinstance(out, str) else died[place])
        else:
            yield outcome(case.name, errors(out, place / "out.npz"), case.tolerance)


def _ours(case: Case, place: Path) -> dict[str, np.ndarray] | str:
    try:
        return ours(case, place)
    except Exception as error:  # a row that breaks the engine is a failed row, not the end of the run
        return f"{type(error).__name__}: {error}"
