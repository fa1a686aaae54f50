"""Messages in binary, whose strings may be any bytes: those not in UTF-8 are kept as `pycaffe_ext.strings` says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.strings import KEPT, decode, encode


def serialize(message: Message) -> bytes:
    """A message in binary, its strings the bytes that they were; the same message gives the same bytes."""
    if _all_plain(message):
        return message.SerializeToString(deterministic=True)
    twin = _twin(message)
    _each_string(twin, lambda raw: encode(raw.decode()))
    return twin.SerializeToString(deterministic=True)


def unserialize(content: bytes, message: Message) -> None:
    """Merge a message in binary into `message`; google.protobuf.message.DecodeError if it is not one."""
    message.MergeFromString(content)
    if not _all_plain(message):
        twin = _twin(message)
        _each_string(twin, lambda raw: decode(raw).encode())
        message.Clear()
        message.MergeFromString(twin.SerializeToString())


def _strings(message: Message) -> Iterator[str | bytes]:
    """Every string in a message; protobuf gives bytes for one that was read from bytes that are not UTF-8."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            yield from value if field.is_repeated else (value,)
        elif field.message_type is not None and field.message_type.full_name in _with_strings():
            for inner in value if field.is_repeated else (value,):
                yield from _strings(inner)


def _all_plain(message: Message) -> bool:
    return all(isinstance(text, str) and not KEPT.search(text) for text in _strings(message))


def _each_string(twin: Message, change: Callable[[bytes], bytes]) -> None:
    """Change every string of a twin, in place."""
    for field, value in twin.ListFields():
        if field.type == field.TYPE_BYTES:
            new = [change(raw) for raw in value] if field.is_repeated else change(value)
            if field.is_repeated:
                value[:] = new
            else:
                setattr(twin, field.name, new)
        elif field.message_type is not None and field.message_type.full_name in _with_strings():
            for inner in value if field.is_repeated else (value,):
                _each_string(inner, change)


@cache
def _with_strings() -> set[str]:
    """Full names of the messages that hold strings, themselves or in a message of theirs."""
    types = caffe_pb2.DESCRIPTOR.message_types_by_name.values()
    found: set[str] = set()
    while True:
        more = {
            kind.full_name
            for kind in types
            if any(
                field.type == field.TYPE_STRING or (field.message_type and field.message_type.full_name in found)
                for field in kind.fields
            )
        }
        if more == found:
            return found
        found = more


def _twin(message: Message) -> Message:
    """The message in a copy of the schema that has `bytes` for each `string`: on the wire they are the same."""
    return GetMessageClass(_twins().FindMessageTypeByName(message.DESCRIPTOR.full_name)).FromString(
        message.SerializePartialToString()
    )


@cache
def _twins() -> DescriptorPool:
    schema = FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(schema)
    for kind in schema.message_type:
        for field in kind.field:
            if field.type == FieldDescriptorProto.TYPE_STRING:
                field.type = FieldDescriptorProto.TYPE_BYTES
    pool = DescriptorPool()
    pool.Add(schema)
    return pool
