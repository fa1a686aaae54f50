"""Repeat the training of the embedded donor: a narrow AlexNet on procedural images and synthetic patches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pycaffe_ext.command_line.parsing import parse

if TYPE_CHECKING:
    from pycaffe_ext.donor.recipe import Lesson


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("donor", arguments)
    from pycaffe_ext.donor import DONOR, recipe

    trained = recipe.make(recipe.Recipe(), Path(options["folder"]), lessons)
    if options["install"]:
        recipe.install(trained)
    print(DONOR if options["install"] else trained)


def lessons(folder: Path) -> list[Lesson]:
    """What the embedded donor learns."""
    from pycaffe_ext.donor import recipe
    from pycaffe_ext.runs import donor_worlds

    return [recipe.Procedural(), *(donor_worlds.lesson(world, folder) for world in donor_worlds.WORLDS)]
