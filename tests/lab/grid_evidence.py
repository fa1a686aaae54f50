"""Evidence of grids made by hand: values by scheme and fraction, one for each seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.findings.model import Evidence, Merit, Scheme

AUC = Merit("AUC", "AUC", 1.0, (0.0, 1.0), True, 0.02)
MM = Merit("error in mm", "mm", 0.0, None, False, 0.02)
SHALLOW, MIDDLE, DEEP, SCRATCH = (
    Scheme("ft-fc8", 1),
    Scheme("ft-conv4", 5),
    Scheme("ft-conv1", 8, deep=True),
    Scheme("scratch", None),
)
SCHEMES = (SHALLOW, MIDDLE, DEEP, SCRATCH)


def evidence(
    values: Mapping[str, Mapping[str, Sequence[float]]],
    case_sd: float = 0.0,
    groups: int = 100,
    merit: Merit = AUC,
    application: str = "polyp",
    covariance: np.ndarray | None = None,
) -> Evidence:
    """values : scheme -> fraction -> figure of each seed, nan where a run is not finished.

    case_sd : of every column, the errors of which are independent and shared by all seeds; covariance instead
    """
    schemes = tuple(one for one in SCHEMES if one.name in values)
    fractions = tuple(next(iter(values.values())))
    table = np.array([values[one.name][fraction] for one in schemes for fraction in fractions], np.float64).T
    seeds, columns = table.shape
    if covariance is None:
        covariance = np.broadcast_to((case_sd**2 * np.eye(columns))[None, :, None, :], (seeds, columns, seeds, columns))
    return Evidence(
        application,
        "alexnet",
        f"{application}, alexnet",
        application,
        merit,
        schemes,
        fractions,
        tuple(float("nan") for _ in fractions),
        Figure(table, covariance, groups),
    )


def drawn(
    means: Mapping[str, Mapping[str, float]], seeds: int = 5, training: float = 0.003, seed: int = 0, **options
) -> Evidence:
    """Evidence around these means."""
    rng = np.random.default_rng(seed)
    values = {
        scheme: {fraction: (mean + training * rng.normal(size=seeds)).tolist() for fraction, mean in own.items()}
        for scheme, own in means.items()
    }
    return evidence(values, **options)


def without(own: Evidence, scheme: str, fraction: str, seeds: Sequence[int] | None = None) -> Evidence:
    """The same with a run not finished, with these seeds or all."""
    values = own.figure.values.copy()
    values[list(range(own.seeds)) if seeds is None else list(seeds), own.column(scheme, fraction)] = np.nan
    return replace(own, figure=replace(own.figure, values=values))
