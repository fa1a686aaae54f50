"""Snapshots: the weights and the solver's state, as the files that Caffe writes and resumes from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from pycaffe_ext import glog
from pycaffe_ext.engine.core import transfer
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing
from pycaffe_ext.proto import (
    array_to_blob,
    blob_to_array,
    caffe_pb2,
    read_message,
    write_message,
    write_weights,
    write_weights_h5,
)
from pycaffe_ext.strings import native, portable


@dataclass
class State:
    """What a solver needs besides its weights to go on.

    iteration : updates made;  current_step : rate drops made
    history : float32 arrays in the order of the net's learnable parameters (twice as many for AdaDelta and Adam)
    learned_net : path of the caffemodel that belongs to it, "" if none is named
    """

    iteration: int
    current_step: int
    history: list[np.ndarray]
    learned_net: str = ""


def write_model(net: Net, prefix: str, hdf5: bool, diffs: bool = False) -> str:
    """Write `prefix`.caffemodel (or .caffemodel.h5) whole or not at all; returns its path."""
    path = f"{prefix}.caffemodel" + (".h5" if hdf5 else "")
    if hdf5:
        glog.info("solver.cpp:474", f"Snapshotting to HDF5 file {path}")
        write_weights_h5(path, owned_blobs(net), _diffs(net) if diffs else None)
    else:
        glog.info("solver.cpp:464", f"Snapshotting to binary proto file {path}")
        write_weights(path, net.to_proto(diffs))
    return path


def _diffs(net: Net) -> list[tuple[str, list[np.ndarray]]]:
    """Gradients by layer; Caffe writes those of shared blobs in every layer."""
    return [(layer.name, [blob.diff.detach().cpu().numpy() for blob in layer.blobs]) for layer in net.layers]


def owned_blobs(net: Net) -> list[tuple[str, list[np.ndarray | None]]]:
    """(name, blobs) of each layer, the blobs in their places; None stands for one that a layer above owns."""
    return [
        (
            layer.name,
            [blob.data.detach().cpu().numpy() if own else None for blob, own in zip(layer.blobs, owned, strict=True)],
        )
        for layer, owned in zip(net.layers, transfer.owners(net), strict=True)
    ]


def write_state(state: State, prefix: str, hdf5: bool) -> str:
    """Write `prefix`.solverstate (or .solverstate.h5) whole or not at all; returns its path."""
    path = f"{prefix}.solverstate" + (".h5" if hdf5 else "")
    kind = "HDF5" if hdf5 else "binary proto"
    line = 296 if hdf5 else 284
    glog.info(f"sgd_solver.cpp:{line}", f"Snapshotting solver state to {kind} file {path}")
    if hdf5:
        _write_hdf5(state, path)
    else:
        write_message(path, _to_proto(state))
    return path


def _to_proto(state: State) -> caffe_pb2.SolverState:
    out = caffe_pb2.SolverState(iter=state.iteration, current_step=state.current_step)
    out.learned_net = portable(state.learned_net)
    for array in state.history:
        array_to_blob(array, out.history.add())
    return out


def _write_hdf5(state: State, path: str) -> None:
    with writing(path, "w+b") as file, h5py.File(file, "w") as store:
        store["iter"] = np.array([state.iteration], np.int32)
        store["current_step"] = np.array([state.current_step], np.int32)
        name = os.fsencode(state.learned_net)
        store.create_dataset("learned_net", data=np.array(name, dtype=f"S{len(name) + 1}"))  # Caffe wants the NUL
        history = store.create_group("history")
        for i, array in enumerate(state.history):
            history.create_dataset(str(i), data=array)


def read_state(path: str | os.PathLike[str]) -> State:
    """Read a solverstate, binary or (by the ending .h5) HDF5; UserError if missing, truncated or garbled."""
    if not os.path.isfile(path):
        raise UserError(f"{path}: no such solverstate; check the path, or start without a snapshot")
    state = _read_hdf5(path) if str(path).endswith(".h5") else _read_binary(path)
    if state.learned_net and not os.path.exists(state.learned_net):
        beside = Path(path).parent / Path(state.learned_net).name  # the folder was moved as a whole
        if not beside.exists():
            raise UserError(f"{path}: its weights {state.learned_net} are missing; put them beside it")
        state.learned_net = str(beside)
    return state


def _read_binary(path: str | os.PathLike[str]) -> State:
    proto = read_message(path, caffe_pb2.SolverState())
    try:
        history = [blob_to_array(blob) for blob in proto.history]
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return State(proto.iter, proto.current_step, history, native(proto.learned_net))


def _read_hdf5(path: str | os.PathLike[str]) -> State:
    try:
        with h5py.File(path, "r") as store:
            history = store["history"]
            arrays = [np.asarray(history[str(i)], np.float32) for i in range(len(history))]
            name = os.fsdecode(store["learned_net"][()]) if "learned_net" in store else ""
            return State(int(store["iter"][0]), int(store["current_step"][0]), arrays, name)
    except (OSError, KeyError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: is truncated or not a solverstate in HDF5 ({reason}); take an older one") from None
