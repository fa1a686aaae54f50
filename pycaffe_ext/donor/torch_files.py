"""State dicts of PyTorch, read without running what may be in their files: .pth by weights_only, or .safetensors.

This is the one module of the room that imports torch, inside a function.
"""

from __future__ import annotations

import pickle
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_ext.errors import UserError

SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
INSIDE = ("state_dict", "model_state_dict", "model")  # keys under which a checkpoint of a training has its state dict
PREFIX = re.compile(r"^(?:module\.|_orig_mod\.|model\.)+")  # of DataParallel, of compile, of a wrapper


def read_state(path: Path) -> dict[str, np.ndarray]:
    """Name -> float32 array, without the prefixes of wrappers and without batch norm's counters of batches.

    Raises UserError for a file that is missing, cut off, holds anything but tensors, or needs code to be read.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: a state dict is a file ending in {', '.join(SUFFIXES)}")
    content = _safetensors(path) if path.suffix == ".safetensors" else _pth(path)
    state = _state_dict(path, content)
    plain = {PREFIX.sub("", name): value for name, value in state.items()}
    if len(plain) < len(state):
        raise UserError(f"{path}: holds several nets (the same names under several prefixes); save one of them alone")
    return {
        name: _array(path, name, value) for name, value in plain.items() if not name.endswith("num_batches_tracked")
    }


def _safetensors(path: Path) -> Any:
    if find_spec("safetensors") is None:
        raise UserError("this needs the package safetensors: pip install 'pycaffe_ext[export]'")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise UserError(f"{path}: is cut off or no safetensors file ({error})") from error


def _pth(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted is None:
            raise UserError(f"{path}: is cut off or no file of torch.save") from error
        raise UserError(
            f"{path}: is not a state dict but asks for code ({wanted[1]}), which is not run; load it where you trust"
            " it, and save its state_dict()"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, AttributeError, IndexError, TypeError) as error:
        raise UserError(f"{path}: is cut off or no file of torch.save ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _state_dict(path: Path, content: Any) -> dict[str, Any]:
    """The state dict itself, or that of a training's checkpoint."""
    for name in INSIDE:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not content or not all(isinstance(name, str) for name in content):
        raise UserError(f"{path}: holds no state dict (name -> tensor), but a {type(content).__name__}")
    return content


def _array(path: Path, name: str, value: Any) -> np.ndarray:
    import torch

    if not isinstance(value, torch.Tensor):
        raise UserError(f"{path}: {name} is a {type(value).__name__}, not a tensor; save the net's state_dict() alone")
    if not value.is_floating_point() or value.is_quantized:
        raise UserError(f"{path}: {name} is of type {value.dtype}; weights are floating-point numbers")
    return value.detach().to(torch.float32).contiguous().numpy()
