"""What can be known to be wrong with a run is told before a frame is drawn, a detector trained or a byte written."""

import os
import shutil
from pathlib import Path

import pytest

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.donor import DONOR
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import expanded
from pycaffe_ext.genuine import root
from pycaffe_ext.runs import pipeline
from pycaffe_ext.runs.settings import Machine, Settings
from pycaffe_ext.studies import study
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.session import locked


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with what the wrong settings name; a run that gets as far as its data fails the test."""
    (tmp_path / "cut.caffemodel").write_bytes(DONOR.read_bytes()[:100_000])
    (tmp_path / "a-file").touch()
    (tmp_path / "holiday" / "snaps").mkdir(parents=True)
    plain = tmp_path / "not-executable"
    plain.write_text("#!/bin/sh\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "prepare", lambda *_: pytest.fail("it went on to the data"))
    return tmp_path


def listing(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


WRONG = [
    ({"gpu": "99"}, {}, r"GPU=99 is not for .*pycaffe_ext: .*(no CUDA device|no GPU 99)"),
    ({"caffe": "no-such-caffe"}, {}, "CAFFE=no-such-caffe cannot be started"),
    ({"caffe": "./not-executable"}, {}, "not-executable cannot be started .permission denied"),
    ({"caffe": "~nobody-of-that-name/caffe"}, {}, "~nobody-of-that-name is not a user's"),
    ({"caffe": "caffe 'x"}, {}, "no closing quotation"),
    ({"caffe": "caffe", "precision": "bf16"}, {}, "PRECISION=bf16 is for the embedded engine"),
    ({"weights": "nowhere.caffemodel"}, {}, "nowhere.caffemodel: no such weights"),
    ({"weights": "cut.caffemodel"}, {}, "cut.caffemodel"),
    ({"weights": "holiday"}, {}, "unknown weights 'holiday'"),
    ({"width": "1"}, {}, "the donor does not fit"),
    ({"arch": "squeezenet"}, {"scheme": "ft-fire9"}, "needs a donor"),
    ({"dataset": "kvasir-sge"}, {}, "did you mean 'kvasir-seg'"),
    ({"dataset": "kvasir-seg"}, {}, "DATASET=kvasir-seg says what DATA= holds; give DATA= too"),
    ({"data": "nowhere"}, {}, "nowhere: no such folder"),
    ({"data": "holiday"}, {}, "holiday: holds snaps/"),
    ({"data": "holiday", "dataset": "kvasir-seg"}, {}, "not the layout of kvasir-seg"),
    ({}, {"runs": "a-file"}, "a-file is not a folder"),
    ({}, {"runs": "a-file/runs"}, "a-file is not a folder"),
    ({}, {"runs": ".", "name": "a-file"}, "a-file is not a folder"),
    ({}, {"cache_gb": float("nan")}, "cache_gb must be"),
]


@pytest.mark.parametrize(("settings", "options", "said"), WRONG)
def test_nothing_is_drawn_or_written_before_a_refusal(place, settings, options, said):
    before, settings = listing(place), dict(settings)
    caffe, gpu = settings.pop("caffe", None), settings.pop("gpu", None)
    with pytest.raises(UserError, match=said) as error:
        pipeline.run(
            Settings.of("polyp", options.get("scheme", "ft-fc8"), **settings),
            Path(options.get("runs", "runs")),
            options.get("name"),
            Machine(caffe, gpu, cache_gb=options.get("cache_gb")),
            say=lambda _: None,
        )
    assert listing(place) == before and "\n" not in str(error.value)


def test_a_run_in_which_nothing_is_wrong_gets_as_far_as_its_data(place):
    with pytest.raises(pytest.fail.Exception, match="went on to the data"):
        pipeline.run(Settings.of("polyp", "ft-fc8"), place / "runs", say=lambda _: None)


def test_a_folder_that_cannot_be_written_is_told(place, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != place)
    with pytest.raises(UserError, match=f"runs/x: {place} can't be written; check its permissions"):
        pipeline.run(Settings.of("polyp", "ft-fc8"), Path("runs"), "x", say=lambda _: None)


def test_a_folder_in_which_another_process_trains_is_told(place):
    with locked(place / "runs" / "x"), pytest.raises(UserError, match="another process is training in .*runs/x"):
        pipeline.run(Settings.of("polyp", "ft-fc8"), place / "runs", "x", say=lambda _: None)


@pytest.mark.genuine
def test_the_genuine_caffe_without_gpus_is_told_first(place):
    settings, machine = Settings.of("polyp", "ft-fc8"), Machine(str(root.command()), "0")
    with pytest.raises(UserError, match="GPU=0 is not for .*caffe: Cannot use GPU in CPU-only Caffe"):
        pipeline.run(settings, place / "runs", machine=machine, say=lambda _: None)
    assert not (place / "runs").exists()


def test_several_gpus_are_refused_for_the_embedded_engine_alone(monkeypatch):
    both = ("sh", "-c", "echo Device id: 0; echo Device id: 1")
    Caffe(both, "0,1").check_gpu()
    monkeypatch.setattr("pycaffe_ext.training.command.EMBEDDED", both)
    with pytest.raises(UserError, match="GPU=all: the embedded engine runs on one GPU at a time"):
        Caffe(both, "all").check_gpu()


def test_what_is_wrong_with_the_last_run_of_a_study_is_told_before_the_first(place, monkeypatch):
    monkeypatch.setattr(pipeline, "run", lambda *_, **__: pytest.fail("a run began"))
    jobs = study.jobs("polyp", ("ft-fc8", "squeezenet:ft-fire9"), (0, 1))
    before = listing(place)
    with pytest.raises(UserError, match=r"polyp-ft-fire9 \(squeezenet\): .* needs a donor"):
        study.run_all(jobs, place / "runs", Machine(), say=lambda _: None)
    assert listing(place) == before


def test_a_study_needs_room_for_all_patches_before_the_first_is_packed(place, monkeypatch):
    """The splits are packed one after the other; that the last has no room is no news after an hour."""
    from pycaffe_ext.data import pack

    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 500_000_000}))
    pack.check_room(place, 3000, "raw")
    pack.check_room(place, 6000, "jpg")
    with pytest.raises(UserError, match="packing 6000 patches needs 952 MB, 500 MB are free, 452 MB too little"):
        pack.check_room(place, 6000, "raw")


def test_a_tilde_is_a_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/o'neil")
    assert expanded("~") == "/home/o'neil" and expanded("~/a ~") == "/home/o'neil/a ~"
    assert [expanded(path) for path in ("a~", "./~", "", "$HOME")] == ["a~", "./~", "", "$HOME"]
    with pytest.raises(UserError, match="~oneil/runs: ~oneil is not a user's home folder; write ./~oneil/runs"):
        expanded("~oneil/runs")
    given = parse("run", ["polyp-scratch", "--runs=~/r", "--data=~/d", "--weights=~/w", "--encoding=~/e"])
    assert [given[name] for name in ("runs", "data", "weights")] == [f"/home/o'neil/{name}" for name in "rdw"]
    assert given["encoding"] == "~/e"
    assert Caffe.from_setting("~/bin/caffe -v '~'").command == ("/home/o'neil/bin/caffe", "-v", "~")


@pytest.mark.parametrize("name", ["../../x", "a/../../x", "/tmp/x", ".", "data", "data/x", "studies/mine"])
def test_a_run_stays_among_the_runs(tmp_path, name):
    with pytest.raises(
        UserError, match="RUN=.*: must be a folder in RUNS=.*, but not data or studies, which runs share"
    ):
        pipeline.run(Settings.of("polyp", "ft-fc8"), tmp_path / "runs", name, say=lambda _: None)
    assert not list(tmp_path.iterdir())
