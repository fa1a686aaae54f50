"""A net in every format, written into one folder only if each file, read back, gives the expected probabilities."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.export import onnx, require, safetensors
from pycaffe_ext.export.source import Preparation, Source
from pycaffe_ext.files import check_writable, write_json, writing_folder

TOLERANCE = 1e-4
BATCH = 50
FILES = {"ONNX": "model.onnx", "safetensors": "model.safetensors", "PyTorch": "model.pt2"}
RECORD = "model.json"
Forward = Callable[[np.ndarray], np.ndarray]


def check_folder(folder: Path) -> None:
    """Raise UserError unless `folder` can be written and, if it exists, holds nothing but an earlier export."""
    check_writable(folder.parent, "OUT=")
    if folder.exists():
        check_writable(folder, "OUT=")
        other = sorted({path.name for path in folder.iterdir()} - {*FILES.values(), RECORD})
        if other:
            raise UserError(f"{folder} holds other files, e.g. {other[0]}; choose a new folder with OUT=")


def write(
    source: Source, about: Mapping[str, Any], folder: Path, patches: np.ndarray, probabilities: np.ndarray
) -> dict[str, float]:
    """Write FILES and RECORD into `folder`, all or none; returns the largest difference of each format.

    source : a net that prepares its input itself (`source.prepared`), with one input and one output.
    about : JSON-able facts; they are the metadata of each file and, with the differences, RECORD.
    patches : (n, C, H, W) raw values, B G R, 0 to 255.   probabilities : (n, classes), expected of them.
    Raises UserError if one differs by more than TOLERANCE, and as `check_folder` and `onnx.graph_of`.
    """
    require("onnx", "onnxruntime", "safetensors")
    check_folder(folder)
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}
    with writing_folder(folder) as part:
        _write_files(source, part, text)
        values = patches.astype(np.float32)
        found = {kind: largest_difference(forward, values, probabilities) for kind, forward in forwards(part).items()}
        for kind, difference in found.items():
            _check(kind, difference, len(patches))
        check = {"patches": len(patches), "allowed": TOLERANCE, "largest_difference": found}
        write_json(part / RECORD, {**about, "check": check})
    return found


def _write_files(source: Source, folder: Path, about: Mapping[str, str]) -> None:
    from pycaffe_ext.export import pytorch  # late: it imports torch

    nothing_left = Preparation()
    onnx.write(source, folder / FILES["ONNX"], nothing_left, about, any_batch=True)
    safetensors.write(source, folder / FILES["safetensors"], nothing_left, about)
    pytorch.write(source, folder / FILES["PyTorch"], nothing_left, about, any_batch=True)


def forwards(folder: Path) -> dict[str, Forward]:
    """Format -> what its file in `folder` computes: raw patches (n, C, H, W) float32 -> (n, classes) float32."""
    from pycaffe_ext.export import pytorch

    return {
        "ONNX": onnx.load(folder / FILES["ONNX"]),
        "safetensors": pytorch.runs(pytorch.module(safetensors.read(folder / FILES["safetensors"]))),
        "PyTorch": pytorch.load(folder / FILES["PyTorch"]),
    }


def largest_difference(forward: Forward, patches: np.ndarray, probabilities: np.ndarray) -> float:
    """Over all patches and classes; NaN if a value is.  The first patch is a batch of its own, the others follow in
    batches of BATCH, so that sizes of the batch are checked too."""
    bounds = [0, *range(1, len(patches), BATCH), len(patches)]
    batches = [patches[start:end] for start, end in pairwise(bounds)]
    found = np.concatenate([forward(batch) for batch in batches])
    if found.shape != probabilities.shape:
        raise UserError(f"the net gives {found.shape[1:]} values a patch, {probabilities.shape[1:]} expected")
    return float(np.abs(found - probabilities).max())


def _check(kind: str, difference: float, patches: int) -> None:
    if not difference <= TOLERANCE:  # also for NaN
        raise UserError(
            f"{FILES[kind]} differs from the run's own scores by {difference:.2g} on {patches} patches, allowed is"
            f" {TOLERANCE:g}; nothing was written"
        )
