"""What a plan says that a grid can show: designs from the cells, test groups from finished runs, in words."""

from __future__ import annotations

from dataclasses import replace

from grid_lab import result

from pycaffe_ext.commands import study_plan
from pycaffe_ext.evaluation.findings import power
from pycaffe_ext.runs import probe
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.studies.evidence import questions
from pycaffe_ext.studies.grid import Cell
from pycaffe_ext.studies.prospects import lines, verdicts

SCHEMES, FRACTIONS = ("ft-fc8", "ft-conv1", "scratch"), ("1", "1/4")


def cells(app: str = "polyp", seeds=(0, 1, 2), fractions=FRACTIONS, **options) -> list[Cell]:
    return [
        Cell(Settings.of(app, scheme, seed=seed, fraction=fraction, **options))
        for scheme in SCHEMES
        for fraction in fractions
        for seed in seeds
    ]


def finished(cell: Cell, groups: int, tmp_path) -> RunFiles:
    return RunFiles(cell.settings, tmp_path, replace(result(), test={"groups": groups}), None)


def test_groups_are_those_of_finished_runs_of_the_same_data(tmp_path):
    own = cells()
    runs = [finished(own[0], 50, tmp_path), finished(own[1], 40, tmp_path), finished(cells("frames")[0], 7, tmp_path)]
    found = lines(own, runs)
    design = power.Design(3, 40, (1.0, 0.25), 3, 3)
    assert found[:-1] == ["what it can show:", *power.text(["polyp, alexnet"], design, power.AUC, "AUC", True)]
    assert found[-1] == power.assumptions(power.AUC)
    assert "379 test groups assumed, as no run has counted them yet" in lines(own, [])[1]


def test_equal_designs_share_their_lines_and_others_have_their_own():
    found = lines([*cells(), *cells("frames"), *cells("imt")], [])
    assert found[1].startswith("polyp, alexnet; frames, alexnet: 3 seeds, 379 test groups assumed")
    unknown = "imt, alexnet: 3 seeds: how much its figure (mm) varies is not known"
    assert any(line.startswith(unknown) for line in found)


def test_one_seed_and_folds_say_that_nothing_is_shown_or_said():
    found = lines(cells(seeds=(0,)), [])
    assert len(found) == 2
    assert found[1].startswith("polyp, alexnet: 1 seed: nothing can be shown, as training chance stays unknown;")
    in_folds = [cell for fold in (1, 2) for cell in cells(folds=2, fold=fold)]
    assert lines(in_folds, [])[1] == "polyp, alexnet: in folds, of which nothing is said beforehand"


def test_the_family_is_as_large_as_the_findings_with_a_verdict():
    one, five = 1, 1  # claims of each application with deep tuning, scratch and a baseline
    assert verdicts(questions(cells())) == one + five + 1
    assert verdicts(questions(cells(fractions=("1",)))) == one + five
    assert verdicts(questions([*cells(), *cells("frames"), *cells("imt")])) == 3 * (one + five) + 3 + 1 + 2
    two_nets = [Cell(Settings.of("polyp", "ft-conv10", arch="squeezenet")), *cells(), *cells("frames")]
    assert verdicts(questions(two_nets)) == five + 2 * (one + five) + 2 + 1 + 2
    assert verdicts(questions(cells(seeds=range(6), fractions=("1",)))) == one + five + 1, "6 seeds decide a sign test"
    assert verdicts(questions(cells("folder", data="my/images", fractions=("1",)))) == one, "it has no baseline"


def test_make_study_plan_prints_them_below_the_plan(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(probe, "seconds_a_patch", lambda settings, machine: (1.0, 0.5))
    monkeypatch.setattr(probe, "parameters", lambda settings: 1000)
    file = tmp_path / "mine.yaml"
    file.write_text("APP: polyp\nSEEDS: [0, 1]\nSCHEMES: [ft-fc8, scratch]\nFRACTION: [1, 1/4]\nMARGIN: 0.05\n")
    study_plan.main(["--study", str(file), "--runs", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "8 runs, 0 finished" in printed
    assert "\n\nwhat it can show:\npolyp, alexnet: 2 seeds, 379 test groups assumed" in printed
