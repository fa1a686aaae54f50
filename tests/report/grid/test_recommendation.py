"""The recommendation on a grid's page: what was not compared, where the margin comes from, what a mean is over."""

from __future__ import annotations

from dataclasses import replace

import grid_page
import numpy as np
import pytest

from pycaffe_ext.evaluation.findings.every import findings
from pycaffe_ext.report import model
from pycaffe_ext.report.grid import answer, paper_part
from pycaffe_ext.report.grid.material import Material, Panel


@pytest.fixture(scope="module")
def panel(tmp_path_factory) -> Panel:
    """Three seeds of four schemes, the deepest by far the best."""
    root = tmp_path_factory.mktemp("runs")
    return grid_page.material(root, seeds=(0, 1, 2), fractions=("1",)).panels[0]


def unfinished(panel: Panel, scheme: str, seeds: list[int]) -> Panel:
    own = panel.evidence
    values = own.figure.values.copy()
    values[seeds, own.column(scheme, "1")] = np.nan
    runs = [run for run in panel.runs if run.settings.scheme != scheme or run.settings.seed not in seeds]
    return Panel(replace(own, figure=replace(own.figure, values=values)), tuple(runs))


def text_of(panel: Panel) -> tuple[str, str, str]:
    """The answer, the recommendations and the paper's tables, as Markdown."""
    made = Material("mine", "", (panel,), findings([panel.evidence], draws=500), len(panel.runs))
    parts = answer.answer(made), answer.recommendations(made), paper_part.section(made)
    lead, table, depths = (model.markdown([part]) for part in parts)
    return lead, table, depths


@pytest.mark.parametrize(("seeds", "count"), [([1, 2], "1 seed"), ([0, 1, 2], "no finished run")])
def test_schemes_that_were_not_compared_are_named_wherever_it_says_what_to_do(panel, seeds, count):
    lead, table, depths = text_of(unfinished(panel, "ft-conv1", seeds))
    (sentence,) = [line for line in lead.splitlines() if "commended" in line and "frames, alexnet" in line]
    assert f"not compared: ft-conv1 ({count})" in sentence
    rows = [line for line in table.splitlines() if line.startswith("|")]
    (advice,) = [row for row in rows if row.startswith("| all data |")]
    assert f"not compared: ft-conv1 ({count}) |" in advice
    (chance,) = [row for row in rows if row.startswith("| ft-conv1 | all data |") and "not compared" in row]
    assert f"| \\- | not compared: {count} |" in chance
    assert f"not compared: ft-conv1 ({count})" in depths


def test_nothing_is_named_where_all_were_compared_or_nothing_could_be(panel):
    assert not any("not compared" in text for text in text_of(panel))
    alone = panel
    for scheme in ("ft-fc8", "ft-conv3", "ft-conv1", "scratch"):
        alone = unfinished(alone, scheme, [1, 2])
    lead, _, _ = text_of(alone)
    assert "not compared" not in lead and "nothing to compare" in lead


def test_means_over_other_seeds_than_the_probabilities_say_so(panel):
    _, table, _ = text_of(unfinished(panel, "ft-fc8", [2]))
    rows = [line for line in table.splitlines() if line.startswith("| ft-") and "| all data | 0." in line]
    note = "the mean is over all 3 seeds of this scheme, the probability over the 2 that all schemes compared have"
    assert {row.split(" | ")[0]: note in row for row in rows} == {
        "| ft-fc8": False,
        "| ft-conv3": True,
        "| ft-conv1": True,
    }


def test_the_page_says_where_the_margin_comes_from(panel):
    _, table, _ = text_of(panel)
    assert "Margin: 0.02 AUC, the default for this figure." in table
    assert "must be fixed before the results" in table and "was fixed" not in table
    own = panel.evidence
    given = replace(own, merit=replace(own.merit, margin=0.05))
    assert "Margin: 0.05 AUC, given as MARGIN in the study file." in text_of(Panel(given, panel.runs))[1]


def test_a_claim_is_said_with_its_note(panel):
    made = grid_page.findings([panel.evidence])
    noted = replace(made, claims=tuple(replace(claim, note=f"note {i}") for i, claim in enumerate(made.claims)))
    text = model.markdown([answer.answer(Material("mine", "", (panel,), noted, 12))])
    shown = [f"; note {i}." in text for i, claim in enumerate(noted.claims) if claim.primary]
    assert all(shown) and len(shown) == 6
