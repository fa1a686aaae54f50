"""Print Tables I and II, read back from the emitted prototxt."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext import checkout
from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("tables", arguments)
    from pycaffe_ext.errors import known
    from pycaffe_ext.nets import emission
    from pycaffe_ext.report import tables

    app, root = known(options["app"], emission.EMITTED, "application"), options["root"] or checkout.root()
    if root:
        print(tables.tables(Path(root), app))
        return
    with tempfile.TemporaryDirectory() as folder:
        emission.write_to(Path(folder), "alexnet", [app])
        print(tables.tables(Path(folder), app))
