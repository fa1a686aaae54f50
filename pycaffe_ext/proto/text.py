"""Prototxt: messages read from text, with the line of every mistake, and written to text whose bytes are stable."""

from __future__ import annotations

import logging
import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from pycaffe_ext.collector import paused
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.proto.lines import line_of
from pycaffe_ext.proto.mistakes import Mistake
from pycaffe_ext.proto.text_parser import parse_text
from pycaffe_ext.proto.upgrade import upgrade_net, upgrade_solver
from pycaffe_ext.strings import decode, encode, native, portable

log = logging.getLogger(__name__)
M = TypeVar("M", bound=Message)
Pathlike = str | os.PathLike[str]


def read_net(path: Pathlike, upgrade: bool = True) -> caffe_pb2.NetParameter:
    """Read a net's prototxt of any age; with `upgrade`, in today's form (`layer`, Input layers, `param`).

    Raises UserError for a missing file, an error in the text (with its line) or a net that cannot be upgraded.
    """
    net = read_text(path, caffe_pb2.NetParameter())
    return upgrade_net(net, str(path)) if upgrade else net


def read_solver(path: Pathlike) -> caffe_pb2.SolverParameter:
    """Read a solver's prototxt; an old `solver_type` becomes `type`.  Raises UserError as `read_net` does.

    As in Caffe, snapshots without `snapshot_prefix` are named after the solver's file, beside it, and those whose
    prefix is a folder are named after it in there.
    """
    solver = upgrade_solver(read_text(path, caffe_pb2.SolverParameter()), str(path))
    file = Path(path)
    if not solver.HasField("snapshot_prefix"):
        solver.snapshot_prefix = portable(str(file.with_suffix("")))
    elif os.path.isdir(native(solver.snapshot_prefix)):
        solver.snapshot_prefix = portable(str(Path(native(solver.snapshot_prefix)) / file.stem))
    return solver


def read_text(path: Pathlike, message: M) -> M:
    """Read a prototxt into `message` and return it unchanged; UserError for a missing file or as `parse` says."""
    return parse(_read(path), message, str(path))


def parse(text: str, message: M, name: str = "<string>") -> M:
    """Parse prototxt `text` into `message` and return it; `name` is the file named in errors.

    Raises UserError `FILE:LINE: what` for an unknown field or enum value (with the nearest known one), a bad or
    repeated value, unbalanced braces, or a required field that is absent.
    """
    try:
        with paused():
            parse_text(text, message)
    except Mistake as mistake:
        raise UserError(f"{name}:{line_of(text, mistake.start)}: {' '.join(mistake.problem.split())}") from None
    missing: list[str] = message.FindInitializationErrors()  # type: ignore[attr-defined]  # not in its stubs
    if missing:
        raise UserError(f"{name}: required field {missing[0]!r} is missing; add it")
    return message


def to_text(message: Message) -> str:
    """Prototxt of a message: fields in the schema's order, floats as the shortest text that gives the same float32."""
    return text_format.MessageToString(message, use_index_order=True, as_utf8=True)


def write_text(path: Pathlike, message: Message) -> None:
    """Write a message's prototxt, whole or not at all; bytes that were not UTF-8 are written as they were read."""
    with writing(path, "wb") as file:
        file.write(encode(to_text(message)))


def _read(path: Pathlike) -> str:
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such prototxt file; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name the prototxt file in it") from None
    if content[:2] in (BOM_UTF16_LE, BOM_UTF16_BE):
        raise UserError(f"{path}: is UTF-16 text, which Caffe can't read; save it as UTF-8 without a byte order mark")
    if b"\0" in content:
        raise UserError(f"{path}: is not text; a prototxt file was expected")
    if b"#" in content and b"\r" in content and b"\n" not in content:
        log.warning("%s: its lines end in CR only, so that for Caffe the first '#' makes the rest a comment", path)
    return decode(content)
