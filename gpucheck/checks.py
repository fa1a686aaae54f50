"""What a check is, what it finds, and where it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

RIGHT, FAST = "Right", "Fast"


@dataclass(frozen=True)
class Bench:
    """Where a check runs.

    device : of nets in this process;  flags : what the engine's commands are given, so that they use the same one
    folder : for files, the check's own;  seconds : the check's budget;  thin : only every `thin`-th row of long tables
    """

    device: torch.device
    folder: Path
    seconds: float
    flags: tuple[str, ...] = ("-gpu=0",)
    thin: int = 1


@dataclass
class Finding:
    """What a check found.  ok : whether its goal is met, None where it has none;  said : one line for a reader
    figures : name -> number, in the units that their names end in;  notes : further lines, each a failure or a remark
    """

    said: str
    ok: bool | None = None
    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Check:
    """One row of the report.  alone : whether nothing else may use the GPU meanwhile;  seconds : its budget."""

    name: str
    section: str
    what: str
    seconds: float
    run: Callable[[Bench], Finding]
    alone: bool = False


def judged(worst: float, tolerance: float, rows: int, failures: list[str]) -> Finding:
    """A finding about rows that were compared: fine if none has failed."""
    said = f"{rows - len(failures)} of {rows} within {tolerance:g}, the worst of them {worst:.2g}"
    ok = not failures and rows > 0
    return Finding(said, ok, {"rows": rows, "failed": len(failures), "worst": worst}, failures[:20])
