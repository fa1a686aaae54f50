"""A second lesson for the embedded donor: to see what a real donor sees, without a label.

SqueezeNet trained on ImageNet (the teacher, which the user must have) describes views of synthetic colonoscopy and
procedural images; the narrow AlexNet learns to give the same descriptions from its fc7. It goes the way every run
goes: pictures -> LMDB -> `extract_features` -> LMDB -> prototxt -> `caffe train` -> caffemodel.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import lmdb
import numpy as np

from pycaffe_ext import nets
from pycaffe_ext.donor import views
from pycaffe_ext.donor.cards import write_card
from pycaffe_ext.donor.recipe import SIDE, WIDTH, card_of
from pycaffe_ext.donor.weights import check_transfer
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing_folder
from pycaffe_ext.nets import layers
from pycaffe_ext.nets.shapes import parameter_shapes
from pycaffe_ext.processes import map_processes
from pycaffe_ext.programs.compute_image_mean import write_mean
from pycaffe_ext.programs.extract_features import extract
from pycaffe_ext.proto import caffe_pb2, read_blobs, read_mean, write_text
from pycaffe_ext.records.datum import open_database, parse, to_bytes
from pycaffe_ext.tether import Tethered

STAGES = ("fire5", "fire7", "fire9")  # of the teacher, averaged over the picture
MEAN = (104, 117, 123)  # B, G, R that SqueezeNet was trained with
PARTS = 192  # principal components that are learnt
BATCH = 20  # of the teacher
LESSON = "lesson"  # the student's last layer and its target
CLIP = 4.0  # standard deviations
SOURCE = "what SqueezeNet (ImageNet) sees in synthetic colonoscopy and procedural images; `make donor TEACHER=`"


@dataclass(frozen=True)
class Lesson:
    """videos : of views.FRAMES * views.PLACES views.   procedural : images.   The rate falls linearly to 0."""

    videos: int = 250
    procedural: int = 3000
    batch_size: int = 64
    epochs: int = 10
    base_lr: float = 0.001
    seed: int = 0

    @property
    def pictures(self) -> int:
        return self.videos * views.FRAMES * views.PLACES + self.procedural


def teach(lesson: Lesson, student: Path, teacher: Path, folder: Path) -> Path:
    """Train the caffemodel `student` on what the caffemodel `teacher` sees; returns the result, its card beside it.

    All files lie in `folder`, which is made.

    Raises UserError if the teacher is no SqueezeNet or the number of pictures does not fill its batches.
    """
    if lesson.pictures % BATCH:
        raise UserError(f"{lesson.pictures} pictures for the teacher: a multiple of {BATCH} is needed")
    published = nets.train_val(nets.NetSpec(app="donor", scheme="scratch", classes=2, arch="squeezenet"))
    check_transfer(_blobs(teacher), parameter_shapes(published), {"conv10_donor"})
    folder.mkdir(parents=True, exist_ok=True)
    pictures, targets = folder / "views_lmdb", folder / "targets_lmdb"
    if not pictures.exists():
        pack(pictures, lesson)
    if not (folder / "mean.binaryproto").exists():
        write_mean(pictures, folder)
    if not targets.exists():
        _put(targets, _described(pictures, teacher, folder, lesson.pictures))
    write_text(folder / "lesson.prototxt", student_net(lesson, folder))
    made = solver_of(lesson, folder)
    write_text(folder / "lesson_solver.prototxt", made)
    order = [sys.executable, "-m", "pycaffe_ext", "train", f"--solver={folder / 'lesson_solver.prototxt'}"]
    with Tethered([*order, f"--weights={student}"]) as training:
        failed = training.wait()
    if failed:
        raise UserError("the lesson stopped; the log above says why")
    trained = folder / f"lesson_iter_{made.max_iter}.caffemodel"
    write_card(trained, replace(card_of(read_mean(folder / "mean.binaryproto")), source=SOURCE))
    return trained


def pack(database: Path, lesson: Lesson) -> None:
    """Write the pictures, shuffled, as raw Datums of label 0."""
    drawn = [
        picture
        for work, count in ((views.of_video, lesson.videos), (_alone, lesson.procedural))
        for batch in map_processes(partial(work, side=SIDE), range(count), database.name, unit="picture", chunk=8)
        for picture in batch
    ]
    order = np.random.default_rng(lesson.seed).permutation(len(drawn))
    _put(database, (to_bytes(drawn[i].transpose(2, 0, 1), 0) for i in order.tolist()))


def components(features: np.ndarray) -> np.ndarray:
    """(n, PARTS or fewer) float32: principal components of the standardised features (n, k), of mean variance 1.

    The deviation of each is the square root of its own, so that weak ones count, but not as much as strong ones.
    """
    scaled = np.clip((features - features.mean(axis=0)) / (features.std(axis=0) + 1e-3), -CLIP, CLIP)
    _, axes = np.linalg.eigh(scaled.T @ scaled)
    parts = scaled @ axes[:, ::-1][:, :PARTS]
    softened = parts / np.sqrt(parts.std(axis=0) + 1e-6)
    return np.asarray(softened / np.sqrt(softened.var(axis=0).mean()), np.float32)


def teacher_net(pictures: Path) -> caffe_pb2.NetParameter:
    """SqueezeNet up to its last stage, with the average of each of STAGES over the picture."""
    spec = nets.NetSpec(app="donor", scheme="scratch", classes=2, arch="squeezenet")
    source = layers.data(str(pictures), layers.transform_param("", MEAN), BATCH, layers.TEST)
    whole = nets.architecture("squeezenet").layers(spec, True)
    last = max(i for i, layer in enumerate(whole) if f"{STAGES[-1]}/concat" in layer.top)
    averages = [layers.global_average_pooling(f"{stage}/average", f"{stage}/concat") for stage in STAGES]
    return caffe_pb2.NetParameter(name="teacher", layer=[source, *whole[: last + 1], *averages])


def student_net(lesson: Lesson, folder: Path) -> caffe_pb2.NetParameter:
    """The narrow AlexNet whose head gives the targets."""
    spec = nets.NetSpec("donor", "scratch", 2, WIDTH, batch_size=lesson.batch_size, dropout_ratio=0.1)
    seen = layers.transform_param("", card_of(read_mean(folder / "mean.binaryproto")).mean_value)
    pictures = layers.data(str(folder / "views_lmdb"), seen, lesson.batch_size, layers.TRAIN)
    plain = caffe_pb2.TransformationParameter()
    target = layers.data(str(folder / "targets_lmdb"), plain, lesson.batch_size, layers.TRAIN)
    target.name = "target"
    target.top[:] = ["target"]
    *hidden, head = nets.architecture("alexnet").layers(spec, False)
    head.name, head.top[0], head.inner_product_param.num_output = LESSON, LESSON, PARTS
    loss = layers.layer("loss", "EuclideanLoss", [LESSON, "target"], ["loss"])
    return caffe_pb2.NetParameter(name="lesson", layer=[pictures, target, *hidden, head, loss])


def solver_of(lesson: Lesson, folder: Path) -> caffe_pb2.SolverParameter:
    steps = lesson.epochs * nets.iterations(lesson.pictures, lesson.batch_size)
    return caffe_pb2.SolverParameter(
        type="Adam",
        net=str(folder / "lesson.prototxt"),
        base_lr=lesson.base_lr,
        lr_policy="poly",
        power=1,
        momentum=0.9,
        momentum2=0.999,
        max_iter=steps,
        display=50,
        snapshot_prefix=str(folder / "lesson"),
        snapshot_after_train=True,
        random_seed=lesson.seed,
        solver_mode=caffe_pb2.SolverParameter.CPU,
    )


def _blobs(weights: Path) -> dict[str, list[np.ndarray]]:
    """Without the places of shared blobs, which SqueezeNet has not."""
    return {name: [blob for blob in blobs if blob is not None] for name, blobs in read_blobs(weights).items()}


def _alone(number: int, side: int) -> list[np.ndarray]:
    return [views.procedural(number, side)]


def _described(pictures: Path, teacher: Path, folder: Path, count: int) -> Iterator[bytes]:
    """A Datum of float_data for each picture, in the order of their keys."""
    model = folder / "teacher.prototxt"
    write_text(model, teacher_net(pictures))
    databases = [folder / f"{stage}_lmdb" for stage in STAGES]
    if not all(database.exists() for database in databases):
        extract(str(teacher), str(model), [f"{stage}/average" for stage in STAGES], databases, count // BATCH)
    for row in components(np.hstack([_read(database) for database in databases])):
        yield caffe_pb2.Datum(channels=len(row), height=1, width=1, float_data=row.tolist()).SerializeToString()


def _read(database: Path) -> np.ndarray:
    """(n, k) float32."""
    with open_database(database) as table:
        return np.array([parse(value).float_data for _, value in table.cursor()], np.float32)


def _put(database: Path, values: Iterator[bytes]) -> None:
    """A new LMDB of the values, its keys counting from 0."""
    with writing_folder(database) as part:
        env = lmdb.open(str(part), map_size=2**34, lock=False)
        with env.begin(write=True) as table:
            for i, value in enumerate(values):
                table.put(b"%08d" % i, value, append=True)
        env.close()
