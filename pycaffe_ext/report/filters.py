"""The filters of the first convolution before and after training (the paper's question: what does tuning change?)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pycaffe_ext.filters import columns_for, tiles
from pycaffe_ext.plotting import SMALL, TITLE, WIDTH, page, picture, save


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


def _change_title(before: np.ndarray, after: np.ndarray, reach: float, largest: float) -> str:
    if not largest:
        return "after minus before: no difference"
    share, times = f"{100 * relative_change(before, after):.3g} %", reach / largest
    shown = f"magnified {times:.3g} times" if times > 1 else f"reduced {1 / times:.3g} times"
    return f"after minus before, {shown};\nits norm is {share} of the donor's"
