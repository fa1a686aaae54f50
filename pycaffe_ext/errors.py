"""Errors made for a person: one line that says what was wrong, where, and what to do."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from difflib import get_close_matches

from pycaffe_ext.interrupts import end_at_once, status_of, terminated_as_interrupted
from pycaffe_ext.strings import native


class UserError(Exception):
    """An error caused by the user or the machine, reported in one line; programs print it and exit with 1."""


class DeviceLostError(UserError):
    """A device is of no use to this process any more; it must end without freeing what it has there, which aborts."""


class LayerError(UserError):
    """A mistake in the layer called `layer`; who knows the net's file adds the line (`proto.lines.naming_lines`)."""

    def __init__(self, layer: str, message: str) -> None:
        super().__init__(message)
        self.layer = layer


def known(name: str, choices: Iterable[str], kind: str) -> str:
    """Return `name` if it is one of `choices`; raise UserError with the nearest one and the whole list."""
    choices = choices if isinstance(choices, Collection) else list(choices)
    if name in choices:
        return name
    near = get_close_matches(name, choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UserError(f"unknown {kind} {name!r}{hint} (one of: {', '.join(choices)})")


def explain(error: OSError) -> str:
    """One line for an operating system's error: which file, what happened, what to do."""
    where = error.filename or "the disk"
    remedy = {
        errno.ENOSPC: "free some space or choose another folder (RUNS=, OUT=)",
        errno.EDQUOT: "free some space or choose another folder (RUNS=, OUT=)",
        errno.EACCES: "check its permissions or choose another folder (RUNS=, OUT=)",
        errno.EROFS: "choose a folder that can be written",
        errno.ENOENT: "check the path",
    }.get(error.errno or 0)
    return f"{where}: {os.strerror(error.errno or 0).lower()}" + (f"; {remedy}" if remedy else "")


def run_cli(main: Callable[[], int | None]) -> None:
    """Run a program's `main` and exit: 0, 1 after a one-line error, 130 or 143 when interrupted or terminated.

    Names that are not UTF-8 are printed as the bytes that they are.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")
    try:
        with terminated_as_interrupted():
            status = main() or 0
            sys.stdout.flush()
    except UserError as error:
        status = _report(str(error))
        if isinstance(error, DeviceLostError):
            sys.stdout.flush()
            os._exit(status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        status = _report(explain(error))
    except KeyboardInterrupt as interrupt:
        end_at_once()
        status = _report("interrupted; run the same command again to go on", status_of(interrupt))
    sys.exit(status)


def _report(message: str, status: int = 1) -> int:
    with suppress(OSError):  # the terminal may be gone
        print(f"error: {native(' '.join(message.split()))}", file=sys.stderr, flush=True)
    return status
