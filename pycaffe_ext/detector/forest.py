"""Random forests: grown by scikit-learn, kept and applied as plain arrays, so that a file of them holds no code."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pycaffe_ext.detector.labels import CLASSES
from pycaffe_ext.detector.settings import Detector
from pycaffe_ext.errors import UserError

AT_ONCE = 128  # rows that go down the trees together: few enough to stay in the processor's cache


@dataclass(frozen=True)
class Forest:
    """Decision trees one after the other, as arrays.

    root: (trees,) int32, the first node of each tree. Of the m nodes: feature int32, threshold float32; child int32,
    the node for values up to the threshold, the next one being for values above it, a leaf being its own child;
    value float32 (m, CLASSES), the share of each class at a leaf.
    """

    root: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    child: np.ndarray
    value: np.ndarray
    depth: int

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Mean share of each class over the trees, float32 (n, CLASSES); features: float32 (n, k)."""
        features = np.ascontiguousarray(features, np.float32)
        parts = (features[start : start + AT_ONCE] for start in range(0, len(features), AT_ONCE))
        return np.concatenate([np.zeros((0, self.value.shape[1]), np.float32), *map(self._predict, parts)])

    def _predict(self, features: np.ndarray) -> np.ndarray:
        """`predict` of a few rows: all trees go down one level at a time."""
        rows, width = features.shape
        flat, start = features.ravel(), np.arange(rows) * width
        node = np.repeat(self.root[:, None], rows, axis=1)
        for _ in range(self.depth):
            node = self.child.take(node) + (flat.take(start + self.feature.take(node)) > self.threshold.take(node))
        total = np.zeros((rows, self.value.shape[1]), np.float32)
        for leaves in node:
            total += self.value.take(leaves, axis=0)
        return total / np.float32(len(self.root))

    def arrays(self) -> dict[str, np.ndarray]:
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}


def grow(features: np.ndarray, label: np.ndarray, settings: Detector, seed: int, workers: int = 1) -> Forest:
    """A forest from samples (n, k) float32 and their classes (n,) int; the same whatever `workers` (threads) is.

    Every tree sees settings.share of the samples, drawn with replacement; classes count alike, however frequent.
    """
    from sklearn.ensemble import RandomForestClassifier

    grown = RandomForestClassifier(
        settings.trees,
        max_depth=settings.depth,
        min_samples_leaf=settings.leaf,
        max_features="sqrt",
        max_samples=settings.share,
        class_weight="balanced",
        random_state=seed,
        n_jobs=workers,
    ).fit(features, label)
    return from_trees([tree.tree_ for tree in grown.estimators_], grown.classes_)


def from_trees(trees: list[Any], classes: np.ndarray) -> Forest:
    """The forest of scikit-learn's `tree_` objects; `classes`: the class of each of their columns."""
    parts, root = [], 0
    for tree in trees:
        parts.append((root, *_renumbered(tree, root, classes)))
        root += tree.node_count
    feature, threshold, child, value = (np.concatenate(column) for column in list(zip(*parts, strict=True))[1:])
    roots = np.array([part[0] for part in parts], np.int32)
    return Forest(roots, feature, threshold, child, value, depth=max(tree.max_depth for tree in trees))


def _renumbered(tree: Any, root: int, classes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Feature, threshold, child and value of a tree whose nodes are numbered from `root`, siblings side by side."""
    order, place = _by_siblings(tree)
    inner = tree.children_left[order] >= 0
    own = np.arange(len(order))
    child = root + np.where(inner, place[tree.children_left[order]], own)
    share = np.zeros((len(order), CLASSES), np.float32)
    value = tree.value[order, 0]
    share[:, classes] = value / value.sum(axis=1, keepdims=True)
    threshold = np.where(inner, _down(tree.threshold[order]), np.float32(np.inf)).astype(np.float32)
    return np.where(inner, tree.feature[order], 0).astype(np.int32), threshold, child.astype(np.int32), share


def _by_siblings(tree: Any) -> tuple[np.ndarray, np.ndarray]:
    """The tree's nodes in an order in which siblings are neighbours, and the place of each node in it."""
    order = [0]
    for node in order:
        if tree.children_left[node] >= 0:
            order += [tree.children_left[node], tree.children_right[node]]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return np.array(order), place


def _down(threshold: np.ndarray) -> np.ndarray:
    """The greatest float32 not above each threshold: float32 values compare with it as with the threshold itself."""
    single = threshold.astype(np.float32)
    return np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)


def from_arrays(arrays: dict[str, np.ndarray], features: int, where: str) -> Forest:
    """The forest of `Forest.arrays`; UserError naming `where` unless every index in it is good for `features`."""
    try:
        parts: dict[str, Any] = {field.name: arrays[field.name] for field in fields(Forest)}
        forest = Forest(**(parts | {"depth": int(parts["depth"])}))
        nodes = len(forest.feature)
        own = forest.child == np.arange(nodes)
        good = (
            forest.threshold.shape == forest.child.shape == (nodes,)
            and forest.value.shape == (nodes, CLASSES)
            and 0 <= forest.depth <= 64
            and len(forest.root) > 0
            and _within(forest.root, nodes)
            and _within(forest.feature, features)
            and _within(forest.child, nodes)
            and _within(forest.child[~own], nodes - 1)
            and not np.isnan(forest.threshold).any()
            and np.isposinf(forest.threshold[own]).all()
            and np.isfinite(forest.value).all()
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        good = False
    if not good:
        raise UserError(f"{where}: not a detector of this program, or damaged; remove it and train again")
    return forest


def _within(index: np.ndarray, count: int) -> bool:
    return index.ndim == 1 and index.dtype == np.int32 and bool(((index >= 0) & (index < count)).all())
