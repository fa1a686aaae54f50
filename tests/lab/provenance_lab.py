"""Whether every figure and table of a report names functions that exist."""

import csv
import re
from importlib import import_module
from pathlib import Path

from pycaffe_ext.report import provenance


def function_of(name: str) -> object:
    """What a report means by a name: a function of the package."""
    module, function = name.rsplit(".", 1)
    return getattr(import_module(f"pycaffe_ext.{module}"), function)


def check_page(page: str) -> None:
    """report.md: as many lines in its last table as it has figures and tables, each with functions that exist."""
    before, last = page.split(f"## {provenance.TITLE}")
    shown = len(re.findall(r"^\| ---", before, re.M)) + len(re.findall(r"^!\[", before, re.M))
    lines = [line for line in last.splitlines() if line.startswith("|")][2:]
    assert len(lines) == shown
    for line in lines:
        for name in line.split("|")[-2].replace("\\", "").split(","):
            assert callable(function_of(name.strip())), name


def check_claims(table: Path) -> int:
    """Every function that claims.csv names exists; returns how many rows name one."""
    with table.open(encoding="utf-8", newline="") as file:
        named = [row["function"] for row in csv.DictReader(file) if row["function"]]
    assert all(callable(function_of(name)) for name in named)
    return len(named)
