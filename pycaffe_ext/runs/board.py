"""A run's event files for TensorBoard, made of its logs, its table and its snapshots, whichever Caffe has written them.

`events/` in the run's folder has a file for each scored snapshot, of what came after the snapshot before: loss and rate
as logged, validation AUC and loss, and the filters of the first layer, of which those that rest are shown once. A file
is whole or absent, and one that is there is not written again; so they may be made during a run or after it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from time import time
from typing import Any

import cv2
import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing
from pycaffe_ext.filters import columns_for, first_filters, tiles
from pycaffe_ext.proto import read_blobs, read_net
from pycaffe_ext.runs.links import links_of
from pycaffe_ext.runs.records import RUN, read_run
from pycaffe_ext.training.chain import Link, logs, starts
from pycaffe_ext.training.fit import Schedule
from pycaffe_ext.training.log import Log
from pycaffe_ext.training.snapshots import listing
from pycaffe_ext.training.table import Row

FOLDER = "events"
NAME = "events.out.tfevents.{:010d}"  # TensorBoard reads them by name
VERSION = "brain.Event:2"  # what the first record of a file must say
ZOOM = 4  # pixels of a weight, each way
MISSING = "TensorBoard is not installed: pip install 'pycaffe_ext[board]'"


def installed() -> bool:
    return find_spec("tensorboard") is not None


def write_events(folder: Path, links: Sequence[Link]) -> list[Path]:
    """Write the event files of a run's scored snapshots that are not there yet; returns them.

    Iterations are those of the course. Files of iterations that training has gone back behind are removed.
    Raises UserError without TensorBoard.
    """
    if not installed():
        raise UserError(MISSING)
    tables = [link.rows for link in links]
    ends = {start + row.iteration for start, rows in zip(starts(tables), tables, strict=True) for row in rows}
    _remove_others(folder / FOLDER, ends)
    written, said, last = [], None, 0
    for link, rows, start in zip(links, tables, starts(tables), strict=True):
        for row in rows:
            at, path = start + row.iteration, folder / FOLDER / NAME.format(start + row.iteration)
            if not path.exists():
                said = said or logs(links)
                shown = _filters(link, row) if at == min(ends) or _first_layer_learns(link) else None
                _write(path, _values(said, row, last, at), at, shown)
                written.append(path)
            last = at
    return written


def complete(runs: Path) -> None:
    """Write the event files that the runs in a folder lack; runs that cannot be read, as of other versions, are passed
    over. UserError without TensorBoard, or if there is no run."""
    if not installed():
        raise UserError(MISSING)
    folders = [file.parent for file in sorted(runs.glob(f"*/{RUN}"))]
    if not folders:
        raise UserError(f"{runs}: no runs; make one, e.g. make polyp-ft-conv3, or name their folder with RUNS=")
    for folder in folders:
        with suppress(UserError):
            write_events(folder, links_of(read_run(folder).parsed_settings(), folder))


def serve(runs: Path, port: int) -> None:
    """Show them until Ctrl-C; UserError if the port cannot be had."""
    from tensorboard import program

    board = program.TensorBoard()
    board.configure(argv=["tensorboard", f"--logdir={runs}", f"--port={port}"])
    try:
        address = board.launch()
    except program.TensorBoardServerException as error:
        raise UserError(f"PORT={port}: {' '.join(str(error).split())}") from None
    print(f"TensorBoard on {runs}: {address} (Ctrl-C ends it)", flush=True)
    signal.pause()


def _remove_others(folder: Path, ends: set[int]) -> None:
    kept = {NAME.format(end) for end in ends}
    for path in folder.glob("events.out.*"):
        if path.name not in kept:
            path.unlink()


def _values(said: Log, row: Row, since: int, until: int) -> Iterator[tuple[int, str, float]]:
    """(iteration, name, value) of what was logged from `since` on and before `until`, and of the snapshot."""
    for name, values in (("training/loss", said.losses), ("training/rate", said.rates)):
        yield from ((at, name, value) for at, value in sorted(values.items()) if since <= at < until)
    yield until, "validation/auc", row.auc
    yield until, "validation/loss", row.validation_loss


def _first_layer_learns(link: Link) -> bool:
    net = read_net(link.folder / "train_val.prototxt")
    first = next((layer for layer in net.layer if layer.type == "Convolution"), None)
    return first is not None and (not first.param or first.param[0].lr_mult != 0)


def _filters(link: Link, row: Row) -> np.ndarray | None:
    """The first layer's filters (rows, columns, 3) uint8 BGR; None where the snapshot is gone or it has none."""
    found = [one for one in listing(Schedule.read(link.solver).prefix) if one.iteration == row.iteration]
    if not found or (first := first_filters(read_blobs(found[0].weights))) is None:
        return None
    picture = tiles(first[1], float(np.abs(first[1]).max()) or 1.0, columns_for(len(first[1])))
    return np.kron(np.round(255 * picture[:, :, ::-1]), np.ones((ZOOM, ZOOM, 1))).astype(np.uint8)


def _write(path: Path, values: Iterator[tuple[int, str, float]], at: int, picture: np.ndarray | None) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    now = time()
    events: list[Any] = [Event(wall_time=now, file_version=VERSION)]
    for step, name, value in values:
        events.append(
            Event(wall_time=now, step=step, summary=Summary(value=[Summary.Value(tag=name, simple_value=value)]))
        )
    if picture is not None:
        image = Summary.Image(
            height=picture.shape[0],
            width=picture.shape[1],
            colorspace=3,
            encoded_image_string=cv2.imencode(".png", picture)[1].tobytes(),
        )
        shown = Summary(value=[Summary.Value(tag="first layer", image=image)])
        events.append(Event(wall_time=now, step=at, summary=shown))
    with writing(path, "wb") as file:
        records = RecordWriter(file)
        for event in events:
            records.write(event.SerializeToString())
