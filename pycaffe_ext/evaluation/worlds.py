"""Worlds of known truth: what the scores of two methods look like, and what their figures are in the population.

A world has videos with lesions and videos without.  Scores are normal: within a video with standard deviation 1, and
each video shifts its lesions and its false candidates by an amount each.  So the score of a lesion, over all videos, is
normal too, and sensitivity at a threshold, threshold at a false-positive rate and AUC have closed forms.  How long a
video is and how many false candidates it has do not depend on the shifts, so the same forms hold however unequal
videos are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np

from pycaffe_ext.evaluation import froc

NODES = 60  # of each quadrature


@dataclass(frozen=True)
class World:
    """Two methods tested on the same frames.

    videos, clean : videos with and without lesions, of `frames` frames each; each frame of the first has `lesions`
    false : false candidates in each frame        rate : false positives per frame at which sensitivity is taken
    sensitivity : of either method, in the population, at that rate
    spread, false_spread : standard deviation between videos of the scores of lesions and of false candidates
    shared : correlation of the two methods' scores of one candidate, within and between videos
    uneven : standard deviation of the logarithm of a video's length; 0 = all have `frames` frames, else on average
    swarm : variance between videos of the number of false candidates per frame, in units of its squared mean: a gamma
        distribution, and Poisson's within a video; 0 = `false` in every frame
    """

    videos: int
    clean: int = 0
    frames: int = 10
    false: int = 4
    rate: float = 1.0
    sensitivity: tuple[float, float] = (0.8, 0.8)
    spread: float = 0.7
    false_spread: float = 0.5
    shared: float = 0.5
    lesions: int = 1
    uneven: float = 0.0
    swarm: float = 0.0

    @property
    def threshold(self) -> float:
        """Above it lie `rate` false positives per frame."""
        return float(self._threshold_at(self.rate))

    def _threshold_at(self, rate: float | np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        part = np.clip(np.asarray(rate, np.float64) / self.false, 0, 1)
        return np.asarray(sqrt(1 + self.false_spread**2) * ndtri(1 - part))

    def reached(self, threshold: float) -> tuple[float, float]:
        """Sensitivity of the first method and false positives per frame at a threshold."""
        from scipy.special import ndtr

        above = ndtr((self.shift[0] - threshold) / sqrt(1 + self.spread**2))
        return float(above), float(self.false * ndtr(-threshold / sqrt(1 + self.false_spread**2)))

    @property
    def shift(self) -> np.ndarray:
        """(2,) mean score of a lesion, of a false candidate: 0."""
        from scipy.special import ndtri

        return np.asarray(self.threshold + sqrt(1 + self.spread**2) * ndtri(np.array(self.sensitivity)))

    @property
    def auc(self) -> np.ndarray:
        """(2,) chance that a lesion scores above a false candidate of another video."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self.shift / sqrt(2 + self.spread**2 + self.false_spread**2)))

    def sensitivities(self, rates: Sequence[float] | np.ndarray) -> np.ndarray:
        """(rates, 2) sensitivities at false-positive rates; 1 from `false` false positives per frame on."""
        from scipy.special import ndtr

        threshold = self._threshold_at(np.asarray(rates, np.float64))[:, None]
        return np.asarray(ndtr((self.shift - threshold) / sqrt(1 + self.spread**2)))

    def area(self, rate: float) -> np.ndarray:
        """(2,) mean sensitivity over the false-positive rates from 0 to `rate`."""
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        # rates as squares: the curve is steep near 0, and smooth over the root of the rate
        root = (nodes + 1) / 2
        return np.asarray((weights * root) @ self.sensitivities(rate * root**2))

    @property
    def afroc(self) -> np.ndarray:
        """(2,) chance that a lesion scores above the best false candidate of a frame without lesions."""
        from scipy.special import ndtr

        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        weights = weights / weights.sum()
        lesion = self.shift[:, None, None] + sqrt(1 + self.spread**2) * nodes[:, None]
        below = ndtr(lesion - self.false_spread * nodes)  # (2, lesion, video) of one false candidate
        # E[below ** count], with swarms of a count that is Poisson with a gamma-distributed mean
        swarms = self.swarm and (1 + self.false * self.swarm * (1 - below)) ** (-1 / self.swarm)
        return np.asarray((swarms if self.swarm else below**self.false) @ weights @ weights)


class Sample(NamedTuple):
    """cases : of either method        group : (frames,) video        label : (candidates,) 1 = lesion"""

    cases: tuple[froc.Cases, froc.Cases]
    group: np.ndarray
    label: np.ndarray

    @property
    def candidate_group(self) -> np.ndarray:
        return np.asarray(self.group[self.cases[0].frame])


def draw(world: World, rng: np.random.Generator) -> Sample:
    """One test set of a world."""
    size = lengths(world.videos + world.clean, world.frames, world.uneven, rng)
    group = np.repeat(np.arange(world.videos + world.clean), size)
    lesions = world.lesions * (group < world.videos).astype(np.int64)
    false = false_counts(world.false, world.swarm, group, rng)
    frame = np.r_[np.repeat(np.arange(group.size), lesions), np.repeat(np.arange(group.size), false)]
    label = (np.arange(frame.size) < lesions.sum()).astype(np.int64)
    number = np.where(label, np.arange(frame.size) % world.lesions + 1, 0)
    spread = np.where(label, world.spread, world.false_spread)
    common, *alone = (_scores(rng, group[frame], label, spread) for _ in range(3))  # shared by both, and of either
    first, second = (
        froc.Cases(frame, sqrt(world.shared) * common + sqrt(1 - world.shared) * part + shift * label, number, lesions)
        for part, shift in zip(alone, world.shift, strict=True)
    )
    return Sample((first, second), group, label)


def lengths(groups: int, frames: int, uneven: float, rng: np.random.Generator) -> np.ndarray:
    """(groups,) frames of each: `frames`, on average if they are uneven.  uneven : as of a `World`"""
    if not uneven:
        return np.full(groups, frames, np.int64)
    factor = rng.lognormal(-(uneven**2) / 2, uneven, groups)
    return np.asarray(np.maximum(np.round(frames * factor), 1), np.int64)


def false_counts(false: int, swarm: float, group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(frames,) false candidates of each.  group : (frames,) from 0        false, swarm : as of a `World`"""
    if not swarm:
        return np.full(group.size, false, np.int64)
    factor = rng.gamma(1 / swarm, swarm, int(group.max()) + 1)
    return np.asarray(rng.poisson(false * factor[group]), np.int64)


def _scores(rng: np.random.Generator, video: np.ndarray, label: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Scores of candidates about 0: the video's shift, one for lesions and one for false ones, and their spread."""
    between = rng.normal(size=(2, video.max() + 1))
    return np.asarray(spread * between[label, video] + rng.normal(size=video.size))


def _independent(frames: int, sensitivity: float) -> World:
    return World(frames, frames=1, spread=0, false_spread=0, sensitivity=(sensitivity, sensitivity))


WORLDS = {
    "400 pictures without groups": _independent(400, 0.8),
    "40 pictures without groups, sensitivity 0.95": _independent(40, 0.95),
    "20 videos with lesions, 20 without": World(20, 20),
    "20 + 20 videos, sensitivity 0.95": World(20, 20, sensitivity=(0.95, 0.95)),
    "20 + 20 videos, methods that share nothing": World(20, 20, shared=0.0),
    "20 + 20 videos, three lesions a frame": World(20, 20, lesions=3),
    "20 + 20 unequal videos": World(20, 20, uneven=1.0),
    "20 + 20 videos, swarms of false positives": World(20, 20, swarm=1.0),
    "20 + 20 unequal videos with swarms": World(20, 20, uneven=1.0, swarm=1.0),
    "60 + 60 short videos": World(60, 60, frames=4),
    "10 + 10 unequal videos with swarms": World(10, 10, uneven=1.0, swarm=1.0),
    "5 + 5 videos": World(5, 5),
    "12 videos, 60 clean ones": World(12, 60, frames=5),
    "20 + 20 videos, nearly all found": World(20, 20, frames=3, sensitivity=(0.99, 0.99)),
    "20 + 20 videos, sensitivities 0.85 and 0.70": World(20, 20, sensitivity=(0.85, 0.7)),
    "20 + 20 unequal videos with swarms, sensitivities 0.85 and 0.70": World(
        20, 20, uneven=1.0, swarm=1.0, sensitivity=(0.85, 0.7)
    ),
}
