"""Where a layer stands in a prototxt: a message does not keep its lines, so the file is read again after an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pycaffe_ext.errors import LayerError, UserError
from pycaffe_ext.proto.tokens import TOKEN, string
from pycaffe_ext.strings import decode

LAYER = ("layer", "layers")


def line_of(text: str, start: int) -> int:
    """The line, counted from 1, of the place `start`, counted from 0."""
    return text.count("\n", 0, start) + 1


def layer_lines(text: str, name: str) -> list[int]:
    """Lines, counted from 1, on which layers called `name` begin in the prototxt `text` (of any age)."""
    return [line_of(text, start) for start, fields in _layers(text) if fields.get("name") == name]


def layer_at(text: str, start: int | None) -> tuple[str, str]:
    """Name and type ("" where it has none) of the layer whose block begins at `start`, even if it is never closed."""
    fields = next((fields for begin, fields in _layers(text, start) if begin == start), {}) if start is not None else {}
    return fields.get("name", ""), fields.get("type", "")


def _layers(text: str, start: int = 0) -> Iterator[tuple[int, dict[str, str]]]:
    """Of each layer's block from `start` on: where it begins and its own fields that are strings."""
    word, begin = "", 0
    blocks: list[tuple[str, int, dict[str, str]]] = [("", 0, {})]
    for match in TOKEN.finditer(text, start):
        kind = match.lastgroup or ""
        token = match[kind]
        if token in ("{", "<"):
            blocks.append((word, begin, {}))
        elif token in ("}", ">") and len(blocks) > 1:
            field, place, fields = blocks.pop()
            if field in LAYER:
                yield place, fields
        elif kind == "string":
            blocks[-1][2][word] = string(token)
        elif kind == "word":
            word, begin = token, match.start(kind)
    yield from ((place, fields) for field, place, fields in blocks if field in LAYER)


@contextmanager
def naming_lines(path: str | os.PathLike[str] | None) -> Iterator[None]:
    """Put `FILE:LINE: ` before what is said about a layer of the net in file `path`; nothing where it has none.

    Of layers that share the name (often one for each phase) every line is given, `FILE:3 or 17: `.
    """
    try:
        yield
    except LayerError as error:
        lines = layer_lines(decode(Path(path).read_bytes()), error.layer) if path else []
        if not lines:
            raise
        raise UserError(f"{path}:{' or '.join(map(str, lines))}: {error}") from None
