"""The hand-crafted baseline for informative frames: frequency, edges, exposure and colour, and a random forest.

The features are those that papers on colonoscopy frames used before convolutional networks: how the energy of the
spectrum and of the blocks of a discrete cosine transform is spread over frequencies, how strong and how many the edges
are, how much is clipped, dark, or of which colour. A forest of scikit-learn's learns from them on training frames only.
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from pycaffe_ext.data.items import Floats, Ints, Picture
from pycaffe_ext.detector.forest import Forest, from_arrays, from_trees
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing

SIDE = 128  # features are of the frame at this size: larger frames cost time and tell no more
CELLS = 4  # of each axis, where the local sharpness is measured
BANDS = (1, 2, 4, 8, 16, 32, 64)  # radii of the spectrum's rings, periods a frame
TREES, LEAF, FOLDS = 100, 3, 5

FEATURES = (
    *(f"spectrum_{low}_{high}" for low, high in pairwise(BANDS)),
    *(f"dct_{k}" for k in range(1, 8)),
    *(f"laplacian_{part}" for part in ("mean", "low", "high")),
    *(f"gradient_{part}" for part in ("mean", "q50", "q90", "q99")),
    *("edge_density", "edge_straightness"),
    *("clipped", "dark", "brightness", "contrast"),
    *("saturation_mean", "saturation_std", "highlights"),
    *("blue_share", "green_share", "red_share", "colour_spread"),
)


def features(image: Picture) -> Floats:
    """(len(FEATURES),) float64 of a frame (H, W, 3) uint8 BGR, named by FEATURES; all finite, also of a blank frame."""
    small = np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float64)
    parts = (_spectrum(grey), _dct(grey), _laplacian(grey), _gradient(grey), _edges(grey), _light(small, grey))
    return np.concatenate([*parts, _colour(small)])


@dataclass(frozen=True)
class Model:
    """A forest that was trained on training frames."""

    forest: Forest

    def score(self, table: Floats) -> Floats:
        """(n,) in 0..1, higher = more informative; table : (n, features)."""
        return self.forest.predict(table.astype(np.float32))[:, 1].astype(np.float64)

    def save(self, path: Path) -> None:
        """Write an .npz of plain arrays, whole or not at all; reading it runs no code."""
        with writing(path, "wb") as file:
            np.savez(file, allow_pickle=False, **self.forest.arrays())

    @classmethod
    def load(cls, path: Path) -> Model:
        """The model that was saved; UserError if the file is missing, damaged or something else."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(from_arrays(dict(file), len(FEATURES), str(path)))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; prepare the data first") from None
        except (ValueError, OSError, EOFError, zipfile.BadZipFile):
            raise UserError(f"{path}: not a model of this program, or damaged; remove it and train again") from None

    def digest(self) -> str:
        """Hexadecimal sha256 of the forest: equal for models that score alike."""
        total = hashlib.sha256()
        for name, array in sorted(self.forest.arrays().items()):
            total.update(f"{name} {array.dtype} {array.shape}\n".encode() + np.ascontiguousarray(array).tobytes())
        return total.hexdigest()


def train(table: Floats, label: Ints, seed: int) -> Model:
    """A forest of training frames; table : (n, features); label : (n,), 1 = informative. Classes count alike."""
    from sklearn.ensemble import RandomForestClassifier

    grown = RandomForestClassifier(TREES, min_samples_leaf=LEAF, class_weight="balanced", random_state=seed)
    grown.fit(table.astype(np.float32), label)
    return Model(from_trees([tree.tree_ for tree in grown.estimators_], grown.classes_))


def cross_fitted(table: Floats, label: Ints, groups: Sequence[str], seed: int) -> Floats:
    """(n,) scores of the training frames, each from a forest that saw no frame of its group, as test frames' are.

    Raises UserError for fewer than two groups.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    folds = min(FOLDS, len(set(groups)))
    if folds < 2:
        raise UserError("the baseline is trained by group and needs two among the training frames; give smaller groups")
    scores = np.zeros(len(label))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class in fewer groups than folds: some folds lack it
        parts = list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(table, label, groups))
    for rest, held_out in parts:
        scores[held_out] = train(table[rest], label[rest], seed).score(table[held_out])
    return scores


# --- the features -----------------------------------------------------------------------------------------------------


def _spectrum(grey: Floats) -> Floats:
    """Logarithm of the energy in each ring of the spectrum; a window keeps the frame's edges out of it."""
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE))
    energy = np.abs(np.fft.fftshift(np.fft.fft2((grey - grey.mean()) * window))) ** 2 / SIDE**2
    y, x = np.mgrid[-SIDE // 2 : SIDE // 2, -SIDE // 2 : SIDE // 2]
    radius = np.hypot(x, y)
    rings = pairwise(BANDS)
    return np.log1p([energy[(radius >= low) & (radius < high)].mean() for low, high in rings])


def _dct(grey: Floats) -> Floats:
    """Logarithm of the mean energy of each order 1..7 of 8 x 8 blocks, without their mean."""
    from scipy.fft import dctn

    blocks = grey.reshape(SIDE // 8, 8, SIDE // 8, 8).swapaxes(1, 2)
    energy = (dctn(blocks, axes=(2, 3), norm="ortho") ** 2).mean(axis=(0, 1))
    order = np.maximum(*np.mgrid[:8, :8])
    return np.log1p([energy[order == k].mean() for k in range(1, 8)])


def _laplacian(grey: Floats) -> Floats:
    """Logarithm of the Laplacian's variance: over the cells of a grid their mean, a low and a high one."""
    sharp = cv2.Laplacian(grey, cv2.CV_64F).reshape(CELLS, SIDE // CELLS, CELLS, SIDE // CELLS)
    cells = np.log1p(sharp.var(axis=(1, 3)).ravel())
    return np.array([cells.mean(), *np.quantile(cells, (0.25, 0.9))])


def _gradient(grey: Floats) -> Floats:
    size = np.hypot(*(cv2.Sobel(grey, cv2.CV_64F, dx, dy) for dx, dy in ((1, 0), (0, 1))))
    return np.log1p([size.mean(), *np.quantile(size, (0.5, 0.9, 0.99))])


def _edges(grey: Floats) -> Floats:
    """Share of pixels on edges, and how much their directions agree (structure tensor): motion blur leaves one."""
    edges = cv2.Canny(grey.astype(np.uint8), 40, 100) > 0
    dx, dy = (cv2.Sobel(grey, cv2.CV_64F, *order) for order in ((1, 0), (0, 1)))
    across, along, both = (dx * dx).mean(), (dy * dy).mean(), (dx * dy).mean()
    agreement = np.hypot(across - along, 2 * both) / max(across + along, 1e-9)
    return np.array([edges.mean(), agreement])


def _light(small: Picture, grey: Floats) -> Floats:
    return np.array([(small.max(axis=2) >= 250).mean(), (grey <= 25).mean(), grey.mean(), grey.std()])


def _colour(small: Picture) -> Floats:
    saturation = cv2.cvtColor(small, cv2.COLOR_BGR2HSV)[..., 1].astype(np.float64)
    highlights = ((saturation < 40) & (small.min(axis=2) > 180)).mean()
    share = small.reshape(-1, 3).mean(axis=0) / max(float(small.mean() * 3), 1e-9)
    spread = (small[..., 2].astype(np.float64) - small[..., 1]).std()
    return np.array([saturation.mean(), saturation.std(), highlights, *share, spread])
