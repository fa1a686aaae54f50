"""Pictures of what the nets see: candidates in their frames, the views of one candidate, the best and the worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycaffe_ext.data.patches import ORIENTATIONS, SCALES, SHIFTS, VIEWS, View, crop_box, cut
from pycaffe_ext.plotting import BLACK, COLOURS, DPI, SMALL, TITLE, WIDTH, empty_page, page, picture, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pycaffe_ext.applications.detecting import Sheet, Sight

HIT, FALSE = COLOURS[0], COLOURS[1]
SHIFT_NAMES = {(0.0, 0.0): "centre", (-0.1, 0.0): "left", (0.1, 0.0): "right", (0.0, -0.1): "up", (0.0, 0.1): "down"}
CONTEXT = 2.2  # side of a close-up, in longer sides of the box
GAP = 3  # pixels between the patches of a mosaic


@dataclass(frozen=True)
class Scene:
    """A frame with candidates: image (H, W, 3) uint8 BGR, mask (H, W) bool, boxes (n, 4) x, y, width, height in pixels,
    score (n,) of the net, hit (n,) bool, best first, and their numbers from 1; and what is written above it."""

    image: np.ndarray
    mask: np.ndarray
    boxes: np.ndarray
    score: np.ndarray
    hit: np.ndarray
    number: np.ndarray
    title: str


def candidates_figure(
    path: Path, scenes: Sequence[Scene], title: str = "", columns: int = 3, target: str = "polyp"
) -> None:
    """Write test items as PNG: outline of the mask, numbered boxes of candidates, their scores under the picture."""
    rows = -(-len(scenes) // columns)
    tallest = max(scene.image.shape[0] / scene.image.shape[1] for scene in scenes)
    figure, panels = page(rows, columns, rows * (tallest * WIDTH / columns + 0.68) + 0.5, grid=False, squeeze=False)
    for axes in panels.flat:
        picture(axes)
    for axes, scene in zip(panels.flat, scenes, strict=False):
        picture(axes, scene.image[:, :, ::-1])
        _outline(axes, scene.mask)
        # the best is drawn last: it must not lie under the others
        for number in reversed(range(len(scene.boxes))):
            _box(axes, scene.boxes[number], scene.hit[number], str(scene.number[number]))
        axes.set_title(scene.title, fontsize=SMALL)
        axes.set_xlabel(_scores(scene), fontsize=SMALL - 1.5)
    _key(figure, target)
    figure.suptitle(title, fontsize=TITLE)
    save(figure, path)


def views_figure(
    path: Path, image: np.ndarray, mask: np.ndarray, box: Sequence[float] | np.ndarray, title: str = ""
) -> None:
    """Write all patches of one candidate as PNG: 3 scales x 5 shifts from left to right, 8 orientations downwards.

    image : (H, W, 3) uint8 BGR.  mask : (H, W) bool.  box : x, y, width, height in pixels.
    """
    figure = empty_page(6.7)
    parts = figure.subplot_mosaic([["frame", "near"], ["views", "views"]], height_ratios=(1, 1.75))
    left, top, right, bottom = surroundings(box, image.shape[:2])
    picture(parts["frame"], image[:, :, ::-1])
    picture(parts["near"], image[top:bottom, left:right, ::-1])
    _outline(parts["frame"], mask)
    _outline(parts["near"], mask[top:bottom, left:right])
    _box(parts["frame"], box, True)
    _view_boxes(parts["near"], box, image.shape[:2], (left, top))
    parts["near"].legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        title="patches (dotted: moved by 10 %)",
        ncols=3,
        fontsize=SMALL,
    )
    parts["frame"].set_title(title, fontsize=SMALL)
    below = parts["views"]
    side = int(WIDTH * DPI / len(SCALES) / len(SHIFTS))
    picture(below, mosaic(cut(image, box, VIEWS, side)))
    step, scales = side + GAP, len(SHIFTS) * (side + GAP) + 2 * GAP
    centres = [i * scales + j * step + side / 2 for i in range(len(SCALES)) for j in range(len(SHIFTS))]
    below.set_xticks(centres, [SHIFT_NAMES[shift] for shift in SHIFTS] * len(SCALES), rotation=90, fontsize=SMALL - 1)
    turns = [f"{'mirrored, ' * (i >= 4)}{90 * (i % 4)}°" for i in range(ORIENTATIONS)]
    below.set_yticks([i * step + side / 2 for i in range(ORIENTATIONS)], turns, fontsize=SMALL - 1)
    below.tick_params(length=0)
    for i, scale in enumerate(SCALES):
        below.text(i * scales + 2.5 * step, -8, f"box x {scale:g}", ha="center", va="bottom", fontsize=SMALL)
    save(figure, path)


def _view_boxes(axes: Axes, box: Sequence[float], frame: tuple[int, int], origin: tuple[int, int]) -> None:
    """What the patches show, clipped to the frame as they are; origin: left and top of the picture in the frame."""
    from matplotlib.patches import Rectangle

    for scale, colour in zip(SCALES, COLOURS, strict=False):
        for dx, dy in reversed(SHIFTS):
            left, top, right, bottom = crop_box(box, View(scale, dx, dy, 0), frame)
            centre = (dx, dy) == SHIFTS[0]
            own = {"lw": 1.8, "label": f"box x {scale:g}"} if centre else {"lw": 0.8, "ls": ":"}
            corner = left - origin[0], top - origin[1]
            axes.add_patch(Rectangle(corner, right - left, bottom - top, fill=False, ec=colour, **own))


def sheet_figure(path: Path, sight: Sight, sheet: Sheet, title: str = "") -> None:
    """Write all patches of one candidate as PNG: its picture, the channels of the plain patches, then the patches in
    rows and columns, as the net has them: three channels."""
    figure = empty_page(7.4)
    parts = figure.subplot_mosaic(
        [["item", "near"], ["planes", "planes"], ["views", "views"]], height_ratios=(1.15, 0.42, 1.5)
    )
    left, top, right, bottom = surroundings(sight.boxes[0], sight.image.shape[:2])
    picture(parts["item"], sight.image[:, :, ::-1])
    picture(parts["near"], sight.image[top:bottom, left:right, ::-1])
    _outline(parts["item"], sight.mask)
    _outline(parts["near"], sight.mask[top:bottom, left:right])
    for name, corner in (("item", (0, 0)), ("near", (left, top))):
        _box(parts[name], sight.boxes[0] - [*corner, 0, 0], True)
    parts["item"].set_title(title, fontsize=SMALL)
    channels = [np.repeat(plane[None], 3, axis=0) for _, plane in sheet.planes]
    _tiles(parts["planes"], np.stack(channels)[None], [""], [f"{name}".replace(", ", "\n") for name, _ in sheet.planes])
    _tiles(parts["views"], sheet.patches, sheet.rows, sheet.columns, sheet.blocks)
    save(figure, path)


def _tiles(
    axes: Axes,
    patches: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    blocks: Sequence[str] = (),
) -> None:
    """Draw (rows, columns, 3, S, S) BGR patches beside each other, with names; `blocks` of equal width stand above."""
    side = patches.shape[-1]
    padded = np.pad(patches[:, :, ::-1], ((0, 0), (0, 0), (0, 0), (0, GAP), (0, GAP)), constant_values=255)
    step = side + GAP
    picture(axes, padded.transpose(0, 3, 1, 4, 2).reshape(len(rows) * step, len(columns) * step, 3))
    axes.set_xticks([i * step + side / 2 for i in range(len(columns))], columns, fontsize=SMALL - 1.5)
    axes.set_yticks([i * step + side / 2 for i in range(len(rows))], rows, fontsize=SMALL - 1)
    axes.tick_params(length=0)
    wide = len(columns) * step / max(len(blocks), 1)
    for i, name in enumerate(blocks):
        axes.text((i + 0.5) * wide, -side / 12, name, ha="center", va="bottom", fontsize=SMALL)


def mosaic(patches: np.ndarray) -> np.ndarray:
    """Patches (120, 3, S, S) BGR in the order of VIEWS as one RGB picture: a column for each scale and shift."""
    count, side = len(SCALES) * len(SHIFTS), patches.shape[-1]
    grid = patches.reshape(count, ORIENTATIONS, 3, side, side)[:, :, ::-1].transpose(1, 0, 3, 4, 2)
    padded = np.pad(grid, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    rows = padded.transpose(0, 2, 1, 3, 4).reshape(ORIENTATIONS * (side + GAP), count * (side + GAP), 3)
    blocks = np.split(rows, len(SCALES), axis=1)
    white = np.full((rows.shape[0], 2 * GAP, 3), 255, np.uint8)
    return np.concatenate([part for block in blocks for part in (block, white)][:-1], axis=1)


@dataclass(frozen=True)
class CloseUp:
    """A candidate in its frame: image (H, W, 3) uint8 BGR, mask (H, W) bool, box, whether it hits, what to write."""

    image: np.ndarray
    mask: np.ndarray
    box: np.ndarray
    hit: bool
    caption: str


def close_ups_figure(path: Path, rows: Mapping[str, Sequence[CloseUp]], title: str = "", target: str = "polyp") -> None:
    """Write candidates with their surroundings as PNG, a row for each kind, with box and outline of the mask."""
    columns = max(map(len, rows.values()))
    figure, panels = page(len(rows), columns, len(rows) * (WIDTH / columns + 0.32) + 0.6, grid=False, squeeze=False)
    for (kind, shown), line in zip(rows.items(), panels, strict=True):
        for axes in line:
            picture(axes)
        for axes, one in zip(line, shown, strict=False):
            left, top, right, bottom = surroundings(one.box, one.image.shape[:2])
            picture(axes, one.image[top:bottom, left:right, ::-1])
            _outline(axes, one.mask[top:bottom, left:right])
            _box(axes, one.box - [left, top, 0, 0], one.hit)
            axes.set_xlabel(one.caption, fontsize=SMALL - 1)
        line[0].set_title(kind, fontsize=SMALL + 1, loc="left")
    _key(figure, target)
    figure.suptitle(title, fontsize=TITLE)
    save(figure, path)


def surroundings(box: Sequence[float], frame: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a square around a box, moved into `frame` (H, W); where it does not fit, a part of it
    that holds the box."""
    x, y, width, height = (float(value) for value in box)
    side = int(np.ceil(CONTEXT * max(width, height)))
    tall, wide = (min(side, limit) for limit in frame)
    left = int(np.clip(x + width / 2 - wide / 2, 0, frame[1] - wide))
    top = int(np.clip(y + height / 2 - tall / 2, 0, frame[0] - tall))
    return left, top, left + wide, top + tall


def _outline(axes: Axes, mask: np.ndarray) -> None:
    """The edge of a mask, white on black, so that it is seen on any frame."""
    if mask.any() and not mask.all():
        for colour, width in ((BLACK, 2.4), ("white", 1.1)):
            axes.contour(mask, [0.5], colors=colour, linewidths=width)


def _box(axes: Axes, box: Sequence[float], hit: bool, number: str = "") -> None:
    from matplotlib.patches import Rectangle

    colour, line = (HIT, "-") if hit else (FALSE, "--")
    x, y, width, height = box
    axes.add_patch(Rectangle((x, y), width, height, fill=False, ec="white", lw=2.6, alpha=0.8))
    axes.add_patch(Rectangle((x, y), width, height, fill=False, ec=colour, lw=1.6, ls=line))
    if number:
        axes.text(
            x,
            y,
            number,
            color="white",
            fontsize=SMALL - 1.5,
            va="top",
            ha="left",
            clip_on=True,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 1},
        )


def _scores(scene: Scene) -> str:
    said = [
        f"{number}: {score:.2f}{' hit' * bool(hit)}"
        for number, score, hit in zip(scene.number, scene.score, scene.hit, strict=True)
    ]
    half = -(-len(said) // 2)
    return "\n".join("   ".join(part) for part in (said[:half], said[half:]) if part) or "no candidate"


def _key(figure: object, target: str) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=HIT, lw=1.8, label=f"candidate that hits a {target}"),
        Line2D([], [], color=FALSE, lw=1.8, ls="--", label="false positive"),
        Line2D([], [], color="white", lw=1.4, label="ground truth", path_effects=_black_edge()),
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=3, fontsize=SMALL)


def _black_edge() -> list:
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=3, foreground=BLACK), Normal()]
