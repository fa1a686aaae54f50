"""Small pieces of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; a bar in a cell is escaped, the first column is aligned left, the others right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in line) + " |" for line in lines) + "\n"


def figure(file: str, caption: str) -> str:
    """A picture with its caption; the first sentence is what is read out where it cannot be seen."""
    sentence = re.split(r"(?<!Fig)\. ", caption, maxsplit=1)[0].rstrip(".")
    return f"![{sentence}]({file})\n\n*{caption}*\n"


def folded(title: str, text: str) -> str:
    """Text that opens at a click."""
    return f"<details><summary>{title}</summary>\n\n{text}\n</details>\n"
