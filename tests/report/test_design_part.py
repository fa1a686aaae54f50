"""What a report says of seeds, folds and the part set aside, from the settings and test sets of its runs."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from pycaffe_ext.applications import registry
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.components import ONE_SPLIT, OWN_SPLITS
from pycaffe_ext.evaluation.contrasts import Figure, contrast_test
from pycaffe_ext.report import design_part
from pycaffe_ext.runs import finished
from pycaffe_ext.runs.finished import Study
from pycaffe_ext.runs.settings import Settings

HALF = {"train": {"groups": 3}, "val": {"groups": 1}, "test": {"groups": 4}}


def run_of(settings: Settings, groups, facts=HALF, tuning=(), items=None, share=()) -> SimpleNamespace:
    test = SimpleNamespace(group=np.array(groups), items=items or tuple(f"{g}/{i}" for i, g in enumerate(groups)))
    packed = SimpleNamespace(facts=facts, tuning=dict(tuning), share=dict(share))
    same, application = bool(settings.request.data), registry.load(settings.app)
    return SimpleNamespace(
        settings=settings,
        application=application,
        test=test,
        packed=packed,
        folder=settings.name(),
        tuned=False,
        same_groups=same,
    )


def study_of(test_sets: dict[int, str], **options) -> Study:
    """A study of one net; test_sets : seed -> the groups of its test frames, a letter each."""
    settings = {seed: Settings.of("polyp", "scratch", data="frames", seed=seed, **options) for seed in test_sets}
    runs = [run_of(own, list(test_sets[seed])) for seed, own in settings.items()]
    return Study(tuple(runs), "alexnet")


def study_in_folds(seeds=(0,), folds=3, **options) -> Study:
    runs = [
        run_of(Settings.of("polyp", "scratch", data="x", seed=s, folds=folds, fold=f, **options), [f"g{f}", f"h{f}"])
        for s in seeds
        for f in range(1, folds + 1)
    ]
    return Study(tuple(runs), "alexnet")


def test_overlap_as_by_chance_is_reported_without_a_warning():
    study = study_of({0: "abcd", 1: "cdef", 2: "efgh"})
    assert design_part.overlap_text(study) == (
        "33 % on average, at most 50 % (halves drawn by chance: 50 %); 3 distinct test sets among 3 seeds"
    )
    assert design_part.notes(study) == []


@pytest.mark.parametrize("sets", [{0: "abcd", 1: "efgh", 2: "abcd"}, {0: "abcd", 1: "abce", 2: "abcf"}])
def test_test_sets_that_repeat_or_share_too_much_are_warned_of(sets):
    (note,) = design_part.notes(study_of(sets))
    different = len({frozenset(own) for own in sets.values()})
    assert note.startswith(f"{different} distinct test sets among 3 seeds") and "hardly vary the split" in note


def test_chance_goes_by_what_may_be_tested():
    """A fifth is set aside: half of the rest is tested."""
    run = run_of(Settings.of("polyp", "scratch", data="x"), ["a"], HALF, {"share": 0.2, "groups": 2, "items": 9})
    assert design_part.tested_share(Study((run,), "alexnet")) == pytest.approx(4 / 6)


def test_a_fraction_does_not_change_what_may_be_tested():
    """A quarter of 4 training groups is one; the test still has 4 of 9."""
    facts = {"train": {"groups": 1}, "val": {"groups": 1}, "test": {"groups": 4}}
    share = {"share": "1/4", "groups": 1, "of": 4}
    run = run_of(Settings.of("polyp", "scratch", data="x", fraction="1/4"), ["a"], facts, share=share)
    assert design_part.tested_share(Study((run,), "alexnet")) == pytest.approx(4 / 9)


def test_the_training_groups_of_a_fraction_are_said():
    own = [Settings.of("polyp", "scratch", data="x", fraction="0.25", seed=seed) for seed in (0, 1)]
    shares = [{"share": "1/4", "groups": groups, "of": 4 * groups} for groups in (5, 6)]
    runs = tuple(run_of(one, ["a"], share=share) for one, share in zip(own, shares, strict=True))
    text = design_part.share_text(Study(runs, "alexnet"))
    assert text.startswith("5 of 20 or 6 of 24 (FRACTION=1/4), drawn by the split's seed")
    assert design_part.share_text(study_of({0: "ab"})) == "all (FRACTION=1)"


def test_fractions_are_not_reported_together():
    runs = [
        run_of(Settings.of("polyp", "scratch", data="x", seed=s, fraction=f), ["a"]) for s, f in ((0, "1"), (1, "1/4"))
    ]
    with pytest.raises(UserError, match="are of different training fractions; report on them one by one"):
        finished.study(runs)


def test_one_split_for_all_seeds_is_said_and_not_warned_of():
    study = study_of({0: "abcd", 1: "abcd"}, split_seed=5)
    assert design_part.overlap_text(study).endswith("one test set for all seeds") and not design_part.notes(study)
    assert "all seeds have one split into training and test groups (SPLIT_SEED=5)" in design_part.seeds_text(study)


def test_folds_are_described():
    study = study_in_folds((0, 1))
    assert [str(trial) for trial in study.seeds] == [f"{s} fold {f}" for s in (0, 1) for f in (1, 2, 3)]
    assert design_part.seeds_line(study) == "0, 1, 3 folds each; figures of single runs show seed 0 fold 1"
    assert design_part.seeds_text(study).startswith("Mean over 3 folds of each of 2 seeds with its 95 % interval")
    assert design_part.overlap_text(study) == "every group is tested by one fold of each seed"
    assert design_part.overlap(study) is None and design_part.notes(study) == []


def test_halves_and_folds_are_not_reported_together(monkeypatch):
    monkeypatch.setattr(finished, "_check_one_source", lambda runs: None)
    with pytest.raises(UserError, match="are of FOLDS=3 and FOLDS=; report on them one by one"):
        finished.study([*study_in_folds().runs, *study_of({7: "ab"}).runs])


def test_the_part_set_aside_stands_beside_the_tables():
    tuning = {"share": 0.2, "groups": 212, "items": 214}
    run = run_of(Settings.of("polyp", "scratch", data="x"), ["p1", "p2"], HALF, tuning, items=("p1", "p2"))
    text = design_part.seeds_text(Study((run,), "alexnet"))
    assert "never validated or tested on: 212 groups with 214 items (TUNING=0.2)" in text
    assert "the data name no video or patient" in text
    assert "no video or patient" not in design_part.seeds_text(study_of({0: "ab"}))
    assert "no part was set aside" in design_part.seeds_text(study_of({0: "ab"}))


def figure_of(study: Study, columns: int = 1) -> Figure:
    rng, rows = np.random.default_rng(0), len(study.seeds)
    covariance = np.einsum("ij,ab->iajb", 1e-5 * np.eye(rows), np.eye(columns))
    return Figure(0.8 + 0.05 * rng.normal(size=(rows, columns)), covariance, 40)


@pytest.mark.parametrize(
    ("study", "allowed", "reason"),
    [
        (study_of({0: "ab", 1: "bc", 2: "cd"}), {"split and training"}, OWN_SPLITS),
        (study_of({0: "ab", 1: "ab", 2: "ab"}, split_seed=0), {"training"}, ONE_SPLIT),
        (study_in_folds((0, 1, 2), split_seed=0), {"split", "training"}, ""),
    ],
    ids=["own splits", "one split", "folds with one split"],
)
def test_components_are_shown_where_the_design_allows_them(tmp_path, study, allowed, reason):
    section = design_part.variance(tmp_path, study, figure_of(study), ["scratch"], "AUC")
    table = next(block for block in section.blocks if not isinstance(block, str))
    shown = {name for name, cell in zip(table.header[1:], table.rows[0][1:], strict=True) if cell != "-"}
    assert shown == {*allowed, "cases of a test set"}
    assert (reason in section.blocks[-1]) if reason else section.blocks[-1] is table
    with (tmp_path / "components.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["trials"] == str(len(study.seeds))
    assert bool(row["training_sd"]) == ("training" in allowed)


def test_seeds_with_one_test_set_have_all_the_cases_in_common():
    """Equal test sets: the interval over seeds keeps the whole variance of the cases, however many seeds there are."""
    study = study_of(dict.fromkeys(range(20), "abcd"), split_seed=0)
    rng = np.random.default_rng(1)
    values = np.stack([0.8 + 1e-4 * rng.normal(size=20), 0.7 + 1e-4 * rng.normal(size=20)], axis=1)
    covariance = np.einsum("ij,ab->iajb", np.full((20, 20), 4e-4), np.eye(2))
    found = contrast_test(Figure(values, covariance, 40), np.array([1.0, -1.0])).estimate
    assert found.case_error == pytest.approx(np.sqrt(8e-4)) and found.seeds == len(study.seeds)
    assert found.interval().high - found.value == pytest.approx(2.02 * np.sqrt(8e-4), rel=0.01)


def test_frames_that_each_seed_degrades_in_its_own_way_are_one_study():
    """DEGRADE=1 draws which frames are degraded, and how, by the seed; the frames and their groups are the same."""

    def study(**options) -> Study:
        runs = []
        for seed in (0, 1):
            own = run_of(Settings.of("frames", "scratch", data="x", seed=seed, **options), ["a", "b"])
            own.packed.fingerprint = f"of seed {seed}"
            runs.append(own)
        finished._check_one_source(runs)
        return Study(tuple(runs), "alexnet")

    found = study(degrade="1")
    assert design_part.test_groups(found) == {0: ["a", "b"], 1: ["a", "b"]}
    with pytest.raises(UserError, match="are of different frames"):
        study(degrade="0")
