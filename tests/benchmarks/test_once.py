"""Work done once: what is counted, and that a result that differs is noticed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks import once
from benchmarks.processor import spent
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.pipeline import FEATURES

BUSY = "import time\nwhile time.process_time() < {own}: pass\n"


@pytest.fixture
def prepared(tmp_path) -> Path:
    """A folder with prepared data, and outputs of frozen layers of an earlier run, which do not count."""
    data = tmp_path / "prepared" / "data"
    (data / FEATURES).mkdir(parents=True)
    (data / FEATURES / "earlier").touch()
    (data / "packed").touch()
    return tmp_path


def runner(folder: Path, found: list[tuple[str, str, list[str]]], auc: object = lambda name: 0.5):
    """Runs that note what they find stored, store something and end with 2 snapshots."""

    def run(scheme: str, runs: Path) -> float:
        stored = runs / "data" / FEATURES
        stored.mkdir(exist_ok=True)
        stores = runs.name != once.NOTHING
        found.append((scheme, runs.name, sorted(os.listdir(stored))))
        assert (runs / "data" / "packed").exists()
        if stores:
            (stored / scheme).touch()
        (runs / scheme).mkdir()
        (runs / scheme / "result.json").write_text(json.dumps({"snapshots": 2, "auc": auc(runs.name)}))
        return (10.0 if len(os.listdir(stored)) == 1 else 4.0) if stores else 12.0

    return run


def test_apart_nothing_is_found_and_together_what_was_stored_before(prepared):
    found: list[tuple[str, str, list[str]]] = []
    measured = once.measure(prepared, ["a", "b"], runner(prepared, found), load=0.5, preparing=20)
    ways = ("nothing", "apart", "together")
    assert found == [
        *[("a", how, []) for how in ways],
        *[("b", how, ["a"] if how == "together" else []) for how in ways],
    ]
    assert measured.taken == {"nothing": {"a": 12, "b": 12}, "apart": {"a": 10, "b": 10}, "together": {"a": 10, "b": 4}}
    assert measured.starts == {"a": 2.5, "b": 2.5}, "3 processes of the engine, and one a snapshot"
    assert [measured.ratio(how) for how in ways[:2]] == [14 / 24, 14 / 20]
    assert measured.ratio_of_work("apart") == (14 - 5) / (20 - 5)
    assert measured.ratio_from_nothing("nothing") == (14 + 20) / (24 + 2 * 20)
    assert "together / apart: 0.70; without the starts of processes 0.60;" in once.text(measured)


def test_another_result_ends_the_measurement(prepared):
    with pytest.raises(UserError, match="a: with stored outputs of frozen layers the result is another"):
        once.measure(prepared, ["a"], runner(prepared, [], lambda name: name), load=0.5, preparing=0)


def test_a_program_and_what_it_waits_for_are_counted_apart(tmp_path):
    code = "import subprocess, sys\nsubprocess.run([sys.executable, '-S', '-c', sys.argv[1]])\n" + BUSY.format(own=0.2)
    found = spent((sys.executable, "-S", "-c", code, BUSY.format(own=0.7)), tmp_path / "log")
    assert 0.1 < found.own < found.others and found.others > 0.5
    assert found.processor == found.own + found.others and found.wall > 0


def test_a_program_that_fails_is_named_with_its_last_words(tmp_path):
    with pytest.raises(UserError, match="failed: no such thing"):
        spent((sys.executable, "-S", "-c", "raise SystemExit('no such thing')"), tmp_path / "log")
