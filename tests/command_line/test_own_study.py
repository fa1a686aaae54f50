"""A study of one data set: make's variables become a study file whose runs are those that make would make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pycaffe_ext.command_line import own_study, study_file
from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.commands import own_study as own_study_command
from pycaffe_ext.commands import own_study_plan
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.settings import TestSet
from pycaffe_ext.schemes import STAGES, check, is_depth
from pycaffe_ext.studies import study

SETTINGS = [
    ["folder", "--data=my/images", "--positive=lesion"],
    ["folder", "--data=/far/images", "--weights=w.caffemodel", "--mean=1,2,3", "--seeds=3,1", "--fraction=1/8, 0.5"],
    ["polyp", "--arch=squeezenet",
     "--weights=squeezenet=w.caffemodel:alexnet=/far/a.caffemodel", "--mean=m.binaryproto",
     "--fresh=conv10", "--schemes=ft-conv10 alexnet:scratch:base_lr=0.001,epochs=9 scratch"],
    ["imt", "--patch-mm=2.5", "--dense=1", "--arch=lenet", "--base-lr=1e-05", "--folds=3", "--tuning=0.1",
     "--weights=w.caffemodel"],
    ["pe", "--data=o'n #1: x", "--test-data=my/others", "--test-dataset=cad-pe", "--encoding=png", "--split-seed=7"],
    ["frames", "--data=\udcff"],
]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("w.caffemodel").touch()
    Path("m.binaryproto").touch()


def options(*words: str) -> dict[str, object]:
    return parse("own-study", list(words))


@pytest.mark.parametrize("words", SETTINGS, ids=[words[0] for words in SETTINGS])
@pytest.mark.parametrize("runs", ["runs", "../elsewhere/runs", "{}/whole"])
def test_the_file_has_the_runs_that_make_would_make(tmp_path, words, runs):
    given = options(*words, f"--runs={runs.format(tmp_path)}")
    grid = study_file.read(str(own_study.write(given)))
    shares = str(given["fraction"]).replace(",", " ").split()
    own = {name: given[name] for name in study_file_settings(given)}
    schemes, seeds = str(given["schemes"]).split(), study.parse_seeds(str(given["seeds"]))
    schemes = schemes or list(own_study.schemes(str(given["arch"])))
    wanted = {job for part in shares for job in study.jobs(words[0], schemes, seeds, fraction=part, **own)}
    assert {cell.settings for cell in grid.cells} == wanted
    assert len({cell.settings.name() for cell in grid.cells}) == len(grid.cells) == len(wanted)
    outside = TestSet.given(given["test_data"], given["test_dataset"])
    assert {cell.outside for cell in grid.cells} == {outside}


def study_file_settings(given: dict[str, object]) -> list[str]:
    return [row.name for row in own_study.SETTINGS if row.name in given and row.name != "fraction"]


def test_by_default_it_asks_how_deep_with_how_much_data_and_how_sure():
    grid = study_file.read(str(own_study.write(options("folder", "--data=my/images"))))
    found = {(own.scheme, own.request.fraction, own.seed) for own in (cell.settings for cell in grid.cells)}
    assert grid.name == "folder-images" and len(grid.cells) == len(found) == 4 * 2 * 5
    assert {scheme for scheme, *_ in found} == {"ft-fc8", "ft-conv4", "ft-conv1", "scratch"}


@pytest.mark.parametrize("arch", STAGES)
def test_every_net_has_a_shallow_a_middle_and_a_deep_tuning(arch):
    *tuned, last = own_study.schemes(arch)
    assert last == "scratch" and len(set(tuned)) == 3 and all(is_depth(check(scheme, arch)) for scheme in tuned)


def test_the_same_study_is_found_and_what_was_edited_is_not_lost():
    file = own_study.write(options("folder", "--data=my/images", "--margin=0.01"))
    before = file.stat().st_mtime_ns
    assert own_study.write(options("folder", "--data=my/images", "--margin=0.01")) == file
    assert file.stat().st_mtime_ns == before and {c.margin for c in study_file.read(str(file)).cells} == {0.01}
    with pytest.raises(UserError, match=r"folder-images.yaml is there with other SEEDS, MARGIN; edit it .* give NAME="):
        own_study.write(options("folder", "--data=my/images", "--seeds=0"))
    other = own_study.write(options("folder", "--data=my/images", "--seeds=0", "--name=second"))
    assert other.name == "second.yaml"
    text = file.read_text()
    file.write_text(text.replace("[0, 1, 2, 3, 4]", "[0, 1]"))
    with pytest.raises(UserError, match="with other SEEDS; edit it"):
        own_study.write(options("folder", "--data=my/images", "--margin=0.01"))
    file.write_text("- a\n")
    with pytest.raises(UserError, match="with other content; edit it"):
        own_study.write(options("folder", "--data=my/images", "--margin=0.01"))


@pytest.mark.parametrize(
    ("command", "does", "word"),
    [(own_study_command, "study_run.carry_out", "--address=local"), (own_study_plan, "study_plan.show", "")],
)
def test_the_commands_carry_out_and_plan_what_was_written(monkeypatch, capsys, command, does, word):
    done = []
    Path("my/images").mkdir(parents=True)
    monkeypatch.setattr(f"pycaffe_ext.commands.{does}", lambda *given: done.append(given))
    command.main(["folder", "--data=my/images", "--workers=2", "--threads=1", *([word] if word else [])])
    ((grid, given),) = done
    assert grid.name == "folder-images" and len(grid.cells) == 40
    assert (given["workers"], given["threads"], given.get("address")) == (2, 1, "local" if word else None)
    assert "study file: runs/studies/folder-images.yaml" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["folder", "--data=nowhere"], "DATA=nowhere: no such folder"),
        (["polyp", "--test-data=nowhere"], "DATA=nowhere: no such folder"),
        (["polyp", "--weights=nowhere.caffemodel"], "nowhere.caffemodel"),
    ],
)
@pytest.mark.parametrize("command", [own_study_command, own_study_plan])
def test_what_is_not_there_is_told_before_anything_is_written(command, words, said):
    with pytest.raises(UserError, match=said) as error:
        command.main(words)
    assert "\n" not in str(error.value) and not os.path.exists("runs")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["folder", "--fraction=1 2"], "FRACTION=2: must be a share"),
        (["folder", "--fraction=1/4 0.25"], "FRACTION=1/4 0.25: give one share or several different ones"),
        (["folder", "--schemes=ft-fc9"], "unknown scheme 'ft-fc9'"),
        (["folder", "--seeds=a"], "SEEDS=a: must be whole numbers"),
        (["folder", "--seeds=1,1"], "seed 1 is asked for twice"),
        (["folder", "--margin=-1"], "margin"),
        (["folder", "--name=../x"], "NAME=../x: is the name of a file in RUNS/studies/, without folders"),
        (["folder", "--arch=alex"], "unknown ARCH 'alex'"),
        (["folder", "--mean=doner", "--scale=0"], "SCALE=: scale 0 must be"),
        (["folder", "--patches=1"], "PATCHES"),
    ],
)
def test_wrong_settings_are_one_line_and_leave_no_file(words, said):
    with pytest.raises(UserError, match=said) as error:
        own_study.write(options(*words))
    assert "\n" not in str(error.value) and not os.path.exists("runs")
