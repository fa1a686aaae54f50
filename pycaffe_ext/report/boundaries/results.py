"""Parts of a report on boundaries: thickness and errors over seeds and of one seed, comparisons, errors by depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.evaluation import agreement, boundary_errors, walls
from pycaffe_ext.evaluation.agreement import PairedTest
from pycaffe_ext.evaluation.boundary_errors import pooled
from pycaffe_ext.evaluation.compared import LEVEL
from pycaffe_ext.evaluation.intervals import ENOUGH_GROUPS
from pycaffe_ext.evaluation.metrics.boundaries import ENDPOINT
from pycaffe_ext.evaluation.seeds import NOT_NEGATIVE, Limits, seed_interval
from pycaffe_ext.evaluation.walls import INTERFACES, Walls, text_of
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import depth, depth_part, design_part
from pycaffe_ext.report.boundaries import figures
from pycaffe_ext.report.boundaries.material import BY_GROUP, Material
from pycaffe_ext.report.model import Block, Figure, Folded, Note, Section, Table

PAIR_HEADER = ("seed", "first", "second", "difference_mm", "low", "high", "p", "p_holm", "effective_groups")
MADE_BY = (walls.record, agreement.agreement)
COLUMNS = ("signed", "mean", "median", "percentile95")
DEPTH = depth_part.Names("Error by depth of tuning", "error_by_depth", "mean_absolute_error_mm")
SHOWN_NETS = 4  # in the Bland-Altman plots


def mean_absolute(own: Walls) -> float:
    """The primary endpoint, in mm."""
    return float(own.absolute.mean())


def column_figure(own: Walls, interface: int, name: str) -> float:
    """One of COLUMNS over all columns of all images, in micrometres."""
    errors = pooled(own.errors(interface))
    size = np.abs(errors)
    if name == "percentile95":
        return float(np.percentile(size, 95))
    return float({"signed": errors.mean(), "mean": size.mean(), "median": np.median(size)}[name])


def _bias(own: Walls) -> float:
    found, true = own.thickness
    return float((found - true).mean())


def _columns() -> dict[str, tuple[Callable[[Walls], float], Limits]]:
    """Figure -> how it is taken from a run's walls, and its limits; the primary endpoint first."""
    found: dict[str, tuple[Callable[[Walls], float], Limits]] = {
        ENDPOINT: (mean_absolute, NOT_NEGATIVE),
        "bias of the thickness in mm": (_bias, None),
    }
    for i, kind in enumerate(INTERFACES):
        for name in ("mean", "median"):
            found[f"{kind} {name} error in µm"] = partial(column_figure, interface=i, name=name), NOT_NEGATIVE
    return found


def results(folder: Path, material: Material) -> Section:
    """Over seeds: the primary endpoint first; then one seed with intervals by group."""
    found = {figure: material.over_seeds(*of_it) for figure, of_it in _columns().items()}
    depth.write_results(folder, found)
    first = found[ENDPOINT]
    lines = [
        (
            name,
            own.over.seeds,
            *(
                depth.shown(names[name].over) if "mm" in figure else f"{names[name].over.mean:.0f}"
                for figure, names in found.items()
            ),
        )
        for name, own in first.items()
    ]
    table = Table(("", "seeds", *found), lines, "results.csv", (*MADE_BY, seed_interval))
    text = f"{design_part.seeds_text(material.study)}. Errors of the interfaces are absolute, over all judged columns."
    return Section("Results", [text, table, *_few(material), *_one_seed(folder, material)])


def _few(material: Material) -> list[Block]:
    groups = len(set(material.deepest.evaluation.network.judged_group.tolist()))
    if groups >= ENOUGH_GROUPS:
        return []
    return [Note(f"{groups} test groups, fewer than {ENOUGH_GROUPS}: intervals by group are unreliable")]


def _one_seed(folder: Path, material: Material) -> list[Block]:
    seed = material.study.main_seed
    found = {name: walls.record(own, seed) for name, own in material.main.items()}
    keys = ("bias", "lower", "upper", "mean_absolute", "icc")
    thick = [(name, *(text_of(own["thickness"][key]) for key in keys)) for name, own in found.items()]
    lines = [
        (name, words, *(text_of(own[kind][key], 0) for key in walls.OF_IMAGE))
        for name, own in found.items()
        for kind, words in INTERFACES.items()
    ]
    write_csv(folder / "thickness.csv", ("name", "figure", "value", "group_low", "group_high"), _cells(found, keys))
    header = ("", "bias", "lower limit", "upper limit", "mean absolute error", "ICC(A,1)")
    text = (
        f"Thickness of seed {seed}, found minus drawn, in mm; {BY_GROUP}. Limits of agreement: bias -/+ 1.96 standard"
        " deviations."
    )
    names = ("", "interface", "signed", "mean", "median", "95th percentile", "Hausdorff")
    folded = Folded(
        f"Errors of the interfaces, seed {seed}, means over images in µm", [Table(names, lines, "", MADE_BY)]
    )
    return [text, Table(header, thick, "thickness.csv", MADE_BY), folded]


def _cells(found: dict[str, dict[str, Any]], keys: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    for name, own in found.items():
        figures_of = {f"thickness {key}": own["thickness"][key] for key in keys}
        figures_of |= {f"{kind} {key} um": own[kind][key] for kind in INTERFACES for key in walls.OF_IMAGE}
        for figure, value in figures_of.items():
            yield name, figure, value["value"], *(value["group_95"] or ("", ""))


def errors(folder: Path, material: Material) -> Section:
    """Box plots by net, and Bland-Altman."""
    seed, main = material.study.main_seed, material.main
    figures.errors_figure(folder / "errors.png", main, material.looks, material.title)
    best = sorted(list(main)[:-1], key=lambda name: mean_absolute(main[name]))[: SHOWN_NETS - 1]
    shown = {name: own for name, own in main.items() if name in best or name == list(main)[-1]}
    figures.bland_altman_figure(folder / "bland_altman.png", shown, material.looks, material.title)
    boxes = (
        f"Absolute errors of both interfaces by net, all judged columns of the test images of seed {seed}. Boxes: from"
        " quartile to quartile, the median black; whiskers: 5th to 95th percentile."
    )
    agreed = (
        f"Bland-Altman: thickness of each test image as found and as drawn, seed {seed}. Lines: bias and"
        " limits of agreement, bias -/+ 1.96 standard deviations. Shown: the nets with the least error, the baseline."
    )
    made_by = boundary_errors.column_errors, boundary_errors.pooled
    return Section(
        "Errors by net",
        [
            Figure("errors.png", boxes, made_by),
            Figure("bland_altman.png", agreed, (agreement.limits_of_agreement,)),
        ],
    )


def pairs(folder: Path, material: Material) -> Section:
    """Every pair of nets, the baseline among them, by the absolute error of the thickness."""
    found = {seed: _tests(own, seed) for seed, own in material.of_seeds.items()}
    rows = [_pair(seed, row, material) for seed, own in found.items() for row in own]
    write_csv(folder / "pairs.csv", PAIR_HEADER, rows)
    seed = material.study.main_seed
    text = (
        f"Difference of the {ENDPOINT}, seed {seed}; bootstrap of whole groups, paired by image; p adjusted by Holm's"
        " method over all pairs. Negative: the first is better."
    )
    header = ("first", "second", "difference", "95 %", "p (Holm)", "verdict")
    table = Table(header, list(map(_pair_text, found[seed])), "pairs.csv", (agreement.compare,))
    return Section("Comparisons", [text, table])


def _tests(own: dict[str, Walls], seed: int) -> list[PairedTest]:
    group = next(iter(own.values())).judged_group
    return agreement.compare({name: walls_.absolute for name, walls_ in own.items()}, group, seed=seed)


def _pair(seed: int, row: PairedTest, material: Material) -> tuple[Any, ...]:
    found = ("", "", "", "") if row.difference is None else tuple(row.difference)
    groups = walls.counts(next(iter(material.of_seeds[seed].values())))["effective_groups"]
    return seed, row.first, row.second, *found, "" if row.p_holm is None else row.p_holm, groups


def _pair_text(row: PairedTest) -> tuple[str, ...]:
    if row.difference is None or row.p_holm is None:
        return row.first, row.second, "", "", "", "not tested"
    better = row.first if row.difference.value < 0 else row.second
    verdict = f"{better} is better" if row.p_holm < LEVEL else "no difference shown"
    ends = f"[{row.difference.low:+.3f}, {row.difference.high:+.3f}]"
    return row.first, row.second, f"{row.difference.value:+.3f}", ends, f"{row.p_holm:.3g}", verdict


def by_depth(folder: Path, material: Material) -> Section:
    """The primary endpoint by depth of tuning; lower is better."""
    found = material.over_seeds(mean_absolute, NOT_NEGATIVE)
    return depth_part.section(folder, material, found, DEPTH, f"{ENDPOINT}; lower is better", (walls.record,))
