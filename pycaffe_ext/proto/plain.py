"""Blocks of a prototxt as nearly all are written, read field by field: the short way through a large net.

Anything unusual, such as an error, is left to `text_parser`, which goes token by token and knows the whole grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from pycaffe_ext.proto.tokens import BLANK, NUMBER, WORD, integer, real

RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}
# A field with one value, behind which another field or the end of the block follows; how a block begins; its end
FIELD = re.compile(
    rf"""(?P<name>{WORD})[ ]*+(?:
        :[ ]*+(?:"(?P<string>[^"\\\n\0]*+)" | (?P<word>{WORD}) | (?P<number>{NUMBER})){BLANK}(?=[A-Za-z_}}])
      | (?P<open>{{){BLANK})
    | (?P<close>}}){BLANK}""",
    re.VERBOSE,
)
FIRST = re.compile(BLANK)  # what stands before the first field
Values = dict[str, Any]  # of a message's fields by name, as its constructor takes them


class Field(NamedTuple):
    """A field that may be plain: which group of FIELD its value is, and what that stands for (None: not plain)."""

    form: str
    value: Callable[[str], object]
    repeated: bool
    message: Descriptor | None


def plain_block(text: str, place: int, owner: Descriptor) -> tuple[Values, int] | None:
    """Read a block from `place` on, behind its opening: its values and where it ends; None if it isn't plain."""
    if blank := FIRST.match(text, place):
        place = blank.end()
    table, values = fields_of(owner), Values()
    around: list[tuple[dict[str, Field], Values]] = []
    while match := FIELD.match(text, place):
        form, place = match.lastgroup, match.end()
        if form == "close":
            if not around:
                return values, place
            table, values = around.pop()
            continue
        name = match["name"]
        field = table.get(name)
        if field is None or field.form != form:
            return None
        value: Any = field.value(match[form])
        if value is None or (name in values and not field.repeated):
            return None
        if field.repeated:
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
        if field.message:
            around.append((table, values))
            table, values = fields_of(field.message), value
    return None


@cache
def fields_of(owner: Descriptor) -> dict[str, Field]:
    """What may stand plainly in a message's block."""
    return {field.name: Field(*_form(field), field.is_repeated, field.message_type) for field in owner.fields}


def _form(field: FieldDescriptor) -> tuple[str, Callable[[str], object]]:
    if field.message_type:
        return "open", lambda _: {}
    if field.type == field.TYPE_STRING:
        return "string", str
    if field.type == field.TYPE_BOOL:
        return "word", BOOLS.get
    if field.type == field.TYPE_ENUM:
        return "word", numbers(field.enum_type).get
    if field.cpp_type in RANGES:
        return "number", partial(_within, *RANGES[field.cpp_type])
    return ("", str) if field.type == field.TYPE_BYTES else ("number", real)


def _within(low: int, high: int, number: str) -> int | None:
    value = integer(number)
    return value if value is not None and low <= value <= high else None


@cache
def numbers(enum: EnumDescriptor) -> dict[str, int]:
    """Of an enum's values by name."""
    return {value.name: value.number for value in enum.values}
