"""The tidy table of a study: a line a finished run, with its settings, numbers, cost and hashes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest, write_csv
from pycaffe_ext.runs import finished
from pycaffe_ext.runs.costs import STAGES
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.studies.grid import Cell

TABLE = "study.csv"
PARQUET = "study.parquet"
Row = dict[str, Any]


def rows(cells: Iterable[Cell], runs: Path) -> list[Row]:
    """A row for each finished run, in the order of the cells; all have the same columns, None where a run has none.

    Columns: application, net, scheme, fraction, groups (those trained on), seed, fold, run (its folder),
    chosen_iteration, chosen_epoch, snapshots, stopped_by, validation_auc, then of the primary endpoint `endpoint`,
    `endpoint_value`, `endpoint_low`, `endpoint_high`, `higher_is_better`, and the same of the `baseline_`; every other
    number of result.json's test as test.PATH; seconds of each stage; resumes; hashes as hash.NAME, with that of the
    chosen weights; of a test on another data set external, external_value, external_low, external_high.
    Intervals are of 95 %.
    """
    found = [_row(cell, run) for cell in cells if (run := finished.load(cell.folder(runs)))]
    columns = dict.fromkeys(name for row in found for name in row)
    return [{name: row.get(name) for name in columns} for row in found]


def _row(cell: Cell, run: RunFiles) -> Row:
    own, result = run.settings, run.result
    return {
        "application": own.app,
        "net": own.training.arch,
        "scheme": own.scheme,
        "fraction": own.request.fraction,
        "groups": result.share.get("groups"),
        "groups_with_patches": result.share.get("drawn"),
        "seed": own.seed,
        "fold": own.request.fold,
        "run": run.folder.name,
        "chosen_iteration": result.best.iteration,
        "chosen_epoch": result.best.epoch,
        "snapshots": result.snapshots,
        "stopped_by": result.stopped_by,
        "validation_auc": result.best.validation_auc,
        **_endpoints(run),
        **dict(_numbers(result.test, "test")),
        **{f"{stage}_seconds": run.record.cost.get(stage) for stage in STAGES},
        "resumes": len(result.resumes),
        **{f"hash.{name}": value for name, value in run.record.inputs.items() if not name.endswith(".prototxt")},
        "hash.weights": _weights(run),
        **_external(cell, run),
    }


def _endpoints(run: RunFiles) -> Row:
    metric = run.application.metric
    headline = metric.headline(run.result.test)
    found = {"endpoint": headline.name, **_interval("endpoint", headline)}
    found["higher_is_better"] = headline.higher_is_better
    if metric.baseline:
        found |= _interval("baseline", metric.headline(run.result.test, of_baseline=True))
    return found


def _interval(name: str, headline: Any) -> Row:
    return {f"{name}_value": headline.value, f"{name}_low": headline.low, f"{name}_high": headline.high}


def _numbers(content: Any, path: str) -> Iterable[tuple[str, float]]:
    """Every number below a JSON value by its path: the ends of an interval as low and high, the rows of a list by
    their first entry, as in `lesion.at_most_false_positives_per_frame=1.sensitivity`."""
    if isinstance(content, int | float) and not isinstance(content, bool):
        yield path, content
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from _numbers(value, f"{path}.{name}")
    elif isinstance(content, list):
        names = ("low", "high") if path.endswith("_95") and len(content) == 2 else map(_row_name, count(), content)
        for name, value in zip(names, content, strict=False):
            yield from _numbers(value, f"{path}.{name}")


def _row_name(place: int, row: Any) -> str:
    """What a row of a list is called: its first entry where that is a number or a word, else its place."""
    if isinstance(row, Mapping) and row:
        name, value = next(iter(row.items()))
        if isinstance(value, str | int | float):
            return f"{name}={value:g}" if isinstance(value, int | float) else f"{name}={value}"
    return str(place)


def _weights(run: RunFiles) -> str | None:
    """As the run recorded it, else from the file, if that is there; a file has up to half a gigabyte."""
    if run.record.weights:
        return run.record.weights
    try:
        return digest(run.weights)
    except UserError:
        return None


def _external(cell: Cell, run: RunFiles) -> Row:
    if (record := cell.tested_outside(run.externals)) is None:
        return {}
    return {"external": record.source, **_interval("external", run.application.metric.headline(record.test))}


def write(table: list[Row], folder: Path) -> list[Path]:
    """Write study.csv, and study.parquet where pyarrow is installed, into `folder`; the paths written.

    UserError if there is no row.
    """
    if not table:
        raise UserError("no run of the study is finished: there is nothing to put into its table")
    folder.mkdir(parents=True, exist_ok=True)
    names = list(table[0])
    lines = (["" if row[name] is None else row[name] for name in names] for row in table)
    write_csv(folder / TABLE, names, lines)
    return [folder / TABLE, *_write_parquet(table, folder)]


def _write_parquet(table: list[Row], folder: Path) -> list[Path]:
    if not find_spec("pyarrow"):
        return []
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(table), folder / PARQUET)
    return [folder / PARQUET]
