"""The report of a study: all figures and tables of its finished runs in one folder, and a page that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from pycaffe_ext import plotting
from pycaffe_ext.evaluation import comparison, froc
from pycaffe_ext.evaluation.convergence import Course
from pycaffe_ext.evaluation.margins import MARGINS, Margins, checked_margins
from pycaffe_ext.evaluation.seeds import SeedInterval, scheme_interval
from pycaffe_ext.evaluation.study_figures import StudyFigures, study_figures
from pycaffe_ext.files import write_csv, writing
from pycaffe_ext.progress import bar
from pycaffe_ext.report import (
    claims,
    claims_table,
    depth,
    examples,
    figures,
    matrix,
    montage,
    report_page,
    study_parts,
    study_tables,
    table_s1,
)
from pycaffe_ext.report.figures import DETECTOR
from pycaffe_ext.runs.finished import RunFiles, Study

RATES = (0.5, 1.0, 2.0)  # false positives per frame of Table S1; the paper's three are not in the text at hand
RECORD = "report.json"
RESAMPLES = 2000


@dataclass(frozen=True)
class Material:
    """What the parts of a report share.

    rates, resamples : of Table S1 and the claims        margins : of non-inferiority
    """

    study: Study
    rates: tuple[float, ...] = RATES
    resamples: int = RESAMPLES
    margins: Margins = MARGINS
    progress: bool = True

    @cached_property
    def looks(self) -> dict[str, plotting.Style]:
        return plotting.styles(self.study.names, self.study.scratch)

    @property
    def title(self) -> str:
        return f"{report_page.setting_text(self.study)}, seed {self.study.main_seed}"

    @property
    def deepest(self) -> RunFiles:
        """Of the main seed, the net of which most was tuned; any net if none was."""
        main = self.study.main
        return next((main[name] for name in reversed(self.study.depths) if name in main), next(iter(main.values())))

    def cases(self, seed: int) -> dict[str, froc.Cases]:
        """name -> scored test candidates of a seed's runs, the detector's own scores last."""
        own = self.study.of_seed(seed)
        return {
            **{name: run.evaluation.cases for name, run in own.items()},
            DETECTOR: next(iter(own.values())).evaluation.baseline,
        }

    @cached_property
    def comparisons(self) -> dict[int, list[comparison.Comparison]]:
        """seed -> Table S1, polyp by polyp."""
        return {
            seed: comparison.compare(
                self.cases(seed),
                next(iter(self.study.of_seed(seed).values())).evaluation.group,
                self.rates,
                "lesion",
                self.resamples,
            )
            for seed in self.study.seeds
        }

    @cached_property
    def auc_comparisons(self) -> list[comparison.AucComparison]:
        """Every pair of the main seed by AUC of candidates."""
        first = next(iter(self.study.main.values())).evaluation
        scores = {name: own.score for name, own in self.cases(self.study.main_seed).items()}
        return comparison.compare_aucs(first.label, scores, first.candidate_group, self.resamples)

    @cached_property
    def counts(self) -> dict[int, dict[str, dict[str, int]]]:
        return {run.settings.trial: study_tables.counts(run) for run in study_tables.one_run_each_seed(self.study)}

    @cached_property
    def mean_overlap(self) -> float:
        """Of the seeds' test sets."""
        overlap = study_parts.overlap(self.study)
        return overlap.mean if overlap else 0.0

    @cached_property
    def figures(self) -> StudyFigures:
        """Of every net and seed, the detector last."""
        return study_figures(
            {seed: self.cases(seed) for seed in self.study.seeds},
            study_parts.test_groups(self.study),
            self.rates,
            "lesion",
            self.resamples,
            progress=self.progress,
        )

    @cached_property
    def results(self) -> dict[str, dict[str, SeedInterval]]:
        return study_tables.results(self.study, self.figures, self.mean_overlap)

    @cached_property
    def examples(self) -> dict[str, list[examples.Example]]:
        return examples.extremes(self.deepest)

    @cached_property
    def claims(self) -> list[claims.Claim]:
        methods = {self.study.name(run): _method(self.study.name(run), run) for run in self.study.runs}
        courses: dict[str, dict[int, Course]] = {name: {} for name in methods}
        for run in self.study.runs:
            courses[self.study.name(run)][run.settings.trial] = _course(run)
        return claims.claims(list(methods.values()), DETECTOR, self.figures, courses, self.margins)


def _method(name: str, run: RunFiles) -> claims.Method:
    donor = str(run.result.donor) if run.tuned else ""
    return claims.Method(
        name, run.settings.scheme, run.settings.training.arch, str(run.record.resolved["width"]), donor
    )


def _course(run: RunFiles) -> Course:
    points = tuple((row.epoch, row.auc) for row in run.snapshots)
    return Course(points, run.settings.training.epochs, run.result.stopped_by == "patience")


def write_parts(folder: Path, study: Study, missing: Sequence[str], options: Mapping[str, Any]) -> None:
    """Write all figures and tables of a study that detects lesions, and report.md, into `folder`.

    missing : runs that belong to the study and are not finished; the report names them.   options : rates, resamples
    (of Table S1 and the claims), margin and auc_margin (of non-inferiority), progress.
    """
    margins = checked_margins(options.get("margin", MARGINS.sensitivity), options.get("auc_margin", MARGINS.auc))
    rates, resamples = tuple(options.get("rates", RATES)), options.get("resamples", RESAMPLES)
    material = Material(study, rates, resamples, margins, options.get("progress", True))
    for step in bar(PARTS, "report", unit="part", progress=options.get("progress", True)):
        step(folder, material)
    with writing(folder / "report.md") as file:
        file.write(report_page.text(material, missing, {path.name for path in folder.iterdir()}))


def _tables(folder: Path, material: Material) -> None:
    study = material.study
    write_csv(folder / "counts.csv", ("seed", "split", *study_tables.STAGES), study_tables.count_rows(material.counts))
    write_csv(folder / "runs.csv", study_tables.RUN_HEADER, study_tables.run_rows(study))
    write_csv(folder / "results.csv", study_tables.RESULT_HEADER, study_tables.result_rows(material.results))
    write_csv(folder / "claims.csv", claims_table.HEADER, claims_table.rows(material.claims))


def _curves(folder: Path, material: Material) -> None:
    """Fig. 2(a), with the curves that the paper shows and with all, and ROC."""
    cases = material.cases(material.study.main_seed)
    curves = {name: froc.curve(own) for name, own in cases.items()}
    baseline = curves.pop(DETECTOR)
    few = {name: curves[name] for name in representative(material.study)}
    look = {"looks": material.looks, "title": material.title}
    figures.froc_figure(folder / "froc.png", few, baseline, rates=material.rates, limit=2 * max(material.rates), **look)
    for by in froc.SENSITIVITIES:
        figures.froc_figure(folder / f"froc_all_by_{by}.png", curves, baseline, by=by, rates=(), **look)
    label = next(iter(material.study.main.values())).evaluation.label
    scores = {name: own.score for name, own in cases.items()}
    shown = {name: scores[name] for name in [*few, DETECTOR]}
    figures.roc_figure(folder / "roc.png", label, shown, **look)
    figures.roc_figure(folder / "roc_all.png", label, scores, fractions=(), **look)


def representative(study: Study) -> list[str]:
    """Names of the curves that Fig. 2(a) is drawn with: the two shallowest tunings, a middle one, the deepest, and
    scratch (of every net) with the filler that the paper used, or else with the first."""
    tuned = [name for name in study.depths if name in study.main]
    chosen = {0, 1, len(tuned) // 2, len(tuned) - 1} if tuned else set()
    scratch = [name for name, run in study.main.items() if not run.tuned]
    usual = [name for name in scratch if study.main[name].settings.scheme == "scratch"]
    return [name for i, name in enumerate(tuned) if i in chosen] + (usual or scratch[:1])


def _table_s1(folder: Path, material: Material) -> None:
    study, seed = material.study, material.study.main_seed
    rows = [row for own, found in material.comparisons.items() for row in table_s1.rows(own, found)]
    write_csv(folder / "table_s1.csv", table_s1.HEADER, rows)
    write_csv(folder / "auc_pairs.csv", table_s1.AUC_HEADER, table_s1.auc_rows(seed, material.auc_comparisons))
    names = [*study.main, DETECTOR]
    panels = {
        f"{rate:g} false positive{'s' * (rate != 1)} a frame": table_s1.verdicts(
            names, material.comparisons[seed], rate
        )
        for rate in material.rates
    }
    matrix.matrix_figure(
        folder / "table_s1.png",
        [*study.main, "detector"],
        {panel: found[0] for panel, found in panels.items()},
        {panel: found[1] for panel, found in panels.items()},
        "paired bootstrap by group, Holm's p < .05",
        material.title,
    )


def _depth(folder: Path, material: Material) -> None:
    """AUC by depth; nothing where the study has no depths."""
    study = material.study
    patches = study.over_seeds(lambda run: run.result.test["patch_auc"])
    found = {
        "patches": {name: depth.over_seeds(own, material.mean_overlap) for name, own in patches.items()},
        "candidates": _candidate_aucs(material),
    }
    write_csv(folder / "auc_by_depth.csv", study_tables.AUC_HEADER, study_tables.auc_rows(found))
    if study.depths:
        tuned = {level: {name: own[name] for name in study.depths} for level, own in found.items()}
        others = {
            level: {name: seeds for name, seeds in own.items() if name not in study.depths}
            for level, own in found.items()
        }
        depth.depth_figure(folder / "auc_by_depth.png", tuned, others, material.looks, report_page.setting_text(study))


def _candidate_aucs(material: Material) -> dict[str, depth.Seeds]:
    """name -> AUC of the candidates over seeds, the detector's last."""
    figures, found = material.figures, {}
    for name in [*material.study.names, DETECTOR]:
        place = figures.schemes.index(name)
        values = dict(zip(figures.seeds, figures.auc.values[:, place].tolist(), strict=True))
        run = {seed: value for seed, value in values.items() if isfinite(value)}
        found[name] = depth.Seeds(run, scheme_interval(figures.auc, place, material.mean_overlap))
    return found


def _convergence(folder: Path, material: Material) -> None:
    trainings = {name: (run.snapshots, run.result.best.iteration) for name, run in material.study.main.items()}
    figures.convergences_figure(folder / "convergence.png", trainings, material.title, material.looks)


def _data_pictures(folder: Path, material: Material) -> None:
    run = material.deepest
    source = run.application.items(run.settings.request, run.packed.found.parent.parent).items
    names = examples.shown_frames(run)
    found = material.examples
    wanted = {*names, *(one.frame for kind in found.values() for one in kind)}
    pictures = examples.Pictures(run, {frame.name: frame for frame in source}, sorted(wanted))
    title = f"{material.title}: scores of {material.study.name(run)}"
    montage.candidates_figure(folder / "candidates.png", [pictures.scene(run, name) for name in names], title)
    kinds = {examples.KINDS[kind]: [pictures.close_up(one) for one in own] for kind, own in found.items() if own}
    montage.close_ups_figure(folder / "extreme_candidates.png", kinds, title)
    write_csv(folder / "extreme_candidates.csv", examples.EXAMPLE_HEADER, examples.example_rows(found))
    if found["hits"]:
        best = pictures.close_up(found["hits"][0])
        montage.views_figure(folder / "patches.png", best.image, best.mask, best.box, "a candidate that hits a polyp")


def _filters(folder: Path, material: Material) -> None:
    study_parts.draw_filters(folder, material.study, material.title)


PARTS = (_tables, _curves, _table_s1, _depth, _convergence, _data_pictures, _filters)
