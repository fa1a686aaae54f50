"""Scores of validation patches: of which runs of a study they are made anew."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pycaffe_ext.runs import rescoring
from pycaffe_ext.runs.records import read_run, write_run
from pycaffe_ext.runs.settings import Machine
from pycaffe_ext.studies import validation
from pycaffe_ext.studies.evidence import load
from pycaffe_ext.studies.grid import Cell

FILES = ("run.json", "result.json", "auc.csv", "scores.csv", "validation.csv", "best.caffemodel")
DEPTHS = ("ft-fc8", "ft-fc7", "ft-conv1")


@pytest.fixture
def cells(miniature_run, tmp_path) -> list[Cell]:
    """Three depths and scratch, made of the miniature's run."""
    first = miniature_run / "runs" / "first"
    settings = read_run(first).parsed_settings()
    made = []
    for scheme in (*DEPTHS, "scratch"):
        made.append(Cell(replace(settings, training=replace(settings.training, scheme=scheme, weights=None))))
        folder = made[-1].folder(tmp_path)
        folder.mkdir()
        for name in FILES:
            shutil.copy(first / name, folder)
        write_run(folder, replace(read_run(first), settings=made[-1].settings.record()))
    return made


def test_depths_that_have_not_kept_theirs_are_scored_and_no_others(cells, tmp_path, monkeypatch):
    scored: list[Path] = []
    monkeypatch.setattr(rescoring, "of_validation", lambda run, caffe: scored.append(run.folder))
    assert validation.keep(cells, load(cells, tmp_path), Machine()) == 0 and not scored, "all have kept them"

    for cell in cells:
        (cell.folder(tmp_path) / "validation.csv").unlink()
    (cells[1].folder(tmp_path) / "best.caffemodel").unlink()
    assert validation.keep(cells, load(cells, tmp_path), Machine()) == 2
    assert scored == [cells[0].folder(tmp_path), cells[2].folder(tmp_path)], "not scratch, nor one without weights"
    assert validation.keep(cells[1:], load(cells[1:], tmp_path), Machine()) == 0, "two depths cannot be replayed"
