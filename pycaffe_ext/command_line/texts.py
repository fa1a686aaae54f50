"""The help texts made from the tables: of make, of `pycaffe-ext`, and the reference page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.command_line.commands import COMMANDS, EVERYTHING, Command
from pycaffe_ext.command_line.options import GROUPS, MACHINE, RUN, RUNS, SETTINGS, STUDY, Option
from pycaffe_ext.schemes import schemes

SHARED = (*STUDY, *SETTINGS, *MACHINE, RUNS, RUN)
WIDTH, INDENT = 120, 24


def make_help() -> str:
    """Every target and variable of the Makefile."""
    lines = [_entry(f"make {command.shown}", command.summary) for command in EVERYTHING if command.shown]
    lines[0] += "\n" + "\n".join(
        _entry("", f"{name}: {', '.join(values)}")
        for name, values in (("APP", APPLICATIONS), ("SCHEME", schemes("alexnet")))
    )
    lines[0] += "\n" + _entry(
        "",
        "other nets have ft-STAGE of their own, every net gradual-STAGE too; a wrong SCHEME lists those of its ARCH",
    )
    for group, title in GROUPS.items():
        rows = [row for row in SHARED if row.group == group]
        if rows:
            lines += ["", f"{title}:"]
            lines += [_entry(f"  {row.assignment}", row.text) for row in rows]
    lines += ["", "Of single targets:"]
    lines += [
        _entry(f"  {command.shown} {row.assignment}", row.text)
        for command in EVERYTHING
        if command.shown
        for row in own_options(command)
        if row.variable
    ]
    return "\n".join(lines)


def own_options(command: Command) -> list[Option]:
    """A command's options that are not those of every run."""
    return [row for row in command.options if row not in SHARED]


def _entry(head: str, text: str) -> str:
    """`head` in its column and `text` wrapped beside it, below it where it is too long."""
    gap = " " * INDENT
    wrapped = textwrap.fill(text, WIDTH, initial_indent=gap, subsequent_indent=gap, break_on_hyphens=False)
    return head.ljust(INDENT) + wrapped[INDENT:] if len(head) < INDENT else f"{head}\n{wrapped}"


def overview() -> str:
    """What `pycaffe-ext --help` prints."""
    lines = ["usage: pycaffe-ext COMMAND [OPTIONS]; `pycaffe-ext COMMAND --help` lists its options", ""]
    lines += [
        _entry("  APP-SCHEME", "short for run, e.g. pycaffe-ext polyp-ft-conv3 --data=folder"),
        _entry("  APP", "short for study APP, e.g. pycaffe-ext polyp --seeds=0,1,2"),
        _entry("  APP-tables", "short for report APP"),
        _entry("  APP-study", "short for own-study APP; APP-study-plan for own-study-plan APP"),
        _entry("  APP-deepen", "short for deepen APP"),
        _entry("  APP-probe", "short for probe APP"),
        "",
    ]
    lines += [_entry(f"  {command.name}", _summary(command)) for command in COMMANDS.values()]
    lines += ["", _entry("APP", ", ".join(APPLICATIONS)), _entry("SCHEME", ", ".join(schemes("alexnet")))]
    return "\n".join([*lines, "", "`python -m pycaffe_ext` is the embedded engine behind Caffe's own command line."])


def _summary(command: Command) -> str:
    return command.summary + (" (in a checkout only)" if command.tool else "")


def reference() -> str:
    """docs/reference/commands.md."""
    lines = [
        "# Commands and options",
        "",
        "<!-- Written by tools/write_reference.py from pycaffe_ext/command_line; do not edit. -->",
        "",
        "`make TARGET NAME=value` in a checkout and `pycaffe-ext COMMAND --name=value` anywhere do the same.",
        "What holds if an option is not given stands in brackets. An option that a command does not take is an error,",
        "before anything runs. Of several targets in one call of make, one must take it. What stands only in make's",
        "environment is used by the targets that take it.",
        "",
        "## Options of a run",
    ]
    for group, title in GROUPS.items():
        rows = [row for row in SHARED if row.group == group]
        lines += ["", f"### {title}", "", *_bullets(rows)] if rows else []
    lines += ["", "## Commands"]
    for command in COMMANDS.values():
        lines += ["", *_section(command)]
    lines += ["", "## Only make", ""]
    for command in EVERYTHING:
        if not command.name:
            lines += [f"- `make {command.target}`: {command.summary}"]
            lines += [f"    - `{row.assignment}`: {row.text}" for row in command.options]
            if command.sets:
                names = ", ".join(f"`{name}=`" for name in command.sets)
                lines += [f"    - takes what `make APP` and `make APP-tables` take but {names}, which it sets itself"]
    return "\n".join(lines) + "\n"


def _section(command: Command) -> list[str]:
    names = [f"`pycaffe-ext {command.name}`", *([f"`make {command.shown}`"] if command.shown else [])]
    lines = [f"### {command.name}", "", f"{', '.join(names)}: {_summary(command)}."]
    if command.caffes:
        return [*lines, "", *(f"    {line}".rstrip() for line in _flags(command).splitlines())]
    shared = [row.flag for row in command.options if row in SHARED]
    if shared:
        lines += ["", f"Options of a run: {', '.join(f'`{flag}`' for flag in shared)}."]
    own = own_options(command)
    return [*lines, "", *_bullets(own)] if own else lines


def _flags(command: Command) -> str:
    """What --help of one of Caffe's own programs prints."""
    text = StringIO()
    with redirect_stdout(text):
        import_module(f"pycaffe_ext.commands.{command.module}").main(["--help"])
    return text.getvalue()


def _bullets(rows: Iterable[Option]) -> list[str]:
    return [f"- {_written(row)}: {row.text}" for row in rows]


def _written(row: Option) -> str:
    value = f"={row.hint}" if row.hint and not row.count else f" {row.hint}" if row.hint else ""
    command = f"`{row.hint}`" if row.positional else f"`{row.flag}{value}`"
    return command + (f", `{row.assignment}`" if row.variable else "")
