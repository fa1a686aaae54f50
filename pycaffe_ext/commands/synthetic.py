"""Write a data set of synthetic colonoscopy sequences: images/VIDEO/NNNN.jpg and masks/VIDEO/NNNN.png."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse("synthetic", arguments)
    from pycaffe_ext.data.synthetic import write_sequences

    size = tuple(given["size"])
    write_sequences(given["folder"], given["videos"], given["frames"], size, given["seed"], given["workers"])
