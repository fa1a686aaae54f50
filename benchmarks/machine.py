"""Where and with what a row was measured."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter

from benchmarks.rows import ROOT
from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root

LIBRARIES = ("torch", "numpy", "opencv-python-headless", "lmdb", "protobuf", "h5py")
GENUINE_LIBRARIES = ("libcaffe1", "libopenblas0-pthread", "libopencv-core4.5", "liblmdb0", "libprotobuf23")
MEASURED = ("pycaffe_ext", "tools", "benchmarks")  # what a result depends on


@cache
def machine() -> str:
    """Processor, cores, memory, GPU, system: equal on equal machines."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [f"{_processor()}, {os.cpu_count()} cores", f"{memory:.0f} GiB", *gpus(), _system()]
    return "; ".join(parts)


@cache
def gpus() -> tuple[str, ...]:
    """Name and memory of each NVIDIA GPU that the driver shows; empty where there is none."""
    return tuple(_said("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader").splitlines())


def gpu_memory() -> float:
    """MiB in use on the first GPU, by all programs; UserError if the driver does not tell."""
    said = _said("nvidia-smi", "--id=0", "--query-gpu=memory.used", "--format=csv,noheader,nounits")
    if not said:
        raise UserError("nvidia-smi does not tell how much of the GPU's memory is in use; leave the GPU rows out")
    return float(said)


@cache
def versions() -> dict[str, str]:
    """Of our own libraries and, where it is installed, of the genuine Caffe's."""
    found = {"Python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}
    if root.installed():
        status = root.cache_folder() / "caffe-1.0" / "var" / "lib" / "dpkg" / "status"
        found |= {f"genuine {name}": number for name, number in debian_versions(status.read_text()).items()}
    return found


def debian_versions(status: str) -> dict[str, str]:
    """Package -> version for GENUINE_LIBRARIES in the text of a dpkg status file."""
    pattern = r"^Package: (\S+)$(?:\n.+)*?\nVersion: (\S+)"
    return {name: number for name, number in re.findall(pattern, status, re.M) if name in GENUINE_LIBRARIES}


@cache
def commit() -> str:
    """Short name of the last commit that touched what is measured, with a + if something of it is not committed."""
    name = _said("git", "-C", str(ROOT), "log", "-1", "--format=%h", "--", *MEASURED)
    changed = _said("git", "-C", str(ROOT), "status", "--porcelain", "--", *MEASURED)
    return (name or "unknown") + ("+" if changed else "")


class Stopwatch:
    """How much of the cores other programs had while it ran: `others()` is a share from 0 to 1."""

    def __init__(self) -> None:
        self._begun, self._busy, self._own = perf_counter(), _busy(), _own()

    def others(self) -> float:
        spent = (_busy() - self._busy) - (_own() - self._own)
        return min(1.0, max(0.0, spent / ((perf_counter() - self._begun) * (os.cpu_count() or 1))))


def _busy() -> float:
    """Processor seconds of all programs since the start of the machine, without the kernel's: it writes to the disk
    for the program that is measured, in threads of its own."""
    user, nice = (int(n) for n in Path("/proc/stat").read_text().split()[1:3])
    return (user + nice) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    """The same of this program and of those that it started and saw end."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime for usage in used)


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else platform.processor() or platform.machine()


def _system() -> str:
    return f"{platform.system()} {platform.release()}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _said(*command: str) -> str:
    """What a program prints; empty if it is not there or fails."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""
