"""What is written is whole or absent, and what killed processes leave is removed, but nothing of the living."""

import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from pycaffe_ext import parts
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing, writing_folder
from pycaffe_ext.sizes import check_space, size_text

KILLED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from pycaffe_ext.files import writing, writing_folder
with writing(sys.argv[1] + "/a.json") as file, writing_folder(sys.argv[1] + "/b_lmdb") as folder:
    file.write("half")
    file.flush()
    (folder / "data.mdb").write_bytes(bytes(1_000_000))
    if sys.argv[2:]:
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL) if "part" in str(_[0]) else os.replace(*_)
    else:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(folder: Path, *late: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, folder, *late], cwd=Path(__file__).parents[1], check=False)
    assert done.returncode == -9


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_next_writing_removes_what_a_killed_process_left(tmp_path, capsys):
    killed(tmp_path)
    assert len(names(tmp_path)) == 4  # two parts, two locks
    with writing(tmp_path / "c"):
        pass
    assert names(tmp_path) == ["c"]
    said = capsys.readouterr().err
    told = rf"{tmp_path}: removed what processes that were killed had half written \(1(\.\d+)? MB\): a.json, b_lmdb\n"
    assert re.fullmatch(told, said)
    killed(tmp_path)
    with writing_folder(tmp_path / "b_lmdb") as part:
        assert not names(part)
    assert names(tmp_path) == ["b_lmdb", "c"]


def test_an_old_folder_comes_back_when_its_successor_did_not(tmp_path):
    (tmp_path / "b_lmdb").mkdir()
    (tmp_path / "b_lmdb" / "old").touch()
    killed(tmp_path, "late")  # the old folder is put aside, the new one is not there yet
    assert not (tmp_path / "b_lmdb").exists()
    parts.sweep(tmp_path)
    assert names(tmp_path) == ["b_lmdb"] and names(tmp_path / "b_lmdb") == ["old"]


def test_what_a_living_process_writes_stays(tmp_path, capsys):
    with writing(tmp_path / "a") as file, writing_folder(tmp_path / "b") as folder:
        inside = names(tmp_path)
        order = [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from pycaffe_ext import parts; parts.sweep_all(Path(sys.argv[1]))",
            tmp_path.parent,
        ]
        done = subprocess.run(order, cwd=Path(__file__).parents[1], capture_output=True, check=True)
        assert not done.stderr and names(tmp_path) == inside
        with writing(tmp_path / "a") as other:  # two writers of one file: the last one to end counts
            other.write("other")
        file.write("mine")
        (folder / "x").touch()
    assert names(tmp_path) == ["a", "b"] and (tmp_path / "a").read_text() == "mine" and names(tmp_path / "b") == ["x"]


def test_parts_of_earlier_versions_go_and_files_of_others_stay(tmp_path, capsys):
    for name in (".train_lmdb.4711.part", ".out.4711.old"):
        (tmp_path / "data" / "polyp" / name).mkdir(parents=True)
    others = [".x.part", ".y.old", ".z.123.swp", "w.123.part", "bvlc.caffemodel.part"]
    for name in others:
        (tmp_path / "data" / "polyp" / name).touch()
    parts.sweep_all(tmp_path)
    assert names(tmp_path / "data" / "polyp") == sorted([*others, "out"])


def test_an_error_leaves_nothing_and_the_old_content(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").mkdir()
    with pytest.raises(KeyError), writing(tmp_path / "a") as file, writing_folder(tmp_path / "b"):
        file.write("new")
        raise KeyError
    assert names(tmp_path) == ["a", "b"] and (tmp_path / "a").read_text() == "old"


def test_writers_and_sweepers_at_once_lose_nothing(tmp_path):
    """A writer whose lock is taken for left behind before it is held makes another."""
    stop, failures = threading.Event(), []

    def write(number: int) -> None:
        try:
            for i in range(50):
                with writing(tmp_path / f"{number}-{i}") as file:
                    file.write("x")
        except Exception as error:
            failures.append(error)

    def sweep() -> None:
        while not stop.is_set():
            parts.sweep(tmp_path)

    sweeper = threading.Thread(target=sweep)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in (sweeper, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    sweeper.join()
    assert not failures and len(names(tmp_path)) == 150


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (3_210_000, "3.21 MB"),
        (999_400, "999 kB"),
        (999_600, "1 MB"),
        (45_120_000_000, "45.1 GB"),
        (2.5e12, "2.5 TB"),
        (1.4e14, "140 TB"),
    ],
)
def test_sizes_read_well(count, text):
    assert size_text(count) == text


def test_too_small_a_disk_is_told_with_all_amounts(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    check_space(tmp_path / "not" / "yet", 1_000_000, "packing needs", "")
    with pytest.raises(UserError) as error:
        check_space(tmp_path / "not" / "yet", 4_200_000, "packing train needs", " or sell something")
    assert str(error.value) == (
        f"{tmp_path}/not/yet: packing train needs 4.2 MB, 1 MB are free, 3.2 MB too little; free some space or sell"
        " something"
    )
