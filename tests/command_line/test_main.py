"""The console command: which command it means, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

import pycaffe_ext
from pycaffe_ext import checkout
from pycaffe_ext.command_line import main as console
from pycaffe_ext.command_line.main import main, resolve
from pycaffe_ext.errors import UserError


@pytest.mark.parametrize(
    ("words", "name", "rest"),
    [
        (["polyp-ft-conv3", "--seed=1"], "run", ["polyp-ft-conv3", "--seed=1"]),
        (["run", "polyp-ft-conv3"], "run", ["polyp-ft-conv3"]),
        (["polyp-no-such"], "run", ["polyp-no-such"]),
        (["polyp"], "study", ["polyp"]),
        (["study", "polyp", "--seeds=0,1"], "study", ["polyp", "--seeds=0,1"]),
        (["frames-tables", "--out=x"], "report", ["frames", "--out=x"]),
        (["imt-deepen", "--seed=1"], "deepen", ["imt", "--seed=1"]),
        (["folder-study", "--data=x"], "own-study", ["folder", "--data=x"]),
        (["pe-study-plan"], "own-study-plan", ["pe"]),
        (["report", "polyp"], "report", ["polyp"]),
        (["where-caffe"], "where-caffe", ["--where"]),
        (["data-help", "--data=x"], "data-help", ["--data=x"]),
    ],
)
def test_what_words_mean(words: list[str], name: str, rest: list[str]) -> None:
    command, arguments = resolve(words)
    assert (command.name, arguments) == (name, rest)


@pytest.mark.parametrize(("word", "near"), [("polyps", "polyp"), ("table", "tables"), ("where_caffe", "where-caffe")])
def test_an_unknown_command_is_refused_with_the_nearest(word: str, near: str) -> None:
    with pytest.raises(UserError, match=f"unknown command '{word}'; did you mean '{near}'"):
        main([word])


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["help"]):
        main(words)
        assert capsys.readouterr().out.startswith("usage: pycaffe-ext COMMAND")
    main(["--version"])
    assert capsys.readouterr().out == f"pycaffe-ext {pycaffe_ext.__version__}\n"


def test_a_command_of_the_checkout_runs_there_and_says_so_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [])
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/bench.py").write_text("import sys\nprint(__name__, sys.argv[1:])\n")
    monkeypatch.setattr(checkout, "root", lambda: tmp_path)
    main(["bench", "--list"])
    assert capsys.readouterr().out == "__main__ ['--list']\n"
    monkeypatch.setattr(console.checkout, "root", lambda: None)
    with pytest.raises(UserError, match=r"^bench works in a checkout of the repository only: `make bench` there$"):
        main(["bench"])
