"""What a report consists of, and its rendering as Markdown for repositories; `page` has that for browsers."""

from __future__ import annotations

import html as escapes
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from pycaffe_ext.plotting import printable

MARKS = re.compile(r"[\\`*|~$]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])|<(?=[A-Za-z/!?])|&(?=#?\w+;)")
LINE_START = re.compile(r"(#{1,6}|[-+])(?= |$)|[>\[]|\d{1,9}(?=[.)]( |$))|=+$|-+$")
NUMBER = re.compile(
    r"[-+−<>≥≤ ]*\d[\d ,.]*(e[-+]?\d+)?( ?%)?( \[[^\]]*\])*( / \d+| \([<>≥≤ ]*\d[\d.]*\))?|\[[-+−\d., ]*\]|[-–]?"
)


@dataclass(frozen=True)
class Mark:
    """A cell of a table that says how something came out.  kind : what it is for the reader, shown as a colour too."""

    text: str
    kind: Literal["good", "bad", "open"]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Table:
    """header : (columns,) texts.  rows : of as many cells each; the first cell names the row.  file : the CSV file with
    all of it, "" for none.  made_by : the functions that compute its numbers.  caption : "" where the text around it
    says what it is.

    A column of numbers is aligned right.  Raises ValueError for a row of another length.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    file: str = ""
    made_by: Sequence[Callable[..., Any]] = ()
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"{row} has {len(row)} cells, the header {len(self.header)}")

    def numeric(self) -> list[bool]:
        """Whether all cells of a column are numbers (with units, intervals) or empty, column by column."""
        texts = [[cell_text(row[i]) for row in self.rows] for i in range(len(self.header))]
        return [any(column) and all(NUMBER.fullmatch(text) for text in column) for column in texts]


@dataclass(frozen=True)
class Figure:
    """file : a picture beside the page, PNG or SVG.  caption : its first sentence stands for the picture where it is
    not seen.  made_by : the functions that compute what it shows.  data : its numbers, shown at a click."""

    file: str
    caption: str
    made_by: Sequence[Callable[..., Any]] = ()
    data: Table | None = None


@dataclass(frozen=True)
class Bullets:
    """A list of short texts."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Links:
    """A list of files beside the page."""

    files: Sequence[str]


@dataclass(frozen=True)
class Note:
    """A text that a reader must not miss."""

    text: str


@dataclass(frozen=True)
class Lead:
    """What a reader came for."""

    text: str


@dataclass(frozen=True)
class Verbatim:
    """A text that is shown as it is, line by line."""

    text: str


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown at a click on the title."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Section:
    """blocks : in order; a str is a paragraph of plain text, in which no character has a meaning of its own, a Section
    a part of this one."""

    title: str
    blocks: Sequence[Block]


Words: TypeAlias = str | Bullets | Links | Note | Lead | Verbatim
Block: TypeAlias = Words | Table | Figure | Folded | Section


def markdown(sections: Iterable[Section], title: str = "") -> str:
    """The page as Markdown (CommonMark with GitHub's tables); texts are escaped, files are linked by name."""
    head = [f"# {_escaped(title)}"] if title else []
    parts = [*head, *(part for section in sections for part in _markdown_section(section))]
    return "\n\n".join(parts) + "\n"


def _markdown_section(section: Section, level: int = 2) -> list[str]:
    blocks = (_markdown_block(block, level) for block in section.blocks)
    return [f"{'#' * level} {_escaped(section.title)}", *blocks]


def _markdown_block(block: Block, level: int = 2) -> str:
    match block:
        case Section():
            return "\n\n".join(_markdown_section(block, level + 1))
        case Figure():
            picture = f"![{_escaped(first_sentence(block.caption))}]({link(block.file)})\n\n*{_escaped(block.caption)}*"
            return picture + (f"\n\n{_markdown_block(Folded('Data', [block.data]))}" if block.data else "")
        case Table():
            return _markdown_table(block)
        case Folded():
            inside = "\n\n".join(_markdown_block(inner, level) for inner in block.blocks)
            return f"<details><summary>{escapes.escape(printable(block.title))}</summary>\n\n{inside}\n\n</details>"
        case _:
            return _markdown_words(block)


def _markdown_words(block: Words) -> str:
    match block:
        case str():
            return _escaped(block)
        case Lead():
            return f"**{_escaped(block.text)}**"
        case Note():
            return f"> **{_escaped(block.text)}**"
        case Verbatim():
            return _fenced(block.text)
        case Bullets():
            return "\n".join(f"- {_escaped(text)}" for text in block.texts)
        case Links():
            return "\n".join(f"- [{_escaped(file)}]({link(file)})" for file in block.files)


def _markdown_table(table: Table) -> str:
    rule = ["---:" if numeric else "---" for numeric in table.numeric()]
    rows = [list(map(_escaped, map(cell_text, row))) for row in (table.header, *table.rows)]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))
    if table.caption:
        lines = f"{_escaped(table.caption)}\n\n{lines}"
    return lines + (f"\n\nAll numbers: [{_escaped(table.file)}]({link(table.file)})" if table.file else "")


def cell_text(value: object) -> str:
    """What a cell shows."""
    return "" if value is None else str(value)


def _escaped(text: str) -> str:
    """A text on one line, with backslashes where Markdown would read a mark."""
    line = MARKS.sub(r"\\\g<0>", " ".join(printable(text).split()))
    start = LINE_START.match(line)
    if start is None:
        return line
    at = start.end() if start[0].isdigit() else 0  # of a numbered list, the point or bracket is what makes it one
    return f"{line[:at]}\\{line[at:]}"


def _fenced(text: str) -> str:
    """As a block of code, whose fence is longer than any in it."""
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{printable(text).rstrip()}\n{fence}"


def first_sentence(caption: str) -> str:
    """A caption's first sentence, without its full stop."""
    return re.split(r"(?<!Fig)\. ", caption, maxsplit=1)[0].rstrip(".")


def link(file: str) -> str:
    """A file's name as a link to it."""
    return quote(file, errors="surrogateescape")
