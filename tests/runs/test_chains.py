"""Schemes of several trainings as a user runs them, on miniature data: LP-FT and gradual unfreezing."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from programs import run_tool
from training_lab import SMALL

from pycaffe_ext.data import pack
from pycaffe_ext.proto import read_blobs
from pycaffe_ext.runs import costs, finished, recording
from pycaffe_ext.runs.predict import predict
from pycaffe_ext.runs.settings import Machine

FEW = (*SMALL, "--epochs", "2")
COMPARED = ("auc.csv", "scores.csv", "scores_val.csv")

pytestmark = pytest.mark.slow


def run(folder: Path, job: str, data: Path, *more: str) -> tuple[Path, str]:
    done = run_tool("train_and_test", job, "--data", data, *FEW, *more, cwd=folder)
    assert done.returncode == 0, done.stderr
    (place,) = (folder / "runs").glob(f"{job}-[!0-9]*") if "--run" not in more else [folder / "runs" / more[-1]]
    return place, done.stdout


@pytest.fixture(scope="module")
def packed(miniature_run, tmp_path_factory) -> Path:
    """A folder with the packed miniature and no run."""
    folder = tmp_path_factory.mktemp("chains")
    shutil.copytree(miniature_run / "runs" / "data", folder / "runs" / "data")
    return folder


@pytest.fixture(scope="module")
def lp_ft(packed, miniature) -> Path:
    """polyp-lp-ft, both links trained by itself."""
    return run(packed, "polyp-lp-ft", miniature)[0]


def read(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def test_lp_ft_names_the_link_and_the_iteration_that_were_chosen(lp_ft):
    result = read(lp_ft, "result.json")
    first, second = result["links"]
    assert (first["scheme"], second["scheme"]) == ("ft-fc8", "ft-conv1")
    best = max((first, second), key=lambda link: link["validation_auc"])  # the first of equals
    assert result["best"]["link"] == best["link"] and result["best"]["validation_auc"] == best["validation_auc"]
    assert result["best"]["iteration"] == best["before"] + best["iteration"]
    assert result["snapshots"] == first["snapshots"] + second["snapshots"] == len(finished.load(lp_ft).snapshots)
    weights = (lp_ft / "links" / best["link"] / "best.caffemodel").read_bytes()
    assert (lp_ft / "best.caffemodel").read_bytes() == weights


def test_the_second_link_moves_what_the_first_left_alone(lp_ft):
    donor = read(lp_ft, "run.json")["resolved"]["donor"]
    blobs = [read_blobs(Path(donor))]
    blobs += [read_blobs(lp_ft / "links" / name / "best.caffemodel") for name in ("1-ft-fc8", "2-ft-conv1")]
    same = [np.array_equal(one["conv1"][0], blobs[0]["conv1"][0]) for one in blobs]
    assert same == [True, True, False]
    heads = [one["fc8_polyp"][0] for one in blobs[1:]]
    assert not np.array_equal(*heads)


def test_the_costs_of_the_links_add_up(lp_ft):
    cost = read(lp_ft, "run.json")["cost"]
    parts = [cost[costs.link_stage(name)] for name in ("1-ft-fc8", "2-ft-conv1")]
    assert all(parts) and cost["train"] == pytest.approx(sum(parts), abs=0.02)
    assert costs.spent(cost) == costs.seconds(cost)


def test_links_that_a_finished_run_has_trained_are_taken_and_give_the_same(lp_ft, packed, miniature, tmp_path):
    shutil.copytree(packed / "runs" / "data", tmp_path / "runs" / "data")
    shallow, _ = run(tmp_path, "polyp-ft-fc8", miniature)
    again, said = run(tmp_path, "polyp-lp-ft", miniature)
    assert f"{shallow.name} has trained 1-ft-fc8 already: taken" in said
    for name in COMPARED:
        assert (again / name).read_bytes() == (lp_ft / name).read_bytes(), name
    one, other = (read_blobs(folder / "best.caffemodel") for folder in (again, lp_ft))
    assert all(np.array_equal(a, b) for layer in one for a, b in zip(one[layer], other[layer], strict=True))
    cost, before = read(again, "run.json")["cost"], read(shallow, "run.json")["cost"]
    assert cost[costs.TAKEN] == before["train"]
    assert 0 <= cost[costs.link_stage("1-ft-fc8")] - before["train"] < 5, "what looking at the copy takes is its own"
    assert costs.spent(cost) == pytest.approx(costs.seconds(cost) - before["train"])
    assert read(again, "result.json") == read(lp_ft, "result.json")


def test_a_chain_predicts_what_its_test_says(lp_ft, miniature, tmp_path, monkeypatch):
    packed, encodings = pack.pack, []

    def noted(*arguments, **options):
        encodings.append(options["encoding"])
        return packed(*arguments, **options)

    monkeypatch.setattr(pack, "pack", noted)
    out = predict(lp_ft, miniature / "images", tmp_path / "out", Machine(), say=lambda line: None)
    assert encodings and set(encodings) == {finished.load(lp_ft).settings.request.encoding}
    with (out / "predictions.csv").open(newline="") as one, (lp_ft / "scores.csv").open(newline="") as other:
        rows = {(row["frame"], row["candidate"]): row for row in csv.DictReader(one)}
        scores = list(csv.DictReader(other))
    found = [float(rows[row["frame"], row["candidate"]]["probability of polyp"]) for row in scores]
    np.testing.assert_allclose(found, [float(row["probability"]) for row in scores], atol=1e-4)


def test_the_caffe_that_trained_is_kept_and_one_that_only_tests_stands_beside_it(lp_ft):
    saved = finished.load(lp_ft).record
    begun, fresh = (SimpleNamespace(links=[SimpleNamespace(begun=own)]) for own in (True, False))
    own = saved.versions["caffe"]
    assert recording._versions(begun, own, saved) == saved.versions
    assert recording._versions(begun, "another", saved) == {**saved.versions, "caffe_of_test": "another"}
    assert recording._versions(fresh, "another", saved)["caffe"] == "another", "nothing was trained before"


@pytest.mark.genuine
def test_the_same_files_run_in_the_genuine_caffe(lp_ft, tmp_path):
    """By hand, by Caffe's own command line: the links' solvers, the second from the first one's chosen snapshot."""
    from pycaffe_ext.genuine import root
    from pycaffe_ext.training.command import Caffe

    caffe = Caffe((str(root.command()),))
    weights = Path(read(lp_ft, "run.json")["resolved"]["donor"])
    for name in ("1-ft-fc8", "2-ft-conv1"):
        solver = tmp_path / f"{name}.prototxt"
        text = (lp_ft / "links" / name / "solver.prototxt").read_text()
        solver.write_text(text.replace(str(lp_ft / "links" / name / "snapshots"), str(tmp_path)))
        log = tmp_path / f"{name}.log"
        assert caffe.train(solver, weights, None, log).wait() == 0, log.read_text()[-2000:]
        newest = max(tmp_path.glob("*.caffemodel"), key=lambda path: path.stat().st_mtime_ns)
        weights = newest.replace(tmp_path / f"{name}.caffemodel")
    assert "fc8_polyp" in read_blobs(weights)
