"""Parts of a grid's page for those who want to check or repeat it: settings, deviations, versions and hashes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pycaffe_ext import checkout
from pycaffe_ext.report import design_part, study_parts
from pycaffe_ext.report.grid.ledger import FILE, ledger
from pycaffe_ext.report.grid.material import Material, Panel
from pycaffe_ext.report.model import Block, Bullets, Folded, Section, Table, Verbatim
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.runs.records import read_run

OF_A_RUN = ("app", "scheme", "arch", "seed", "fraction", "fold")  # what the grid goes through
PATHS = ("data", "weights")
FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s()/]+/)+")  # of an absolute path
SHORT = 12  # characters of a hash
HASHES = ("items", "splits.csv", "donor", "train_val.prototxt", "solver.prototxt")


def settings(material: Material) -> Section:
    """The settings of each application and net, in the names of make's variables, and the study's file."""
    found = [_settings(panel) for panel in material.panels]
    names = list(dict.fromkeys(name for own in found for name in own))
    rows = [(name, *(own.get(name, "") for own in found)) for name in names]
    table = Table(("setting", *(panel.evidence.title for panel in material.panels)), rows, made_by=(read_run,))
    text = "Several values of one setting are those of different schemes. Batch and width are those that were used."
    file = Folded(f"The study file, {material.name}.yaml", [Verbatim(material.file)])
    return Section("Settings", [text, table, file])


def _settings(panel: Panel) -> dict[str, str]:
    values: dict[str, dict[str, None]] = {}
    for run in panel.runs:
        for name, value in _record(run):
            values.setdefault(name.upper(), {})[value] = None
    found = {name: " or ".join(own) for name, own in values.items() if set(own) != {"default"}}
    donors = dict.fromkeys(Path(run.result.donor).name for run in panel.runs if run.tuned)
    inputs = dict.fromkeys(run.result.input for run in panel.runs if run.result.input)
    return {
        **found,
        **_split_seed(panel),
        "donor": "; ".join(donors) or "none",
        "input": "; ".join(map(_without_folders, inputs)),
    }


def _split_seed(panel: Panel) -> dict[str, str]:
    """The one split of several seeds, or of one seed with another number; nothing where each seed has its own."""
    trials = [run.settings.trial for run in panel.runs]
    fixed = design_part.fixed_split(panel.every)
    splits = {trial.split for trial in trials if trial.split != trial.seed} if fixed is None else {fixed}
    return {"SPLIT_SEED": " or ".join(map(str, sorted(splits)))} if splits else {}


def _record(run: RunFiles) -> Iterator[tuple[str, str]]:
    """(setting, value as text) of a run, what the grid goes through left out."""
    record = {**run.settings.record(), "resolved": {name: run.record.resolved[name] for name in ("width", "batch")}}
    for part in record.values():
        for name, value in part.items():
            if name in OF_A_RUN or (name in ("width", "batch") and part is not record["resolved"]):
                continue
            if isinstance(value, Mapping):
                yield from ((inner, str(own)) for inner, own in value.items())
            elif name in PATHS and value:
                yield name, Path(value).name
            else:
                yield name, "default" if value is None else str(value)


def _without_folders(text: str) -> str:
    """A text in which files are named without their folders."""
    return FOLDERS.sub("", text)


def deviations(material: Material) -> Section:
    """What this study has otherwise than the paper, then the ledger of what the programs do."""
    blocks: list[Block] = []
    for panel in material.panels:
        own = study_parts.deviations(panel.study)
        blocks.append(f"{panel.title}: {'; '.join(own) or 'nothing of what can be set'}.")
    found = ledger(checkout.root())
    text = f"What the paper leaves open or has otherwise, whatever the study: the table of {FILE}."
    if found is None:
        return Section("Not as in the paper", [*blocks, f"The ledger of all deviations is {FILE} in the checkout."])
    return Section("Not as in the paper", [*blocks, Folded(text, [found])])


def versions(material: Material) -> Section:
    """Of the programs and libraries; the hashes of what went into each run and what came out."""
    found: dict[str, dict[str, None]] = {}
    for run in material.runs:
        for name, version in run.record.versions.items():
            found.setdefault(name, {})[str(version)] = None
    table = Table(("program or library", "version"), [(name, " or ".join(own)) for name, own in found.items()])
    precision = sorted({run.settings.training.precision for run in material.runs})
    digest = hashlib.sha256(material.file.encode()).hexdigest()
    about = [
        f"study file: sha256 {digest}",
        f"precision: {', '.join(precision)}",
        f"command: make study-report STUDY={material.name}.yaml",
    ]
    rows = [_hashes(run) for run in material.runs]
    header = ("run", *HASHES, "weights")
    text = f"The first {SHORT} characters of each sha256; study.csv has them whole."
    hashes = Folded(f"Hashes of {len(rows)} runs", [text, Table(header, rows, made_by=(read_run,))])
    return Section("Versions and hashes", [Bullets(about), table, hashes])


def _hashes(run: RunFiles) -> tuple[str, ...]:
    inputs = run.record.inputs
    return run.folder.name, *(inputs.get(name, "")[:SHORT] for name in HASHES), run.record.weights[:SHORT]
