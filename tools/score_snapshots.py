"""Choose a snapshot afterwards: score every snapshot in a folder, whichever Caffe wrote them, on validation patches."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from pycaffe_ext.errors import run_cli
from pycaffe_ext.training.afterwards import Patches, score_folder
from pycaffe_ext.training.command import Caffe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("snapshots", type=Path, metavar="FOLDER", help="holds NAME_iter_N.caffemodel[.h5] files")
    parser.add_argument("--name", help="which NAME, where the folder holds several")
    net = parser.add_mutually_exclusive_group(required=True)
    net.add_argument("--model", type=Path, help="score prototxt: its outputs are the head's raw values and the label")
    net.add_argument("--net", type=Path, help="train_val prototxt, to be scored on --lmdb")
    parser.add_argument("--lmdb", type=Path, help="LMDB of the validation patches (default: the net's own)")
    parser.add_argument("--count", type=int, help="score the first COUNT patches only (default: all)")
    parser.add_argument("--head", help="layer whose values are scored (default: the last InnerProduct or Convolution)")
    parser.add_argument("--epoch", type=float, default=1.0, help="iterations per epoch, for the table (default: 1)")
    parser.add_argument("--patience", type=int, help="stop where training would have stopped (default: score all)")
    parser.add_argument("--caffe", help="the caffe command (default: the embedded engine)")
    parser.add_argument("--gpu", help="Caffe's --gpu")
    parser.add_argument("--out", type=Path, help="gets auc.csv and best.caffemodel (default: FOLDER)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = score_folder(
            Caffe.from_setting(args.caffe, args.gpu),
            args.snapshots,
            Patches(args.model or args.net, args.lmdb, args.head, args.count),
            args.out or args.snapshots,
            Path(scratch),
            name=args.name,
            epoch=args.epoch,
            patience=args.patience,
        )
    print(f"best: iteration {result.best.iteration}, AUC {result.best.auc:.4f}, {result.weights}")


if __name__ == "__main__":
    run_cli(main)
