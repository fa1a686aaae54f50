"""Caffe's log: glog's line format on standard error, numbers with six significant digits as C++ streams print them."""

from __future__ import annotations

import re
import sys
import threading
from datetime import datetime

from google.protobuf import text_format
from google.protobuf.message import Message

from pycaffe_ext.strings import native

_level = 0  # glog's minloglevel: 0 INFO, 1 WARNING, 2 ERROR, 3 FATAL only


def set_min_level(level: int) -> int:
    """Messages below `level` are dropped (0 INFO, 1 WARNING, 2 ERROR, 3 FATAL); returns the level before."""
    global _level
    before, _level = _level, level
    return before


def shows_info() -> bool:
    """Whether messages of level INFO are written: a message that is not shown need not be composed."""
    return _level == 0


def info(where: str, *messages: str) -> None:
    """Log one or several messages at once, each on its own line; `where` is the "file.cpp:line" that Caffe prints.

    Several messages share one time stamp and one write, which makes tens of thousands of values cheap.
    """
    _write("I", 0, where, messages)


def warning(where: str, *messages: str) -> None:
    """As `info`, at level WARNING."""
    _write("W", 1, where, messages)


def error(where: str, *messages: str) -> None:
    """As `info`, at level ERROR."""
    _write("E", 2, where, messages)


def number(value: float) -> str:
    """A number as a C++ stream prints it: 6 significant digits, nan and inf in words."""
    return f"{value:g}"


def prototxt(message: Message) -> str:
    """A message as Caffe logs it: fields in the order of their numbers, whole numbers without a point."""
    text = text_format.MessageToString(message, as_utf8=True)
    return re.sub(r"^(\s*\w+: -?\d+)\.0$", r"\1", text, flags=re.M).rstrip("\n")


def _write(letter: str, level: int, where: str, messages: tuple[str, ...]) -> None:
    if level < _level or not messages:
        return
    head = f"{letter}{datetime.now():%m%d %H:%M:%S.%f} {threading.get_native_id():5d} {where}] "
    sys.stderr.write(native("".join(f"{head}{message}\n" for message in messages)))
    sys.stderr.flush()
