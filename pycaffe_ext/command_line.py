"""The options that every program about runs takes: the settings of a run, and where runs are kept."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.data.reading import HELP as READING
from pycaffe_ext.files import expanded
from pycaffe_ext.runs.settings import DataRequest, Machine, Settings, Training
from pycaffe_ext.schemes import STAGES
from pycaffe_ext.studies import study

PATHS = ("data", "weights")
HELP = {
    "arch": f"the net: {', '.join(STAGES)}",
    "data": "folder of a data set, as `make data-help` describes them; unset: synthetic colonoscopy sequences",
    "dataset": "which data set that is, as `make data-help` names it; unset: recognised by its layout",
    "weights": "a .caffemodel, .caffemodel.h5 or a known name (bvlc_alexnet ...); unset: the embedded AlexNet",
    "patches": "training + validation patches at most (the paper: 100000)",
    "test_views": "patches scored per test candidate, 1 to 120 (the paper: all 120)",
    "width": "share of AlexNet's channels, e.g. 1 or 1/8; unset: the donor's",
    "batch": "training batch; unset: the net's own (AlexNet: 256), halved until an epoch has 50 iterations",
    "epochs": "train so many epochs at most",
    "base_lr": "learning rate of a layer with lr_mult 1 (Table II, for AlexNet)",
    "patience": "stop after so many snapshots without a better validation AUC",
    "seed": "of everything random",
    "encoding": "of the patches in the LMDB: raw, png or jpg",
    "caffe": "the caffe command to drive; unset: the embedded engine, python -m pycaffe_ext",
    "gpu": "GPU id to hand to that caffe",
    "threads": "work with at most so many threads; unset: one per core",
    "precision": "fp32, as Caffe, or bf16: faster, not faithful (embedded engine)",
    **READING,
    "resize": "how a whole picture is made square: squash, keep (its proportions, on black) or crop (the middle)",
    "balance": "1: as many training patches of each class, as in the paper; 0: as the data are",
    "degrade": "1: DATA= is a set of polyp frames, of which half are degraded (semi-synthetic); 0: they are labelled",
}


def run_parser(description: str | None, without: tuple[str, ...] = ()) -> argparse.ArgumentParser:
    """A parser of every setting of a run but its application, its scheme and those in `without`; and of --runs."""
    result = argparse.ArgumentParser(description=description)
    for record, left_out in (
        (DataRequest, ("app", "options")),
        (Training, ("scheme", "seed")),
        (Machine, ("cache_gb",)),
    ):
        for field in fields(record):
            if field.name not in (*left_out, *without):
                _add(result, field.name, str(field.type), field.default)
    for name in sorted({name for entry in APPLICATIONS.values() for name in entry.options}):
        _add(result, name, "str", None)
    result.add_argument("--runs", type=expanded, default="runs", help="folder of the runs and the packed data (runs)")
    return result


def _add(parser: argparse.ArgumentParser, name: str, kind: str, default: Any) -> None:
    of_kind = next((known for known in (int, float) if known.__name__ in kind), str)
    text = HELP[name] + ("" if default is None else f" ({default})")
    option = f"--{name.replace('_', '-')}"
    parser.add_argument(option, type=expanded if name in PATHS else of_kind, default=None, help=text)


def add_cache(parser: argparse.ArgumentParser) -> None:
    """--cache-gb, which changes the time of a training and not its numbers."""
    parser.add_argument(
        "--cache-gb",
        type=float,
        help="GB for the stored outputs of frozen layers (embedded engine), 0 for none;"
        " unset: a quarter of the free memory",
    )


def settings_options(options: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run's data and training among parsed options that were given."""
    names = {field.name for record in (DataRequest, Training) for field in fields(record)} - {
        "app",
        "options",
        "scheme",
    }
    names |= {name for entry in APPLICATIONS.values() for name in entry.options}
    return {name: options[name] for name in names if options.get(name) is not None}


def machine(options: dict[str, Any]) -> Machine:
    """The machine among parsed options."""
    return Machine(**{field.name: options.get(field.name) for field in fields(Machine)})


def add_study(parser: argparse.ArgumentParser) -> None:
    """What makes several runs of one: application, schemes, seeds."""
    parser.add_argument("app", help="application: " + ", ".join(APPLICATIONS))
    parser.add_argument(
        "--schemes",
        default="",
        help="[ARCH:]SCHEME[:NAME=n,...] of each, e.g. 'ft-fc8 ft-conv3 scratch:epochs=60';"
        " unset: those that the paper compares",
    )
    parser.add_argument("--seeds", default="0", help="e.g. 0,1,2: every scheme once with each")


def study_jobs(options: dict[str, Any]) -> tuple[Settings, ...]:
    """The runs that parsed options ask for."""
    schemes, seeds = options["schemes"].split(), study.parse_seeds(options["seeds"])
    return study.jobs(options["app"], schemes, seeds, **settings_options(options))
