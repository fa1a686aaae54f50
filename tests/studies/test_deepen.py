"""The course through the depths: what is run, when it ends, what it says, and what a whole grid would have said."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pycaffe_ext.data import pack
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import deepening
from pycaffe_ext.evaluation.deepening import Scored, chosen
from pycaffe_ext.evaluation.metrics.detection import Detection
from pycaffe_ext.runs import costs, rescoring
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.schemes import FINE_TUNING, depths, links, unfreezing
from pycaffe_ext.studies import deepen
from pycaffe_ext.training.command import Caffe


def test_the_head_of_a_chain_is_that_of_its_links():
    packed = SimpleNamespace(classes=("no polyp", "polyp"))
    for scheme in ("ft-conv1", "lp-ft", "gradual", "gradual-fc6"):
        run = SimpleNamespace(settings=Settings.of("polyp", scheme), packed=packed)
        assert rescoring.head(run) == "fc8_polyp"


SKILL = {"ft-fc8": 0.2, "ft-fc7": 0.9, "ft-fc6": 2.0, "ft-conv5": 2.0, "ft-conv4": 2.0, "ft-conv3": 4.0}


def net(scheme: str) -> Scored:
    """Of 40 groups of 6 patches, half of them positive; the noise is common to all depths."""
    rng = np.random.default_rng(3)
    label, noise = np.tile(np.arange(6) % 2, 40), rng.normal(size=240)
    chance = 1 / (1 + np.exp(-(SKILL.get(scheme, 4.0) * label + noise)))
    return Scored(np.stack([1 - chance, chance], axis=1), label, np.repeat(np.arange(40), 6))


@pytest.fixture
def run(monkeypatch):
    """Stands in for runs; `.made` are those that were made."""
    monkeypatch.setattr(rescoring, "of_validation", lambda run, caffe: run.net)

    def make(scheme: str):
        make.made.append(scheme)
        scored = net(scheme)
        auc = Detection().validation(scored.probability, scored.label)
        settings = SimpleNamespace(request=SimpleNamespace(seed=0), scheme=scheme, app="polyp")
        result = SimpleNamespace(best=SimpleNamespace(validation_auc=auc))
        record = SimpleNamespace(cost={"prepare": 1.0, "train": 8.0, "test": 1.0})
        application = SimpleNamespace(metric=Detection())
        facts = {"settings": settings, "result": result, "record": record, "folder": f"runs/{scheme}"}
        return SimpleNamespace(application=application, net=scored, **facts)

    make.made = []
    return make


def test_the_depths_are_tried_from_the_last_layer_on_until_two_do_not_help(run):
    said: list[str] = []
    course = deepen.deepen(depths("alexnet"), run, Caffe(), said.append)
    assert run.made == ["ft-fc8", "ft-fc7", "ft-fc6", "ft-conv5", "ft-conv4"] == [s.name for s in course.steps]
    assert chosen(course.steps).name == "ft-fc6" and course.depths == 8 and course.seconds == 50
    assert said[0].startswith("ft-fc8: validation AUC 0.5") and said[2].endswith("grew")
    assert "+0.0000 ± 0.0" in said[3] and said[3].endswith("did not grow")
    table = deepen.rows(course)
    assert [row[5] for row in table] == [1, 1, 1, 0, 0] and len(table[0]) == len(deepen.TABLE)
    assert table[0][2:5] == ("", "", "") and table[1][3] < table[1][2] < table[1][4]


def test_a_step_is_compared_with_the_last_that_grew_and_says_so(run, monkeypatch):
    """A small step does not count by itself; with the next one, which is small too, it does."""
    for scheme, skill in zip(depths("alexnet")[:3], (0.2, 0.32, 0.5), strict=True):
        monkeypatch.setitem(SKILL, scheme, skill)
    monkeypatch.setattr(deepening, "ended", lambda steps: len(steps) == 3)
    grew = iter([False, True])
    real = deepen.growth
    monkeypatch.setattr(deepen, "growth", lambda *given: real(*given)._replace(low=0.001 if next(grew) else -0.001))
    said: list[str] = []
    course = deepen.deepen(depths("alexnet"), run, Caffe(), said.append)
    assert said[1].endswith("to ft-fc8: did not grow") and said[2].endswith("to ft-fc8: grew")
    values = [step.value for step in course.steps]
    assert course.steps[2].growth.value == pytest.approx(values[2] - values[0]) != values[2] - values[1]


def test_too_few_validation_groups_are_named_with_what_to_do(run, monkeypatch):
    def of_few(made, caffe):
        return Scored(made.net.probability[:6], made.net.label[:6], made.net.group[:6])

    monkeypatch.setattr(rescoring, "of_validation", of_few)
    with pytest.raises(UserError, match=r"cannot be told from its 1 groups \(.*\); add groups, or .* make polyp"):
        deepen.deepen(depths("alexnet"), run, Caffe(), lambda line: None)


def test_the_text_compares_with_the_grid_where_that_is_finished(run):
    course = deepen.deepen(depths("alexnet"), run, Caffe(), lambda line: None)
    said = deepen.text(course, [])
    assert "depth: ft-fc6" in said and "ended as 2 steps did not grow, after 5 of 8 depths in 50 s" in said
    assert "all 8 depths" not in said
    rest = [run(scheme) for scheme in ("ft-conv3", "ft-conv2", "ft-conv1")]
    said = deepen.text(course, rest)
    best = Detection().validation(net("ft-conv3").probability, net("ft-conv3").label)
    assert f"all 8 depths: 80 s, the best is ft-conv3 with validation AUC {best:.4f}" in said
    lost = best - chosen(course.steps).value
    assert f"{lost:.4f} more" in said


def test_a_net_that_keeps_growing_is_tuned_to_its_first_layer(run, monkeypatch):
    for i, scheme in enumerate(reversed(FINE_TUNING)):
        monkeypatch.setitem(SKILL, scheme, 0.6 * i)
    course = deepen.deepen(depths("alexnet"), run, Caffe(), lambda line: None)
    assert len(course.steps) == 8 and chosen(course.steps).name == "ft-conv1"
    assert "ended as there is no deeper one, after 8 of 8 depths" in deepen.text(course, [])


def test_from_the_last_snapshot_depths_are_chains_and_what_was_taken_costs_nothing(run, monkeypatch):
    """Every chain holds the links of the depth before; the course costs each link once."""
    skill = dict(zip(unfreezing("alexnet"), (0.2, 0.9, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0), strict=True))

    def chain(scheme: str):
        monkeypatch.setitem(SKILL, scheme, skill[scheme])
        made, count = run(scheme), len(links(scheme))
        made.record.cost |= {"train": 8.0 * count, costs.TAKEN: 8.0 * (count - 1)}
        return made

    course = deepen.deepen(deepen.schemes_of("alexnet", "last"), chain, Caffe(), lambda line: None, "last")
    assert run.made == ["ft-fc8", "gradual-fc7", "gradual-fc6", "gradual-conv5", "gradual-conv4"]
    assert chosen(course.steps).name == "gradual-fc6" and course.seconds == 50
    assert [row[-1] for row in deepen.rows(course)] == [10.0] * 5
    said = deepen.text(course, [])
    assert said.startswith("each depth from the last snapshot (FROM=last)") and "in 50 s" in said


def test_a_start_that_is_none_is_refused():
    with pytest.raises(UserError, match="unknown FROM 'lost'.*last"):
        deepen.schemes_of("alexnet", "lost")


def test_the_patches_are_scored_by_the_chosen_snapshot_as_early_stopping_did(miniature_run, tmp_path):
    """The AUC of the patches is what the run recorded, and every patch has its group."""
    from pycaffe_ext.runs import finished

    made = finished.load(miniature_run / "runs" / "first")
    assert made is not None
    kept = rescoring.kept_validation(made)
    assert kept is not None, "every run keeps what its best snapshot said of them"
    assert len(kept.label) == len(kept.group) == made.packed.patches["val"]
    assert made.application.metric.validation(kept.probability, kept.label) == made.result.best.validation_auc
    patches = {row["group"] for row in pack.read_index(made.packed.index("val"))}
    assert set(kept.group.tolist()) == patches and len(patches) >= 1

    shutil.copytree(made.folder, tmp_path / "run")  # as of an earlier version, which kept none
    (tmp_path / "run" / "validation.csv").unlink()
    earlier = replace(made, folder=tmp_path / "run")
    assert rescoring.kept_validation(earlier) is None
    again = rescoring.of_validation(earlier, Caffe())
    np.testing.assert_array_equal(again.probability, kept.probability)
    np.testing.assert_array_equal(again.label, kept.label)
    assert rescoring.kept_validation(earlier) is not None
    text = (tmp_path / "run" / "validation.csv").read_text()
    (tmp_path / "run" / "validation.csv").write_text(re.sub(r"^\d+,", "1,", text, flags=re.MULTILINE))
    assert rescoring.kept_validation(earlier) is None, "it is of another snapshot"
