"""Which data set of CT volumes a folder holds, and its volumes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pycaffe_ext.data.names import by_identifier, check_look, identifier
from pycaffe_ext.data.sources import layout
from pycaffe_ext.data.volumes.cad_pe import CAD_PE
from pycaffe_ext.data.volumes.folder import FOLDER
from pycaffe_ext.data.volumes.fumpe import FUMPE
from pycaffe_ext.data.volumes.rsna import RSNA
from pycaffe_ext.data.volumes.source import VolumeSource
from pycaffe_ext.data.volumes.volume import Volume

SOURCES = {source.slug: source for source in (FUMPE, CAD_PE, RSNA, FOLDER)}


def find(folder: str | Path, dataset: str | None = None) -> list[Volume]:
    """Volumes in `folder`, or in its only sub-folder that holds such a set, sorted by name; headers only are read.

    dataset : name in SOURCES; None = recognised by the layout.
    """
    source, home = recognise(folder, dataset)
    volumes = sorted(source.read(home), key=lambda volume: volume.name)
    alone = by_identifier((volume.name for volume in volumes), "volume")
    volumes = [replace(volume, group=identifier(volume.group)) for volume in volumes]
    check_look((volume.group, f"volume {volume.name}") for volume in volumes if volume.group not in alone)
    return volumes


def recognise(folder: str | Path, dataset: str | None = None) -> tuple[VolumeSource, Path]:
    """The layout and the folder that has it, `folder` or one in it; raises UserError if there is none."""
    return layout.recognise(
        folder,
        dataset,
        SOURCES,
        "volumes/ with masks/ or positions.csv, or the layout of a data set of CT angiographies",
    )
