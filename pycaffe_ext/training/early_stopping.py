"""The rule that chooses a snapshot and ends the training, on the validation AUC of each snapshot ([S]: training
stops when the highest validation AUC is reached)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pycaffe_ext.errors import UserError


def best(aucs: Mapping[int, float]) -> int:
    """The iteration with the highest AUC, the earliest of equals.

    aucs : iteration -> validation AUC.  Raises UserError if there is none or one is not finite.
    """
    if not aucs:
        raise UserError("no snapshot has been scored: nothing to choose the best from")
    undefined = [iteration for iteration, auc in aucs.items() if not math.isfinite(auc)]
    if undefined:
        raise UserError(f"validation AUC undefined at iterations {undefined}; read train.log before going on")
    return min(aucs, key=lambda iteration: (-aucs[iteration], iteration))


def should_stop(aucs: Mapping[int, float], patience: int | None) -> bool:
    """Whether the best has not been beaten by the `patience` snapshots after it (None: never stop)."""
    if patience is None or not aucs:
        return False
    if patience < 1:
        raise UserError(f"PATIENCE={patience}: give a number of snapshots, 1 or more")
    chosen = best(aucs)
    return sum(iteration > chosen for iteration in aucs) >= patience


def stopping_point(aucs: Mapping[int, float], patience: int | None) -> int | None:
    """The iteration at which a run that is scored in order would have stopped; None if it would not have."""
    seen: dict[int, float] = {}
    for iteration in sorted(aucs):
        seen[iteration] = aucs[iteration]
        if should_stop(seen, patience):
            return iteration
    return None
