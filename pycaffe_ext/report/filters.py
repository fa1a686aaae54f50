"""The filters of the first convolution before and after training (the paper's question: what does tuning change?)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pycaffe_ext.plotting import SMALL, TITLE, WIDTH, page, picture, save


def first_filters(blobs: Mapping[str, Sequence[np.ndarray | None]]) -> tuple[str, np.ndarray] | None:
    """Name and weights (n, 3, k, k) float32 BGR of a net's first convolution; None if there is none on colours.

    blobs : learned blobs by layer name, in the order of the net (see `proto.read_blobs`)
    """
    for name, own in blobs.items():
        if own and own[0] is not None and own[0].ndim == 4 and own[0].shape[1] == 3:
            return name, own[0]
    return None


def tiles(weights: np.ndarray, reach: float, columns: int) -> np.ndarray:
    """Filters as one RGB picture (rows, columns, 3) float in 0..1, one pixel of white between them.

    weights : (n, 3, k, k) BGR.  0 is mid-grey; -reach is 0 and +reach is 1 of each colour.
    """
    count, _, size, _ = weights.shape
    shown = np.clip(0.5 + weights[:, ::-1].transpose(0, 2, 3, 1) / (2 * reach), 0, 1)
    rows = -(-count // columns)
    picture = np.ones((rows * (size + 1), columns * (size + 1), 3))
    for i, one in enumerate(shown):
        top, left = i // columns * (size + 1), i % columns * (size + 1)
        picture[top : top + size, left : left + size] = one
    return picture[:-1, :-1]


def relative_change(before: np.ndarray, after: np.ndarray) -> float:
    """Norm of what training changed, as a share of the norm before it."""
    return float(np.linalg.norm(after - before) / np.linalg.norm(before))


def filters_figure(
    path: Path, before: np.ndarray, after: np.ndarray, scratch: np.ndarray | None = None, title: str = ""
) -> None:
    """Write filters (n, 3, k, k) BGR as PNG: the donor's, after tuning, their difference, and those from scratch.

    Before and after are shown on one scale, which holds both, the difference on its own, which its title gives.
    """
    reach, change = float(max(np.abs(before).max(), np.abs(after).max())), after - before
    largest = float(np.abs(change).max())
    panels = [
        ("donor, before tuning", before, reach),
        ("after tuning", after, reach),
        (_change_title(before, after, reach, largest), change, largest or reach),
    ]
    if scratch is not None:
        panels.append(("trained from scratch, on its own scale", scratch, float(np.abs(scratch).max())))
    columns = columns_for(len(before))
    tall = (WIDTH / 2) * -(-len(before) // columns) / columns + 0.4
    figure, axes = page(2, 2, 2 * tall + 0.4, grid=False)
    for one in axes.flat:
        picture(one)
    for one, (name, weights, scale) in zip(axes.flat, panels, strict=False):
        one.imshow(tiles(weights, scale, columns), interpolation="nearest")
        one.set_title(name, fontsize=SMALL)
    figure.suptitle(title, fontsize=TITLE)
    save(figure, path)


def columns_for(count: int) -> int:
    """Columns that make a picture wider than tall and leave no hole, if there are such."""
    wanted = np.sqrt(1.5 * count)
    even = [n for n in range(1, count + 1) if count % n == 0 and 0.6 * wanted <= n <= 1.7 * wanted]
    return min(even, key=lambda n: abs(n - wanted), default=int(np.ceil(wanted)))


def _change_title(before: np.ndarray, after: np.ndarray, reach: float, largest: float) -> str:
    if not largest:
        return "after minus before: no difference"
    share, times = f"{100 * relative_change(before, after):.3g} %", reach / largest
    shown = f"magnified {times:.3g} times" if times > 1 else f"reduced {1 / times:.3g} times"
    return f"after minus before, {shown};\nits norm is {share} of the donor's"
