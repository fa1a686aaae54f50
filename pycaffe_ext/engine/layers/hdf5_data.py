"""HDF5Data and HDF5Output: rows of float data from HDF5 files, and a batch into one."""

from __future__ import annotations

import os

import h5py
import numpy as np
import torch

from pycaffe_ext import glog
from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.core.random import own_generator
from pycaffe_ext.engine.lanes import Lane, hand_over
from pycaffe_ext.engine.layers.base import Layer, register
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import read_words, writing
from pycaffe_ext.strings import native


@register("HDF5Data")
class HDF5Data(Layer):
    """Tops are the data sets of their names, batch_size rows at a time, from the files of a list, one after another.

    A batch goes on in the next file where one ends, and in the first after the last; each file is read as a whole.
    shuffle reorders the files each time the list begins, and the rows of a file each time it begins.
    """

    exact_bottoms = 0
    min_tops = 1

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.hdf5_data_param
        self.check(not self.param.HasField("transform_param"), "does not transform data; remove transform_param")
        self.check(param.batch_size > 0, "needs hdf5_data_param.batch_size > 0")
        self._rng, self._lane = own_generator(), Lane(self.device)
        glog.info("hdf5_data_layer.cpp:81", f"Loading list of HDF5 filenames from: {param.source}")
        try:
            self._files = read_words(native(param.source))
        except OSError as error:
            self.fail(f"{param.source}: cannot be read ({error.strerror}); it is to list HDF5 files, one a line")
        glog.info("hdf5_data_layer.cpp:95", f"Number of HDF5 files: {len(self._files)}")
        self.check(bool(self._files), f"{param.source}: lists no HDF5 file; write one a line")
        if param.shuffle:
            self._rng.shuffle(self._files)
        self._file = -1
        self._arrays: list[np.ndarray] = []
        self._next_file()
        for blob, array in zip(top, self._arrays, strict=True):
            blob.reshape((param.batch_size, *array.shape[1:]))

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The first file gave the shapes."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        size = self.param.hdf5_data_param.batch_size
        out = [self._lane.arrays.lend((size, *array.shape[1:]), np.float32) for array in self._arrays]
        filled = 0
        while filled < size:
            rows = self._order[self._row : self._row + size - filled]
            for values, array in zip(out, self._arrays, strict=True):
                values[filled : filled + len(rows)] = array[rows]
            filled += len(rows)
            self._row += len(rows)
            if self._row == len(self._order):
                self._next_file()
        brought = self._lane.carry(lambda: [self._lane.bring(torch.from_numpy(values)) for values in out])
        for blob, tensor in zip(top, brought, strict=True):
            blob.data = hand_over(tensor)

    def _next_file(self) -> None:
        shuffle = self.param.hdf5_data_param.shuffle
        if self._file + 1 == len(self._files) and shuffle:
            self._rng.shuffle(self._files)
        self._file = (self._file + 1) % len(self._files)
        if len(self._files) > 1 or not self._arrays:
            self._load(self._files[self._file])
        self._row, self._order = 0, np.arange(len(self._arrays[0]))
        if shuffle:
            self._rng.shuffle(self._order)

    def _load(self, name: str) -> None:
        """Read the tops' data sets of a file and check that they go together, and with those of the file before."""
        try:
            with h5py.File(name, "r") as file:
                arrays = [self._data_set(file, name, top) for top in self.param.top]
        except OSError as error:
            self.fail(f"{name}: cannot be read as HDF5 ({' '.join(str(error).split())})")
        rows = {len(array) for array in arrays}
        self.check(
            len(rows) == 1,
            f"{name}: its data sets have {' and '.join(map(str, sorted(rows)))} rows; all need the same number",
        )
        self.check(rows != {0}, f"{name}: its data sets have no rows")
        for top, array, before in zip(self.param.top, arrays, self._arrays or arrays, strict=True):
            self.check(
                array.shape[1:] == before.shape[1:],
                f"{name}: rows of {top!r} have shape {array.shape[1:]},"
                f" those of the file before {before.shape[1:]}; all files must agree",
            )
        self._arrays = arrays

    def _data_set(self, file: h5py.File, name: str, top: str) -> np.ndarray:
        found = file.get(top)
        if not isinstance(found, h5py.Dataset):
            self.fail(f"{name}: has no data set {top!r} (it has: {', '.join(file) or 'none'})")
        self.check(
            found.dtype.kind in "fiu" and found.ndim > 0,
            f"{name}: data set {top!r} is to hold rows of numbers, not {found.dtype} of shape {found.shape}",
        )
        return found[()].astype(np.float32, copy=False)


@register("HDF5Output")
class HDF5Output(Layer):
    """Writes its two bottoms as data sets `data` and `label`, with four axes, into hdf5_output_param.file_name.

    The file is whole or absent.  As with the genuine layer there is one pass only: it would not add to the file.
    """

    exact_bottoms = 2
    exact_tops = 0

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        name = native(self.param.hdf5_output_param.file_name)
        folder = os.path.dirname(name) or "."
        self.check(bool(name), "needs hdf5_output_param.file_name")
        self.check(os.access(folder, os.W_OK | os.X_OK), f"cannot write to {name}; make the folder {folder}")
        self._written = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """No-op: there is no top."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        name = native(self.param.hdf5_output_param.file_name)
        self.check(
            not self._written,
            f"{name} holds a batch already and takes no second one; run one pass, with a batch that is large enough",
        )
        data, label = (blob.data.detach().cpu().numpy().reshape(self.legacy_shape(blob)) for blob in bottom)
        self.check(len(data) == len(label), f"its bottoms have {len(data)} and {len(label)} items; they need as many")
        glog.info("hdf5_output_layer.cpp:33", f"Saving HDF5 file {name}")
        try:
            with writing(name, "w+b") as stream, h5py.File(stream, "w") as file:
                file["data"], file["label"] = data, label
        except OSError as error:
            raise UserError(f"layer {self.name!r} (HDF5Output): cannot write {name} ({error.strerror})") from error
        self._written = True
        glog.info("hdf5_output_layer.cpp:38", f"Successfully saved {len(data)} rows")

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """No-op: an output layer has no gradient."""
