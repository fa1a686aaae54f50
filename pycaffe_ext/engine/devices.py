"""Where nets live: every device of the engine comes from here, and what a process does before it uses one."""

from __future__ import annotations

import torch

from pycaffe_ext.engine import options
from pycaffe_ext.engine.cache.memory import keep_freed_memory
from pycaffe_ext.errors import UserError


def cpu() -> torch.device:
    """The CPU; the process keeps freed tensors' memory for the next ones."""
    keep_freed_memory()
    return torch.device("cpu")


def gpu(index: int, fixed_shapes: bool = False) -> torch.device:
    """A GPU; float32 products are Caffe's, not rounded to TF32, unless the options ask for that (torch's default is
    TF32 in convolutions).

    fixed_shapes : whether nets see the same shapes again and again: cuDNN then tries its algorithms for each new one.
    """
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = options.tf32()
    torch.backends.cudnn.benchmark = fixed_shapes
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)
    return device


def count() -> int:
    """How many GPUs there are."""
    return torch.cuda.device_count()


def name(index: int) -> str:
    """A GPU's model, e.g. "Tesla K80"."""
    return torch.cuda.get_device_name(index)


def gpu_ids(flag: str) -> list[int]:
    """Device ids of a -gpu flag ("0", "0,1", "all"; "" names none).

    Raises UserError unless every id is that of a GPU that is there.
    """
    if not flag:
        return []
    found = count()
    if not found:
        raise UserError(f"-gpu={flag}: PyTorch finds no CUDA device here; leave -gpu out (and set solver_mode: CPU)")
    try:
        ids = list(range(found)) if flag == "all" else [int(part) for part in flag.split(",")]
    except ValueError:
        raise UserError(f"-gpu={flag}: is neither 'all' nor a list of numbers such as 0") from None
    if missing := [i for i in ids if not 0 <= i < found]:
        there = "only GPU 0" if found == 1 else f"GPUs 0 to {found - 1}"
        raise UserError(f"-gpu={flag}: there is no GPU {missing[0]}, {there}; `device_query -gpu=all` lists them")
    if len(set(ids)) < len(ids):
        raise UserError(f"-gpu={flag}: names a GPU twice")
    return ids


def wait(device: torch.device) -> None:
    """Block until the device has done all that it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def memory(device: torch.device) -> tuple[int, int]:
    """(most bytes of tensors that this process had on a GPU, bytes that it could have had): beside other programs."""
    free, _ = torch.cuda.mem_get_info(device)
    return torch.cuda.max_memory_allocated(device), free + torch.cuda.memory_reserved(device)
