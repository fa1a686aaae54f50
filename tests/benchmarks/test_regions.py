"""Patches and regions side by side: they take turns, must agree, and are told a place."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import regions
from pycaffe_ext.errors import UserError


def ways(order: list[str], away: float = 0.0) -> dict[str, regions.Way]:
    def way(name: str, shift: float) -> regions.Way:
        def run() -> np.ndarray:
            order.append(name)
            return np.full((4, 3), 1 / 3) + shift

        return run

    return {regions.PATCHES: way("patches", 0.0), regions.REGIONS: way("regions", away)}


def test_both_ways_take_turns_and_must_agree():
    order: list[str] = []
    found = regions.measure(ways(order), 3)
    assert order == ["patches", "regions"] * 3 and found.places == 4
    assert [len(seconds) for seconds in found.taken.values()] == [3, 3]
    for away in (2e-4, np.nan):
        with pytest.raises(UserError, match=r"patch by patch and in regions differ by .*, at most 0.0001 is allowed"):
            regions.measure(ways([], away), 1)


def test_a_line_has_medians_a_place_and_the_gain():
    taken = {regions.PATCHES: [9.0, 8.0, 100.0], regions.REGIONS: [0.5, 0.3, 0.4]}
    lines = regions.text({"net": regions.Measured(taken, 1000)}).splitlines()
    assert lines[1].split() == ["net", "1000", "9.00", "0.400", "22.5"]
