"""The command table: what `pycaffe-ext` and make can do, and which options each command takes.

A new command is a row here and a module `pycaffe_ext/commands/NAME.py` with `main(arguments)`; where make has it too, a
target in the Makefile. Its --help, its lines in `make help` and docs/reference/commands.md follow from the row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pycaffe_ext.applications.registry import APPLICATIONS
from pycaffe_ext.command_line.options import (
    EXTERNAL,
    MACHINE,
    MARGIN,
    RUN,
    RUNS,
    STUDY,
    Option,
    only,
    output,
    settings,
)


@dataclass(frozen=True)
class Command:
    """One command.

    name : the sub-command of `pycaffe-ext`; "" for what only make does.
    summary : one line.
    options : what it takes, in this order.
    module : below pycaffe_ext.commands, with `main(arguments) -> int | None`; "" = it has none.
    words : put before the user's arguments.
    target : make's target, "" if there is none.    example : what `make help` shows in its place.
    tool : the program in tools/ of a command without a module: it needs the checkout.
    caffes : takes its flags in the way of Caffe's own programs; they stand in its module.
    sets : of a target that makes a study and its report, make's variables that it sets itself; it takes all others of
    these two.
    """

    name: str
    summary: str
    options: tuple[Option, ...] = ()
    module: str = ""
    words: tuple[str, ...] = ()
    target: str = ""
    example: str = ""
    tool: str = ""
    caffes: bool = False
    sets: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What `make help` lists it as, "" if make does not have it."""
        return self.example or self.target


def _argument(name: str, help: str, hint: str = "", **others: Any) -> Option:
    return replace(Option(name, help, hint or name.upper(), positional=True, make=""), **others)


def _extra(name: str, help: str, hint: str, kind: str = "text", **others: Any) -> Option:
    """An option that make does not hand on."""
    return replace(Option(name, help, hint, kind, make=""), **others)


def _switch(name: str, help: str) -> Option:
    return Option(name, help, "", "switch", default=False, make="")


APP = _argument("app", "the application", "APP")
READING = only("mask", "damaged")
GRID = Option(
    "study", "the study file, e.g. studies/quick.yaml or your own", "file", "path", group="study", required=True
)
ADDRESS = Option(
    "address",
    "a Ray cluster whose machines share the disk: auto, local, HOST:PORT; each run has THREADS= cores (1) and, with"
    " GPU=, a GPU",
    "cluster",
    unset="this machine, without Ray",
    group="machine",
)
WORKERS = Option(
    "workers", "runs side by side, which share cores, memory and GPUs", "n", "int", default=1, group="machine"
)
OWN_STUDY = (  # of a study of one data set: what it compares unless the user says it
    Option("name", "what the study is called", "name", unset="APP and the folder of DATA", group="study"),
    replace(STUDY[0], unset="the shallowest, a middle and the deepest fine-tuning, and scratch"),
    replace(STUDY[1], default="0,1,2,3,4"),
    replace(
        only("fraction")[0],
        help="shares of the training groups to learn from",
        hint="'1 1/4'",
        default="1 1/4",
        group="study",
    ),
    MARGIN,
    *settings(without=("seed", "fraction")),
    *EXTERNAL,
    WORKERS,
)
FOLDER = replace(only("data")[0], unset="none: all data sets are described")

RUNNING = (
    Command(
        "run",
        "train, stop early, test and draw: `make polyp-ft-conv3`, `pycaffe-ext polyp-ft-conv3`",
        (
            _argument("name", "application and scheme, e.g. polyp-ft-conv3", "APP-SCHEME"),
            *settings(),
            *EXTERNAL,
            *MACHINE,
            RUNS,
            RUN,
        ),
        module="run",
        example="APP-SCHEME",
    ),
    Command(
        "study",
        "every scheme that the paper compares, with each of SEEDS; repeat it to go on",
        (APP, *STUDY, *settings(without=("seed",)), *EXTERNAL, *MACHINE, RUNS),
        module="study",
        example="APP",
    ),
    Command(
        "own-study",
        "how deep, with how much data, how sure: a grid on one data set, written down as a study file, and its page",
        (APP, *OWN_STUDY, ADDRESS, *MACHINE, RUNS),
        module="own_study",
        example="APP-study",
    ),
    Command(
        "own-study-plan",
        "what APP-study will take before anything starts, and what it can show",
        (APP, *OWN_STUDY, *MACHINE, RUNS),
        module="own_study_plan",
        example="APP-study-plan",
    ),
    Command(
        "report",
        "figures and tables of these runs; takes the same options as the study",
        (
            APP,
            *STUDY,
            *settings(without=("seed",)),
            *EXTERNAL,
            *MACHINE,
            RUNS,
            output("the report", "reports/APP"),
            Option(
                "margin",
                "sensitivity that deep tuning may lose and still count as good as scratch",
                "m",
                "float",
                default=0.05,
                group="study",
            ),
            Option("auc_margin", "the same of the AUC", "m", "float", default=0.02, group="study"),
        ),
        module="report",
        example="APP-tables",
    ),
    Command(
        "deepen",
        "the paper's procedure: tune the last layer, then one stage more at a time, until validation AUC stops growing",
        (
            APP,
            Option(
                "from",
                "what each depth starts from: donor, or last, the chosen snapshot of the depth before",
                "start",
                default="donor",
            ),
            *settings(),
            *MACHINE,
            RUNS,
        ),
        module="deepen",
        example="APP-deepen",
    ),
    Command(
        "probe",
        "what a donor is worth on these data before anything is trained: a linear classifier on its features, against"
        " random weights; no test patch is looked at",
        (
            APP,
            *settings(without=("epochs", "patience", "base_lr", "batch", "precision")),
            *(row for row in MACHINE if row.name != "cache_gb"),
            RUNS,
        ),
        module="probe",
        example="APP-probe",
    ),
    Command(
        "board",
        "TensorBoard on the runs of a folder: loss, rate, validation AUC, filters; needs pycaffe_ext[board]",
        (Option("port", "of this machine, where a browser finds it", "n", "int", default=6006), RUNS),
        module="board",
        target="board",
    ),
    Command(
        "study-run",
        "all runs of a study file that are not finished; repeat it to go on",
        (GRID, WORKERS, ADDRESS, *MACHINE, RUNS),
        module="study_run",
        target="study",
    ),
    Command(
        "study-plan",
        "what a study file will take before anything starts: runs, hours, disk, what is missing, and what it can show",
        (GRID, WORKERS, *MACHINE, RUNS),
        module="study_plan",
        target="study-plan",
    ),
    Command(
        "study-status",
        "how far a study has come, time left, the best runs so far; reads files only",
        (GRID, RUNS),
        module="study_status",
        target="study-status",
    ),
    Command(
        "study-table",
        "write study.csv, a line a finished run, and study.parquet where pyarrow is installed",
        (GRID, RUNS, output("the table", "RUNS/studies/NAME")),
        module="study_table",
        target="study-table",
    ),
    Command(
        "study-report",
        "one HTML page on a study: answer, figures, tables, data, settings, hashes; also as Markdown",
        (GRID, RUNS, output("the page and its figures", "RUNS/studies/NAME/report")),
        module="study_report",
        target="study-report",
    ),
    Command(
        "predict",
        "apply a finished run to pictures or a video without labels: a table of probabilities, and overlays",
        (
            replace(RUN, help="a finished run", hint="folder", kind="path", unset="", group="data", required=True),
            replace(only("data")[0], help="a picture, a folder of pictures, or a video", unset="", required=True),
            output("the results, a new folder", "predictions/ in the run"),
            *(row for row in MACHINE if row.name != "cache_gb"),
            _switch("no_overlays", "write the table only"),
        ),
        module="predict",
        target="predict",
    ),
    Command(
        "export",
        "write a finished run, or any trained net, for other libraries: ONNX, safetensors, PyTorch",
        (
            _argument("run", "a finished run", "RUN", make="RUN"),
            _argument("out", "gets the files", "OUT", make="OUT", count="?", unset="export/ in the run"),
        ),
        module="export",
        target="export",
        caffes=True,
    ),
)
NETS = (
    Command(
        "prototxt",
        "regenerate prototxt/ and solvers/; with ARCH=net, that net's",
        (
            replace(only("arch")[0], help="a net", default=None, unset="the committed files of AlexNet"),
            Option("app", "one application", "name", unset="all"),
            output("for another net's prototxt/APP/ and solvers/APP/, where caffe is to run", "runs/nets/ARCH"),
            _extra("root", "holds prototxt/ and solvers/", "folder", "path", unset="the checkout"),
            _switch("check", "write nothing; say what differs, exit 1 if anything does"),
        ),
        module="prototxt",
        target="prototxt",
    ),
    Command(
        "tables",
        "Tables I and II of the paper, read back from the emitted files",
        (
            Option("app", "the application", "name", default="polyp", make=""),
            _extra("root", "holds prototxt/ and solvers/", "folder", "path", unset="the checkout, or emitted for it"),
        ),
        module="tables",
        target="tables",
    ),
    Command(
        "weights",
        "download a published donor, resumable and checked",
        (
            _argument("name", "which one", "NAME", count="?", default="bvlc_alexnet", make="NAME"),
            _extra("folder", "where to", "folder", "path", default="weights"),
        ),
        module="weights",
        target="weights",
    ),
    Command(
        "import-weights",
        "turn a state dict of torchvision's VGG-16, SqueezeNet 1.1, ResNet-50 or GoogLeNet into a donor with its card",
        (
            _argument("file", "a .pth (read without running code in it) or .safetensors", "FILE", make="FILE"),
            output("the caffemodel", "weights/ and FILE's name", hint="file"),
            _extra("mean", "of the channels, in 0 to 1", "R G B", "float", count=3, unset="torchvision's"),
            _extra(
                "std", "standard deviation of the channels, in 0 to 1", "R G B", "float", count=3, unset="torchvision's"
            ),
        ),
        module="import_weights",
        target="import-weights",
    ),
    Command(
        "card",
        "write the card of a donor: what it was trained on, in NAME.card.prototxt beside the file",
        (
            replace(only("weights")[0], help="the donor's file", hint="file", unset="", group="other", required=True),
            replace(
                only("mean")[0],
                help="what was subtracted: the values of B,G,R (one for all, 0 for nothing) or a mean.binaryproto",
                hint="B,G,R|file",
                unset="not known",
                group="other",
            ),
            replace(
                only("scale")[0], help="what the pixels were multiplied by then", default=1.0, unset="", group="other"
            ),
            _extra("input_size", "rows and columns of the net's input", "n", "int", unset="not known"),
            replace(only("arch")[0], help="the net, as ARCH= calls it", default=None, unset="not known", group="other"),
            Option("source", "where the weights come from", "page", unset="not known"),
            Option("licence", "their licence", "name", unset="not known"),
        ),
        module="card",
        target="card",
    ),
    Command(
        "donor",
        "repeat the training of the embedded donor (about 35 minutes on 2 cores, 6 GB)",
        (
            _extra("folder", "for images, prototxt and snapshots", "folder", "path", default="runs/donor"),
            _switch("install", "replace the package's donor by the result"),
        ),
        module="donor",
        target="donor",
    ),
)
DATA = (
    Command(
        "data-help",
        "data sets that are read, with terms and where to get them; what a folder holds",
        (FOLDER, *only("dataset"), *READING, replace(RUNS, help="gets frames of videos")),
        module="data_help",
        target="data-help",
    ),
    Command(
        "synthetic",
        "write a data set of synthetic colonoscopy sequences: images/VIDEO/NNNN.jpg and masks/VIDEO/NNNN.png",
        (
            _argument("folder", "where to write; an existing folder is replaced"),
            _extra("videos", "every fourth shows no polyp", "n", "int", default=32),
            _extra("frames", "frames a video", "n", "int", default=8),
            _extra("size", "in pixels", "HEIGHT WIDTH", "int", default=(288, 352), count=2),
            _extra("seed", "of everything random", "n", "int", default=0),
            _extra("workers", "processes", "n", "int", default=2),
        ),
        module="synthetic",
    ),
    Command(
        "detector-curve",
        "train the hand-crafted detector alone; polyps hit against candidates a frame. Of several folders, DATA=A:B, a"
        " table of what it reaches on each and on synthetic worlds of small and of many polyps, also trained elsewhere",
        (*only("data", "dataset", "seed"), *READING, RUNS, output("tables and pictures", "RUNS/detector-SEED")),
        module="detector_curve",
        target="detector-curve",
    ),
)
CAFFE = (
    Command(
        "caffe",
        "install the genuine BVLC Caffe 1.0 into your cache folder, once",
        (_switch("where", "only print where the `caffe` command lies, or would lie"),),
        module="caffe",
        target="caffe",
    ),
    Command(
        "where-caffe",
        "print where the genuine `caffe` command lies, or would lie",
        module="caffe",
        words=("--where",),
        target="where-caffe",
    ),
    Command(
        "container-caffe",
        "write a wrapper for the caffe of a container image (docker, podman, apptainer), to be given as CAFFE=",
        (
            _argument("image", "e.g. bvlc/caffe:gpu, bvlc/caffe:cpu, nvcr.io/nvidia/caffe:20.03-py3, caffe.sif"),
            _extra(
                "runtime", "docker, podman, apptainer or singularity", "name", default="", unset="the first installed"
            ),
            _extra("folder", "visible inside too: data, runs", "folder", "path", default=(), repeated=True),
            _switch("cpu", "without the machine's GPUs"),
            _extra("out", "the wrapper", "file", "path", default="container-caffe"),
        ),
        module="container_caffe",
    ),
    Command(
        "score-snapshots",
        "choose a snapshot afterwards: score every snapshot in a folder, whichever Caffe wrote it",
        (
            _argument("snapshots", "folder of NAME_iter_N.caffemodel[.h5] files", "FOLDER"),
            _extra("name", "which NAME, where the folder holds several", "name"),
            _extra("model", "score prototxt: its outputs are the head's raw values and the label", "file", "path"),
            _extra("net", "or a train_val prototxt, to be scored on the LMDB", "file", "path"),
            _extra("lmdb", "LMDB of the validation patches", "folder", "path", unset="the net's own"),
            _extra("count", "score the first n patches only", "n", "int", unset="all"),
            _extra("head", "layer whose values are scored", "name", unset="the last InnerProduct or Convolution"),
            _extra("epoch", "iterations per epoch, for the table", "n", "float", default=1.0),
            _extra("patience", "stop where training would have stopped", "n", "int", unset="score all"),
            _extra("caffe", "the caffe to drive", "command", unset="the embedded engine"),
            _extra("gpu", "hand --gpu to that caffe", "id", unset="none"),
            _extra("out", "gets auc.csv and best.caffemodel", "folder", "path", unset="FOLDER"),
        ),
        module="score_snapshots",
    ),
)
PROGRAMS = (
    Command(
        "convert_imageset", "pack a list of images into an LMDB or LevelDB", module="convert_imageset", caffes=True
    ),
    Command("compute_image_mean", "the mean image of a database", module="compute_image_mean", caffes=True),
    Command("extract_features", "write blobs of a net into databases", module="extract_features", caffes=True),
    Command(
        "upgrade_net_proto_text", "bring a net's prototxt up to date", module="upgrade_net_proto_text", caffes=True
    ),
    Command(
        "upgrade_net_proto_binary", "bring a caffemodel up to date", module="upgrade_net_proto_binary", caffes=True
    ),
    Command(
        "upgrade_solver_proto_text",
        "bring a solver's prototxt up to date",
        module="upgrade_solver_proto_text",
        caffes=True,
    ),
    Command(
        "parse_log",
        "parse a training log into two CSV files, LOGFILE.train and LOGFILE.test",
        (
            _argument("logfile_path", "the log of a caffe train"),
            _argument("output_dir", "folder for the CSV files"),
            _switch("verbose", "print the names of the files written"),
            _extra("delimiter", "between columns", "character", default=","),
        ),
        module="parse_log",
    ),
    Command(
        "draw_net",
        "draw a net's graph into a picture",
        (
            _argument("input_net_proto_file", "the net's prototxt"),
            _argument("output_image_file", "the picture; its ending (.svg, .png, ...) says what kind"),
            _extra("rankdir", "direction", "LR|TB|BT", default="LR"),
            _extra("phase", "draw this phase only", "TRAIN|TEST|ALL", default="ALL"),
            replace(_switch("display_lrm", "show the learning rates' multipliers"), spelling="--display_lrm"),
        ),
        module="draw_net",
    ),
)
CHECKS = (
    Command(
        "coverage",
        "what the 95 % intervals cover and how often the tests err, on scores of known truth",
        (
            Option("repetitions", "test sets of each world", "n", "int", default=1000),
            _extra("resamples", "of each bootstrap", "n", "int", default=400),
            Option("studies", "whole studies of each world, through the claims", "n", "int", default=100),
            _extra("seed", "of everything random", "n", "int", default=0),
        ),
        module="coverage",
        target="coverage",
    ),
    Command(
        "bench",
        "compare with the genuine Caffe, write docs/reference/benchmarks.md",
        (
            _argument("rows", "rows or families of rows", "ROW...", count="*", default=(), unset="all", make="ROWS"),
            _switch("list", "only list the rows"),
            _switch("table", "measure nothing: write the table from what was measured"),
            _switch("layers", "only print AlexNet's time by layer, both engines"),
            _extra("samples", "of each side; fewer than 5 are marked", "n", "int", default=5),
            _extra("threads", "of each side", "n", "int", default=2),
            _extra("folder", "made data and results", "folder", "path", unset="runs/bench"),
            _extra("output", "the table", "file", "path", unset="docs/reference/benchmarks.md"),
        ),
        target="bench",
        tool="bench",
    ),
    Command(
        "gpu-check",
        "is the GPU side right, and how fast, in 8 minutes; writes GPU.md",
        (
            _argument("checks", "checks to run", "CHECK...", count="*", default=(), unset="all", make="CHECKS"),
            _switch("list", "only list the checks"),
            _extra("seconds", "what is not done by then is left out", "n", "float", default=480.0),
            output("GPU.md and gpu.json", "the checkout"),
        ),
        target="gpu-check",
        tool="gpu_check",
    ),
    Command(
        "gpu-bundle",
        "what make gpu-check needs without internet, into gpu-bundle/",
        (
            Option("python", "the Python of that machine, e.g. 3.12", "3.12", unset="this one's", make="FOR"),
            Option(
                "without", "packages that it has: their wheels stay out", '"a b"', count="*", default=(), unset="none"
            ),
            output("the bundle", "gpu-bundle"),
        ),
        target="gpu-bundle",
        tool="gpu_bundle",
    ),
    Command(
        "conformance",
        "every case in both engines, after `make caffe`; writes docs/reference/conformance.md",
        (
            _argument(
                "groups", "chapters or groups, by their first letters", "GROUP...", count="*", default=(), unset="all"
            ),
            _switch("quick", "only the rows that `make test` runs"),
            _extra("output", "the table", "file", "path", unset="docs/reference/conformance.md when all rows are run"),
        ),
        target="conformance",
        tool="conformance",
    ),
)
README_SETS = (  # what both of the README's studies set themselves
    "NAME",
    "ARCH",
    "BASE_LR",
    "PATCHES",
    "TEST_VIEWS",
    "EPOCHS",
    "SEEDS",
    "SCHEMES",
    "OUT",
)
MAKE_ONLY = (
    Command("", "this list", target="help"),
    Command(
        "",
        "the virtual environment with everything in it; says first what it downloads",
        (
            Option("torch", "PyTorch's build", "cpu|cuda", unset="cuda where there is an NVIDIA driver, else cpu"),
            Option("venv", "the virtual environment", "folder", default=".venv"),
            Option("python", "the Python to make it with, 3.11 or newer", "command", default="python3"),
        ),
        target="setup",
    ),
    Command(
        "",
        "the README's study of Kvasir-SEG: DATA=its folder WEIGHTS=squeezenet=file:googlenet=file; hours",
        target="kvasir",
        sets=(*README_SETS, "PATIENCE", "SPLIT_SEED"),
    ),
    Command(
        "",
        "the README's study of chest radiographs: DATA=their class folders WEIGHTS=squeezenet_v1.1's caffemodel",
        target="chest-xray",
        sets=README_SETS,
    ),
    Command("", "everything that proves the promises, on two cores, in less than 9 minutes", target="test"),
    Command("", "the proofs that make test shows in a smaller form: more cases, larger nets", target="thorough-test"),
    Command("", "the tests that take seconds", target="quick-test"),
    Command("", "the checks of style and types", target="lint"),
    Command("", "the documentation as a web site, into site/; a broken link is an error", target="docs"),
    Command("", "remove runs/ (downloads and the virtual environment stay)", target="clean"),
)
COMMANDS = {command.name: command for command in (*RUNNING, *NETS, *DATA, *CAFFE, *PROGRAMS, *CHECKS)}
EVERYTHING = (*COMMANDS.values(), *MAKE_ONLY)


def application_in(words: list[str]) -> str:
    """The application that a command line names, as `polyp` or `polyp-ft-conv3`; "" if none."""
    return next((app for word in words if (app := word.partition("-")[0]) in APPLICATIONS), "")
