"""All rows, in the table's order, and the running of some of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import alexnet, data, first, gpu, machine, prefix, scale, startup, table
from benchmarks.derived import DERIVED, derive
from benchmarks.machine import Stopwatch
from benchmarks.measure import measure, samples_needed
from benchmarks.results import load, record, save
from benchmarks.rows import Experiment, Lab, Row
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.files import writing
from pycaffe_ext.genuine import root

EXPERIMENTS = (
    *alexnet.EXPERIMENTS,
    *prefix.EXPERIMENTS,
    *data.EXPERIMENTS,
    *scale.EXPERIMENTS,
    *startup.EXPERIMENTS,
    *first.EXPERIMENTS,
    *gpu.EXPERIMENTS,
)


def all_rows(experiments: Sequence[Experiment] = EXPERIMENTS) -> list[Row]:
    """In the table's order: each derived row behind the last of those that it follows from."""
    rows = [row for experiment in experiments for row in experiment.rows]
    for derived in DERIVED:
        last = max((i for i, row in enumerate(rows) if row.name in derived.of), default=len(rows) - 1)
        rows.insert(last + 1, derived.row)
    return rows


def chosen(names: Sequence[str], experiments: Sequence[Experiment] = EXPERIMENTS) -> list[Experiment]:
    """The experiments that the named rows need; all for no name; UserError for an unknown name.

    A name may also be the beginning that several rows share, up to a dash: "prefix", "startup".
    """
    if not names:
        return list(experiments)
    rows = [row.name for row in all_rows(experiments)]
    families = dict.fromkeys(row.split("-")[0] for row in rows)
    wanted: set[str] = set()
    for name in names:
        if name in rows:
            wanted |= {name, *next((derived.of for derived in DERIVED if derived.row.name == name), ())}
        else:
            family = known(name, [*rows, *families], "row")
            wanted |= {row for row in rows if row.split("-")[0] == family}
    return [experiment for experiment in experiments if wanted & {row.name for row in experiment.rows}]


def run(experiments: Sequence[Experiment], lab: Lab) -> dict[str, str]:
    """Measure and save; returns row -> why it could not be measured. Says what is going on on standard error."""
    failed: dict[str, str] = {}
    runnable = [experiment for experiment in experiments if not obstacle(experiment)]
    total = sum(samples_needed(experiment, lab) for experiment in runnable)
    with tqdm(total=total, unit="sample", disable=not total) as bar:
        for experiment in runnable:
            bar.set_description(experiment.rows[0].name)
            try:
                _measure_and_save(experiment, lab, bar)
            except UserError as error:
                failed |= dict.fromkeys((row.name for row in experiment.rows), str(error))
                bar.write(f"error: {experiment.rows[0].name}: {error}")
    return failed


def obstacle(experiment: Experiment) -> str:
    """Why an experiment can't run here; empty if it can."""
    if experiment.needs == "genuine" and not root.installed():
        return "the genuine Caffe is not installed here (`make caffe`)"
    if experiment.needs == "cuda" and not machine.gpus():
        return "no CUDA device here"
    return ""


def report(path: Path, lab: Lab, failed: dict[str, str], experiments: Sequence[Experiment] = EXPERIMENTS) -> str:
    """Write the page of results from every result there is; returns the table to print."""
    results = {row.name: result for row in all_rows(experiments) if (result := load(row.name, lab.folder))}
    results |= {made.row: made for derived in DERIVED if (made := derive(derived, results))}
    entries = [(row, results[row.name]) for row in all_rows(experiments) if row.name in results]
    missing = {name: why for name, why in _reasons(experiments).items() if name not in results} | failed
    printed, content = table.render(entries, missing, (machine.commit(), machine.machine()))
    with writing(path) as file:
        file.write(content)
    return printed


def _measure_and_save(experiment: Experiment, lab: Lab, bar: tqdm[Any]) -> None:
    watch = Stopwatch()
    samples = measure(experiment, lab, bar.update)
    others = watch.others()
    for row in experiment.rows:
        save(record(row.name, samples[row.name], lab, others), lab.folder)


def _reasons(experiments: Sequence[Experiment]) -> dict[str, str]:
    """Row -> why it may have no result."""
    reasons = {row.name: obstacle(part) or "not measured yet" for part in experiments for row in part.rows}
    for derived in DERIVED:
        reasons[derived.row.name] = f"needs {', '.join(derived.of)} from one commit and machine"
    return reasons
