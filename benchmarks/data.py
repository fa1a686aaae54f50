"""Reading an LMDB, making one from JPEGs, and its mean image."""

from __future__ import annotations

import shutil
import sys

from benchmarks import nets
from benchmarks.materials import photographs, records
from benchmarks.rows import ROOT, Experiment, Lab, Row
from benchmarks.sides import TIMED, Arguments, Words, genuine_caffe, in_turns, ours, whole_run
from pycaffe_ext.genuine import root

JPEGS = 5_000
DATUMS, DATUM_SIDE = 50_000, 128  # 2.5 GB: larger ones would not stay in the memory of a small machine
READ_AT_ONCE = 40  # batches in a sample: many times what the Data layer keeps ready


def _reading(lab: Lab) -> Words:
    return ("time", f"-model={nets.reader(lab)}", "-phase=TRAIN", "-iterations=1000000")


def _images(seconds: float) -> float:
    return nets.READ_BATCH / seconds


def _both(program: str, arguments: Arguments, what: str, target: float) -> Experiment:
    """Caffe's program against ours of the same name and with the same arguments."""
    name = program.replace("_", "-")
    script = ROOT / "tools" / f"{program}.py"
    return Experiment(
        rows=(Row(name, what, "s", target=target),),
        rival=whole_run(lambda lab: (root.command(program), *arguments(lab)), _clear),
        ours=whole_run(lambda lab: (sys.executable, script, *arguments(lab)), _clear),
        needs="genuine",
    )


def _clear(lab: Lab) -> None:
    shutil.rmtree(lab.folder / "converted_lmdb", ignore_errors=True)


def _converting(lab: Lab) -> Words:
    folder = photographs(lab, JPEGS)
    size = ("-resize_height=256", "-resize_width=256")
    return (*size, f"{folder}/", folder / "list.txt", lab.folder / "converted_lmdb")


def _averaging(lab: Lab) -> Words:
    return (records(lab, DATUMS, DATUM_SIDE), lab.folder / "averaged.binaryproto")


EXPERIMENTS = (
    Experiment(
        rows=(Row("reading", "Data layer alone: raw 256x256, crop 227, mirror, mean", "images/s", 1.2, better="more"),),
        rival=in_turns(genuine_caffe(_reading), TIMED, 20, READ_AT_ONCE, _images),
        ours=in_turns(ours(_reading), TIMED, 20, READ_AT_ONCE, _images),
        needs="genuine",
    ),
    _both("convert_imageset", _converting, f"{JPEGS} JPEGs to an LMDB of raw 256x256 Datums", 1.7),
    _both("compute_image_mean", _averaging, f"mean of {DATUMS} raw {DATUM_SIDE}x{DATUM_SIDE} Datums", 1.0),
)
