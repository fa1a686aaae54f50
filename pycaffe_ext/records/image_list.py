"""The list of images and labels that convert_imageset and the ImageData layer read."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pycaffe_ext.errors import UserError

NUMBER = re.compile(r"\s*[+-]?\d+", re.ASCII)


def read_list(path: str | Path) -> list[tuple[str, int]]:
    """(name, label) of each line: what stands before and behind its last space, as Caffe reads it.

    A label is the whole number that the text begins with, 0 if there is none, kept to 32 bits.  Raises UserError
    for a list that can't be read.
    """
    try:
        text = os.fsdecode(Path(path).read_bytes())
    except OSError as error:
        raise UserError(f"{path}: can't read this list of images ({error.strerror})") from None
    lines = text.removesuffix("\n").split("\n") if text else []
    return [_entry(line) for line in lines]


def _entry(line: str) -> tuple[str, int]:
    name, space, text = line.rpartition(" ")
    found = NUMBER.match(text)
    label = int(found[0]) if found else 0
    return (name if space else line), (label + (1 << 31)) % (1 << 32) - (1 << 31)
