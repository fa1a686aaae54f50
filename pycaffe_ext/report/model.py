"""What a report consists of, and its two renderings: Markdown for repositories, one HTML page for browsers."""

from __future__ import annotations

import base64
import html as escapes
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pycaffe_ext.plotting import printable

MARKS = re.compile(r"[\\`*|~$]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])|<(?=[A-Za-z/!?])|&(?=#?\w+;)")
LINE_START = re.compile(r"(#{1,6}|[-+])(?= |$)|[>\[]|\d{1,9}(?=[.)]( |$))|=+$|-+$")
NUMBER = re.compile(r"[-+−<>≥≤ ]*\d[\d ,.]*(e[-+]?\d+)?( ?%)?( \[[^\]]*\])*( / \d+)?|\[[-+−\d., ]*\]|[-–]?")
LONG = 32  # characters of a first cell from which it may be broken
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #8886; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #8884; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888a; vertical-align: bottom; } .n { text-align: right; }
.n, td:first-child { white-space: nowrap; } .long td:first-child { white-space: normal; min-width: 12rem; }
figure { margin: 1.5rem 0; } figure img { max-width: 100%; height: auto; background: white; }
figcaption { font-size: .9rem; opacity: .85; }
.note { border-left: .3rem solid #D55E00; padding: .3rem 1rem; font-weight: 600; }
details { margin: 1rem 0; } summary { cursor: pointer; }
"""


@dataclass(frozen=True)
class Figure:
    """file : a picture beside the page.  caption : its first sentence stands for the picture where it is not seen.
    made_by : the functions that compute what it shows."""

    file: str
    caption: str
    made_by: Sequence[Callable[..., Any]] = ()


@dataclass(frozen=True)
class Table:
    """header : (columns,) texts.  rows : of as many cells each.  file : the CSV file with all of it, "" for none.
    made_by : the functions that compute its numbers.

    A column of numbers is aligned right.  Raises ValueError for a row of another length.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    file: str = ""
    made_by: Sequence[Callable[..., Any]] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"{row} has {len(row)} cells, the header {len(self.header)}")

    def numeric(self) -> list[bool]:
        """Whether all cells of a column are numbers (with units, intervals) or empty, column by column."""
        texts = [[_cell(row[i]) for row in self.rows] for i in range(len(self.header))]
        return [any(column) and all(NUMBER.fullmatch(text) for text in column) for column in texts]


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
class Folded:
    """Blocks that are shown at a click on the title."""

    title: str
    blocks: Sequence[Block]


Block: TypeAlias = str | Table | Figure | Bullets | Links | Note | Folded


@dataclass(frozen=True)
class Section:
    """blocks : in order; a str is a paragraph of plain text, in which no character has a meaning of its own."""

    title: str
    blocks: Sequence[Block]


def markdown(sections: Iterable[Section], title: str = "") -> str:
    """The page as Markdown (CommonMark with GitHub's tables); texts are escaped, files are linked by name."""
    head = [f"# {_escaped(title)}"] if title else []
    parts = [*head, *(part for section in sections for part in _markdown_section(section))]
    return "\n\n".join(parts) + "\n"


def html(sections: Iterable[Section], title: str = "", pictures: Path | None = None) -> str:
    """The page as one HTML file without scripts; texts are escaped.

    pictures : folder of the figures, whose PNG files are then part of the page; else they are linked by name.
    """
    name = escapes.escape(printable(title))
    body = [f"<h1>{name}</h1>"] if title else []
    for section in sections:
        body.append(f"<section>\n<h2>{_html(section.title)}</h2>")
        body += [_html_block(block, pictures) for block in section.blocks]
        body.append("</section>")
    head = (
        f'<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name or 'Report'}</title>\n<style>{STYLE}</style>"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n'
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _markdown_section(section: Section) -> list[str]:
    return [f"## {_escaped(section.title)}", *map(_markdown_block, section.blocks)]


def _markdown_block(block: Block) -> str:
    match block:
        case str():
            return _escaped(block)
        case Bullets():
            return "\n".join(f"- {_escaped(text)}" for text in block.texts)
        case Links():
            return "\n".join(f"- [{_escaped(file)}]({_link(file)})" for file in block.files)
        case Note():
            return f"> **{_escaped(block.text)}**"
        case Figure():
            caption = _escaped(block.caption)
            return f"![{_escaped(_first_sentence(block.caption))}]({_link(block.file)})\n\n*{caption}*"
        case Table():
            return _markdown_table(block)
        case Folded():
            inside = "\n\n".join(map(_markdown_block, block.blocks))
            return f"<details><summary>{_html(block.title)}</summary>\n\n{inside}\n\n</details>"


def _markdown_table(table: Table) -> str:
    rule = ["---:" if numeric else "---" for numeric in table.numeric()]
    rows = [list(map(_escaped, map(_cell, row))) for row in (table.header, *table.rows)]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))
    return lines + (f"\n\nAll numbers: [{_escaped(table.file)}]({_link(table.file)})" if table.file else "")


def _html_block(block: Block, pictures: Path | None) -> str:
    match block:
        case str():
            return f"<p>{_html(block)}</p>"
        case Bullets():
            return _html_list([_html(text) for text in block.texts])
        case Links():
            return _html_list([f'<a href="{_link(file)}">{_html(file)}</a>' for file in block.files])
        case Note():
            return f'<p class="note">{_html(block.text)}</p>'
        case Figure():
            alternative = _html(_first_sentence(block.caption))
            picture = f'<img src="{_source(block.file, pictures)}" alt="{alternative}">'
            return f"<figure>\n{picture}\n<figcaption>{_html(block.caption)}</figcaption>\n</figure>"
        case Table():
            return _html_table(block)
        case Folded():
            inside = "\n".join(_html_block(inner, pictures) for inner in block.blocks)
            return f"<details>\n<summary>{_html(block.title)}</summary>\n{inside}\n</details>"


def _html_list(items: Sequence[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{item}</li>" for item in items) + "\n</ul>"


def _html_table(table: Table) -> str:
    kinds = [' class="n"' if numeric else "" for numeric in table.numeric()]
    lines = [_html_row("th", table.header, kinds), *(_html_row("td", row, kinds) for row in table.rows)]
    link = f'\n<p>All numbers: <a href="{_link(table.file)}">{_html(table.file)}</a></p>' if table.file else ""
    head, body = lines[0], "\n".join(lines[1:])
    long = ' class="long"' if any(len(_cell(row[0])) > LONG for row in table.rows) else ""
    return (
        f'<div class="scroll"><table{long}>\n<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>{link}'
    )


def _html_row(tag: str, cells: Sequence[Any], kinds: Sequence[str]) -> str:
    return (
        "<tr>"
        + "".join(f"<{tag}{kind}>{_html(_cell(cell))}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))
        + "</tr>"
    )


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _html(text: str) -> str:
    return escapes.escape(printable(text))


def _escaped(text: str) -> str:
    """A text on one line, with backslashes where Markdown would read a mark."""
    line = MARKS.sub(r"\\\g<0>", " ".join(printable(text).split()))
    start = LINE_START.match(line)
    if start is None:
        return line
    at = start.end() if start[0].isdigit() else 0  # of a numbered list, the point or bracket is what makes it one
    return f"{line[:at]}\\{line[at:]}"


def _first_sentence(caption: str) -> str:
    return re.split(r"(?<!Fig)\. ", caption, maxsplit=1)[0].rstrip(".")


def _link(file: str) -> str:
    from urllib.parse import quote

    return quote(file, errors="surrogateescape")


def _source(file: str, pictures: Path | None) -> str:
    if pictures is None:
        return _link(file)
    return "data:image/png;base64," + base64.b64encode((pictures / file).read_bytes()).decode("ascii")
