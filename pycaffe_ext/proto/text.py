"""Prototxt: messages read from text, with the line of every mistake, and written to text whose bytes are stable."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.proto.upgrade import upgrade_net, upgrade_solver

M = TypeVar("M", bound=Message)
Pathlike = str | os.PathLike[str]

# How protobuf words its errors: `LINE:COLUMN : `, often the text before the mistake in quotes, then what is wrong
POSITION = re.compile(r"^\d+:\d+ : (?:'.*?': )?", re.DOTALL)
UNKNOWN_FIELD = re.compile(r'Message type "caffe\.([\w.]+)" has no field named "([^"]*)"')
REPEATED = re.compile(r'Message type "caffe\.([\w.]+)" should not have multiple "(\w+)" fields')
UNKNOWN_VALUE = re.compile(r'Enum type "caffe\.([\w.]+)" has no value named (\w+)')


def read_net(path: Pathlike, upgrade: bool = True) -> caffe_pb2.NetParameter:
    """Read a net's prototxt of any age; with `upgrade`, in today's form (`layer`, Input layers, `param`).

    Raises UserError for a missing file, a mistake in the text (with its line) or a net that cannot be upgraded.
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
        solver.snapshot_prefix = str(file.with_suffix(""))
    elif os.path.isdir(solver.snapshot_prefix):
        solver.snapshot_prefix = str(Path(solver.snapshot_prefix) / file.stem)
    return solver


def read_text(path: Pathlike, message: M) -> M:
    """Read a prototxt into `message` and return it, as it stands; UserError for a missing file or as `parse` says."""
    return parse(_read(path), message, str(path))


def parse(text: str, message: M, name: str = "<string>") -> M:
    """Parse prototxt `text` into `message` and return it; `name` is the file named in errors.

    Raises UserError `FILE:LINE: what` for an unknown field or enum value (with the nearest known one), a bad or
    repeated value, unbalanced braces, or a required field that is absent.
    """
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise UserError(_explain(error, text, message, name)) from None
    missing = message.FindInitializationErrors()
    if missing:
        raise UserError(f"{name}: required field {missing[0]!r} is missing; add it")
    return message


def to_text(message: Message) -> str:
    """Prototxt of a message: fields in the schema's order, floats as the shortest text that gives the same float32."""
    return text_format.MessageToString(message, use_index_order=True, as_utf8=True)


def write_text(path: Pathlike, message: Message) -> None:
    """Write a message's prototxt, whole or not at all."""
    with writing(path) as file:
        file.write(to_text(message))


def _read(path: Pathlike) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such prototxt file; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name the prototxt file in it") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not text; a prototxt file was expected") from None


def _explain(error: text_format.ParseError, text: str, message: Message, name: str) -> str:
    problem = POSITION.sub("", str(error))
    if found := UNKNOWN_FIELD.search(problem):
        owner, word = _message_type(found[1]), found[2]
        problem = f"unknown field {word!r} in {owner.name}{_field_hint(word, owner)}"
    elif found := UNKNOWN_VALUE.search(problem):
        problem = _unknown_value(found[1], found[2])
    elif found := REPEATED.search(problem):
        problem = f"field {found[2]!r} of {found[1]} is given twice; keep one"
    elif problem.startswith('Expected "}"'):
        problem = "a '{' is never closed; add the missing '}'"
    line = error.GetLine() or text.count("\n") + 1
    return f"{name}:{line}: {' '.join(problem.split())}"


def _message_type(name: str) -> Descriptor:
    return caffe_pb2.DESCRIPTOR.pool.FindMessageTypeByName(f"caffe.{name}")


def _field_hint(word: str, owner: Descriptor) -> str:
    """Where the field belongs if a sub-message has it, else the nearest field's name, else all of them."""
    inside = [f.name for f in owner.fields if f.message_type and word in f.message_type.fields_by_name]
    near = get_close_matches(word, owner.fields_by_name, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if inside:
        return f"; it belongs inside {' or '.join(inside)}"
    return f" (one of: {', '.join(f.name for f in owner.fields)})"


def _unknown_value(enum_name: str, word: str) -> str:
    enum = caffe_pb2.DESCRIPTOR.pool.FindEnumTypeByName(f"caffe.{enum_name}")
    near = get_close_matches(word.upper(), enum.values_by_name, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown value {word!r} of {enum_name}{hint} (one of: {', '.join(v.name for v in enum.values)})"
