"""Which nets a solver trains and tests (facts: Solver::InitTrainNet and InitTestNets)."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext import glog
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, read_net, upgrade_net
from pycaffe_ext.strings import native

TRAIN_FIELDS = ("net", "net_param", "train_net", "train_net_param")


def train_net_param(param: caffe_pb2.SolverParameter) -> caffe_pb2.NetParameter:
    """The training net's description with its state merged: TRAIN, then the net's own, then train_state."""
    given = [field for field in TRAIN_FIELDS if param.HasField(field)]
    if len(given) != 1:
        given_text = f"it has {', '.join(given)}" if given else "it has none"
        raise UserError(
            f"the solver must name its training net in exactly one of {', '.join(TRAIN_FIELDS)}; {given_text}"
        )
    field = given[0]
    if field.endswith("param"):
        glog.info("solver.cpp:93", f"Creating training net specified in {field}.")
        net = upgrade_net(_copy(getattr(param, field)))
    else:
        path = getattr(param, field)
        file = "train_net file" if field == "train_net" else "net file"
        glog.info("solver.cpp:102", f"Creating training net from {file}: {path}")
        net = read_net(native(path))
    return _with_state(net, caffe_pb2.TRAIN, param.train_state)


def test_net_params(param: caffe_pb2.SolverParameter) -> list[caffe_pb2.NetParameter]:
    """The test nets' descriptions with their states merged, in Caffe's order."""
    sources = _test_sources(param)
    if param.test_state and len(param.test_state) != len(sources):
        raise UserError(
            f"test_state must be given for none or each of the {len(sources)} test nets,"
            f" not {len(param.test_state)} times"
        )
    if sources and param.test_interval <= 0:
        raise UserError("test_iter or a test net is given, so test_interval must be above 0 in the solver")
    states: Sequence[caffe_pb2.NetState | None] = list(param.test_state) or [None] * len(sources)
    return [_test_net(i, *source, state) for i, (source, state) in enumerate(zip(sources, states, strict=True))]


def _test_sources(param: caffe_pb2.SolverParameter) -> list[tuple[str, str | caffe_pb2.NetParameter]]:
    """(kind, path or message) of each test net; `net` serves every test_iter that no test net of its own has."""
    own: list[tuple[str, str | caffe_pb2.NetParameter]] = [("test_net_param", net) for net in param.test_net_param]
    own += [("test_net file", path) for path in param.test_net]
    count = len(param.test_iter)
    generic = param.HasField("net") or param.HasField("net_param")
    if count < len(own) or (count > len(own) and not generic):
        raise UserError(f"test_iter must be given once for each test net: {count} for {len(own)} test nets")
    shared = ("net file", param.net) if param.HasField("net") else ("net_param", param.net_param)
    return own + [shared] * (count - len(own))


def test_net_files(param: caffe_pb2.SolverParameter) -> list[str | None]:
    """The file of each test net, None where its description stands in the solver."""
    return [native(source) if isinstance(source, str) else None for _, source in _test_sources(param)]


def _test_net(
    index: int, kind: str, source: str | caffe_pb2.NetParameter, state: caffe_pb2.NetState | None
) -> caffe_pb2.NetParameter:
    file = f": {source}" if isinstance(source, str) else ""
    glog.info("solver.cpp:190", f"Creating test net (#{index}) specified by {kind}{file}")
    net = read_net(native(source)) if isinstance(source, str) else upgrade_net(_copy(source))
    return _with_state(net, caffe_pb2.TEST, state)


def _with_state(
    net: caffe_pb2.NetParameter, phase: caffe_pb2.Phase, state: caffe_pb2.NetState | None
) -> caffe_pb2.NetParameter:
    merged = caffe_pb2.NetState(phase=phase)
    merged.MergeFrom(net.state)
    if state is not None:
        merged.MergeFrom(state)
    net.state.CopyFrom(merged)
    return net


def _copy(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    out = caffe_pb2.NetParameter()
    out.CopyFrom(net)
    return out
