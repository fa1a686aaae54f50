"""The bundle for a GPU machine without internet: what is in it, what is installed from it, what it refuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from gpucheck import bundle, bundled
from pycaffe_ext.errors import UserError

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def write_wheel(folder: Path, name: str = "caffe_toy", version: str = "1.5") -> Path:
    """A wheel of one module that says its version."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"]))
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A bundle's folder with one wheel, in the place of the program's own."""
    (tmp_path / "wheels").mkdir()
    write_wheel(tmp_path / "wheels")
    monkeypatch.setattr(bundled, "HERE", tmp_path)
    return tmp_path


def test_what_the_machine_lacks_is_installed_and_what_it_has_is_used(folder):
    write_wheel(folder / "wheels", "numpy", "99.0")
    (wheel,) = bundled.needed(["numpy>=1.20", "caffe-toy>=1.0"])
    assert wheel.name.startswith("caffe_toy")
    site = bundled.install([wheel])
    assert "1.5" in (site / "caffe_toy.py").read_text() and not (site / "numpy").exists()


def test_what_is_there_in_another_version_is_installed(folder):
    write_wheel(folder / "wheels", "numpy", "99.0")
    assert [path.name.split("-")[0] for path in bundled.needed(["numpy>=98"])] == ["numpy", "caffe_toy"]


@pytest.mark.parametrize("requirement", ["no-such-thing>=2", "numpy>=1000"])
def test_what_nobody_has_is_told(requirement, folder):
    with pytest.raises(LookupError, match=f"neither this machine nor the bundle has {requirement}"):
        bundled.needed([requirement])


def test_another_python_and_one_without_torch_are_refused(folder, monkeypatch):
    bundled.check_python(HERE)
    with pytest.raises(LookupError, match=rf"for Python 3\.1, .* is {HERE}; set PYTHON=.*FOR={HERE}"):
        bundled.check_python("3.1")
    monkeypatch.setattr(bundled, "version_of", lambda project: None)
    with pytest.raises(LookupError, match="has no torch"):
        bundled.check_python(HERE)


def test_wheels_that_the_machine_has_stay_out(folder):
    write_wheel(folder / "wheels", "torch", "2.0")
    bundle.drop(folder / "wheels", ["torch", "caffe-toy"])
    assert not list((folder / "wheels").iterdir())
    with pytest.raises(UserError, match="WITHOUT=scipi: no such wheel"):
        bundle.drop(folder / "wheels", ["scipi"])


def test_a_bundle_that_is_too_large_names_what_is_large(folder, monkeypatch):
    bundle.check_size(folder)
    monkeypatch.setattr(bundle, "MOST_MB", 0.0001)
    with pytest.raises(UserError, match=r"0.0001 are allowed \(in MB: caffe_toy"):
        bundle.check_size(folder)


def test_torch_is_never_asked_for():
    names = {re.match(r"[\w-]+", one)[0] for one in bundle.requirements()}
    assert {"lmdb", "protobuf"} <= names and not {"torch", "pytest"} & names


@pytest.mark.slow
def test_a_bundle_runs_by_itself(tmp_path, monkeypatch):
    """With its own copy of the sources, in another folder than the checkout's."""
    monkeypatch.setattr(bundle, "download", lambda needs, python, place: write_wheel(place))
    bundle.make(tmp_path / "made", HERE, [])
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run(
        ["bash", tmp_path / "made" / "check.sh", "--list"],
        capture_output=True,
        text=True,
        cwd="/",
        env={**environment, "PYTHON": sys.executable},
        check=False,
    )
    assert run.returncode == 0 and "Right layers-1" in run.stdout and "caffe_toy" in run.stdout, run.stderr
    if not torch.cuda.is_available():
        run = subprocess.run(
            ["bash", tmp_path / "made" / "check.sh"],
            capture_output=True,
            text=True,
            cwd="/",
            env={**environment, "PYTHON": sys.executable},
            check=False,
        )
        assert run.returncode == 0 and "no CUDA device here" in run.stdout
