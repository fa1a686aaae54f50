"""Tile, Crop and SPP."""

from __future__ import annotations

import itertools

from engine_cases import Case, layer, one


def tiles() -> list[Case]:
    cases = [
        one("Tile", f"tile_param {{ axis: {axis} tiles: {tiles} }}", shape)
        for (axis, shape), tiles in itertools.product(
            ((0, (2, 3)), (1, (2, 3, 4)), (-1, (2, 1, 3)), (2, (1, 2, 3, 2, 2)), (0, (1,))), (1, 2, 5)
        )
    ]
    cases.append(one("Tile", "tile_param { tiles: 3 } propagate_down: false", (2, 3, 2), force=False))
    return cases


def crop(settings: str, shape: tuple[int, ...], size: tuple[int, ...]) -> Case:
    return Case(
        f"Crop {settings} {shape} to {size}",
        {"x": shape, "z": size},
        layer("Crop", f"crop_param {{ {settings} }}", "x z"),
    )


def crops() -> list[Case]:
    image, small = (2, 3, 7, 6), (2, 3, 4, 3)
    cases = [
        crop(text, image, small)
        for text in (
            "",
            "offset: 1",
            "offset: 2 offset: 3",
            "axis: 3 offset: 2",
            "axis: -2 offset: 3 offset: 0",
            "axis: 3",
        )
    ]
    cases += [
        crop("axis: 1 offset: 1", (2, 5, 4, 4), (1, 4, 3, 3)),
        crop("axis: 0", (3, 4), (1, 2)),
        crop("axis: 1 offset: 0 offset: 2 offset: 1", (1, 3, 6, 5), (4, 2, 3, 3)),
        crop("axis: 0 offset: 1 offset: 0 offset: 2", (3, 4, 5), (2, 4, 3)),
        crop("axis: 2 offset: 1", (1, 2, 3, 4, 5), (1, 1, 2, 2, 3)),
        crop("", image, image),
        crop("axis: 1", (2, 3, 5), (2, 2, 4, 9)),
        crop("axis: 0 offset: 3", (5,), (2,)),
    ]
    scaled = layer("Scale", bottoms="z", tops="s") + layer("Crop", "crop_param { offset: 1 }", "x s")
    return [
        *cases,
        Case(
            "Crop to the size of a learned blob",
            {"x": image, "z": small},
            scaled + layer("Eltwise", bottoms="y s", tops="sum"),
        ),
    ]


def pyramids() -> list[Case]:
    shapes = ((2, 3, 8, 8), (1, 2, 9, 7), (2, 1, 16, 11), (1, 3, 13, 13))
    cases = [
        one("SPP", f"spp_param {{ pyramid_height: {height} pool: {pool} }}", shape)
        for height, pool, shape in itertools.product((1, 2, 3), ("MAX", "AVE"), shapes)
        if height < 3 or shape != (1, 2, 9, 7)
    ]
    cases += [one("SPP", f"spp_param {{ pyramid_height: 4 pool: {pool} }}", (1, 2, 32, 29)) for pool in ("MAX", "AVE")]
    return cases


CASES = [*tiles(), *crops(), *pyramids()]
