"""Where nets live, and what a process does before the first of them is made there."""

from __future__ import annotations

import torch

from pycaffe_ext.engine import options
from pycaffe_ext.engine.memory import keep_freed_memory


def cpu() -> torch.device:
    """The CPU; the process keeps the memory that tensors give up for the next ones."""
    keep_freed_memory()
    return torch.device("cpu")


def gpu(index: int) -> torch.device:
    """A GPU; float32 products are Caffe's, not rounded to TF32, unless the options ask for that (torch's default is
    TF32 in convolutions)."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = options.tf32()
    return torch.device("cuda", index)
