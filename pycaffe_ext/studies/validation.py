"""What the nets of a study say of their validation patches, which the page replays the paper's procedure on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pycaffe_ext.progress import bar
from pycaffe_ext.report.grid.procedure import LEAST_DEPTHS
from pycaffe_ext.runs import rescoring
from pycaffe_ext.runs.finished import RunFiles
from pycaffe_ext.runs.settings import Machine
from pycaffe_ext.schemes import is_depth
from pycaffe_ext.studies.evidence import questions
from pycaffe_ext.studies.grid import Cell
from pycaffe_ext.training.command import Caffe

BEST = ("best.caffemodel", "best.caffemodel.h5")


def keep(cells: Sequence[Cell], loaded: Mapping[str, RunFiles], machine: Machine) -> int:
    """Score the validation patches of finished depths that have not kept their scores, as runs of earlier versions have
    not; returns how many there were.

    loaded : as `evidence.load` gives them.   Only where there are depths enough for a replay.
    Raises UserError as `rescoring.of_validation`.
    """
    left = {run.folder: run for run in _without(cells, loaded)}
    for run in bar(left.values(), "scoring validation patches", unit="run"):
        precision = run.settings.training.precision
        rescoring.of_validation(run, Caffe.from_setting(machine.caffe, machine.gpu, precision, machine.cache_gb))
    return len(left)


def _without(cells: Sequence[Cell], loaded: Mapping[str, RunFiles]) -> Iterator[RunFiles]:
    for question in questions(cells):
        depths = {own.name for own in question.schemes if is_depth(own.name)}
        if len(depths) < LEAST_DEPTHS:
            continue
        for cell in question.cells:
            run = loaded.get(cell.settings.name())
            there = run and cell.settings.scheme in depths and any((run.folder / name).exists() for name in BEST)
            if run and there and rescoring.kept_validation(run) is None:
                yield run
