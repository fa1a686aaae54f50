"""Parsers made from the tables."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pycaffe_ext.command_line.commands import COMMANDS, Command, application_in
from pycaffe_ext.command_line.options import GROUPS, MACHINE, SETTINGS, Option
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import expanded

KINDS = {"text": str, "int": int, "float": float, "path": expanded}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; `{self.prog} --help` lists the options")


class _Formatter(argparse.HelpFormatter):
    """Names with hyphens, such as polyp-ft-conv3, stay on one line."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def parse(name: str, arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Every option of a command -> its value or its default, None if the application lacks it; --help prints and exits.

    arguments : None = those of this process.  Raises UserError for an unknown option, a value of the wrong kind, or an
    option that the given application does not have.
    """
    command, words = COMMANDS[name], list(sys.argv[1:] if arguments is None else arguments)
    asks_for_help = bool({"-h", "--help"} & set(words))
    given = vars(parser(command, application_in(words) if asks_for_help else "").parse_args(words))
    application = application_in([given.get("app") or given.get("name") or ""])
    for row in command.options:
        if row.name in given and not _has(row, application):
            raise UserError(f"{row.flag} is an option of {', '.join(row.applications)}, not of {application}")
    return {row.name: given.get(row.name, row.default if _has(row, application) else None) for row in command.options}


def parser(command: Command, application: str = "") -> argparse.ArgumentParser:
    """The parser of a command's options, or of those that `application` has; what is not given is left out."""
    words = [f"pycaffe-ext {command.name} [OPTIONS]", *(_word(row) for row in command.options if row.positional)]
    result = _Parser(
        prog=f"pycaffe-ext {command.name}",
        usage=_plain(" ".join(words)),
        description=_plain(command.summary),
        allow_abbrev=False,
        formatter_class=_Formatter,
    )
    groups: dict[str, Any] = {}
    for row in command.options:
        if not _has(row, application):
            continue
        if row.positional:
            _add(result, row)
            continue
        if row.group not in groups:
            groups[row.group] = result.add_argument_group(GROUPS[row.group])
        _add(groups[row.group], row)
    return result


def _add(target: Any, row: Option) -> None:
    help = _plain(row.text)
    if row.kind == "switch":
        target.add_argument(row.flag, dest=row.name, action="store_true", default=argparse.SUPPRESS, help=help)
        return
    more: dict[str, Any] = {"nargs": row.count} if row.count else {}
    if row.repeated:
        more["action"] = "append"
    if not row.positional:
        more |= {"dest": row.name, "required": row.required}
    shown = tuple(row.hint.split()) if isinstance(row.count, int) and row.count > 1 else row.hint
    target.add_argument(row.flag, type=KINDS[row.kind], default=argparse.SUPPRESS, metavar=shown, help=help, **more)


def _has(row: Option, application: str) -> bool:
    """Whether an application has an option; "" stands for all of them."""
    return not row.applications or application in ("", *row.applications)


def _word(row: Option) -> str:
    return f"[{row.hint}]" if row.count else row.hint


def _plain(text: str) -> str:
    return text.replace("%", "%%")


def settings_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run's data and training among parsed options."""
    return {row.name: options[row.name] for row in SETTINGS if row.name in options}


def machine_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the machine among parsed options."""
    return {row.name: options[row.name] for row in MACHINE if row.name in options}
