"""The option table: one row for each option that several commands share, and the Option of which all rows are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.schemes import BASE_LR, STAGES

GROUPS = {  # heading of the options in --help, make help and the reference
    "study": "What is compared",
    "data": "What data",
    "training": "What training",
    "machine": "Which machine",
    "files": "Where files go",
    "other": "Other options",
}


@dataclass(frozen=True)
class Option:
    """One option, or one argument without a name, of a command.

    name : as in the parsed options: "test_views" is --test-views on a command line and TEST_VIEWS= to make.
    help : one line, without the default, which is added in brackets.
    hint : what is written for its value: DATA=folder; "" for a switch.
    kind : "text", "int", "float" or "path" (~ is expanded); "switch" takes no value.
    default : its value where it is not given; `unset` says what happens then where the value alone does not.
    group : one of GROUPS.
    applications : those of APPLICATIONS that have it; () = all.  Given to another, it is an error that names them.
    make : make's variable; None = the name in capitals, "" = none.
    count : how many values it takes: 0 = one, not in a list; "?" = one or none, "*" = any number.
    positional : given without its name.    repeated : may be given several times; all values are kept.
    spelling : its flag where Caffe writes it otherwise.    required : of an option: it must be given.
    """

    name: str
    help: str
    hint: str = "text"
    kind: str = "text"
    default: Any = None
    unset: str = ""
    group: str = "other"
    applications: tuple[str, ...] = ()
    make: str | None = None
    count: int | str = 0
    positional: bool = False
    repeated: bool = False
    spelling: str = ""
    required: bool = False

    @property
    def flag(self) -> str:
        """`--test-views`; the bare name where it is given without one."""
        return self.spelling or (self.name if self.positional else "--" + self.name.replace("_", "-"))

    @property
    def variable(self) -> str:
        """Make's variable, "" if make has none."""
        return self.name.upper() if self.make is None else self.make

    @property
    def assignment(self) -> str:
        """As it is given to make: `PATCHES=n`, `ROWS="ROW..."`."""
        quote = '"' if self.positional and self.count == "*" else ""
        return f"{self.variable}={quote}{self.hint}{quote}"

    @property
    def otherwise(self) -> str:
        """What holds where it is not given: words, or the default's value; "" if there is nothing to say."""
        if self.unset or self.default is None or self.default is False or self.default in ("", ()):
            return self.unset
        return " ".join(map(str, self.default)) if isinstance(self.default, tuple) else str(self.default)

    @property
    def text(self) -> str:
        """The help with what holds otherwise in brackets, and the applications if not all have it."""
        only = " (" + ", ".join(self.applications) + ")" if self.applications else ""
        return self.help + only + (" [" + self.otherwise + "]" if self.otherwise else "")


def _of_applications(name: str, help: str, hint: str, unset: str = "") -> Option:
    """A setting that applications declare in the registry, which has their defaults; unset : what "" stands for."""
    defaults = {slug: entry.options[name] for slug, entry in APPLICATIONS.items() if name in entry.options}
    common = next(iter(defaults.values())) if len(set(defaults.values())) == 1 else None
    unset = unset if common is not None else ", ".join(f"{slug}: {default}" for slug, default in defaults.items())
    return Option(name, help, hint, default=common, unset=unset, group="data", applications=tuple(defaults))


SETTINGS = (  # of a run: what run.json records
    Option(
        "data",
        "a data set as in `make data-help`",
        "folder",
        "path",
        unset="synthetic sequences or a phantom",
        group="data",
    ),
    Option("dataset", "which data set that is", "name", unset="recognised by its layout", group="data"),
    _of_applications(
        "mask",
        "greys that are polyp: auto (two greys, or an error that says which were found), threshold (above half),"
        " nonzero, inverted, value:N (one grey)",
        "rule",
    ),
    _of_applications(
        "damaged",
        "damaged JPEG frames: refuse (an error names the file) or keep (use what can be decoded, counted and named)",
        "refuse|keep",
    ),
    _of_applications(
        "positive",
        "of two classes the one that is looked for: sensitivity is its share found; class 1 of the net",
        "class",
        "the second by alphabet",
    ),
    _of_applications(
        "resize",
        "how a whole picture is made square: squash, keep (its proportions, on black) or crop (the middle)",
        "squash|keep|crop",
    ),
    _of_applications(
        "balance", "training patches: 1 (as many of each class, as in the paper) or 0 (as the data are)", "0|1"
    ),
    _of_applications(
        "degrade", "1: DATA= is a set of polyp frames, of which half are degraded (semi-synthetic); 0: labelled", "0|1"
    ),
    _of_applications("patch_mm", "about the side of a patch, in mm of the artery", "mm"),
    _of_applications(
        "near_mm",
        "distance in mm within which a pixel belongs to a boundary, or a candidate hits the stated position of a clot",
        "mm",
    ),
    _of_applications(
        "dense",
        "1: in the test the net sees whole regions, which is faster; only nets that are the same there (lenet,"
        " squeezenet_centre); 0: patch by patch",
        "0|1",
    ),
    Option(
        "patches", "training + validation patches at most; the paper: 100000", "n", "int", default=6000, group="data"
    ),
    Option(
        "test_views",
        "patches scored for each test sample; polyp: 1 to 120, the paper: all 120; pe: 1 to 45",
        "n",
        "int",
        unset="polyp: 8, pe: 6",
        group="data",
    ),
    Option("encoding", "of the patches in the LMDB", "raw|png|jpg", default="raw", group="data"),
    Option("seed", "of everything random", "n", "int", default=0, group="data"),
    Option(
        "split_seed",
        "of the data alone (splits, patches, detector): one test set for all SEEDS, which then vary the training",
        "n",
        "int",
        unset="that of SEED or SEEDS",
        group="data",
    ),
    Option(
        "folds",
        "test every group once, in k folds, instead of one half; with SEEDS= each seed has k folds",
        "k",
        "int",
        unset="none",
        group="data",
    ),
    Option("fold", "which of FOLDS a run tests on, from 1", "n", "int", unset="all of a study", group="data"),
    Option(
        "tuning",
        "share of the groups that is for training only, so that settings may be chosen on it",
        "share",
        "float",
        unset="kvasir-seg, hyperkvasir: 0.2, else 0",
        group="data",
    ),
    Option(
        "fraction",
        "share of the training groups to learn from, e.g. 1/4 or 0.25; the smaller lie within the larger, validation,"
        " test and candidates stay",
        "f",
        default="1",
        group="data",
    ),
    Option(
        "arch",
        f"the net: {', '.join(STAGES)}; all but alexnet need WEIGHTS= to be fine-tuned",
        "net",
        default="alexnet",
        group="training",
    ),
    Option(
        "weights",
        "a .caffemodel, .caffemodel.h5, bvlc_alexnet.npy or the name of a published one, as in `make weights`; in a"
        " study of several nets, squeezenet=file:googlenet=file",
        "file|name",
        "path",
        unset="the embedded donor",
        group="training",
    ),
    Option("width", "share of AlexNet's channels, e.g. 1 or 1/8", "f", unset="that of the donor", group="training"),
    Option(
        "batch",
        "training batch",
        "n",
        "int",
        unset="the net's own (AlexNet: 256), halved, but not below 16, until an epoch has 50 iterations",
        group="training",
    ),
    Option("epochs", "epochs at most", "n", "int", default=15, group="training"),
    Option("patience", "stop after n snapshots without a better AUC", "n", "int", default=5, group="training"),
    Option(
        "base_lr",
        "rate of a layer with lr_mult 1; Table II's, other nets may need less",
        "r",
        "float",
        default=BASE_LR,
        group="training",
    ),
    Option(
        "mean",
        "subtracted from the patches: the donor's, the data's, the values of B,G,R or a mean.binaryproto",
        "donor|data|B,G,R|file",
        "path",
        unset="fine-tuning: the donor's where its card says it, else the data's",
        group="training",
    ),
    Option(
        "scale",
        "factor of the patches, after the mean",
        "s",
        "float",
        unset="fine-tuning: that of the donor's card, else the net's own (1; lenet: 1/256)",
        group="training",
    ),
    Option(
        "fresh",
        "hidden layers that the donor lacks and that may start from their fillers, e.g. 'loss1/* loss2/*'",
        '"a b"',
        unset="none; googlenet: those of its auxiliary classifiers",
        group="training",
    ),
    Option(
        "precision",
        "bf16 is faster and not faithful to Caffe; embedded engine only",
        "fp32|bf16",
        default="fp32",
        group="training",
    ),
)
EXTERNAL = (  # a further test of finished runs, of which they are named independently
    Option(
        "test_data",
        "another data set, on all of which the nets are tested too (external test); runs that are finished as well",
        "folder",
        "path",
        unset="none",
        group="data",
    ),
    Option("test_dataset", "which data set that is", "name", unset="recognised by its layout", group="data"),
)
MACHINE = (  # changes the time, never the numbers
    Option(
        "caffe",
        "the caffe to drive; after `make caffe`: $(make -s where-caffe) or $(pycaffe-ext where-caffe)",
        "command",
        unset="the embedded engine",
        group="machine",
    ),
    Option("gpu", "hand --gpu to that caffe", "id", unset="none", group="machine"),
    Option("threads", "work with n threads at most", "n", "int", unset="one per core", group="machine"),
    Option(
        "cache_gb",
        "GB for the stored outputs of frozen layers, 0 for none; embedded engine only",
        "g",
        "float",
        unset="a quarter of the free memory",
        group="machine",
    ),
)
RUNS = Option("runs", "where runs and packed data go", "folder", "path", default="runs", group="files")
RUN = Option("run", "this run's folder in RUNS", "name", unset="named after its settings", group="files")
STUDY = (
    Option(
        "schemes",
        "[ARCH:]SCHEME[:NAME=n,...] of each, e.g. 'ft-fc8 ft-conv3 scratch:epochs=60'",
        '"a b"',
        default="",
        unset="those that the paper compares",
        group="study",
    ),
    Option("seeds", "every scheme once with each", "0,1,2", default="0", group="study"),
)
MARGIN = Option(  # of a study file, or of a study of one data set
    "margin",
    "what a recommended scheme may be worse than the best",
    "m",
    "float",
    unset="0.02 of an AUC, 0.02 mm",
    group="study",
)


def settings(*, without: tuple[str, ...] = ()) -> tuple[Option, ...]:
    """The settings of a run but those in `without`."""
    return tuple(row for row in SETTINGS if row.name not in without)


def only(*names: str) -> tuple[Option, ...]:
    """The settings of these names, in the table's order."""
    return tuple(row for row in SETTINGS if row.name in names)


def output(help: str, unset: str, **others: Any) -> Option:
    """--out of a command: a folder unless `others` say so."""
    return replace(Option("out", help, "folder", "path", unset=unset, group="files"), **others)
