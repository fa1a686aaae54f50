"""The page that shows a study: what was run, and every figure and table with a caption that says how to read it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.data.patches import VIEWS
from pycaffe_ext.data.reading import Reading
from pycaffe_ext.engine.options import FAITHFUL
from pycaffe_ext.evaluation.comparison import LEVEL, Comparison, least_adjusted_p
from pycaffe_ext.evaluation.metrics.detection import ENDPOINT
from pycaffe_ext.report import claims_table, examples, markdown, study_parts, study_tables, table_s1
from pycaffe_ext.report.figures import DETECTOR
from pycaffe_ext.runs.finished import RunFiles, Study
from pycaffe_ext.runs.summary import EMBEDDED, damage_text
from pycaffe_ext.schemes import BASE_LR
from pycaffe_ext.training.resumes import EFFECT

if TYPE_CHECKING:
    from pycaffe_ext.report.study_report import Material

TIE = 0.05  # share of the candidates with one score from which the report says so
EXACT = "exact binomial (Clopper-Pearson) 95 % intervals, which take polyps as independent of each other"
SEEDS = (
    "Mean over seeds with its 95 % interval for other trainings and other test groups; a seed decides the split into"
    " training and test groups, the choice of patches, the fillers and the order of training"
)


def source_text(study: Study) -> str:
    """The data set in a few words."""
    settings = study.runs[0].settings
    return settings.request.source if settings.request.data else "synthetic frames"


def test_views(run: RunFiles) -> int:
    """Patches scored per test candidate."""
    given = run.settings.request.test_views
    return run.application.test_views if given is None else given


def setting_text(study: Study) -> str:
    """What a reader of a single picture must know: the data, and what was not as he would expect."""
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


def text(material: Material, missing: Sequence[str], files: Collection[str]) -> str:
    """The page as Markdown.  missing : names of unfinished runs.  files : what was written beside it."""
    parts = (_head, _data, _results, _curves, _table_s1, _depth, _training, _pictures, _runs)
    study = material.study
    title = APPLICATIONS[study.runs[0].settings.app].title
    head = f"# {title[0].upper()}{title[1:]}: {source_text(study)}\n"
    note = [_missing(missing)] if missing else []
    return "\n".join([head, *note, *(part(material, files) for part in parts)])


def _missing(missing: Sequence[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in missing)
    return f"> **Incomplete: {len(missing)} run{'s' * (len(missing) != 1)} of this study not finished**: {listed}\n"


def _head(material: Material, files: Collection[str]) -> str:
    study, first = material.study, next(iter(material.study.main.values()))
    seeds = ", ".join(map(str, study.seeds))
    lines = [
        f"- primary endpoint: **{ENDPOINT}** by polyp, fixed beforehand; all else is secondary",
        f"- data: {_data_text(first)}",
        f"- nets: {', '.join(study.names)} ({study.arch} where no other is named); {len(study.runs)} runs",
        *(f"- donor: {donor}" for donor in dict.fromkeys(r.result.donor for r in study.runs if r.tuned)),
        f"- seeds: {seeds}; figures of single runs show seed {study.main_seed}",
        f"- overlap of the seeds' test sets, by group: {study_parts.overlap_text(study)}",
        f"- training by: {', '.join(dict.fromkeys(str(r.record.versions['caffe']) for r in study.runs))}",
        f"- precision: {_precision(study)}",
        f"- resumed after an interruption: {_resumed(study)}",
        f"- not as in the paper: {'; '.join(_deviations(study)) or 'nothing of what can be set'}",
    ]
    return (
        "\n".join(lines)
        + "\n\n## The paper's claims\n\n"
        + claims_table.as_markdown(material.claims)
        + f"\n*{claims_table.explanation(material.claims, study.seeds)}*\n"
    )


def hopeless(comparisons: Mapping[int, Sequence[Comparison]]) -> str:
    """What a reader must know where the groups are too few for so many comparisons, else ""; by seed."""
    seeds = []
    for seed, rows in comparisons.items():
        least = least_adjusted_p(rows)
        if least is not None and least >= LEVEL:
            tests = sum(row.difference is not None for row in rows)
            seeds.append(f"seed {seed}: {rows[0].groups} groups with polyps, {tests} comparisons, p >= {least:.2g}")
    return (
        (
            " **The groups are too few for so many comparisons: however large a difference is, it cannot be shown"
            f" ({'; '.join(seeds)}). Name fewer schemes in SCHEMES=, or test on more groups.**"
        )
        if seeds
        else ""
    )


def _data_text(run: RunFiles) -> str:
    print_ = f"sha256 of frames and masks `{run.packed.fingerprint[:12]}…`"
    if run.settings.request.data:
        return "; ".join([f"{run.settings.request.source}, {print_}", *_reading_text(run)])
    return f"synthetic colonoscopy sequences, drawn again for each seed: they say nothing about patients ({print_})"


def _reading_text(run: RunFiles) -> list[str]:
    """How masks were read if not by the rule that guesses nothing, and how many damaged frames are in it."""
    mask = run.settings.request.option("mask")
    rule = [f"masks read with MASK={mask}"] if mask != Reading.mask else []
    return rule + ([damage_text(run.packed.damaged)] if run.packed.damaged else [])


def _precision(study: Study) -> str:
    if unfaithful := study_parts.unfaithful_runs(study):
        return f"**NOT FAITHFUL TO CAFFE**: convolutions were not computed in {FAITHFUL} by {', '.join(unfaithful)}"
    return f"{FAITHFUL} throughout, as Caffe"


def _resumed(study: Study) -> str:
    resumed = study_parts.resumed_runs(study)
    return f"{', '.join(resumed)}: **their numbers {EFFECT}**" if resumed else "no run"


def _deviations(study: Study) -> list[str]:
    settings = [run.settings for run in study.runs]
    paper = APPLICATIONS[settings[0].app].patches
    patches, views = (
        sorted({run.settings.request.patches for run in study.runs}),
        sorted({test_views(run) for run in study.runs}),
    )
    rates = sorted({own.training.base_lr for own in settings})
    widths = sorted({run.record.resolved["width"] for run in study.runs})
    found = [
        (patches != [paper], f"at most {_listed(patches)} training and validation patches, not {paper}"),
        (views != [len(VIEWS)], f"{_listed(views)} of {len(VIEWS)} patches scored per test candidate"),
        (widths != ["1"], f"{_listed(widths)} of the net's channels"),
        (study.arch != "alexnet", f"fine-tuned net {study.arch}, not AlexNet"),
        (rates != [BASE_LR], f"base_lr {_listed(rates)}, not {BASE_LR} as in Table II"),
        (any(EMBEDDED in run.result.donor for run in study.runs), "the donor did not see ImageNet"),
        (not settings[0].request.data, "synthetic frames"),
    ]
    return [said for differs, said in found if differs]


def _listed(values: Sequence[object]) -> str:
    return " or ".join(map(str, values))


def _data(material: Material, files: Collection[str]) -> str:
    seed, study = material.study.main_seed, material.study
    others = "; counts.csv has the other seeds" if len(study.seeds) > 1 else ""
    name = study.name(material.deepest)
    parts = [
        f"## Data\n\nCounts at each stage, seed {seed}{others}. A candidate is positive if its centre lies inside the"
        f" ground truth; each can give {len(VIEWS)} patches (3 scales x 5 shifts x 8 orientations). Training and"
        " validation patches are balanced: all positives or as many as PATCHES= allows, as many negatives drawn at"
        f" random. Every test candidate is scored by {test_views(study.runs[0])} of its patches.\n",
        study_tables.counts_markdown(material.counts[seed]),
    ]
    if "candidates.png" in files:
        parts.append(
            markdown.figure(
                "candidates.png",
                (
                    f"Candidates in test frames of seed {seed}. The {examples.SHOWN} candidates of each"
                    f" frame that {name}"
                    " scores highest, numbered by score; the probability of a polyp stands below. Frames"
                    " are spread evenly over"
                    f" the test set, the last {examples.BARE} are without polyps if there are such."
                ),
            )
        )
    if "patches.png" in files:
        parts.append(
            markdown.figure(
                "patches.png",
                (
                    "All patches of one test candidate. Left the frame with its box, right the boxes that"
                    " are cut, below the"
                    f" {len(VIEWS)} patches that are made of them. Training candidates are cut in the same way."
                ),
            )
        )
    return "\n".join(parts)


def _results(material: Material, files: Collection[str]) -> str:
    rates = ", ".join(f"{rate:g}" for rate in material.rates)
    return "\n".join(
        [
            f"## Results\n\n{SEEDS}. FP a frame: false positives per test frame, at most {rates};"
            " sensitivity is by polyp."
            " Means of schemes with different numbers of seeds are not comparable. Intervals of the patch AUC know the"
            " test groups by their overlap alone and are wider than they need be.\n",
            study_tables.results_markdown(material.results),
            *_ties(material.study),
        ]
    )


def _ties(study: Study) -> list[str]:
    """Where a curve owes a step to candidates that the net does not tell apart."""
    ties = ((run, *study_tables.largest_tie(run)) for run in study.runs)
    said = [
        f"- {study.name(run)}, seed {run.settings.trial}: {100 * share:.0f} % of the test candidates have the same"
        f" score, {score:.4g}; its curves have a step there"
        for run, share, score in ties
        if share > TIE
    ]
    return [*said, ""] if said else []


def _curves(material: Material, files: Collection[str]) -> str:
    seed, rates = material.study.main_seed, [f"{rate:g} FP a frame" for rate in material.rates]
    run = next(iter(material.study.main.values()))
    test = run.result.test
    own = f"{test['lesions']} polyps in {test['frames']} test frames, {test['candidates']} candidates, seed {seed}"
    return "\n".join(
        [
            "## FROC and ROC curves\n",
            markdown.figure(
                "froc.png",
                f"FROC curves of representative nets and of the {DETECTOR}, as Fig. 2(a) of"
                f" the paper. {own}. Bars: {EXACT}.",
            ),
            markdown.figure("froc_all_by_lesion.png", f"FROC curves of all nets, by polyp. {own}."),
            markdown.figure(
                "froc_all_by_frame.png",
                f"FROC curves of all nets, by frame: a frame with polyps counts as found when one of them is. {own}.",
            ),
            f"Sensitivity by polyp, seed {seed}, with two intervals each: {EXACT}, and the bootstrap by"
            " group, which does"
            " not (`-`: too few groups). Every operating point of a run stands in its folder's froc.csv and roc.csv.\n",
            markdown.table(("", *rates), table_s1.operating_rows(material.comparisons[seed])),
            markdown.figure(
                "roc.png",
                "ROC curves of representative nets over the test candidates. Polyps without a"
                f" candidate do not count here. {own}. Bars: exact binomial 95 % intervals.",
            ),
            markdown.figure("roc_all.png", f"ROC curves of all nets over the test candidates. {own}."),
        ]
    )


def _table_s1(material: Material, files: Collection[str]) -> str:
    seed = material.study.main_seed
    rows = material.comparisons[seed]
    groups = f"{rows[0].groups} groups with polyps" if rows else "no pair"
    few = "" if all(row.reliable for row in rows) else " **Some tests have too few groups to be relied on: see note.**"
    return "\n".join(
        [
            "## Table S1: every pair of curves\n",
            markdown.figure(
                "table_s1.png",
                (
                    f"Who beats whom at {len(material.rates)} operating points. Seed {seed}, by polyp."
                    " Colour: paired bootstrap"
                    f" of the difference in sensitivity ({material.resamples} resamples of {groups}), p"
                    " adjusted by Holm's"
                    " method over the whole table. Mark: the paper's rule, which finds a difference where"
                    " the error bars"
                    f" ({EXACT}) do not overlap: it knows neither pairs nor groups nor how many comparisons"
                    f" there are.{few}"
                    f"{hopeless(material.comparisons)}"
                ),
            ),
            markdown.folded(
                f"Table S1, seed {seed} (all numbers, and the other seeds: table_s1.csv)",
                "`>` the first is better, `<` the second is, `=` no difference shown, `-` not tested.\n\n"
                + table_s1.as_markdown(rows),
            ),
            markdown.folded(
                f"Pairs by AUC of candidates, seed {seed} (auc_pairs.csv)",
                "DeLong's test takes candidates as independent; the bootstrap by group does not.\n\n"
                + table_s1.aucs_as_markdown(material.auc_comparisons),
            ),
        ]
    )


def _depth(material: Material, files: Collection[str]) -> str:
    if "auc_by_depth.png" not in files:
        return "## AUC by depth of tuning\n\nNo fine-tuned net in this study.\n"
    seeds = material.study.seeds
    listed = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    several = f"{SEEDS}; the small marks are single seeds." if len(seeds) > 1 else "One seed: no interval can be given."
    return "## AUC by depth of tuning\n\n" + markdown.figure(
        "auc_by_depth.png",
        (
            f"AUC of the test by depth of tuning, {listed}. {several} Left:"
            " of patches; right: of candidates, each scored by the mean of its patches. Lines and bands:"
            " nets from scratch"
            " and the detector's own score, over the same seeds. Intervals that run out of the picture,"
            " and all numbers:"
            " auc_by_depth.csv, runs.csv."
        ),
    )


def _training(material: Material, files: Collection[str]) -> str:
    parts = [
        "## Training\n",
        markdown.figure(
            "convergence.png",
            (
                f"Convergence, as Fig. 10 of the paper. AUC of the validation patches after each epoch, seed"
                f" {material.study.main_seed}; training stops after PATIENCE= snapshots without a better"
                " one, and the best"
                " snapshot (star) is tested."
            ),
        ),
    ]
    if "filters.png" in files:
        parts.append(
            markdown.figure(
                "filters.png",
                (
                    "Filters of the first layer. Donor and tuned net on one scale, grey is zero; their"
                    " difference is magnified"
                    " as its title says; those from scratch are on their own scale."
                ),
            )
        )
    else:
        parts.append("No picture of the first layer's filters: no finished run tunes it, or its donor is gone.\n")
    return "\n".join(parts)


def _pictures(material: Material, files: Collection[str]) -> str:
    return "## Best and worst test candidates\n\n" + markdown.figure(
        "extreme_candidates.png",
        (
            f"Test candidates of seed {material.study.main_seed} by the score of"
            f" {material.study.name(material.deepest)}."
            " At most one of each group (video, patient); the number is the mean probability of a polyp"
            " over its patches."
            " Their frames: extreme_candidates.csv."
        ),
    )


def _runs(material: Material, files: Collection[str]) -> str:
    columns: dict[str, Callable[[RunFiles], object]] = {
        "run": material.study.name,
        "seed": lambda r: r.settings.trial,
        "batch": lambda r: r.record.resolved["batch"],
        "epochs at most": lambda r: r.settings.training.epochs,
        "best epoch": lambda r: f"{r.result.best.epoch:g}",
        "validation AUC": lambda r: f"{r.result.best.validation_auc:.4f}",
        "resumed at": study_tables.resumed_text,
        "test AUC (patches)": lambda r: f"{r.result.test['patch_auc']:.4f}",
        "folder": lambda r: f"`{r.folder.name}`",
    }
    rows = ([value(run) for value in columns.values()] for run in material.study.runs)
    listed = "\n".join(f"- [{name}]({name})" for name in sorted(files) if name.endswith(".csv"))
    return f"## Runs\n\n{markdown.table(list(columns), rows)}\nTables:\n\n{listed}\n"
