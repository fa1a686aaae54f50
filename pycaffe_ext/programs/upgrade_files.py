"""Old files into new ones: the work of Caffe's upgrade_net_proto_text, upgrade_net_proto_binary and
upgrade_solver_proto_text."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from google.protobuf.message import Message

from pycaffe_ext import glog
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.proto.binary import read_message, write_message
from pycaffe_ext.proto.encoding import serialize
from pycaffe_ext.proto.text import read_text, write_text
from pycaffe_ext.proto.upgrade import upgrade_net, upgrade_solver

Pathlike = str | os.PathLike[str]


def net_text(source: Pathlike, target: Pathlike) -> int:
    """Write the prototxt of a net of any age in today's form; UserError if it can't be read or upgraded.

    Returns the exit status of Caffe's program: 1 if something of the net was dropped (the rest is written), else 0.
    """
    net, dropped = read_text(source, caffe_pb2.NetParameter()), list[str]()
    return _upgrade(source, target, net, partial(upgrade_net, dropped=dropped), write_text, "text", dropped)


def net_binary(source: Pathlike, target: Pathlike) -> int:
    """As `net_text`, for a binary net (a caffemodel)."""
    net, dropped = read_message(source, caffe_pb2.NetParameter()), list[str]()
    return _upgrade(source, target, net, partial(upgrade_net, dropped=dropped), write_message, "binary", dropped)


def solver_text(source: Pathlike, target: Pathlike) -> int:
    """Write a solver's prototxt with `type` for an old `solver_type`; UserError if it can't be read or upgraded."""
    solver = read_text(source, caffe_pb2.SolverParameter())
    return _upgrade(source, target, solver, upgrade_solver, write_text, "text", [])


def _upgrade(
    source: Pathlike,
    target: Pathlike,
    message: Message,
    upgrade: Callable[..., Any],
    write: Callable[..., None],
    form: str,
    dropped: list[str],
) -> int:
    before = serialize(message)
    upgrade(message, str(source))
    if serialize(message) == before:
        glog.warning("upgrade_proto.cpp", f"File already in latest proto format: {source}")
    if dropped:
        glog.error("upgrade_proto.cpp", "Encountered error(s) while upgrading prototxt; see details above.")
    write(target, message)
    glog.info("upgrade_proto.cpp", f"Wrote upgraded {message.DESCRIPTOR.name} {form} proto to {target}")
    return int(bool(dropped))
