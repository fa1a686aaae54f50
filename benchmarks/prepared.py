"""Prepared data for runs that are to be measured."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pycaffe_ext.runs.pipeline import FEATURES


def lay(source: Path, runs: Path) -> None:
    """Link the prepared data of one RUNS folder into a new one, without what has been stored of frozen layers."""
    shutil.copytree(source / "data", runs / "data", copy_function=os.link, ignore=_features)


def _features(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name == FEATURES]
