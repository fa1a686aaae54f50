"""Write the card of a donor: what it was trained on, in NAME.card.prototxt beside the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.errors import known


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("card", arguments)
    from pycaffe_ext.donor.cards import Card, text_of, write_card
    from pycaffe_ext.runs.settings import mean_values
    from pycaffe_ext.schemes import STAGES

    mean, arch = options["mean"] or "", options["arch"] or ""
    values = mean_values(mean)
    card = Card(
        mean_value=values,
        mean_file=Path(mean) if mean and not values else None,
        scale=options["scale"],
        input_size=options["input_size"] or 0,
        arch=arch and known(arch, STAGES, "ARCH"),
        source=options["source"] or "",
        licence=options["licence"] or "",
    )
    path = write_card(options["weights"], card)
    print(f"{path}: {text_of(card)}")
