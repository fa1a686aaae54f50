"""Intervals and tests against a truth that is known: worlds of normal scores, whose figures have closed forms."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from pycaffe_ext.commands import coverage
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import (
    class_worlds,
    fall_worlds,
    fold_worlds,
    froc,
    roc,
    simulation,
    study_worlds,
    summaries,
    trials,
)
from pycaffe_ext.evaluation.class_worlds import ClassWorld
from pycaffe_ext.evaluation.findings import worlds as grid_worlds
from pycaffe_ext.evaluation.simulation import MEANINGS, shares, trial
from pycaffe_ext.evaluation.study_worlds import StudyWorld
from pycaffe_ext.evaluation.worlds import WORLDS, World, draw
from pycaffe_ext.report import claims_worlds


def covers(share):
    return 0.93 <= share <= 0.97


def at_level(share):
    return 0.03 <= share <= 0.07


@pytest.mark.parametrize(
    "world",
    [
        World(1500, 1500, frames=8, sensitivity=(0.7, 0.9)),
        World(3000, 3000, frames=4, uneven=1.0, swarm=1.0, sensitivity=(0.7, 0.9)),
        World(3000, 1500, frames=3, lesions=3, sensitivity=(0.7, 0.9)),
    ],
    ids=["equal", "unequal", "lesions"],
)
def test_the_closed_forms_are_those_of_a_large_sample(world):
    sample = draw(world, np.random.default_rng(0))
    afroc = summaries.afroc_figure().value
    for k, cases in enumerate(sample.cases):
        curve = froc.curve(cases)
        above = curve.threshold >= world.threshold
        assert curve.false_positives[above][-1] / curve.frames == pytest.approx(world.rate, rel=0.05)
        rates = (0.125, 0.5, world.rate, 2.0)
        found = [froc.sensitivity_at(curve, rate) for rate in rates]
        assert found == pytest.approx(world.sensitivities(rates)[:, k], abs=0.03)
        assert found[2] == pytest.approx(world.sensitivity[k], abs=0.03)
        assert summaries.area_to(curve, 2.0) == pytest.approx(world.area(2.0)[k], abs=0.02)
        assert roc.auc(sample.label, cases.score) == pytest.approx(world.auc[k], abs=0.02)
        assert afroc(cases) == pytest.approx(world.afroc[k], abs=0.02)
    assert world.sensitivities([100.0]).tolist() == [[1, 1]]
    scores = np.array([cases.score[sample.label == 0] for cases in sample.cases])
    assert np.corrcoef(scores)[0, 1] == pytest.approx(world.shared, abs=0.03)


def test_worlds_are_as_they_say():
    world = World(400, 200, frames=10, lesions=3, uneven=1.0, swarm=1.0)
    sample = draw(world, np.random.default_rng(1))
    lengths = np.bincount(sample.group)
    assert lengths.min() >= 1 and lengths.mean() == pytest.approx(10, rel=0.2) and lengths.std() > 8
    cases = sample.cases[0]
    assert (cases.lesions == 3 * (sample.group < 400)).all()
    assert sorted(set(cases.lesion[sample.label == 1])) == [1, 2, 3] and (cases.lesion[sample.label == 0] == 0).all()
    false = np.bincount(sample.candidate_group[sample.label == 0], minlength=600) / lengths
    assert false.mean() == pytest.approx(4, rel=0.2) and false.std() > 3
    with pytest.raises(UserError, match="no frame of this set has a lesion"):  # all clean: nothing can be measured
        draw(World(0, 20), np.random.default_rng(0))


def test_independent_frames():
    """Here the exact interval and DeLong's are right, and the paper's rule errs far less often than 5 %."""
    found = shares(WORLDS["400 pictures without groups"], repetitions=700, resamples=0, seed=1)
    assert covers(found["exact_at_threshold"]) and covers(found["delong"]) and at_level(found["delong_test"])
    assert found["rule"] < 0.01 and found["auc_rule"] < 0.01


CLUSTERED = World(20, 20, frames=4, false=3, uneven=1.0, swarm=1.0)


@pytest.mark.slow
def test_unequal_videos_with_swarms():
    """Lesions of a video are found or missed together, and videos count unequally: what counts by video covers the
    truth, what does not is too narrow."""
    found = shares(CLUSTERED, repetitions=120, resamples=80, seed=1)
    assert all(found[name] >= 0.95 for name in ("group", "difference")), found
    by_group = ("mean", "area", "afroc", "group_at_threshold", "false_positives", "group_auc")
    assert all(found[name] >= 0.9 for name in by_group), found
    assert all(found[name] <= 0.07 for name in ("test", "holm", "max_t", "mean_test", "auc_test", "afroc_test")), found
    assert found["exact_at_rate"] < 0.9 and found["delong"] < 0.85 and found["delong_test"] > 0.1, found


def test_a_true_difference_is_found_more_often_than_by_the_rule():
    found = shares(World(40, frames=4, false=3, sensitivity=(0.85, 0.7)), repetitions=25, resamples=100, seed=1)
    assert found["test"] > found["rule"] + 0.2 and found["max_t"] >= found["holm"], found
    assert "afroc" not in found  # no frame is without lesions


def test_samples_where_all_is_found_still_cover_the_truth():
    """99 % of 60 lesions: half of the samples have no miss, and a bootstrap no spread."""
    world = World(20, frames=3, sensitivity=(0.99, 0.99))
    rng = np.random.default_rng(2)
    samples = [draw(world, rng) for _ in range(60)]
    perfect = [s for s in samples if froc.sensitivity_at(froc.curve(s.cases[0]), world.rate) == 1]
    assert len(perfect) > 20
    outcomes = [trial(world, sample, 60, i) for i, sample in enumerate(perfect[:15])]
    assert all(outcome["group"] and outcome["group_at_threshold"] for outcome in outcomes)


def test_outcomes_do_not_depend_on_the_number_of_processes():
    world = World(6, 6, frames=3)
    assert shares(world, 4, 20, seed=3) == shares(world, 4, 20, seed=3, workers=2)
    assert shares(world, 4, 20, seed=3) != shares(replace(world, spread=3.0), 4, 20, seed=3)


def test_the_tool_prints_every_figure(monkeypatch, capsys):
    small = {"a null": World(6, 6, frames=3), "other nets": World(6, 6, frames=3, sensitivity=(0.9, 0.5))}
    usual = ((simulation, "WORLDS", small), (class_worlds, "WORLDS", {"patients": ClassWorld(8, 5)}))
    few = [
        (module, name, dict([*getattr(module, name).items()][:1]))
        for module, name in (
            (claims_worlds, "INTERVALS"),
            (claims_worlds, "POWERS"),
            (fold_worlds, "WORLDS"),
            (fall_worlds, "WORLDS"),
            (grid_worlds, "WORLDS"),
        )
    ]
    studies = (claims_worlds, "WORLDS", {"equal schemes": StudyWorld(claims_worlds.schemes(), groups=40, pool=80)})
    for module, name, worlds in (*usual, *few, studies):
        monkeypatch.setattr(module, name, worlds)
    monkeypatch.setattr(coverage, "run", partial(trials.run, workers=1))
    arguments = ["--repetitions", "2", "--resamples", "100", "--studies", "1"]
    coverage.main(arguments)
    printed, progress = capsys.readouterr()
    meanings = (*MEANINGS.values(), *class_worlds.MEANINGS.values(), *study_worlds.MEANINGS.values())
    assert all(
        text in printed
        for text in (
            *meanings,
            *fold_worlds.MEANINGS.values(),
            *fall_worlds.MEANINGS.values(),
            *(grid_worlds.MEANINGS[name] for name in ("gap", "best", "alike", "recommended", "twice")),
            "a null\n",
            "other nets: power\n",
            "patients\n",
        )
    )
    assert all(text in printed for text in (*claims_worlds.INTERVALS, *claims_worlds.WORLDS, *claims_worlds.POWERS))
    assert claims_worlds.SOONER in printed and "of the studies have a false verdict" in printed
    assert "coverage: 8 worlds, " in progress
    with pytest.raises(UserError, match="--repetitions and --studies must be 1 or more"):
        coverage.main([*arguments, "--repetitions", "0"])


def test_there_are_worlds_of_every_kind():
    worlds = WORLDS.values()
    kinds = {
        "equal": any(not w.uneven for w in worlds),
        "unequal": any(w.uneven for w in worlds),
        "few": any(w.videos <= 5 for w in worlds),
        "many": any(w.videos >= 60 for w in worlds),
        "swarms": any(w.swarm for w in worlds),
        "mostly clean": any(w.clean >= 5 * w.videos for w in worlds),
        "several lesions": any(w.lesions > 1 for w in worlds),
        "pictures": any(w.frames == 1 for w in worlds),
        "power": any(w.sensitivity[0] != w.sensitivity[1] for w in worlds),
    }
    assert all(kinds.values()), kinds
