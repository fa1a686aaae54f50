"""Repeat the training of the embedded donor: a narrow AlexNet on 64 classes of procedural images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("donor", arguments)
    from pycaffe_ext.donor import DONOR, recipe, teaching, weights

    folder = Path(options["folder"])
    teacher = weights.resolve(options["teacher"], folder) if options["teacher"] else None
    trained = recipe.make(recipe.Recipe(), folder)
    if teacher:
        trained = teaching.teach(teaching.Lesson(), trained, teacher, folder / "lesson")
    if options["install"]:
        recipe.install(trained)
    print(DONOR if options["install"] else trained)
