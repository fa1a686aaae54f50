"""The paper's procedure replayed on a grid: what it comes to, what that loses, and why where there is none."""

from __future__ import annotations

from dataclasses import replace

import grid_page
import numpy as np
import pytest

from pycaffe_ext.evaluation.deepening import Scored
from pycaffe_ext.evaluation.metrics.base import patch_auc
from pycaffe_ext.report import model
from pycaffe_ext.report.grid import procedure_part
from pycaffe_ext.report.grid.material import Material, Panel
from pycaffe_ext.report.grid.procedure import replays
from pycaffe_ext.runs import rescoring

DEPTHS = ("ft-fc8", "ft-conv3", "ft-conv1")


def scored(skill: float, seed: int) -> Scored:
    """Of 40 groups of 6 patches, half of them positive."""
    label, noise = np.tile(np.arange(6) % 2, 40), np.random.default_rng(seed).normal(size=240)
    chance = 1 / (1 + np.exp(-(skill * label + noise)))
    return Scored(np.stack([1 - chance, chance], axis=1), label, np.repeat(np.arange(40), 6))


@pytest.fixture
def panel(tmp_path, monkeypatch):
    """panel(skills): one whose depths have these skills in validation, whatever the seed and the amount of data."""
    made = grid_page.material(tmp_path, fractions=("1", "1/4")).panels[0]
    assert tuple(made.depths) == DEPTHS

    def call(skills: tuple[float, float, float]) -> Panel:
        nets = {name: scored(skill, i) for i, (name, skill) in enumerate(zip(DEPTHS, skills, strict=True))}
        monkeypatch.setattr(rescoring, "kept_validation", lambda run: nets.get(run.settings.scheme))
        auc = {name: patch_auc(net.probability, net.label) for name, net in nets.items()}
        runs = []
        for run in made.runs:
            best = replace(run.result.best, validation_auc=auc.get(run.settings.scheme, 0.5))
            run.__dict__["result"] = replace(run.result, best=best)
            run.application.metric.validation = patch_auc
            runs.append(run)
        return Panel(made.evidence, tuple(runs))

    return call


def test_nets_that_grow_with_depth_are_followed_to_the_deepest(panel):
    (whole, quarter) = replays(panel((0.2, 1.0, 3.0)))
    assert (whole.fraction, quarter.fraction) == ("1", "1/4") and len(whole.made) == len(quarter.made) == 2
    for one in (*whole.made, *quarter.made):
        assert [step.name for step in one.steps] == list(DEPTHS) and one.choice == one.best == "ft-conv1"
        assert one.found and one.lost == one.test_lost == 0 and one.part == 1


def test_what_a_growth_that_is_not_shown_loses_is_told_in_validation_and_test(panel):
    own = panel((2.0, 1.0, 2.5))
    for one, row in zip(replays(own)[0].made, own.evidence.figure.values, strict=True):
        assert one.choice == "ft-fc8" and one.best == "ft-conv1" and not one.found
        assert one.lost == one.steps[-1].value - one.steps[0].value > 0
        columns = [own.evidence.column(name, "1") for name in ("ft-conv1", "ft-fc8")]
        assert one.test_lost == pytest.approx(row[columns[0]] - row[columns[1]])
    text = model.markdown([procedure_part.section(Material("mine", "", (own,), None, 1))])
    assert "| 0 of 2 [0.00, 0.84] | ft-fc8 (2) |" in text


def test_two_good_steps_below_are_enough_to_end(panel):
    """With three depths nothing is left out, so the part of the time is all of it."""
    assert [one.part for one in replays(panel((3.0, 1.0, 0.5)))[0].made] == [1.0, 1.0]


def test_what_cannot_be_replayed_says_why(panel, monkeypatch):
    own = panel((0.2, 1.0, 3.0))
    fewer = Panel(
        own.evidence, tuple(run for run in own.runs if (run.settings.scheme, run.settings.trial) != ("ft-conv3", 1))
    )
    (whole, _) = replays(fewer)
    assert [one.trial for one in whole.made] == [0] and whole.without == ("seed 1: ft-conv3 not finished",)
    schemes = tuple(one for one in own.evidence.schemes if one.name != "ft-conv3")
    assert replays(Panel(replace(own.evidence, schemes=schemes), own.runs)) == []

    monkeypatch.setattr(rescoring, "kept_validation", lambda run: None)
    text = model.markdown([procedure_part.section(Material("mine", "", (own,), None, 1))])
    assert "could not be replayed" in text and "repeat make study" in text
