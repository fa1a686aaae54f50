"""Which mask belongs to which frame, by their names: alike, or with the words that public sets add to those of masks.

ISIC writes NAME_segmentation, Carvana, BUSI and PolypGen NAME_mask, ETIS-Larib pN, DRIVE 21_training and 21_manual1,
GlaS NAME_anno, collections for video segmentation NAME_GT.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pycaffe_ext.data.names import some
from pycaffe_ext.data.sources.listing import files, images
from pycaffe_ext.errors import UserError

MASK_WORDS = (
    "mask",
    "masks",
    "gt",
    "groundtruth",
    "ground_truth",
    "seg",
    "segmentation",
    "label",
    "labels",
    "anno",
    "annotation",
    "manual1",
    "binary",
    "bin",
    "target",
)
FRAME_WORDS = ("image", "images", "img", "frame", "original", "orig", "training", "test", "sat")
BETWEEN = r"[\s_.-]+"
TRIMMED = " _.-"
TRIED = (
    f"a mask is called as its frame, or NAME_WORD or WORD_NAME, also with a hyphen, a blank or a dot, WORD being"
    f" {', '.join(MASK_WORDS)}, or pNUMBER"
)

Pairs = dict[str, tuple[Path, Path]]


def pair(frames: Path, masks: Path) -> Pairs:
    """(image, mask) of every frame by name.

    Names that are equal on both sides are the pairs. Otherwise a mask may have one of MASK_WORDS before or after its
    frame's name, and a frame one of FRAME_WORDS, in any case. Raises UserError if a frame has no mask, may have two, or
    a mask has no frame: one of them is missing, and a frame without polyps has a black mask in such folders.
    """
    pictures, drawn = images(frames), files(masks)
    mask_of = {name: name for name in pictures} if pictures.keys() == drawn.keys() else _matched(pictures, drawn, masks)
    bare, stray = sorted(pictures.keys() - mask_of.keys()), sorted(drawn.keys() - set(mask_of.values()))
    if bare and stray:
        raise UserError(f"{masks}: no mask for {some(bare)}, and no frame for mask {stray[0]}; {TRIED}")
    if bare:
        raise UserError(f"{masks}: no mask for {some(bare)}; a frame without polyps needs an all-black mask")
    if stray:
        raise UserError(f"{frames}: no frame for masks {some(stray)}; add it or remove the mask; {TRIED}")
    if len(set(mask_of.values())) < len(mask_of):
        raise UserError(f"{masks}: two frames of {frames} have the same mask; name each mask as its frame")
    return {name: (path, drawn[mask_of[name]]) for name, path in pictures.items()}


def _matched(pictures: Iterable[str], drawn: Iterable[str], masks: Path) -> dict[str, str]:
    """Mask of each frame that has one by a common stem of their names; UserError if two masks have it."""
    by_stem: dict[tuple[bool, str], list[str]] = {}
    for mask in drawn:
        for stem in _stems(mask, MASK_WORDS):
            by_stem.setdefault(stem, []).append(mask)
    found = {}
    for name in pictures:
        fitting = next((by_stem[stem] for stem in _stems(name, FRAME_WORDS) if stem in by_stem), [])
        if len(fitting) > 1:
            raise UserError(f"{masks}: {fitting[0]} and {fitting[1]} may both be the mask of {name}; keep one of them")
        if fitting:
            found[name] = fitting[0]
    return found


def _stems(name: str, words: Sequence[str]) -> list[tuple[bool, str]]:
    """(whether case is ignored, what the frame and its mask are both called), the most exact first."""
    folder, slash, base = name.rpartition("/")
    either = "|".join(words)
    parts = [
        re.fullmatch(rf"(.+?)(?:{BETWEEN}|(?<=\d))(?:{either})", base, re.IGNORECASE),
        re.fullmatch(rf"(?:{either})(?:{BETWEEN}|(?=\d))(.+)", base, re.IGNORECASE),
        re.fullmatch(r"p(\d+)", base, re.IGNORECASE) if words is MASK_WORDS else None,
    ]
    stems = [folder + slash + stem for stem in (base, base.strip(TRIMMED), *(part[1] for part in parts if part))]
    return list(dict.fromkeys([(False, stem) for stem in stems] + [(True, stem.casefold()) for stem in stems]))
