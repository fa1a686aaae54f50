"""The ImageData layer: batches of the images of a list, decoded and transformed ahead of time on several threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

import cv2
import numpy as np
import torch

from pycaffe_ext import glog
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.random import own_generator
from pycaffe_ext.engine.io.prefetch import Prefetcher
from pycaffe_ext.engine.io.reading import Batch
from pycaffe_ext.engine.io.transform import Shape, Transformer
from pycaffe_ext.engine.lanes import Lane
from pycaffe_ext.engine.layers.base import register
from pycaffe_ext.engine.layers.reading_ahead import ReadingAhead
from pycaffe_ext.errors import UserError
from pycaffe_ext.pictures import opencv
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.records.image_list import read_list
from pycaffe_ext.strings import native

AHEAD = 2  # batches that wait; image_data_param has no field for it


@register("ImageData")
class ImageData(ReadingAhead):
    """Caffe's ImageData layer.  Tops: images (N, C, H, W), BGR or grey, and labels (N,).

    The list has a line for each image: its path below root_folder, a space, its label.  new_height and new_width
    resize (bilinearly), then transform_param applies.  shuffle reorders the list each time it begins; rand_skip
    passes over up to rand_skip - 1 of its first images, once.  The first image of each batch gives it its shape.
    """

    exact_bottoms = 0
    exact_tops = 2

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.image_data_param
        self.check(param.batch_size > 0, "needs image_data_param.batch_size > 0")
        self.check(bool(param.new_height) == bool(param.new_width), "needs both new_height and new_width, or neither")
        rng = own_generator()
        try:
            transformer = Transformer(self.param.transform_param, self.phase, rng)
            reader = ImageReader(param, transformer, rng, Lane(self.device))
            self._shape = (param.batch_size, *reader.first_shape())
        except UserError as error:
            self.fail(str(error))
        self._ahead = Prefetcher(reader.batches, AHEAD)  # knows the reader only, so that the layer can go
        glog.info("image_data_layer.cpp:90", f"output data size: {','.join(map(str, self._shape))}")

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].reshape(self._shape)
        top[1].reshape(self._shape[:1])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        batch = self._take()
        n, c, h, w = batch.pixels.shape
        self._shape = n, c, h, w
        top[0].data, top[1].data = batch.pixels, batch.labels


class ImageReader:
    """Reads the images of a list as ImageDataParameter `param` says.  Raises UserError that names file and list."""

    def __init__(
        self, param: caffe_pb2.ImageDataParameter, transformer: Transformer, rng: np.random.Generator, lane: Lane
    ) -> None:
        self._param, self._transformer, self._rng, self._lane = param, transformer, rng, lane
        glog.info("image_data_layer.cpp:38", f"Opening file {param.source}")
        self._lines = read_list(native(param.source))
        if not self._lines:
            raise UserError(f"{param.source}: the list is empty; write a line for each image: path, space, label")
        if param.shuffle:
            glog.info("image_data_layer.cpp:53", "Shuffling data")
            rng.shuffle(self._lines)
        glog.info("image_data_layer.cpp:63", f"A total of {len(self._lines)} images.")
        self._skip = int(rng.integers(param.rand_skip)) if param.rand_skip else 0
        if param.rand_skip:
            glog.info("image_data_layer.cpp:70", f"Skipping first {self._skip} data points.")
        if self._skip >= len(self._lines):
            raise UserError(f"{param.source}: too few images to skip {self._skip}; lower rand_skip")

    def first_shape(self) -> Shape:
        """(C, H, W) of the first image when it is transformed."""
        return self._transformer.output_shape(self._read(self._lines[self._skip][0]).shape)

    def batches(self) -> Iterator[Batch]:
        """Batch after batch, for ever."""
        lines = self._endless_lines()
        with ThreadPoolExecutor(torch.get_num_threads(), "reading") as pool:
            while True:
                names, labels = zip(*islice(lines, self._param.batch_size), strict=True)
                images = list(pool.map(self._read, names))
                yield self._lane.carry(partial(self._batch, pool, names, images, labels))

    def _batch(
        self, pool: ThreadPoolExecutor, names: Sequence[str], images: list[np.ndarray], labels: Sequence[int]
    ) -> Batch:
        pixels = self._transformed(pool, names, images)
        return Batch(pixels, torch.tensor(labels, dtype=torch.float32)).on(self._lane)

    def _endless_lines(self) -> Iterator[tuple[str, int]]:
        yield from self._lines[self._skip :]
        while True:
            if self._param.shuffle:
                self._rng.shuffle(self._lines)
            yield from self._lines

    def _read(self, name: str) -> np.ndarray:
        """The image of this name, (C, H, W) uint8, resized if asked."""
        param = self._param
        path = native(param.root_folder) + name
        image = opencv.read(path, cv2.IMREAD_COLOR if param.is_color else cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise UserError(f"could not load image {path!r}, named in {param.source}; check the file and root_folder")
        if param.new_height:
            image = cv2.resize(image, (param.new_width, param.new_height))
        return np.atleast_3d(image).transpose(2, 0, 1)

    def _transformed(self, pool: ThreadPoolExecutor, names: Sequence[str], images: list[np.ndarray]) -> torch.Tensor:
        shape = self._transformer.output_shape(images[0].shape)
        places = [
            self._transformer.draw(1, self._fitting(name, image.shape, shape))[0]
            for name, image in zip(names, images, strict=True)
        ]
        pixels = self._lane.arrays.lend((len(images), *shape), np.float32)
        list(pool.map(self._transformer.apply, images, places, pixels))
        return torch.from_numpy(pixels)

    def _fitting(self, name: str, stored: Shape, shape: Shape) -> Shape:
        """`stored`, once it is clear that such an image fits into a batch of images of `shape`."""
        if self._transformer.output_shape(stored) != shape:
            raise UserError(
                f"image {name!r} is {stored}, which does not fit its batch of {shape}; set new_height and"
                " new_width, or crop_size"
            )
        return stored
