"""What a design can show: by hand, with more seeds and groups, and in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grid_evidence import drawn
from scipy.stats import nct
from scipy.stats import t as student

from pycaffe_ext.evaluation.findings import power
from pycaffe_ext.evaluation.findings.power import Design, smallest, text

DESIGN = Design(seeds=5, groups=379, shares=(1, 1 / 4, 1 / 20), schemes=4, tests=6)


def test_without_error_of_cases_the_gap_is_that_of_a_t_test():
    calm = replace(power.AUC, scratch_cases=1e-9)
    gap = smallest(DESIGN, calm).gap
    chance = nct.sf(student.isf(0.025, 4), 4, gap / (calm.scratch / np.sqrt(5)))
    assert chance == pytest.approx(0.8, abs=1e-3)


def test_it_falls_with_seeds_and_groups_and_grows_with_tests_and_fractions():
    found = smallest(DESIGN, power.AUC)
    more = smallest(replace(DESIGN, seeds=10, groups=1000), power.AUC)
    for name in ("gap", "growth", "margin", "margin_scratch"):
        assert 0 < getattr(more, name) < getattr(found, name)
    assert smallest(replace(DESIGN, tests=1), power.AUC).growth < found.growth
    assert found.margin < found.margin_scratch
    two = smallest(replace(DESIGN, shares=(1, 1 / 4), tests=1), power.AUC)
    assert two.growth == pytest.approx(two.gap * np.sqrt(2))  # the difference of two gaps


def test_one_seed_shows_nothing_and_one_fraction_no_growth():
    assert smallest(replace(DESIGN, seeds=1), power.AUC) is None
    assert smallest(replace(DESIGN, shares=(1.0,)), power.AUC).growth is None
    assert smallest(replace(DESIGN, schemes=1), power.AUC).margin is None
    tuned = smallest(replace(DESIGN, scratch=False), power.AUC)
    assert (tuned.gap, tuned.growth, tuned.margin_scratch) == (None, None, None)
    assert tuned.margin == smallest(DESIGN, power.AUC).margin
    (line,) = text(["polyp"], replace(DESIGN, seeds=1), power.AUC, "AUC", True)
    assert (
        line == "polyp: 1 seed: nothing can be shown, as training chance stays unknown; give SEEDS two or more numbers"
    )


def test_the_plan_in_words():
    lines = text(["polyp", "frames"], DESIGN, power.AUC, "AUC", False)
    found, more = smallest(DESIGN, power.AUC), smallest(replace(DESIGN, seeds=10), power.AUC)
    assert lines == [
        "polyp; frames: 5 seeds, 379 test groups assumed, as no run has counted them yet; smallest that is shown with a"
        " chance of 80%, in AUC",
        *(
            f"  {words}: {getattr(found, name):.3f} ({getattr(more, name):.3f} with 10 seeds)"
            for name, words in power.SIZES.items()
        ),
    ]
    assert lines[2].startswith("  growth of that gap from all data to the fewest (claim 2): 0.")
    assert "(claim 2): none below 1" in "\n".join(text(["polyp"], replace(DESIGN, seeds=2), power.AUC, "AUC", True))
    (unknown,) = text(["imt"], DESIGN, None, "mm", True)
    assert unknown == (
        "imt: 5 seeds: how much its figure (mm) varies is not known before two seeds of its runs are finished"
    )
    assert "training 0.005 between fine-tunings and 0.037 to scratch" in power.assumptions(power.AUC)


def test_finished_runs_tell_their_own_spreads():
    means = {"ft-fc8": {"1": 0.7}, "ft-conv4": {"1": 0.8}, "ft-conv1": {"1": 0.8}, "scratch": {"1": 0.6}}
    found = power.measured(drawn(means, seeds=300, training=0.004, case_sd=0.01, groups=50))
    assert (found.tuned, found.scratch) == pytest.approx((0.004 * np.sqrt(2),) * 2, rel=0.1)
    assert (found.tuned_cases, found.scratch_cases) == pytest.approx((0.01 * np.sqrt(2),) * 2)
    assert (found.groups, found.source) == (50, "finished runs of polyp, alexnet, 300 seeds")
    assert power.measured(drawn(means, seeds=1)) is None
    assert power.measured(drawn({name: means[name] for name in ("ft-fc8", "scratch")})) is None
