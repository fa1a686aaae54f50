"""Repeat the training of the embedded donor: a narrow AlexNet on 64 classes of procedural images."""

from __future__ import annotations

import argparse
from pathlib import Path

from pycaffe_ext.errors import run_cli


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/donor"), help="for images, prototxt and snapshots")
    parser.add_argument("--install", action="store_true", help="replace the package's donor by the result")
    args = parser.parse_args()
    from pycaffe_ext.donor import recipe  # late: --help must not wait for OpenCV

    trained = recipe.make(recipe.Recipe(), args.folder)
    if args.install:
        recipe.install(trained)
    print(recipe.DONOR if args.install else trained)


if __name__ == "__main__":
    run_cli(main)
