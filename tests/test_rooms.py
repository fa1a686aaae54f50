"""Which rooms of the package import which: the map's directions, read from the sources.

A room is a package below pycaffe_ext; the modules beside the rooms are the ground that every room stands on.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "pycaffe_ext"
BESIDE = ("benchmarks", "gpucheck")  # packages of the checkout, which import the package and are imported by tools only
GROUND = "ground"
Arrow = tuple[str, str]

ROOMS: dict[str, tuple[str, ...]] = {  # room -> the rooms that it may import, beside the ground
    "proto": (),
    "pictures": (),
    "records": ("pictures", "proto"),
    "data": ("pictures", "records"),
    "evaluation": ("data",),
    "detector": ("data", "evaluation"),
    "engine": ("pictures", "proto", "records"),
    "caffe": ("engine", "pictures", "proto"),
    "programs": ("caffe", "data", "pictures", "proto", "records"),
    "export": ("engine", "proto"),
    "nets": ("proto", "schemes"),
    "donor": ("nets", "programs", "proto", "records"),
    "genuine": (),
    "training": ("engine", "evaluation", "proto", "records"),
    "applications": ("data", "detector", "evaluation", "nets", "pictures", "programs"),
    "runs": (
        "applications",
        "data",
        "donor",
        "engine",
        "evaluation",
        "export",
        "nets",
        "pictures",
        "proto",
        "records",
        "schemes",
        "training",
    ),
    "report": (
        "applications",
        "data",
        "detector",
        "engine",
        "evaluation",
        "nets",
        "proto",
        "runs",
        "schemes",
        "training",
    ),
    "studies": ("applications", "evaluation", "nets", "report", "runs", "schemes", "training"),
    "command_line": ("applications", "data", "runs", "schemes", "studies"),
    "__main__": ("engine",),
    "schemes": (),
    GROUND: (),
}
ROOMS["commands"] = tuple(name for name in ROOMS if name not in ("__main__", GROUND))  # a program each: on top of all
EXCEPTIONS = {  # arrows between modules that close a circle today; the list only shrinks
    ("applications.base", "runs.settings"),
    ("applications.folder", "runs.settings"),
    ("applications.frames", "runs.settings"),
    ("applications.imt", "report.overlay"),
    ("applications.imt", "runs.settings"),
    ("applications.pe", "report.overlay"),
    ("applications.pe", "runs.settings"),
    ("applications.polyp", "report.overlay"),
    ("applications.polyp", "runs.settings"),
    ("applications.preparation", "runs.settings"),
    ("applications.whole", "report.overlay"),
    ("applications.whole", "runs.settings"),
    ("evaluation.metrics.base", "runs.finished"),
    ("evaluation.metrics.boundaries", "report.boundaries.figures"),
    ("evaluation.metrics.boundaries", "report.boundaries.pages"),
    ("evaluation.metrics.boundaries", "runs.finished"),
    ("evaluation.metrics.by_class", "report.by_class.curves"),
    ("evaluation.metrics.by_class", "report.by_class.pages"),
    ("evaluation.metrics.by_class", "runs.finished"),
    ("evaluation.metrics.detection", "report.figures"),
    ("evaluation.metrics.detection", "report.detection.pages"),
    ("evaluation.metrics.detection", "runs.finished"),
    ("nets.emission", "applications.registry"),
    ("runs.outcome", "report.figures"),
}
TORCH = ("engine", "caffe")  # the rooms that may import it
TORCHS_FILES = (  # modules outside them that read or write files of PyTorch's own
    "donor.torch_files",
    "export.pytorch",
)


@cache
def modules() -> dict[str, Path]:
    """Full name of each module -> its file."""
    found = {}
    for package in (PACKAGE, *BESIDE):
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(source: str) -> Iterator[tuple[str, list[str]]]:
    """(module, names taken from it) of each import statement, wherever it stands; no names for `import module`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute in this package"
            yield node.module, [alias.name for alias in node.names]


@cache
def imports() -> dict[str, list[tuple[str, list[str]]]]:
    """Module -> what it imports."""
    return {name: list(imported(path.read_text(encoding="utf-8"))) for name, path in modules().items()}


@cache
def graph() -> dict[str, set[str]]:
    """Module -> the modules of this repository that it imports; `from package import module` is the module."""
    known = modules()
    out: dict[str, set[str]] = {name: set() for name in known}
    for name, found in imports().items():
        for base, taken in found:
            out[name] |= {full if (full := f"{base}.{item}") in known else base for item in taken or [""]} & set(known)
        out[name].discard(name)
    return out


def short(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.")


def room(module: str) -> str:
    """The room of one of the package's modules."""
    first = module.split(".")[1] if "." in module else GROUND
    return first if first in ROOMS or (ROOT / PACKAGE / first).is_dir() else GROUND


def ours() -> dict[str, set[str]]:
    """The graph of the package alone."""
    return {name: needed for name, needed in graph().items() if name.split(".")[0] == PACKAGE}


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """A circle of the graph, as it runs; empty if there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def excepted(a: str, b: str) -> bool:
    return (short(a), short(b)) in EXCEPTIONS


def test_the_package_imports_nothing_of_the_checkout_beside_it():
    strangers = {"tests", "tools", *BESIDE}
    for name in ours():
        for base, _ in imports()[name]:
            assert base.split(".")[0] not in strangers, f"{name} imports {base}"


def test_modules_import_each_other_in_no_circle():
    arrows = {name: {other for other in needed if not excepted(name, other)} for name, needed in graph().items()}
    assert not circle(arrows)


def test_rooms_import_only_what_the_table_allows():
    wrong = {
        f"{short(a)} -> {short(b)}"
        for a, needed in ours().items()
        for b in needed
        if room(a) != room(b) and room(b) not in (*ROOMS.get(room(a), ()), GROUND) and not excepted(a, b)
    }
    assert not wrong, "these imports are not in ROOMS; turn them round, or move what is needed below both rooms"


def test_the_table_has_every_room_and_no_circle():
    assert {room(name) for name in ours()} == set(ROOMS)
    assert not circle({name: set(needed) for name, needed in ROOMS.items()})


def test_each_exception_is_still_needed():
    arrows = {(short(a), short(b)) for a, needed in graph().items() for b in needed}
    assert arrows >= EXCEPTIONS, "take out of EXCEPTIONS what the sources no longer import"
    for a, b in sorted(EXCEPTIONS):
        rooms = room(f"{PACKAGE}.{a}"), room(f"{PACKAGE}.{b}")
        allowed = rooms[0] == rooms[1] or rooms[1] in ROOMS[rooms[0]]
        assert not allowed or closes_a_circle(a, b), f"{a} -> {b} needs no exception"


def closes_a_circle(a: str, b: str) -> bool:
    arrows = {name: {o for o in needed if not excepted(name, o)} for name, needed in graph().items()}
    arrows[f"{PACKAGE}.{a}"].add(f"{PACKAGE}.{b}")
    return bool(circle(arrows))


def test_only_the_engine_and_pycaffe_import_torch():
    for name in ours():
        heads = {base.split(".")[0] for base, _ in imports()[name]}
        assert "torch" not in heads or room(name) in TORCH or short(name) in TORCHS_FILES, f"{name} imports torch"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b, c", [("a.b", []), ("c", [])]),
        ("from a import b, c", [("a", ["b", "c"])]),
        ("def f():\n    if True:\n        from a.b import c", [("a.b", ["c"])]),
        ("x = 'import a'  # import b", []),
    ],
)
def test_imports_are_found_wherever_they_stand(source, expected):
    assert list(imported(source)) == expected


def test_a_circle_is_found_and_named():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
