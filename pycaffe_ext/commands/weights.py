"""Download known weights (BVLC AlexNet by default): resumable, checked by sha1, in place only when right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("weights", arguments)
    from pycaffe_ext.donor import weights

    print(weights.get(options["name"], Path(options["folder"])))
