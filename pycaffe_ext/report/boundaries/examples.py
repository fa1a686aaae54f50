"""The test images whose thickness is measured best and worst by one net, with both curves drawn, chosen by rule."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.walls import Walls
from pycaffe_ext.files import write_csv
from pycaffe_ext.report.boundaries.figures import Shot, walls_figure
from pycaffe_ext.report.boundaries.material import Material
from pycaffe_ext.report.model import Figure, Section

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import RunFiles

SIDE = 3  # images of each kind
AROUND = 1.5  # mm of the image that are shown above and below the curves
KINDS = ("best", "worst")
HEADER = ("extreme", "image", "group", "true_thickness_mm", "thickness_mm", "error_mm")


def section(folder: Path, material: Material) -> Section:
    """Draw extreme_images.png, write extreme_images.csv and show them."""
    run = material.deepest
    walls: Walls = run.evaluation.network
    chosen = extremes(walls)
    write_csv(folder / "extreme_images.csv", HEADER, _rows(walls, chosen))
    heading = "Best and worst images"
    try:
        items = _items(run, {walls.names[walls.judged[row]] for rows in chosen.values() for row in rows})
    except UserError as error:
        return Section(heading, [f"No pictures: {error}. Which images they are: extreme_images.csv."])
    shots = {kind: [_shot(walls, row, items) for row in rows] for kind, rows in chosen.items()}
    walls_figure(folder / "extreme_images.png", shots, f"{material.study.name(run)}, {material.title}")
    caption = (
        "Test images with the smallest and the largest error of the thickness, at most one of each group (patient)."
        " Both boundaries as drawn and as found; the numbers are the thicknesses found and drawn in mm. Names:"
        " extreme_images.csv."
    )
    return Section(heading, [Figure("extreme_images.png", caption, (extremes,))])


def extremes(walls: Walls) -> dict[str, list[int]]:
    """kind -> rows of `walls.judged`: the SIDE smallest errors and the SIDE largest, one of a group each; an image is
    not shown as both."""
    order = np.lexsort((np.array(walls.names)[walls.judged], walls.absolute)).tolist()
    best = _one_of_each(walls, order)
    return {"best": best, "worst": [row for row in _one_of_each(walls, order[::-1]) if row not in best]}


def _one_of_each(walls: Walls, order: list[int]) -> list[int]:
    found: dict[Any, int] = {}
    for row in order:
        found.setdefault(walls.judged_group[row], row)
    return list(found.values())[:SIDE]


def _rows(walls: Walls, chosen: dict[str, list[int]]) -> list[tuple[Any, ...]]:
    found, true = walls.thickness
    return [
        (
            kind,
            walls.names[walls.judged[row]],
            walls.judged_group[row],
            repr(float(true[row])),
            repr(float(found[row])),
            repr(float(found[row] - true[row])),
        )
        for kind, rows in chosen.items()
        for row in rows
    ]


def _items(run: RunFiles, names: set[str]) -> dict[str, Any]:
    """name -> item; UserError if one is gone or can't be read."""
    items = run.application.items(run.settings.request, run.packed.found.parent.parent).items
    by_name = {item.name: item for item in items if item.name in names}
    if gone := sorted(names - set(by_name)):
        raise UserError(f"{gone[0]} is no longer in the data set")
    return by_name


def _shot(walls: Walls, row: int, items: dict[str, Any]) -> Shot:
    """The part of the image around the curves."""
    image, mm = walls.judged[row], float(walls.mm[walls.judged[row]])
    columns, whole = walls.columns(image), items[walls.names[image]].picture()
    x, true, found = walls.x[columns], walls.true[columns], walls.found[columns]
    around = AROUND / mm
    every = np.concatenate([true[np.isfinite(true)], found.ravel()])
    top, bottom = (int(np.clip(edge, 0, whole.shape[0])) for edge in (every.min() - around, every.max() + around))
    left, right = (int(np.clip(edge, 0, whole.shape[1])) for edge in (x.min() - around, x.max() + around))
    thickness = [float(values[row]) for values in walls.thickness]
    caption = f"{thickness[0]:.2f} found, {thickness[1]:.2f} drawn"
    return Shot(whole[top:bottom, left:right], x - left, true - top, found - top, caption)
