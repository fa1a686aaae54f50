"""Graphics that a scanner burned in are found and filled; speckle is left alone."""

from __future__ import annotations

import cv2
import numpy as np

from pycaffe_ext.data.boundaries.burned_in import cleaned, clear_columns, graphic_levels, marks_of

CROSS = [(d, 0) for d in (-4, -3, -2, 2, 3, 4)] + [(0, d) for d in (-4, -3, -2, 2, 3, 4)]


def speckle(seed=0, size=(160, 200)):
    noise = np.random.default_rng(seed).standard_normal((2, *size))
    smooth = [cv2.GaussianBlur(part, (0, 0), 2.5) for part in noise]
    return np.clip(np.hypot(*smooth) * 500, 0, 255).astype(np.uint8)


def scan():
    """Speckle in rows 30 to 190 and columns 40 to 240 of a black screen with text, a bar of greys and two crosses."""
    screen = np.zeros((220, 320), np.uint8)
    screen[30:190, 40:240] = speckle()
    screen[:20] = 10
    cv2.putText(screen, "LCCA 02/02", (5, 15), cv2.FONT_HERSHEY_PLAIN, 1, 176, 1, cv2.LINE_4)
    screen[30:190, 290:300] = np.arange(255, 95, -1)[:, None]
    for y, x in ((100, 100), (112, 102)):
        screen[y - 5 : y + 6, x - 1 : x + 2] = 0
        screen[y - 1 : y + 2, x - 5 : x + 6] = 0
        for dy, dx in CROSS:
            screen[y + dy, x + dx] = 176
    return screen


def test_speckle_has_no_graphics():
    grey = speckle(1)
    assert graphic_levels(grey) == []
    assert not marks_of(grey).mask.any()
    assert cleaned(grey, marks_of(grey).mask) is grey


def test_every_pixel_of_a_cross_is_covered_and_hardly_any_speckle():
    grey = scan()
    marks = marks_of(grey)
    assert 176 in graphic_levels(grey)
    for y, x in ((100, 100), (112, 102)):
        assert all(marks.mask[y + dy, x + dx] for dy, dx in CROSS)
    inside = marks.mask[30:190, 40:240]
    around = np.zeros_like(inside)
    around[60:95, 50:75] = True
    assert (inside & ~around).mean() < 0.003


def test_the_view_is_the_part_with_speckle():
    top, bottom, left, right = marks_of(scan()).view
    assert abs(top - 30) <= 3
    assert abs(bottom - 190) <= 3
    assert abs(left - 40) <= 3
    assert abs(right - 240) <= 3
    valid = marks_of(scan()).valid()
    assert not valid[:25].any()
    assert not valid[100, 100]
    assert valid[150, 150]


def test_nothing_of_the_cross_is_left_when_it_is_filled():
    grey, plain = scan(), speckle()
    filled = cleaned(grey, marks_of(grey).mask)[30:190, 40:240]
    close = np.abs(filled.astype(int) - plain)[55:95, 45:80]
    assert close.mean() < 12
    assert not (np.abs(cv2.Laplacian(filled.astype(np.float32), cv2.CV_32F))[55:95, 45:80] > 150).any()


def test_coloured_pixels_are_graphics():
    coloured = np.zeros((160, 200), bool)
    coloured[50, 60:70] = True
    assert marks_of(speckle(), coloured).mask[50, 60:70].all()


def test_columns_near_a_mark_are_not_clear_and_others_are():
    valid = np.ones((50, 60), bool)
    valid[20, 30] = False
    x = np.arange(60)
    top, bottom = np.full(60, 15.0), np.full(60, 18.0)
    clear = clear_columns(valid, x, top, bottom, 2)
    assert np.flatnonzero(~clear).tolist() == [28, 29, 30, 31, 32]
    assert clear_columns(valid, x, top, bottom, 1).all()
    assert clear_columns(valid, x, top + 10, bottom + 10, 2).all()
    assert not clear_columns(valid, np.array([-1, 60]), top[:2], bottom[:2], 1).any()
