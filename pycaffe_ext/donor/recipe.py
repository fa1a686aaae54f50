"""How the embedded donor was made: AlexNet at an eighth of its width on procedural images and synthetic patches.

It tells apart the 64 classes of `images` and those of the applications' synthetic worlds, which the caller gives.  It
goes the way every run goes: images -> LMDB -> prototxt -> `caffe train` -> caffemodel.  Adam trains it: on 16 000
patches of colons alone it reached a validation AUC of 0.93, SGD with a rate of 0.01 one of 0.61.  The committed file
was made on one thread; another number of threads adds up in another order, and ends elsewhere by as much as another
seed would.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Protocol

import lmdb
import numpy as np
from numpy.typing import NDArray

from pycaffe_ext import nets
from pycaffe_ext.donor import DONOR, images
from pycaffe_ext.donor.cards import Card, write_card
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing_folder
from pycaffe_ext.processes import map_processes
from pycaffe_ext.programs.compute_image_mean import write_mean
from pycaffe_ext.proto import caffe_pb2, read_mean, read_weights, write_text, write_weights
from pycaffe_ext.records.datum import to_bytes
from pycaffe_ext.tether import Tethered

WIDTH = Fraction(1, 8)
SIDE = nets.INPUT[1]
VALIDATION = 1_000_000  # images with a higher number are never trained on
SCALE = 0.0167  # of the input: about one standard deviation of the pixels becomes 1
COMMITTED = 512  # images at a time: what is not yet committed is held in memory
Labelled = Iterator[tuple[int, NDArray[np.uint8]]]


class Lesson(Protocol):
    """Labelled images.   classes : labels are 0 .. classes - 1."""

    @property
    def classes(self) -> int: ...

    def count(self, split: str) -> int:
        """Images of "train" or "val"."""

    def images(self, split: str, side: int) -> Labelled:
        """(label, (3, side, side) uint8 BGR), the same at each call."""


@dataclass(frozen=True)
class Procedural:
    """The images of `images`.   per_class, val_per_class : of each class."""

    per_class: int = 128
    val_per_class: int = 16
    classes: int = images.CLASSES

    def count(self, split: str) -> int:
        return self.classes * len(self._numbers(split))

    def images(self, split: str, side: int) -> Labelled:
        jobs = [(label, number, side) for number in self._numbers(split) for label in range(self.classes)]
        return map_processes(_draw, jobs, f"procedural images, {split}", unit="image", chunk=32)

    def _numbers(self, split: str) -> range:
        return range(self.per_class) if split == "train" else range(VALIDATION, VALIDATION + self.val_per_class)


@dataclass(frozen=True)
class Recipe:
    """The rate falls linearly from base_lr to 0."""

    batch_size: int = 64
    epochs: int = 5
    base_lr: float = 0.001
    seed: int = 0


def make(recipe: Recipe, folder: Path, find_lessons: Callable[[Path], Sequence[Lesson]]) -> Path:
    """Make the images, train on them and return the caffemodel; all files go into `folder`.

    find_lessons : what is learnt, in the order of the labels; its files go below the folder that it is given.
    """
    lessons = find_lessons(folder)
    for split in ("train", "val"):
        database = folder / f"{split}_lmdb"
        if not database.exists():
            pack(database, lessons, split, recipe.seed)
    mean = channel_means(folder)
    spec = net_spec(recipe, sum(lesson.classes for lesson in lessons), folder, mean)
    train, val = (sum(lesson.count(split) for lesson in lessons) for split in ("train", "val"))
    solver = solver_of(recipe, spec, nets.Schedule(train, val, recipe.epochs, display=64), folder)
    write_text(folder / "train_val.prototxt", nets.train_val(spec))
    write_text(folder / "solver.prototxt", solver)
    order = [sys.executable, "-m", "pycaffe_ext", "train", f"--solver={folder / 'solver.prototxt'}"]
    with Tethered(order) as training:
        failed = training.wait()
    if failed:
        raise UserError("the donor's training stopped; the log above says why")
    return folder / f"donor_iter_{solver.max_iter}.caffemodel"


def channel_means(folder: Path) -> tuple[float, ...]:
    """Of B, G and R of the training images, to two decimals; the mean image is kept in `folder`."""
    if not (folder / "mean.binaryproto").exists():
        write_mean(folder / "train_lmdb", folder)
    mean = read_mean(folder / "mean.binaryproto")
    return tuple(float(f"{value:.2f}") for value in mean.mean(axis=(1, 2), dtype=np.float64))


def net_spec(recipe: Recipe, classes: int, folder: Path, mean: tuple[float, ...]) -> nets.NetSpec:
    return nets.NetSpec(
        app="donor",
        scheme="scratch-msra",
        classes=classes,
        width=WIDTH,
        batch_size=recipe.batch_size,
        train_source=str(folder / "train_lmdb"),
        val_source=str(folder / "val_lmdb"),
        val_batch_size=64,
        mean_value=mean,
        scale=SCALE,
        dropout_ratio=0.2,
    )


def solver_of(recipe: Recipe, spec: nets.NetSpec, schedule: nets.Schedule, folder: Path) -> caffe_pb2.SolverParameter:
    """The project's solver, but for Adam and its rate."""
    solver = nets.solver(
        spec,
        schedule,
        net=str(folder / "train_val.prototxt"),
        snapshot_prefix=str(folder / "donor"),
        seed=recipe.seed,
    )
    solver.type, solver.momentum2, solver.delta = "Adam", 0.999, 1e-8
    solver.base_lr, solver.lr_policy, solver.power, solver.weight_decay = recipe.base_lr, "poly", 1, 1e-4
    return solver


def pack(database: Path, lessons: Sequence[Lesson], split: str, seed: int) -> None:
    """Write the images of all lessons, shuffled, as raw Datums; the labels of a lesson follow those before it."""
    count = sum(lesson.count(split) for lesson in lessons)
    place = np.random.default_rng(seed).permutation(count).tolist()
    with writing_folder(database) as part:
        env = lmdb.open(str(part), map_size=count * (3 * SIDE * SIDE + 8192) + 2**24, lock=False)
        images_of = zip(place, _all(lessons, split), strict=True)
        while some := list(islice(images_of, COMMITTED)):
            with env.begin(write=True) as table:
                for i, (label, pixels) in some:
                    table.put(b"%08d_%02d" % (i, label), to_bytes(pixels, label))
        env.close()


def _all(lessons: Sequence[Lesson], split: str) -> Labelled:
    first = 0
    for lesson in lessons:
        for label, pixels in lesson.images(split, SIDE):
            yield first + label, pixels
        first += lesson.classes


def _draw(job: tuple[int, int, int]) -> tuple[int, NDArray[np.uint8]]:
    label, number, side = job
    return label, images.image(label, number, side).transpose(2, 0, 1)


def install(trained: Path) -> None:
    """Put a trained caffemodel, whose training's mean image lies beside it, where the package looks for its donor.

    Where its images lay on this machine is left out; the weights stay as they are.
    """
    net = read_weights(trained)
    for layer in net.layer:
        if layer.HasField("data_param"):
            layer.data_param.source = Path(layer.data_param.source).name
    write_weights(DONOR, net)
    write_card(DONOR, card_of(channel_means(trained.parent)))


def card_of(mean: tuple[float, ...]) -> Card:
    """The card of a donor that was trained with these means of B, G and R."""
    about = (
        "procedural images and synthetic colons, arteries and chests, not ImageNet; `make donor` repeats the training"
    )
    return Card(mean, scale=SCALE, input_size=SIDE, arch="alexnet", source=about, licence="BSD-2-Clause")
