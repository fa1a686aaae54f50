"""Falls of known truth: means over groups whose effects vary, of nets whose trainings do, here and elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pycaffe_ext.evaluation.contrasts import Figure
from pycaffe_ext.evaluation.falls import Fall, fall

INSIDE = 0.7  # the true figure here


@dataclass(frozen=True)
class FallWorld:
    """seeds : trainings, each tested on another half of `inside` groups and on all of `outside` groups.
    spread, far : standard deviation of a group's effect here and there.   luck, there : of a training, in both tests
    (half of it on the other data set), and there alone.   fall : the true one
    """

    seeds: int = 3
    inside: int = 40
    outside: int = 8
    spread: float = 0.05
    far: float = 0.08
    luck: float = 0.02
    there: float = 0.01
    fall: float = 0.1


def draw(world: FallWorld, rng: np.random.Generator) -> Fall:
    """The fall that one study finds."""
    own, other = rng.normal(0, world.spread, world.inside), rng.normal(0, world.far, world.outside)
    luck, there = rng.normal(0, world.luck, world.seeds), rng.normal(0, world.there, world.seeds)
    half = world.inside // 2
    influence = np.zeros((world.inside, world.seeds))
    values = np.empty(world.seeds)
    for seed in range(world.seeds):
        chosen = rng.permutation(world.inside)[:half]
        values[seed] = INSIDE + luck[seed] + own[chosen].mean()
        influence[chosen, seed] = (own[chosen] - own[chosen].mean()) / half
    here = _figure(values, influence.T @ influence * half / (half - 1), half)
    variance = other.var(ddof=1) / world.outside
    seen = INSIDE - world.fall + luck / 2 + there + other.mean()
    away = _figure(seen, np.full((world.seeds, world.seeds), variance), world.outside)
    return fall(here, away, 0, half / world.inside)


def _figure(values: np.ndarray, covariance: np.ndarray, groups: int) -> Figure:
    """Of one scheme."""
    return Figure(values[:, None], covariance[:, None, :, None], groups)


def repetition(world: FallWorld, seed: int, number: int) -> dict[str, bool]:
    """Whether the study of that number covers the true fall: "fall" by its interval, "internal" by one as wide as that
    of the internal test alone."""
    found = draw(world, np.random.default_rng([seed, number]))
    low, high, inside = found.low, found.high, found.internal
    if low is None or high is None or inside.low is None or inside.high is None:
        return {"fall": False, "internal": False}
    reach = (inside.high - inside.low) / 2
    return {"fall": low <= world.fall <= high, "internal": abs(found.value - world.fall) <= reach}


MEANINGS = {
    "fall": "the interval of the fall holds the true fall",
    "internal": "one as wide as the internal interval holds it",
}
WORLDS = {
    "3 seeds, 20 of 40 groups here, 8 groups there": FallWorld(),
    "3 seeds, 20 of 40 groups here, 30 groups there": FallWorld(outside=30),
    "5 seeds, 12 of 24 groups here, 30 groups there": FallWorld(seeds=5, inside=24, outside=30),
    "5 seeds of lucky trainings, 20 of 40 groups here, 8 groups there": FallWorld(seeds=5, luck=0.05, there=0.05),
    "10 seeds, 100 of 200 groups here, 100 groups there, no fall": FallWorld(10, 200, 100, fall=0.0),
    "1 seed, trainings without luck, 20 of 40 groups here, 12 there": FallWorld(1, outside=12, luck=0.0, there=0.0),
}
