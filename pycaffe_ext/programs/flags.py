"""Command lines as Caffe's tools read them (gflags): -flag=value, --flag value, -flag and -noflag for switches."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pycaffe_ext.errors import UserError, known

WORDS = {"1": True, "t": True, "true": True, "y": True, "yes": True}
WORDS |= {"0": False, "f": False, "false": False, "n": False, "no": False}
GLOG = ("logtostderr", "alsologtostderr")  # scripts give them; the log always goes to standard error


@dataclass(frozen=True)
class Flag:
    """One flag; its type is that of its default (bool, int or str)."""

    default: Any
    help: str


def parse(
    usage: str, flags: Mapping[str, Flag], counts: Sequence[int], arguments: Sequence[str] | None = None
) -> tuple[dict[str, Any], list[str]] | None:
    """(flag -> value, the other arguments in order); None after help, asked for or printed for want of arguments.

    counts : how many other arguments there may be.  Raises UserError for an unknown flag, a value that does not fit,
    or too many arguments.
    """
    values = {name: flag.default for name, flag in flags.items()}
    rest: list[str] = []
    words = list(sys.argv[1:] if arguments is None else arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            rest += words
            break
        if not word.startswith("-") or word == "-" or word[1:].isdigit():
            rest.append(word)
            continue
        name, is_given, text = word.lstrip("-").partition("=")
        if name in ("help", "h", "helpshort"):
            print(_help(usage, flags))
            return None
        if name not in GLOG:
            _set(values, flags, name, text if is_given else None, words)
    if len(rest) not in counts:
        _refuse(usage, flags, rest, counts)
    return values, rest


def _set(values: dict[str, Any], flags: Mapping[str, Flag], name: str, text: str | None, words: list[str]) -> None:
    if name not in flags and text is None and isinstance(values.get(name.removeprefix("no")), bool):
        values[name.removeprefix("no")] = False
        return
    kind = type(flags[known(name, flags, "flag")].default)
    if kind is bool:
        values[name] = True if text is None else WORDS.get(text.lower())
    else:
        if text is None and not words:
            raise UserError(f"flag {name!r} needs a value: -{name}=VALUE")
        text = words.pop(0) if text is None else text
        values[name] = text if kind is str else _whole(text)
    if values[name] is None:
        raise UserError(f"flag {name!r}: {text!r} is no {'yes or no' if kind is bool else 'whole number'}")


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _refuse(usage: str, flags: Mapping[str, Flag], rest: list[str], counts: Sequence[int]) -> NoReturn:
    if len(rest) > max(counts):
        raise UserError(f"{len(rest)} arguments given, at most {max(counts)} are read; too many: {rest[max(counts)]!r}")
    print(_help(usage, flags), file=sys.stderr)
    raise UserError(f"{len(rest)} arguments given, {' or '.join(map(str, counts))} needed; the usage stands above")


def _help(usage: str, flags: Mapping[str, Flag]) -> str:
    lines = [f"  -{name:<15} {flag.help} ({str(flag.default).lower() or 'none'})" for name, flag in flags.items()]
    head = ["", "flags (one dash or two; in brackets their defaults):"] if flags else []
    return "\n".join([usage.strip(), *head, *lines])
