"""Any folder with a sub-folder for each class: how deep must a net be tuned for your own images?

Everything about reading such a folder stands in `data.class_folders`. The paper has no such application: its way is
applied, class-balanced training patches, early stopping on AUC, probabilities averaged per image.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pycaffe_ext.applications.base import Collection
from pycaffe_ext.applications.whole import WholePictures
from pycaffe_ext.data import class_folders, images
from pycaffe_ext.data.sources.listing import not_taken
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.evaluation.metrics.by_class import Evaluation, RocByClass
from pycaffe_ext.pictures.resize import RESIZE
from pycaffe_ext.runs.settings import DataRequest

BALANCE = ("1", "0")


class Folder(WholePictures[Evaluation]):
    """Options: POSITIVE, which of two classes is class 1; RESIZE, how an image is made square; BALANCE, as many
    training patches of each class or as there are."""

    slug = "folder"
    any_task = True
    metric = RocByClass()

    def check(self, request: DataRequest) -> None:
        super().check(request)
        known(request.option("resize"), RESIZE, "RESIZE")
        known(request.option("balance"), BALANCE, "BALANCE")
        if request.dataset:
            raise UserError(f"DATASET={request.dataset}: folder reads one layout only; leave DATASET= out")
        self.classes(request)

    def classes(self, request: DataRequest) -> tuple[str, ...]:
        return class_folders.class_names(folder_of(request), request.option("positive"))

    def items(self, request: DataRequest, runs: Path) -> Collection:
        return self._collection(request, whole=False)

    def whole(self, request: DataRequest, runs: Path) -> Collection:
        return self._collection(request, whole=True)

    def _collection(self, request: DataRequest, whole: bool) -> Collection:
        keep, positive = request.option("damaged") == "keep", request.option("positive")
        found = class_folders.read(folder_of(request), keep, whole, positive)
        left_out = not_taken(Path(folder_of(request)), (image.path for image in found.images))
        resized = [replace(image, resize=self.resize(request)) for image in found.images]
        text = "" if whole else class_folders.positive_text(found.classes, positive)
        return Collection(resized, left_out, images.damaged(resized), [text] if text else [])

    def resize(self, request: DataRequest) -> str:
        return request.option("resize")

    def balanced(self, request: DataRequest) -> bool:
        return request.option("balance") == "1"


def folder_of(request: DataRequest) -> str:
    """DATA=; UserError without it."""
    if not request.data:
        raise UserError("folder needs your images: DATA= is a folder with a sub-folder for each class")
    return request.data


APPLICATION = Folder()
