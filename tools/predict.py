"""Apply a finished run to pictures or a video without labels: a table of probabilities, and overlays."""

from __future__ import annotations

import argparse
from pathlib import Path

from pycaffe_ext.errors import run_cli
from pycaffe_ext.files import expanded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, type=expanded, help="folder of a finished run")
    parser.add_argument("--data", required=True, type=expanded, help="a picture, a folder of pictures, or a video")
    parser.add_argument("--out", type=expanded, help="new folder for the results (RUN/predictions)")
    parser.add_argument("--caffe", help="the caffe command that scores (the embedded engine)")
    parser.add_argument("--gpu", help="GPU id to hand to that caffe")
    parser.add_argument("--threads", type=int, help="at most so many threads (one per core)")
    parser.add_argument("--no-overlays", action="store_true", help="write the table only")
    given = parser.parse_args()
    from pycaffe_ext.runs.predict import predict  # late: a wrong option must be refused at once
    from pycaffe_ext.runs.settings import Machine

    run = Path(given.run)
    out = Path(given.out) if given.out else run / "predictions"
    predict(run, Path(given.data), out, Machine(given.caffe, given.gpu, given.threads), not given.no_overlays)


if __name__ == "__main__":
    run_cli(main)
