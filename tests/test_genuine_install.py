"""The genuine Caffe's installer: its wrapper, and what it says where it cannot work."""

import subprocess

import pytest

from pycaffe_ext.errors import UserError
from pycaffe_ext.training import genuine

needs_caffe = pytest.mark.skipif(not genuine.installed(), reason="`make caffe` has not been run")


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert not genuine.installed()
    return tmp_path / "cache"


@pytest.mark.genuine
@needs_caffe
def test_wrapper_runs_the_real_one():
    run = subprocess.run([genuine.command(), "--version"], capture_output=True, text=True, check=True)
    assert "caffe version 1.0.0" in run.stdout + run.stderr


@pytest.mark.genuine
@needs_caffe
def test_wrapper_sees_paths_relative_to_the_working_directory(tmp_path):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "solver.prototxt").write_text('net: "not there.prototxt"\n')
    run = subprocess.run(
        [genuine.command(), "train", "--solver=a folder/solver.prototxt"], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode != 0
    assert "File not found: not there.prototxt" in run.stderr


@pytest.mark.genuine
@needs_caffe
def test_python_of_the_wrapper_has_pycaffe_whatever_the_caller_has_set(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nonsense")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nonsense")
    code = "import caffe; print(caffe.__version__, 'Convolution' in caffe.layer_type_list())"
    run = subprocess.run([genuine.command("python"), "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1.0.0", "True"]


@pytest.mark.genuine
@needs_caffe
def test_installing_again_changes_nothing():
    before = genuine.command("caffe").read_bytes()
    genuine.install()
    assert genuine.command("caffe").read_bytes() == before


def test_without_mmdebstrap(empty_cache, monkeypatch):
    monkeypatch.setattr(genuine.platform, "system", lambda: "Linux")
    monkeypatch.setattr(genuine.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="needs mmdebstrap: `apt-get install mmdebstrap`.*leave CAFFE unset"):
        genuine.install()
    assert not empty_cache.exists()


@pytest.mark.parametrize("system, machine", [("Darwin", "arm64"), ("Windows", "AMD64"), ("Linux", "aarch64")])
def test_on_another_system(empty_cache, monkeypatch, system, machine):
    monkeypatch.setattr(genuine.platform, "system", lambda: system)
    monkeypatch.setattr(genuine.platform, "machine", lambda: machine)
    with pytest.raises(UserError, match=f"packaged for Linux on x86_64, this is {system} on {machine}; leave CAFFE"):
        genuine.install()
    assert not empty_cache.exists()


def test_failed_bootstrap_leaves_nothing_and_says_why(empty_cache, tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "mmdebstrap"
    fake.write_text('#!/bin/sh\nfor last; do :; done\n/bin/mkdir -p "$last"\necho "E: no network"\nexit 25\n')
    fake.chmod(0o755)
    monkeypatch.setattr(genuine.platform, "system", lambda: "Linux")
    monkeypatch.setattr(genuine.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(UserError, match="could not install Caffe .E: no network.*leave CAFFE unset"):
        genuine.install()
    assert not genuine.installed()
    assert list((empty_cache / "pycaffe_ext").iterdir()) == []
