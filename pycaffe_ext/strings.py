"""Strings that are not UTF-8: Caffe's are bytes, those of Python's protobuf must be Unicode.

In a message each byte that is not part of valid UTF-8 is kept as one of the last 128 code points, U+10FF80 for byte
0x80 to U+10FFFF for byte 0xFF, which no text uses.  The operating system's names have Python's own surrogates in
those places (`os.fsdecode`), which can't stand in a message.
"""

from __future__ import annotations

import re

_SHIFT = 0x10FF00 - 0xDC00  # from Python's surrogate of a byte to ours
KEPT = re.compile("[\U0010ff80-\U0010ffff]")
_SURROGATE = re.compile("[\udc80-\udcff]")


def decode(raw: bytes) -> str:
    """Text of `raw`, for a message's field: UTF-8, other bytes kept one by one; `encode` gives `raw` again."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode(errors="surrogateescape")
    text = KEPT.sub(lambda match: match[0].encode().decode("ascii", "surrogateescape"), text)
    return _SURROGATE.sub(lambda match: chr(ord(match[0]) + _SHIFT), text)


def encode(text: str) -> bytes:
    """The bytes that `text` of a message's field stands for."""
    return native(text).encode(errors="surrogateescape")


def native(text: str) -> str:
    """A message's string as Python's own functions take it, above all as a file's name (see `os.fsdecode`)."""
    return KEPT.sub(lambda match: chr(ord(match[0]) - _SHIFT), text)


def portable(text: str) -> str:
    """A string of the operating system's (a file's name) as a message takes it: the inverse of `native`."""
    return decode(text.encode(errors="surrogateescape"))
