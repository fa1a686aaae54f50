"""How programs end."""

from __future__ import annotations

import subprocess
import sys

ENDING = """
import atexit, os
from pycaffe_ext.errors import DeviceLostError, run_cli
atexit.register(os.abort)  # as CUDA does when what lies on a lost device is freed
def main():
    print("as far as it came")
    raise DeviceLostError("the device is lost")
run_cli(main)
"""


def test_a_lost_device_ends_a_program_with_its_line_and_status_1():
    run = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (1, "as far as it came\n", "error: the device is lost\n")
