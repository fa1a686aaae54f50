"""What a GPU reports of its own accord, for a person: memory that does not suffice, an index that is out of range."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pycaffe_ext.engine import devices
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.layers import Layer
from pycaffe_ext.errors import DeviceLostError, UserError

USABLE = 0.85  # of the memory: workspaces and gaps take the rest
BESIDE = 2.0  # bytes that an item takes, gradients and layers' own, for each byte of its blobs, at least
ROUND = 8  # batches are named in multiples of it, where they are that large
OUTSIDE = "device-side assert"  # how CUDA reports an index outside its range, once anything waits for it


@contextmanager
def explained() -> Iterator[None]:
    """Raise what a GPU reports within as a UserError of one line."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raised = UserError(_out_of_memory(error))
    except RuntimeError as error:
        if OUTSIDE not in str(error):
            raise
        raised = DeviceLostError(
            "a label or an index is outside its range, which a GPU reports too late to say where; run the same"
            " on the CPU (leave -gpu out), which names the layer and the values"
        )
    else:
        return
    raise raised


def _out_of_memory(error: BaseException) -> str:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    selves = [frame.f_locals.get("self") for frame in frames]
    net = next((one for one in reversed(selves) if isinstance(one, Net)), None)
    layer = next((one for one in reversed(selves) if isinstance(one, Layer)), None)
    device = net.device if net else layer.device if layer else torch.device("cuda")
    used, capacity = devices.memory(device)
    where = f" at layer {layer.name!r}" if layer else ""
    start = f"GPU {device.index or 0} is out of memory{where}: {used / 1e9:.2f} of {capacity / 1e9:.2f} GB in use"
    if net is None or not net.tops or not net.tops[0][0].shape:
        return f"{start}; use a smaller net or batch, or end the other programs on that GPU"
    back = any(frame.f_code.co_name == "backward" for frame in frames)
    batch = net.tops[0][0].shape[0]
    fits = batch_that_fits(batch, *_sizes(net, back), used, capacity)
    advice = f"a batch of about {fits} would fit, set batch_size" if fits else "not even a batch of 1 would fit"
    return f"{start} with a batch of {batch}; {advice}"


def batch_that_fits(batch: int, fixed: int, values: int, made: int, used: int, capacity: int) -> int:
    """The largest batch, below `batch`, that should fit into `capacity` bytes; 0 if none does.

    fixed : bytes that do not depend on the batch;  values : of all blobs between the layers, `made` of them were there
    when `used` bytes were in use.  What an item takes beside its blobs is taken from that.
    """
    beside = max(BESIDE, (used - fixed) / made) if made else BESIDE
    fits = math.floor((USABLE * capacity - fixed) / (beside * values / batch))
    fits = max(0, min(fits, batch - 1))
    return fits - fits % ROUND if fits >= ROUND else fits


def _sizes(net: Net, back: bool) -> tuple[int, int, int]:
    """(bytes of parameters, their gradients and histories, of all blobs, of the blobs that have been made)."""
    blobs = list({id(blob.values): blob for blob in net.blobs.values()}.values())  # each memory once
    made = sum(map(_bytes, blobs if back else [blob for blob in blobs if blob.holds_data]))
    return 3 * sum(map(_bytes, net.learnable_params)), max(1, sum(map(_bytes, blobs))), made


def _bytes(blob: Blob) -> int:
    return 4 * blob.count
