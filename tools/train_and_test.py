"""One run, from frames to the FROC curve: prepare the data, train, stop early, test and draw."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from pycaffe_ext.errors import run_cli
from pycaffe_ext.schemes import STAGES
from pycaffe_ext.settings import Settings, parse_name

HELP = {
    "arch": f"the net: {', '.join(STAGES)}",
    "data": "folder with images/ and masks/; unset: synthetic colonoscopy sequences",
    "weights": "a .caffemodel, .caffemodel.h5 or a known name (bvlc_alexnet ...); unset: the embedded AlexNet",
    "patches": "training + validation patches at most (the paper: 100000)",
    "test_views": "patches scored per test candidate, 1 to 120 (the paper: all 120)",
    "width": "share of AlexNet's channels, e.g. 1 or 1/8; unset: the donor's",
    "batch": "training batch; unset: the net's own (AlexNet: 256), halved until an epoch has 50 iterations",
    "epochs": "train so many epochs at most",
    "patience": "stop after so many snapshots without a better validation AUC",
    "seed": "of everything random",
    "encoding": "of the patches in the LMDB: raw, png or jpg",
    "caffe": "the caffe command to drive; unset: the embedded engine, python -m pycaffe_ext",
    "gpu": "GPU id to hand to that caffe",
    "precision": "fp32, as Caffe, or bf16: faster, not faithful (embedded engine)",
}


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    result.add_argument("name", help="application and scheme, e.g. polyp-ft-conv3")
    for field in fields(Settings)[2:]:
        kind = int if "int" in str(field.type) else str
        result.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default,
                            help=HELP[field.name])  # fmt: skip
    result.add_argument("--cache-gb", type=float, help="GB for the stored outputs of frozen layers (embedded engine),"
                        " 0 for none; unset: a quarter of the free memory")  # fmt: skip
    result.add_argument("--runs", default="runs", help="folder of the runs and the packed data")
    result.add_argument("--run", help="this run's folder in it; unset: named after the settings")
    return result


def main() -> None:
    options = vars(parser().parse_args())
    runs, run, cache_gb = Path(options.pop("runs")), options.pop("run"), options.pop("cache_gb")
    app, scheme = parse_name(options.pop("name"), options["arch"])
    settings = Settings(app, scheme, **options)
    from pycaffe_ext import pipeline  # late: a misspelt name must be told at once

    pipeline.run(settings, runs, run, cache_gb=cache_gb)


if __name__ == "__main__":
    run_cli(main)
