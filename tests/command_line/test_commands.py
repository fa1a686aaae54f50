"""The tables of commands and options agree with the modules, the settings and the Makefile."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.command_line.commands import COMMANDS, EVERYTHING, MAKE_ONLY, Command
from pycaffe_ext.command_line.options import EXTERNAL, GROUPS, MACHINE, RUN, RUNS, SETTINGS, STUDY
from pycaffe_ext.runs.settings import DataRequest, Machine, Training
from pycaffe_ext.schemes import schemes

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = {
    "run": "polyp-ft-conv3",
    "study": "polyp",
    "own-study": "polyp-study",
    "own-study-plan": "polyp-study-plan",
    "report": "polyp-tables",
    "deepen": "polyp-deepen",
    "probe": "polyp-probe",
}
MADE = [command for command in COMMANDS.values() if command.shown]
PRINTING = '#!/bin/sh\nif [ "$1" != -c ]; then printf \'%s\\n\' "$@" > "$ARGUMENTS_FILE"; fi\n'


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_every_command_has_a_module_or_a_program_of_the_checkout(command: Command) -> None:
    assert bool(command.module) != bool(command.tool)
    if command.module:
        assert callable(import_module(f"pycaffe_ext.commands.{command.module}").main)
    else:
        assert (ROOT / "tools" / f"{command.tool}.py").is_file()


def test_every_module_is_a_command() -> None:
    modules = {path.stem for path in (ROOT / "pycaffe_ext/commands").glob("[!_]*.py")}
    assert modules == {command.module for command in COMMANDS.values()} - {""}


def test_rows_are_well_formed() -> None:
    for command in EVERYTHING:
        names = [row.name for row in command.options]
        assert len(set(names)) == len(names), command.name
        for row in command.options:
            assert (
                row.group in GROUPS and set(row.applications) <= set(APPLICATIONS) and row.help and row.hint != "text"
            )
            assert not row.help.endswith("]"), "what holds otherwise is added in brackets"


def test_defaults_are_those_of_the_settings() -> None:
    asked = {field.name: field.default for record in (DataRequest, Training) for field in fields(record)}
    fixed = {name: default for name, default in asked.items() if name not in ("app", "scheme", "options")}
    fixed["split_seed"] = None  # the data's seed, where it is not that of the training: see Settings.of
    assert {row.name: row.default for row in SETTINGS if not row.applications} == fixed
    assert {row.name: row.default for row in MACHINE} == {field.name: field.default for field in fields(Machine)}


def test_every_option_of_an_application_has_a_row_with_its_default() -> None:
    for slug, entry in APPLICATIONS.items():
        rows = {row.name: row for row in SETTINGS if slug in row.applications}
        assert set(rows) == set(entry.options)
        for name, default in entry.options.items():
            assert rows[name].default == default or f"{slug}: {default}" in rows[name].unset


def words_of(name: str) -> list[str]:
    """The words that the Makefile gives a variable."""
    found = re.search(rf"^{name} *:= (.*)$", MAKEFILE, re.MULTILINE)
    assert found, name
    return found[1].split()


def test_the_makefile_lists_what_the_tables_list() -> None:
    assert words_of("APPS") == list(APPLICATIONS)
    assert words_of("TUNINGS") == list(schemes("alexnet"))
    shared = [row.variable for row in (*SETTINGS, *EXTERNAL, *MACHINE, RUNS, RUN, *STUDY)]
    assert sorted(words_of("OPTIONS")) == sorted([*shared, "OUT"])
    every = {row.variable for command in EVERYTHING for row in command.options if row.variable}
    assert {*words_of("OPTIONS"), *words_of("ARGUMENTS")[1:]} == every - {"VENV", "PYTHON"}


def test_the_makefile_has_the_targets_of_the_table() -> None:
    rules = re.findall(r"^([a-z][a-z-]*):(?!=)", MAKEFILE, re.MULTILINE)
    assert sorted(set(rules) - {"broken-venv"}) == sorted(command.target for command in EVERYTHING if command.target)
    assert {command.target for command in MAKE_ONLY} >= {"help", "setup", "test", "lint", "clean"}


@pytest.mark.parametrize(("variable", "target"), [("KVASIR", "kvasir"), ("CHEST", "chest-xray")])
def test_the_readmes_studies_set_what_their_rows_say(variable: str, target: str) -> None:
    block = re.search(rf"^{variable} := ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert block and recipe
    names = {*re.findall(r"\b([A-Z_]+)=", block[1]), *re.findall(r"\$\([A-Z]+\) ([A-Z_]+)=", recipe[1])}
    assert names == {*next(command.sets for command in MAKE_ONLY if command.target == target)}


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment whose Python writes its arguments down."""
    folder = tmp_path_factory.mktemp("venv")
    (folder / "bin").mkdir()
    (folder / "bin/python").write_text(PRINTING)
    (folder / "bin/python").chmod(0o755)
    (folder / ".ready").touch()
    return folder


@pytest.mark.parametrize("command", MADE, ids=[command.name for command in MADE])
def test_make_hands_each_command_its_variables_and_no_others(command: Command, venv: Path) -> None:
    variables = {row.variable for other in COMMANDS.values() for row in other.options if row.variable}
    order = ["make", "-s", "-C", str(ROOT), f"VENV={venv}", TARGETS.get(command.name, command.target)]
    file = venv / "arguments"
    given = {name: f"given{name}" for name in variables}
    subprocess.run(order, env={**os.environ, **given, "ARGUMENTS_FILE": str(file)}, check=True)
    program, *words = file.read_text().splitlines()
    taken = [f"{row.variable}=given{row.variable}" for row in command.options if row.variable]
    subprocess.run([*order, *taken], env={**os.environ, "ARGUMENTS_FILE": str(file)}, check=True)
    assert file.read_text().splitlines() == [program, *words]
    expected = []
    for row in command.options:
        value = f"given{row.variable}"
        if row.variable and (row.positional or row.count):
            expected += [value] if row.positional else [row.flag, value]
        elif row.variable:
            expected.append(f"{row.flag}={value}")
    fixed = (
        [TARGETS[command.name] if command.name == "run" else "polyp"]
        if command.name in TARGETS
        else list(command.words)
    )
    assert sorted(words) == sorted([*fixed, *expected])
    text = (ROOT / program).read_text()
    assert f"pycaffe_ext.commands.{command.module} " in text or program == f"tools/{command.tool}.py"
