"""The page of a study, from its cells: what is finished, what is missing, and what is said where nothing is."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pycaffe_ext.commands import study_report
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs import records
from pycaffe_ext.runs.records import read_result, read_run, write_result, write_run
from pycaffe_ext.studies import evidence, page
from pycaffe_ext.studies.evidence import questions
from pycaffe_ext.studies.grid import Cell, Grid
from pycaffe_ext.studies.states import FAILED, Place, State

SHARE = {"groups": 3, "of": 12, "patches": 120}
FILES = ("run.json", "result.json", "auc.csv", "scores.csv", "*.prototxt")


@pytest.fixture(scope="module")
def study(miniature_run, tmp_path_factory) -> tuple[Grid, Path]:
    """Two schemes at two fractions with two seeds, made of the miniature's run; the last failed."""
    runs, first = tmp_path_factory.mktemp("runs"), miniature_run / "runs" / "first"
    settings = read_run(first).parsed_settings()
    cells = []
    for scheme, fraction, seed in ((s, f, i) for s in ("ft-conv1", "scratch") for f in ("1", "1/4") for i in (0, 1)):
        own = settings.with_request(fraction=fraction)
        cells.append(Cell(replace(own, training=replace(own.training, scheme=scheme, seed=seed, weights=None))))
    for cell in cells[:-1]:
        folder = cell.folder(runs)
        folder.mkdir()
        for path in (path for pattern in FILES for path in first.glob(pattern)):
            shutil.copy(path, folder)
        write_run(folder, replace(read_run(first), settings=cell.settings.record()))
        write_result(folder, replace(read_result(first), share={**SHARE, "share": cell.settings.request.fraction}))
    file = runs / "mine.yaml"
    file.write_text("# my own study\nAPP: polyp\n")
    grid = Grid("mine", file, tuple(cells))
    place = Place(grid.folder(runs), cells[-1].settings.name())
    place.file.parent.mkdir(parents=True)
    place.write(State(place.name, FAILED, "here", 0.0, last="no room on the disk"))
    return grid, runs


def test_the_page_of_finished_runs(study):
    grid, runs = study
    found = page.write(grid, runs)
    assert found == runs / "studies" / "mine" / "report" / "report.html"
    text, html = found.with_suffix(".md").read_text(), found.read_text()
    assert "# my own study" in text and "# my own study" in html
    assert "1 of 8 runs are not finished" in text and "failed: no room on the disk" in text
    assert "groups; 10 are needed" in text  # too few for a verdict, so none is given
    assert html.count("<svg") == len(list(found.parent.glob("*.svg"))) >= 3
    auc = read_result(grid.cells[0].folder(runs)).best.validation_auc
    assert f"| ft-conv1 | all data | 2 | {auc:.3f} [{auc:.3f}, {auc:.3f}] |" in text
    assert "| ft-conv1 | all data | 0 |" in text and f"| {auc:.4f} |" in text


def test_each_file_of_a_run_is_read_once(study, tmp_path, monkeypatch):
    grid, runs = study
    asked, read = Counter(), records.read_json
    monkeypatch.setattr(records, "read_json", lambda file: asked.update([file]) or read(file))
    monkeypatch.setattr(evidence, "questions", lambda cells: asked.update(["questions"]) or questions(cells))
    page.write(grid, runs, tmp_path / "out")
    folders = [cell.folder(runs) for cell in grid.cells[:-1]]
    assert asked == {"questions": 1, **{folder / name: 1 for folder in folders for name in ("run.json", "result.json")}}


def test_claims_of_one_amount_of_data_are_there_with_what_they_lack(study, tmp_path):
    text = page.write(study[0], study[1], tmp_path / "out").with_suffix(".md").read_text()
    assert "5\\. Every CNN outperforms the hand-crafted detector | not tested | polyp, alexnet" in text
    assert "4\\. Deeply tuned nets converge sooner than nets from scratch | not tested" in text
    assert "moderately tuned nets were not run" in text or "10 are needed" in text
    assert "| detector alone | \\- | 2 | \\- | \\- |" in text


def test_the_command(study, monkeypatch, capsys, tmp_path):
    grid, runs = study
    monkeypatch.setattr("pycaffe_ext.command_line.study_file.read", lambda given: grid)
    study_report.main([f"--study={grid.file}", f"--runs={runs}", f"--out={tmp_path / 'out'}"])
    assert capsys.readouterr().out == (
        f"page: {tmp_path / 'out' / 'report.html'}, and {tmp_path / 'out' / 'report.md'} from the same numbers\n"
    )
    assert (tmp_path / "out" / "report.html").exists()


def test_without_a_finished_run_there_is_no_page(study, tmp_path):
    with pytest.raises(UserError, match=r"no run of the study mine is finished; `make study STUDY=.*` runs them"):
        page.write(study[0], tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_study_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such study file"):
        study_report.main([f"--study={tmp_path / 'none.yaml'}", f"--runs={tmp_path}"])
