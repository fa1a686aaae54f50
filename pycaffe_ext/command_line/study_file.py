"""Study files: a grid of runs as YAML, in the names of make's variables.

    SEEDS: [0, 1, 2]            # common to all blocks
    PATCHES: 600
    blocks:
      - APP: polyp              # a block overrides what is common
        DATA: ../images/polyps  # relative to this file
        ARCH: squeezenet
        SCHEMES: [ft-conv10, ft-conv1, scratch]
        FRACTION: [1, 1/4]

Values are read as text and then as the option table says, so they mean what they mean on make's command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.command_line.options import EXTERNAL, MACHINE, MARGIN, RUN, RUNS, STUDY, Option, settings
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.files import reading, user_path
from pycaffe_ext.runs.settings import DATA_MEAN, DONOR_MEAN, Settings, TestSet, mean_values
from pycaffe_ext.schemes import STAGES, check, compared
from pycaffe_ext.studies import study
from pycaffe_ext.studies.grid import Cell, Grid, check_distinct, check_margins

APP = Option("app", "the application, or several", "name")
ROWS: dict[str, Option] = {row.variable: row for row in (APP, *STUDY, *settings(without=("seed",)), *EXTERNAL, MARGIN)}
NO_OPTIONS = ("WEIGHTS", MARGIN.variable)  # of a run, or read apart
LISTS = ("APP", "ARCH", "FRACTION", "SCHEMES", "SEEDS")  # may have several values
BLOCKS = "blocks"
ELSEWHERE = {  # variables of make that a study file has not, and why
    **{row.variable: "it changes the time only; give it to make" for row in (*MACHINE, RUNS)},
    RUN.variable: "every run is named after its settings",
    "SEED": "give SEEDS",
}
KINDS = {"int": (int, "a whole number"), "float": (float, "a number")}


@dataclass(frozen=True)
class Entry:
    """A value of the file: text, a list of texts, or net -> text; None = nothing, the default.  lines : of each."""

    value: str | tuple[str, ...] | Mapping[str, str] | None
    line: int
    lines: tuple[int, ...] = ()

    @property
    def listed(self) -> list[tuple[str, int]]:
        """(value, line) of each value."""
        if isinstance(self.value, str):
            return [(self.value, self.line)]
        return list(zip(self.value or (), self.lines, strict=True)) if isinstance(self.value, tuple) else []


Entries = dict[str, Entry]


class _File:
    """Reads one file; errors name it and the line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def error(self, line: int, text: str) -> UserError:
        return UserError(f"{self.path}, line {line}: {text}")

    def root(self) -> yaml.Node:
        try:
            with reading(self.path) as file:
                node: yaml.Node | None = yaml.compose(file, yaml.SafeLoader)
        except (FileNotFoundError, IsADirectoryError):
            raise UserError(f"{self.path}: no such study file; STUDY= is a .yaml, e.g. studies/quick.yaml") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self.error(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}") from None
        except yaml.YAMLError as error:
            raise UserError(f"{self.path}: not YAML: {' '.join(str(error).split())}") from None
        if node is None:
            raise UserError(f"{self.path} is empty; a study file has at least APP: and what to run")
        return node

    def pairs(self, node: yaml.Node, what: str) -> dict[str, tuple[yaml.Node, int]]:
        """key -> (value, line of the key) of a mapping; names of variables in capitals."""
        if not isinstance(node, yaml.MappingNode):
            raise self.error(_line(node), f"{what} must be NAME: value pairs")
        found: dict[str, tuple[yaml.Node, int]] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            name = name if name == BLOCKS else name.upper()
            if name in found:
                raise self.error(_line(key), f"{name} is given twice, also in line {found[name][1]}")
            found[name] = value, _line(key)
        return found

    def entries(self, pairs: Mapping[str, tuple[yaml.Node, int]]) -> Entries:
        return {name: self.entry(name, node, line) for name, (node, line) in pairs.items()}

    def entry(self, name: str, node: yaml.Node, line: int) -> Entry:
        if name in ELSEWHERE:
            raise self.error(line, f"{name} is not for a study file: {ELSEWHERE[name]}")
        try:
            known(name, ROWS, "setting")
        except UserError as error:
            raise self.error(line, str(error)) from None
        if isinstance(node, yaml.SequenceNode) and name in LISTS:
            if not node.value:
                raise self.error(line, f"{name} is an empty list; leave it out for its default")
            return Entry(tuple(self.text(name, one) for one in node.value), line, tuple(map(_line, node.value)))
        if isinstance(node, yaml.MappingNode) and name == "WEIGHTS":
            donors = {str(key.value): self.text(name, value) for key, value in node.value}
            return Entry(donors, line)
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            return Entry(None, line)
        return Entry(self.text(name, node), _line(node))

    def text(self, name: str, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
            several = f"; only {', '.join(LISTS)} have lists" if isinstance(node, yaml.SequenceNode) else ""
            raise self.error(_line(node), f"{name} takes one value{several}")
        self.check_kind(name, node)
        return str(node.value)

    def check_kind(self, name: str, node: yaml.ScalarNode) -> None:
        kind, words = KINDS.get(ROWS[name].kind, (str, ""))
        try:
            kind(node.value)
        except ValueError:
            raise self.error(_line(node), f"{name}: {node.value!r} is not {words}") from None


def read(given: str) -> Grid:
    """The grid of a study file; every path in it becomes one from the current folder, as make takes it.

    Raises UserError, with the line, for what is no YAML, unknown names and values, wrong types, and a run that is there
    twice.
    """
    file = _File(user_path(given))
    top = file.pairs(file.root(), "a study file")
    blocks = top.pop(BLOCKS, None)
    common = file.entries(top)
    parts: list[tuple[Entries, int]]
    if blocks is None:
        parts = [({}, min((line for _, line in top.values()), default=1))]
    else:
        node, line = blocks
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise file.error(line, f"{BLOCKS} must be a list of blocks, each of NAME: value pairs")
        parts = [(file.entries(file.pairs(one, "a block")), _line(one)) for one in node.value]
    _check_applications(file, common, [own for own, _ in parts])
    cells = [cell for own, line in parts for cell in _cells(file, common, own, line)]
    check_distinct(file.path, cells)
    check_margins(file.path, cells)
    return Grid(file.path.stem, file.path, tuple(cells))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _check_applications(file: _File, common: Entries, blocks: Sequence[Entries]) -> None:
    """What only some applications have must be for one that is there; in a block, for one of the block's."""
    every: set[str] = set()
    for own in blocks:
        apps = {app for app, _ in (common | own).get("APP", Entry(None, 0)).listed}
        every |= apps
        _check_owned(file, own, apps)
    _check_owned(file, common, every)


def _check_owned(file: _File, entries: Entries, apps: set[str]) -> None:
    for name, entry in entries.items():
        owners = ROWS[name].applications
        if owners and apps and not apps & set(owners):
            raise file.error(
                entry.line, f"{name} is a setting of {', '.join(owners)}, not of {', '.join(sorted(apps))}"
            )


def _cells(file: _File, common: Entries, own: Entries, line: int) -> list[Cell]:
    """The runs of a block, which begins in `line`: by application, net and fraction, in each seed by seed."""
    entries = common | own
    if "APP" not in entries or not entries["APP"].listed:
        raise file.error(line, f"the block has no APP; one or more of {', '.join(APPLICATIONS)}")
    apps = _each(file, entries, "APP", lambda text: known(text, APPLICATIONS, "application"))
    nets = _each(file, entries, "ARCH", lambda text: known(text, STAGES, "ARCH")) or ["alexnet"]
    shares = _each(file, entries, "FRACTION", lambda text: Settings.of(apps[0], "scratch", fraction=text))
    cells = []
    for app, arch, share in product(apps, nets, shares or ["1"]):
        schemes = _schemes(file, entries, arch)
        options = _options(file, entries, app) | {"weights": _weights(file, common, own, arch, schemes)}
        seeds = " ".join(text for text, _ in entries["SEEDS"].listed) if "SEEDS" in entries else "0"
        try:
            test = TestSet.given(options.pop("test_data", None), options.pop("test_dataset", None))
            jobs = study.jobs(app, schemes, study.parse_seeds(seeds), arch=arch, fraction=share, **options)
            cells += [Cell(job, test, line, _margin(entries)) for job in jobs]
        except UserError as error:
            raise file.error(_line_of(str(error), entries, line), str(error)) from None
    return cells


def _margin(entries: Entries) -> float | None:
    entry = entries.get(MARGIN.variable)
    return float(entry.value) if entry and isinstance(entry.value, str) else None


def _each(file: _File, entries: Entries, name: str, check_one: Any) -> list[str]:
    values = entries[name].listed if name in entries else []
    for text, line in values:
        try:
            check_one(text)
        except UserError as error:
            raise file.error(line, str(error)) from None
    return [text for text, _ in values]


def _schemes(file: _File, entries: Entries, arch: str) -> list[str]:
    """As `study.parse_scheme` takes them; none given = those that the paper compares."""
    values = entries["SCHEMES"].listed if "SCHEMES" in entries else []
    pairs = [(word, line) for text, line in values for word in text.split()]
    for word, line in pairs:
        try:
            net, scheme, _ = study.parse_scheme(word, arch)
            check(scheme, net)
        except UserError as error:
            raise file.error(line, str(error)) from None
    return [word for word, _ in pairs] or list(compared(arch))


def _options(file: _File, entries: Entries, app: str) -> dict[str, Any]:
    """name -> value of what an application has, besides the lists and the donor."""
    found = {}
    for name, entry in entries.items():
        row = ROWS[name]
        if name in (*LISTS, *NO_OPTIONS) or (row.applications and app not in row.applications):
            continue
        if isinstance(entry.value, str):
            kind = KINDS.get(row.kind, (str, ""))[0]
            found[row.name] = _path(file, row.name, entry.value) if row.kind == "path" else kind(entry.value)
    return found


def _weights(file: _File, common: Entries, own: Entries, arch: str, schemes: Sequence[str]) -> str | None:
    """WEIGHTS= as a study of one net or several takes it; of common ones, those of the block's nets."""
    entry = (common | own).get("WEIGHTS")
    if entry is None or entry.value is None:
        return None
    if isinstance(entry.value, str) and not study.donors(entry.value, ()):
        return _path(file, "weights", entry.value)
    try:
        named = study.donors(entry.value, ()) if isinstance(entry.value, str) else dict(entry.value)  # type: ignore[arg-type]
        _ = [known(net, STAGES, "net") for net in named]
    except UserError as error:
        raise file.error(entry.line, str(error)) from None
    if "WEIGHTS" not in own:
        used = {study.parse_scheme(scheme, arch)[0] for scheme in schemes}
        named = {net: donor for net, donor in named.items() if net in used}
    return ":".join(f"{net}={_path(file, 'weights', donor)}" for net, donor in named.items()) or None


def _path(file: _File, name: str, text: str) -> str:
    """A path from the current folder of one that the file gives from its own; words that are no paths stay."""
    if not is_path(name, text):
        return text
    place = Path(os.path.expanduser(text))
    if place.is_absolute():
        return str(place)
    there = file.path.absolute().parent / place
    if name == "weights" and os.sep not in text and not there.exists():
        return text  # the name of a published donor
    return os.path.relpath(there)


def is_path(name: str, text: str) -> bool:
    """Whether the value of a setting of the kind "path" is one; a mean may be words or values."""
    return name != "mean" or not (text in (DONOR_MEAN, DATA_MEAN) or mean_values(text))


def _line_of(error: str, entries: Entries, line: int) -> int:
    """The line of the setting that an error begins with, NAME=..., else that of the block."""
    found = re.match(r"([A-Z_]+)=", error)
    return entries[found[1]].line if found and found[1] in entries else line
