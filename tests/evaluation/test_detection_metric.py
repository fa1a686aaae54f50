"""The numbers and tables of a run's test: what result.json, froc.csv and roc.csv say, and what is read back."""

import csv
import time

import numpy as np
import pytest

from pycaffe_ext.data.items import Samples
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import froc, operating, roc
from pycaffe_ext.evaluation.metrics import detection as results
from pycaffe_ext.evaluation.metrics.base import PatchScores, TestData
from pycaffe_ext.evaluation.metrics.detection import Detection, Evaluation, curve_rows, roc_rows, score_rows, summary
from pycaffe_ext.evaluation.words import Words
from pycaffe_ext.files import write_csv, write_json
from tests.evaluation.test_evaluation import random_cases


def evaluation(seed=0, frames=40, groups=12, views=4):
    """An evaluation with `views` patches of each candidate."""
    rng = np.random.default_rng(seed)
    cases = random_cases(rng, frames=frames, ties=False)
    order = np.lexsort([cases.frame])
    frame, lesion = cases.frame[order], cases.lesion[order]
    candidate = np.repeat(np.arange(frame.size), views)
    own = 0.7 * rng.beta(2, 2, frame.size) + 0.2 * (lesion > 0)  # patches of a candidate are alike
    probability = own[candidate] + 0.1 * rng.random(candidate.size)
    network = froc.Cases(frame, froc.candidate_scores(candidate, probability, frame.size), lesion, cases.lesions)
    detector = froc.Cases(frame, rng.normal(size=frame.size), lesion, cases.lesions)
    rank = np.concatenate([np.arange(n) for n in np.bincount(frame, minlength=frames)])
    names = tuple(f"frame{i:03d}" for i in range(frames))
    group = np.array([f"video{i % groups}" for i in range(frames)])
    patches = (lesion > 0).astype(int)[candidate], candidate, probability
    return Evaluation(network, detector, group, names, rank, *patches)


def test_data(found: Evaluation) -> TestData:
    own = found.baseline
    place = np.zeros((own.frame.size, 4), np.float32)
    label = (own.lesion > 0).astype(np.int32)
    samples = Samples(own.frame, found.number, place, label, own.lesion, own.lesions, own.score)
    return TestData(found.frames, found.group, samples, ("no polyp", "polyp"))


test_data.__test__ = False


def test_an_evaluation_is_read_back(tmp_path):
    found = evaluation()
    write_csv(tmp_path / "scores.csv", Words().score_header, score_rows(found))
    again = Detection().read(tmp_path, test_data(found))
    for who in results.WHO:
        for name in ("frame", "score", "lesion", "lesions"):
            np.testing.assert_array_equal(getattr(again.of(who), name), getattr(found.of(who), name))
    np.testing.assert_array_equal(again.group, found.group)
    assert again.name(5) == found.name(5) and again.patch_label is again.patch_candidate is None
    assert curve_rows(again) == curve_rows(found)


def test_scores_of_other_candidates_are_refused(tmp_path):
    found = evaluation()
    rows = score_rows(found)
    with pytest.raises(UserError, match=r"scores\.csv is missing"):
        Detection().read(tmp_path, test_data(found))
    for wrong in (rows[:-1], rows[1:] + rows[:1], [(*rows[0][:2], 9, *rows[0][3:]), *rows[1:]]):
        write_csv(tmp_path / "scores.csv", Words().score_header, wrong)
        with pytest.raises(UserError, match="not the candidates that were tested"):
            Detection().read(tmp_path, test_data(found))


def test_a_candidate_has_the_mean_of_its_patches():
    """Whatever classes but class 0 there are count together."""
    found = evaluation()
    chance = np.stack([1 - found.patch_probability, found.patch_probability / 4, found.patch_probability * 3 / 4], 1)
    scores = PatchScores(found.patch_candidate, 2 * found.patch_label, chance)
    again = Detection().evaluate(test_data(found), scores)
    np.testing.assert_allclose(again.cases.score, found.cases.score, rtol=1e-12)
    assert summary(again, 0)["patch_auc"] == pytest.approx(summary(found, 0)["patch_auc"])
    assert Detection().validation(chance, 2 * found.patch_label) == pytest.approx(
        roc.auc(found.patch_label, found.patch_probability)
    )


def test_the_headline_is_the_endpoint():
    result = Detection().result(evaluation(), 0)
    headline, alone = Detection().headline(result), Detection().headline(result, of_baseline=True)
    (point,) = (p for p in result["network"]["lesion"] if p["at_most_false_positives_per_frame"] == 1)
    assert (headline.value, headline.low, headline.high) == (point["sensitivity"], *point["group_bootstrap_95"])
    assert headline.name == "sensitivity at 1 false positive a frame" and alone.value != headline.value


def test_the_summary(tmp_path):
    found = evaluation()
    probability = found.patch_probability
    said = summary(found, seed=3)
    write_json(tmp_path / "result.json", said)  # refuses NaN
    assert said["patch_auc"] == roc.auc(found.patch_label, probability)
    assert said["candidate_auc"] == roc.auc(found.label, found.cases.score)
    assert said["detector_auc"] == roc.auc(found.label, found.baseline.score)
    assert said["patch_auc_95_delong"] == list(roc.auc_interval(found.patch_label, probability))
    delong, group = (np.diff(said[f"patch_auc_95_{how}"])[0] for how in ("delong", "group"))
    assert delong < 0.7 * group, "DeLong's takes the patches of a candidate as independent"
    assert said["groups"] == 12 and said["enough_groups"] and said["lesions"] == found.cases.lesions.sum()
    for who in results.WHO:
        for by in froc.SENSITIVITIES:
            curve = froc.curve(found.of(who))
            low, high = operating.group_intervals(found.of(who), found.group, results.RATES, by, seed=3)
            for i, point in enumerate(said[who][by]):
                rate = point["at_most_false_positives_per_frame"]
                assert point["sensitivity"] == froc.sensitivity_at(curve, rate, by)
                assert point["group_bootstrap_95"] == [low[i], high[i]]
                assert point["reached"] == (curve.false_positives[-1] >= rate * 40)


def test_few_groups_in_the_summary():
    found = evaluation(groups=3)
    assert not summary(found, 0)["enough_groups"]
    found = evaluation(groups=1)
    said = summary(found, 0)
    assert said["groups"] == 1 and said["patch_auc_95_group"] is said["candidate_auc_95_group"] is None
    assert all(point["group_bootstrap_95"] is None for point in said["network"]["lesion"])
    assert all(row[-1] == row[-2] == "" for row in curve_rows(found))


def test_a_single_hit_has_no_interval_of_delong():
    lesions = np.r_[np.ones(10, int), np.zeros(10, int)]
    cases = froc.Cases(np.arange(20), np.linspace(0.9, 0.1, 20), np.r_[0, 1, np.zeros(18)], lesions)
    twice = np.repeat(cases.lesion, 2), np.repeat(np.arange(20), 2), np.repeat(cases.score, 2)
    found = Evaluation(cases, cases, np.arange(20), (), np.arange(20), *twice)
    said = summary(found, 0)
    assert said["candidate_auc"] == pytest.approx(18 / 19) and said["candidate_auc_95_delong"] is None
    assert said["patch_auc_95_delong"] is not None and said["patch_auc_95_group"] is None  # the one hit is one group's
    none = froc.Cases(np.arange(20), cases.score, np.zeros(20), lesions)
    with pytest.raises(UserError, match="all 20 cases are negative"):
        summary(
            Evaluation(none, none, np.arange(20), (), none.lesion, np.zeros(20, int), np.arange(20), cases.score), 0
        )


@pytest.mark.parametrize("who", results.WHO)
def test_the_tables_of_the_curves(tmp_path, who):
    found = evaluation()
    for name, header, rows in (("froc", Words().curve_header, curve_rows), ("roc", results.ROC_HEADER, roc_rows)):
        write_csv(tmp_path / f"{name}.csv", header, rows(found, who))
        with (tmp_path / f"{name}.csv").open() as file:
            table = list(csv.DictReader(file))
        kinds = ("lesion_sensitivity", "frame_sensitivity") if name == "froc" else ("sensitivity",)
        columns = {key: np.array([float(row[key]) for row in table]) for key in header[1:]}
        assert {row["scores"] for row in table} == {who}
        for kind in kinds:
            value = columns[kind]
            assert (np.diff(value) >= 0).all() and np.isfinite(value).all()
            for how in ("exact", "group"):
                low, high = columns[f"{kind}_{how}_low"], columns[f"{kind}_{how}_high"]
                assert (low <= value).all() and (value <= high).all() and (low < high).all()
        assert (np.diff(columns[header[2]]) >= 0).all() and (np.diff(columns["threshold"]) < 0).all()
    cases, curve = found.of(who), froc.curve(found.of(who))
    for threshold, rate, value in [(float(row[1]), float(row[2]), float(row[3])) for row in curve_rows(found, who)]:
        assert rate == ((cases.lesion == 0) & (cases.score >= threshold)).sum() / 40
        assert value == froc.sensitivity_at(curve, rate)


def test_the_summary_is_fast():
    """5000 candidates of 500 groups."""
    rng = np.random.default_rng(1)
    frame, lesions = np.repeat(np.arange(1000), 5), (rng.random(1000) < 0.6).astype(int)
    lesion = lesions[frame] * (rng.random(5000) < 0.3)
    cases = froc.Cases(frame, rng.random(5000), lesion, lesions)
    candidate = np.repeat(np.arange(5000), 8)
    patches = (lesion > 0).astype(int)[candidate], candidate, rng.random(40_000)
    found = Evaluation(cases, cases, np.arange(1000) // 2, (), lesion, *patches)
    start = time.process_time()
    summary(found, 0)
    assert time.process_time() - start < 5
