"""Compute the mean image of a database of Datums.

Usage: compute_image_mean.py [FLAGS] INPUT_DB [OUTPUT_FILE]
"""

from __future__ import annotations

from pycaffe_ext.errors import run_cli
from pycaffe_ext.programs.flags import Flag, parse

FLAGS = {"backend": Flag("lmdb", "lmdb or leveldb")}


def main() -> None:
    given = parse(__doc__, FLAGS, [1, 2])
    if given:
        flags, paths = given
        from pycaffe_ext.programs import compute_image_mean

        compute_image_mean.compute(*paths, backend=flags["backend"])


if __name__ == "__main__":
    run_cli(main)
