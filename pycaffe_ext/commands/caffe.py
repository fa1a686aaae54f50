"""Install the genuine BVLC Caffe 1.0 (CPU, Debian 11's package) into the user's cache folder, once.

Its published tests, models and examples come with it where they can be had.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root, source


def main(arguments: Sequence[str] | None = None) -> None:
    if not parse("caffe", arguments)["where"]:
        root.install()
        _install_source()
    print(root.command("caffe"))


def _install_source() -> None:
    """What comes with Caffe is a bonus: the programs work without it."""
    try:
        source.install()
    except UserError as error:
        print(f"note: {error}", file=sys.stderr)
