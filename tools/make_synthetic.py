"""Write a data set of synthetic colonoscopy sequences: images/VIDEO/NNNN.jpg and masks/VIDEO/NNNN.png."""

from __future__ import annotations

import argparse

from pycaffe_ext.data.synthetic import SIZE, write_sequences
from pycaffe_ext.errors import run_cli


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("folder", help="where to write; an existing folder is replaced")
    parser.add_argument("--videos", type=int, default=32, help="every fourth shows no polyp")
    parser.add_argument("--frames", type=int, default=8, help="frames a video")
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("HEIGHT", "WIDTH"), help="in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    args = parser.parse_args()
    write_sequences(args.folder, args.videos, args.frames, tuple(args.size), args.seed, args.workers)


if __name__ == "__main__":
    run_cli(main)
