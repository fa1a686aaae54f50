"""The programs of tools/, run in this process: what starts up with them is the subject of test_startup alone."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import subprocess
import sys
from pathlib import Path
from unittest import mock

from pycaffe_ext.errors import run_cli

ROOT = Path(__file__).resolve().parents[2]


def run_tool(name: str, *arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What `python tools/NAME.py ARGUMENTS` does in the folder `cwd`: its exit status, what it prints, its errors."""
    tool = importlib.import_module(f"tools.{name}")
    argv, out, err = [f"tools/{name}.py", *map(str, arguments)], io.StringIO(), io.StringIO()
    streams = (contextlib.redirect_stdout(out), contextlib.redirect_stderr(err))
    no_handlers = mock.patch.object(logging.root, "handlers", [])  # pytest's keep warnings from the error stream
    with contextlib.chdir(cwd), mock.patch.object(sys, "argv", argv), streams[0], streams[1], no_handlers:
        try:
            run_cli(tool.main)
        except SystemExit as end:
            status = end.code
    return subprocess.CompletedProcess(argv, int(status or 0), out.getvalue(), err.getvalue())
