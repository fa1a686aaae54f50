"""The benchmark of a study of very many runs, with few: stand-ins of runs are read as real ones are."""

from __future__ import annotations

from benchmarks import many_runs


def test_no_run_is_lost_and_every_step_is_timed(tmp_path, capsys):
    many_runs.measure(tmp_path, 1)  # one seed of the whole grid
    said = capsys.readouterr().out
    count = int(said.split(" runs")[0])
    assert count > 100 and 0 < int(said.split("gone on after ")[1].split(":")[0]) < count
    assert [line.partition(":")[0] for line in said.splitlines()][-4:] == ["status", "table", "page", "most memory"]
    assert (next(tmp_path.rglob("study.csv"))).read_text().count("\n") == count + 1
