"""A finished run's net over other patches: its own score net, with the files where they are now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycaffe_ext.data import pack
from pycaffe_ext.data.items import Floats, Ints, Samples
from pycaffe_ext.nets.architectures import architecture
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import read_net, write_text
from pycaffe_ext.runs import dense
from pycaffe_ext.runs.dense import DenseNet
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.schemes import links
from pycaffe_ext.strings import portable
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


def of_validation(run: RunFiles, caffe: Caffe) -> tuple[Floats, Ints, NDArray[np.str_]]:
    """(n, classes) probabilities, (n,) labels and (n,) groups of the patches that early stopping goes by, as the chosen
    snapshot scores them."""
    classes, count = len(run.packed.classes), run.packed.patches["val"]
    with TemporaryDirectory() as scratch:
        model = write_net(run, run.packed.lmdb("val"), Path(scratch) / NET)
        net = ScoreNet(model, count, BATCH, head(run), classes)
        probability, label = score(caffe, net, run.weights)
    group = np.array([row["group"] for row in pack.read_index(run.packed.index("val"))])
    return probability, label, group


def head(run: RunFiles) -> str:
    """The blob of the head's raw values."""
    training = run.settings.training
    scheme = links(training.scheme, training.arch)[-1]  # the links of a chain have one head
    spec = NetSpec(run.settings.app, scheme, len(run.packed.classes), arch=training.arch)
    return architecture(training.arch).output(spec)


def input_size(run: RunFiles) -> int:
    """Rows and columns of a patch."""
    return architecture(run.settings.training.arch).input[-1]
