"""The links of a run's scheme, and those of them that a finished run has trained already.

The first links of a chain are a scheme of their own: `lp-ft` and `gradual` begin as the fine-tuning of the last stage,
and each gradual-STAGE as the one that ends a stage before. What a run of that scheme came to is copied: the solver,
the data and the command would be the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pycaffe_ext.errors import UserError
from pycaffe_ext.runs import costs
from pycaffe_ext.runs.finished import RunFiles, load
from pycaffe_ext.runs.records import RunRecord
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.schemes import beginning, links, places
from pycaffe_ext.training import early_stopping
from pycaffe_ext.training.chain import ChainResult, Link, starts, take

SAME = ("caffe", "pycaffe_ext")  # versions without which a training need not come to the same


def links_of(settings: Settings, folder: Path) -> tuple[Link, ...]:
    """The links of a run in `folder`, from the first on."""
    own = settings.training
    pairs = zip(links(own.scheme, own.arch), places(own.scheme, own.arch), strict=True)
    return tuple(Link(link, folder / place, folder / place / "solver.prototxt") for link, place in pairs)


def trained(settings: Settings, record: RunRecord, runs: Path) -> RunFiles | None:
    """The finished run in `runs` that has trained most of a chain's first links, but not all, undisturbed, from the
    same inputs and by the same caffe; None where there is none."""
    own = settings.training
    for count in range(len(links(own.scheme, own.arch)) - 1, 0, -1):
        scheme = beginning(own.scheme, count, own.arch)
        wanted = replace(settings, training=replace(own, scheme=scheme))
        found = _finished(runs / wanted.name())
        if found and not wanted.differences(found.settings) and _made_alike(found, record):
            return found
    return None


def take_links(done: RunFiles, chain: Sequence[Link]) -> dict[str, float]:
    """Copy what a run's links came to into the first links of a chain; returns, by folder, the seconds they took."""
    spent = {}
    for link, own in zip(links_of(done.settings, done.folder), chain, strict=False):
        best = early_stopping.best({row.iteration: row.auc for row in link.rows})
        weights = next(iter(sorted(link.folder.glob("best.caffemodel*"))), link.folder / "best.caffemodel")
        take(own, link.folder, weights, best)
        spent[own.folder.name] = costs.of_link(done.record.cost, link.folder.name)
    return spent


def records(chain: Sequence[Link], fitted: ChainResult) -> list[dict[str, Any]]:
    """What result.json says of each link."""
    before = starts([one.rows for one in fitted.links])
    return [
        {
            "link": link.folder.name,
            "scheme": link.scheme,
            "before": start,
            "iteration": one.best.iteration,
            "epoch": one.best.epoch,
            "validation_auc": one.best.auc,
            "snapshots": len(one.rows),
            "stopped_by": one.reason,
        }
        for link, one, start in zip(chain, fitted.links, before, strict=True)
    ]


def _finished(folder: Path) -> RunFiles | None:
    try:
        return load(folder)
    except UserError:
        return None  # of another version, or damaged


def _made_alike(done: RunFiles, record: RunRecord) -> bool:
    same = all(done.record.versions.get(name) == record.versions.get(name) for name in SAME)
    return same and not done.result.resumes and _data(done.record) == _data(record)


def _data(record: RunRecord) -> dict[str, str]:
    """The digests of what is learnt from; those of prototxts depend on the scheme."""
    return {name: value for name, value in record.inputs.items() if not name.endswith(".prototxt")}
