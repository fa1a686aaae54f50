"""Both boundaries of the wall in many images, as found and as an expert drew them, and all figures of the errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.evaluation.agreement import Agreement, Figure, agreement, paired_difference
from pycaffe_ext.evaluation.boundary_errors import (
    BoundaryErrors,
    boundary_errors,
    column_errors,
    mean_thickness,
    pooled,
)
from pycaffe_ext.evaluation.intervals import Interval, effective_groups

Floats = NDArray[np.floating[Any]]
INTERFACES = {"LI": "lumen-intima", "MA": "media-adventitia"}
OF_IMAGE = ("signed", "mean", "median", "percentile95", "hausdorff")  # fields of BoundaryErrors


@dataclass(frozen=True, eq=False)
class Walls:
    """The columns of n images.

    names, group : (n,) of the images.   mm : (n,) mm per pixel.   image : (c,) int, image of each column, ascending.
    x : (c,) in pixels.   true, found : (c, 2) rows in pixels of lumen-intima and media-adventitia; true is NaN where a
    column is not judged.
    """

    names: tuple[str, ...]
    group: NDArray[Any]
    mm: Floats
    image: NDArray[np.int64]
    x: Floats
    true: Floats
    found: Floats

    @cached_property
    def judged(self) -> list[int]:
        """The images with a column that is judged."""
        known = np.isfinite(self.true).all(axis=1)
        return np.unique(self.image[known]).tolist()

    @cached_property
    def judged_group(self) -> NDArray[Any]:
        return np.asarray(self.group)[self.judged]

    def columns(self, image: int) -> slice:
        start, end = np.searchsorted(self.image, (image, image + 1)).tolist()
        return slice(start, end)

    def errors(self, interface: int) -> list[Floats]:
        """Of each judged image the signed errors of its columns in micrometres; 0 lumen-intima, 1 media-adventitia."""
        return [
            column_errors(self.found[rows, interface], self.true[rows, interface], float(self.mm[i]))
            for i in self.judged
            for rows in [self.columns(i)]
        ]

    def of_images(self, interface: int) -> list[BoundaryErrors]:
        """Errors of each judged image."""
        return [
            boundary_errors(
                self.found[rows, interface], self.true[rows, interface], float(self.mm[i]), self.x[rows].astype(float)
            )
            for i in self.judged
            for rows in [self.columns(i)]
        ]

    @cached_property
    def thickness(self) -> tuple[Floats, Floats]:
        """(judged,) mean thickness in mm as found and as drawn, over the judged columns."""
        pairs = []
        for i in self.judged:
            rows = self.columns(i)
            known = np.isfinite(self.true[rows]).all(axis=1)
            each = [curves[rows][known] for curves in (self.found, self.true)]
            pairs.append([mean_thickness(curve[:, 0], curve[:, 1], float(self.mm[i])) for curve in each])
        found, true = np.array(pairs, np.float64).reshape(-1, 2).T
        return found, true

    @cached_property
    def absolute(self) -> Floats:
        """(judged,) absolute error of the thickness in mm: what nets are compared by."""
        found, true = self.thickness
        return np.abs(found - true)


def thickness_agreement(walls: Walls, seed: int) -> Agreement:
    """Raises ValueError for fewer than two judged images."""
    return agreement(*walls.thickness, walls.judged_group, seed=seed)


def record(walls: Walls, seed: int) -> dict[str, Any]:
    """All figures, JSON-able: of the thickness in mm, of either interface in micrometres."""
    found = thickness_agreement(walls, seed)
    names = ("bias", "lower", "upper", "mean_absolute", "icc")
    return {
        "thickness": {name: _figure(getattr(found, name)) for name in names},
        **{kind: _interface(walls, i, seed) for i, kind in enumerate(INTERFACES)},
    }


def _interface(walls: Walls, interface: int, seed: int) -> dict[str, Any]:
    """`columns`: over all columns.  The rest: means over images of what each image has, with intervals by group."""
    each, every = walls.of_images(interface), pooled(walls.errors(interface))
    size = np.abs(every)
    return {
        "columns": {
            "judged": int(every.size),
            "signed": float(every.mean()),
            "mean": float(size.mean()),
            "median": float(np.median(size)),
            "percentile95": float(np.percentile(size, 95)),
        },
        **{
            name: _figure(mean_by_group(np.array([getattr(one, name) for one in each]), walls.judged_group, seed))
            for name in OF_IMAGE
        },
    }


def mean_by_group(values: Floats, group: NDArray[Any], seed: int) -> Figure:
    """The mean of a figure over images, with its interval by group."""
    mean = float(values.mean())
    found = paired_difference(values, np.zeros_like(values), group, seed=seed) if values.size > 1 else None
    return Figure(mean, None if found is None else Interval(found.low, found.high))


def counts(walls: Walls) -> dict[str, Any]:
    sizes = np.unique(walls.judged_group, return_counts=True)[1]
    return {
        "images": len(walls.names),
        "judged_images": len(walls.judged),
        "groups": int(sizes.size),
        "effective_groups": float(effective_groups(sizes)) if sizes.size else 0.0,
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {"value": _finite(figure.value), "group_95": None if figure.interval is None else list(figure.interval)}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def text_of(figure: Mapping[str, Any], digits: int = 3) -> str:
    """A figure of a record with its interval."""
    if figure["value"] is None:
        return "-"
    ends = figure["group_95"]
    text = f"{figure['value']:.{digits}f}"
    return text if ends is None else f"{text} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"
