"""The study files of the checkout are read, and ask for what their heads say."""

from __future__ import annotations

from pathlib import Path

import pytest

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.command_line import study_file
from pycaffe_ext.schemes import SCHEMES
from pycaffe_ext.studies.evidence import questions
from pycaffe_ext.studies.grid import Grid

ROOT = Path(__file__).resolve().parents[2]


def read(name: str) -> Grid:
    return study_file.read(str(ROOT / "studies" / f"{name}.yaml"))


def axes(grid: Grid) -> dict[str, set[object]]:
    own = [cell.settings for cell in grid.cells]
    return {
        "apps": {one.app for one in own},
        "nets": {one.training.arch for one in own},
        "schemes": {one.scheme for one in own if one.training.arch == own[0].training.arch},
        "fractions": {one.request.fraction for one in own},
        "seeds": {one.seed for one in own},
    }


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "studies").glob("*.yaml"))])
def test_every_study_file_can_run(name):
    assert read(name).cells and axes(read(name))["apps"] <= set(APPLICATIONS)


def test_the_quick_study_needs_nothing_but_the_package():
    grid = read("quick")
    assert len(grid.cells) <= 24 and axes(grid)["fractions"] == {"1", "1/4"} and len(axes(grid)["schemes"]) == 3
    assert {(cell.settings.request.data, cell.settings.training.weights) for cell in grid.cells} == {(None, None)}


def test_the_papers_study_has_every_depth_and_filler_at_five_fractions():
    found = axes(read("paper"))
    assert found["schemes"] == set(SCHEMES) and found["fractions"] == {"1", "1/2", "1/4", "1/8", "1/20"}
    patches = {cell.settings.app: cell.settings.request.patches for cell in read("paper").cells}
    assert patches == {app: APPLICATIONS[app].patches for app in patches}


def test_the_real_study_asks_both_questions():
    found = axes(read("real"))
    assert found["apps"] == {"polyp", "frames", "folder", "imt"} and found["fractions"] == {"1", "1/4", "1/20"}
    assert len(found["seeds"]) >= 3 and "scratch" in found["schemes"]
    assert {question.family for question in questions(read("real").cells)} == {"squeezenet", "googlenet"}


def test_the_study_of_ultrasound_has_both_donors_and_a_net_from_scratch():
    found = axes(read("ucy"))
    assert found["apps"] == {"imt"} and len(found["seeds"]) >= 3
    assert found["nets"] == {"squeezenet_centre", "googlenet_112", "alexnet"}
    assert "scratch" in {cell.settings.scheme for cell in read("ucy").cells}
