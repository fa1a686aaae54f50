"""Warnings of a donor that is not in the scale of its input: before a training, and after its first epoch.

Everything is measured through Caffe's files and command line, so it does not matter which Caffe trains.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pycaffe_ext import nets
from pycaffe_ext.donor import scale
from pycaffe_ext.donor.weights import Blobs, own_blobs
from pycaffe_ext.errors import UserError
from pycaffe_ext.nets.layers import layer
from pycaffe_ext.nets.shapes import parameter_shapes
from pycaffe_ext.proto import caffe_pb2, write_text
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.scoring import collect

PATCHES = 8  # of the training set that the donor's own classifier looks at
FOLDER = "donor_probe"  # in the run's folder, where a Caffe in a container can read it


@dataclass(frozen=True)
class Checked:
    """A donor and the net that starts from it.

    file, blobs : the donor's        spec : the run's net
    """

    file: Path
    blobs: Blobs
    spec: nets.NetSpec

    @property
    def arch(self) -> nets.Architecture:
        return nets.architecture(self.spec.arch)

    @property
    def layers(self) -> list[str]:
        """The net's layers that start from the donor, from the input on."""
        net = self.arch.train_val(self.spec)
        names = parameter_shapes(net, image=self.arch.input)
        return [name for name in names if name in self.blobs]


def before_training(caffe: Caffe, donor: Checked, database: Path, folder: Path) -> list[str]:
    """Warnings from the weights, and from what the donor's own classifier says of the first patches of `database`.

    database : the LMDB of the training patches        folder : the run's, in which a net is written for a moment
    UserError if `caffe test` fails.  The second is left out for a donor that lacks its own classifier, and for one that
    was never trained.
    """
    found = [scale.first_layer(donor.blobs, donor.layers)]
    if scale.is_trained(donor.blobs, donor.layers) and (head := _own_head(donor)):
        values = _outputs(caffe, donor, head, database, folder / FOLDER)
        found.append(scale.outputs(values[:PATCHES], values[-1]))
    return _named(donor, found)


def after_the_first_epoch(donor: Checked, weights: Path, start: Path | None = None) -> list[str]:
    """The warning that a layer moved too far, from the weights of the first snapshot.

    start : what the training began with, None = the donor
    """
    hidden = set(donor.layers)
    trained = {name: blobs for name, blobs in own_blobs(weights).items() if name in hidden}
    return _named(donor, [scale.moved(own_blobs(start) if start else donor.blobs, trained)])


def _named(donor: Checked, found: Sequence[str | None]) -> list[str]:
    return [f"donor {donor.file.name}: {text}" for text in found if text]


def _own_head(donor: Checked) -> str | None:
    """The donor's classifier, under its published name or an application's; None if it has none of this net."""
    published = donor.arch.heads[-1]
    return next((name for name in donor.blobs if name.split("_")[0] == published and _fits(donor, name)), None)


def _fits(donor: Checked, head: str) -> bool:
    """Whether a layer of the donor can be the net's classifier, with classes of its own."""
    blobs = donor.blobs[head]
    if len(blobs) != 2 or blobs[1].size < 2:
        return False
    spec = replace(donor.spec, classes=blobs[1].size)
    wanted = parameter_shapes(donor.arch.deploy(spec))[spec.head]
    return all(blob.size == np.prod(shape) for blob, shape in zip(blobs, wanted, strict=True))


def _outputs(caffe: Caffe, donor: Checked, head: str, database: Path, folder: Path) -> np.ndarray:
    """The raw values (2 * PATCHES, classes) of the donor's own classifier, for the first patches and as many zeros."""
    classes = donor.blobs[head][1].size
    spec = replace(donor.spec, classes=classes)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        write_text(folder / "net.prototxt", _probe(donor, spec, head, database))
        with closing(caffe.test(folder / "net.prototxt", donor.file, 1)) as lines:
            values = collect(lines).get(donor.arch.output(spec), np.empty(0))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if values.size != 2 * PATCHES * classes:
        raise UserError(f"{donor.file}: caffe test gave {values.size} of {2 * PATCHES * classes} values; try again")
    return values.reshape(-1, classes)


def _probe(donor: Checked, spec: nets.NetSpec, head: str, database: Path) -> caffe_pb2.NetParameter:
    """The score net with the donor's classifier, reading PATCHES patches and, after them, as many images of zeros."""
    net = donor.arch.score_net(spec, str(database), PATCHES)
    data, *others = net.layer
    data.top[0] = "patches"
    nothing = layer("nothing", "Power", ["patches"], ["nothing"])
    nothing.power_param.scale = 0
    both = layer("both", "Concat", ["patches", "nothing"], ["data"])
    both.concat_param.axis = 0
    for other in others:
        if other.name == spec.head:
            other.name = head
    return caffe_pb2.NetParameter(name=net.name, layer=[data, nothing, both, *others])
