"""The genuine Caffe's installer: its wrapper, what comes beside it, and what it says where it cannot work."""

import importlib.util
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root, source

ROOT = Path(__file__).parents[2]


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert not root.installed()
    return tmp_path / "cache"


@pytest.mark.genuine
def test_wrapper_runs_the_real_one():
    run = subprocess.run([root.command(), "--version"], capture_output=True, text=True, check=True)
    assert "caffe version 1.0.0" in run.stdout + run.stderr


@pytest.mark.genuine
def test_wrapper_sees_paths_relative_to_the_working_directory(tmp_path):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "solver.prototxt").write_text('net: "not there.prototxt"\n')
    run = subprocess.run(
        [root.command(), "train", "--solver=a folder/solver.prototxt"], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode != 0
    assert "File not found: not there.prototxt" in run.stderr


@pytest.mark.genuine
def test_python_of_the_wrapper_has_pycaffe_whatever_the_caller_has_set(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nonsense")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nonsense")
    code = "import caffe; print(caffe.__version__, 'Convolution' in caffe.layer_type_list())"
    run = subprocess.run([root.command("python"), "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1.0.0", "True"]


@pytest.mark.genuine
def test_installing_again_changes_nothing():
    before = root.command("caffe").read_bytes()
    root.install()
    assert root.command("caffe").read_bytes() == before


def test_without_mmdebstrap(empty_cache, monkeypatch):
    monkeypatch.setattr(root.platform, "system", lambda: "Linux")
    monkeypatch.setattr(root.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="needs mmdebstrap: `apt-get install mmdebstrap`.*leave CAFFE unset"):
        root.install()
    assert not empty_cache.exists()


@pytest.mark.parametrize("system, machine", [("Darwin", "arm64"), ("Windows", "AMD64"), ("Linux", "aarch64")])
def test_on_another_system(empty_cache, monkeypatch, system, machine):
    monkeypatch.setattr(root.platform, "system", lambda: system)
    monkeypatch.setattr(root.platform, "machine", lambda: machine)
    with pytest.raises(UserError, match=f"packaged for Linux on x86_64, this is {system} on {machine}; leave CAFFE"):
        root.install()
    assert not empty_cache.exists()


def test_failed_bootstrap_leaves_nothing_and_says_why(empty_cache, tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "mmdebstrap"
    fake.write_text('#!/bin/sh\nfor last; do :; done\n/bin/mkdir -p "$last"\necho "E: no network"\nexit 25\n')
    fake.chmod(0o755)
    monkeypatch.setattr(root.platform, "system", lambda: "Linux")
    monkeypatch.setattr(root.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(UserError, match="could not install Caffe .E: no network.*leave CAFFE unset"):
        root.install()
    assert not root.installed()
    assert list((empty_cache / "pycaffe_ext").iterdir()) == []


# ---- what Caffe publishes besides its programs


@pytest.fixture
def cache_with_root(empty_cache, tmp_path, monkeypatch):
    """A cache whose installed root names an archive, and a folder of programs that stands for the PATH."""
    apt = empty_cache / "pycaffe_ext" / "caffe-1.0" / "etc" / "apt"
    (apt / "trusted.gpg.d").mkdir(parents=True)
    (apt / "sources.list").write_text("deb http://archive.invalid/debian bullseye main\n")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def fake_apt(folder, script):
    program = folder / "bin" / "apt-get"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def source_archive(path, names):
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    return path


def test_source_keeps_tests_models_and_examples_only(cache_with_root):
    kept = [
        "LICENSE",
        "python/caffe/test/test_net.py",
        "models/bvlc_alexnet/deploy.prototxt",
        "examples/mnist/lenet.prototxt",
        "examples/pycaffe/layers/pyloss.py",
    ]
    left = ["src/caffe/net.cpp", "python/caffe/io.py", "examples/mnist/train.sh", "docs/model_zoo.md"]
    archive = source_archive(cache_with_root / "archive.tar.gz", kept + left)
    fake_apt(cache_with_root, f"/bin/cp '{archive}' caffe_1.0.0.orig.tar.gz")
    source.install()
    folder = source.folder()
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == sorted(kept)


def test_source_is_asked_of_the_archive_that_the_root_came_from(cache_with_root):
    fake_apt(cache_with_root, f"/bin/cat sources.list > '{cache_with_root}/asked'; exit 100")
    with pytest.raises(UserError, match="could not fetch"):
        source.install()
    assert (cache_with_root / "asked").read_text() == "deb-src http://archive.invalid/debian bullseye main\n"


def test_source_that_cannot_be_had_leaves_nothing_and_says_why(cache_with_root):
    with pytest.raises(UserError, match="apt-get, which is not here"):
        source.install()
    fake_apt(cache_with_root, "echo 'W: less'; echo 'E: no network'; exit 100")
    with pytest.raises(UserError, match="could not fetch Caffe's source package .E: no network"):
        source.install()
    fake_apt(cache_with_root, "echo not an archive > caffe_1.0.0.orig.tar.gz")
    with pytest.raises(UserError, match="cannot be unpacked"):
        source.install()
    assert not source.installed()
    assert not source.folder().exists()


def test_source_archive_cannot_write_elsewhere(cache_with_root):
    archive = source_archive(cache_with_root / "archive.tar.gz", ["models/../../../../evil"])
    fake_apt(cache_with_root, f"/bin/cp '{archive}' caffe_1.0.0.orig.tar.gz")
    with pytest.raises(UserError, match="cannot be unpacked"):
        source.install()
    assert not list(cache_with_root.rglob("evil"))


def test_programs_stay_usable_without_the_source(cache_with_root, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("install_caffe", ROOT / "tools" / "install_caffe.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(root, "install", lambda: None)
    monkeypatch.setattr("sys.argv", ["install_caffe.py"])
    tool.main()
    out, err = capsys.readouterr()
    assert out == f"{root.command('caffe')}\n"
    assert err.startswith("note: Caffe's source package") and err.count("\n") == 1
