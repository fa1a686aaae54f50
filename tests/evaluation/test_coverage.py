"""Intervals and tests against a truth that is known: worlds of normal scores, whose sensitivities have closed forms."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pycaffe_ext.evaluation import froc, roc
from pycaffe_ext.evaluation.simulation import MEANINGS, WORLDS, World, draw, shares

TOOL = Path(__file__).resolve().parents[2] / "tools" / "coverage.py"


def covers(share):
    return 0.93 <= share <= 0.97


def at_level(share):
    return 0.03 <= share <= 0.07


def test_the_closed_forms_are_those_of_a_large_sample():
    world = World(1500, 1500, frames=8, sensitivity=(0.7, 0.9))
    sample = draw(world, np.random.default_rng(0))
    for cases, sensitivity, auc in zip(sample.cases, world.sensitivity, world.auc, strict=True):
        curve = froc.curve(cases)
        above = curve.threshold >= world.threshold
        assert curve.false_positives[above][-1] / curve.frames == pytest.approx(world.rate, rel=0.02)
        assert froc.sensitivity_at(curve, world.rate) == pytest.approx(sensitivity, abs=0.02)
        assert roc.auc(sample.label, cases.score) == pytest.approx(auc, abs=0.01)
    scores = np.array([cases.score[sample.label == 0] for cases in sample.cases])
    assert np.corrcoef(scores)[0, 1] == pytest.approx(world.shared, abs=0.02)


def test_independent_frames():
    """Here the exact interval and DeLong's are right, and the paper's rule errs far less often than 5 %."""
    found = shares(WORLDS["400 independent frames"], repetitions=700, resamples=0, seed=1)
    assert covers(found["exact_at_threshold"]) and covers(found["delong"]) and at_level(found["delong_test"])
    assert found["rule"] < 0.01 and found["auc_rule"] < 0.01


@pytest.mark.slow
def test_videos():
    """Lesions of a video are found or missed together: what counts by video is right, what does not is too narrow."""
    world = World(40, frames=4, false=3)
    found = shares(world, repetitions=300, resamples=150, seed=1)
    assert all(covers(found[name]) for name in ("group", "difference", "group_auc")), found
    assert at_level(found["test"]) and at_level(found["auc_test"]), found
    assert found["exact_at_rate"] < 0.9 and found["delong"] < 0.9 and found["delong_test"] > 0.1, found
    found = shares(replace(world, sensitivity=(0.85, 0.7)), repetitions=30, resamples=100, seed=1)
    assert found["test"] > found["rule"] + 0.2, (found, "a true difference is found more often than by the rule")


def test_the_tool_prints_every_figure():
    command = [sys.executable, TOOL, "--repetitions", "1", "--resamples", "100"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(text in printed for text in (*WORLDS, *MEANINGS.values()))
    wrong = subprocess.run([*command, "--repetitions", "0"], capture_output=True, text=True)
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: --repetitions must be 1 or more")
