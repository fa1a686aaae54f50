"""How the embedded donor was made: AlexNet at an eighth of its width on 64 classes of procedural images.

It goes the way every run goes: images -> LMDB -> prototxt -> `caffe train` -> caffemodel. The committed file was made
on one thread and gave 92.2 % of the 1 024 validation images their class; another number of threads adds up in another
order, and ends elsewhere by as much as another seed would.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import lmdb
import numpy as np

from pycaffe_ext import nets
from pycaffe_ext.donor import DONOR, images
from pycaffe_ext.donor.cards import Card, find_card, write_card
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import copy, writing_folder
from pycaffe_ext.processes import map_processes
from pycaffe_ext.programs.compute_image_mean import write_mean
from pycaffe_ext.proto import caffe_pb2, read_mean, write_text
from pycaffe_ext.records.datum import to_bytes
from pycaffe_ext.tether import Tethered

WIDTH = Fraction(1, 8)
SIDE = nets.INPUT[1]
VALIDATION = 1_000_000  # images with a higher number are never trained on


@dataclass(frozen=True)
class Recipe:
    """per_class, val_per_class : images of a class; the rate falls linearly from base_lr to 0."""

    per_class: int = 256
    val_per_class: int = 16
    batch_size: int = 64
    epochs: int = 16
    base_lr: float = 0.01
    seed: int = 0


def make(recipe: Recipe, folder: Path) -> Path:
    """Make the images, train on them and return the caffemodel; all files go into `folder`."""
    numbers = range(recipe.per_class), range(VALIDATION, VALIDATION + recipe.val_per_class)
    for split, of_class in zip(("train", "val"), numbers, strict=True):
        database = folder / f"{split}_lmdb"
        if not database.exists():
            pack(database, of_class, recipe.seed)
    if not (folder / "mean.binaryproto").exists():
        write_mean(folder / "train_lmdb", folder)
    spec = net_spec(recipe, folder)
    solver = solver_of(recipe, spec, folder)
    write_text(folder / "train_val.prototxt", nets.train_val(spec))
    write_text(folder / "solver.prototxt", solver)
    order = [sys.executable, "-m", "pycaffe_ext", "train", f"--solver={folder / 'solver.prototxt'}"]
    with Tethered(order) as training:
        failed = training.wait()
    if failed:
        raise UserError("the donor's training stopped; the log above says why")
    return folder / f"donor_iter_{solver.max_iter}.caffemodel"


def net_spec(recipe: Recipe, folder: Path) -> nets.NetSpec:
    return nets.NetSpec(
        app="donor",
        scheme="scratch",
        classes=images.CLASSES,
        width=WIDTH,
        batch_size=recipe.batch_size,
        train_source=str(folder / "train_lmdb"),
        val_source=str(folder / "val_lmdb"),
        val_batch_size=64,
        mean_file=str(folder / "mean.binaryproto"),
        dropout_ratio=0.2,
    )


def solver_of(recipe: Recipe, spec: nets.NetSpec, folder: Path) -> caffe_pb2.SolverParameter:
    """The project's solver, with a rate that a net trained from nothing needs."""
    solver = nets.solver(
        spec,
        nets.Schedule(
            train_count=recipe.per_class * images.CLASSES,
            val_count=recipe.val_per_class * images.CLASSES,
            max_epochs=recipe.epochs,
            display=64,
        ),
        net=str(folder / "train_val.prototxt"),
        snapshot_prefix=str(folder / "donor"),
        seed=recipe.seed,
    )
    solver.base_lr, solver.lr_policy, solver.power = recipe.base_lr, "poly", 1
    return solver


def pack(database: Path, of_class: range, seed: int) -> None:
    """Write the images numbered `of_class` of every class, shuffled, as raw Datums."""
    todo = [(label, number) for label in range(images.CLASSES) for number in of_class]
    order = np.random.default_rng(seed).permutation(len(todo))
    with writing_folder(database) as part:
        env = lmdb.open(str(part), map_size=len(todo) * (3 * SIDE * SIDE + 8192) + 2**24, lock=False)
        drawn = map_processes(_draw, [todo[i] for i in order], database.name, unit="image", chunk=32)
        with env.begin(write=True) as table:
            for i, (label, pixels) in enumerate(drawn):
                table.put(b"%08d_%02d" % (i, label), to_bytes(pixels, label), append=True)
        env.close()


def _draw(item: tuple[int, int]) -> tuple[int, np.ndarray]:
    label, number = item
    return label, images.image(label, number, SIDE).transpose(2, 0, 1)


def install(trained: Path) -> None:
    """Put a trained caffemodel, its card or its mean image beside it, where the package looks for its donor."""
    card = find_card(trained) or card_of(read_mean(trained.parent / "mean.binaryproto"))
    copy(trained, DONOR)
    write_card(DONOR, card)


def card_of(mean: np.ndarray) -> Card:
    """The card of a donor that was trained with this mean image (3, SIDE, SIDE).

    The images have no fixed composition, so that their mean is flat but for chance: its channels' means stand for it.
    """
    values = tuple(float(f"{value:.2f}") for value in mean.mean(axis=(1, 2), dtype=np.float64))
    about = "procedural images of 64 classes, not ImageNet; `make donor` repeats the training"
    return Card(values, input_size=SIDE, arch="alexnet", source=about, licence="BSD-2-Clause")
