"""The best and the worst test images of each class, chosen by rule from the probabilities of one net."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import classes
from pycaffe_ext.evaluation.metrics.by_class import Evaluation
from pycaffe_ext.files import write_csv
from pycaffe_ext.report.by_class.figures import BELOW, SIDE, Shot, extremes_figure, short
from pycaffe_ext.report.model import Figure, Section

if TYPE_CHECKING:
    from pycaffe_ext.runs.finished import RunFiles

SHOWN = 8  # classes; of more those with the lowest recalls
PIXELS = 400  # longer side of an image on the page
HEADER = ("class", "extreme", "image", "group", "predicted", "probability")
BEST, WORST = "most probable", "least probable"

Chosen = dict[int, tuple[list[int], list[int]]]  # class -> rows of its best and its worst images


def section(folder: Path, run: RunFiles, title: str, word: str) -> Section:
    """Draw extreme_images.png, write extreme_images.csv and show them."""
    evaluation: Evaluation = run.evaluation
    chosen = extremes(evaluation)
    write_csv(folder / "extreme_images.csv", HEADER, rows(evaluation, chosen))
    heading = f"Best and worst {word}s"
    try:
        pictures = _pictures(run, {evaluation.names[row] for own in chosen.values() for part in own for row in part})
    except UserError as error:
        return Section(heading, [f"No pictures: {error}. Which {word}s they are: extreme_images.csv."])
    shots = {
        evaluation.classes[kind]: (_shots(evaluation, best, pictures), _shots(evaluation, worst, pictures))
        for kind, (best, worst) in chosen.items()
    }
    extremes_figure(folder / "extreme_images.png", shots, title)
    caption = (
        f"Test {word}s to which the net gives the highest and the lowest probability of their true class. At most one"
        " of each group (video, patient); the number is that probability, the predicted class stands with it where it"
        f" is another. Of more than {SHOWN} classes those with the lowest recalls are shown. Names: extreme_images.csv."
    )
    return Section(heading, [Figure("extreme_images.png", caption, (extremes,))])


def extremes(evaluation: Evaluation) -> Chosen:
    """The best and the worst images of at most SHOWN classes, in the order of the classes.

    An image is not shown as both: of a class with few images there are fewer of the worst.
    """
    images = evaluation.images
    recalls = classes.recalls(images)
    there = [kind for kind in np.argsort(recalls, kind="stable").tolist() if np.isfinite(recalls[kind])]
    found: Chosen = {}
    for kind in sorted(there[:SHOWN]):
        best = classes.extremes(images, kind, SIDE, best=True, names=evaluation.names)
        worst = classes.extremes(images, kind, SIDE, best=False, names=evaluation.names)
        found[kind] = best, [row for row in worst if row not in best]
    return found


def rows(evaluation: Evaluation, chosen: Chosen) -> list[tuple[Any, ...]]:
    """Rows of extreme_images.csv (HEADER)."""
    images, names = evaluation.images, evaluation.classes
    return [
        (
            names[kind],
            extreme,
            evaluation.names[row],
            images.group[row],
            names[images.predicted[row]],
            repr(float(images.probability[row, kind])),
        )
        for kind, own in chosen.items()
        for extreme, part in zip((BEST, WORST), own, strict=True)
        for row in part
    ]


def _shots(evaluation: Evaluation, rows: Sequence[int], pictures: dict[str, NDArray[np.uint8]]) -> list[Shot]:
    return [_shot(evaluation, row, pictures) for row in rows]


def _shot(evaluation: Evaluation, row: int, pictures: dict[str, NDArray[np.uint8]]) -> Shot:
    images = evaluation.images
    label, predicted = int(images.label[row]), int(images.predicted[row])
    caption = f"{images.probability[row, label]:.3f}"
    if predicted != label:
        caption += f"\n{short(evaluation.classes[predicted], BELOW)}"
    return Shot(pictures[evaluation.names[row]], caption)


def _pictures(run: RunFiles, names: set[str]) -> dict[str, NDArray[np.uint8]]:
    """name -> picture, not larger than PIXELS; UserError if an item is gone or can't be read."""
    items = run.application.items(run.settings.request, run.packed.found.parent.parent).items
    by_name = {item.name: item for item in items if item.name in names}
    if gone := sorted(names - set(by_name)):
        raise UserError(f"{gone[0]} is no longer in the data set")
    return {name: _small(run.application.show(item)) for name, item in by_name.items()}


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = PIXELS / max(image.shape[:2])
    if scale >= 1:
        return image
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
