"""A trained detector: its settings and its two forests, and what they make of the edges of a frame."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pycaffe_ext.detector.context import surroundings
from pycaffe_ext.detector.edges import Edges, View, both_ways, find_edges
from pycaffe_ext.detector.forest import Forest, from_arrays
from pycaffe_ext.detector.labels import AHEAD
from pycaffe_ext.detector.oriented import COUNT, describe
from pycaffe_ext.detector.settings import UNTRAINED, Detector
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing

FIRST = 10  # candidates of a frame by which the trained and the untrained detector are compared
MOST_FEATURES = 4096  # of the second stage, in a file


class Choice(NamedTuple):
    """What trained models and the untrained one find on training frames, of groups that the trained ones did not see.

    with_training, without : of the `polyps`, those that the first candidates of a frame hit, FIRST at most.
    one_only : those that only one of the two hits.
    early, early_without : the same hits summed over the first 1, 2 ... FIRST candidates: the better the ranking, the
    more of them.
    """

    with_training: int
    without: int
    polyps: int
    one_only: int
    early: int
    early_without: int

    @property
    def trained(self) -> bool:
        """Whether the trained one is kept: it hits more; or, where they differ by less than chance does, ranks better.

        Under the hypothesis that both are as good the difference has the standard deviation sqrt(one_only).
        """
        more = self.with_training - self.without
        return more > 0 if more**2 > self.one_only else self.early >= self.early_without

    def text(self) -> str:
        kept = "trained" if self.trained else "untrained, as training does not help here"
        counts = f"{self.with_training} of {self.polyps} polyps with training, {self.without} without"
        return f"detector: {kept} (on training frames that it did not see, the first {FIRST} candidates hit {counts})"


@dataclass(frozen=True)
class Model:
    """What `train` gives: the settings, the forest on oriented patches and the one on its outputs round about.

    Without forests it is the untrained detector, which lets every edge vote by its strength.
    choice : why it has forests or none; None where nothing was compared.
    """

    settings: Detector
    first: Forest | None = None
    second: Forest | None = None
    choice: Choice | None = None

    def voters(self, view: View) -> Edges:
        """The edge pixels that pass, each as often as it points to a polyp; weight: probability of its boundary."""
        edges = find_edges(view, self.settings)
        if self.first is None or self.second is None or not len(edges):
            return both_ways(edges, np.concatenate([edges.weight, self.settings.dark * edges.weight]))
        directed, low = first_stage(edges, describe(view, edges), self.first)
        context = surroundings(directed, low, view.scene, self.settings)
        probability = self.second.predict(context)[:, AHEAD]
        return both_ways(edges, probability).at(np.flatnonzero(probability > self.settings.floor))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz of plain arrays, whole or not at all; reading it runs no code."""
        with writing(path, "wb") as file:
            np.savez(file, allow_pickle=False, **self._arrays(), choice=np.array(self.choice or (), np.int64))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """The model that was saved; UserError if the file is missing, damaged or something else."""
        path = Path(path)
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            settings = Detector(**json.loads(str(arrays["settings"])))
            counts = arrays["choice"].tolist()
            choice = Choice(*counts) if counts else None
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; train the detector first") from None
        except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile):
            raise UserError(f"{path}: not a detector of this program, or damaged; remove it and train again") from None
        if not any("/" in name for name in arrays):
            return cls(settings, choice=choice)
        stages = {"first/": COUNT, "second/": MOST_FEATURES}
        kept = ({name.removeprefix(s): a for name, a in arrays.items() if name.startswith(s)} for s in stages)
        first, second = (from_arrays(a, n, str(path)) for a, n in zip(kept, stages.values(), strict=True))
        return cls(settings, first, second, choice)

    def digest(self) -> str:
        """Hexadecimal sha256 of the settings and forests: equal for models that detect alike."""
        total = hashlib.sha256()
        for name, array in sorted(self._arrays().items()):
            total.update(f"{name} {array.dtype} {array.shape}\n".encode() + np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    def _arrays(self) -> dict[str, np.ndarray]:
        found = {"settings": np.array(json.dumps(asdict(self.settings), sort_keys=True))}
        for stage, forest in (("first", self.first), ("second", self.second)):
            if forest is not None:
                found |= {f"{stage}/{name}": array for name, array in forest.arrays().items()}
        return found


def first_stage(edges: Edges, described: np.ndarray, forest: Forest) -> tuple[Edges, np.ndarray]:
    """The edges both ways, weighted by the probability of AHEAD, and all probabilities, float32 (2 n, CLASSES)."""
    probability = forest.predict(described)
    return both_ways(edges, probability[:, AHEAD]), probability


UNTRAINED_MODEL = Model(UNTRAINED)
