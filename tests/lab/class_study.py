"""A small study of nets that classify images: finished runs with their tables, without a training or packed data."""

import os
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from class_lab import data, patches

from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.data.crops import CropViews
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_csv
from pycaffe_ext.proto import array_to_blob, caffe_pb2, write_weights
from pycaffe_ext.runs import finished
from pycaffe_ext.runs.finished import RunFiles, Study
from pycaffe_ext.runs.records import Best, ResultRecord, RunRecord
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.schemes import SCRATCH
from pycaffe_ext.training.table import Row, write_rows

GAINS = {"ft-fc8": 0.6, "ft-conv1": 2.0, "scratch": 0.2}


class Item:
    def __init__(self, name: str) -> None:
        self.name = name

    def picture(self) -> np.ndarray:
        raise AssertionError("what near-duplicates are recognised by is not what a reader is shown")

    def pixels(self) -> np.ndarray:
        side = 30 + int(self.name[-1])
        return np.full((side, 500, 3), int(self.name[-2:]), np.uint8)


class Items:
    """What an application answers of its items; `gone`: the user has moved them away."""

    words, target, views, test_views, any_task = ("image", "sample"), "", CropViews(), 9, False

    def __init__(self, metric, names) -> None:
        self.metric, self.names, self.gone = metric, names, False

    def items(self, request, runs):
        if self.gone:
            raise UserError("my/images: no such folder")
        return SimpleNamespace(items=[Item(name) for name in self.names])

    def show(self, item):
        return item.pixels()

    def data_name(self, request):
        return request.source

    def reference(self, request):
        return "labels of the data set"


def write_study(root: Path, metric, names, seeds=(0, 1), schemes=tuple(GAINS), folds=None, **test) -> Study:
    """folds : of every seed; each has a test set of its own."""
    donor = root / "donor.caffemodel"
    write_weights(donor, net_of(0))
    runs = []
    for seed, fold in product(seeds, range(1, folds + 1) if folds else (None,)):
        drawn = 100 * (fold or 0) + seed
        own, validation = (
            data(names, seed=number, baseline=metric.baseline is not None, **test) for number in (drawn, drawn + 5000)
        )
        application = Items(metric, own.items)
        all_settings = [Settings.of("frames", scheme, seed=seed, folds=folds, fold=fold) for scheme in schemes]
        runs += [write_run(root, application, (validation, own), settings, donor) for settings in all_settings]
    return finished.study(runs)


def write_run(root: Path, application: Items, parts, settings: Settings, donor: Path) -> RunFiles:
    """parts : TestData of the validation and of the test"""
    scheme, seed = settings.scheme, settings.seed
    folder = root / settings.name()
    folder.mkdir()
    metric, tuned = application.metric, scheme not in SCRATCH
    validation, evaluation = (
        metric.evaluate(part, patches(part, GAINS[scheme], seed=10 * seed + len(scheme))) for part in parts
    )
    test = parts[1]
    for table in metric.tables(evaluation, seed):
        write_csv(folder / table.file, table.header, table.rows)
    write_rows(folder / "auc.csv", [Row(10 * i, float(i), 0.5, 0.6, 0.6 + 0.1 * (i == 2)) for i in (1, 2, 3)])
    write_weights(folder / "best.caffemodel", net_of(len(scheme)))
    text = str(donor) if tuned else "none, trained from scratch"
    result = ResultRecord(
        settings.title,
        text,
        Best(20, 2.0, 0.7),
        3,
        "patience",
        {},
        {},
        [],
        metric.result(evaluation, seed),
        [],
        thresholds=metric.thresholds(validation, evaluation, seed),
    )
    resolved = {"width": "1", "batch": 16, "data": "", "donor": os.path.relpath(donor, folder) if tuned else None}
    record = RunRecord(settings.record(), {}, resolved, {}, [], [], {}, {"caffe": "caffe version 1.0.0 (lab)"})
    run = RunFiles(settings, folder, result, record)
    found = root / "data" / f"found-{seed}"
    found.mkdir(parents=True, exist_ok=True)
    items = [(name, group, "lab", "test", 0) for name, group in zip(test.items, test.group, strict=True)]
    others = [(f"{split}{i}", f"{split} patient", "lab", split, 0) for split in ("train", "val") for i in range(4)]
    write_csv(found / "items.csv", ("image", "group", "source", "split", "targets"), [*items, *others])
    facts = {split: {"groups": 5, "images": dict.fromkeys(test.classes, 7)} for split in ("train", "val", "test")}
    packed = Packed(found / "packed", f"{seed}" * 64, {}, facts, classes=test.classes)
    run.__dict__.update(application=application, packed=packed, test=test)  # in place of what it would read
    return run


def net_of(seed: int) -> caffe_pb2.NetParameter:
    rng = np.random.default_rng(seed)
    blobs = [array_to_blob(rng.normal(size=shape).astype(np.float32)) for shape in ((6, 3, 5, 5), (6,))]
    return caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="conv1", type="Convolution", blobs=blobs)])
