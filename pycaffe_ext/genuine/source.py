"""What the genuine Caffe publishes besides its programs: pycaffe's own tests, the model zoo's nets, the examples.

They come from Debian's source package of the very version that root.py installs, fetched by the host's apt from the
archive, and checked with the keys, that the installed root names.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pycaffe_ext import tether
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing_folder
from pycaffe_ext.genuine import root

KEPT = ("LICENSE", "python/caffe/test/", "models/", "examples/pycaffe/")  # and every prototxt of examples/


def folder() -> Path:
    """Where it lies: python/caffe/test/, models/ and examples/ of the source tree."""
    return root.cache_folder() / "caffe-1.0-source"


def installed() -> bool:
    return (folder() / "python/caffe/test").is_dir()


def install() -> None:
    """Fetch it, once: seconds and 17 MB to load, 1 MB to keep.  Raises UserError where that can't work."""
    if installed():
        return
    if shutil.which("apt-get") is None:
        raise UserError("Caffe's source package is fetched by apt-get, which is not here; what needs it is skipped")
    with tempfile.TemporaryDirectory(prefix="caffe-source-") as work:
        archive = _download(Path(work))
        _unpack(archive)


def _download(work: Path) -> Path:
    """The original source archive, downloaded into `work`."""
    (work / "lists/partial").mkdir(parents=True)
    (work / "cache/archives/partial").mkdir(parents=True)
    (work / "sources.list").write_text("\n".join(_source_lines()) + "\n")
    for order in (["update"], ["source", "--download-only", "caffe"]):
        environment = {**os.environ, "LC_ALL": "C"}
        status, said = tether.run(["apt-get", *_options(work), *order], cwd=work, env=environment)
        if status:
            raise UserError(
                f"apt-get could not fetch Caffe's source package ({_reason(said)}); what needs it"
                " is skipped, `make caffe` tries again"
            )
    found = sorted(work.glob("caffe_*.orig.tar.*"))
    if not found:
        raise UserError("apt-get fetched no source archive of Caffe; what needs it is skipped")
    return found[0]


def _source_lines() -> list[str]:
    """The installed root's archives, for source packages."""
    listed = root.cache_folder() / "caffe-1.0/etc/apt/sources.list"
    lines = listed.read_text().splitlines() if listed.exists() else []
    found = [
        line.replace("deb ", "deb-src ", 1) for line in lines if line.startswith("deb ") and root.SUITE in line.split()
    ]
    if not found:
        raise UserError(f"{listed}: names no archive of {root.SUITE}; what needs Caffe's source package is skipped")
    return found


def _options(work: Path) -> list[str]:
    """Settings that keep the host's own lists, packages and caches out of it."""
    keys = root.cache_folder() / "caffe-1.0/etc/apt/trusted.gpg.d"
    settings = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::trustedparts": keys,
        "Dir::State::lists": work / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",
    }
    return [item for name, value in settings.items() for item in ("-o", f"{name}={value}")]


def _reason(output: str) -> str:
    """apt's first error, or its first warning: a failed download is only a warning to it."""
    lines = output.splitlines()
    return next((line for mark in ("E:", "W:") for line in lines if line.startswith(mark)), "no message")


SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.4 and newer


def _unpack(archive: Path) -> None:
    try:
        with tarfile.open(archive) as tar, writing_folder(folder()) as part:
            tar.extractall(part, members=_wanted(tar), **SAFELY)
    except (tarfile.TarError, EOFError) as error:
        raise UserError(f"Caffe's source archive cannot be unpacked ({error}); `make caffe` tries again") from None


def _wanted(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        prototxt = member.name.startswith("examples/") and member.name.endswith(".prototxt")
        if member.isfile() and (prototxt or member.name.startswith(KEPT)):
            if ".." in PurePosixPath(member.name).parts:
                raise tarfile.TarError(f"{member.name} leads elsewhere")
            yield member
