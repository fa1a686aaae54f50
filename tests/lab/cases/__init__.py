"""The layer cases of every family: each module of this package exports CASES; a new module is collected by itself."""

from __future__ import annotations

import importlib
import pkgutil

from engine_cases import Case


def families() -> dict[str, list[Case]]:
    """Name of a family (its module) -> its cases, in the order of the names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: list(importlib.import_module(f"{__name__}.{name}").CASES) for name in names}
