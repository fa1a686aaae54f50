"""Early stopping after the fact: the snapshots that some Caffe wrote are all there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pycaffe_ext.errors import UserError, known
from pycaffe_ext.proto import caffe_pb2, read_blobs, read_net, write_text
from pycaffe_ext.strings import native
from pycaffe_ext.training import early_stopping, snapshots
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.fit import FitResult, Validation, keep_best, score_snapshot
from pycaffe_ext.training.score_model import describe, entries, from_train_val
from pycaffe_ext.training.table import Row, print_row, write_rows

# layers with weights, where they have one bottom: with two, Scale and Bias have none
LEARNING = {"BatchNorm", "Bias", "Convolution", "Deconvolution", "Embed", "InnerProduct", "PReLU", "Scale"}


@dataclass(frozen=True)
class Patches:
    """What snapshots are scored on.

    model : score net or train_val net (prototxt)        lmdb : the patches, None = the net's own
    head : the layer whose values are scored, None = the last one        count : of the patches, None = all
    """

    model: Path
    lmdb: Path | None = None
    head: str | None = None
    count: int | None = None


def score_folder(
    caffe: Caffe,
    folder: Path,
    patches: Patches,
    out: Path,
    scratch: Path,
    *,
    name: str | None = None,
    epoch: float = 1.0,
    patience: int | None = None,
) -> FitResult:
    """Score the snapshots of a folder in order; write auc.csv and best.caffemodel to `out`, delete nothing.

    name : of NAME_iter_N, where there are several        epoch : iterations per epoch        scratch : gets the net
    With `patience`, snapshots beyond the point where the training would have stopped are not scored.
    """
    found = snapshots.listing(_prefix(folder, name))
    validation, learning = _validation(patches, scratch)
    rows: list[Row] = []
    for snapshot in found:
        _check_layers(snapshot.weights, learning)
        rows.append(score_snapshot(caffe, snapshot, validation, epoch)[0])
        aucs = {row.iteration: row.auc for row in rows}
        best = early_stopping.best(aucs)
        print_row(rows[-1], best == snapshot.iteration)
        if stop := early_stopping.should_stop(aucs, patience):
            break
    write_rows(out / "auc.csv", rows)
    kept = keep_best(found, best, out)
    chosen = next(row for row in rows if row.iteration == best)
    return FitResult(tuple(rows), chosen, "patience" if stop else "max_iter", kept)


def _prefix(folder: Path, name: str | None) -> str:
    names = [Path(prefix).name for prefix in snapshots.prefixes(folder)]
    if not names:
        raise UserError(f"{folder}: no snapshots (NAME_iter_N.caffemodel or .caffemodel.h5) in this folder")
    if name is None and len(names) > 1:
        raise UserError(f"{folder} holds snapshots of {', '.join(names)}: choose one with --name")
    return str(folder / known(name or names[0], names, "snapshot name"))


def _validation(patches: Patches, scratch: Path) -> tuple[Validation, list[str]]:
    """What snapshots are scored on, its net written to `scratch`, and the layers that have weights."""
    net, count = read_net(patches.model), patches.count
    net = from_train_val(net, patches.lmdb or Path(_test_source(net, patches.model)), patches.head)
    about = describe(net, patches.head)
    available = entries(about.source)
    if count is not None and not 1 <= count <= available:
        raise UserError(f"--count {count}: {about.source} holds {available} patches")
    write_text(scratch / "score.prototxt", net)
    scored = Validation(scratch / "score.prototxt", count or available, about.batch_size, about.head, about.classes)
    return scored, [layer.name for layer in net.layer if layer.type in LEARNING and len(layer.bottom) == 1]


def _test_source(net: caffe_pb2.NetParameter, model: Path) -> str:
    sources = [native(layer.data_param.source) for layer in net.layer if layer.type == "Data"]
    if not sources:
        raise UserError(f"{model}: has no Data layer; give a score net or a train_val net")
    return sources[-1]


def _check_layers(weights: Path, learning: Sequence[str]) -> None:
    """Caffe leaves a layer that the file does not have at random, and says nothing."""
    blobs = read_blobs(weights)
    if missing := [name for name in learning if name not in blobs]:
        layers = f"layer{'s' * (len(missing) > 1)} {', '.join(missing)}"
        raise UserError(f"{weights} has no {layers} (it has {', '.join(blobs)}); is this its net?")
