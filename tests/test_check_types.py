"""The check of types: strict modules may have no error, the others must still have one."""

from __future__ import annotations

import tomllib

import pytest

from tools.check_types import ROOT, complaints, module_of

LINES = [
    "pycaffe_ext/a/b.py:3: error: Returning Any  [no-any-return]",
    "pycaffe_ext/a/b.py:3: note: see there",
    "pycaffe_ext/c/__init__.py:9: error: Missing type  [type-arg]",
]


@pytest.mark.parametrize(
    ("path", "module"), [("pycaffe_ext/a/b.py", "pycaffe_ext.a.b"), ("pycaffe_ext/c/__init__.py", "pycaffe_ext.c")]
)
def test_a_file_is_named_as_it_is_imported(path, module):
    assert module_of(path) == module


def test_errors_count_only_outside_the_list():
    assert complaints(LINES, []) == [LINES[0], LINES[2]]
    assert complaints(LINES, ["pycaffe_ext.c"]) == [LINES[0]]
    assert complaints(LINES, ["pycaffe_ext.a.b", "pycaffe_ext.c"]) == []


def test_a_module_of_the_list_without_an_error_must_leave_it():
    (line,) = complaints([], ["pycaffe_ext.clean"])
    assert "pycaffe_ext.clean has no error left" in line


def test_the_list_names_modules_that_exist_in_order():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = settings["tool"]["types"]["not_yet_strict"]
    assert names == sorted(set(names))
    for name in names:
        path = ROOT.joinpath(*name.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), name
