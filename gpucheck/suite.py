"""All checks, in the order of their importance."""

from __future__ import annotations

from collections.abc import Sequence

from gpucheck import fast, right
from gpucheck.checks import Check
from pycaffe_ext.errors import known

CHECKS = (*right.CHECKS, *fast.CHECKS)


def chosen(names: Sequence[str]) -> list[Check]:
    """The named checks, all for no name; UserError for an unknown one."""
    wanted = {known(name, [check.name for check in CHECKS], "check") for name in names}
    return [check for check in CHECKS if not names or check.name in wanted]
