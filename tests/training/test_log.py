"""Log lines of the genuine Caffe, as it wrote them on a tiny net (tests/lab/logs)."""

import math
from pathlib import Path

import pytest

from pycaffe_ext.training.log import last_words, parse

LOGS = Path(__file__).parents[1] / "lab" / "logs"


def read(name):
    return (LOGS / f"{name}.log").read_text().splitlines()


def test_normal():
    log = parse(read("normal"))
    assert list(log.losses) == [0, 5, 10, 15, 20, 25, 30]
    assert log.losses[0] == 0.691176 and log.losses[30] == 0.230412
    assert log.rates == {0: 0.01, 5: 0.01, 10: 0.0095, 15: 0.0095, 20: 0.009025, 25: 0.009025}
    assert log.test_outputs[20] == {"accuracy": [0.94], "loss": [0.459357]}
    assert list(log.test_outputs) == [0, 10, 20, 30]
    assert log.snapshots[:2] == ["snap/a_iter_10.caffemodel", "snap/a_iter_10.solverstate"]
    assert log.finished


def test_diverged_keeps_nan():
    log = parse(read("diverged"))
    assert math.isfinite(log.losses[0])
    assert all(math.isnan(log.losses[at]) for at in (5, 10, 15, 20, 25, 30))
    assert math.isnan(log.test_outputs[20]["loss"][0]) and log.test_outputs[20]["accuracy"] == [1]


def test_resumed_is_one_history():
    lines = read("resumed")
    second = next(i for i, line in enumerate(lines) if i > 9 and "Initializing solver" in line)
    first = parse(lines[:second])
    assert not first.finished, "it was stopped by SIGINT"
    assert first.snapshots[-1].endswith("c_iter_1800.solverstate")
    log = parse(lines)
    assert log.finished
    assert log.losses[0] == first.losses[0]
    assert list(log.losses) == [0, *range(2000, 30001, 2000)]


def test_of_an_iteration_logged_twice_the_later_counts():
    lines = read("normal")
    again = [line.replace("loss = 0.517189", "loss = 0.25") for line in lines if "Iteration 15 (" in line]
    assert parse(lines + again).losses[15] == 0.25


def test_cut_off():
    lines = read("cut_off")
    assert lines[-1].endswith("Iteration 10")
    log = parse(lines)
    assert list(log.losses) == [0, 5] and not log.finished
    assert log.test_outputs[10] == {"accuracy": [0.7], "loss": [0.607944]}


@pytest.mark.parametrize("end", range(1, 120, 7))
def test_any_cut_gives_a_prefix_or_a_shortened_last_number(end):
    text = "\n".join(read("normal"))
    whole, cut = parse(text.splitlines()), parse(text[:-end].splitlines())
    assert list(cut.losses) == list(whole.losses)[: len(cut.losses)]


def test_values_of_a_vector_output_and_of_a_second_net_stay_apart():
    head = "I1122 23:29:23.860592 10292 solver.cpp:1] "
    lines = ["Iteration 7, Testing net (#0)", "    Test net output #0: prob = 0.1"]
    lines += ["    Test net output #1: prob = 0.9"]
    lines += ["Iteration 7, Testing net (#1)", "    Test net output #0: prob = inf"]
    assert parse(head + line for line in lines).test_outputs == {7: {"prob": [0.1, 0.9], "prob#1": [math.inf]}}


@pytest.mark.parametrize(
    "lines, words",
    [
        (read("missing_solver"), "Check failed: fd != -1 (-1 vs. -1) File not found: nope"),
        (read("normal") + ["error: net.prototxt:3: no field 'gama'"], "net.prototxt:3: no field 'gama'"),
        (["ERROR: unknown command line flag 'solvr'"], "unknown command line flag 'solvr'"),
        (["bash: caffe: Permission denied", ""], "bash: caffe: Permission denied"),
        ([], "it said nothing"),
    ],
)
def test_last_words(lines, words):
    assert last_words(lines) == words


def test_last_words_of_a_wrong_shape_name_the_layer():
    assert last_words(read("wrong_shape")).startswith("Cannot copy param 0 weights from layer 'conv1'; shape mismatch")
