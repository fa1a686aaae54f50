"""Print `make help`; by any Python 3, before anything is installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pycaffe_ext.command_line.texts import make_help

if __name__ == "__main__":
    print(make_help())
