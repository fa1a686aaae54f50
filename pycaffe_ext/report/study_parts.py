"""Parts of a report that every application has: what was run, how trainings went, filters, the list of runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pycaffe_ext import plotting
from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.engine.options import FAITHFUL
from pycaffe_ext.files import write_csv, writing
from pycaffe_ext.filters import first_filters
from pycaffe_ext.report import design_part, figures, filters, model, page, provenance
from pycaffe_ext.report.model import Block, Bullets, Figure, Links, Note, Section, Table
from pycaffe_ext.runs.records import read_result
from pycaffe_ext.runs.summary import EMBEDDED, damage_text
from pycaffe_ext.schemes import BASE_LR, STAGES
from pycaffe_ext.training import early_stopping, fit
from pycaffe_ext.training.resumes import EFFECT

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import RunFiles, Study


class Material(Protocol):
    """What every report shares; looks : name of a net or of the baseline -> its line and colour"""

    @property
    def study(self) -> Study: ...

    @property
    def looks(self) -> dict[str, plotting.Style]: ...


def source_text(study: Study) -> str:
    """The data set in a few words."""
    run = study.runs[0]
    return run.application.data_name(run.settings.request)


def setting_text(study: Study) -> str:
    """What a reader of a single picture must know: the data, and what is not as expected."""
    embedded = any(EMBEDDED in run.result.donor for run in study.runs)
    reduced = sorted({run.settings.training.precision for run in study.runs} - {FAITHFUL})
    resumed = sum(bool(run.resumed_at) for run in study.runs)
    return ", ".join(
        [
            source_text(study),
            *(["embedded donor (not ImageNet)"] if embedded else []),
            *(f"{precision}: not faithful to Caffe" for precision in reduced),
            *([f"{resumed} of {len(study.runs)} runs resumed"] if resumed else []),
        ]
    )


def inputs(study: Study) -> list[str]:
    """What the patches were made into for which nets, a line for each way; none for runs that do not record it."""
    nets: dict[str, list[str]] = {}
    for run in study.runs:
        if run.result.input and study.name(run) not in nets.setdefault(run.result.input, []):
            nets[run.result.input].append(study.name(run))
    if len(nets) == 1:
        return [f"input: {text}" for text in nets]
    return [f"input of {', '.join(names)}: {text}" for text, names in nets.items()]


def deepest(study: Study) -> RunFiles:
    """Of the main seed, the net of which most was tuned; any net if none was."""
    main = study.main
    return next((main[name] for name in reversed(study.depths) if name in main), next(iter(main.values())))


def _testers(study: Study) -> list[str]:
    """Each caffe that tested nets which another one had trained, with these runs."""
    runs: dict[str, list[str]] = {}
    for run in study.runs:
        if other := run.record.versions.get("caffe_of_test"):
            runs.setdefault(other, []).append(run.folder.name)
    return [f"{other} ({', '.join(names)})" for other, names in runs.items()]


def about(study: Study, missing: Sequence[str], primary: str) -> Section:
    """What was run, and what was not.  primary : name of the primary endpoint, which is named first."""
    first = deepest(study)
    donors = dict.fromkeys(run.result.donor for run in study.runs if run.tuned)
    engines = dict.fromkeys(str(run.record.versions["caffe"]) for run in study.runs)
    lines = [
        f"primary endpoint: {primary}, fixed beforehand; all else is secondary",
        f"data: {_data_text(first)}",
        f"nets: {', '.join(study.names)} ({study.arch} where no other is named); {len(study.runs)} runs",
        *(f"donor: {donor}" for donor in donors),
        *inputs(study),
        f"seeds: {design_part.seeds_line(study)}",
        f"overlap of the seeds' test sets, by group: {design_part.overlap_text(study)}",
        f"training groups: {design_part.share_text(study)}",
        f"tuning: {design_part.tuning_text(study)}",
        f"training by: {', '.join(engines)}",
        *(f"tested by another caffe: {name}" for name in _testers(study)),
        f"precision: {_precision(study)}",
        f"resumed after an interruption: {_resumed(study)}",
        f"not as in the paper: {'; '.join(deviations(study)) or 'nothing of what can be set'}",
    ]
    notes: list[Block] = []
    if missing:
        many = "s" * (len(missing) != 1)
        notes.append(Note(f"Incomplete: {len(missing)} run{many} of this study not finished: {', '.join(missing)}"))
    notes += [
        Note(text) for text in [*_unfaithful(study), *warnings(study), *_disturbed(study), *design_part.notes(study)]
    ]
    return Section("What was run", [*notes, Bullets(lines)])


def _data_text(run: RunFiles) -> str:
    request, fingerprint = run.settings.request, f"sha256 of all items {run.packed.fingerprint[:12]}…"
    if not request.data:
        name = run.application.data_name(request)
        return f"{name}, drawn again for each seed: they say nothing about patients ({fingerprint})"
    options = [f"{name.upper()}={value}" for name, value in request.options]
    damaged = [damage_text(run.packed.damaged)] if run.packed.damaged else []
    return "; ".join([f"{run.application.data_name(request)}, {fingerprint}", *options, *damaged])


def _precision(study: Study) -> str:
    reduced = sorted({run.settings.training.precision for run in study.runs} - {FAITHFUL})
    return f"{', '.join(reduced)} in some runs" if reduced else f"{FAITHFUL} throughout, as Caffe"


def _resumed(study: Study) -> str:
    return ", ".join(resumed_runs(study)) or "no run"


def resumed_text(run: RunFiles) -> str:
    """The iterations at which a run was resumed, "" for an undisturbed one."""
    return " ".join(map(str, run.resumed_at))


def resumed_runs(study: Study) -> list[str]:
    """The runs that were resumed, each with its iterations."""
    return [
        f"{study.name(run)} (seed {run.settings.trial}, at iteration {resumed_text(run)})"
        for run in study.runs
        if run.resumed_at
    ]


def unfaithful_runs(study: Study) -> list[str]:
    """The runs that were not computed in Caffe's precision, each with its own."""
    return [
        f"{study.name(run)} (seed {run.settings.trial}: {run.settings.training.precision})"
        for run in study.runs
        if run.settings.training.precision != FAITHFUL
    ]


def warnings(study: Study) -> list[str]:
    """What the runs warned of, each once, with the runs that did."""
    by: dict[str, list[str]] = {}
    for run in study.runs:
        for text in run.result.warnings:
            by.setdefault(text, []).append(f"{study.name(run)} (seed {run.settings.trial})")
    return [f"Warning by {', '.join(runs)}: {text}" for text, runs in by.items()]


def _unfaithful(study: Study) -> list[str]:
    runs = unfaithful_runs(study)
    return [f"NOT FAITHFUL TO CAFFE: convolutions were not computed in {FAITHFUL} by {', '.join(runs)}"] if runs else []


def _disturbed(study: Study) -> list[str]:
    runs = resumed_runs(study)
    return [f"Resumed after an interruption, so that their numbers {EFFECT}: {', '.join(runs)}"] if runs else []


def test_views(run: RunFiles) -> int:
    """Patches scored per test sample."""
    given = run.settings.request.test_views
    return run.application.test_views if given is None else given


test_views.__test__ = False  # type: ignore[attr-defined]  # pytest: this is no test


def deviations(study: Study) -> list[str]:
    """What a study's settings have otherwise than the paper."""
    settings = [run.settings for run in study.runs]
    application, paper = study.runs[0].application, APPLICATIONS[settings[0].app].patches
    rates = sorted({own.training.base_lr for own in settings})
    patches = sorted({own.request.patches for own in settings})
    views = sorted({test_views(run) for run in study.runs})
    widths = sorted({run.record.resolved["width"] for run in study.runs})
    limit = f"at most {_listed(patches)} training and validation patches"
    found = [
        (patches != [paper], limit if paper is None else f"{limit}, not {paper}"),
        (
            views != [len(application.views)],
            f"{_listed(views)} of {len(application.views)} patches scored per test {application.words[1]}",
        ),
        (widths != ["1"], f"{_listed(widths)} of the net's channels"),
        (study.arch != "alexnet", f"fine-tuned net {study.arch}, not AlexNet"),
        (rates != [BASE_LR], f"base_lr {_listed(rates)}, not {BASE_LR} as in Table II"),
        (
            any(EMBEDDED in run.result.donor for run in study.runs),
            "the donor saw procedural and synthetic images, not ImageNet",
        ),
        (not settings[0].request.data, application.data_name(settings[0].request)),
    ]
    return [text for differs, text in found if differs]


def _listed(values: Sequence[object]) -> str:
    return " or ".join(map(str, values))


def endpoint_text(run: RunFiles) -> str:
    """A run's headline number."""
    return str(run.application.metric.headline(run.result.test))


def training(folder: Path, material: Material) -> Section:
    """Draw convergence.png and filters.png and show them."""
    study = material.study
    courses = {name: (run.snapshots, run.result.best.iteration) for name, run in study.main.items()}
    title = f"{setting_text(study)}, seed {study.main_seed}"
    figures.convergences_figure(folder / "convergence.png", courses, title, material.looks)
    blocks: list[Block] = [
        Figure(
            "convergence.png",
            f"Convergence, as Fig. 10 of the paper. AUC of the validation patches after each epoch, seed"
            f" {study.main_seed}; training stops after PATIENCE= snapshots without a better one, and the best snapshot"
            " (star) is tested.",
            (fit.score_snapshot, early_stopping.best),
        )
    ]
    if draw_filters(folder, study, setting_text(study)):
        caption = (
            "Filters of the first layer. Donor and tuned net on one scale, grey is zero; their difference is magnified"
            " as its title says; those from scratch are on their own scale."
        )
        return Section("Training", [*blocks, Figure("filters.png", caption, (first_filters,))])
    text = "No picture of the first layer's filters: no finished run tunes it, or its donor is gone."
    return Section("Training", [*blocks, text])


def draw_filters(folder: Path, study: Study, setting: str) -> bool:
    """filters.png: conv1 before and after, of the run that tunes it from the input; False where there is none.

    setting : the end of the title.
    """
    from pycaffe_ext.proto import read_blobs

    run = study.main.get(f"ft-{STAGES[study.arch][0]}")
    if run is None or run.donor is None or not run.donor.exists():
        return False
    before, after = (first_filters(read_blobs(path)) for path in (run.donor, run.weights))
    if before is None or after is None:
        return False
    scratch = [r for r in study.main.values() if not r.tuned and r.settings.training.arch == study.arch]
    own = first_filters(read_blobs(scratch[0].weights)) if scratch else None
    title = f"{before[0]} of {study.name(run)}, {setting}"
    filters.filters_figure(folder / "filters.png", before[1], after[1], own[1] if own else None, title)
    return True


def runs(study: Study, endpoint: Callable[[RunFiles], str], name: str, files: Collection[str]) -> Section:
    """Every run with its best snapshot and its primary endpoint, and the tables beside the page."""
    columns: dict[str, Callable[[RunFiles], Any]] = {
        "run": study.name,
        "seed": lambda run: run.settings.trial,
        "batch": lambda run: run.record.resolved["batch"],
        "epochs at most": lambda run: run.settings.training.epochs,
        "best epoch": lambda run: f"{run.result.best.epoch:g}",
        "validation AUC": lambda run: f"{run.result.best.validation_auc:.4f}",
        "resumed at": resumed_text,
        name: endpoint,
        "folder": lambda run: run.folder.name,
    }
    rows = [[value(run) for value in columns.values()] for run in study.runs]
    tables = sorted(file for file in files if file.endswith(".csv"))
    table = Table(list(columns), rows, made_by=(fit.fit, read_result))
    return Section("Runs", [table, "Tables:", Links(tables)])


def write_pages(
    folder: Path, study: Study, sections: Sequence[Section], endpoint: str, of_run: Callable[[RunFiles], str]
) -> None:
    """Add the list of runs and how the numbers are made, and write report.md and report.html.

    endpoint, of_run : a column of the list of runs
    """
    files = [path.name for path in folder.iterdir()]
    whole = [*sections, runs(study, of_run, endpoint, files)]
    whole.append(provenance.section(whole))
    name = APPLICATIONS[study.runs[0].settings.app].title
    title = f"{name[0].upper()}{name[1:]}: {source_text(study)}"
    for file, text in (("report.md", model.markdown(whole, title)), ("report.html", page.html(whole, title, folder))):
        with writing(folder / file) as opened:
            opened.write(text)


def counts(facts: Any) -> dict[str, dict[str, float]]:
    """stage -> split -> count, from what an application's `facts` gave; nested counts are named "outer, inner"."""
    found: dict[str, dict[str, float]] = {}
    for split, stages in facts.items():
        for stage, value in _flat("", stages):
            found.setdefault(stage, {})[split] = value
    return found


def _flat(prefix: str, value: Any) -> list[tuple[str, float]]:
    if isinstance(value, dict):
        inner = [_flat(f"{prefix}, {name}" if prefix else str(name), one) for name, one in value.items()]
        return [pair for part in inner for pair in part]
    return [(prefix.replace("_", " "), value)] if isinstance(value, (int, float)) else []


def data(folder: Path, material: Material) -> Section:
    """Write counts.csv and show the counts at each stage."""
    study = material.study
    each = {seed: study.first(seed) for seed in study.seeds}
    found = {seed: counts(run.packed.facts) for seed, run in each.items()}
    splits = list(dict.fromkeys(split for stages in found.values() for own in stages.values() for split in own))
    rows = [
        (seed, stage, *(own.get(split, "") for split in splits))
        for seed, stages in found.items()
        for stage, own in stages.items()
    ]
    write_csv(folder / "counts.csv", ("seed", "stage", *splits), rows)
    shown = [row[1:] for row in rows if row[0] == study.main_seed]
    text = f"Counts at each stage, seed {study.main_seed}. No group (patient, video) is in two splits."
    return Section("Data", [text, Table(("", *splits), shown, "counts.csv", (counts,))])
