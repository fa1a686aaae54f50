"""Prototxt into messages by the grammar of Caffe's own parser (protobuf 3.12's C++ TextFormat).

Python's text_format differs from it in what it takes.  Here each token is one match of `tokens.TOKEN` and each field a
row of a table made from its message's descriptor; the time is linear in the text.  Layers that are plainly written,
which is nearly all of a large net, go a shorter way (`proto.plain`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from pycaffe_ext.proto import caffe_pb2, mistakes
from pycaffe_ext.proto.mistakes import CLOSING, Block, Mistake
from pycaffe_ext.proto.plain import BOOLS, RANGES, numbers, plain_block
from pycaffe_ext.proto.tokens import TOKEN, integer, real, string
from pycaffe_ext.strings import decode, encode

REALS = {"inf": float("inf"), "infinity": float("inf"), "nan": float("nan")}
SEPARATORS = (",", ";")


def parse_text(text: str, message: Message) -> None:
    """Merge prototxt `text` (strings as `strings.decode` gives them) into `message`; raises Mistake."""
    parser = Parser(text)
    parser.fields(message)
    if parser.kind != "end":
        raise Mistake(mistakes.no_field(text, parser.start), parser.start)


class Field(NamedTuple):
    """A field that a message's text may have: `read` takes its value from a parser, None for messages."""

    name: str
    repeated: bool
    read: Callable[[Parser, FieldDescriptor], object] | None
    descriptor: FieldDescriptor


class Parser:
    """The token that is looked at (`kind`, `word`, `start`) and the blocks around it, the outermost first.

    A large net has a hundred thousand tokens: what only a mistake needs, such as `start`, is found when it is asked
    for.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.blocks: list[Block] = []
        self._go_on(0)

    def _go_on(self, place: int) -> None:
        """Look at the first token from `place` on."""
        self._tokens = TOKEN.finditer(self.text, place)
        self.next()

    def next(self) -> None:
        self.token = next(self._tokens)
        self.kind = self.token.lastgroup or ""  # every alternative of TOKEN is a group
        self.word = self.token[self.kind]

    @property
    def start(self) -> int:
        """Where the token stands in the text."""
        return _start(self.token)

    def fields(self, message: Message) -> None:
        """Read fields up to the first token that can't begin one."""
        table = fields_of(message.DESCRIPTOR)
        while self.kind == "word":
            field = table.get(self.word)
            if field is None:
                raise Mistake(
                    mistakes.unknown_field(self.word, _descriptor(message), self.blocks, self.text), self.start
                )
            self._field(message, field)
            if self.word in SEPARATORS:
                self.next()

    def _field(self, message: Message, field: Field) -> None:
        name = self.token
        if not field.repeated and message.HasField(field.name):
            raise Mistake(f"field {self.word!r} of {message.DESCRIPTOR.name} is given twice; keep one", self.start)
        self.next()
        if self.word == ":":
            self.next()
        elif field.read:
            raise Mistake(mistakes.no_colon(field.descriptor, self.text, self.start), self.start)
        if self.word == "[" and field.repeated:
            self._list(message, field, name)
        else:
            self._value(message, field, name)

    def _list(self, message: Message, field: Field, name: re.Match[str]) -> None:
        self.next()
        if self.word == "]":
            return self.next()
        while True:
            self._value(message, field, name)
            if self.word == "]":
                return self.next()
            if self.word != ",":
                raise Mistake(mistakes.no_list(field.descriptor, self.text, self.start), self.start)
            self.next()

    def _value(self, message: Message, field: Field, name: re.Match[str]) -> None:
        if field.read is None:
            self._block(message, field, name.start("word"))
        elif field.repeated:
            getattr(message, field.name).append(field.read(self, field.descriptor))
        elif (value := field.read(self, field.descriptor)) is not None:
            setattr(message, field.name, value)

    def _block(self, message: Message, field: Field, start: int) -> None:
        owner = field.descriptor.message_type
        assert owner is not None, f"{field.name} is a message"
        if self.word not in CLOSING:
            raise self.wrong(field.descriptor, self.start)
        if self._plain_block(message, field, owner):
            return
        block = Block(field.name, owner, start, self.word)
        inner = getattr(message, field.name)
        if field.repeated:
            inner = inner.add()
        else:
            inner.SetInParent()
        self.blocks.append(block)
        self.next()
        self.fields(inner)
        if self.word != CLOSING[block.opening]:
            raise Mistake(mistakes.not_closed(self.text, self.start, self.blocks), self._end_of_text())
        self.blocks.pop()
        self.next()

    def _plain_block(self, message: Message, field: Field, owner: Descriptor) -> bool:
        """Read the block that begins here if it is one of several, as a net's layers are, and plainly written."""
        if not field.repeated or self.blocks or self.word != "{":
            return False
        read = plain_block(self.text, self.token.end(), owner)
        if read is None:
            return False
        values, end = read
        getattr(message, field.name).add(**values)
        self._go_on(end)
        return True

    def _end_of_text(self) -> int:
        """Where the token stands; at the end of the text, its last character that is not blank."""
        return len(self.text.rstrip()) if self.kind == "end" else self.start

    def wrong(self, field: FieldDescriptor, start: int) -> Mistake:
        """The mistake of what stands at `start` and is not a value of `field`."""
        return Mistake(mistakes.wrong_value(field, self.text, start), start)


def _start(token: re.Match[str]) -> int:
    """Where a token stands in the text."""
    return token.start(token.lastgroup or 0)


def _descriptor(message: Message) -> Descriptor:
    return message.DESCRIPTOR  # type: ignore[return-value]  # its stubs name one class in two ways


@cache
def fields_of(owner: Descriptor) -> dict[str, Field]:
    """What the text of a message may name."""
    table = {}
    for field in owner.fields:
        read = _bytes if field.type == field.TYPE_BYTES else READERS.get(field.cpp_type)
        table[field.name] = Field(field.name, field.is_repeated, read, field)
    if owner is caffe_pb2.PoolingParameter.DESCRIPTOR:
        table["ceil_mode"] = Field("round_mode", False, _ceil_mode, owner.fields_by_name["round_mode"])
    return table


def _integer(parser: Parser, field: FieldDescriptor) -> int:
    first, (low, high) = parser.token, RANGES[field.cpp_type]
    sign = _sign(parser) if low < 0 else 1
    value = integer(parser.word) if parser.kind == "number" else None
    if value is None or not low <= sign * value <= high:
        raise parser.wrong(field, _start(first))
    parser.next()
    return sign * value


def _sign(parser: Parser) -> int:
    """1, or -1 if a minus stands here, which is passed."""
    if parser.word != "-":
        return 1
    parser.next()
    return -1


def _real(parser: Parser, field: FieldDescriptor) -> float:
    first = parser.token
    sign = _sign(parser)
    value = real(parser.word) if parser.kind == "number" else REALS.get(parser.word.lower())
    if value is None:
        raise parser.wrong(field, _start(first))
    parser.next()
    return -value if sign < 0 else value


def _bool(parser: Parser, field: FieldDescriptor) -> bool:
    value = integer(parser.word) if parser.kind == "number" else BOOLS.get(parser.word)
    if value not in (0, 1):
        raise parser.wrong(field, parser.start)
    parser.next()
    return bool(value)


def _ceil_mode(parser: Parser, field: FieldDescriptor) -> int | None:
    """`ceil_mode` of Caffe's forks: false is FLOOR, true is what Caffe does anyway and leaves nothing behind."""
    try:
        return None if _bool(parser, field) else caffe_pb2.PoolingParameter.FLOOR
    except Mistake as mistake:
        raise Mistake(f"field 'ceil_mode' takes true or false, not {parser.word}", mistake.start) from None


def _enum(parser: Parser, field: FieldDescriptor) -> int:
    """By name or by number."""
    assert field.enum_type is not None, f"{field.name} is an enum"
    first, values = parser.token, numbers(field.enum_type)
    if parser.kind == "word":
        number = values.get(parser.word)
    else:
        sign = _sign(parser)
        number = integer(parser.word) if parser.kind == "number" else None
        number = sign * number if number is not None and sign * number in values.values() else None
    if number is None:
        raise parser.wrong(field, _start(first))
    parser.next()
    return number


def _string(parser: Parser, field: FieldDescriptor) -> str:
    """A string, or several in a row, which are one."""
    if parser.kind != "string":
        raise parser.wrong(field, parser.start)
    first = string(parser.word)
    parser.next()
    if parser.kind != "string":
        return first
    parts = [first]
    while parser.kind == "string":
        parts.append(string(parser.word))
        parser.next()
    return decode(b"".join(map(encode, parts)))


def _bytes(parser: Parser, field: FieldDescriptor) -> bytes:
    return encode(_string(parser, field))


READERS = dict.fromkeys(RANGES, _integer) | {
    FieldDescriptor.CPPTYPE_FLOAT: _real,
    FieldDescriptor.CPPTYPE_DOUBLE: _real,
    FieldDescriptor.CPPTYPE_BOOL: _bool,
    FieldDescriptor.CPPTYPE_ENUM: _enum,
    FieldDescriptor.CPPTYPE_STRING: _string,
}
