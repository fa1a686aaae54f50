"""Where a layer stands in a prototxt: protobuf forgets the lines, so the file is looked at again after a mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pycaffe_ext.errors import LayerError, UserError

TOKEN = re.compile(r"""#.*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{}<>]|\w+""")
LAYER = ("layer", "layers")


def layer_lines(text: str, name: str) -> list[int]:
    """Lines, counted from 1, on which layers called `name` begin in the prototxt `text` (of any age)."""
    found, word, start = [], "", 0
    blocks = [("", 0, "")]  # of each open block: its kind, where it begins, its `name`
    for match in TOKEN.finditer(text):
        token = match[0]
        if token in "{<":
            blocks.append((word, start, ""))
        elif token in "}>" and len(blocks) > 1:
            kind, begin, called = blocks.pop()
            if kind in LAYER and called == name:
                found.append(text.count("\n", 0, begin) + 1)
        elif token[0] in "\"'":
            if word == "name":
                blocks[-1] = (*blocks[-1][:2], token[1:-1])
        elif token[0] != "#":
            word, start = token, match.start()
    return found


@contextmanager
def naming_lines(path: str | os.PathLike[str] | None) -> Iterator[None]:
    """Put `FILE:LINE: ` before what is said about a layer of the net in file `path`; nothing where it has none.

    Of layers that share the name (often one for each phase) every line is given, `FILE:3 or 17: `.
    """
    try:
        yield
    except LayerError as error:
        lines = layer_lines(Path(path).read_text(encoding="utf-8"), error.layer) if path else []
        if not lines:
            raise
        raise UserError(f"{path}:{' or '.join(map(str, lines))}: {error}") from None
