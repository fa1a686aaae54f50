"""Parsers made from the table: values, defaults, and refusals in one line."""

from __future__ import annotations

import pytest

from pycaffe_ext.command_line import parsing
from pycaffe_ext.command_line.commands import COMMANDS, Command, application_in
from pycaffe_ext.command_line.options import SETTINGS, Option
from pycaffe_ext.command_line.parsing import parse, settings_options
from pycaffe_ext.errors import UserError


def test_what_is_not_given_has_its_default_and_every_option_is_there() -> None:
    options = parse("run", ["polyp-ft-conv3", "--patches=50", "--base-lr", "0.1", "--data=~/y"])
    assert set(options) == {row.name for row in COMMANDS["run"].options}
    assert (options["name"], options["patches"], options["base_lr"], options["epochs"]) == (
        "polyp-ft-conv3",
        50,
        0.1,
        15,
    )
    assert not options["data"].startswith("~") and options["runs"] == "runs" and options["weights"] is None


def test_settings_are_those_among_the_options() -> None:
    assert set(settings_options(parse("run", ["polyp-ft-fc6"]))) == {row.name for row in SETTINGS}
    assert "seed" not in settings_options(parse("study", ["polyp"]))


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        ("run", ["polyp-ft-conv3", "--patches=many"], "--patches: invalid int value: 'many'; `pycaffe-ext run --help`"),
        ("run", ["polyp-ft-conv3", "--patch=3"], "unrecognized arguments: --patch=3"),
        ("run", [], "required: APP-SCHEME"),
        ("weights", ["a", "b"], "unrecognized arguments: b"),
        ("run", ["frames-ft-fc6", "--mask=auto"], "--mask is an option of polyp, not of frames"),
        ("study", ["--mask=auto", "imt"], "--mask is an option of polyp, not of imt"),
    ],
)
def test_wrong_options_are_refused_in_one_line(command: str, words: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(command, words)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_kinds_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (
        Option("folder", "which", "FOLDER", positional=True, kind="path"),
        Option("size", "in pixels", "HEIGHT WIDTH", "int", default=(1, 2), count=2),
        Option("place", "several", "folder", default=(), repeated=True),
        Option("names", "any number", "name", default=(), count="*"),
        Option("fast", "a switch at 100 %", "", "switch", default=False),
        Option("display_lrm", "Caffe's spelling", "", "switch", default=False, spelling="--display_lrm"),
    )
    monkeypatch.setitem(COMMANDS, "toy", Command("toy", "of 95 %", rows))
    given = "here --size 3 4 --place=a --place=b --fast --display_lrm --names x y"
    expected = {"folder": "here", "size": [3, 4], "place": ["a", "b"], "names": ["x", "y"], "fast": True}
    assert parse("toy", given.split()) == {**expected, "display_lrm": True}
    assert parse("toy", ["a"])["size"] == (1, 2) and parse("toy", ["a"])["fast"] is False
    assert "a switch at 100 %" in parsing.parser(COMMANDS["toy"]).format_help()


def test_help_of_an_application_has_its_options_only(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for words in (["polyp-ft-fc6", "--help"], ["frames-ft-fc6", "--help"], ["--help"]):
        with pytest.raises(SystemExit) as stopped:
            parse("run", words)
        assert not stopped.value.code
        shown[words[0]] = "--mask" in capsys.readouterr().out
    assert shown == {"polyp-ft-fc6": True, "frames-ft-fc6": False, "--help": True}


def test_application_in_a_command_line() -> None:
    assert [application_in(words) for words in (["--seeds", "0", "polyp"], ["imt-scratch"], ["nothing"], [])] == [
        "polyp",
        "imt",
        "",
        "",
    ]
