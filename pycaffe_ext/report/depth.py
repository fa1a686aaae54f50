"""AUC by depth of tuning: what the paper's first question looks like in one figure, and its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from pycaffe_ext.evaluation.seeds import SHARE, Limits, SeedInterval, seed_interval
from pycaffe_ext.files import write_csv
from pycaffe_ext.plotting import BASELINE, COLOURS, MARKERS, SMALL, TITLE, Style, legend_below, page, save
from pycaffe_ext.report.figures import DETECTOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

R = TypeVar("R")
AXES = {"patches": "AUC of the test patches", "candidates": "AUC of the test candidates"}


class Seeds(NamedTuple):
    """values : seed -> number.  over : their mean with its 95 % interval, None for a single seed."""

    values: Mapping[int, float]
    over: SeedInterval


def over_seeds(values: Mapping[int, float], overlap: float, limits: Limits = SHARE) -> Seeds:
    """overlap : of the seeds' test sets, limits : of the figure, both as `seed_interval` takes them"""
    return Seeds(values, seed_interval(list(values.values()), overlap, limits=limits, trials=list(values)))


def of_names(
    of_seeds: Mapping[int, Mapping[str, R]],
    value: Callable[[R], float],
    names: Iterable[str],
    overlap: float,
    limits: Limits = SHARE,
) -> dict[str, Seeds]:
    """name -> a figure over seeds, in the order of `names`, without those that no seed has.

    of_seeds : seed -> name -> what `value` takes the figure from        overlap, limits : as in `over_seeds`
    """
    found = {name: {seed: value(own[name]) for seed, own in of_seeds.items() if name in own} for name in names}
    return {name: over_seeds(values, overlap, limits) for name, values in found.items() if values}


def depth_figure(
    path: Path,
    tuned: Mapping[str, Mapping[str, Seeds]],
    references: Mapping[str, Mapping[str, Seeds]],
    looks: Mapping[str, Style],
    title: str = "",
) -> None:
    """Write AUC against depth of tuning as PNG, one panel a level of AUC: a point per seed, mean and interval.

    tuned : level ("patches", "candidates", or a text for the axis) -> scheme, from shallow to deep as in Table II ->
    its AUCs
    references : level -> name -> AUCs that have no depth (scratch, the detector): lines, with a band for the interval
    """
    figure, panels = page(columns=len(tuned), height=4.4, squeeze=False)
    for axes, (level, schemes) in zip(panels[0], tuned.items(), strict=True):
        for name, seeds in references.get(level, {}).items():
            _reference(axes, name, seeds, {DETECTOR: BASELINE, **looks}[name])
        _points(axes, schemes)
        axes.set_ylabel(AXES.get(level, level))
        axes.set_ylim(_range([*schemes.values(), *references.get(level, {}).values()]))
        axes.set_xticks(range(len(schemes)), list(schemes), rotation=45, ha="right", fontsize=SMALL)
        axes.set_xlim(-0.6, len(schemes) - 0.4)
        axes.set_xlabel("shallow  <  layers that learn  <  deep")
    figure.suptitle(title, fontsize=TITLE)
    legend_below(figure, panels[0][-1])
    save(figure, path)


def _points(axes: Axes, schemes: Mapping[str, Seeds]) -> None:
    """The mean of each scheme with its interval, and beside it a small mark for each seed, joined over the depths."""
    at = np.arange(len(schemes))
    seeds = sorted({seed for one in schemes.values() for seed in one.values})
    for i, seed in enumerate(seeds if len(seeds) > 1 else ()):
        values = [one.values.get(seed, np.nan) for one in schemes.values()]
        axes.plot(
            at + 0.16,
            values,
            marker=MARKERS[1:][i % 7],
            ms=3.5,
            lw=0.7,
            color="#999999",
            label=f"seed {seed}",
            zorder=2,
        )
    mean = np.array([one.over.mean for one in schemes.values()])
    reach = np.array([_reach(one.over) for one in schemes.values()]).reshape(-1, 2).T
    label = "mean over seeds" if len(seeds) > 1 else f"fine-tuned, seed {seeds[0]}"
    if np.isfinite(reach).any():
        label = "mean and 95 % interval over seeds"
    axes.errorbar(at, mean, yerr=reach, fmt="o-", color=COLOURS[0], ms=5.5, lw=1.8, capsize=3, zorder=3, label=label)


def _range(seeds: Sequence[Seeds]) -> tuple[float, float]:
    """Of the axis: that of the single seeds with room around; wide intervals run out of the picture."""
    values = [value for one in seeds for value in one.values.values()]
    room = max(0.03, 0.5 * (max(values) - min(values)))
    return max(0.0, min(values) - room), min(1.0, max(values) + room)


def _reach(over: SeedInterval) -> tuple[float, float]:
    if over.low is None or over.high is None:
        return np.nan, np.nan
    return max(over.mean - over.low, 0), max(over.high - over.mean, 0)


def _reference(axes: Axes, name: str, seeds: Seeds, style: Style) -> None:
    axes.axhline(seeds.over.mean, lw=1.5, label=name, zorder=1, **style.of_line())
    if seeds.over.low is not None and seeds.over.high is not None:
        axes.axhspan(seeds.over.low, seeds.over.high, color=style.colour, alpha=0.08, lw=0, zorder=0)


def write_results(folder: Path, found: Mapping[str, Mapping[str, Seeds]]) -> None:
    """Write results.csv; found : figure -> name -> the figure over seeds"""
    rows = [
        (name, figure, own.over.seeds, own.over.mean, *("" if end is None else end for end in own.over[1:3]))
        for figure, names in found.items()
        for name, own in names.items()
    ]
    write_csv(folder / "results.csv", ("name", "figure", "seeds", "mean", "t_low", "t_high"), rows)


def shown(over: SeedInterval) -> str:
    """Mean and interval as a table shows them."""
    return f"{over.mean:.3f}" if over.low is None else f"{over.mean:.3f} [{over.low:.3f}, {over.high:.3f}]"
