"""The tidy table: a line a finished run, read from its files; CSV and Parquet say the same."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import pytest

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest
from pycaffe_ext.runs.records import read_run, write_run
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.studies import tidy
from pycaffe_ext.studies.grid import Cell


@pytest.fixture
def cells(miniature_run, tmp_path) -> list[Cell]:
    """The run of the miniature, one of a quarter made of its files, and one that is not finished."""
    first = miniature_run / "runs" / "first"
    whole = read_run(first).parsed_settings()
    found = [Cell(whole), Cell(whole.with_request(fraction="1/4")), Cell(whole.with_request(fraction="1/2"))]
    for cell in found[:2]:
        shutil.copytree(first, cell.folder(tmp_path))
        write_run(cell.folder(tmp_path), replace(read_run(first), settings=cell.settings.record()))
    return found


def test_a_line_a_finished_run_with_its_numbers(cells, tmp_path):
    table = tidy.rows(cells, tmp_path)
    assert [row["fraction"] for row in table] == ["1", "1/4"]
    result = json.loads((cells[0].folder(tmp_path) / "result.json").read_text())
    row = table[0]
    assert (row["application"], row["net"], row["scheme"], row["seed"]) == ("polyp", "alexnet", "ft-conv3", 0)
    assert row["chosen_iteration"] == result["best"]["iteration"]
    assert row["validation_auc"] == result["best"]["validation_auc"]
    assert row["test.patch_auc"] == result["test"]["patch_auc"]
    assert row["endpoint"].startswith("sensitivity at 1 false positive") and row["higher_is_better"] is True
    (point,) = [p for p in result["test"]["network"]["lesion"] if p["at_most_false_positives_per_frame"] == 1]
    column = "test.network.lesion.at_most_false_positives_per_frame=1"
    assert [row[f"{column}.{name}"] for name in ("sensitivity", "exact_95.low", "exact_95.high")] == [
        point["sensitivity"],
        *point["exact_95"],
    ]
    assert row["endpoint_low"] <= row["endpoint_value"] <= row["endpoint_high"]
    assert 0 <= row["baseline_value"] <= 1 and row["resumes"] == len(result["resumes"])
    assert row["hash.weights"] == digest(cells[0].folder(tmp_path) / "best.caffemodel")
    assert row["hash.splits.csv"] == read_run(cells[0].folder(tmp_path)).inputs["splits.csv"]
    assert row["train_seconds"] > 0 and row["test_seconds"] > 0 and row["groups"] == result["share"]["groups"]


def test_csv_and_parquet_say_the_same(cells, tmp_path):
    table = tidy.rows(cells, tmp_path)
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    files = tidy.write(table, tmp_path / "out")
    with files[0].open(newline="") as file:
        lines = list(csv.DictReader(file))
    read = parquet.read_table(files[1]).to_pylist()
    assert read == table and len(lines) == 2
    for line, row in zip(lines, table, strict=True):
        assert line == {name: "" if value is None else str(value) for name, value in row.items()}


def test_without_pyarrow_there_is_the_csv_alone(cells, tmp_path, monkeypatch):
    monkeypatch.setattr(tidy, "find_spec", lambda name: None)
    assert [path.name for path in tidy.write(tidy.rows(cells, tmp_path), tmp_path / "out")] == ["study.csv"]


def test_a_study_without_a_finished_run_has_no_table(tmp_path):
    with pytest.raises(UserError, match="no run of the study is finished"):
        tidy.write(tidy.rows([Cell(Settings.of("polyp", "scratch"))], tmp_path), tmp_path)
