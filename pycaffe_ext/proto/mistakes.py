"""Error messages about a prototxt: one line each, with what is allowed or what to do."""

from __future__ import annotations

import re
import unicodedata
from difflib import get_close_matches
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from pycaffe_ext.proto import caffe_pb2, forks
from pycaffe_ext.proto.lines import layer_at, line_of
from pycaffe_ext.proto.tokens import ESCAPE
from pycaffe_ext.proto.upgrade import V1_TYPES
from pycaffe_ext.strings import encode

PHRASE = re.compile(r"""-?[ \t]*(?:"[^"\n]*"?|'[^'\n]*'?|\+?[\w.]+|.)""", re.DOTALL)
BAD_ESCAPE = re.compile(rf"\\(?!{ESCAPE})(?:.|\Z)")
LAYER, V1_LAYER = caffe_pb2.LayerParameter.DESCRIPTOR, caffe_pb2.V1LayerParameter.DESCRIPTOR
NET, SOLVER = caffe_pb2.NetParameter.DESCRIPTOR, caffe_pb2.SolverParameter.DESCRIPTOR
CLOSING = {"{": "}", "<": ">"}
WORD = re.compile(r"-?[\w.]+")
HEXADECIMAL = re.compile("-?[ \t]*0[xX]?[0-9a-fA-F]+")
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: "an integer from -2147483648 to 2147483647",
    FieldDescriptor.CPPTYPE_INT64: "an integer of up to 64 bits",
    FieldDescriptor.CPPTYPE_UINT32: "an integer from 0 to 4294967295",
    FieldDescriptor.CPPTYPE_UINT64: "an integer from 0, of up to 64 bits",
    FieldDescriptor.CPPTYPE_FLOAT: "a number",
    FieldDescriptor.CPPTYPE_DOUBLE: "a number",
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
}


class Mistake(Exception):
    """`problem` in words and the place in the text, from 0, at which it stands."""

    def __init__(self, problem: str, start: int) -> None:
        super().__init__(problem)
        self.problem, self.start = problem, start


class Block(NamedTuple):
    """An open block of a text: its field's name, its message, where the name stands and how it is opened."""

    field: str
    message: Descriptor
    start: int
    opening: str


def no_field(text: str, start: int) -> str:
    """At `start` no field begins, outside of all blocks or in one that doesn't end here."""
    if text[start] in "}>":
        return f"a {text[start]!r} closes nothing; remove it"
    if text[start : start + 2] in ("//", "/*"):
        return "a comment begins with '#' and ends with its line"
    return unreadable(text, start) or f"expected the name of a field, not {phrase(text, start)}"


def not_closed(text: str, start: int, blocks: list[Block]) -> str:
    """The innermost block doesn't end at `start`, where no field of it begins either."""
    opening = blocks[-1].opening
    where = f"of {blocks[-1].field!r} in line {line_of(text, blocks[-1].start)}"
    if start >= len(text):
        return f"a '{opening}' is never closed; add the missing {CLOSING[opening]!r} (it is that {where})"
    if text[start] in "}>":
        return f"the '{opening}' {where} is closed by {text[start]!r}; write {CLOSING[opening]!r}"
    return no_field(text, start)


def no_colon(field: FieldDescriptor, text: str, start: int) -> str:
    if text[start : start + 1] == "=":
        return f"write ':' for '=' after {field.name!r}"
    return unreadable(text, start) or f"':' is missing after {field.name!r}"


def no_list(field: FieldDescriptor, text: str, start: int) -> str:
    return unreadable(text, start) or f"expected ',' or ']' in the list of {field.name!r}, not {phrase(text, start)}"


def wrong_value(field: FieldDescriptor, text: str, start: int) -> str:
    """What stands at `start` is not a value of `field`."""
    given, name = phrase(text, start), field.name
    if problem := unreadable(text, start):
        return f"field {name!r}: {problem}"
    if field.message_type is not None:
        return f"field {name!r} takes a block {{ }}, not {given}{_block_hint(field, given)}"
    if field.cpp_type == field.CPPTYPE_STRING:
        return _no_string(field, given)
    if field.cpp_type == field.CPPTYPE_ENUM:
        return _no_enum(field, given)
    return f"field {name!r} takes {NUMBERS[field.cpp_type]}, not {given}{_number_hint(field, given)}"


def unreadable(text: str, start: int) -> str:
    """What is wrong with a string or a character at `start` that can stand nowhere; "" if nothing is."""
    first = text[start : start + 1]
    if first and first in "\"'":
        return _bad_string(text, start)
    if first == "\ufeff" and start == 0:
        return "the file begins with a byte order mark, which Caffe refuses; save it as UTF-8 without one"
    if first and first in "\u201c\u201d\u201e\u2018\u2019":
        return f"{first} is not a straight quote; write \" or '"
    if first and (first < " " or first == "\x7f"):
        return f"a control character, {ord(first):#04x}; is this a text file?"
    if first > "\x7f":
        raw = encode(first)
        what = unicodedata.name(first, "") or " ".join(f"{byte:#04x}" for byte in raw)
        return f"a character outside of a string that is not ASCII ({what}); replace it"
    return ""


def phrase(text: str, start: int) -> str:
    """The words of a text at `start`, for a message: up to 40 characters of what is probably one value."""
    match = PHRASE.match(text, start)
    if not match or not match[0].strip():
        return "the end of the file"
    return match[0] if len(match[0]) <= 40 else f"{match[0][:37]}..."


def unknown_field(word: str, owner: Descriptor, blocks: list[Block], text: str) -> str:
    """`owner` has no field `word`."""
    if word in ("layer", "layers") and blocks:
        opened = f"the '{blocks[-1].opening}' in line {line_of(text, blocks[-1].start)}"
        return f"{word!r} stands inside of {blocks[-1].field!r}; close {opened} before it"
    layer, kind = layer_at(text, next((b.start for b in reversed(blocks) if b.message in (LAYER, V1_LAYER)), None))
    place = f"layer {layer!r}: " if layer else ""
    if foreign := forks.type_hint(kind):
        return f"{place}{foreign}"
    if foreign := forks.field_hint(word, owner.name):
        return f"{place}{foreign}"
    return f"unknown field {word!r} in {owner.name}{_field_hint(word, owner)}"


def _field_hint(word: str, owner: Descriptor) -> str:
    """Where the field belongs if another message has it, else the nearest field's name, else all of them."""
    if owner is V1_LAYER and word in LAYER.fields_by_name:
        return "; write 'layer' for the old 'layers', which has none"
    if owner is LAYER and word in V1_LAYER.fields_by_name:
        return "; it belongs to the old 'layers', in 'layer' it is a part of param { }"
    if owner is NET and word in SOLVER.fields_by_name:
        return "; it belongs to a solver, and a net was expected"
    if owner is SOLVER and word in NET.fields_by_name:
        return "; it belongs to a net, and a solver was expected"
    near = get_close_matches(word.lower(), owner.fields_by_name, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    inside = [f.name for f in owner.fields if f.message_type and word in f.message_type.fields_by_name]
    if inside:
        return f"; it belongs inside {' or '.join(inside)}"
    return f" (one of: {', '.join(f.name for f in owner.fields)})"


def _number_hint(field: FieldDescriptor, given: str) -> str:
    real = field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE)
    if real and HEXADECIMAL.fullmatch(given):
        return "; leave out zeros in front and 0x"
    return {"+": "; leave out the '+'", '"': "; remove the quotes", "'": "; remove the quotes"}.get(given[0], "")


def _block_hint(field: FieldDescriptor, given: str) -> str:
    if field.containing_type is LAYER and field.name == "param":
        return f"; write param {{ name: {given} }}"
    return ""


def _no_string(field: FieldDescriptor, given: str) -> str:
    if field.containing_type is LAYER and field.name == "type" and given in V1_TYPES:
        return f"{given} is a type of the old 'layers'; in 'layer' write type: \"{V1_TYPES[given]}\""
    if not WORD.fullmatch(given):
        return f"field {field.name!r} takes a string in quotes, not {given}"
    return f'field {field.name!r} takes a string; write it in quotes: "{given}"'


def _no_enum(field: FieldDescriptor, given: str) -> str:
    enum, word = field.enum_type, given.strip("\"'")
    assert enum is not None, f"{field.name} is an enum"
    if given != word:
        if field.containing_type is V1_LAYER and field.name == "type":
            old = {new: kind for kind, new in V1_TYPES.items()}.get(word)
            return f"in the old 'layers' a type is a word such as {old or 'CONVOLUTION'}; write 'layer' for 'layers'"
        if word in enum.values_by_name:
            return f"field {field.name!r} takes {word} without quotes"
    return unknown_value(enum, word, field.name)


def unknown_value(enum: EnumDescriptor, word: str, field: str) -> str:
    name = enum.full_name.removeprefix("caffe.")
    if foreign := forks.value_hint(word):
        return f"field {field!r}: {foreign} (one of: {', '.join(value.name for value in enum.values)})"
    near = get_close_matches(word.upper(), enum.values_by_name, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown value {word!r} of {name}{hint} (one of: {', '.join(v.name for v in enum.values)})"


def _bad_string(text: str, start: int) -> str:
    """What is wrong with the string that begins at `start`; "" if nothing is."""
    quote, end = text[start], text.find("\n", start)
    line = text[start + 1 : end if end >= 0 else len(text)]
    place = 0
    while place < len(line) and line[place] not in (quote, "\0"):
        if match := BAD_ESCAPE.match(line, place):
            return f"{match[0]} is not an escape sequence; write \\\\ for a backslash, or / in a path"
        place += 2 if line[place] == "\\" else 1
    if place < len(line) and line[place] == quote:
        return ""
    return "a string has no closing quote" if place >= len(line) else "a string holds the character 0x00; remove it"
