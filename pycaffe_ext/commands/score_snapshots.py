"""Choose a snapshot afterwards: score every snapshot in a folder, whichever Caffe wrote them, on validation patches."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("score-snapshots", arguments)
    model, folder = _model(options), Path(options["snapshots"])
    from pycaffe_ext.training.afterwards import Patches, score_folder
    from pycaffe_ext.training.command import Caffe

    with tempfile.TemporaryDirectory() as scratch:
        result = score_folder(
            Caffe.from_setting(options["caffe"], options["gpu"]),
            folder,
            Patches(model, Path(options["lmdb"]) if options["lmdb"] else None, options["head"], options["count"]),
            Path(options["out"]) if options["out"] else folder,
            Path(scratch),
            name=options["name"],
            epoch=options["epoch"],
            patience=options["patience"],
        )
    print(f"best: iteration {result.best.iteration}, AUC {result.best.auc:.4f}, {result.weights}")


def _model(options: Mapping[str, Any]) -> Path:
    given = [options[name] for name in ("model", "net") if options[name]]
    if len(given) != 1:
        raise UserError("give either --model=PROTOTXT, a score net, or --net=PROTOTXT, a train_val net")
    return Path(given[0])
