"""Compute the mean image of a database of Datums.

Usage: compute_image_mean [FLAGS] INPUT_DB [OUTPUT_FILE]
"""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.programs.flags import Flag, parse

FLAGS = {"backend": Flag("lmdb", "lmdb or leveldb")}


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse(__doc__ or "", FLAGS, [1, 2], arguments)
    if given:
        flags, (database, *output) = given
        from pycaffe_ext.programs import compute_image_mean

        compute_image_mean.compute(database, output[0] if output else None, flags["backend"])
