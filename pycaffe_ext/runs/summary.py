"""What a run says at its end: a few lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pycaffe_ext.engine.options import FAITHFUL
from pycaffe_ext.training import resumes

QUOTED_RATES = (1.0, 2.0)  # false positives per frame
NAMED = 5  # of the damaged frames
EMBEDDED = "the embedded donor"


def donor_text(fine_tunes: bool, embedded: bool, file: Path) -> str:
    """Where the weights came from, in words that cannot be taken for ImageNet when it was not."""
    if not fine_tunes:
        return "none, trained from scratch"
    if embedded:
        return f"{EMBEDDED}, pre-trained on procedural images; it is NOT ImageNet"
    return str(file)


def data_text(facts: dict[str, Any], patches: dict[str, int], damaged: Sequence[str] = ()) -> str:
    """Counts at each stage of the data, a line per split; and one that names damaged frames that were kept."""
    lines = []
    for split, fact in facts.items():
        covered = "-" if fact["covered"] is None else f"{100 * fact['covered']:.1f} %"
        lines.append(
            f"{split:5s} {fact['frames']} frames in {fact['groups']} groups, {fact['polyps']} polyps,"
            f" {fact['candidates_per_frame']:.1f} candidates a frame cover {covered} of the polyps,"
            f" {patches[split]} patches"
        )
    if damaged:
        lines.append(damage_text(damaged))
    return "\n".join(lines)


def damage_text(damaged: Sequence[str]) -> str:
    """How many frames are damaged, and the first of them."""
    first = ", ".join(damaged[:NAMED]) + (", ..." if len(damaged) > NAMED else "")
    return f"damaged frames that are used (DAMAGED=keep): {len(damaged)} ({first})"


def text(result: dict[str, Any], folder: Path) -> str:
    """The outcome: snapshot, AUC, and sensitivities of the network and of the hand-crafted detector alone."""
    best, test = result["best"], result["test"]
    low, high = test["patch_auc_95_delong"]
    lines = [
        f"{result['name']}  (donor: {result['donor']})",
        f"best of {result['snapshots']} snapshots: epoch {best['epoch']:g}, iteration {best['iteration']},"
        f" validation AUC {best['validation_auc']:.4f} (stopped by {result['stopped_by']})",
        f"test: patch AUC {test['patch_auc']:.4f} [{low:.4f}, {high:.4f}],"
        f" {test['lesions']} polyps in {test['frames']} frames, {test['candidates']} candidates",
    ]
    for rate in QUOTED_RATES:
        for who in ("network", "detector"):
            point = next(p for p in test[who]["lesion"] if p["at_most_false_positives_per_frame"] == rate)
            lines.append(f"  sensitivity at {rate:g} false positives a frame, {who:8s}: {point_text(point)}")
    if (precision := result.get("precision", FAITHFUL)) != FAITHFUL:
        lines.append(f"NOT FAITHFUL TO CAFFE: convolutions were computed in {precision}")
    if said := resumes.text(result.get("resumes", [])):
        lines.append(f"interrupted: {said}")
    lines.append(f"files: {folder}/result.json, froc.png, convergence.png, auc.csv, scores.csv, best.caffemodel")
    return "\n".join(lines)


def point_text(point: dict[str, Any]) -> str:
    """A sensitivity with its exact binomial interval, and the bootstrap by group where there is one."""
    low, high = point["exact_95"]
    said = f"{point['sensitivity']:.3f}, exact 95 % [{low:.3f}, {high:.3f}]"
    if point["group_bootstrap_95"]:
        low, high = point["group_bootstrap_95"]
        said += f", by group [{low:.3f}, {high:.3f}]"
    return said
