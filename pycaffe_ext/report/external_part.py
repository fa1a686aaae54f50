"""Part of every report: what runs came to on other data sets, beside their own test, and by how much it fell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from pycaffe_ext.data import similar
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.falls import Fall, fall
from pycaffe_ext.evaluation.folds import in_folds
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS
from pycaffe_ext.evaluation.scheme_pairs import scheme_pairs as pairs_of_schemes
from pycaffe_ext.evaluation.seeds import SHARE, Limits
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import carried_part, depth, scheme_pairs_part
from pycaffe_ext.report.model import Block, Bullets, Folded, Note, Table
from pycaffe_ext.runs import external, finished
from pycaffe_ext.runs.external import ExternalRun
from pycaffe_ext.runs.external_data import SIMILAR
from pycaffe_ext.runs.finished import RunFiles, Study
from pycaffe_ext.runs.records import ExternalRecord
from pycaffe_ext.runs.summary import damage_text

HEADER = (
    "figure",
    "name",
    "seeds",
    *(f"{side}{end}" for side in ("internal", "external", "fall") for end in ("", "_low", "_high")),
    "allows_for_trainings",
)
SHOWN = 20  # near-duplicates in a table
METHOD = (
    "Fall: internal minus external, seed by seed, with a 95 % interval for independent samples of groups: the variances"
    " of the cases of both tests add to that between the seeds"
)
ONE_SEED = "One seed: the intervals are for other test groups, not for other trainings"
Figures: TypeAlias = Mapping[str, tuple[Figure, Figure]]  # name of a figure -> internal, external


@dataclass(frozen=True)
class External:
    """The runs of a study that were tested on one other data set.

    name : NAME-DIGEST.   inner : these runs.   outer : the same as they were tested there.   missing : the others.
    number : which data set of the report this is, from 1.
    """

    name: str
    inner: Study
    outer: Study
    missing: tuple[str, ...]
    number: int = 1

    @property
    def record(self) -> ExternalRecord:
        """Of the run whose curves are shown first."""
        return next(iter(self.records.values()))

    @property
    def records(self) -> dict[int, ExternalRecord]:
        """seed -> the record of one of its runs, the main seed first"""
        main = self.outer.main_seed
        seeds = [main, *(seed for seed in self.outer.seeds if seed != main)]
        return {seed: _record(self.outer.first(seed)) for seed in seeds}

    @property
    def title(self) -> str:
        return f"External test: {self.record.source}"

    def tested_text(self, word: str) -> str:
        """What was tested, in a few words; word : what an item is called"""
        own, nets = self.record, len(self.outer.runs)
        many = f"{nets} net{'s' * (nets != 1)}"
        return f"{own.source}: {own.items} {word}s in {own.groups} groups, {many}"

    def file(self, name: str) -> str:
        """The name of a file of this part."""
        return f"external{self.number if self.number > 1 else ''}_{name}"


def _record(run: RunFiles) -> ExternalRecord:
    assert isinstance(run, ExternalRun)
    return run.external


def externals(study: Study, wanted: str | None = None) -> list[External]:
    """The data sets that runs of the study were tested on, by name; `wanted` : NAME-DIGEST of the only one.

    Raises UserError if no run was tested on that one, or if runs of one seed were tested there on different samples.
    """
    tested = {run.folder: external.load(run) for run in study.runs}
    names = sorted({name for own in tested.values() for name in own})
    if wanted is not None and wanted not in names:
        raise UserError(f"no run was tested on {wanted}; the same make command without -tables does it")
    found: list[External] = []
    for name in names if wanted is None else [wanted]:
        with_it = [run for run in study.runs if name in tested[run.folder]]
        missing = tuple(run.folder.name for run in study.runs if name not in tested[run.folder])
        outer = finished.study([tested[run.folder][name] for run in with_it])
        found.append(External(name, finished.study(with_it), outer, missing, len(found) + 1))
    return found


def falls(
    figures: Figures, schemes: Sequence[str], overlap: float, limits: Limits = SHARE
) -> Iterator[tuple[str, str, Fall]]:
    """(figure, scheme, its fall); schemes : the columns of the figures.   overlap : of the internal test sets
    limits : between which the figures lie"""
    for text, (inside, outside) in figures.items():
        for place, name in enumerate(schemes):
            yield text, name, fall(inside, outside, place, overlap, limits)


def side_by_side(
    folder: Path, own: External, found: Sequence[tuple[str, str, Fall]], made_by: Sequence[Callable[..., Any]]
) -> list[Block]:
    """Write external.csv and show it; found : from `falls`.   made_by : what computes the figures"""
    file = "external.csv" if own.number == 1 else f"external{own.number}.csv"
    write_csv(folder / file, HEADER, [_cells(*row) for row in found])
    rows = [
        (text, name, one.seeds, depth.shown(one.internal), depth.shown(one.external), _fall(one))
        for text, name, one in found
    ]
    header = ("", "net", "seeds", "internal [95 %]", "external [95 %]", "fall [95 %]")
    single = all(one.seeds == 1 for _, _, one in found)
    return [f"{METHOD}. {ONE_SEED}." if single else f"{METHOD}.", Table(header, rows, file, (*made_by, fall))]


def _fall(one: Fall) -> str:
    return f"{one.value:+.3f}" if one.low is None else f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


def _cells(text: str, name: str, one: Fall) -> tuple[Any, ...]:
    sides = [(side.mean, side.low, side.high) for side in (one.internal, one.external)]
    numbers = [*sides[0], *sides[1], one.value, one.low, one.high]
    return text, name, one.seeds, *("" if value is None else value for value in numbers), one.trainings


def about(own: External, word: str) -> list[Block]:
    """What was tested, and what a reader must know of it; word : what an item is called"""
    record = own.record
    layout = f" (DATASET={record.dataset})" if record.dataset else ""
    text = (
        f"All {record.items} {word}s of {record.source}{layout} in {record.groups} groups, sha256 of all items"
        f" {record.fingerprint[:12]}…: nothing was trained, chosen or split on them. Samples come from the model that"
        f" was trained on each run's own training {word}s, thresholds from its own validation {word}s."
    )
    notes: list[Block] = [f"{damage_text(record.damaged)}."] if record.damaged else []
    if own.missing:
        many = f"{len(own.missing)} run{'s' * (len(own.missing) != 1)}"
        notes.append(Note(f"Incomplete: {many} not tested on {record.source}: {', '.join(own.missing)}"))
    if record.groups < ENOUGH_GROUPS:
        notes.append(Note(f"Only {record.groups} groups in {record.source}: intervals by group are unreliable."))
    notes += [Note(text) for text in _warnings(own)]
    return [text, *notes]


def _warnings(own: External) -> list[str]:
    """What the runs warned of, each once, with its seeds."""
    by: dict[str, list[str]] = {}
    for seed, record in own.records.items():
        for text in record.warnings:
            by.setdefault(text, []).append(str(seed))
    return [f"Seed {', '.join(seeds)}: {text}" for text, seeds in by.items()]


def counts(own: External, stages: Mapping[str, tuple[Any, Any]]) -> Table:
    """stages : what is counted -> in the internal and in the external test of the main seed"""
    rows = [(text, *values) for text, values in stages.items()]
    header = ("", f"internal, seed {own.inner.main_seed}", "external")
    return Table(header, rows, made_by=(external.run_test,))


def near_duplicates(own: External, word: str) -> list[Block]:
    """How many near-duplicates there are, and the first of them in a table, those of training and validation first."""
    texts = [f"Seed {seed}: {external.similar_text(record, word)}." for seed, record in own.records.items()]
    rows = similar.read(own.outer.first(own.outer.main_seed).folder / SIMILAR)
    if not rows:
        return [Bullets(texts)]
    rows = sorted(rows, key=lambda row: row.part not in similar.KNOWN)
    lines = [(row.item, row.part, row.pairs, row.nearest, row.bits) for row in rows[:SHOWN]]
    header = (word, "resembles items of", "pairs", "nearest", "bits of 256")
    table = Table(header, lines, made_by=(similar.similar,))
    more = f", the first {SHOWN} of {len(rows)}" if len(rows) > SHOWN else ""
    decision = (
        f"Near-duplicates stay in the test, as any choice after the fact would make another data set; {SIMILAR} of"
        " each run names all of them. Those of the test part make the two samples dependent, which the interval of a"
        " fall does not know."
    )
    return [Bullets(texts), Folded(f"Near-duplicates, seed {own.outer.main_seed}{more}", [decision, table])]


def scheme_pairs(folder: Path, own: External, figures: Mapping[str, Figure], schemes: Sequence[str]) -> list[Block]:
    """Every pair of schemes over all trainings on the other data set; figures : there.   Nothing for one training, nor
    in folds, whose nets of one seed have most of their training sets in common."""
    if len(own.outer.seeds) < 2 or len(schemes) < 2 or in_folds(own.outer.seeds):
        return []
    pairs = pairs_of_schemes(figures, schemes)
    table = scheme_pairs_part.table_of(folder, own.file("scheme_pairs.csv"), pairs)
    return [Folded(f"{scheme_pairs_part.HEADING}, on {own.record.source}", [table])]


def thresholds(folder: Path, own: External) -> Folded:
    """The thresholds from validation, and what they reach on the other data set."""
    section = carried_part.section(folder, own.outer, own.file(carried_part.FILE))
    blocks = [one.blocks[0] if isinstance(one, Folded) else one for one in section.blocks]
    return Folded(f"{section.title}, and what they reach on {own.record.source}", blocks)


def table_in(table: Table, file: str) -> Table:
    """The same, of another file."""
    return replace(table, file=file)
