"""What a user may ask of this engine beyond Caffe's flags; it holds for the whole process and needs no torch to set.

precision : "fp32", as Caffe computes, or "bf16": convolutions multiply in bfloat16 (not faithful).
tf32 : whether a GPU may round float32 factors to TF32 (not faithful).
cache_gb : bound in GB of the stored outputs of frozen layers (see engine.cache.prefix); None chooses, 0 stores nothing.
cache_dir : folder in which processes share them (see engine.cache.shared); "" = none, each process has its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pycaffe_ext.errors import UserError, known

PRECISIONS = ("fp32", "bf16")
FAITHFUL = "fp32"


@dataclass
class _Options:
    precision: str = FAITHFUL
    tf32: bool = False
    cache_gb: float | None = None
    cache_dir: str = ""


_options = _Options()


def choose(precision: str = FAITHFUL, tf32: bool = False, cache_gb: float | None = None, cache_dir: str = "") -> None:
    """Set all options at once; UserError for a value that is not allowed."""
    global _options
    check_cache_gb(cache_gb)
    _options = _Options(known(precision, PRECISIONS, "precision"), tf32, cache_gb, cache_dir)


def check_cache_gb(value: float | None) -> None:
    """Raise UserError unless `value` can bound the store of frozen layers' outputs."""
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise UserError(f"cache_gb must be 0 (off) or a number of GB, not {value:g}")


def precision() -> str:
    return _options.precision


def tf32() -> bool:
    return _options.tf32


def cache_gb() -> float | None:
    return _options.cache_gb


def cache_dir() -> str:
    return _options.cache_dir
