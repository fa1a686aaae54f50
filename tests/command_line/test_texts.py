"""Every command and option is documented: in --help, in make help, in docs/reference/commands.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from pycaffe_ext.command_line import parsing, texts
from pycaffe_ext.command_line.commands import COMMANDS, EVERYTHING, Command
from pycaffe_ext.programs.flags import Flag

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/commands.md"


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text() == texts.reference(), "run: python tools/write_reference.py"


@pytest.mark.parametrize("command", EVERYTHING, ids=[command.name or command.target for command in EVERYTHING])
def test_every_command_and_option_is_documented(command: Command) -> None:
    makes, page = flat(texts.make_help()), flat(PAGE.read_text())
    if command.shown:
        assert f"make {command.shown} {command.summary}" in makes and f"`make {command.shown}`" in page
    if command.name:
        assert (
            f" {command.name} {command.summary}" in flat(texts.overview()) and f"`pycaffe-ext {command.name}`" in page
        )
    shown = flat(parsing.parser(command).format_help()) if command.name else ""
    for row in command.options:
        if row.variable and command.shown:
            assert f"{row.assignment} {row.text}" in makes
        if command.name and not command.caffes:
            name = row.hint if row.positional else row.flag
            assert all(part in shown and part in page for part in (name, row.text))


@pytest.mark.parametrize("command", [one for one in COMMANDS.values() if one.caffes], ids=lambda command: command.name)
def test_flags_of_caffes_programs_are_on_the_page(command: Command) -> None:
    module = __import__(f"pycaffe_ext.commands.{command.module}", fromlist=["main"])
    tables = [value for value in vars(module).values() if isinstance(value, dict)]
    flags = [name for table in tables for name, flag in table.items() if isinstance(flag, Flag)]
    section = PAGE.read_text().partition(f"\n### {command.name}\n")[2].partition("\n### ")[0]
    assert "Usage: " in section and all(f"-{name} " in section for name in flags)


def test_lines_fit_a_terminal_and_defaults_stand_in_brackets() -> None:
    text = texts.make_help()
    assert all(len(line) <= texts.WIDTH for line in text.splitlines())
    for expected in (
        "PATCHES=n training",
        "the paper: 100000 [6000]",
        "SEED=n of everything random [0]",
        "GPU=id",
        'ROWS="ROW..."',
    ):
        assert expected in flat(text)
    assert flat(text).startswith("make APP-SCHEME") and "SCHEME: ft-conv1, ft-conv2" in flat(text)
