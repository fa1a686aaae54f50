"""Several runs of one question: which jobs there are, what is not repeated, what a failure does to the others."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from pycaffe_ext.errors import UserError
from pycaffe_ext.runs import pipeline
from pycaffe_ext.runs.records import (
    Best,
    ExternalRecord,
    ResultRecord,
    read_result,
    write_external,
    write_result,
)
from pycaffe_ext.runs.settings import Machine, Settings
from pycaffe_ext.schemes import FINE_TUNING, compared
from pycaffe_ext.studies import study


def test_the_paper_compares_nine_schemes_from_the_last_layer_to_all_then_scratch():
    names = compared("alexnet")
    assert len(names) == 9
    assert names[0] == "ft-fc8" and names[-2:] == ("ft-conv1", "scratch")
    assert set(names[:-1]) == set(FINE_TUNING)


def test_jobs_are_seed_by_seed_every_scheme_once_with_each():
    jobs = study.jobs("polyp", (), (3, 5), patches=400)
    assert [job.seed for job in jobs] == [3] * 9 + [5] * 9
    assert [job.scheme for job in jobs[:9]] == list(compared("alexnet"))
    assert {job.request.patches for job in jobs} == {400}
    assert len({job.name() for job in jobs}) == 18


def test_every_seed_has_every_fold_of_every_scheme():
    jobs = study.jobs("polyp", ("ft-fc8", "scratch"), (3, 5), folds=4)
    assert [str(job.trial) for job in jobs[:4]] == ["3 fold 1", "3 fold 1", "3 fold 2", "3 fold 2"]
    assert len({job.name() for job in jobs}) == len(jobs) == 16
    one = study.jobs("polyp", ("ft-fc8",), (3,), folds=4, fold=2)
    assert [job.name() for job in one] == [jobs[2].name()] and one[0].request.of_folds == (2, 4)


def test_one_split_for_all_seeds():
    jobs = study.jobs("polyp", ("ft-fc8",), (0, 1, 2), split_seed=7)
    assert [(job.seed, job.request.seed, job.trial.split) for job in jobs] == [(0, 7, 7), (1, 7, 7), (2, 7, 7)]
    assert {job.request for job in jobs} == {jobs[0].request} and len({job.name() for job in jobs}) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fold": 2}, "FOLD=2 needs FOLDS="),
        ({"folds": 1, "fold": 1}, "FOLDS=1 is out of range; allowed: 2 to 1000"),
        ({"folds": 5, "fold": 6}, "FOLD=6 is out of range; allowed: 1 to 5"),
        ({"tuning": 1.0}, "TUNING=1.0 is out of range"),
        ({"tuning": float("nan")}, "TUNING=nan is out of range"),
        ({"split_seed": -1}, "SEED=-1 is out of range"),
    ],
)
def test_designs_that_cannot_be(options, words):
    with pytest.raises(UserError, match=words):
        study.jobs("polyp", ("ft-fc8",), (0,), **options)


def test_a_single_run_is_of_one_fold():
    with pytest.raises(UserError, match="FOLDS=5: a single run tests on one of them; give FOLD=1 to 5"):
        Settings.of("polyp", "scratch", folds=5)


def test_a_scheme_may_be_of_another_net_and_have_its_own_epochs():
    deep, shallow = study.jobs(
        "polyp",
        ("ft-fire5", "alexnet:scratch:epochs=60,base_lr=0.01"),
        (0,),
        arch="squeezenet",
        weights="a.caffemodel",
        width="1/4",
        epochs=4,
    )
    one, other = deep.training, shallow.training
    assert (one.arch, one.scheme, one.epochs, one.weights, one.width) == (
        "squeezenet",
        "ft-fire5",
        4,
        "a.caffemodel",
        None,
    )
    assert (other.arch, other.epochs, other.base_lr, other.weights, other.width) == (
        "alexnet",
        60,
        0.01,
        None,
        "1/4",
    )


def test_each_net_of_a_study_may_have_a_donor():
    schemes = ("ft-fire5", "scratch", "googlenet:ft-conv1", "alexnet:ft-fc8")
    weights = "squeezenet=~/a:b.caffemodel:googlenet=g=1.caffemodel"
    runs = study.jobs("polyp", schemes, (0,), arch="squeezenet", weights=weights)
    squeezenet = str(Path("~/a:b.caffemodel").expanduser())
    assert [run.training.weights for run in runs] == [squeezenet, squeezenet, "g=1.caffemodel", None]
    alone = study.jobs("polyp", ("ft-fire5",), (0,), arch="squeezenet", weights="squeezenet=a.caffemodel")
    assert alone == study.jobs("polyp", ("ft-fire5",), (0,), arch="squeezenet", weights="a.caffemodel")


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("googlenet=a:googlenet=b", "WEIGHTS=: the donor of googlenet is asked for twice"),
        ("googlenet=:squeezenet=b", "googlenet= names no file"),
        ("squeezenet=a:vgg16=b", "vgg16 has no scheme in this study; its nets: googlenet, squeezenet"),
    ],
)
def test_donors_that_cannot_be(weights, words):
    with pytest.raises(UserError, match=re.escape(words)):
        study.jobs("polyp", ("ft-fire5", "googlenet:scratch"), (0,), arch="squeezenet", weights=weights)


def test_a_width_that_no_net_of_the_study_can_have_is_refused():
    with pytest.raises(UserError, match="width"):
        study.jobs("polyp", ("ft-fire5",), (0,), arch="squeezenet", width="1/4")


@pytest.mark.parametrize(
    ("schemes", "seeds", "said"),
    [
        (("ft-conv9",), (0,), "unknown scheme 'ft-conv9'"),
        (("alexnet:ft-conv3:epoch=3",), (0,), "did you mean 'epochs'"),
        (("ft-conv3:epochs=many",), (0,), "must be numbers"),
        (("ft-conv3:epochs=1.5",), (0,), "must be numbers"),
        (("ft-conv3:base_lr=nan",), (0,), "BASE_LR=nan is out of range"),
        (("ft-conv3:base_lr=0",), (0,), "BASE_LR=0.0 is out of range"),
        (("a:b:c",), (0,), "is not"),
        (("ft-conv3", "alexnet:ft-conv3"), (0,), "asked for twice"),
        (("ft-conv3",), (1, 1), "seed 1 is asked for twice"),
        (("ft-conv3:epochs=0",), (0,), "EPOCHS=0 is out of range"),
    ],
)
def test_what_cannot_be_run_is_named(schemes, seeds, said):
    with pytest.raises(UserError, match=said):
        study.jobs("polyp", schemes, seeds)


@pytest.mark.parametrize("text", ["", "1.5", "0,-1", "0;1"])
def test_seeds_are_whole_numbers(text):
    with pytest.raises(UserError, match="SEEDS"):
        study.parse_seeds(text)
    assert study.parse_seeds("0, 1 2") == (0, 1, 2)


def finish(job, runs: Path, sensitivity: float = 0.5) -> None:
    point = {"at_most_false_positives_per_frame": 1.0, "sensitivity": sensitivity, "exact_95": [0.25, 0.75]}
    test = {"network": {"lesion": [point]}, "detector": {"lesion": [point]}}
    result = ResultRecord(job.title, "none", Best(9, 2.0, 0.8), 1, "patience", {}, {}, [], test, [])
    write_result(runs / job.name(), result)


def test_finished_runs_are_not_repeated_and_a_failed_one_does_not_stop_the_rest(tmp_path, monkeypatch):
    jobs = study.jobs("polyp", ("ft-fc8", "ft-fc7", "ft-fc6"), (0,))
    finish(jobs[0], tmp_path)
    started, said = [], []

    def run(job, runs, machine, say, outside=None):
        started.append(job.scheme)
        if job.scheme == "ft-fc7":
            raise UserError("training has diverged")
        finish(job, runs, 0.8125)

    monkeypatch.setattr(pipeline, "run", run)
    with pytest.raises(UserError, match="1 of 3 runs failed.*polyp-ft-fc7, seed 0"):
        study.run_all(jobs, tmp_path, Machine(), said.append)
    assert started == ["ft-fc7", "ft-fc6"]
    text = "\n".join(said)
    assert "[1/3] polyp-ft-fc8, seed 0: finished" in text and "diverged" in text
    assert "0.812 [0.250, 0.750]" in text and "detector alone" in text


def test_what_is_wrong_with_the_first_run_is_told_at_once(tmp_path, monkeypatch):
    def run(job, runs, machine, say, outside=None):
        raise UserError("no such folder")

    monkeypatch.setattr(pipeline, "run", run)
    with pytest.raises(UserError, match="no such folder"):
        study.run_all(study.jobs("polyp", (), (0,)), tmp_path, Machine(), lambda _: None)


def test_finished_runs_are_tested_on_another_data_set_and_not_trained(tmp_path, monkeypatch):
    """Of three runs one is finished and tested there, one finished only; both are shown side by side at the end."""
    jobs = study.jobs("polyp", ("ft-fc8", "ft-fc7", "ft-fc6"), (0,))
    checked: list[str] = []
    outside = SimpleNamespace(
        name="far-123456", request=SimpleNamespace(source="far"), check=lambda request: checked.append(request.app)
    )
    for job in jobs[:2]:
        finish(job, tmp_path, 0.75)

    def test_there(job) -> None:
        record = read_result(tmp_path / job.name()).test
        record["network"]["lesion"][0]["sensitivity"] = 0.625
        fields = dict.fromkeys(("name", "data", "source", "fingerprint", "packed", "weights", "caffe"), "x")
        counts = dict.fromkeys(("items", "groups", "patches"), 1)
        lists = {name: [] for name in ("damaged", "left_out", "thresholds", "files")}
        folder = tmp_path / job.name() / "external" / "far-123456"
        write_external(
            folder,
            ExternalRecord(dataset=None, facts={}, similar={}, test=record, **fields, **counts, **lists),
        )

    def run(job, runs, machine, say, outside):
        started.append((job.scheme, outside.name))
        if not study.finished(job, runs):
            finish(job, runs, 0.75)
        test_there(job)

    started, said = [], []
    test_there(jobs[0])
    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.setattr(pipeline, "check", lambda todo, *_: checked.append(f"{len(todo)} to train"))
    study.run_all(jobs, tmp_path, Machine(), said.append, outside)
    assert started == [("ft-fc7", "far-123456"), ("ft-fc6", "far-123456")] and checked == ["1 to train"]
    assert re.search(r"polyp-ft-fc7 +0 +0.750 .* 0.625 .* \+0.125", said[-1]) and "on far" in said[-1]
    assert said[-1].count("detector alone") == 1
    study.run_all(jobs, tmp_path, Machine(), said.append, outside)
    assert len(started) == 2 and checked == ["1 to train", "polyp"]
