"""Turn a state dict of one of torchvision's nets into a caffemodel with a card, for WEIGHTS=."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.files import user_path


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("import-weights", arguments)
    from pycaffe_ext.donor.torch_weights import import_weights

    file = user_path(options["file"])
    out = Path(options["out"] or Path("weights") / f"{file.stem}.caffemodel")
    done = import_weights(file, out, options["mean"], options["std"])
    print(f"{done.weights} and {done.card.name}: {done.net.title} of torchvision, {done.classes} classes, {done.text}")
    print(f"fine-tune from it with ARCH={done.net.arch} WEIGHTS={done.weights}")
