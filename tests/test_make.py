"""The Makefile: what a user gives arrives as given, and a half-made virtual environment is mended."""

import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tools import setup_venv

ROOT = Path(__file__).resolve().parents[1]
PRINTING = """#!/bin/sh
if [ "$1" != -c ]; then printf '%s\\n' "$@" >> "$SAID"; fi
"""
ODD = ["o'neil's", "a b", 'say "x"', "cost$5 $(id) $$", "back\\slash\\\\", "#1; echo x", "`id`", "*", "~x", "ü", "-x"]


@pytest.fixture
def stub(tmp_path):
    """A virtual environment whose Python writes its arguments down; yields (make's words, the file of arguments)."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PRINTING)
    python.chmod(0o755)
    (tmp_path / "venv" / ".ready").touch()
    return ["make", "-s", "-C", str(ROOT), f"VENV={tmp_path / 'venv'}"], tmp_path / "said"


def arguments(stub, *words: str, **environment: str) -> list[str]:
    order, said = stub
    said.unlink(missing_ok=True)
    done = subprocess.run(
        [*order, *words],
        env={**os.environ, "SAID": str(said), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return said.read_text().splitlines()


@pytest.mark.parametrize("value", ODD)
def test_a_value_arrives_as_it_was_given(stub, value):
    for target, variable, option in (
        ("polyp-ft-conv3", "RUNS", "--runs="),
        ("polyp", "DATA", "--data="),
        ("polyp-tables", "OUT", "--out="),
        ("prototxt", "OUT", "--out="),
        ("data-help", "DATASET", "--dataset="),
        ("detector-curve", "DATA", "--data="),
        ("coverage", "REPETITIONS", "--repetitions="),
        ("coverage", "STUDIES", "--studies="),
        ("polyp-tables", "MARGIN", "--margin="),
        ("polyp-tables", "AUC_MARGIN", "--auc-margin="),
        ("gpu-check", "OUT", "--out="),
        ("gpu-bundle", "FOR", "--python="),
        ("gpu-bundle", "OUT", "--out="),
        ("weights", "NAME", ""),
    ):
        assert option + value in arguments(stub, target, f"{variable}={value}"), target
        assert option + value in arguments(stub, target, **{variable: value}), f"{target}, from the environment"


@pytest.mark.parametrize("value", ODD)
def test_make_kvasir_hands_everything_on(stub, value):
    given = {"DATA": value, "WEIGHTS": "w", "RUNS": value}
    for said in (arguments(stub, "kvasir", *map("=".join, given.items())), arguments(stub, "kvasir", **given)):
        assert said.count(f"--data={value}") == said.count(f"--runs={value}") == 2  # the runs and their report
        assert said.count("--arch=squeezenet") == 2


def test_names_and_rows_are_not_the_shells(stub):
    assert arguments(stub, "polyp-o'neil`id`")[1] == "polyp-o'neil`id`"
    assert arguments(stub, "bench", "ROWS=train-32 o'n;x")[1:] == ["train-32", "o'n;x"]


@pytest.mark.parametrize("words", [["RUNS=a\nb", "polyp"], ["VENV=a b", "polyp"], ["no'such"]])
def test_what_make_cannot_hand_on_is_told_in_one_line(stub, words):
    done = subprocess.run([*stub[0], *words], capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if not re.match(r"make(\[\d+\])?: \*\*\* \[", line)]
    assert done.returncode == 2 and len(lines) == 1 and not stub[1].exists()
    assert any(part in lines[0] for part in ("line break", "blanks", "no'such"))


REFUSED = [
    ("folder SEED=3", "SEED= is not taken by make folder; did you mean SEEDS=?"),
    ("folder-ft-fc8 SEEDS=0,1,2", "SEEDS= is not taken by make folder-ft-fc8; did you mean SEED=?"),
    ("study STUDY=a.yaml PATCHES=40", "PATCHES= is not taken by make study; it takes: STUDY, "),
    ("kvasir DATA=a WEIGHTS=b EPOCHS=3", "EPOCHS= is not taken by make kvasir; it takes: DATA, "),
    ("polyp-ft-conv3 EPOCH:=1", "EPOCH= is no option; did you mean EPOCHS=?"),
    ("polyp-ft-conv3 patches=", "patches= is no option; did you mean PATCHES=?"),
    ("-n polyp o'`id`=1", "o'`id`= is no option; it takes: SCHEMES, "),
    ("polyp CHECK=1 GIVEN= STEERING=1 REFUSED=", "CHECK= is no option"),  # names of the Makefile's own
    ("-k -i SEED=1", "SEED= is not taken by make help"),
]


@pytest.mark.parametrize(("words", "expected"), REFUSED, ids=[words for words, _ in REFUSED])
def test_a_variable_that_no_target_takes_is_refused_before_anything_runs(stub, words, expected):
    done = subprocess.run([*stub[0], *words.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not done.stdout and not stub[1].exists()
    (line,) = done.stderr.splitlines()
    assert re.match(r"Makefile:\d+: \*\*\* error: ", line) and expected in line


def test_a_variable_must_be_taken_by_one_of_the_targets(stub):
    said = arguments(stub, "polyp-ft-conv3", "polyp-tables", "SEED=3", "SEEDS=3,4")
    assert [word for word in said if "seed" in word] == ["--seed=3", "--seeds=3,4"]


def test_what_steers_make_and_what_the_environment_has_is_not_refused(stub):
    assert arguments(stub, "tables", "V=1", "PYTEST=none", "TORCH=", SEED="3", EPOCH="1") == ["tools/print_tables.py"]
    assert "--seeds=" not in " ".join(arguments(stub, "polyp", SEED="3"))


def test_the_readmes_studies_hand_each_variable_to_what_takes_it(stub):
    said = arguments(stub, "chest-xray", "DATA=a", "WEIGHTS=b", "MARGIN=0.1", "FRACTION=1/2", SEED="3")
    assert said.count("--fraction=1/2") == 2 and said.count("--margin=0.1") == 1 and "--seed=3" not in said
    assert said.count("--seeds=0,1,2") == 2


def test_variables_are_checked_by_the_environment_where_python_is_too_old(tmp_path):
    make_venv(tmp_path / "venv")
    (tmp_path / "venv" / ".ready").touch()
    order = ["make", "-n", "-C", str(ROOT), f"VENV={tmp_path / 'venv'}", "PYTHON=false", "folder", "SEED=3"]
    done = subprocess.run(order, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "SEED= is not taken by make folder" in done.stderr
    done = subprocess.run([*order, f"VENV={tmp_path / 'none'}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr  # setup then says what is wrong with that Python


@pytest.fixture
def setup(tmp_path, monkeypatch):
    """Calls tools/setup_venv.py on VENV in `tmp_path`, the two commands replaced; returns what was run."""
    (tmp_path / "setup.py").touch()
    ran = []

    def run(what: str, lock: int, *order: object) -> None:
        ran.append((threading.get_ident(), what))
        time.sleep(0.1)
        if "venv" in order:
            make_venv(order[-1])

    monkeypatch.setattr(setup_venv, "run", run)
    monkeypatch.setattr(setup_venv, "index_has", lambda version: True)
    monkeypatch.setattr(setup_venv, "pip", lambda venv: ["pip", "install"])
    monkeypatch.setattr(setup_venv, "outcome", lambda venv, build: "ready")
    monkeypatch.setattr(sys, "argv", ["setup_venv.py", str(tmp_path / "venv"), str(tmp_path / "setup.py")])

    def call() -> list[str]:
        before = len(ran)
        setup_venv.main()
        return [what for thread, what in ran[before:] if thread == threading.get_ident()]

    return call


def make_venv(venv: Path) -> None:
    """One with this Python, which has pip."""
    (venv / "bin").mkdir(parents=True, exist_ok=True)
    (venv / "pyvenv.cfg").touch()
    python = venv / "bin" / "python"
    python.unlink(missing_ok=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)


MADE, INSTALLED = "making the virtual environment", "pip install"


def test_an_environment_is_made_once_and_updated_when_its_sources_change(setup, tmp_path):
    assert setup() == [MADE, INSTALLED]
    assert setup() == []
    os.utime(tmp_path / "setup.py", (2e9, 2e9))
    assert setup() == [INSTALLED]


def test_a_half_made_environment_is_made_anew(setup, tmp_path):
    make_venv(tmp_path / "venv")  # killed before or during pip install: there is no stamp
    assert setup() == [MADE, INSTALLED]
    python = tmp_path / "venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/usr/bin/python-that-was-removed")
    assert setup() == [MADE, INSTALLED]
    python.write_text("#!/bin/sh\nexit 1\n")  # another version, which looks for pip elsewhere
    assert setup() == [MADE, INSTALLED]
    (tmp_path / "venv" / "pyvenv.cfg").unlink()
    (tmp_path / "venv" / ".ready").unlink()
    (tmp_path / "venv" / "thesis.tex").touch()
    with pytest.raises(SystemExit, match="not a virtual environment"):
        setup()
    assert (tmp_path / "venv" / "thesis.tex").exists()


def test_a_failed_installation_is_no_environment(setup, tmp_path, monkeypatch):
    setup()
    os.utime(tmp_path / "setup.py", (2e9, 2e9))
    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="no network"):
        patch.setattr(setup_venv, "run", lambda *_: sys.exit("no network"))
        setup_venv.main()
    assert setup() == [MADE, INSTALLED]


def test_of_two_calls_at_once_the_second_waits_and_does_nothing(setup):
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(setup) for _ in range(2)]
    assert sorted(step for one in both for step in one.result()) == [MADE, INSTALLED]


def test_make_mends_an_environment_whose_python_is_gone(stub, tmp_path):
    order, _ = stub
    (tmp_path / "venv" / "bin" / "python").unlink()
    planned = subprocess.run([*order, "-n", "tables"], capture_output=True, text=True, check=True).stdout
    assert planned.startswith("python3 tools/setup_venv.py")
