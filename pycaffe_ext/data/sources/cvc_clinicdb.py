"""CVC-ClinicDB (CVC-612): 612 frames of 29 sequences, called by their numbers; a sequence is the group."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path

from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.sources.folders import child, image_folder, mask_folder, number, numbered
from pycaffe_ext.data.sources.grouping import grouped
from pycaffe_ext.data.sources.pairing import pair
from pycaffe_ext.data.sources.source import Source
from pycaffe_ext.data.tables import read_table
from pycaffe_ext.errors import UserError

# The last frame of each sequence: the table of frames and sequences on the data set's page.
ENDS = (
    25,
    50,
    67,
    78,
    103,
    126,
    151,
    177,
    199,
    205,
    227,
    252,
    277,
    297,
    317,
    342,
    363,
    383,
    408,
    428,
    447,
    466,
    478,
    503,
    528,
    546,
    571,
    591,
    612,
)
COLUMNS = ("frame_id", "sequence_id")


def look(folder: Path) -> str | None:
    home = _home(folder)
    frames, masks = child(home, "Original"), child(home, "Ground Truth")
    if frames and masks:
        return ""
    if frames and image_folder(folder) is None:
        return "'Ground Truth/' is missing"
    return numbered(folder, ("clinicdb", "cvc612"), (ENDS[-1],))


def read(folder: Path, _cache: Path | None, _progress: bool) -> list[Frame]:
    home = _home(folder)
    pictures = child(home, "Original") or image_folder(home)
    masks = child(home, "Ground Truth") or mask_folder(home)
    if not pictures or not masks:
        raise UserError(f"{home}: no Original/ and 'Ground Truth/' in it, nor images/ and masks/")
    pairs = pair(pictures, masks)
    sequence = _sequences(folder)
    frames = [Frame(name, *files, sequence(name, files[0]), CVC_CLINICDB.slug) for name, files in pairs.items()]
    return grouped(frames, folder)


def sequence_of(frame: int) -> int:
    """Number of the sequence, 1 to 29, that shows frame 1 to 612."""
    return bisect_left(ENDS, frame) + 1


def _home(folder: Path) -> Path:
    """Where Original/ lies: redistributions have the same frames as PNG/ and as TIF/."""
    for form in ("PNG", "TIF"):
        inner = child(folder, form)
        if inner and child(inner, "Original"):
            return inner
    return folder


def _sequences(folder: Path) -> Callable[[str, Path], str]:
    """(name, path) -> group; from metadata.csv where a redistribution brings it, else from the published table."""
    table = folder / "metadata.csv"
    rows = read_table(table, COLUMNS) if table.exists() else []
    listed: dict[str, str] = {}
    for row in rows:
        if listed.setdefault(row["frame_id"], row["sequence_id"]) != row["sequence_id"]:
            raise UserError(f"{table}: frame {row['frame_id']} is listed with two sequences")

    def group(name: str, path: Path) -> str:
        frame = number(name, path, ENDS[-1])
        if rows and not (listed.get(str(frame)) or "").isdecimal():
            raise UserError(f"{table}: no sequence_id for frame {frame}")
        return f"sequence{int(listed[str(frame)]) if rows else sequence_of(frame):02d}"

    return group


CVC_CLINICDB = Source(
    slug="cvc-clinicdb",
    title="CVC-ClinicDB, CVC-612 (Bernal et al., CMIG 2015)",
    counts="612 frames of 29 sequences, each with a polyp",
    groups="the sequence: from metadata.csv where it is there, else from the published numbers of its frames",
    terms="research and education, no commercial use; cite the paper",
    where="polyp.grand-challenge.org/CVCClinicDB",
    layout="""
CVC-ClinicDB/
  Original/1.tif           or PNG/Original/1.png
  Ground Truth/1.tif       or PNG/Ground Truth/1.png
  metadata.csv             if it is there: columns frame_id and sequence_id
or images/1.png and masks/1.png with the same numbers""",
    look=look,
    read=read,
)
