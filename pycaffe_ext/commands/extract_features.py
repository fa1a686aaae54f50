"""Write blobs of a trained net over its own data into databases.

Usage: extract_features PRETRAINED_NET_PARAM FEATURE_EXTRACTION_PROTO_FILE BLOB_NAME1[,NAME2,...]
           SAVE_DATASET_NAME1[,NAME2,...] NUM_MINI_BATCHES DB_TYPE [CPU/GPU] [DEVICE_ID=0]
"""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.errors import UserError, known
from pycaffe_ext.programs.flags import parse


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse(__doc__ or "", {}, [6, 7, 8], arguments)
    if not given:
        return
    weights, model, blobs, databases, batches, backend, *rest = given[1]
    mode, device = (*rest, *("CPU", "0")[len(rest) :])
    on_gpu = known(mode, ("CPU", "GPU"), "mode") == "GPU"
    for name, number in (("NUM_MINI_BATCHES", batches), ("DEVICE_ID", device)):
        if not number.isdigit():
            raise UserError(f"{name} must be a whole number, not {number!r}")
    from pycaffe_ext.programs import extract_features

    gpu = int(device) if on_gpu else None
    extract_features.extract(weights, model, blobs.split(","), databases.split(","), int(batches), backend, gpu)
