"""Run the check on a machine without internet: this file lies in the bundle as check.py, beside the wheels.

It needs that machine's Python, its pip and its torch, and the standard library, but not root.  What the
machine lacks is installed from the wheels into the folder `site` beside this file, what it has is used.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.4 and newer


def main(arguments: list[str]) -> int:
    facts = json.loads((HERE / "bundle.json").read_text())
    try:
        check_python(facts["python"])
        site = install(needed(facts["requirements"]))
    except LookupError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 1
    root = sources()
    path = os.pathsep.join(filter(None, (str(site), str(root), os.environ.get("PYTHONPATH"))))
    words = [sys.executable, str(root / "tools" / "gpu_check.py"), *arguments]
    return subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, check=False).returncode


def check_python(wanted: str) -> None:
    """Raise LookupError unless this Python is the wheels' own and has a torch."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if here != wanted:
        raise LookupError(
            f"this bundle is for Python {wanted}, {sys.executable} is {here}; set PYTHON=, or make the"
            f" bundle again with FOR={here}"
        )
    if version_of("torch") is None:
        raise LookupError(f"{sys.executable} has no torch; set PYTHON= to the one that has")


def version_of(project: str) -> str | None:
    try:
        return metadata.version(project)
    except metadata.PackageNotFoundError:
        return None


def needed(requirements: list[str]) -> list[Path]:
    """The wheels of what this machine lacks or has in another version than it needs; LookupError for one without."""
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.utils import canonicalize_name, parse_wheel_filename

    specs = {canonicalize_name(one.name): one.specifier for one in map(Requirement, requirements)}
    wheels = {parse_wheel_filename(path.name)[0]: path for path in sorted((HERE / "wheels").glob("*.whl"))}
    lacking = [name for name in {**specs, **wheels} if not _has(name, specs.get(name))]
    if without := [f"{name}{specs[name]}" for name in lacking if name not in wheels]:
        raise LookupError(
            f"neither this machine nor the bundle has {', '.join(without)}; rebuild the bundle without"
            " naming it in WITHOUT="
        )
    return [wheels[name] for name in lacking]


def _has(name: str, specifier: Any) -> bool:
    found = version_of(name)
    return found is not None and (specifier is None or found in specifier)


def install(wheels: list[Path]) -> Path:
    """Install exactly these wheels into `site`."""
    site = HERE / "site"
    shutil.rmtree(site, ignore_errors=True)
    if wheels:
        names = ", ".join(path.name.split("-")[0] for path in wheels)
        print(f"installing {names} into {site}", flush=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--no-compile",
            "--disable-pip-version-check",
            "--target",
            str(site),
        ]
        run = subprocess.run([*pip, *map(str, wheels)], capture_output=True, text=True, check=False)
        if run.returncode:
            last = (run.stderr.strip().splitlines() or ["no message"])[-1]
            raise LookupError(f"pip could not install {names}: {last}")
    return site


def sources() -> Path:
    """The checkout that the bundle lies in, else the bundle's own copy; with the generated protobuf module."""
    root = HERE.parent
    if not (root / "tools" / "gpu_check.py").exists():
        root = HERE / "source"
        shutil.rmtree(root, ignore_errors=True)
        with tarfile.open(HERE / "source.tar.gz") as archive:
            archive.extractall(root, **SAFELY)
    generated = root / "pycaffe_ext" / "proto" / "caffe_pb2.py"
    if not generated.exists():
        shutil.copyfile(HERE / "caffe_pb2.py", generated)
    return root


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
