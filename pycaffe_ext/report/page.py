"""A report as one HTML page: it needs no other file and no net, and works without its script."""

from __future__ import annotations

import base64
import hashlib
import html as escapes
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from pycaffe_ext.plotting import printable
from pycaffe_ext.report import svg
from pycaffe_ext.report.model import (
    Block,
    Bullets,
    Figure,
    Folded,
    Lead,
    Links,
    Mark,
    Note,
    Section,
    Table,
    Verbatim,
    Words,
    cell_text,
    first_sentence,
    link,
)

LONG = 32  # characters of a first cell from which it may be broken
STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
# The browser itself then loads nothing and runs no script but that of the page.
POLICY = (
    "default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline';"
    f" script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)


def html(sections: Iterable[Section], title: str = "", pictures: Path | None = None) -> str:
    """The page as one HTML file; texts are escaped.

    pictures : folder of the figures, which are then part of the page: SVG as it is, PNG as data; else they are linked
    by name.
    """
    return "\n".join(_Page(pictures).lines(list(sections), title)) + "\n"


class _Page:
    """What is known while a page is written.  names : ids that are taken.   within : title of the section or fold that
    is being written, which names tables without a caption."""

    def __init__(self, pictures: Path | None) -> None:
        self.pictures = pictures
        self.names: set[str] = {"main"}
        self.within = ""

    def lines(self, sections: Sequence[Section], title: str) -> Iterator[str]:
        name = _html(title)
        yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield f"<title>{name or 'Report'}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>"
        yield '<a class="skip" href="#main">Skip to the content</a>'
        ids = [self.new_id(section.title) for section in sections]
        yield from _head(name, [(own, section.title) for own, section in zip(ids, sections, strict=True)])
        yield '<main id="main">'
        for own, section in zip(ids, sections, strict=True):
            yield from self.section(section, own, 2)
        yield f"</main>\n<script>{SCRIPT}</script>\n</body>\n</html>"

    def new_id(self, text: str) -> str:
        """An id like the text that no other element has."""
        base = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"
        name, number = base, 1
        while name in self.names:
            number += 1
            name = f"{base}-{number}"
        self.names.add(name)
        return name

    def section(self, section: Section, own: str, level: int) -> Iterator[str]:
        yield f'<section>\n<h{level} id="{own}">{_html(section.title)}</h{level}>'
        yield from self.blocks(section.blocks, section.title, level)
        yield "</section>"

    def blocks(self, blocks: Sequence[Block], within: str, level: int) -> Iterator[str]:
        """Figures that follow each other stand side by side where there is room."""
        for pictures, several in groupby(blocks, key=lambda block: isinstance(block, Figure)):
            yield from ['<div class="figures">'] if pictures else []
            for block in several:
                self.within = within
                yield from self.block(block, level)
            yield from ["</div>"] if pictures else []

    def block(self, block: Block, level: int) -> Iterator[str]:
        match block:
            case Figure():
                yield from self.figure(block)
            case Table():
                yield _table(block, self.within)
            case Folded():
                yield from self.folded(block, level)
            case Section():
                yield from self.section(block, self.new_id(block.title), level + 1)
            case _:
                yield _words(block, self.within)

    def folded(self, block: Folded, level: int) -> Iterator[str]:
        yield f"<details>\n<summary>{_html(block.title)}</summary>"
        yield from self.blocks(block.blocks, block.title, level)
        yield "</details>"

    def figure(self, block: Figure) -> Iterator[str]:
        yield f"<figure>\n{self.picture(block)}\n<figcaption>{_html(block.caption)}</figcaption>"
        if block.data:
            name = first_sentence(block.caption)
            yield f'<details class="data">\n<summary>Data<span class="unseen"> of: {_html(name)}</span></summary>'
            yield f"{_table(block.data, f'Data of: {name}')}\n</details>"
        yield "</figure>"

    def picture(self, block: Figure) -> str:
        title = first_sentence(block.caption)
        if self.pictures is None:
            return f'<img src="{link(block.file)}" alt="{_html(title)}">'
        path = self.pictures / block.file
        if path.suffix == ".svg":
            return svg.inline(path, printable(title), printable(block.caption))
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        return f'<img src="data:image/png;base64,{data}" alt="{_html(title)}">'


def _head(title: str, entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The title and, where there are several sections, links to them; entries : (id, title)"""
    if title:
        yield f"<header><h1>{title}</h1></header>"
    if len(entries) > 1:
        links = _list([f'<a href="#{name}">{_html(text)}</a>' for name, text in entries])
        yield f'<nav aria-label="Sections">\n{links}\n</nav>'


def _words(block: Words, within: str) -> str:
    """within : what a text that is shown as it is is called"""
    match block:
        case str():
            return f"<p>{_html(block)}</p>"
        case Lead():
            return f'<p class="lead">{_html(block.text)}</p>'
        case Note():
            return f'<p class="note">{_html(block.text)}</p>'
        case Verbatim():
            return f'<pre role="group" tabindex="0" aria-label="{_html(within)}">{_html(block.text)}</pre>'
        case Bullets():
            return _list([_html(text) for text in block.texts])
        case Links():
            return _list([f'<a href="{link(file)}">{_html(file)}</a>' for file in block.files])


def _list(items: Sequence[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{item}</li>" for item in items) + "\n</ul>"


def _table(table: Table, within: str) -> str:
    """within : its caption where it has none, for those who do not see what stands around it"""
    numeric = table.numeric()
    lines = "\n".join(_row(row, numeric) for row in table.rows)
    long = ' class="long"' if any(len(cell_text(row[0])) > LONG for row in table.rows) else ""
    hidden = "" if table.caption else ' class="unseen"'
    name = _html(table.caption or within or "Table")
    more = f'\n<p>All numbers: <a href="{link(table.file)}">{_html(table.file)}</a></p>' if table.file else ""
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{name}"><table{long}>\n'
        f"<caption{hidden}>{name}</caption>\n"
        f"<thead>\n{_headings(table, numeric)}\n</thead>\n<tbody>\n{lines}\n</tbody>\n</table></div>{more}"
    )


def _headings(table: Table, numeric: Sequence[bool]) -> str:
    cells = []
    for text, number in zip(table.header, numeric, strict=True):
        kind = ' class="n"' if number else ""
        cells.append(f'<th scope="col"{kind}>{_html(text)}</th>' if text else "<td></td>")
    return f"<tr>{''.join(cells)}</tr>"


def _row(cells: Sequence[Any], numeric: Sequence[bool]) -> str:
    """The first cell names the row."""
    shown = []
    for i, (cell, number) in enumerate(zip(cells, numeric, strict=True)):
        tag, scope = ("td", "") if i else ("th", ' scope="row"')
        kind = ' class="n"' if number else ""
        shown.append(f"<{tag}{scope}{kind}>{_cell(cell)}</{tag}>")
    return f"<tr>{''.join(shown)}</tr>"


def _cell(value: object) -> str:
    text = _html(cell_text(value))
    return f'<span class="verdict {value.kind}">{text}</span>' if isinstance(value, Mark) else text


def _html(text: str) -> str:
    return escapes.escape(printable(text))
