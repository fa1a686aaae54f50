"""A study of one run and its fraction by real processes: the run is the one that `make APP-SCHEME` makes."""

from __future__ import annotations

import contextlib
import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from programs import run_tool
from training_lab import SMALL

from pycaffe_ext.command_line import study_file
from pycaffe_ext.proto import read_solver
from pycaffe_ext.runs.records import read_run

ROOT = Path(__file__).resolve().parents[2]
STUDY = """
APP: polyp
DATA: {data}
SCHEMES: ft-conv3
EPOCHS: 2
PATCHES: 120
TEST_VIEWS: 1
BATCH: 16
blocks:
  - FRACTION: [1, 1/2]
  - DATA: no/such/folder
"""


@pytest.mark.slow
def test_a_study_makes_the_runs_that_make_makes(miniature, tmp_path):
    (tmp_path / "mine.yaml").write_text(STUDY.format(data=miniature))
    done = run_tool("run_grid", "--study=mine.yaml", "--threads=1", cwd=tmp_path)
    assert done.returncode == 1 and "error: 1 of 3 runs failed" in done.stderr
    assert "missing: line 11: DATA=no/such/folder: no such folder" in done.stdout
    assert "3 runs, 2 finished, 1 failed" in done.stdout
    whole, half = (_result(tmp_path, number) for number in (0, 1))
    order = ("polyp-ft-conv3", "--data", miniature, "--epochs", "2", *SMALL, "--threads", "1", "--run", "single")
    subprocess.run([sys.executable, ROOT / "tools" / "train_and_test.py", *order], cwd=tmp_path, check=True)
    assert whole == json.loads((tmp_path / "runs" / "single" / "result.json").read_text())  # to the last bit
    cost = read_run(_folder(tmp_path, 0)).cost
    assert {"prepare", "train", "test", "scored", "memory"} == set(cost) and min(cost.values()) > 0
    assert half["share"]["groups"] < half["share"]["of"] == whole["share"]["groups"]
    assert half["patches"]["test"] == whole["patches"]["test"] and half["patches"]["train"] < whole["patches"]["train"]
    schedules = [_schedule(tmp_path, number) for number in (0, 1)]
    assert schedules[0] == schedules[1]  # few data are learnt from in as many iterations as all
    assert half["snapshots"] == whole["snapshots"] == 2
    with (tmp_path / "runs" / "studies" / "mine" / "study.csv").open(newline="") as file:
        assert [row["fraction"] for row in csv.DictReader(file)] == ["1", "1/2"]
    page = tmp_path / "runs" / "studies" / "mine" / "report" / "report.html"
    assert "page: runs/studies/mine/report/report.html" in done.stdout
    assert "1 of 3 runs are not finished" in page.read_text(encoding="utf-8")
    planned = run_tool("plan_grid", "--study=mine.yaml", "--threads=1", cwd=tmp_path)
    assert planned.returncode == 0 and "3 runs, 2 finished" in planned.stdout and "finished runs" in planned.stdout
    status = run_tool("grid_status", "--study=mine.yaml", cwd=tmp_path)
    assert "3 runs, 2 finished, 1 failed" in status.stdout and "no such folder" in status.stdout


def _folder(place: Path, number: int) -> Path:
    with contextlib.chdir(place):
        return place / study_file.read("mine.yaml").cells[number].folder(Path("runs"))


def _schedule(place: Path, number: int) -> tuple[int, int, int, int]:
    solver = read_solver(_folder(place, number) / "solver.prototxt")
    return solver.max_iter, solver.test_interval, solver.stepsize, solver.snapshot


def _result(place: Path, number: int) -> dict:
    return json.loads((_folder(place, number) / "result.json").read_text())
