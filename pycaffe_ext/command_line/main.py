"""The console command `pycaffe-ext`: finds the command's row and hands the arguments to its module."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import pycaffe_ext
from pycaffe_ext import checkout
from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.command_line import texts
from pycaffe_ext.command_line.commands import COMMANDS, Command
from pycaffe_ext.errors import UserError, known, run_cli

OF_APPLICATION = {  # APP-WORD -> command
    "tables": "report",
    "study": "own-study",
    "study-plan": "own-study-plan",
    "deepen": "deepen",
    "probe": "probe",
}


def main(arguments: Sequence[str] | None = None) -> int | None:
    """Run one command; UserError for an unknown one."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(texts.overview())
        return None
    if words[0] == "--version":
        print(f"pycaffe-ext {pycaffe_ext.__version__}")
        return None
    command, rest = resolve(words)
    if not command.module:
        return _run_tool(command, rest)
    result: int | None = import_module(f"pycaffe_ext.commands.{command.module}").main(rest)
    return result


def resolve(words: Sequence[str]) -> tuple[Command, list[str]]:
    """The command that `words` mean, and its arguments.

    `polyp` is `study polyp`, `polyp-tables` is `report polyp`, `polyp-deepen` is `deepen polyp`, and so on;
    `polyp-SCHEME` is `run polyp-SCHEME`.
    """
    first, rest = words[0], list(words[1:])
    if first in COMMANDS:
        return COMMANDS[first], [*COMMANDS[first].words, *rest]
    app, _, scheme = first.partition("-")
    if app not in APPLICATIONS:
        known(first, (*COMMANDS, *APPLICATIONS, "APP-SCHEME", *(f"APP-{word}" for word in OF_APPLICATION)), "command")
    if not scheme:
        return COMMANDS["study"], [app, *rest]
    if scheme in OF_APPLICATION:
        return COMMANDS[OF_APPLICATION[scheme]], [app, *rest]
    return COMMANDS["run"], [first, *rest]


def _run_tool(command: Command, rest: list[str]) -> int:
    """Run a program that reads the checkout's own files, as make does."""
    root = checkout.root()
    if root is None:
        raise UserError(f"{command.name} works in a checkout of the repository only: `make {command.target}` there")
    import runpy

    sys.argv = [str(root / "tools" / f"{command.tool}.py"), *rest]
    runpy.run_path(sys.argv[0], run_name="__main__")
    return 0


def run() -> None:
    """The entry point."""
    run_cli(main)
