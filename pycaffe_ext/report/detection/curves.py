"""Part of a report on detection: FROC and ROC curves of the main seed."""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.evaluation import froc, intervals, operating, roc
from pycaffe_ext.evaluation.words import Words
from pycaffe_ext.report import figures, table_s1
from pycaffe_ext.report.detection.material import Material
from pycaffe_ext.report.figures import DETECTOR
from pycaffe_ext.report.model import Figure, Section
from pycaffe_ext.runs.finished import Study


def exact(words: Words) -> str:
    return f"exact binomial (Clopper-Pearson) 95 % intervals, which take {words.target}s as independent of each other"


def curves(folder: Path, material: Material) -> Section:
    """Fig. 2(a), with the curves that the paper shows and with all, and ROC."""
    _draw(folder, material)
    seed = material.study.main_seed
    test = material.study.first(seed).result.test
    words, intervals_text = material.words, exact(material.words)
    item, target = words.item, words.target
    own = (
        f"{test['lesions']} {target}s in {test[f'{item}s']} test {item}s, {test['candidates']} candidates, seed {seed}"
    )
    of_froc, of_roc = (froc.curve, intervals.clopper_pearson), (roc.auc, intervals.clopper_pearson)
    text = (
        f"Sensitivity by {target}, seed {seed}, with two intervals each: {intervals_text}, and the bootstrap by group,"
        " which does not (-: too few groups). Every operating point of a run stands in its folder's froc.csv and"
        " roc.csv."
    )
    captions = {
        "froc.png": (
            f"FROC curves of representative nets and of the {DETECTOR}, as Fig. 2(a) of the paper. {own}."
            f" Bars: {intervals_text}."
        ),
        "froc_all_by_lesion.png": f"FROC curves of all nets, by {target}. {own}.",
        f"froc_all_by_{words.case}.png": (
            f"FROC curves of all nets, by {words.case}: a {words.case} with {target}s counts as found when one of them"
            f" is. {own}."
        ),
        "roc.png": (
            f"ROC curves of representative nets over the test candidates. {target.capitalize()}s without a candidate do"
            f" not count here. {own}. Bars: exact binomial 95 % intervals."
        ),
        "roc_all.png": f"ROC curves of all nets over the test candidates. {own}.",
    }
    shown = [
        Figure(file, caption, of_froc if file.startswith("froc") else of_roc) for file, caption in captions.items()
    ]
    table = table_s1.operating_table(
        material.comparisons[seed], material.rates, (froc.operating_point, operating.group_intervals), item
    )
    return Section("FROC and ROC curves", [*shown[:3], text, table, *shown[3:]])


def _draw(folder: Path, material: Material) -> None:
    cases = material.cases(material.study.main_seed)
    found = {name: froc.curve(own) for name, own in cases.items()}
    baseline = found.pop(DETECTOR)
    few = {name: found[name] for name in representative(material.study)}
    looks, title, limit = material.looks, material.title, 2 * max(material.rates)
    figures.froc_figure(
        folder / "froc.png",
        few,
        baseline,
        rates=material.rates,
        limit=limit,
        looks=looks,
        title=title,
        words=material.words,
    )
    for by, name in material.words.by.items():
        file = folder / f"froc_all_by_{name}.png"
        figures.froc_figure(file, found, baseline, by=by, rates=(), looks=looks, title=title, words=material.words)
    label = material.study.first(material.study.main_seed).evaluation.label
    scores = {name: own.score for name, own in cases.items()}
    shown = {name: scores[name] for name in [*few, DETECTOR]}
    figures.roc_figure(folder / "roc.png", label, shown, looks=looks, title=title, words=material.words)
    figures.roc_figure(
        folder / "roc_all.png", label, scores, fractions=(), looks=looks, title=title, words=material.words
    )


def representative(study: Study) -> list[str]:
    """Names of the curves that Fig. 2(a) is drawn with: the two shallowest tunings, a middle one, the deepest, and
    scratch (of every net) with the filler that the paper used, or else with the first."""
    tuned = [name for name in study.depths if name in study.main]
    chosen = {0, 1, len(tuned) // 2, len(tuned) - 1} if tuned else set()
    scratch = [name for name, run in study.main.items() if not run.tuned]
    usual = [name for name in scratch if study.main[name].settings.scheme == "scratch"]
    return [name for i, name in enumerate(tuned) if i in chosen] + (usual or scratch[:1])
