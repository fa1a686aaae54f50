"""Runs of a study side by side: numbers of workers in turns, each on the same data, and what is reported."""

from __future__ import annotations

from benchmarks import workers
from benchmarks.processor import Spent
from pycaffe_ext.runs.pipeline import FEATURES


def study_of(found):
    """Studies that note whether the data are prepared and rows stored, store some, and take what they are to take."""

    def study(count, runs):
        data = runs / "data"
        found.append((count, (data / "packed").exists(), (data / FEATURES / "rows").exists()))
        (data / FEATURES).mkdir(exist_ok=True)
        (data / FEATURES / "rows").touch()
        return Spent(own=3.0 * count, others=100.0, wall=90.0 / count + len(found))

    return study


def test_numbers_of_workers_take_turns_on_prepared_data_without_stored_rows(tmp_path):
    found, data = [], tmp_path / "prepared" / "data"
    (data / FEATURES).mkdir(parents=True)
    (data / FEATURES / "rows").touch()
    (data / "packed").touch()
    taken = workers.measure(tmp_path / "prepared", tmp_path, [1, 2], 2, study_of(found))
    assert found == [(count, True, False) for count in (1, 2, 1, 2)]
    assert {count: len(every) for count, every in taken.items()} == {1: 2, 2: 2}


def test_the_gain_is_by_medians_and_what_a_study_adds_is_a_run(tmp_path):
    taken = {1: [Spent(8, 99, wall) for wall in (10, 80, 90)], 2: [Spent(6, 99, wall) for wall in (50, 40, 20)]}
    lines = workers.text(taken, runs=4).splitlines()
    assert lines[1].split() == ["1", "80.0", "1.00", "2.00"]
    assert lines[2].split() == ["2", "40.0", "2.00", "1.50"]
    assert lines[3] == "a study adds at most 2 s to each of 4 runs"
    assert workers.text(taken, runs=3).endswith("a study adds MORE than 2 s to each of 3 runs")
