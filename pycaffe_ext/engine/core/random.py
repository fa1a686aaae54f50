"""One seed for everything random in the engine: all of it draws from torch's default generators."""

from __future__ import annotations

import math

import numpy as np
import torch


def set_seed(seed: int) -> None:
    """Make what follows repeat itself: fillers, dropout, crops, mirrors (CPU and every CUDA device)."""
    torch.manual_seed(seed)


def own_generator() -> np.random.Generator:
    """A generator of its own for a thread to draw from; where it begins is drawn from torch's."""
    return np.random.default_rng(_seed())


def dropout_mask(like: torch.Tensor, ratio: float) -> torch.Tensor:
    """0 with probability `ratio`, else 1 / (1 - ratio), in the shape and on the device of `like`, float32."""
    scale = 1 / (1 - ratio)
    if like.device.type != "cpu":
        return torch.empty_like(like).bernoulli_(1 - ratio).mul_(scale)
    bits = _random_bits(like.numel())  # twenty times quicker than bernoulli_, which draws on one core
    kept = bits >= int(ratio * 2**32) - 2**31
    return torch.from_numpy(np.multiply(kept, np.float32(scale), dtype=np.float32)).view(like.shape)


def _random_bits(count: int) -> np.ndarray:
    """(count,) int32, each value as likely as any other; where they begin is drawn from torch's generator."""
    rng = np.random.Generator(np.random.SFC64(_seed()))
    return rng.integers(0, 2**64 - 1, math.ceil(count / 2), np.uint64, endpoint=True).view(np.int32)[:count]


def _seed() -> int:
    return int(torch.randint(2**62, (1,)))
