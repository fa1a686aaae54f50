"""Parts of a report on detection: the paper's claims, counts, results over seeds, AUC by depth."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

from pycaffe_ext.evaluation.seeds import scheme_interval, seed_interval
from pycaffe_ext.evaluation.study_figures import study_figures
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import claims as claims_of
from pycaffe_ext.report import claims_table, depth, design_part, study_parts, study_tables
from pycaffe_ext.report.detection import pictures
from pycaffe_ext.report.detection.material import Material, detecting
from pycaffe_ext.report.figures import DETECTOR
from pycaffe_ext.report.model import Block, Bullets, Figure, Section
from pycaffe_ext.runs.finished import Study

TIE = 0.05  # share of the candidates with one score from which the report says so
ONE_SEED = "One seed: no interval can be given."


def claims(folder: Path, material: Material) -> Section:
    write_csv(folder / "claims.csv", claims_table.HEADER, claims_table.rows(material.claims))
    made_by = (claims_of.claims, study_figures)
    table = claims_table.table(material.claims, made_by)
    return Section("The paper's claims", [table, claims_table.explanation(material.claims, material.study.seeds)])


def data(folder: Path, material: Material) -> Section:
    """Counts at each stage, candidates in frames, and the patches of one."""
    study = material.study
    seed = study.main_seed
    rows = study_tables.count_rows(material.counts)
    write_csv(folder / "counts.csv", ("seed", "split", *material.words.columns(study_tables.STAGES)), rows)
    others = "; counts.csv has the other seeds" if len(study.seeds) > 1 else ""
    text = (
        f"Counts at each stage, seed {seed}{others}. {detecting(study.runs[0]).rule} Training and validation patches"
        " are balanced: all positives or as many as PATCHES= allows, as many negatives drawn at random. Every"
        f" test candidate is scored by {study_parts.test_views(study.runs[0])} of its patches."
    )
    table = study_tables.counts_table(material.counts[seed], material.words)
    return Section("Data", [text, table, *pictures.candidates(folder, material)])


def results(folder: Path, material: Material) -> Section:
    """Over seeds: the primary endpoint first."""
    study = material.study
    write_csv(folder / "runs.csv", study_tables.RUN_HEADER, study_tables.run_rows(study))
    write_csv(folder / "results.csv", study_tables.RESULT_HEADER, study_tables.result_rows(material.results))
    rates = ", ".join(f"{rate:g}" for rate in material.rates)
    text = (
        f"{design_part.seeds_text(study)}. FP a {material.words.item}: false positives per test {material.words.item},"
        f" at most {rates}; sensitivity is by {material.words.target}. Means of schemes with different numbers of seeds"
        " are not comparable. Intervals of the patch AUC know the test groups by their overlap alone and are wider"
        " than they need be."
    )
    return Section("Results", [text, study_tables.results_table(material.results), *_ties(study)])


def variance(folder: Path, material: Material) -> Section:
    """Where the variance of the primary endpoint comes from."""
    return design_part.variance(folder, *material.endpoint)


def _ties(study: Study) -> list[Block]:
    """Where a curve owes a step to candidates that the net does not tell apart."""
    ties = ((run, *study_tables.largest_tie(run)) for run in study.runs)
    texts = [
        f"{study.name(run)}, seed {run.settings.trial}: {100 * share:.0f} % of the test candidates have the same"
        f" score, {score:.4g}; its curves have a step there"
        for run, share, score in ties
        if share > TIE
    ]
    return [Bullets(texts)] if texts else []


def by_depth(folder: Path, material: Material) -> Section:
    """AUC by depth; the table alone where the study has no depths."""
    study = material.study
    patches = study.over_seeds(lambda run: run.result.test["patch_auc"])
    found = {
        "patches": {name: depth.over_seeds(own, material.mean_overlap) for name, own in patches.items()},
        "candidates": _candidate_aucs(material),
    }
    write_csv(folder / "auc_by_depth.csv", study_tables.AUC_HEADER, study_tables.auc_rows(found))
    if not study.depths:
        return Section("AUC by depth of tuning", ["No fine-tuned net in this study."])
    tuned = {level: {name: own[name] for name in study.depths} for level, own in found.items()}
    others = {
        level: {name: seeds for name, seeds in own.items() if name not in study.depths} for level, own in found.items()
    }
    depth.depth_figure(folder / "auc_by_depth.png", tuned, others, material.looks, study_parts.setting_text(study))
    return Section("AUC by depth of tuning", [_depth_figure(study)])


def _depth_figure(study: Study) -> Figure:
    listed = f"seed{'s' * (len(study.seeds) > 1)} {', '.join(map(str, study.seeds))}"
    seeds = f"{design_part.seeds_text(study)}; the small marks are single seeds."
    several = seeds if len(study.seeds) > 1 else ONE_SEED
    caption = (
        f"AUC of the test by depth of tuning, {listed}. {several} Left: of patches; right: of candidates, each scored"
        " by the mean of its patches. Lines and bands: nets from scratch and the detector's own score, over the same"
        " seeds. Intervals that run out of the picture, and all numbers: auc_by_depth.csv, runs.csv."
    )
    return Figure("auc_by_depth.png", caption, (study_figures, scheme_interval, seed_interval))


def _candidate_aucs(material: Material) -> dict[str, depth.Seeds]:
    """name -> AUC of the candidates over seeds, the detector's last."""
    figures, found = material.figures, {}
    for name in [*material.study.names, DETECTOR]:
        place = figures.schemes.index(name)
        values = dict(zip(figures.seeds, figures.auc.values[:, place].tolist(), strict=True))
        run = {seed: value for seed, value in values.items() if isfinite(value)}
        found[name] = depth.Seeds(run, scheme_interval(figures.auc, place, material.mean_overlap))
    return found
