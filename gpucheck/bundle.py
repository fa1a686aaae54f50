"""What `make gpu-bundle` makes: a folder that brings the check to a machine without internet."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.rows import ROOT
from gpucheck import bundled
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import write_json, writing_folder

MOST_MB = 60
NOT_NEEDED = ("torch", "imagecodecs", "SimpleITK")
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64")
START = '#!/bin/bash\nexec "${PYTHON:-python3}" "$(dirname "${BASH_SOURCE[0]}")/check.py" "$@"\n'


def make(folder: Path, python: str, without: Sequence[str]) -> None:
    """Write the bundle for `python` (e.g. 3.12), without wheels of torch and of what the machine has anyway."""
    needs = requirements()
    with writing_folder(folder) as part:
        (part / "wheels").mkdir()
        download(needs, python, part / "wheels")
        drop(part / "wheels", ["torch", *without])
        shutil.copyfile(ROOT / "pycaffe_ext" / "proto" / "caffe_pb2.py", part / "caffe_pb2.py")
        shutil.copyfile(bundled.__file__, part / "check.py")
        (part / "check.sh").write_text(START)
        write_json(part / "bundle.json", {"python": python, "requirements": needs})
        pack_sources(part / "source.tar.gz")
        check_size(part)


def requirements() -> list[str]:
    """What this project needs at run time, but for torch, of which any version with CUDA will do, and for the decoders
    of compressed TIFF and of CT volumes, which the check does not read."""
    try:
        listed = metadata.requires("pycaffe_ext") or []
    except metadata.PackageNotFoundError:
        raise UserError("pycaffe_ext is not installed here; run `make setup`") from None
    return [one for one in listed if "extra ==" not in one and not one.startswith(NOT_NEEDED)]


def download(needs: Sequence[str], python: str, folder: Path) -> None:
    """The wheels of `needs` and of what they need; UserError with pip's last line."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
        "--implementation",
        "cp",
        "--python-version",
        python,
        "--dest",
        str(folder),
    ]
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    run = subprocess.run([*pip, *platforms, *needs], capture_output=True, text=True, check=False)
    if run.returncode:
        raise UserError(f"pip could not download wheels for Python {python}: {run.stderr.strip().splitlines()[-1]}")


def drop(folder: Path, names: Sequence[str]) -> None:
    """Remove the wheels of these projects; UserError for a name without a wheel."""
    wheels = {path.name.split("-")[0].lower().replace("_", "-"): path for path in folder.glob("*.whl")}
    for name in names:
        path = wheels.get(name.lower().replace("_", "-"))
        if path is not None:
            path.unlink()
        elif name != "torch":
            raise UserError(f"WITHOUT={name}: no such wheel (there are: {', '.join(sorted(wheels))})")


def pack_sources(path: Path) -> None:
    """The working tree, as git sees it: what is tracked, and what is new and not ignored, but for the bundle itself."""
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0")
    with tarfile.open(path, "w:gz") as archive:
        for name in sorted(filter(None, names)):
            if (ROOT / name).is_file() and not (ROOT / name).is_relative_to(path.parent):
                archive.add(ROOT / name, name)


def check_size(folder: Path) -> None:
    """Raise UserError where the bundle is larger than what is carried to such machines."""
    sizes = {path: path.stat().st_size / 1e6 for path in folder.rglob("*") if path.is_file()}
    if sum(sizes.values()) > MOST_MB:
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:5]
        largest_text = ", ".join(f"{path.name.split('-')[0]} {sizes[path]:.0f}" for path in largest)
        raise UserError(
            f"the bundle has {sum(sizes.values()):.0f} MB, {MOST_MB} are allowed (in MB: {largest_text}); name"
            " what that machine has in WITHOUT="
        )
