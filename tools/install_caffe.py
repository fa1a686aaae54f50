"""Install the genuine BVLC Caffe 1.0 (CPU, Debian 11's package) into the user's cache folder, once.

Its published tests, models and examples come with it where they can be had.
"""

from __future__ import annotations

import argparse
import sys

from pycaffe_ext.errors import UserError, run_cli
from pycaffe_ext.genuine import root, source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--where", action="store_true", help="only print where the `caffe` command lies (or would)")
    args = parser.parse_args()
    if not args.where:
        root.install()
        _install_source()
    print(root.command("caffe"))


def _install_source() -> None:
    """What comes with Caffe is a bonus: the programs work without it."""
    try:
        source.install()
    except UserError as error:
        print(f"note: {error}", file=sys.stderr)


if __name__ == "__main__":
    run_cli(main)
