"""Plans: hours and disk by arithmetic from known rates, what is finished, and what is missing."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from grid_lab import grid, result

from pycaffe_ext.errors import UserError
from pycaffe_ext.runs import probe
from pycaffe_ext.runs.records import Best, RunRecord, read_result, write_result, write_run
from pycaffe_ext.runs.settings import Machine, Settings, TestSet
from pycaffe_ext.studies import plan as plans
from pycaffe_ext.studies.grid import Cell, Grid
from pycaffe_ext.studies.plan import KEPT, PAGE, missing, plan, text
from pycaffe_ext.studies.rates import Rates, Speed, speed_of

PARAMETERS = 1000
SIZE = 227


@pytest.fixture(autouse=True)
def probes(monkeypatch) -> list[str]:
    """Probes take no time, and are written down: a patch takes 2 s through all layers, 1 s through the last alone."""
    made: list[str] = []

    def measured(settings: Settings, machine: Machine) -> tuple[float, float]:
        made.append(f"{settings.training.arch} {settings.scheme}")
        return (2.0, 0.5) if settings.scheme == "scratch" else (1.0, 0.5)

    monkeypatch.setattr(probe, "seconds_a_patch", measured)
    monkeypatch.setattr(probe, "parameters", lambda settings: PARAMETERS)
    return made


def finish(cell: Cell, runs: Path, host: str = platform.node(), **changes) -> None:
    """A finished run: 2 epochs of 1000 patches and 100 of validation in 420 s, the test of 400 in 40 s."""
    cost = {"prepare": 30.0, "train": 420.0, "test": 40.0, "scored": 400, "memory": 3e9}
    cost = changes.pop("cost", cost)
    given = {"patches": {"train": 1000, "val": 100, "test": 300}, "snapshots": 2, **changes}
    write_result(cell.folder(runs), replace(result(), best=Best(9, 2.0, 0.8), **given))
    (runs / "packed").mkdir(exist_ok=True)
    resolved = {"width": "1", "batch": 16, "data": str(runs / "packed"), "donor": None}
    machine = {**asdict(Machine()), "host": host, "cores": os.cpu_count()}
    record = RunRecord(cell.settings.record(), machine, resolved, {}, [], [], {}, {"caffe": "x"}, cost=cost)
    write_run(cell.folder(runs), record)


def planned(own: Grid, runs: Path, **options):
    return plan(own, runs, Rates(runs, Machine(), say=lambda line: None, **options))


def test_a_probed_plan_is_arithmetic(tmp_path, probes):
    own = grid(schemes=("ft-fc8", "ft-conv1", "scratch"), patches=1000, epochs=3)
    found = planned(own, tmp_path)
    assert probes == ["alexnet ft-fc8", "alexnet scratch"]  # the shallowest and all layers, of each net
    assert found.seconds == 3 * (800 * 1.0 + 200 * 0.5) + 2 * 3 * (800 * 2.0 + 200 * 0.5)
    assert found.size == 1000 * (3 * SIZE**2 + PAGE) + 3 * KEPT * 4 * PARAMETERS
    row = found.rows["polyp", "alexnet"]
    assert row.unknown == ("the test patches", "the preparation of polyp (synthetic)") and row.sources == ("a probe",)


def test_between_the_last_layer_and_all_a_probe_is_interpolated(tmp_path):
    speeds = [
        Rates(tmp_path, Machine(), say=lambda line: None).speed(Settings.of("polyp", f"ft-{layer}"))
        for layer in ("fc8", "fc7", "conv2", "conv1")
    ]
    assert [one.train for one in speeds if one] == pytest.approx([1, 1 + 1 / 7, 1 + 6 / 7, 2])


def test_fractions_share_validation_and_test_on_disk_and_take_the_time_of_the_whole(tmp_path):
    whole, quarter = (planned(grid((0,), ("scratch",), patches=1000, fraction=f), tmp_path) for f in ("1", "1/4"))
    cells = [cell for f in ("1", "1/4") for cell in grid((0,), ("scratch",), patches=1000, fraction=f).cells]
    both = planned(Grid("mine", Path("mine.yaml"), tuple(cells)), tmp_path)
    assert quarter.seconds == 15 * (800 * 2.0 + 200 * 0.5) == whole.seconds  # as many iterations
    assert both.seconds == whole.seconds + quarter.seconds
    assert both.size == whole.size + 200 * (3 * SIZE**2 + PAGE) + KEPT * 4 * PARAMETERS


def test_a_probe_is_kept(tmp_path, probes):
    planned(grid(), tmp_path)
    planned(grid(), tmp_path)
    assert len(probes) == 2
    assert Rates(tmp_path, Machine(threads=1), probing=False).speed(grid().cells[0].settings) is None


def test_finished_runs_of_this_machine_tell_the_rates(tmp_path, probes):
    own = grid(seeds=(0, 1), schemes=("scratch",), patches=1250, epochs=4)
    finish(own.cells[0], tmp_path)
    found = planned(own, tmp_path)
    score = 40 / 400
    train = (420 - 2 * 100 * score) / (2 * 1000)
    assert not probes and found.rows["polyp", "alexnet"].sources == ("1 finished run",)
    assert found.left == 1 and found.runs == 2
    # another seed has other patches, of which the most are known; the test is as large, and to be prepared
    assert found.seconds == pytest.approx(4 * (1000 * train + 250 * score) + 400 * score + 30)
    assert found.rows["polyp", "alexnet"].unknown == ()


def test_a_run_of_the_same_data_tells_their_patches_and_that_they_are_there(tmp_path):
    own = grid(schemes=("scratch", "ft-fc8"))
    finish(own.cells[0], tmp_path)
    rates = Rates(tmp_path, Machine(), probing=False)
    assert rates.counts(own.cells[1].settings) == {"train": 1000, "val": 100, "epoch": 1000, "test": 400}
    assert rates.prepared(own.cells[1].settings) and rates.memory([own.cells[1].settings]) == 3e9
    assert not rates.prepared(grid(seeds=(1,)).cells[0].settings)


def test_a_run_on_a_share_of_the_data_tells_the_rate_of_all_patches_that_it_went_through(tmp_path):
    own = grid(schemes=("scratch",), fraction="1/4")
    share = {"share": "1/4", "groups": 2, "of": 8, "patches": 1000}
    finish(own.cells[0], tmp_path, share=share, patches={"train": 250, "val": 100, "test": 300})
    rates = Rates(tmp_path, Machine(), probing=False)
    speed = rates.speed(own.cells[0].settings)
    assert speed is not None and speed.train == pytest.approx((420 - 2 * 100 * 0.1) / (2 * 1000))
    assert rates.counts(own.cells[0].settings) == {"train": 250, "val": 100, "epoch": 1000, "test": 400}


def test_a_run_on_a_share_whose_epochs_were_shorter_is_of_another_version(tmp_path):
    own = grid(schemes=("scratch",), fraction="1/4")
    finish(own.cells[0], tmp_path, share={"share": "1/4", "groups": 2, "of": 8})
    with pytest.raises(UserError, match="another version of pycaffe_ext"):
        read_result(own.cells[0].folder(tmp_path))
    assert Rates(tmp_path, Machine()).finished == []
    whole = grid(schemes=("scratch",)).cells[0]
    finish(whole, tmp_path, share={"share": "1", "groups": 8, "of": 8})  # as long as ever
    assert read_result(whole.folder(tmp_path)).share["groups"] == 8


def test_what_was_interrupted_or_is_of_another_machine_or_version_tells_nothing(tmp_path):
    own = grid(seeds=range(3), schemes=("scratch",))
    resume = {"iteration": 3, "solverstate": "x", "time": "now", "caffe": "x"}
    finish(own.cells[0], tmp_path, resumes=[resume])
    finish(own.cells[1], tmp_path, host="elsewhere")
    finish(own.cells[2], tmp_path, cost={})
    rates = Rates(tmp_path, Machine(), probing=False)
    assert len(rates.finished) == 3 and rates.speed(own.cells[0].settings) is None
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "result.json").write_text("{")
    assert len(Rates(tmp_path, Machine()).finished) == 3


def test_scoring_that_took_longer_than_training_leaves_a_rate_above_0(tmp_path):
    own = grid(schemes=("scratch",))
    finish(own.cells[0], tmp_path, cost={"train": 10.0, "test": 40.0, "scored": 400})
    (run,) = Rates(tmp_path, Machine()).finished
    speed = speed_of(run)
    assert isinstance(speed, Speed) and speed.train == pytest.approx(0.1 * 10 / 2000)


def test_what_is_missing_is_named_once_with_its_line(tmp_path):
    polyp = {"data": str(tmp_path / "no"), "weights": str(tmp_path / "no.caffemodel")}
    cells = [Cell(Settings.of("polyp", "ft-fc8", seed=seed, **polyp), line=3) for seed in (0, 1)]
    cells += [Cell(Settings.of("imt", "scratch"), TestSet(str(tmp_path / "far")), line=9)]
    cells += [Cell(Settings.of("imt", "ft-conv1", arch="squeezenet"), line=12)]
    found = missing(cells, tmp_path)
    assert len(found) == 4 and found[0] == f"line 3: DATA={tmp_path / 'no'}: no such folder"
    assert "line 3: " in found[1] and "no.caffemodel" in found[1]
    assert found[2] == f"line 9: DATA={tmp_path / 'far'}: no such folder"
    assert "line 12: " in found[3] and "needs a donor" in found[3]
    finish(cells[0], tmp_path)
    finish(cells[1], tmp_path)
    assert len(missing(cells, tmp_path)) == 2  # what is finished misses nothing


def test_the_text_says_all_of_it(tmp_path, monkeypatch):
    own = grid(seeds=(0, 1), patches=1000, epochs=4)
    finish(own.cells[0], tmp_path)
    said = text(planned(own, tmp_path), tmp_path, workers=2)
    assert "study mine (mine.yaml): 4 runs, 1 finished" in said and "missing on disk: nothing" in said
    assert "with WORKERS=2" in said and "a probe" in said and "free)" in said
    monkeypatch.setattr(plans.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 0})())
    assert "more than are free" in text(planned(own, tmp_path), tmp_path)


def test_a_caffe_that_cannot_time_is_one_line(tmp_path, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(UserError, match="time failed on"):
        probe.seconds_a_patch(Settings.of("polyp", "scratch", arch="lenet"), Machine(caffe="echo"))


def test_a_probe_measures_a_net(monkeypatch):
    """Of LeNet: seconds a patch that are above 0, and more with the backward pass than without."""
    monkeypatch.undo()
    train, score = probe.seconds_a_patch(Settings.of("polyp", "scratch", arch="lenet"), Machine(threads=1))
    assert 0 < score < train < 1
    assert probe.parameters(Settings.of("polyp", "scratch", arch="lenet")) > 400_000
