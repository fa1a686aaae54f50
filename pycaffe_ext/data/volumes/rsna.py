"""RSNA-STR Pulmonary Embolism CT (Colak et al. 2021): recognised, and answered with what it can be used for."""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.data.volumes.source import VolumeSource
from pycaffe_ext.data.volumes.volume import Volume
from pycaffe_ext.errors import UserError

TABLE = "train.csv"
COLUMN = "pe_present_on_image"


def find(folder: Path) -> list[Volume]:
    """Always raises UserError: its labels are of slices, they have no place."""
    raise UserError(
        f"{folder}: RSNA-STR says which slices show an embolism ({COLUMN}), not where; as labelled pictures they can be"
        " used with `folder`, for pe masks or positions of clots are needed"
    )


def _look(folder: Path) -> bool:
    table = folder / TABLE
    if not table.is_file():
        return False
    with table.open("rb") as file:
        return COLUMN.encode() in file.readline(4096)


RSNA = VolumeSource(
    slug="rsna-str",
    title="RSNA-STR Pulmonary Embolism CT (Colak et al. 2021)",
    counts="7279 studies with labels of studies and slices, without places; not for pe, see `folder`",
    groups="the study",
    terms="those of the RSNA: no commercial use",
    where="www.kaggle.com/c/rsna-str-pulmonary-embolism-detection",
    layout="""
FOLDER/
  train.csv                pe_present_on_image for each slice
  train/STUDY/SERIES/*.dcm the slices""",
    look=_look,
    read=find,
)
