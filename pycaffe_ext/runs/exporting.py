"""A finished run as files for other libraries, each checked against the run's own scores."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext import __version__
from pycaffe_ext.donor.cards import CHANNELS
from pycaffe_ext.errors import UserError
from pycaffe_ext.export import checked
from pycaffe_ext.export.source import Preparation, Source, of, prepared
from pycaffe_ext.files import digest
from pycaffe_ext.nets.shapes import blob_shapes
from pycaffe_ext.proto import caffe_pb2, read_blobs, read_mean, read_net, write_text
from pycaffe_ext.records.datum import read
from pycaffe_ext.runs import finished
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.runs.records import RESULT, RUN
from pycaffe_ext.strings import portable
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.scoring import ScoreNet, score

FOLDER = "export"  # in the run's, if no other is given
PATCHES = 100  # compared by default
SPLIT = "val"  # whose patches are compared: they lie with every run, test patches may be packed by slices


@dataclass(frozen=True)
class Exported:
    """folder : the files' folder.   patches : how many were compared.   differences : format -> the largest one."""

    folder: Path
    patches: int
    differences: Mapping[str, float]

    def text(self) -> str:
        lines = [
            f"{self.folder / checked.FILES[kind]}: class probabilities differ from the run's own by at most {value:.1e}"
            for kind, value in self.differences.items()
        ]
        return "\n".join([*lines, f"compared on {self.patches} {SPLIT} patches; allowed is {checked.TOLERANCE:g}"])


def export(
    folder: Path, out: Path | None = None, count: int = PATCHES, caffe: str | None = None, gpu: str | None = None
) -> Exported:
    """Write a finished run's net as `checked.FILES` into `out` (default: FOLDER in the run's folder).

    count : validation patches that are scored for the check, at most what there are.   caffe : the command that
    scores them (default: the run's own).   gpu : the GPU that it uses (default: none).
    Raises UserError if `folder` is not a finished run's, its data are gone or changed, or a format differs.
    """
    out = out or folder / FOLDER
    run = load(folder)
    checked.check_folder(out)
    if count < 1:
        raise UserError(f"patches = {count}: at least 1 is needed for the check")
    mean = read_own_mean(run)
    scoring, deploy = (read_net(run.folder / name) for name in (f"score_{SPLIT}.prototxt", "deploy.prototxt"))
    preparation = preparation_of(scoring, mean)
    weights = run.weights
    source, head = source_of(deploy, read_blobs(weights), preparation)
    count = min(count, run.packed.patches[SPLIT])
    patches = np.stack([patch for _, patch, _ in islice(read(run.packed.lmdb(SPLIT)), count)])
    command = Caffe.from_setting(caffe or run.record.machine["caffe"], gpu)
    probabilities = own_scores(command, located(scoring, run), weights, head, len(run.packed.classes), count)
    return Exported(out, count, checked.write(source, about(run, source, preparation), out, patches, probabilities))


def load(folder: Path) -> RunFiles:
    """A finished run; UserError if the folder is not one, or its training has not ended."""
    if not (folder / RUN).is_file():
        raise UserError(f"{folder} is not a run's folder (it has no {RUN}); give one, such as runs/polyp-ft-conv3")
    if (run := finished.load(folder)) is None:
        raise UserError(f"{folder} is not finished (it has no {RESULT}); repeat its command to go on, then export it")
    return run


def read_own_mean(run: RunFiles) -> np.ndarray | None:
    """The mean image that the run subtracted, None for mean values; UserError if it is gone or another one by now."""
    if (path := run.mean_file) is None:
        return None
    if not path.is_file():
        raise UserError(f"{path} is missing, and the net needs it; remove {path.parent} and run again")
    then = run.record.inputs.get(path.name)
    if then and digest(path) != then:
        raise UserError(f"{path} has changed since {run.folder} was trained; remove the run and run it again")
    return read_mean(path)


def preparation_of(scoring: caffe_pb2.NetParameter, mean: np.ndarray | None) -> Preparation:
    """How the Data layer of a score net prepares patches, `mean` in place of the file that it names."""
    param = _data_layer(scoring).transform_param
    if param.HasField("mean_file"):
        return Preparation(mean, param.scale)
    values = np.array(param.mean_value, np.float32)
    if values.size == 1:  # one for all channels
        values = np.repeat(values, CHANNELS)
    return Preparation(values if values.size else None, param.scale)


def _data_layer(net: caffe_pb2.NetParameter) -> caffe_pb2.LayerParameter:
    return next(layer for layer in net.layer if layer.type == "Data")


def source_of(
    deploy: caffe_pb2.NetParameter, blobs: Mapping[str, list[np.ndarray | None]], preparation: Preparation
) -> tuple[Source, str]:
    """(the net from raw patches to rows of probabilities, the blob of the raw values before its last Softmax)."""
    net = caffe_pb2.NetParameter()
    net.CopyFrom(deploy)
    net.layer[0].ClearField("transform_param")  # mean and scale become layers
    softmax = net.layer[-1]
    if softmax.type != "Softmax":
        raise UserError(f"the deploy net ends in {softmax.name!r} ({softmax.type}); a Softmax is needed")
    (output,) = softmax.top
    if len(blob_shapes(deploy)[output]) > 2:  # (N, classes, 1, 1) of a fully convolutional net
        softmax.top[0] = f"{output}_map"
        net.layer.add(name=f"{output}_rows", type="Flatten", bottom=[softmax.top[0]], top=[output])
    return prepared(of(net, blobs), preparation), softmax.bottom[0]


def located(scoring: caffe_pb2.NetParameter, run: RunFiles) -> caffe_pb2.NetParameter:
    """A score net that reads the run's data and its mean image where they are now."""
    net = caffe_pb2.NetParameter()
    net.CopyFrom(scoring)
    layer = _data_layer(net)
    layer.data_param.source = portable(str(run.packed.lmdb(SPLIT).resolve()))
    if run.mean_file:
        layer.transform_param.mean_file = portable(str(run.mean_file.resolve()))
    return net


def own_scores(
    caffe: Caffe, net: caffe_pb2.NetParameter, weights: Path, head: str, classes: int, count: int
) -> np.ndarray:
    """(count, classes) probabilities that `caffe test` gives."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "score.prototxt"
        write_text(model, net)
        read = ScoreNet(model, count, _data_layer(net).data_param.batch_size, head, classes)
        return score(caffe, read, weights)[0]


def about(run: RunFiles, source: Source, preparation: Preparation) -> dict[str, Any]:
    """What a user of the exported files must know, JSON-able."""
    (first, *_), training, classes = source.layers, run.settings.training, run.packed.classes
    return {
        "run": run.folder.resolve().name,
        "title": run.result.name,
        "architecture": training.arch,
        "scheme": training.scheme,
        "trained_in_precision": training.precision,
        "input": {
            "name": first.top[0],
            "shape": ["N", *first.input_param.shape[0].dim[1:]],
            "type": "float32",
            "layout": "N C H W",
            "channels": "B G R",
            "values": "0 to 255, as stored: mean and scale are applied inside the net",
        },
        "applied_inside": {
            "mean_of_each_channel": _channel_means(preparation.mean),
            "mean_is_an_image": preparation.mean is not None and preparation.mean.ndim == 3,
            "scale": preparation.scale,
        },
        "output": {"name": source.layers[-1].top[0], "shape": ["N", len(classes)], "values": "class probabilities"},
        "classes": list(classes),
        "versions": {"pycaffe_ext": __version__, "trained_with": run.record.versions},
    }


def _channel_means(mean: np.ndarray | None) -> list[float] | None:
    return None if mean is None else mean.reshape(len(mean), -1).mean(axis=1, dtype=np.float64).round(4).tolist()
