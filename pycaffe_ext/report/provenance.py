"""The last section of a report: which function made each figure and each table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pycaffe_ext.report.model import Block, Figure, Folded, Section, Table

PACKAGE = "pycaffe_ext"
TITLE = "How the numbers are made"
HEADER = ("section", "figure or table", "functions")


def function_name(function: Callable[..., Any]) -> str:
    """Module and name of a function of the package, without the package's own name: "evaluation.froc.curve"."""
    return f"{function.__module__}.{function.__qualname__}".removeprefix(f"{PACKAGE}.")


def sources(sections: Sequence[Section]) -> Iterator[tuple[str, str, Figure | Table]]:
    """(title of the section, name, figure or table) of all that a report shows."""
    for section in sections:
        for name, shown in _shown(section.blocks, ""):
            yield section.title, name or "table", shown


def _shown(blocks: Sequence[Block], title: str) -> Iterator[tuple[str, Figure | Table]]:
    for block in blocks:
        if isinstance(block, Folded | Section):
            yield from _shown(block.blocks, block.title)
        elif isinstance(block, Figure):
            yield block.file, block
        elif isinstance(block, Table):
            yield title or block.file, block


def section(sections: Sequence[Section]) -> Section:
    """A row for each figure and table of the other sections."""
    rows = [
        (title, name, ", ".join(map(function_name, shown.made_by)))
        for title, name, shown in sources(sections)
        if shown.made_by
    ]
    text = (
        f"Each function is in the package {PACKAGE}; its docstring says what it computes and where it comes from. The"
        " functions behind single verdicts on claims are in claims.csv where there are claims."
    )
    return Section(TITLE, [text, Table(HEADER, rows)])
