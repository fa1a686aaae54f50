"""The table of functions in docs/explanation/statistics.md names what there is."""

from __future__ import annotations

import re
from importlib import import_module
from operator import attrgetter
from pathlib import PurePosixPath

from pycaffe_ext import checkout

HEADING = "## From a number to the function that made it\n"


def named() -> list[tuple[str, str]]:
    """(module, name in it) of every function and file of the table; the name is "" of a file alone."""
    page = (checkout.root() / "docs" / "explanation" / "statistics.md").read_text().partition(HEADING)[2]
    rows = [line.split("|")[2] for line in page.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    pairs = []
    for row in rows[1:]:
        folder = file = PurePosixPath()
        for word in re.findall(r"`([^`]+)`", row):
            if word.endswith(".py"):
                file = PurePosixPath(word) if "/" in word else folder / word
                folder = file.parent
            module = ".".join(("pycaffe_ext", *file.with_suffix("").parts))
            if not word.endswith(".csv"):
                pairs.append((module, "" if word.endswith(".py") else word))
    return pairs


def test_every_function_is_there():
    pairs = named()
    assert len(pairs) > 30 and ("pycaffe_ext.evaluation.findings.model", "Finding.verdict") in pairs
    for module, name in pairs:
        found = import_module(module)
        assert not name or attrgetter(name)(found) is not None
