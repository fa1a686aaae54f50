"""Amounts of bytes as people read them, and whether a disk has room for them."""

from __future__ import annotations

import shutil
from pathlib import Path

from pycaffe_ext.errors import UserError

UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def size_text(count: float) -> str:
    """Three digits and the unit that fits: "1.02 GB", "45.1 MB", "812 bytes"."""
    for unit, scale in UNITS:
        if count >= 0.9995 * scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} bytes"


def check_space(folder: str | Path, needed: float, what: str, remedy: str) -> None:
    """Raise UserError unless the disk of `folder`, which need not exist yet, has `needed` bytes free.

    what : says what they are for, with its verb: "packing needs".   remedy : follows "free some space": ", or ...".
    """
    folder = Path(folder)
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise UserError(
            f"{folder}: {what} {size_text(needed)}, {size_text(free)} are free, {size_text(needed - free)} too little;"
            f" free some space{remedy}"
        )
