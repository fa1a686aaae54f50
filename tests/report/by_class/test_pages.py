"""The report of a study of nets that classify images: its numbers are those of the runs, and nothing is left out."""

import csv
import re

import numpy as np
import provenance_lab
import pytest
from class_lab import Frames
from class_study import GAINS, write_study

from pycaffe_ext import plotting
from pycaffe_ext.evaluation import class_comparison, class_resampling, classes
from pycaffe_ext.evaluation.metrics.by_class import NETWORK, RocByClass
from pycaffe_ext.evaluation.seeds import seed_interval
from pycaffe_ext.report import design_part, study_parts
from pycaffe_ext.report.by_class import examples, pairs
from pycaffe_ext.report.by_class.material import Material

NAMES = ("cat", "<b>dog</b>", "a|b")


@pytest.fixture(scope="module")
def quick():
    """Few resamples and small pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_resampling, "RESAMPLES", 40)
        patch.setattr(plotting, "DPI", 30)
        yield


@pytest.fixture(scope="module")
def two(tmp_path_factory, quick):
    """A study of two classes with a baseline and two seeds, and the folder of its report."""
    return reported(tmp_path_factory.mktemp("two"), Frames(), ("blurred", "clear"))


@pytest.fixture(scope="module")
def three(tmp_path_factory, quick):
    options = {"seeds": (0,), "schemes": ("ft-fc8", "scratch"), "groups": 4}
    return reported(tmp_path_factory.mktemp("three"), RocByClass(), NAMES, **options)


def reported(root, metric, names, **options):
    study = write_study(root, metric, names, **options)
    out = root / "report"
    out.mkdir()
    metric.report(out, study, ["frames-ft-conv2"], {"progress": False})
    return study, out


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["two", "three"])
def test_every_file_is_on_the_page_and_every_link_leads_to_one(request, kind):
    _, out = request.getfixturevalue(kind)
    page, files = (out / "report.md").read_text(), {path.name for path in out.iterdir()}
    linked = set(re.findall(r"\]\(([^)]+)\)", page))
    assert linked <= files
    assert files - linked == {"report.md", "report.html"}
    html = (out / "report.html").read_text()
    assert html.count("data:image/png;base64,") == len([file for file in files if file.endswith(".png")])


@pytest.mark.parametrize("kind", ["two", "three"])
def test_every_number_leads_to_the_function_that_made_it(request, kind):
    provenance_lab.check_page((request.getfixturevalue(kind)[1] / "report.md").read_text())


def test_recall_by_group_is_that_of_the_scores(two):
    study, out = two
    images = study_parts.deepest(study).evaluation.images
    found = [row for row in rows(out / "recall_by_group.csv") if row["name"] == "ft-conv1"]
    assert sum(int(row["of"]) for row in found) == images.label.size
    for row in found:
        own = (images.group == row["group"]) & (images.label == ("blurred", "clear").index(row["class"]))
        assert int(row["of"]) == own.sum() and int(row["hits"]) == (images.predicted[own] == images.label[own]).sum()


def test_thresholds_and_the_reporting_table_are_on_the_page(two):
    study, out = two
    page = (out / "report.md").read_text()
    assert "## Thresholds from validation" in page and "highest sensitivity + specificity" in page
    assert "test: 15 groups, 90 images" in page
    found = rows(out / "thresholds.csv")
    own = [row for row in study.runs[0].result.thresholds if row["scores"] == NETWORK]
    assert [float(row["test_sensitivity"]) for row in found[:4]] == [row["test"]["sensitivity"] for row in own]
    assert {row["name"] for row in found} == {*GAINS, "random forest"}


def test_unfinished_runs_are_named_first(two):
    page = (two[1] / "report.md").read_text()
    assert page.index("Incomplete: 1 run of this study not finished: frames-ft-conv2") < page.index("## Data")


def test_names_of_classes_are_texts_on_the_page(three):
    assert "a\\|b" in (three[1] / "report.md").read_text()
    html = (three[1] / "report.html").read_text()
    assert "<b>dog" not in html
    assert "&lt;b&gt;dog&lt;/b&gt;" in html


def test_results_are_means_over_seeds(two):
    study, out = two
    found = {(row["name"], row["figure"]): row for row in rows(out / "results.csv")}
    for scheme in GAINS:
        values = [run.result.test[NETWORK]["auc"]["value"] for run in study.runs if study.name(run) == scheme]
        own, over = found[scheme, "AUC"], seed_interval(values, design_part.overlap(study).mean)
        assert (float(own["mean"]), float(own["t_low"])) == (pytest.approx(over.mean), pytest.approx(over.low))
    sensitivity = [
        run.result.test[NETWORK]["sensitivity_of_class"]["clear"][1]["sensitivity"] for run in study.runs[:2]
    ]
    assert float(found["ft-fc8", "sensitivity at specificity 0.9"]["mean"]) == pytest.approx(np.mean(sensitivity))
    assert ("random forest", "Brier score") in found


def test_counts_are_those_of_the_packed_data(two):
    counts = rows(two[1] / "counts.csv")
    assert {row["stage"]: row["test"] for row in counts if row["seed"] == "1"} == {
        "groups": "5",
        "images, blurred": "7",
        "images, clear": "7",
    }


def test_every_pair_is_compared_for_every_seed(two):
    study, out = two
    found = rows(out / "pairs.csv")
    assert len(found) == 2 * 2 * 6  # seeds, figures, pairs of three nets and the baseline
    runs = {name: run.evaluation.images for name, run in study.of_seed(1).items()}
    expected = class_comparison.compare({name: runs[name] for name in ("ft-fc8", "ft-conv1")}, seed=1)[0]
    own = next(
        row
        for row in found
        if (row["seed"], row["figure"], row["first"], row["second"]) == ("1", "AUC", "ft-fc8", "ft-conv1")
    )
    assert float(own["p"]) == pytest.approx(expected.difference.p)
    assert float(own["difference"]) == pytest.approx(expected.difference.value)
    assert float(own["effective_groups"]) == pytest.approx(expected.groups)
    assert all(float(row["p_max_t"]) >= float(row["p"]) for row in found)


def test_the_matrix_of_verdicts(two):
    material = Material(two[0])
    found = material.comparisons[0, class_comparison.AUC]
    names = list(material.main)
    matrix = pairs.verdicts(names, found)
    for row in found:
        first, second = names.index(row.first), names.index(row.second)
        assert matrix[first, second] == -matrix[second, first]
        assert (matrix[first, second] == 1) == row.verdict.startswith(f"{row.first} >")


def test_the_paper_s_rule_is_by_intervals_that_do_not_overlap(two):
    estimates = [own.auc for own in Material(two[0]).summaries[0].values()]
    matrix = pairs.bars(estimates)
    for i, first in enumerate(estimates):
        for j, second in enumerate(estimates):
            assert (matrix[i, j] == 1) == (first.image.low > second.image.high)


def test_the_deepest_net_is_shown(two):
    assert study_parts.deepest(two[0]).settings.scheme == "ft-conv1"


def test_the_extreme_images_are_those_of_the_scores(two):
    study, out = two
    run = study_parts.deepest(study)
    images = run.evaluation.images
    for kind, name in enumerate(("blurred", "clear")):
        own = [row for row in rows(out / "extreme_images.csv") if row["class"] == name]
        best = [float(row["probability"]) for row in own if row["extreme"] == examples.BEST]
        worst = [float(row["probability"]) for row in own if row["extreme"] == examples.WORST]
        scores = images.probability[images.label == kind, kind]
        assert (best[0], worst[0]) == (scores.max(), scores.min())
        assert len({row["group"] for row in own if row["extreme"] == examples.BEST}) == len(best)


def test_of_many_classes_those_with_the_lowest_recalls_are_shown(two, monkeypatch):
    monkeypatch.setattr(examples, "SHOWN", 1)
    evaluation = study_parts.deepest(two[0]).evaluation
    assert list(examples.extremes(evaluation)) == [int(np.argmin(classes.recalls(evaluation.images)))]


def test_the_report_goes_without_pictures_where_the_images_are_gone(two, tmp_path, monkeypatch):
    run = study_parts.deepest(two[0])
    monkeypatch.setattr(run.application, "gone", True)
    section = examples.section(tmp_path, run, "title", "frame")
    assert section.blocks == ["No pictures: my/images: no such folder. Which frames they are: extreme_images.csv."]
    assert [path.name for path in tmp_path.iterdir()] == ["extreme_images.csv"]


def test_the_report_of_a_single_net(tmp_path, quick):
    _, out = reported(tmp_path, RocByClass(), NAMES, seeds=(0,), schemes=("scratch",))
    page = (out / "report.md").read_text()
    assert "One net: nothing to compare." in page
    assert "No fine-tuned net in this study." in page
    assert rows(out / "pairs.csv") == []


def test_few_groups_are_pointed_out(three):
    page = (three[1] / "report.md").read_text()
    assert "intervals by group are unreliable: cat (4)" in page
    assert "The groups are too few for so many comparisons" in page


def test_a_study_in_folds(tmp_path, quick):
    """Every table over seeds is one over the folds, and says so."""
    study, out = reported(
        tmp_path, RocByClass(), ("bad", "good"), seeds=(0,), schemes=("ft-fc8", "scratch"), folds=3, groups=6
    )
    page = (out / "report.md").read_text()
    assert "seeds: 0, 3 folds each; figures of single runs show seed 0 fold 1" in page
    assert "Mean over 3 folds with its 95 % interval" in page and "every group is tested once" in page
    found = {(row["name"], row["figure"]): row for row in rows(out / "results.csv")}
    values = [run.result.test[NETWORK]["auc"]["value"] for run in study.runs if run.settings.scheme == "scratch"]
    own, over = found["scratch", "AUC"], seed_interval(values, 0.0, trials=study.seeds)
    ends = [float(own[name]) for name in ("mean", "t_low", "t_high")]
    assert ends == pytest.approx(over[:3]) and own["seeds"] == "3"
    assert [row["trials"] for row in rows(out / "components.csv")] == ["3", "3"]
