"""`make setup`: which PyTorch it takes, what it says about sizes, and what happens when a download breaks off."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import setup_venv

Setup = Callable[..., list[list[str]]]


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """Calls tools/setup_venv.py on a folder of a disk with room, its two commands replaced; returns the commands."""
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=100e9))

    def call(*words: str, index: bool = True, driver: bool = False) -> list[list[str]]:
        ran: list[list[str]] = []

        def run(what: str, lock: int, *order: object) -> None:
            ran.append([str(word) for word in order])
            if "venv" in ran[-1]:
                make_venv(tmp_path / "venv")

        monkeypatch.setattr(setup_venv, "run", run)
        monkeypatch.setattr(setup_venv, "index_has", lambda version: index)
        monkeypatch.setattr(setup_venv, "works", lambda venv: (venv / "bin/python").exists())
        monkeypatch.setattr(setup_venv, "pip", lambda venv: ["pip", "install"])
        monkeypatch.setattr(setup_venv, "outcome", lambda venv, build: "ready")
        monkeypatch.setattr(setup_venv, "default_build", lambda: "cuda" if driver else "cpu")
        monkeypatch.setattr(sys, "argv", ["setup_venv.py", *words, str(tmp_path / "venv"), str(tmp_path / "source")])
        if not (tmp_path / "source").exists():
            (tmp_path / "source").touch()
        setup_venv.main()
        return ran

    return call


def make_venv(venv: Path) -> None:
    (venv / "bin").mkdir(parents=True, exist_ok=True)
    (venv / "pyvenv.cfg").touch()
    (venv / "bin/python").unlink(missing_ok=True)
    (venv / "bin/python").symlink_to(sys.executable)


def has_index(order: list[str]) -> bool:
    return (
        order[order.index("--extra-index-url") + 1] == setup_venv.CPU_INDEX if "--extra-index-url" in order else False
    )


def test_without_a_driver_it_is_the_cpu_build(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    made, installed = setup()
    assert "venv" in made and has_index(installed) and installed[-2:] == ["-e", ".[dev]"]
    out = capsys.readouterr().out
    assert "PyTorch for the CPU: about 0.4 GB to download, 1.7 GB on disk" in out and out.splitlines()[1:] == ["ready"]


def test_with_a_driver_it_is_the_cuda_build(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    assert not has_index(setup(driver=True)[-1])
    assert (
        "PyTorch for CUDA: about 2.7 GB to download, 5.3 GB on disk (TORCH=cpu: about 0.4 GB" in capsys.readouterr().out
    )
    assert has_index(setup("--torch=cpu", driver=True)[-1])


def test_where_the_index_is_not_reached_pip_decides_and_sizes_are_named(
    setup: Setup, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not has_index(setup(index=False)[-1])
    note = capsys.readouterr().out.splitlines()[0]
    assert note.startswith(f"note: {setup_venv.CPU_INDEX} can't be reached") and "2.7 GB to download, 5.3 GB" in note


def test_another_build_is_another_environment_and_the_same_is_kept(setup: Setup, tmp_path: Path) -> None:
    assert len(setup("--torch=cuda")) == 2 and (tmp_path / "venv/.ready").read_text() == "cuda\n"
    assert setup("--torch=cuda") == setup() == []
    os.utime(tmp_path / "source", (2e9, 2e9))
    (updated,) = setup()  # new dependencies, no driver: what was chosen stays
    assert not has_index(updated)
    os.utime(tmp_path / "source", (1, 1))
    made, installed = setup("--torch=cpu")
    assert "--clear" in made and has_index(installed) and setup() == []


def test_an_environment_of_an_older_version_stays_until_a_build_is_asked_for(setup: Setup, tmp_path: Path) -> None:
    make_venv(tmp_path / "venv")
    (tmp_path / "source").touch()
    (tmp_path / "venv/.ready").touch()
    assert setup() == []
    assert len(setup("--torch=cpu")) == 2


def test_an_unknown_build_an_old_python_and_a_full_disk_are_reported_in_one_line(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"^error: TORCH=gpu: must be cpu or cuda$"):
        setup("--torch=gpu")
    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="Python 3.99 or newer is needed, .* is 3"):
        patch.setattr(setup_venv, "OLDEST", (3, 99))
        setup()
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1e9))
    with pytest.raises(SystemExit, match=r"takes 1\.7 GB with TORCH=cpu, .* has 1\.0 GB free; make room or"):
        setup()
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            "Traceback (most recent call last):\n  File x\npip._vendor.urllib3.exceptions.ProtocolError:"
            " ('Connection broken: IncompleteRead(5 bytes read, 9 more expected)')",
            "error: a download broke off (pip._vendor.urllib3.exceptions.ProtocolError: ('Connection broken:"
            " IncompleteRead(5 bytes read, 9 more expected)')); `make setup` tries again",
        ),
        (
            "ERROR: incomplete-download\n\n× Download failed after 20 attempts",
            "error: a download broke off (× Download",
        ),
        ("ERROR: no matching distribution", "error: pip install failed, see above; `make setup` tries again"),
    ],
)
def test_a_failure_is_reported_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], error: str, message: str
) -> None:
    code = f"import sys; print('WARNING: Retrying', file=sys.stderr); sys.exit({error!r})"
    with setup_venv.locked(tmp_path) as lock, pytest.raises(SystemExit) as caught:
        setup_venv.run("pip install", lock, sys.executable, "-c", code)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
    shown = capfd.readouterr().err
    assert shown == "WARNING: Retrying\n" + (f"{error}\n" if "see above" in message else "")


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        ('<a href="torch-2.9.1%2Bcpu-PYTHON-PYTHON-manylinux_2_28_MACHINE.whl">', 0, True),
        ('<a href="torch-2.9.1+cpu-PYTHON-PYTHON-linux_MACHINE.whl">', 0, True),
        ('<a href="torch-2.9.10%2Bcpu-PYTHON-PYTHON-manylinux_2_28_MACHINE.whl">', 0, False),
        ('<a href="torch-2.9.1%2Bcpu-cp27-cp27m-manylinux_2_28_MACHINE.whl">', 0, False),
        ('<a href="torch-2.9.1%2Bcpu-PYTHON-PYTHON-win_other.whl">', 0, False),
        ("", 1, False),
        ("", None, False),
    ],
)
def test_the_index_is_asked_for_a_wheel_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, text: str, status: int | None, expected: bool
) -> None:
    page = text.replace("PYTHON", "cp{}{}".format(*sys.version_info)).replace("MACHINE", setup_venv.platform.machine())

    def answer(order: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        assert order[-1] == f"{setup_venv.CPU_INDEX}/torch/" and 0 < float(str(options["timeout"])) <= 20
        if status is None:
            raise subprocess.TimeoutExpired(order, 20)
        return subprocess.CompletedProcess(order, status, page.encode())

    monkeypatch.setattr(subprocess, "run", answer)
    assert setup_venv.index_has("2.9.1") is expected


@pytest.mark.parametrize(("version", "resumes"), [("23.2.1", False), ("25.0", False), ("25.1", True), ("26.0.1", True)])
def test_a_pip_that_can_resume_downloads_does(monkeypatch: pytest.MonkeyPatch, version: str, resumes: bool) -> None:
    done = subprocess.CompletedProcess([], 0, f"pip {version} from /x (python 3.11)\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert ("--resume-retries" in setup_venv.pip(Path("venv"))) is resumes


@pytest.mark.parametrize(("version", "note"), [("2.9.1+cpu", ", a CPU build: pip is configured"), ("2.9.1", "")])
def test_what_was_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, note: str) -> None:
    (tmp_path / "large").write_bytes(b"")
    os.truncate(tmp_path / "large", 1_700_000_000)  # a hole: it takes no place
    done = subprocess.CompletedProcess([], 0, f"{version}\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert setup_venv.outcome(tmp_path, "cuda").startswith(f"{tmp_path} is ready: 1.7 GB, PyTorch {version}{note}")
    assert setup_venv.outcome(tmp_path, "cpu") == f"{tmp_path} is ready: 1.7 GB, PyTorch {version}"


def test_the_driver_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: False)
    monkeypatch.setattr(setup_venv.shutil, "which", lambda name: None)
    assert setup_venv.default_build() == "cpu"
    monkeypatch.setattr(setup_venv.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert setup_venv.default_build() == "cuda"


def test_the_version_of_torch_is_the_pinned_one() -> None:
    project = tomllib.loads((Path(setup_venv.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert f"torch=={setup_venv.torch_version()}" in project["dependencies"]
