"""HyperKvasir: its segmented polyps, and, where they are unpacked beside these, its labelled frames of other things.

The segmented part has the frames of Kvasir-SEG. Of the labelled images those of the lower tract that are labelled as
a landmark or for the view of the mucosa count as frames without polyps; pathological findings and interventions are
left out, polyps may be on them. Nobody certified that a frame labelled "cecum" shows no polyp: the folder
labeled-images/ is read only where the user has put it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.sources import plain
from pycaffe_ext.data.sources.folders import child, plain_name, subfolders
from pycaffe_ext.data.sources.grouping import grouped
from pycaffe_ext.data.sources.kvasir_seg import TUNING
from pycaffe_ext.data.sources.listing import images
from pycaffe_ext.data.sources.source import Source

BOXES = "bounding-boxes.json"
WITHOUT_POLYPS = tuple(map(plain_name, ("anatomical-landmarks", "quality-of-mucosal-views")))


def look(folder: Path) -> str | None:
    segmented = _segmented(folder)
    if segmented is None:
        return "segmented-images/ is missing" if child(folder, "labeled-images") else None
    found = plain.look(segmented)
    return "images/ and masks/ are missing" if found is None else found


def read(folder: Path, cache: Path | None, progress: bool) -> list[Frame]:
    polyps = plain.read(_segmented(folder) or folder, cache, progress)
    frames = [replace(frame, source=HYPERKVASIR.slug) for frame in polyps] + _without_polyps(folder)
    return grouped(frames, folder)


def _segmented(folder: Path) -> Path | None:
    return child(folder, "segmented-images") or (folder if (folder / BOXES).is_file() else None)


def _without_polyps(folder: Path) -> list[Frame]:
    tract = child(child(folder, "labeled-images") or folder / "none", "lower-gi-tract")
    frames = []
    for topic in subfolders(tract) if tract else []:
        for label in subfolders(topic) if plain_name(topic.name) in WITHOUT_POLYPS else []:
            names = {f"{label.name}/{name}": path for name, path in images(label).items()}
            frames += [Frame(name, path, None, name, HYPERKVASIR.slug) for name, path in names.items()]
    return frames


HYPERKVASIR = Source(
    slug="hyperkvasir",
    title="HyperKvasir, segmented images (Borgli et al., Scientific Data 2020)",
    counts="1000 frames with polyps, those of Kvasir-SEG; labelled frames of landmarks and views, where they are"
    " unpacked, count as frames without polyps, which their labels do not certify",
    groups="each frame by itself: no video or patient is given; near-duplicates are joined when the set is split",
    terms="CC BY 4.0; cite the paper",
    where="datasets.simula.no/hyper-kvasir",
    layout="""
hyper-kvasir/
  segmented-images/images/NAME.jpg
  segmented-images/masks/NAME.jpg
  segmented-images/bounding-boxes.json
  labeled-images/lower-gi-tract/           if it is there, as frames without polyps:
    anatomical-landmarks/cecum/NAME.jpg    all labels of this folder, and of
    quality-of-mucosal-views/bbps-2-3/NAME.jpg""",
    look=look,
    read=read,
    tuning=TUNING,  # its polyps are those of Kvasir-SEG, under the same names
)
