"""The snapshots of a run: NAME_iter_N.caffemodel[.h5], each followed by its NAME_iter_N.solverstate[.h5]."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import blob_to_array, caffe_pb2, read_blobs, read_message
from pycaffe_ext.strings import native

NAME = re.compile(r"^(?P<prefix>.+)_iter_(?P<iteration>\d+)\.caffemodel(?P<h5>\.h5)?$")


@dataclass(frozen=True)
class Snapshot:
    iteration: int
    weights: Path
    state: Path  # may not exist (yet)

    @property
    def complete(self) -> bool:
        """Caffe writes the state after the weights: once the state is there, the weights are whole."""
        return self.state.exists()


def prefixes(folder: Path) -> list[str]:
    """The snapshot prefixes that a folder holds, as paths."""
    names = (NAME.match(path.name) for path in _files(folder))
    return sorted({str(folder / found["prefix"]) for found in names if found})


def listing(prefix: str | Path) -> list[Snapshot]:
    """The snapshots of a prefix (Caffe's snapshot_prefix), by iteration, complete or not."""
    prefix = Path(prefix)
    found = []
    for path in _files(prefix.parent):
        if (match := NAME.match(path.name)) and match["prefix"] == prefix.name:
            state = path.name.replace(".caffemodel", ".solverstate")
            found.append(Snapshot(int(match["iteration"]), path, path.with_name(state)))
    return sorted(found, key=lambda snapshot: (snapshot.iteration, snapshot.weights.name))


def resumable(prefix: str | Path) -> tuple[Snapshot | None, list[str]]:
    """(the newest snapshot that training can go on from, why each newer one cannot)."""
    problems: list[str] = []
    for snapshot in reversed(listing(prefix)):
        if (problem := _problem(snapshot)) is None:
            return snapshot, problems
        problems.append(f"snapshot {snapshot.iteration} is skipped: {problem}")
    return None, problems


def thin(snapshots: Iterable[Snapshot], best: int, newest: int) -> None:
    """The rule that saves space: of what has been scored keep the best weights and the newest snapshot.

    `snapshots` are the scored ones.  The newest keeps its solverstate, to go on from; the best only its weights.
    """
    for snapshot in snapshots:
        if snapshot.iteration != newest:
            snapshot.state.unlink(missing_ok=True)
            if snapshot.iteration != best:
                snapshot.weights.unlink(missing_ok=True)


def remove(snapshots: Iterable[Snapshot]) -> None:
    """Delete snapshots, the state first: weights without a state never count as a snapshot to go on from."""
    for snapshot in snapshots:
        snapshot.state.unlink(missing_ok=True)
        snapshot.weights.unlink(missing_ok=True)


def _files(folder: Path) -> Collection[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return list(folder.iterdir())
    return []


def _problem(snapshot: Snapshot) -> str | None:
    """Why training cannot go on from a snapshot; None if it can."""
    if not snapshot.complete:
        return f"{snapshot.state.name} is missing"
    try:
        read_blobs(snapshot.weights)
        read = _read_h5_state if snapshot.state.suffix == ".h5" else _read_state
        iteration, learned_net = read(snapshot.state)
    except UserError as error:
        return str(error)
    if iteration != snapshot.iteration:
        return f"{snapshot.state.name} says iteration {iteration}"
    if learned_net and not Path(learned_net).exists():
        return f"{snapshot.state.name} names {learned_net}, which is not there (was the folder moved?)"
    return None


def _read_state(path: Path) -> tuple[int, str]:
    """(iteration, path of the weights) of a solverstate; UserError if it is cut off or garbled."""
    state = read_message(path, caffe_pb2.SolverState())
    for blob in state.history:
        blob_to_array(blob)
    if not state.HasField("current_step"):  # Caffe writes this field last
        raise UserError(f"{path.name} is cut off")
    return state.iter, native(state.learned_net)


def _read_h5_state(path: Path) -> tuple[int, str]:
    import h5py

    try:
        with h5py.File(path) as file:
            for blob in file["history"].values():
                blob[...]
            learned_net = os.fsdecode(file["learned_net"][()]) if "learned_net" in file else ""
            return int(np.ravel(file["iter"][()])[0]), learned_net
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path.name} is cut off or garbled") from error
