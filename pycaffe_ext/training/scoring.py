"""Patch probabilities by `caffe test` on a score net: a net whose outputs are the head's raw values and the label."""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pycaffe_ext.errors import UserError
from pycaffe_ext.progress import bar
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.log import number

VALUE = re.compile(r"\] Batch \d+, (\S+) = (\S+)")
BATCH = re.compile(r"\] Batch (\d+),")
SMALLEST = float(np.finfo(np.float32).tiny)  # SoftmaxWithLoss takes the logarithm of nothing smaller


@dataclass(frozen=True)
class ScoreNet:
    """A score net and how many patches of its LMDB are read.

    model : prototxt, whose outputs are `head` (batch_size, classes), before any softmax, and "label".
    """

    model: Path
    count: int
    batch_size: int
    head: str
    classes: int


def score(
    caffe: Caffe, net: ScoreNet, weights: Path, log: Path | None = None, progress: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Class probabilities of the first `net.count` patches of the score net's LMDB, in the LMDB's order.

    Returns (probabilities (count, classes) float64, labels (count,) int64).  Caffe logs six digits; the softmax is
    taken here, in float64, because probabilities printed at six digits would tie at 0 and 1.  Caffe reads whole
    batches and starts over at the LMDB's end; what it reads again is dropped.
    Raises UserError, naming the weights, if Caffe fails or a value is missing or not finite.
    """
    from scipy.special import softmax

    count, batch_size, classes = net.count, net.batch_size, net.classes
    if min(count, batch_size) < 1:
        raise ValueError(f"count {count} and batch size {batch_size} must be 1 or more")
    iterations = -(-count // batch_size)
    with closing(caffe.test(net.model, weights, iterations, log)) as lines:
        outputs = collect(_watched(lines, iterations, progress))
    raw = values(outputs, net.head, iterations * batch_size * classes, weights).reshape(-1, classes)[:count]
    labels = values(outputs, "label", iterations * batch_size, weights)[:count]
    if not np.isin(labels, np.arange(classes)).all():
        raise UserError(f"{weights}: the data set has labels outside 0..{classes - 1}, e.g. {labels.max():g}")
    return softmax(raw, axis=1), labels.astype(np.int64)


def _watched(lines: Iterable[str], iterations: int, progress: bool) -> Iterator[str]:
    """The same lines, with a bar that counts batches."""
    with bar(title="scoring", total=iterations, unit="batch", progress=progress) as shown:
        for line in lines:
            if progress and (found := BATCH.search(line)):
                shown.update(int(found[1]) + 1 - shown.n)
            yield line


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """What SoftmaxWithLoss would give on these patches: the mean of -log P(label)."""
    chosen = probabilities[np.arange(labels.size), labels]
    return float(-np.log(np.maximum(chosen, SMALLEST)).mean())


def collect(lines: Iterable[str]) -> dict[str, np.ndarray]:
    """Values of each net output over all batches of a `caffe test`, in the order they were logged."""
    outputs: dict[str, array[float]] = defaultdict(lambda: array("d"))
    for line in lines:
        if found := VALUE.search(line):
            value = number(found[2])
            outputs[found[1]].append(np.nan if value is None else value)
    return {name: np.array(values) for name, values in outputs.items()}


def values(outputs: dict[str, np.ndarray], name: str, expected: int, weights: Path) -> np.ndarray:
    """All values of a net output, in the order they were logged; UserError, naming the weights, unless there are
    `expected` finite ones."""
    found = outputs.get(name, np.empty(0))
    if found.size != expected:
        raise UserError(
            f"{weights}: caffe test gave {found.size} values of {name}, {expected} expected"
            f" (outputs: {', '.join(sorted(outputs)) or 'none'}); check the score net and the class count"
        )
    if not np.isfinite(found).all():
        raise UserError(f"{weights}: {name} is not finite; training has diverged, lower base_lr")
    return found
