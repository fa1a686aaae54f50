"""Settings of the hand-crafted shape detector, in one frozen record."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from pycaffe_ext.errors import UserError

WHOLE = (
    "working_side",
    "radii",
    "max_candidates",
    "trees",
    "depth",
    "leaf",
    "train_frames",
    "context_frames",
    "samples",
)


@dataclass(frozen=True)
class Detector:
    """Settings of the shape detector; lengths are shares of the visible field's longest side unless they say otherwise.

    How the defaults came about: working_side, sigma, smallest, largest, radii, contrast and shrink were chosen for what
    they reach on all of these together: the tuning part of Kvasir-SEG (`splits.tuning_items`, on which nothing is
    tested), 25 frames of CVC-ClinicDB and synthetic worlds of small, flat and many polyps. The others (colour,
    edge_floor, spread, unseen, tolerance, overlap, apart, those of the forests) date from before that part was set
    aside: they were chosen on frames of all of Kvasir-SEG. Raises UserError for a value out of its range.
    """

    working_side: int = 320  # pixels: the field is resized so that its longest side is this long
    smallest: float = 0.012  # radius of the smallest polyp looked for
    largest: float = 0.36  # and of the largest
    radii: int = 12  # number of radii between them, in geometric steps
    sigma: float = 0.006  # scale of the edges (Gaussian before the gradient)
    colour: float = 1.3  # worth of a step in redness (Lab a) beside one in lightness (Lab L)
    edge_floor: float = 0.48  # least edge strength relative to the surroundings, 0..1
    spread: float = 0.25  # smear of a vote, as a share of the radius it is cast at
    dark: float = 0.5  # untrained: worth of a vote to the darker side of an edge (polyps are bright, the lumen is not)
    unseen: float = 0.05  # vote counted, 0..1, for a side that lies outside the scene
    tolerance: float = 0.4  # radians: how far a voter's normal may miss the centre when the box is drawn
    contrast: float = 0.7  # power of the factor (lightness inside / around) in the score
    shrink: float = 0.25  # power of the factor (1 / radius): large circles gather votes by chance
    vote_floor: float = 0.05  # least vote of a maximum, 0..1
    overlap: float = 0.3  # greatest intersection over union of two candidates
    apart: float = 0.5  # least distance of two centres, as a share of the mean half side of their boxes
    max_candidates: int = 10
    trees: int = 30  # of a forest
    depth: int = 14  # of a tree
    leaf: int = 8  # least samples at a leaf
    share: float = 0.3  # of the samples, drawn for each tree
    train_frames: int = 480  # the first stage's, at most, drawn from all training frames
    context_frames: int = 240  # of these, the second stage's
    samples: int = 48000  # edge pixels that a stage learns from, at most; 200 of a frame
    floor: float = 0.05  # least probability of a polyp's boundary with which an edge pixel votes

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value < 0:
                raise UserError(f"detector: {field.name} is {value}; it must be a finite number, not negative")
        for name in WHOLE:
            if getattr(self, name) != int(getattr(self, name)) or getattr(self, name) < 1:
                raise UserError(f"detector: {name} is {getattr(self, name)}; it must be a whole number from 1")
        if self.share > 1:
            raise UserError(f"detector: share is {self.share}; it must be at most 1")
        if self.working_side < 64:
            raise UserError(f"detector: working_side is {self.working_side}; it must be at least 64 pixels")
        for name in ("smallest", "sigma", "spread", "tolerance", "share"):
            if getattr(self, name) <= 0:
                raise UserError(f"detector: {name} is {getattr(self, name)}; it must be above 0")
        if not self.smallest <= self.largest <= 1:
            raise UserError(
                f"detector: radii from {self.smallest} to {self.largest}; allowed is 0 < smallest <= largest <= 1"
            )


def untrained(settings: Detector) -> Detector:
    """Those settings as they suit votes by the strength of the edges alone."""
    return replace(settings, unseen=0.1, shrink=0.1)


UNTRAINED = untrained(Detector())
