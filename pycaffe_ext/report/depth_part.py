"""Part of a report: its primary endpoint by depth of tuning, for reports with one level of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pycaffe_ext.evaluation.seeds import seed_interval
from pycaffe_ext.files import write_csv
from pycaffe_ext.report import depth, design_part, study_parts
from pycaffe_ext.report.depth import Seeds
from pycaffe_ext.report.model import Figure, Section
from pycaffe_ext.report.study_parts import Material


class Names(NamedTuple):
    """heading : of the part.   file : of figure and numbers, without its ending.   column : of the numbers"""

    heading: str
    file: str
    column: str


AUC = Names("AUC by depth of tuning", "auc_by_depth", "auc")


def section(
    folder: Path,
    material: Material,
    found: Mapping[str, Seeds],
    names: Names,
    endpoint: str,
    made_by: tuple[Callable[..., Any], ...],
) -> Section:
    """Write the numbers and draw them; found : name -> the endpoint over seeds.   made_by : what computes it"""
    study, (heading, file, column) = material.study, names
    rows = [(name, seed, value) for name, own in found.items() for seed, value in own.values.items()]
    write_csv(folder / f"{file}.csv", ("name", "seed", column), rows)
    if not study.depths:
        return Section(heading, ["No fine-tuned net in this study."])
    tuned = {endpoint: {name: found[name] for name in study.depths}}
    others = {endpoint: {name: own for name, own in found.items() if name not in study.depths}}
    depth.depth_figure(folder / f"{file}.png", tuned, others, material.looks, study_parts.setting_text(study))
    seeds = f"{design_part.seeds_text(study)}; the small marks are single seeds"
    of_seeds = seeds if len(study.seeds) > 1 else "One seed: no interval"
    caption = (
        f"{endpoint[0].upper()}{endpoint[1:]}, by depth of tuning. {of_seeds}. Lines and bands: nets from scratch and"
        f" the baseline, over the same seeds. All numbers: {file}.csv."
    )
    return Section(heading, [Figure(f"{file}.png", caption, (*made_by, seed_interval))])
