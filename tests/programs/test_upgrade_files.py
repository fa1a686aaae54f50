"""upgrade_net_proto_text, upgrade_net_proto_binary, upgrade_solver_proto_text and parse_log."""

from __future__ import annotations

import csv
import math
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from programs import run_tool
from solver_lab import run_ours

from pycaffe_ext.genuine import root
from pycaffe_ext.proto import caffe_pb2, parse, read_message
from pycaffe_ext.training.log_rows import read_rows

ROOT = Path(__file__).parents[2]
LOGS = Path(__file__).parents[1] / "lab" / "logs"

V0 = """
name: "V0" input: "data" input_dim: 1 input_dim: 3 input_dim: 20 input_dim: 20 force_backward: true
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
layers { layer { name: "conv1" type: "conv" num_output: 4 group: 1 kernelsize: 3 stride: 2 blobs_lr: 1. blobs_lr: 2.
  weight_filler { type: "gaussian" std: 0.01 } bias_filler { type: "constant" value: 0.1 } weight_decay: 1.
  weight_decay: 0. } bottom: "pad1" top: "conv1" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pool1" type: "pool" pool: MAX kernelsize: 3 stride: 2 } bottom: "conv1" top: "pool1" }
layers { layer { name: "norm1" type: "lrn" local_size: 5 alpha: 0.0001 beta: 0.75 } bottom: "pool1" top: "norm1" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.3 } bottom: "norm1" top: "norm1" }
layers { layer { name: "fc" type: "innerproduct" num_output: 10 biasterm: false } bottom: "norm1" top: "fc" }
layers { layer { name: "prob" type: "softmax" } bottom: "fc" top: "prob" }
"""
V1 = """
name: "V1"
layers { name: "data" type: DATA top: "data" top: "label" include { phase: TRAIN }
  data_param { source: "db" batch_size: 4 backend: LMDB mean_file: "m" crop_size: 9 mirror: true scale: 0.5 } }
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  weight_decay: 0 param: "w" param: "b" convolution_param { num_output: 2 kernel_size: 3 } }
layers { name: "slope" type: RELU bottom: "conv" top: "conv" relu_param { negative_slope: 0.1 } }
layers { name: "sum" type: ELTWISE bottom: "conv" bottom: "conv" top: "sum" eltwise_param { operation: MAX } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "sum" bottom: "label" top: "loss" loss_weight: 2 }
"""
TODAY = 'name: "new" layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 } } }'
SOLVER = 'net: "n" base_lr: 0.01 lr_policy: "fixed" solver_type: {} max_iter: 3'


def run(program: object, *arguments: object) -> subprocess.CompletedProcess[str]:
    if str(program).endswith(".py"):
        return run_tool(Path(str(program)).stem, *arguments)
    return subprocess.run(list(map(str, [program, *arguments])), capture_output=True, text=True, check=False)


@pytest.mark.genuine
@pytest.mark.parametrize("text", [V0, V1, TODAY], ids=["V0", "V1", "today"])
def test_nets_become_what_the_genuine_program_makes(text: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_text(text)
    assert run(root.command("upgrade_net_proto_text"), tmp_path / "old", tmp_path / "theirs").returncode == 0
    ours = run("upgrade_net_proto_text.py", tmp_path / "old", tmp_path / "ours")
    assert ours.returncode == 0, ours.stderr
    found, wanted = ((tmp_path / name).read_text() for name in ("ours", "theirs"))
    assert parse(found, caffe_pb2.NetParameter()) == parse(wanted, caffe_pb2.NetParameter())
    assert ("already in latest" in ours.stderr) == (text is TODAY)
    assert "Wrote upgraded NetParameter text proto" in ours.stderr


@pytest.mark.genuine
@pytest.mark.parametrize("text", [V0, V1], ids=["V0", "V1"])
def test_binary_nets_keep_their_blobs(text: str, tmp_path: Path) -> None:
    net = parse(text, caffe_pb2.NetParameter())
    layer = net.layers[1].layer if text is V0 else net.layers[1]
    layer.blobs.add(num=1, channels=1, height=1, width=3, data=[1.0, 2.5, -3.0])
    (tmp_path / "old").write_bytes(net.SerializeToString())
    assert run(root.command("upgrade_net_proto_binary"), tmp_path / "old", tmp_path / "theirs").returncode == 0
    ours = run("upgrade_net_proto_binary.py", tmp_path / "old", tmp_path / "ours")
    assert ours.returncode == 0, ours.stderr
    found, wanted = (read_message(tmp_path / name, caffe_pb2.NetParameter()) for name in ("ours", "theirs"))
    assert found == wanted
    assert [list(blob.data) for layer in found.layer for blob in layer.blobs] == [[1.0, 2.5, -3.0]]


@pytest.mark.genuine
@pytest.mark.parametrize("kind", ["SGD", "NESTEROV", "ADAGRAD", "RMSPROP", "ADADELTA", "ADAM"])
def test_solvers_become_what_the_genuine_program_makes(kind: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_text(SOLVER.format(kind))
    assert run(root.command("upgrade_solver_proto_text"), tmp_path / "old", tmp_path / "theirs").returncode == 0
    assert run("upgrade_solver_proto_text.py", tmp_path / "old", tmp_path / "ours").returncode == 0
    found, wanted = (parse((tmp_path / n).read_text(), caffe_pb2.SolverParameter()) for n in ("ours", "theirs"))
    assert found == wanted and not found.HasField("snapshot_prefix")


@pytest.mark.parametrize(
    ("program", "content", "message"),
    [
        ("upgrade_net_proto_text.py", "layers { kind: DATA }", "old:1: unknown field 'kind'"),
        ("upgrade_net_proto_text.py", TODAY + 'layers { name: "x" type: RELU }', "both old 'layers' and new 'layer'"),
        ("upgrade_net_proto_binary.py", V1, "not a binary NetParameter"),
        ("upgrade_solver_proto_text.py", SOLVER.format("SGD") + ' type: "Adam"', "both solver_type and type"),
    ],
)
def test_what_cannot_be_upgraded_is_one_line(program: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_text(content)
    done = run(program, tmp_path / "old", tmp_path / "new")
    assert done.returncode == 1 and message in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert not (tmp_path / "new").exists()


DROPS = """
input: "x" layers { layer { name: "fc" type: "innerproduct" num_output: 2 concat_dim: 3 } bottom: "x" top: "y" }
"""


@pytest.mark.parametrize("form", ["text", "binary"])
def test_what_is_dropped_of_an_old_net_is_an_exit_status(form: str, tmp_path: Path) -> None:
    old = parse(DROPS, caffe_pb2.NetParameter()).SerializeToString() if form == "binary" else DROPS.encode()
    (tmp_path / "old").write_bytes(old)
    done = run(f"upgrade_net_proto_{form}.py", tmp_path / "old", tmp_path / "new")
    assert done.returncode == 1 and "has no concat_dim; dropped" in done.stderr
    assert "Encountered error(s) while upgrading" in done.stderr and (tmp_path / "new").exists()
    if root.installed():
        theirs = run(root.command(f"upgrade_net_proto_{form}"), tmp_path / "old", tmp_path / "theirs")
        assert theirs.returncode == 1 and "Encountered error(s) while upgrading" in theirs.stderr
        assert (tmp_path / "theirs").exists()


def test_too_few_arguments_show_the_usage() -> None:
    done = run("upgrade_net_proto_text.py", "one")
    assert done.returncode == 1 and "Usage: upgrade_net_proto_text old" in done.stderr


def table(path: Path, delimiter: str = ",") -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file, delimiter=delimiter)]


def test_a_log_becomes_two_tables(tmp_path: Path) -> None:
    done = run("parse_log.py", LOGS / "normal.log", tmp_path, "--verbose", "--delimiter", ";")
    assert done.stdout.splitlines() == [f"Wrote {tmp_path}/normal.log.{kind}" for kind in ("train", "test")]
    head = (tmp_path / "normal.log.test").read_text().splitlines()[0]
    assert head == "NumIters;Seconds;LearningRate;accuracy;loss"
    train, test = (table(tmp_path / f"normal.log.{kind}", ";") for kind in ("train", "test"))
    assert train[0] == {"NumIters": 0, "Seconds": 0.003077, "LearningRate": 0.01, "loss": 0.691176}
    assert [row["NumIters"] for row in train] == [0, 5, 10, 15, 20, 25]
    assert [row["LearningRate"] for row in train] == [0.01, 0.01, 0.01, 0.0095, 0.0095, 0.009025]
    assert test[-1] == {"NumIters": 30, "Seconds": 0.010947, "LearningRate": 0.009025, "accuracy": 1, "loss": 0.238901}


def test_rows_with_nan_are_kept(tmp_path: Path) -> None:
    assert run("parse_log.py", LOGS / "diverged.log", tmp_path).returncode == 0
    train, test = (table(tmp_path / f"diverged.log.{kind}") for kind in ("train", "test"))
    assert [math.isnan(row["loss"]) for row in train] == [False, True, True, True, True, True]
    assert [row["NumIters"] for row in test if math.isnan(row["loss"])] == [10, 20, 30]
    assert all(row["accuracy"] == 1 for row in test[1:])


def test_resumed_and_cut_off_logs_keep_what_they_have(tmp_path: Path) -> None:
    for name in ("resumed", "cut_off"):
        assert run("parse_log.py", LOGS / f"{name}.log", tmp_path).returncode == 0
        lines = (LOGS / f"{name}.log").read_text().splitlines()
        shown = [line for line in lines if "Train net output #0" in line]
        assert len(table(tmp_path / f"{name}.log.train")) == len(shown) > 0
    assert len(table(tmp_path / "resumed.log.test")) == 8


def test_seconds_run_on_into_january() -> None:
    lines = [
        "I1231 23:59:58.000000 1 solver.cpp:289] Solving net",
        "I0101 00:00:03.500000 1 solver.cpp:239] Iteration 0 (1 iter/s, 1s/1 iters), loss = 1",
        "I0101 00:00:03.500000 1 solver.cpp:258]     Train net output #0: loss = 1 (* 1 = 1 loss)",
    ]
    (row,), test = read_rows(lines, 2025)
    assert row["Seconds"] == 5.5 and math.isnan(row["LearningRate"]) and not test


def seconds(stamps: Sequence[str], year: int) -> list[float]:
    """Of a log that begins at the first of these times and shows a loss at each of the others, to whole seconds."""
    lines = [f"I{stamps[0]} 1 solver.cpp:289] Solving net"]
    for stamp in stamps[1:]:
        lines += [
            f"I{stamp} 1 solver.cpp:239] {text}" for text in ("Iteration 0, loss = 1", "    Train net output #0: a = 1")
        ]
    return [round(row["Seconds"]) for row in read_rows(lines, year)[0]]


DAY = 86400


@pytest.mark.parametrize(
    ("stamps", "year", "expected"),
    [
        (("0228 12:00:00.0", "0301 12:00:00.0"), 2024, [2 * DAY]),
        (("0228 12:00:00.0", "0301 12:00:00.0"), 2025, [DAY]),
        (("0228 12:00:00.0", "0229 12:00:00.0", "0301 12:00:00.0"), 2026, [DAY, 2 * DAY]),  # of 2024
        (("0229 12:00:00.0", "0301 12:00:00.0"), 2023, [DAY]),
        (("1231 12:00:00.0", "0229 12:00:00.0"), 2025, [60 * DAY]),
        (
            ("1230 12:00:00.0", "0630 12:00:00.0", "1230 12:00:00.0", "0102 12:00:00.0"),
            2026,
            [182 * DAY, 365 * DAY, 368 * DAY],
        ),
        (("0229 12:00:00.0", "0101 12:00:00.0", "0229 12:00:00.0"), 2030, [307 * DAY, 1461 * DAY]),
        (("0301 00:00:00.1", "0228 23:59:59.9", "0301 00:00:02.1"), 2025, [0, 2]),  # threads
        (("0101 00:00:00.1", "1231 23:59:59.9", "0101 00:00:02.1"), 2025, [0, 2]),
    ],
)
def test_the_years_that_glog_leaves_out(stamps: Sequence[str], year: int, expected: list[int]) -> None:
    assert seconds(stamps, year) == expected


@pytest.mark.parametrize(
    "stamp",
    [
        "0230 12:00:00.000000",
        "1399 12:00:00.000000",
        "0000 12:00:00.000000",
        "0101 25:00:00.000000",
        "0101 12:60:00.000000",
    ],
)
def test_a_date_that_is_none_is_named_and_its_values_are_kept(stamp: str, tmp_path: Path) -> None:
    lines = (LOGS / "normal.log").read_text().splitlines()
    bad = next(i for i, line in enumerate(lines) if "Train net output" in line)
    lines[bad] = f"I{stamp} {lines[bad].split(maxsplit=2)[2]}"
    log = tmp_path / "bad.log"
    log.write_text("\n".join(lines))
    os.utime(log, (0, 978_400_000))  # 2001
    done = run("parse_log.py", log, tmp_path)
    assert done.returncode == 0
    assert done.stderr == f"warning: {log}:{bad + 1}: 'I{stamp}' is not a date; the time of the previous line is used\n"
    train = table(tmp_path / "bad.log.train")
    assert [row["NumIters"] for row in train] == [0, 5, 10, 15, 20, 25] and train[0]["loss"] == 0.691176
    assert 0 < train[0]["Seconds"] <= 0.003077


def test_each_test_net_has_its_row() -> None:
    lines = [
        f"I0101 00:00:00.000000 1 solver.cpp:347] {line}"
        for line in (
            "Iteration 0, Testing net (#0)",
            "    Test net output #0: loss = 1",
            "Iteration 0, Testing net (#1)",
            "    Test net output #0: loss = 2",
        )
    ]
    assert [row["loss"] for row in read_rows(lines, 2025)[1]] == [1, 2]


def test_the_embedded_engine_s_log_parses_the_same(tmp_path: Path) -> None:
    (tmp_path / "net").write_text(
        'layer { name: "d" type: "DummyData" top: "x" top: "y" dummy_data_param { shape { dim: 4 dim: 3 }'
        ' shape { dim: 4 } data_filler { type: "gaussian" } data_filler { type: "constant" } } }'
        ' layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" inner_product_param { num_output: 2 } }'
        ' layer { name: "loss" type: "SoftmaxWithLoss" bottom: "f" bottom: "y" top: "loss" }'
    )
    (tmp_path / "solver").write_text(
        f'net: "{tmp_path}/net" base_lr: 0.1 lr_policy: "fixed" max_iter: 6 display: 2 test_iter: 1 test_interval: 3'
        f' snapshot_after_train: false snapshot_prefix: "{tmp_path}/s" solver_mode: CPU'
    )
    (tmp_path / "log").write_text(run_ours(tmp_path, "train", f"-solver={tmp_path}/solver"))
    assert run("parse_log.py", tmp_path / "log", tmp_path).returncode == 0
    train, test = (table(tmp_path / f"log.{kind}") for kind in ("train", "test"))
    assert [row["NumIters"] for row in train] == [0, 2, 4] and [row["NumIters"] for row in test] == [0, 3, 6]
    assert all(row["LearningRate"] == 0.1 and row["loss"] > 0 for row in train + test)


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("nowhere.log", [], "no such log"),
        ("missing_solver.log", [], "no net output in it"),
        ("normal.log", ["--delimiter", "ab"], "must be one character"),
    ],
)
def test_a_log_without_rows_is_named(name: str, more: list[str], message: str, tmp_path: Path) -> None:
    done = run("parse_log.py", LOGS / name, tmp_path, *more)
    assert done.returncode == 1 and message in done.stderr and not list(tmp_path.iterdir())
