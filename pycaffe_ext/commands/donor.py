"""Repeat the training of the embedded donor: a narrow AlexNet on 64 classes of procedural images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("donor", arguments)
    from pycaffe_ext.donor import DONOR, recipe

    trained = recipe.make(recipe.Recipe(), Path(options["folder"]))
    if options["install"]:
        recipe.install(trained)
    print(DONOR if options["install"] else trained)
