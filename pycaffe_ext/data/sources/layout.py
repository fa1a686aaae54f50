"""Which layout of a table a folder has: what every kind of data set that is recognised has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pycaffe_ext.data.names import some
from pycaffe_ext.data.sources.folders import subfolders
from pycaffe_ext.data.sources.listing import left_by_system
from pycaffe_ext.errors import UserError, known

HELP = "`make data-help` shows the layouts"
MOST = 5  # data sets that an error names


class Layout(Protocol):
    @property
    def slug(self) -> str: ...

    @property
    def look(self) -> Any: ...  # folder -> whether it has the layout


L = TypeVar("L", bound=Layout)


def check_folder(folder: Path, wanted: str = "the folder of a data set") -> None:
    """Raise UserError if that is no folder; it says what DATA= should be."""
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "no such folder"
        raise UserError(f"{folder}: {what}; DATA= is {wanted}")


def choices(dataset: str | None, sources: Mapping[str, L]) -> list[L]:
    """The layout that DATASET= names, or all of them."""
    return [sources[known(dataset, sources, "data set")]] if dataset else list(sources.values())


def listed(found: Sequence[tuple[Layout, Path]]) -> str:
    """Layouts and the folders that have them, for an error."""
    return some([f"{source.slug} in {home.name}/" for source, home in found], MOST)


def names_in(folder: Path) -> list[str]:
    """What lies in a folder, sorted, without what systems leave there; folders end in a slash."""
    return sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if not left_by_system(path.name))


def recognise(
    folder: str | Path, dataset: str | None, sources: Mapping[str, L], expected: str, first_counts: bool = False
) -> tuple[L, Path]:
    """The layout and the folder that has it, `folder` or one in it.

    dataset : name in `sources`, None = any.   expected : of a folder without any, for the error.
    first_counts : whether the first of `sources` is meant where one folder has several of their layouts.
    Raises UserError if there is no such folder, none with a layout, or more than one.
    """
    folder = Path(folder)
    check_folder(folder)
    allowed = choices(dataset, sources)
    for homes in ([folder], subfolders(folder)):
        found = [(source, home) for home in homes for source in allowed if source.look(home)]
        if len({home for _, home in found} if first_counts else found) > 1:
            raise UserError(f"{folder}: holds several data sets ({listed(found)}); give one of them as DATA=")
        if found:
            return found[0]
    raise UserError(f"{folder}: holds {some(names_in(folder)) or 'nothing'}; expected {expected}: {HELP}")
