"""Print the data sets that are read: layouts, groups, terms and where to get them; or say what a folder holds."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("data-help", arguments)
    from pycaffe_ext.commands import _data_sets  # late: --help needs none of the adapters

    _data_sets.show(options)
