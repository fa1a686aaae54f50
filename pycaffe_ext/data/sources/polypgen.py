"""PolypGen: single frames of six centres, sequences with polyps, and sequences without, which have no masks.

A centre is the group of its single frames, a sequence that of its frames. imagesAll_positive/ repeats them and is not
read. Some single frames are copies of frames of sequences; as near-duplicates they join the two groups when the set
is split.
"""

from __future__ import annotations

import re
from pathlib import Path

from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.sources.folders import child, subfolders
from pycaffe_ext.data.sources.grouping import grouped
from pycaffe_ext.data.sources.listing import images
from pycaffe_ext.data.sources.pairing import pair
from pycaffe_ext.data.sources.source import Source
from pycaffe_ext.errors import UserError

CENTRE = re.compile(r"data_C\d+", re.IGNORECASE)


def look(folder: Path) -> str | None:
    centres, sequences = _centres(folder), child(folder, "sequenceData")
    if not centres and sequences is None:
        return None
    missing = [f"{place.name}/{part}_{_tag(place)}/" for place in centres for part in _missing(place)]
    missing += [
        f"sequenceData/positive/{place.name}/{part}_{_tag(place)}/"
        for place in _sequences(folder, "positive")
        for part in _missing(place)
    ]
    return f"{missing[0]} is missing" if missing else ""


def read(folder: Path, _cache: Path | None, _progress: bool) -> list[Frame]:
    frames = [frame for place in _centres(folder) for frame in _marked(place, _tag(place))]
    for place in _sequences(folder, "positive"):
        frames += _marked(place, place.name)
    for place in _sequences(folder, "negative", "negativeOnly"):
        where = child(place, f"images_{_tag(place)}", "images") or place
        frames += [
            Frame(f"{place.name}/{name}", path, None, place.name, POLYPGEN.slug) for name, path in images(where).items()
        ]
    if not frames:
        raise UserError(f"{folder}: no data_C1/ to data_C6/ in it, nor sequenceData/positive/ or negativeOnly/")
    return grouped(frames, folder)


def _centres(folder: Path) -> list[Path]:
    return [place for place in subfolders(folder) if CENTRE.fullmatch(place.name)]


def _sequences(folder: Path, *kinds: str) -> list[Path]:
    data = child(folder, "sequenceData")
    return subfolders(child(data, *kinds) or data / kinds[0]) if data else []


def _tag(place: Path) -> str:
    """What the folders in it are called after: C1 in data_C1, seq1 in seq1, seq1_neg in seq1_neg."""
    return place.name[len("data_") :] if CENTRE.fullmatch(place.name) else place.name


def _missing(place: Path) -> list[str]:
    return [part for part in ("images", "masks") if child(place, f"{part}_{_tag(place)}") is None]


def _marked(place: Path, group: str) -> list[Frame]:
    images, masks = (child(place, f"{part}_{_tag(place)}") for part in ("images", "masks"))
    if images is None or masks is None:
        raise UserError(f"{place}: needs images_{_tag(place)}/ and masks_{_tag(place)}/")
    pairs = pair(images, masks)
    return [Frame(f"{group}/{name}", *files, group, POLYPGEN.slug) for name, files in pairs.items()]


POLYPGEN = Source(
    slug="polypgen",
    title="PolypGen (Ali et al., Scientific Data 2023)",
    counts="1537 single frames of 6 centres, 23 sequences with 2225 frames, 23 sequences without polyps"
    " with 4275 frames",
    groups="the centre of a single frame (C1 to C6), the sequence of the others (seq1, seq1_neg)",
    terms="CC BY 4.0, after registration; cite the paper",
    where="www.synapse.org, project syn26376615 (doi.org/10.7303/syn26376615)",
    layout="""
PolypGen2021_MultiCenterData_v3/
  data_C1/images_C1/NAME.jpg                and data_C2 to data_C6
  data_C1/masks_C1/NAME_mask.jpg
  sequenceData/positive/seq1/images_seq1/NAME.jpg
  sequenceData/positive/seq1/masks_seq1/NAME_mask.jpg
  sequenceData/negativeOnly/seq1_neg/NAME.jpg            without masks: no polyps""",
    look=look,
    read=read,
)
