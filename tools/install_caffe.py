"""Install the genuine BVLC Caffe 1.0 (CPU, Debian 11's package) into the user's cache folder, once."""

from __future__ import annotations

import argparse

from pycaffe_ext.errors import run_cli
from pycaffe_ext.training import genuine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--where", action="store_true", help="only print where the `caffe` command lies (or would)")
    args = parser.parse_args()
    if not args.where:
        genuine.install()
    print(genuine.command("caffe"))


if __name__ == "__main__":
    run_cli(main)
