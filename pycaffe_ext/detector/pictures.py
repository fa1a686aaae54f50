"""Pictures of the detector: its curves, and what becomes of the edges of a frame on the way to candidates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pycaffe_ext import plotting
from pycaffe_ext.data.frames import Frame, read_frame, read_mask
from pycaffe_ext.detector.candidates import detect
from pycaffe_ext.detector.curves import MOST, Point
from pycaffe_ext.detector.edges import Edges, View, both_ways, find_edges
from pycaffe_ext.detector.field import view_of
from pycaffe_ext.detector.model import Model, first_stage
from pycaffe_ext.detector.oriented import describe
from pycaffe_ext.detector.voting import cast, radii

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

COLUMNS = ("frame and mask", "edges", "after stage 1", "after stage 2", "vote", "candidates")
SHOWN = 5  # candidates drawn
BRIGHT = 0.5  # of a vote


def draw_curves(points: Sequence[Point], path: Path) -> None:
    """Share of polyps hit against candidates per frame: by number with bars, and swept by threshold; a PNG."""
    figure, (left, right) = plotting.page(1, 2, height=3.9, sharey=True)
    names = list(dict.fromkeys((point.detector, point.part) for point in points))
    looks = plotting.styles([f"{detector}, {part}" for detector, part in names])
    for i, name in enumerate(names):
        own, label = [point for point in points if point[:2] == name], ", ".join(name)
        bars, line = ([point for point in own if point.sweep == sweep] for sweep in ("number", "threshold"))
        share = np.array([point.share for point in bars])
        error = np.array([(point.share - point.low, point.high - point.share) for point in bars]).T
        left.errorbar(
            [p.at + (i - len(names) / 2) * 0.08 for p in bars],
            share,
            error,
            label=label,
            lw=1.2,
            elinewidth=0.6,
            marker=looks[label].marker,
            ms=2.5,
            **looks[label].of_line(),
        )
        right.step(
            [p.candidates_per_frame for p in line],
            [p.share for p in line],
            where="post",
            lw=1.2,
            **looks[label].of_line(),
        )
    left.set(xlabel="first candidates of every frame", ylabel="share of polyps hit", xlim=(0, MOST + 1))
    left.set_ylim(np.floor(10 * min(point.low for point in points if point.sweep == "number")) / 10, 1.005)
    right.set(xlabel="candidates per frame on average, by score", xlim=(0, MOST))
    left.set_title("by number, with exact 95 % intervals", fontsize=plotting.SMALL)
    right.set_title("by one threshold for all frames", fontsize=plotting.SMALL)
    plotting.legend_below(figure, left, columns=3)
    plotting.save(figure, path)


def draw_stages(frames: Sequence[Frame], model: Model, path: Path) -> None:
    """A row for each frame: its edges, what passes each stage (the darker the more probable), vote, candidates."""
    figure, axes = plotting.page(len(frames), len(COLUMNS), height=1.05 * len(frames) + 0.3, grid=False, squeeze=False)
    for title, top in zip(COLUMNS, axes[0], strict=True):
        top.set_title(title, fontsize=plotting.SMALL)
    for frame, row in zip(frames, axes, strict=True):
        _row(frame, model, row)
    plotting.save(figure, path)


def _row(frame: Frame, model: Model, row: Sequence[Axes]) -> None:
    image = read_frame(frame)
    view, field = view_of(image, model.settings.working_side)
    rgb, edges = view.image[..., ::-1], find_edges(view, model.settings)
    grey = np.repeat(cv2.cvtColor(view.image, cv2.COLOR_BGR2GRAY)[..., None] // 4 + 190, 3, axis=2)
    voters = model.voters(view)
    passed = first_stage(edges, describe(view, edges), model.first)[0] if model.first else voters
    plotting.picture(row[0], rgb)
    mask = cv2.resize(field.of(read_mask(frame)).astype(np.uint8), view.scene.shape[1::-1])
    if mask.any():
        row[0].contour(mask, [0.5], colors="#56B4E9", linewidths=1)
    for axes, shown in zip(row[1:4], (both_ways(edges, np.tile(edges.weight, 2)), passed, voters), strict=True):
        plotting.picture(axes, grey)
        shown = shown.at(np.argsort(shown.weight))  # the two ways of a pixel lie upon each other: the stronger on top
        axes.scatter(shown.x, shown.y, c=shown.weight, cmap="Purples", vmin=0, vmax=0.8, s=0.5, lw=0)
    plotting.picture(row[4], _vote(view, voters, model))
    plotting.picture(row[5], rgb)
    scale, off = view.scene.shape[1] / (field.right - field.left), np.array([field.left, field.top, 0, 0, 0])
    for i, (x, y, w, h, _) in enumerate((detect(image, model)[:SHOWN] - off) * scale):
        row[5].add_patch(_box(x, y, w, h, "#F0E442" if i == 0 else "#ffffff"))


def _vote(view: View, voters: Edges, model: Model) -> np.ndarray:
    """The highest vote over all radii at every pixel, as a grey picture (H, W, 3) uint8; white is BRIGHT or more."""
    height, width = view.scene.shape
    best = np.zeros((height, width), np.float32)
    for radius in radii(view.scene, model.settings):
        votes, cell = cast(voters, view.scene, radius, model.settings)
        size = round(votes.shape[1] * cell), round(votes.shape[0] * cell)
        best = np.maximum(best, cv2.resize(votes.astype(np.float32), size)[:height, :width])
    return np.repeat((255 * np.minimum(best / BRIGHT, 1)).astype(np.uint8)[..., None], 3, axis=2)


def _box(x: float, y: float, w: float, h: float, colour: str) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), w, h, fill=False, edgecolor=colour, lw=1)
