"""What a grid's page says of its runs before their numbers: over all amounts of data, and nothing without a reason."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import grid_page
import numpy as np
import pytest

from pycaffe_ext.report import model
from pycaffe_ext.report.grid import answer, record_part
from pycaffe_ext.report.grid.cautions import cautions
from pycaffe_ext.report.grid.material import Material, Panel
from pycaffe_ext.runs.finished import RunFiles

RESUME = {"iteration": 30, "solverstate": "s", "time": "t", "caffe": "c"}


@pytest.fixture(scope="module")
def panel(tmp_path_factory) -> Panel:
    return grid_page.material(tmp_path_factory.mktemp("runs"), fractions=("1", "1/4")).panels[0]


def changed(run: RunFiles, precision: str = "fp32", request=(), data: bool = False, **result) -> RunFiles:
    """The run with other settings and another result; data : as on a data set instead of drawn pictures."""
    settings = run.settings.with_request(**dict(request), **({"data": "frames"} if data else {}))
    settings = replace(settings, training=replace(settings.training, precision=precision))
    found = replace(run, settings=settings, result=replace(run.result, **result))
    found.__dict__.update({name: value for name, value in run.__dict__.items() if name not in found.__dict__})
    return found


def of(panel: Panel, change) -> Panel:
    return Panel(panel.evidence, tuple(map(change, panel.runs)))


def at_a_quarter(run: RunFiles) -> bool:
    return run.settings.request.fraction == "1/4" and run.settings.scheme == "ft-conv3"


def test_runs_without_a_blemish_have_no_caution(panel):
    assert list(cautions(panel)) == []


@pytest.mark.parametrize(
    ("change", "start", "end"),
    [
        ({"warnings": ["the donor has another scale"]}, "Warning by", ": the donor has another scale"),
        (
            {"precision": "bf16"},
            "NOT FAITHFUL TO CAFFE: convolutions were not computed in fp32 but in bf16 by",
            "",
        ),
    ],
)
def test_runs_at_any_fraction_are_named(panel, change, start, end):
    some = of(panel, lambda run: changed(run, **change) if at_a_quarter(run) else run)
    runs = "2 of 16 runs (ft-conv3 with 1/4 of the data, seed 0; ft-conv3 with 1/4 of the data, seed 1)"
    assert list(cautions(some)) == [f"{panel.title}: {start} {runs}{end}"]
    every = of(panel, lambda run: changed(run, **change))
    assert list(cautions(every)) == [f"{panel.title}: {start} all 16 runs{end}"]


def test_interrupted_runs_are_named_with_their_iterations(panel):
    some = of(panel, lambda run: changed(run, resumes=[RESUME]) if at_a_quarter(run) else run)
    (line,) = cautions(some)
    assert "Resumed after an interruption" in line and line.count("at iteration 30") == 2
    assert "ft-conv3 with 1/4 of the data, seed 1, at iteration 30" in line


def test_groups_that_are_single_pictures_are_said(panel):
    test = SimpleNamespace(group=np.array(["a", "b"]), items=("a", "b"))

    def alone(run):
        found = changed(run)
        found.__dict__["test"] = test
        return found

    (line,) = cautions(of(panel, alone))
    assert line.startswith(f"{panel.title}: Groups are single images and their near-duplicates")


def test_seeds_that_hardly_vary_the_split_are_said_and_one_split_is_not(panel):
    (line,) = cautions(of(panel, lambda run: changed(run, data=True)))
    assert line.startswith(f"{panel.title}: 1 distinct test set among 2 seeds, 100 % in common on average")
    assert list(cautions(of(panel, lambda run: changed(run, data=True, request={"seed": 0})))) == []


def test_the_answer_has_them_for_every_panel(tmp_path):
    made = grid_page.material(tmp_path, fractions=("1",))
    panels = tuple(of(panel, lambda run: changed(run, warnings=["odd"])) for panel in made.panels)
    text = model.markdown([answer.answer(replace(made, panels=panels))])
    assert all(f"{panel.title}: Warning by all 8 runs: odd" in text for panel in panels)


@pytest.mark.parametrize(
    ("split", "seeds", "shown"), [(None, (0, 1), None), (0, (0, 1), "0"), (7, (0,), "7"), (None, (1,), None)]
)
def test_one_split_of_all_seeds_is_a_setting(panel, split, seeds, shown):
    runs = [run for run in panel.runs if run.settings.seed in seeds]
    own = Panel(panel.evidence, tuple(runs if split is None else [changed(r, request={"seed": split}) for r in runs]))
    rows = {row[0]: row[1] for row in _table(record_part.settings(Material("mine", "", (own,), None, len(runs)))).rows}
    assert rows.get("SPLIT_SEED") == shown and "SEED" not in rows


def _table(section: model.Section) -> model.Table:
    return next(block for block in section.blocks if isinstance(block, model.Table))


def test_runs_that_two_panels_share_are_counted_once(panel):
    other = Panel(replace(panel.evidence, title="frames, alexnet, other.caffemodel"), panel.runs[-4:])
    made = Material("mine", "", (panel, other), None, 16)
    assert len(made.runs) == 16
    assert "Hashes of 16 runs" in model.markdown([record_part.versions(made)])
