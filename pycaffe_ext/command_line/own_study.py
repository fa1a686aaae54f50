"""A study of one data set from make's variables, written down as a study file that can be edited and gone on with."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pycaffe_ext.command_line import study_file
from pycaffe_ext.command_line.options import EXTERNAL, MARGIN, SETTINGS
from pycaffe_ext.command_line.parsing import settings_options
from pycaffe_ext.data import fractions
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.files import reading, writing
from pycaffe_ext.runs.settings import DataRequest, TestSet
from pycaffe_ext.schemes import STAGES, depths
from pycaffe_ext.studies import plan, study
from pycaffe_ext.studies.grid import Cell, Grid

HEAD = """\
# How deep, with how much data, how sure: written by make {app}-study, and free to be edited. To go on:
# make study STUDY={file}
# It takes what is finished. make study-plan, study-status and study-report take the same STUDY=.
"""
FILLED = ("app", "seeds", "schemes", "fraction", "weights", "mean")  # what `entries` makes in ways of their own


def grid(options: Mapping[str, Any]) -> Grid:
    """The study, written down if it was not.   Raises UserError as `write`, and where data or a donor are not there."""
    if lacking := plan.missing(_cells(options), Path(options["runs"])):
        raise UserError(lacking[0])
    return study_file.read(str(write(options)))


def write(options: Mapping[str, Any]) -> Path:
    """Write RUNS/studies/NAME.yaml, or find it as it would be written; return its path.

    options : the parsed ones of `own-study`.   Raises UserError for settings that no run can have, and for a file of
    that name with another study.
    """
    file = Path(options["runs"]) / "studies" / f"{_name(options)}.yaml"
    _cells(options)
    made = entries(options, file.parent)
    if file.exists():
        if differing := _differing(file, made):
            raise UserError(
                f"{file} is there with other {', '.join(differing)}; edit it and go on with make study STUDY={file}, or"
                " give NAME= for a second study"
            )
        return file
    with writing(file) as text:
        text.write(HEAD.format(app=options["app"], file=_word(file)) + _yaml(made))
    return file


def entries(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Variable of make -> its value in a study file in `folder`; without those that have their defaults."""
    rows = [row for row in (*SETTINGS, *EXTERNAL, MARGIN) if row.name in options and row.name not in FILLED]
    given = {row: options[row.name] for row in rows if options[row.name] not in (None, row.default)}
    found: dict[str, Any] = {"APP": options["app"]}
    found |= {row.variable: _path(value, folder) if row.kind == "path" else value for row, value in given.items()}
    if options["weights"] is not None:
        named = study.donors(options["weights"], ())
        donors = {net: _donor(donor, folder) for net, donor in named.items()}
        found["WEIGHTS"] = donors or _donor(options["weights"], folder)
    if options["mean"] is not None:
        mean = options["mean"]
        found["MEAN"] = _path(mean, folder) if study_file.is_path("mean", mean) else mean
    found["SCHEMES"] = _asked(options)
    found["FRACTION"] = [int(share) if share.isdecimal() else share for share in _shares(options["fraction"])]
    found["SEEDS"] = list(study.parse_seeds(options["seeds"]))
    return found


def schemes(arch: str) -> tuple[str, ...]:
    """Those of a study that is given none: the shallowest, a middle and the deepest fine-tuning, and from scratch."""
    tuned = depths(known(arch, STAGES, "ARCH"))
    return tuned[0], tuned[len(tuned) // 2], tuned[-1], "scratch"


def _asked(options: Mapping[str, Any]) -> list[str]:
    return options["schemes"].split() or list(schemes(options["arch"]))


def _cells(options: Mapping[str, Any]) -> list[Cell]:
    """The runs.   Raises the UserError that `make APP` with these settings would."""
    own, seeds = settings_options(options), study.parse_seeds(options["seeds"])
    outside = TestSet.given(options["test_data"], options["test_dataset"])
    return [
        Cell(job, outside, margin=options["margin"])
        for share in _shares(options["fraction"])
        for job in study.jobs(options["app"], _asked(options), seeds, **{**own, "fraction": share})
    ]


def _shares(text: str) -> list[str]:
    """`1, 1/4` or `1 1/4` -> ["1", "1/4"]."""
    found = [fractions.parse_fraction(word) for word in text.replace(",", " ").split()]
    if not found or len(set(found)) < len(found):
        raise UserError(f"FRACTION={text}: give one share or several different ones, e.g. FRACTION='1 1/4'")
    return found


def _name(options: Mapping[str, Any]) -> str:
    name: str = options["name"] or f"{options['app']}-{DataRequest(options['app'], data=options['data']).source}"
    if name.startswith(".") or {os.sep, "\0", "\n"} & set(name):
        raise UserError(f"NAME={name}: is the name of a file in RUNS/studies/, without folders")
    return name


def _path(text: str, folder: Path) -> str:
    """A path from the current folder as one from `folder`, as a study file there has it; a whole one stays."""
    return text if os.path.isabs(text) else os.path.relpath(text, folder)


def _donor(text: str, folder: Path) -> str:
    """The name of a published donor stays."""
    return text if os.sep not in text and not os.path.exists(text) else _path(text, folder)


def _word(file: Path) -> str:
    """A path as a word of a comment: what a YAML file cannot hold as it is is replaced."""
    return shlex.quote(" ".join(str(file).encode("utf-8", "replace").decode().splitlines()))


def _yaml(made: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(made), sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)
    return text


def _differing(file: Path, made: Mapping[str, Any]) -> list[str]:
    """Names of what a file has otherwise than it would be written, compared as text as study files are read."""
    with reading(file) as text:
        try:
            there = yaml.load(text, yaml.BaseLoader)
        except yaml.YAMLError:
            return ["content"]
    wanted = yaml.load(_yaml(made), yaml.BaseLoader)
    if not isinstance(there, dict):
        return ["content"]
    return [name for name in {**wanted, **there} if there.get(name) != wanted.get(name)]
