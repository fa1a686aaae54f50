"""Install the genuine BVLC Caffe 1.0, as Debian 11 packages it, beside the user's other caches.

The files of a minimal Debian 11 are unpacked into the cache folder. Its programs are started by its own dynamic
loader with its own library path, so nothing is mounted and root is not needed: they see the same paths, receive
the same signals and inherit the same working directory as any other command.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from pycaffe_ext import tether
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing
from pycaffe_ext.sizes import check_space

SUITE = "bullseye"
PACKAGES = ("caffe", "python3-caffe", "libopenblas0-pthread")  # without OpenBLAS: reference BLAS, many times slower
PROGRAMS = (
    "caffe",
    "convert_imageset",
    "compute_image_mean",
    "extract_features",
    "upgrade_net_proto_text",
    "upgrade_net_proto_binary",
    "upgrade_solver_proto_text",
)
LIBRARIES = (  # OpenBLAS first: the root's alternatives are absolute links into the host
    "usr/lib/x86_64-linux-gnu/openblas-pthread",
    "usr/lib/x86_64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "usr/lib",
    "usr/lib/ogdi/4.1",
    "usr/lib/x86_64-linux-gnu/odbc",
    "usr/lib/x86_64-linux-gnu/nss",
)
SIZE = 1.1e9  # bytes of the root
LOADER = "lib/x86_64-linux-gnu/ld-2.31.so"


def cache_folder() -> Path:
    """The user's cache folder for this project ($XDG_CACHE_HOME is obeyed)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pycaffe_ext"


def command(program: str = "caffe") -> Path:
    """Where the wrapper of `program` lies (`python` is the interpreter that has the genuine pycaffe)."""
    return cache_folder() / "bin" / program


def installed() -> bool:
    return command("caffe").exists() and command("python").exists()


def install() -> None:
    """Install it, once: about a minute and 1.1 GB.  Raises UserError, with the remedy, where that can't work."""
    root = cache_folder() / "caffe-1.0"
    if not (root / LOADER).exists():
        _check_host()
        check_space(root, SIZE, "the genuine Caffe takes", " or set XDG_CACHE_HOME to another folder")
        _bootstrap(root)
    for program in PROGRAMS:
        _write_wrapper(program, root, f"usr/bin/{program}")
    _write_wrapper("python", root, "usr/bin/python3.9")
    _check_runs()


def _check_host() -> None:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise UserError(
            f"the genuine Caffe is packaged for Linux on x86_64, this is {platform.system()} on {platform.machine()};"
            " leave CAFFE unset to use the embedded engine"
        )
    if shutil.which("mmdebstrap") is None:
        raise UserError(
            "`make caffe` needs mmdebstrap: `apt-get install mmdebstrap` (Debian, Ubuntu), then again;"
            " or leave CAFFE unset to use the embedded engine"
        )


def _bootstrap(root: Path) -> None:
    """Unpack Debian 11 with Caffe into a temporary folder, then rename it to `root`."""
    root.parent.mkdir(parents=True, exist_ok=True)
    part = root.with_name(f".{root.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    print(f"installing BVLC Caffe 1.0 from Debian {SUITE} into {root} (about a minute, 1.1 GB)", flush=True)
    order = ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(part)]
    status, said = tether.run(order, stdin=subprocess.DEVNULL)
    if status or not (part / LOADER).exists():
        shutil.rmtree(part, ignore_errors=True)
        last = [line for line in said.splitlines() if line.startswith("E:")][-1:] or ["no message"]
        raise UserError(
            f"mmdebstrap could not install Caffe ({last[0]}); it needs Debian's archive and, unless you are root,"
            " user namespaces with /etc/subuid; or leave CAFFE unset to use the embedded engine"
        )
    part.replace(root)


def _write_wrapper(program: str, root: Path, target: str) -> None:
    libraries = ":".join(str(root / folder) for folder in LIBRARIES)
    lines = ["#!/bin/sh", "unset LD_PRELOAD LD_LIBRARY_PATH PYTHONPATH"]
    if program == "python":
        lines.append(f"export PYTHONHOME='{root}/usr'")
    lines.append(f"exec '{root / LOADER}' --library-path '{libraries}' '{root / target}' \"$@\"")
    path = command(program)
    with writing(path) as file:
        file.write("\n".join(lines) + "\n")
    path.chmod(0o755)


def _check_runs() -> None:
    run = subprocess.run([command("caffe"), "--version"], capture_output=True, text=True, check=False)
    if "caffe version 1.0.0" not in run.stdout + run.stderr:
        last = (run.stderr.strip().splitlines() or [f"exit status {run.returncode}"])[-1]
        raise UserError(f"the installed Caffe does not start here: {last}; leave CAFFE unset")
