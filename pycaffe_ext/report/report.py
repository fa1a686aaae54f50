"""The report of a study: all figures and tables of its finished runs in one folder, and a page that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import read_json, write_json, writing_folder
from pycaffe_ext.runs import finished
from pycaffe_ext.runs.finished import RunFiles

RECORD = "report.json"


def write_report(done: Sequence[RunFiles], out: Path, missing: Sequence[str] = (), **options: Any) -> Path:
    """Write all figures and tables of the finished runs `done` into the folder `out` and return its report.md.

    missing : runs that belong to the study and are not finished; the report names them.   options : of the metric's
    report.   An earlier report in `out` is replaced, at once and only when all is written.  Raises UserError if there
    is no finished run, if `out` holds anything but a report, and where `finished.study` or the data refuse.
    """
    check_replaceable(out)
    study = finished.study(done)
    with writing_folder(out) as folder:
        study.runs[0].application.metric.report(folder, study, missing, options)
        names = [run.folder.name for run in study.runs]
        files = sorted(path.name for path in folder.iterdir())
        write_json(folder / RECORD, {"runs": names, "missing": list(missing), "files": [*files, RECORD]})
    return out / "report.md"


def loaded(folders: Sequence[Path]) -> tuple[list[RunFiles], list[str]]:
    """Finished runs of `folders`, and the names of the others; UserError if none is finished."""
    runs = {folder: finished.load(folder) for folder in folders}
    missing = [folder.name for folder, run in runs.items() if run is None]
    if len(missing) == len(runs):
        raise UserError(
            f"none of {len(runs)} runs is finished, e.g. {folders[0]}; the same make command without -tables runs them"
        )
    return [run for run in runs.values() if run is not None], missing


def check_replaceable(out: Path) -> None:
    """Raise UserError if a folder holds what is no report's: a report is replaced, a user's own files are not."""
    if not out.exists():
        return
    found = {path.name for path in out.iterdir()} if out.is_dir() else {out.name}
    if not found:
        return
    try:
        known = set(read_json(out / RECORD)["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{out} is there already and is no report; choose another OUT= or remove it") from None
    if foreign := sorted(found - known):
        raise UserError(f"{out} has files that are no report's ({', '.join(foreign[:3])}); choose another OUT=")
