"""The progress bar of everything that may take more than a few seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm


def bar(
    steps: Iterable[Any] | None = None,
    title: str = "",
    total: int | None = None,
    unit: str = "step",
    progress: bool = True,
) -> tqdm[Any]:
    """A bar that appears after two seconds, on a terminal only, and leaves nothing behind.

    It goes through `steps`; without them it is a context that its update(n) moves on.  progress : False hides it.
    """
    from tqdm import tqdm  # here: commands that show none start faster

    return tqdm(steps, title, total, unit=unit, delay=2, leave=False, disable=None if progress else True)
