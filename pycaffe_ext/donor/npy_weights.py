"""BVLC AlexNet as it circulates in bvlc_alexnet.npy, read without trusting the pickle inside.

The file is a pickled dictionary: layer name -> [weights, biases]; convolution weights are (rows, columns, inputs,
outputs), fully connected ones (inputs, outputs), the inputs of fc6 in the order rows, columns, channels.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy._core.multiarray import _reconstruct

from pycaffe_ext.errors import UserError

GARBLED = (pickle.UnpicklingError, ValueError, TypeError, EOFError, AttributeError, LookupError, MemoryError)
POOL5 = 6  # rows and columns of pool5, which fc6 reads


def read_npy(path: Path) -> dict[str, list[np.ndarray]]:
    """Layer name -> [weight, bias] in Caffe's order: float32, (out, in, rows, columns) and (out, in), fc6's inputs in
    the order channels, rows, columns. UserError for anything else, for a pickle that asks for more than arrays too.
    """
    try:
        with open(path, "rb") as file:
            content = _load(file)
    except GARBLED as error:
        raise UserError(f"{path}: not a pickled dictionary of arrays ({error}); it was not opened further") from error
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: holds no dictionary of layers; expected bvlc_alexnet.npy")
    return {name: _in_caffes_order(path, name, value) for name, value in content.items()}


def _load(file: IO[bytes]) -> Any:
    """The object in a .npy file that holds one, by a reader that can build nothing but arrays."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if shape != () or not dtype.hasobject:
        raise ValueError(f"array of {dtype}, shape {shape}")
    array = _ArraysOnly(file, encoding="latin1").load()  # the original was pickled by Python 2
    if not isinstance(array, np.ndarray) or array.shape != ():
        raise ValueError(f"pickle of {type(array).__name__}")
    return array.item()


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """How Python 3 pickles bytes for protocol 2; other codecs are refused."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"codec {encoding!r} is not allowed")
    return text.encode("latin1")


class _ArraysOnly(pickle.Unpickler):
    """Resolves the few names that an array's pickle needs, and refuses every other before it is imported."""

    ALLOWED: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("_codecs", "encode"): _latin1,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, which is not allowed")
        return self.ALLOWED[module, name]


def _in_caffes_order(path: Path, name: Any, value: Any) -> list[np.ndarray]:
    arrays = value if isinstance(value, list | tuple) else []
    numeric = all(isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in arrays)
    if not isinstance(name, str) or len(arrays) != 2 or not numeric or arrays[0].ndim not in (2, 4):
        raise UserError(f"{path}: layer {name!r} is not [weights, biases] of a convolution or a fully connected layer")
    weight, bias = arrays
    if bias.shape != weight.shape[-1:]:
        raise UserError(f"{path}: layer {name!r} has weights of shape {weight.shape} but biases of shape {bias.shape}")
    if weight.ndim == 4:
        weight = weight.transpose(3, 2, 0, 1)
    elif name == "fc6":
        weight = _fc6(path, weight)
    else:
        weight = weight.T
    return [np.ascontiguousarray(array, np.float32) for array in (weight, bias)]


def _fc6(path: Path, weight: np.ndarray) -> np.ndarray:
    inputs, outputs = weight.shape
    if inputs % POOL5**2:
        raise UserError(f"{path}: fc6 has {inputs} inputs, which do not divide into {POOL5}x{POOL5} pixels")
    return weight.reshape(POOL5, POOL5, -1, outputs).transpose(3, 2, 0, 1).reshape(outputs, inputs)
