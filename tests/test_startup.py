"""Commands that run no net load none of the heavy libraries: what is imported is looked at, not the clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pycaffe_ext.command_line.commands import COMMANDS

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "matplotlib", "sklearn", "scipy", "h5py", "pandas", "onnx", "onnxruntime", "safetensors"}
NO_ARRAYS = {"numpy", "cv2"}
LIGHT = [  # (command, packages that it may not load beside the heavy ones)
    ("-m pycaffe_ext --help", NO_ARRAYS),
    ("-m pycaffe_ext train -solver nowhere", {"cv2"}),
    ("tools/make_help.py", {*NO_ARRAYS, "google"}),
    ("tools/emit_prototxt.py --check", {"cv2"}),
    ("tools/print_tables.py", {"cv2"}),
    ("tools/data_help.py", set()),
    ("tools/train_and_test.py polyp-ft-conv3 --patches=many", NO_ARRAYS),
    ("tools/train_and_test.py polyp-ft-conv33", {"cv2"}),
    (f"tools/parse_log.py {ROOT}/tests/lab/logs/normal.log OUT", {"numpy", "cv2"}),
    (f"tools/upgrade_net_proto_text.py {ROOT}/prototxt/polyp/deploy.prototxt OUT/net", {"cv2"}),
    (f"tools/draw_net.py {ROOT}/prototxt/polyp/deploy.prototxt OUT/net.svg", {"cv2"}),
    ("tools/convert_imageset.py OUT/ OUT/list OUT/db", set()),
    ("tools/compute_image_mean.py OUT/nowhere", set()),
]
PACKING = [
    "data.pack",
    "programs.compute_image_mean",
    "programs.convert_imageset",
    "data.frames",
    "detector",
    "data.balance",
    "data.splits",
    "data.groups",
    "data.synthetic",
    "nets",
    "schemes",
    "runs.settings",
    "donor.weights",
    "caffe",
    "caffe.draw",
    "export.source",
]


def loaded(*arguments: str) -> set[str]:
    """Top-level packages that a Python process with these arguments imports."""
    order = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(order, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert len(lines) > 20, "importtime said nothing"
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize(("command", "more"), LIGHT, ids=[command for command, _ in LIGHT])
def test_a_command_that_runs_no_net_is_light(command: str, more: set[str], tmp_path: Path) -> None:
    (tmp_path / "list").write_text("nothing.png 1\n")
    found = loaded(*command.replace("OUT", str(tmp_path)).split())
    assert not found & (HEAVY | more)


def test_no_help_loads_an_array() -> None:
    """Of every command: one process asks them all."""
    code = f"""
from contextlib import suppress
from pycaffe_ext.command_line.main import main
for name in {[command.name for command in COMMANDS.values() if command.module]}:
    with suppress(SystemExit):
        main([name, "--help"])
main(["--version"])
"""
    assert not loaded("-c", code) & (HEAVY | NO_ARRAYS)


def test_packing_modules_are_light() -> None:
    found = loaded("-c", f"import {', '.join(f'pycaffe_ext.{name}' for name in PACKING)}")
    assert not found & HEAVY and "numpy" in found


def test_the_front_door_needs_nothing_installed(tmp_path: Path) -> None:
    """Neither the virtual environment nor a package: only a Python."""
    order = ["make", "-s", "help", f"PYTHON={sys.executable} -S -E", f"VENV={tmp_path}/none"]
    done = subprocess.run(order, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0 and done.stdout.startswith("make APP-SCHEME"), done.stderr
