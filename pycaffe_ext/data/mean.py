"""The mean image of a database, as Caffe subtracts it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from pycaffe_ext import proto
from pycaffe_ext.data.datum import from_bytes, open_database
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_json


def mean_image(database: str | Path, progress: bool = True) -> np.ndarray:
    """Mean (C, H, W) float64 of all patches in an LMDB, streamed; exact, sums are integers.

    Encoded Datums count as Caffe decodes them. Raises UserError if the database is empty or patches differ in shape.
    """
    total = None
    with open_database(database) as transaction:
        count = transaction.stat()["entries"]
        entries = transaction.cursor().iternext(keys=False)
        for content in tqdm(entries, "mean", count, unit="patch", disable=not progress, delay=2, leave=False):
            patch, _ = from_bytes(content)
            if total is None:
                total = np.zeros(patch.shape, np.uint64)
            if patch.shape != total.shape:
                raise UserError(f"patches of shape {total.shape} and {patch.shape}: a mean needs one shape")
            np.add(total, patch, out=total)
        if total is None:
            raise UserError("no patch in it; pack the patches first")
    return total / count


def write_mean(database: str | Path, folder: str | Path, progress: bool = True) -> np.ndarray:
    """Write the mean of an LMDB to `folder` and return it, (C, H, W) float64.

    mean.binaryproto : the mean image (Caffe's mean_file).   mean.json : mean of each channel (Caffe's mean_value),
    {"mean_value": [B, G, R], "order": "BGR"} for colour patches.
    """
    folder = Path(folder)
    mean = mean_image(database, progress)
    channels = [float(value) for value in mean.mean(axis=(1, 2))]
    proto.write_mean(folder / "mean.binaryproto", mean.astype(np.float32))
    write_json(folder / "mean.json", {"order": "BGR" if len(channels) == 3 else "channels", "mean_value": channels})
    return mean
