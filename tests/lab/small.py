"""Runs on frames with a detector that suits miniatures: `with small.detector()`, or `python small.py TOOL ARGUMENTS`.

A user's enlarges every frame to 320 pixels and grows 30 trees a forest, which is four fifths of a miniature run's time.
What it finds at that size is tested by itself; a run finds, learns and tests in the same way with the smaller one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pycaffe_ext.applications import polyp

DETECTOR = replace(polyp.SETTINGS, working_side=128, trees=8)


@contextmanager
def detector() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(polyp, "SETTINGS", DETECTOR)
        yield


def main(tool: str, *arguments: str) -> None:
    """tools/TOOL.py in this process, as `python tools/TOOL.py ARGUMENTS` runs it but for the detector."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    import importlib

    from pycaffe_ext.errors import run_cli

    sys.argv = [tool, *arguments]
    with detector():
        run_cli(importlib.import_module(f"tools.{tool}").main)


if __name__ == "__main__":
    main(*sys.argv[1:])
