"""Apply a finished run to new images, frames or videos."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    parse("predict", arguments)
    raise UserError("predict is not part of this version yet; `make export` writes a run's net for other libraries")
