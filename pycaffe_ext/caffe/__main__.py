"""Run a pycaffe script as it is on the embedded engine: python -m pycaffe_ext.caffe script.py [arguments]."""

from __future__ import annotations

import os
import runpy
import sys

from pycaffe_ext.caffe import alias
from pycaffe_ext.errors import UserError, run_cli


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return
    script = sys.argv[1]
    if not os.path.isfile(script):
        raise UserError(f"{script}: no such script; check the path")
    alias.install()
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    run_cli(main)
