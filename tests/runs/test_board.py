"""Event files: every number of the log and the table once, the filters, what is written when, and the missing extra."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import training_lab as lab

from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, write_text
from pycaffe_ext.runs import board
from pycaffe_ext.training.chain import Link
from pycaffe_ext.training.table import Row, write_rows

pytest.importorskip("tensorboard")

LOG = """I1126 10:00:00.000000 1 solver.cpp:239] Iteration {0} (5 iter/s, 1s/5 iters), loss = {1}
I1126 10:00:00.000000 1 sgd_solver.cpp:112] Iteration {0}, lr = {2}
"""


def make_link(folder: Path, name: str, aucs: dict[int, float], rate: float, learns: bool) -> Link:
    """A training of 10 iterations between snapshots, as some Caffe leaves it: files only."""
    place = folder / "links" / name
    place.mkdir(parents=True)
    link = Link(name, place, lab.write_solver(place))
    add(link, aucs, rate)
    net = caffe_pb2.NetParameter()
    layer = net.layer.add(name="conv1", type="Convolution")
    layer.param.add(lr_mult=float(learns))
    write_text(place / "train_val.prototxt", net)
    return link


def add(link: Link, aucs: dict[int, float], rate: float) -> None:
    old = link.rows
    write_rows(link.folder / "auc.csv", [*old, *(Row(at, at / 10, None, 1 - auc, auc) for at, auc in aucs.items())])
    with link.log.open("a") as file:
        for end in aucs:
            file.writelines(LOG.format(at, 1 / (1 + at), rate) for at in range(end - 10, end, 5))
    for at in aucs:
        weights = caffe_pb2.NetParameter()
        layer = weights.layer.add(name="conv1", type="Convolution")
        blob = layer.blobs.add(shape=caffe_pb2.BlobShape(dim=[6, 3, 5, 5]))
        blob.data.extend(np.random.default_rng(at).normal(size=450).tolist())
        (link.folder / "snapshots" / f"solver_iter_{at}.caffemodel").write_bytes(weights.SerializeToString())


def read(folder: Path) -> dict[str, list[tuple[int, object]]]:
    """What TensorBoard's own reader finds, file by file by name: tag -> (step, value) as they come."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    found = defaultdict(list)
    files = sorted((folder / board.FOLDER).iterdir())
    for event in (event for file in files for event in LegacyEventFileLoader(str(file)).Load()):
        for value in event.summary.value:
            kind = value.image if value.HasField("image") else value.simple_value
            found[value.tag].append((event.step, kind))
    return found


def test_every_number_is_there_once_and_iterations_count_on_over_links(tmp_path):
    links = [
        make_link(tmp_path, "1-a", {10: 0.5, 20: 0.75}, 0.5, False),
        make_link(tmp_path, "2-b", {10: 1}, 0.25, True),
    ]
    assert [path.name[-2:] for path in board.write_events(tmp_path, links)] == ["10", "20", "30"]
    found = read(tmp_path)
    assert [step for step, _ in found["training/loss"]] == [0, 5, 10, 15, 20, 25]
    assert found["training/rate"] == [(at, 0.5 if at < 20 else 0.25) for at in range(0, 30, 5)]
    assert found["validation/auc"] == [(10, 0.5), (20, 0.75), (30, 1)]
    assert found["validation/loss"] == [(10, 0.5), (20, 0.25), (30, 0)]
    assert found["training/loss"][4] == (20, 1), "the first of the second link"


def test_filters_that_rest_are_shown_once_and_those_that_learn_after_each_snapshot(tmp_path):
    links = [
        make_link(tmp_path, "1-a", {10: 0.5, 20: 0.75}, 0.5, False),
        make_link(tmp_path, "2-b", {10: 1, 20: 1}, 0.25, True),
    ]
    board.write_events(tmp_path, links)
    shown = read(tmp_path)["first layer"]
    assert [step for step, _ in shown] == [10, 30, 40]
    picture = cv2.imdecode(np.frombuffer(shown[0][1].encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[:2] == (shown[0][1].height, shown[0][1].width)
    weights = np.random.default_rng(10).normal(size=450).reshape(6, 3, 5, 5)
    blue_green_red = np.round(255 * (0.5 + weights[0, :, 0, 0] / (2 * np.abs(weights).max())))
    np.testing.assert_allclose(picture[0, 0], blue_green_red, atol=1)


def test_only_what_is_new_is_written_and_what_training_went_back_behind_goes(tmp_path):
    link = make_link(tmp_path, "only", {10: 0.5, 20: 0.75}, 0.5, True)
    board.write_events(tmp_path, [link])
    assert board.write_events(tmp_path, [link]) == []
    add(link, {30: 0.5}, 0.5)
    assert [path.name for path in board.write_events(tmp_path, [link])] == [board.NAME.format(30)]
    write_rows(link.folder / "auc.csv", link.rows[:1])
    board.write_events(tmp_path, [link])
    assert [path.name for path in (tmp_path / board.FOLDER).iterdir()] == [board.NAME.format(10)]


def test_a_finished_run_gets_its_event_files_afterwards(miniature_run, tmp_path):
    import shutil

    shutil.copytree(miniature_run / "runs" / "first", tmp_path / "first", ignore=shutil.ignore_patterns("events"))
    board.complete(tmp_path)
    assert [step for step, _ in read(tmp_path / "first")["validation/auc"]] == [6, 12]
    with pytest.raises(UserError, match="no runs; make one"):
        board.complete(tmp_path / "nowhere")


def test_without_tensorboard_it_is_one_line_and_runs_go_without(tmp_path, monkeypatch):
    monkeypatch.setattr(board, "find_spec", lambda name: None)
    for ask in (lambda: board.complete(tmp_path), lambda: board.write_events(tmp_path, [])):
        with pytest.raises(UserError, match=r"TensorBoard is not installed: pip install 'pycaffe_ext\[board\]'$"):
            ask()


def test_a_port_that_is_taken_is_named(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"PORT={port}: "):
            board.serve(tmp_path, port)
