"""The repository's checkout, where the package lies in one; an installed package does without it."""

from __future__ import annotations

from pathlib import Path


def root() -> Path | None:
    """The folder of Makefile and pyproject.toml that this package lies in; None when it is installed elsewhere."""
    folder = Path(__file__).resolve().parents[1]
    return folder if (folder / "Makefile").is_file() and (folder / "pyproject.toml").is_file() else None
