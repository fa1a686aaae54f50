"""How fast a net is on this machine, from a short `caffe time` on random patches, before a run of it exists."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import lmdb
import numpy as np

from pycaffe_ext import nets
from pycaffe_ext.errors import UserError
from pycaffe_ext.nets.shapes import parameter_shapes
from pycaffe_ext.nets.spec import SCALABLE
from pycaffe_ext.proto import write_text
from pycaffe_ext.records.datum import to_bytes
from pycaffe_ext.runs.donors import Donor, find_donor, net_of
from pycaffe_ext.runs.settings import Machine, Settings
from pycaffe_ext.schemes import is_fine_tuning
from pycaffe_ext.threads import at_most
from pycaffe_ext.training.command import Caffe

CLASSES, BATCH, ITERATIONS = 2, 16, 2


def spec_of(settings: Settings) -> nets.NetSpec:
    """The net of a run before its data are known; where the donor is missing, at its full width."""
    try:
        donor = find_donor(settings)
    except UserError:
        donor = Donor(None, {}, Fraction(1), embedded=False)
    return net_of(settings, donor, CLASSES)


def parameters(settings: Settings) -> int:
    """How many numbers a run's net learns or keeps."""
    arch = nets.architecture(settings.training.arch)
    shapes = parameter_shapes(arch.train_val(spec_of(settings)), image=arch.input)
    return sum(int(np.prod(shape)) for blobs in shapes.values() for shape in blobs)


def seconds_a_patch(settings: Settings, machine: Machine) -> tuple[float, float]:
    """Seconds that the training of a patch takes (forward and backward), and its scoring (forward).

    What the embedded engine saves by storing the outputs of frozen layers is not seen: of a shallow fine-tuning this
    is the most.   Raises UserError if this caffe cannot time the net.
    """
    caffe = Caffe.from_setting(machine.caffe, machine.gpu, settings.training.precision)
    with TemporaryDirectory() as scratch, at_most(machine.threads):
        folder = Path(scratch)
        arch = nets.architecture(settings.training.arch)
        _write_patches(folder / "lmdb", arch.input[-1])
        source = str(folder / "lmdb")
        sized = replace(spec_of(settings), batch_size=BATCH, val_batch_size=BATCH, mean_value=(0.0,))
        spec = replace(sized, train_source=source, val_source=source)
        write_text(folder / "net.prototxt", nets.train_val(spec))
        forward, backward = caffe.time(folder / "net.prototxt", ITERATIONS)
    return (forward + backward) / BATCH, forward / BATCH


def _write_patches(folder: Path, size: int) -> None:
    rng = np.random.default_rng(0)
    with lmdb.open(str(folder), map_size=1 << 28) as database, database.begin(write=True) as transaction:
        for number in range(BATCH):
            patch = rng.integers(0, 256, (3, size, size), np.uint8)
            transaction.put(f"{number:08d}".encode(), to_bytes(patch, number % CLASSES, "raw"))


def input_size(settings: Settings) -> int:
    """Rows and columns of a patch."""
    return int(nets.architecture(settings.training.arch).input[-1])


def needs_donor(settings: Settings) -> bool:
    """Whether a donor's file is read for a run."""
    own = settings.training
    return is_fine_tuning(own.scheme, own.arch) or own.arch == SCALABLE


def check_donor(settings: Settings) -> None:
    """Raise UserError if a run's donor is needed and cannot be had."""
    if needs_donor(settings):
        find_donor(settings)
