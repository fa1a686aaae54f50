"""Pack a list of images into an LMDB or LevelDB of Datums.

Usage: convert_imageset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME

LISTFILE has a line for each image: its path below ROOTFOLDER, a space, its label.
"""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.programs.flags import Flag, parse

FLAGS = {
    "gray": Flag(False, "read images as grey ones"),
    "shuffle": Flag(False, "shuffle the lines"),
    "backend": Flag("lmdb", "lmdb or leveldb"),
    "resize_width": Flag(0, "width to resize to; with resize_height"),
    "resize_height": Flag(0, "height to resize to; with resize_width"),
    "check_size": Flag(False, "refuse images of different sizes"),
    "encoded": Flag(False, "keep pictures encoded instead of their pixels"),
    "encode_type": Flag("", "how to encode them: png, jpg, ...; implies encoded"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse(__doc__ or "", FLAGS, [3], arguments)
    if given:
        flags, (root, list_file, database) = given
        from pycaffe_ext.programs import convert_imageset

        convert_imageset.convert(root, list_file, database, convert_imageset.Options(**flags))
