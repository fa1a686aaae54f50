"""GPU.md, and the same as gpu.json beside it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine
from gpucheck.checks import FAST, RIGHT
from gpucheck.fast import ratios
from gpucheck.runner import Done
from pycaffe_ext.files import write_json, writing

NAME = "GPU.md"
REQUIRED = "2.13.0"  # the torch of setup.py
MARKS = {True: "yes", False: "**no**", None: ""}
MET = {True: "yes", False: "missed", None: ""}
HEAD = """# On a GPU

Written by `make gpu-check`. "Right" compares the engine on this GPU with the engine on this machine's CPU, from the
same numbers, in float32 with TF32 off; `docs/reference/conformance.md` compares the CPU engine with the genuine Caffe.
"Fast" has one sample a row: 50 iterations after 100 that passed, each program in a process of its own.
"""


def place() -> dict[str, str]:
    """Device, driver, versions."""
    found = torch.cuda.get_device_properties(0)
    capability = f"{found.major}.{found.minor}"
    return {
        "device": f"{found.name}, {found.total_memory / 2**30:.0f} GiB, compute capability {capability}",
        "driver": _driver(),
        "CUDA of torch": str(torch.version.cuda),
        "cuDNN": str(torch.backends.cudnn.version()),
        "torch": _torch_note(torch.__version__),
        "Python": platform.python_version(),
        "machine": f"{machine.machine()}; {len(os.sched_getaffinity(0))} cores usable",
        "commit": machine.commit(),
        **{name: number for name, number in machine.versions().items() if name not in ("torch", "Python")},
    }


def _torch_note(version: str) -> str:
    ours = version.split("+")[0] == REQUIRED
    return version if ours else f"{version}, this machine's own (the conformance figures are of {REQUIRED})"


def _driver() -> str:
    command = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0")
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    except OSError:
        return "unknown"


def write(folder: Path, done: Sequence[Done], where: dict[str, str], seconds: float) -> None:
    """Write both files into `folder`."""
    content: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "seconds": round(seconds),
        "place": where,
        "checks": {
            one.check.name: {
                "section": one.check.section,
                "what": one.check.what,
                "seconds": one.seconds,
                "left_out": one.left_out,
                **asdict(one.finding),
            }
            for one in done
        },
        "ratios": [{"what": what, "ratio": ratio, "goal": goal} for what, ratio, goal in _ratios(done)],
    }
    write_json(folder / "gpu.json", content)
    with writing(folder / NAME) as file:
        file.write(_markdown(content, done))


def _ratios(done: Sequence[Done]) -> list[tuple[str, float, float | None]]:
    return ratios({one.check.name: one.finding.figures for one in done})


def failures(done: Sequence[Done]) -> list[str]:
    """What is wrong, one line each: checks that failed and goals that were missed."""
    lines = [f"{one.check.name}: {one.finding.said}" for one in done if one.finding.ok is False]
    return lines + [
        f"{what}: {ratio:.2f}, the goal is {goal:g}"
        for what, ratio, goal in _ratios(done)
        if goal is not None and ratio < goal
    ]


def _markdown(content: dict[str, Any], done: Sequence[Done]) -> str:
    parts = [HEAD, f"{content['date']}, {content['seconds']} s in all.\n", _table(("", ""), content["place"].items())]
    for section in (RIGHT, FAST):
        rows = [_row(one) for one in done if one.check.section == section]
        parts.append(f"## {section}\n\n" + _table(("check", "what", "found", "ok", "s"), rows))
    ratios = [
        (
            one["what"],
            f"{one['ratio']:.2f}",
            "" if one["goal"] is None else f"at least {one['goal']:g}",
            MET[_met(one["ratio"], one["goal"])],
        )
        for one in content["ratios"]
    ]
    parts.append("## Side by side\n\n" + _table(("images/s of", "ratio", "goal", "met"), ratios))
    notes = [f"- {one.check.name}: {note}" for one in done for note in one.finding.notes]
    parts.append("## Notes\n\n" + ("\n".join(notes) if notes else "None.") + "\n")
    return "\n".join(parts)


def _met(ratio: float, goal: float | None) -> bool | None:
    return None if goal is None else ratio >= goal


def _row(one: Done) -> tuple[str, ...]:
    finding = one.finding
    return one.check.name, one.check.what, finding.said, MARKS[finding.ok], f"{one.seconds:.0f}"


def _table(header: Sequence[str], rows: Any) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "/") for cell in line) + " |\n" for line in lines)
