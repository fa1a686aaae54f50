"""A finished run's net over other patches: its own score net, with the files where they are now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data import pack
from pycaffe_ext.data.items import Floats, Samples
from pycaffe_ext.evaluation.deepening import Scored
from pycaffe_ext.nets.architectures import architecture
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import read_net, write_text
from pycaffe_ext.runs import dense
from pycaffe_ext.runs.dense import DenseNet
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.schemes import links
from pycaffe_ext.strings import portable
from pycaffe_ext.training import validation_scores
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.scoring import ScoreNet, score

BATCH = 50
NET = "score_test.prototxt"


def write_net(run: RunFiles, database: Path, path: Path) -> Path:
    """Write the run's score net as `path`, reading the patches of `database` in batches of BATCH."""
    net = read_net(run.folder / NET)
    for layer in net.layer:
        if layer.type == "Data":
            layer.data_param.source = portable(str(database))
            layer.data_param.batch_size = BATCH
            if mean_file := run.mean_file:
                layer.transform_param.mean_file = portable(str(mean_file))
    write_text(path, net)
    return path


def of_regions(run: RunFiles, caffe: Caffe, items: Sequence[Any], samples: Samples, folder: Path) -> Floats:
    """(n, classes) float64 of the samples by a run with DENSE=1, as in its test; `folder` gets its net."""
    image, classes = architecture(run.settings.training.arch).input, len(run.packed.classes)
    net = DenseNet(run.folder / NET, run.weights, head(run), classes, image)
    return dense.probabilities(caffe, net, run.application, items, samples, folder)


def of_validation(run: RunFiles, caffe: Caffe) -> Scored:
    """What the chosen snapshot says of the patches that early stopping goes by.

    It is read where the run has kept it; else `caffe` scores them, and it is kept.
    """
    if found := kept_validation(run):
        return found
    classes, count = len(run.packed.classes), run.packed.patches["val"]
    with TemporaryDirectory() as scratch:
        model = write_net(run, run.packed.lmdb("val"), Path(scratch) / NET)
        net = ScoreNet(model, count, BATCH, head(run), classes)
        probability, label = score(caffe, net, run.weights)
    if not run.result.best.link:
        validation_scores.write(run.folder, run.result.best.iteration, probability, label)
    return Scored(probability, label, _groups(run))


def kept_validation(run: RunFiles) -> Scored | None:
    """The same of a run of one training that has kept it, else None.   Raises UserError where the data are gone."""
    found = validation_scores.read(run.folder, run.result.best.iteration)
    if run.result.best.link or found is None or len(found[1]) != run.packed.patches["val"]:
        return None
    return Scored(*found, _groups(run))


def _groups(run: RunFiles) -> NDArray[np.str_]:
    return np.array([row["group"] for row in pack.read_index(run.packed.index("val"))])


def head(run: RunFiles) -> str:
    """The blob of the head's raw values."""
    training = run.settings.training
    scheme = links(training.scheme, training.arch)[-1]  # the links of a chain have one head
    spec = NetSpec(run.settings.app, scheme, len(run.packed.classes), arch=training.arch)
    return architecture(training.arch).output(spec)


def input_size(run: RunFiles) -> int:
    """Rows and columns of a patch."""
    return architecture(run.settings.training.arch).input[-1]
