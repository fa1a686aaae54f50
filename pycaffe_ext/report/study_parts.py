"""Parts of a report that every application has: what was run, how trainings went, filters, the list of runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycaffe_ext import plotting
from pycaffe_ext.engine.options import FAITHFUL
from pycaffe_ext.evaluation.seeds import LARGE_OVERLAP, Overlap, group_overlap
from pycaffe_ext.report import figures, filters
from pycaffe_ext.report.model import Block, Bullets, Figure, Links, Note, Section, Table
from pycaffe_ext.runs.summary import EMBEDDED, damage_text
from pycaffe_ext.schemes import BASE_LR, STAGES
from pycaffe_ext.training.resumes import EFFECT

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import RunFiles, Study

SEEDS = (
    "Mean over seeds with its 95 % interval for other trainings and other test groups; a seed decides the split into"
    " training and test groups, the choice of patches, the fillers and the order of training"
)


def test_groups(study: Study) -> dict[int, list[str]]:
    """seed -> group of each test item; synthetic groups of two data seeds are other groups under the same names."""
    first = {seed: next(iter(study.of_seed(seed).values())) for seed in study.seeds}
    return {
        seed: [
            str(name) if run.settings.request.data else f"{run.settings.request.seed} {name}" for name in run.test.group
        ]
        for seed, run in first.items()
    }


def overlap(study: Study) -> Overlap | None:
    """Of the seeds' test sets; None for a single seed."""
    return group_overlap(list(test_groups(study).values()))


def overlap_text(study: Study) -> str:
    found = overlap(study)
    if found is None:
        return "one seed, one test set"
    text = f"{100 * found.mean:.0f} % on average, at most {100 * found.largest:.0f} %"
    if found.mean <= LARGE_OVERLAP:
        return text
    return (
        f"{text}: **the seeds hardly vary the split, so they say little about other training sets**; use data with more"
        " groups"
    )


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


def deepest(study: Study) -> RunFiles:
    """Of the main seed, the net of which most was tuned; any net if none was."""
    main = study.main
    return next((main[name] for name in reversed(study.depths) if name in main), next(iter(main.values())))


def about(study: Study, missing: Sequence[str], primary: str) -> Section:
    """What was run, and what was not.  primary : name of the primary endpoint, which is named first."""
    first = deepest(study)
    donors = dict.fromkeys(run.result.donor for run in study.runs if run.tuned)
    engines = dict.fromkeys(str(run.record.versions["caffe"]) for run in study.runs)
    lines = [
        f"primary endpoint: {primary}",
        f"data: {_data_text(first)}",
        f"nets: {', '.join(study.names)} ({study.arch} where no other is named); {len(study.runs)} runs",
        *(f"donor: {donor}" for donor in donors),
        f"seeds: {', '.join(map(str, study.seeds))}; figures of single runs show seed {study.main_seed}",
        f"overlap of the seeds' test sets, by group: {overlap_text(study).replace('**', '')}",
        f"training by: {', '.join(engines)}",
        f"resumed after an interruption: {_resumed(study)}",
        f"not the paper's setting: {'; '.join(_deviations(study)) or 'nothing that can be set'}",
    ]
    notes: list[Block] = []
    if missing:
        many = "s" * (len(missing) != 1)
        notes.append(Note(f"Incomplete: {len(missing)} run{many} of this study not finished: {', '.join(missing)}"))
    notes += [Note(text) for text in _unfaithful(study)]
    return Section("What was run", [*notes, Bullets(lines)])


def _data_text(run: RunFiles) -> str:
    request, fingerprint = run.settings.request, f"sha256 of all items {run.packed.fingerprint[:12]}…"
    if not request.data:
        name = run.application.data_name(request)
        return f"{name}, drawn for each seed: they say nothing about patients ({fingerprint})"
    options = [f"{name.upper()}={value}" for name, value in request.options]
    damaged = [damage_text(run.packed.damaged)] if run.packed.damaged else []
    return "; ".join([f"{run.application.data_name(request)}, {fingerprint}", *options, *damaged])


def _resumed(study: Study) -> str:
    resumed = resumed_runs(study, ", ")
    return f"{', '.join(resumed)}: their numbers {EFFECT}" if resumed else "no run"


def resumed_runs(study: Study, between: str = " ") -> list[str]:
    """The runs that were resumed, each with its iterations."""
    return [
        f"{study.name(run)} (seed {run.settings.trial}, at iteration {between.join(map(str, run.resumed_at))})"
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


def _unfaithful(study: Study) -> list[str]:
    runs = unfaithful_runs(study)
    return [f"Not faithful to Caffe: convolutions were not computed in {FAITHFUL} by {', '.join(runs)}"] if runs else []


def _deviations(study: Study) -> list[str]:
    trainings = [run.settings.training for run in study.runs]
    rates = sorted({own.base_lr for own in trainings})
    patches = sorted({run.settings.request.patches for run in study.runs})
    widths = sorted({run.record.resolved["width"] for run in study.runs})
    found = [
        (True, f"at most {_listed(patches)} training and validation patches"),
        (widths != ["1"], f"{_listed(widths)} of the net's channels"),
        (study.arch != "alexnet", f"fine-tuned net {study.arch}, not AlexNet"),
        (rates != [BASE_LR], f"base_lr {_listed(rates)}, not {BASE_LR} as in Table II"),
        (any(EMBEDDED in run.result.donor for run in study.runs), "the donor did not see ImageNet"),
    ]
    return [text for differs, text in found if differs]


def _listed(values: Sequence[object]) -> str:
    return " or ".join(map(str, values))


def training(folder: Path, study: Study, looks: dict[str, plotting.Style]) -> Section:
    """Draw convergence.png and filters.png and show them."""
    courses = {name: (run.snapshots, run.result.best.iteration) for name, run in study.main.items()}
    title = f"{setting_text(study)}, seed {study.main_seed}"
    figures.convergences_figure(folder / "convergence.png", courses, title, looks)
    blocks: list[Block] = [
        Figure(
            "convergence.png",
            f"Convergence, as Fig. 10 of the paper. AUC of the validation patches after each epoch, seed"
            f" {study.main_seed}; training stops after PATIENCE= snapshots without a better one, and the best snapshot"
            " (star) is tested.",
        )
    ]
    if draw_filters(folder, study, setting_text(study)):
        caption = (
            "Filters of the first layer. Donor and tuned net on one scale, grey is zero; their difference is magnified"
            " as its title says; those from scratch are on their own scale."
        )
        return Section("Training", [*blocks, Figure("filters.png", caption)])
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
    before, after = (filters.first_filters(read_blobs(path)) for path in (run.donor, run.weights))
    if before is None or after is None:
        return False
    scratch = [r for r in study.main.values() if not r.tuned and r.settings.training.arch == study.arch]
    own = filters.first_filters(read_blobs(scratch[0].weights)) if scratch else None
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
        "resumed at": lambda run: " ".join(map(str, run.resumed_at)),
        name: endpoint,
        "folder": lambda run: run.folder.name,
    }
    rows = [[value(run) for value in columns.values()] for run in study.runs]
    tables = sorted(file for file in files if file.endswith(".csv"))
    return Section("Runs", [Table(list(columns), rows), "Tables:", Links(tables)])


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
