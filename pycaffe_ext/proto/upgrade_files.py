"""Old files into new ones: the work of Caffe's upgrade_net_proto_text, upgrade_net_proto_binary and
upgrade_solver_proto_text."""

from __future__ import annotations

import os
from collections.abc import Callable

from google.protobuf.message import Message

from pycaffe_ext.engine import log
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.proto.binary import read_message, write_message
from pycaffe_ext.proto.text import read_text, write_text
from pycaffe_ext.proto.upgrade import upgrade_net, upgrade_solver

Pathlike = str | os.PathLike[str]


def net_text(source: Pathlike, target: Pathlike) -> None:
    """Write the prototxt of a net of any age in today's form; UserError if it can't be read or upgraded."""
    net = read_text(source, caffe_pb2.NetParameter())
    _upgrade(source, target, net, upgrade_net, write_text, "text")


def net_binary(source: Pathlike, target: Pathlike) -> None:
    """Write a binary net (a caffemodel) of any age in today's form; UserError if it can't be read or upgraded."""
    net = read_message(source, caffe_pb2.NetParameter())
    _upgrade(source, target, net, upgrade_net, write_message, "binary")


def solver_text(source: Pathlike, target: Pathlike) -> None:
    """Write a solver's prototxt with `type` for an old `solver_type`; UserError if it can't be read or upgraded."""
    solver = read_text(source, caffe_pb2.SolverParameter())
    _upgrade(source, target, solver, upgrade_solver, write_text, "text")


def _upgrade(
    source: Pathlike, target: Pathlike, message: Message, upgrade: Callable, write: Callable, form: str
) -> None:
    before = message.SerializeToString(deterministic=True)
    upgrade(message, str(source))
    if message.SerializeToString(deterministic=True) == before:
        log.warning("upgrade_proto.cpp", f"File already in latest proto format: {source}")
    write(target, message)
    log.info("upgrade_proto.cpp", f"Wrote upgraded {message.DESCRIPTOR.name} {form} proto to {target}")
