"""The package: one version, all its data, and everything runs without the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

import pycaffe_ext
from pycaffe_ext import checkout

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMMANDS = """
import sys
from pycaffe_ext import checkout
from pycaffe_ext.command_line.main import main
from pycaffe_ext.errors import UserError
assert checkout.root() is None
for words in ("tables", "prototxt", "prototxt --arch=lenet --app=polyp --out=nets", "where-caffe", "bench",
              "polyp-ft-conv3 --run=.. --data=nowhere", "pe --seeds=x", "polyp-tables", "convert_imageset --help"):
    print("##", words)
    try:
        main(words.split())
    except UserError as error:
        print("refused:", error)
"""


def test_the_version_stands_once() -> None:
    version = PROJECT["project"]["version"]
    assert pycaffe_ext.__version__ == version
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1] == version
    assert "version" not in (ROOT / "setup.py").read_text()
    with pytest.raises(AttributeError, match="no attribute '__nothing__'"):
        pycaffe_ext.__nothing__  # noqa: B018


def test_metadata_agree_with_each_other() -> None:
    project, citation = PROJECT["project"], (ROOT / "CITATION.cff").read_text()
    assert f"license: {project['license']}\n" in citation and (ROOT / project["readme"]).is_file()
    assert set(project["optional-dependencies"]) >= {"dev", "export", "leveldb", "docs"}
    package, _, function = project["scripts"]["pycaffe-ext"].partition(":")
    assert callable(getattr(__import__(package, fromlist=[function]), function))
    text = (ROOT / "pyproject.toml").read_text()
    for name in project["dependencies"]:
        assert re.search(rf'"{re.escape(name)}",  # \S', text), f"{name}: say why in a comment"


def test_every_file_of_the_package_is_installed() -> None:
    order = ["git", "-C", str(ROOT), "ls-files", "pycaffe_ext"]
    listed = subprocess.run(order, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["pycaffe_ext"]
    files = [name.removeprefix("pycaffe_ext/") for name in listed.stdout.split() if not name.endswith(".py")]
    assert "donor/alexnet_eighth.caffemodel" in files and "py.typed" in files
    assert [name for name in files if not any(fnmatch(name, pattern) for pattern in patterns)] == []
    folders = {str(Path(name).parent) for name in listed.stdout.split() if name.endswith(".py")}
    assert [folder for folder in folders if not (ROOT / folder / "__init__.py").is_file()] == []


def test_commands_run_from_any_folder_without_the_checkout(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "pycaffe_ext", tmp_path / "site/pycaffe_ext", ignore=shutil.ignore_patterns("__pycache__"))
    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    order = [sys.executable, "-c", COMMANDS]
    done = subprocess.run(order, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    shown = {part.partition("\n")[0]: part for part in done.stdout.split("## ")[1:]}
    assert "Table II: learning rate" in shown["tables"]
    assert (work / "runs/nets/alexnet/solvers/imt/scratch.prototxt").read_bytes() == (
        ROOT / "solvers/imt/scratch.prototxt"
    ).read_bytes()
    assert (work / "nets/prototxt/polyp/ft-ip1.prototxt").is_file()
    refused = {words: text.strip() for words, text in shown.items() if "refused:" in text}
    assert len(refused) == 4 and all(text.count("\n") == 1 for text in refused.values()), refused
    assert "works in a checkout" in refused["bench"] and "SEEDS=x" in refused["pe --seeds=x"]
    assert "Usage: convert_imageset" in shown["convert_imageset --help"]


def test_no_module_reads_beside_the_package() -> None:
    """What lies beside the package is there in a checkout only, and `checkout` knows when."""
    pattern = re.compile(r"__file__.*(parents\[[1-9]|parent\.parent)")
    modules = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "pycaffe_ext").rglob("*.py")
        if pattern.search(path.read_text()) and path.name != "caffe_pb2.py"
    ]
    assert modules == [str(Path(checkout.__file__).relative_to(ROOT))]
