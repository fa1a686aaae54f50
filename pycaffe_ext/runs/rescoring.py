"""A finished run's net over other patches: its own score net, with the files where they are now."""

from __future__ import annotations

from pathlib import Path

from pycaffe_ext.nets.architectures import architecture
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import read_net, write_text
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.strings import portable

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


def head(run: RunFiles) -> str:
    """The blob of the head's raw values."""
    training = run.settings.training
    spec = NetSpec(run.settings.app, run.settings.scheme, len(run.packed.classes), arch=training.arch)
    return architecture(training.arch).output(spec)


def input_size(run: RunFiles) -> int:
    """Rows and columns of a patch."""
    return architecture(run.settings.training.arch).input[-1]
