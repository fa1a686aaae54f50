"""What a run says at its end: a few lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pycaffe_ext.engine.options import FAITHFUL
from pycaffe_ext.evaluation.metrics import carried
from pycaffe_ext.runs.records import ResultRecord
from pycaffe_ext.training import resumes

NAMED = 5  # of the damaged frames
QUOTED = 1  # of the thresholds
EMBEDDED = "the embedded donor"


def donor_text(fine_tunes: bool, embedded: bool, file: Path | None) -> str:
    """Where the weights came from, in words that cannot be taken for ImageNet when it was not."""
    if not fine_tunes:
        return "none, trained from scratch"
    if embedded:
        return f"{EMBEDDED}, pre-trained on procedural and synthetic images; it is NOT ImageNet"
    return str(file)


def damage_text(damaged: Sequence[str]) -> str:
    """How many frames are damaged, and the first of them."""
    first = ", ".join(damaged[:NAMED]) + (", ..." if len(damaged) > NAMED else "")
    return f"damaged frames that are used (DAMAGED=keep): {len(damaged)} ({first})"


def share_text(share: Mapping[str, Any]) -> str:
    """The training groups that were learnt from; share : see Packed."""
    if not share:
        return "training groups: all (FRACTION=1)"
    drawn = share.get("drawn", share["groups"])  # not in a run of an earlier version
    few = f", patches from {drawn} of them (PATCHES=)" if drawn < share["groups"] else ""
    return f"training groups: {share['groups']} of {share['of']} (FRACTION={share['share']}){few}"


def link_text(link: Mapping[str, Any], chosen: str) -> str:
    """A line on a link of a chain.   chosen : the link whose snapshot is tested."""
    return (
        f"link {link['link']}: best at its iteration {link['iteration']}, validation AUC {link['validation_auc']:.4f}"
        f" (stopped by {link['stopped_by']}){', tested' if link['link'] == chosen else ''}"
    )


def text(result: ResultRecord, folder: Path, about_test: Sequence[str]) -> str:
    """The outcome: snapshot, AUC, what the metric says of the test (`about_test`), and where the files are."""
    best = result.best
    lines = [
        f"{result.name}  (donor: {result.donor})",
        *([f"input: {result.input}"] if result.input else []),
        f"best of {result.snapshots} snapshots: epoch {best.epoch:g}, iteration {best.iteration},"
        f" validation AUC {best.validation_auc:.4f} (stopped by {result.stopped_by})",
        *(link_text(link, best.link) for link in result.links),
        *([share_text(result.share)] if result.share else []),
        *about_test,
        *(carried.text(row) for row in result.thresholds[:QUOTED]),
    ]
    if result.precision != FAITHFUL:
        lines.append(f"NOT FAITHFUL TO CAFFE: convolutions were computed in {result.precision}")
    if interrupted := resumes.text(result.resumes):
        lines.append(f"interrupted: {interrupted}")
    lines += [f"warning: {warning}" for warning in result.warnings]
    lines.append(f"files: {folder}/{', '.join(['result.json', *result.files])}")
    return "\n".join(lines)
