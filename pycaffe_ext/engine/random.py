"""One seed for everything random in the engine: all of it draws from torch's default generators."""

from __future__ import annotations

import torch


def set_seed(seed: int) -> None:
    """Make what follows repeat itself: fillers, dropout, crops, mirrors (CPU and every CUDA device)."""
    torch.manual_seed(seed)
