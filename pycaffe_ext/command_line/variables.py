"""The variables of make's command line: which of them a target takes, and why others are refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.command_line.commands import COMMANDS, EVERYTHING, Command, application_in
from pycaffe_ext.command_line.main import resolve
from pycaffe_ext.command_line.options import Option
from pycaffe_ext.schemes import STAGES, schemes

TARGETS = {command.target: command for command in EVERYTHING if command.target}
KNOWN = {row.variable for command in EVERYTHING for row in command.options if row.variable}
ALMOST = 0.8  # similarity from which another variable is meant by a known one: SEED and SEEDS, not TEST_DATA and DATA


def refusal(goals: Sequence[str], given: Iterable[str]) -> str:
    """Why variables given for make's `goals` (none: help) are refused, one line; "" if a goal takes each of them.

    Goals that make does not have take nothing; of these alone, "": make tells what is wrong.
    """
    goals = goals or ["help"]
    if not any(command_of(goal) for goal in goals):
        return ""
    rows = [(row, application_in([goal])) for goal in goals for row in options(goal)]
    accepted = {row.variable for row, _ in rows}  # with those of another application, which the command itself refuses
    taken = list(dict.fromkeys(row.variable for row, app in rows if not app or app in (row.applications or [app])))
    wrong = [name for name in given if name not in accepted]
    if not wrong:
        return ""
    sentences = [_sentence(name, f"make {' '.join(goals)}", taken) for name in wrong]
    if not KNOWN & set(wrong) and all(sentence.endswith("?") for sentence in sentences):
        return " ".join([*sentences, "make help lists all"])
    return " ".join([*sentences, f"it takes: {', '.join(taken)}" if taken else "it takes none"])


def options(goal: str) -> tuple[Option, ...]:
    """What a goal of make takes of the user: the rows that are variables of make."""
    command = command_of(goal)
    if command is None:
        return ()
    rows = command.options
    if command.sets:
        found: dict[str, Option] = {}
        for row in (row for name in ("study", "report", "own-study") for row in COMMANDS[name].options):
            found.setdefault(row.variable, row)
        rows = tuple(found.values())
    return tuple(row for row in rows if row.variable and row.variable not in command.sets)


def command_of(goal: str) -> Command | None:
    """The command that a goal of make runs; None if there is none, which make or the command reports."""
    if goal in TARGETS:
        return TARGETS[goal]
    app, _, scheme = goal.partition("-")
    if app not in APPLICATIONS:
        return None
    command, _ = resolve([goal])
    every = {name for arch in STAGES for name in schemes(arch)}
    return None if command is COMMANDS["run"] and scheme not in every else command


def _sentence(name: str, target: str, taken: Sequence[str]) -> str:
    """What is wrong with a variable; it ends with ? if there is a near one, else with ;"""
    if name in KNOWN:
        what, near = f"{name}= is not taken by {target}", get_close_matches(name, taken, n=1, cutoff=ALMOST)
    else:
        names = [*taken, *(row.variable for row in TARGETS["setup"].options)]
        what, near = f"{name}= is no option", get_close_matches(name.upper().replace("-", "_"), names, n=1)
    return f"{what}; did you mean {near[0]}=?" if near else f"{what};"
