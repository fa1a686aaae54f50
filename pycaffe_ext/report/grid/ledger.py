"""The ledger of deviations from the paper, read from the documentation, where it stands once."""

from __future__ import annotations

import re
from pathlib import Path

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import reading
from pycaffe_ext.report.model import Table

FILE = "docs/explanation/paper.md"
HEADING = "## What differs from the paper"
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def ledger(root: Path | None) -> Table | None:
    """The table below the heading; None without a checkout.  root : of the checkout.

    Raises UserError where the page has no such table.
    """
    if root is None:
        return None
    with reading(root / FILE) as file:
        _, _, below = file.read().partition(f"{HEADING}\n")
    lines = [line for line in below.partition("\n## ")[0].splitlines() if line.startswith("|")]
    if len(lines) < 3:
        raise UserError(f"{root / FILE}: no table below {HEADING!r}")
    header, _, *rows = map(_cells, lines)
    return Table(header, rows)


def _cells(line: str) -> tuple[str, ...]:
    """Of a row of a Markdown table, as plain text."""
    return tuple(LINK.sub(r"\1", cell).replace("`", "").strip() for cell in line.strip().strip("|").split(" | "))
