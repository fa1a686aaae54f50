"""On a GPU: training against plain PyTorch, reading against data drawn on the device, and what the options give."""

from __future__ import annotations

import sys
from functools import partial

from benchmarks import machine, nets
from benchmarks.program import Program
from benchmarks.rows import ROOT, Experiment, Lab, Row, Side
from benchmarks.sides import TESTED, TRAINED, Arguments, Words, each_time, ours

BATCH = 256
STEPS = 50  # between two lines of the log: a line waits for the device
SKIPPED = 3  # lines that pass first
PLAIN = "plain PyTorch, torch.compile"
EAGER = "plain PyTorch"
ON_DEVICE = "ours, data on the device"
GPU = ("-gpu=0",)


def on_noise(*flags: str, arch: str = "alexnet", batch: int = BATCH, steps: int = STEPS) -> Arguments:
    """Training on images that are drawn on the device."""

    def arguments(lab: Lab) -> Words:
        net = nets.on_noise(lab, batch, arch)
        return ("train", f"-solver={nets.solver(lab, net, display=steps)}", *flags)

    return ours(arguments)


def on_lmdb(*flags: str, scheme: str = "scratch", batch: int = BATCH, steps: int = STEPS) -> Arguments:
    """Training of AlexNet from an LMDB of raw images."""

    def arguments(lab: Lab) -> Words:
        net = nets.alexnet(lab, scheme, batch)
        return ("train", f"-solver={nets.solver(lab, net, display=steps)}", *flags)

    return ours(arguments)


def scoring(*flags: str, batch: int = BATCH) -> Arguments:
    """`caffe test` of AlexNet on an LMDB of raw images."""

    def arguments(lab: Lab) -> Words:
        net = nets.alexnet(lab, "scratch", batch)
        return ("test", f"-model={net}", f"-weights={nets.no_weights(lab)}", "-iterations=100000", *flags)

    return ours(arguments)


def plain(how: str = "compile", batch: int = BATCH, steps: int = STEPS) -> Arguments:
    """The same training written in PyTorch."""
    return lambda _lab: (sys.executable, ROOT / "benchmarks" / "plain_torch.py", batch, steps, nets.CLASSES, how)


def rate(command: Arguments, lab: Lab, images: int, line: str = TRAINED, lines: int = 1) -> float:
    """images/s of a new process: `images` lie between two of its `lines` lines."""
    with Program(command(lab), lab.environment) as program:
        program.until(line, SKIPPED)
        return lines * images / program.until(line, lines)


def rate_and_memory(command: Arguments, lab: Lab, images: int) -> tuple[float, float]:
    """(images/s, MiB of the device while it runs)."""
    before = machine.gpu_memory()
    with Program(command(lab), lab.environment) as program:
        program.until(TRAINED, SKIPPED)
        found = images / program.until(TRAINED)
        return found, machine.gpu_memory() - before


def _with_memory(command: Arguments) -> Side:
    return each_time(partial(rate_and_memory, command, images=BATCH * STEPS))


def _rate(command: Arguments, batch: int = BATCH) -> Side:
    return each_time(lambda lab: (rate(command, lab, batch * STEPS),))


def _scored(command: Arguments) -> Side:
    return each_time(lambda lab: (rate(command, lab, BATCH, TESTED, STEPS),))


def _against(
    name: str,
    what: str,
    rival: Arguments,
    rival_name: str,
    mine: Arguments,
    target: float | None = None,
    batch: int = BATCH,
) -> Experiment:
    row = Row(name, what, "images/s", target, better="more")
    return Experiment((row,), _rate(mine, batch), _rate(rival, batch), rival_name, needs="cuda")


def _alone(name: str, what: str, mine: Side) -> Experiment:
    return Experiment((Row(name, what, "images/s", better="more"),), mine, needs="cuda")


EXPERIMENTS = (
    Experiment(
        rows=(
            Row("gpu-train", f"AlexNet training on the GPU, float32, batch {BATCH}", "images/s", 1.0, better="more"),
            Row("gpu-memory", f"device memory of that training, batch {BATCH}", "MiB"),
        ),
        rival=_with_memory(plain()),
        ours=_with_memory(on_noise(*GPU)),
        rival_name=PLAIN,
        needs="cuda",
    ),
    _against("gpu-eager", f"the same training, batch {BATCH}", plain("eager"), EAGER, on_noise(*GPU), 1.0),
    _against(
        "gpu-reading", f"the same training fed from LMDB, batch {BATCH}", on_noise(*GPU), ON_DEVICE, on_lmdb(*GPU), 0.95
    ),
    _against(
        "gpu-tf32",
        f"that training with TF32 (not faithful), batch {BATCH}",
        on_noise(*GPU),
        "ours, float32",
        on_noise(*GPU, "-tf32"),
    ),
    _against(
        "gpu-bf16",
        f"that training with bf16 (not faithful), batch {BATCH}",
        on_noise(*GPU),
        "ours, float32",
        on_noise(*GPU, "-precision=bf16"),
    ),
    _alone("gpu-vgg16", "VGG-16 training, batch 32", _rate(on_noise(*GPU, arch="vgg16", batch=32), 32)),
    _alone("gpu-resnet50", "ResNet-50 training, batch 64", _rate(on_noise(*GPU, arch="resnet50", batch=64), 64)),
    _alone("gpu-scoring", f"`caffe test` of AlexNet from LMDB, batch {BATCH}", _scored(scoring(*GPU))),
    _against(
        "gpu-prefix",
        f"ft-conv3 from LMDB, its frozen layers stored, batch {BATCH}",
        on_lmdb(*GPU, "-cache_gb=0", scheme="ft-conv3"),
        "ours, -cache_gb=0",
        on_lmdb(*GPU, scheme="ft-conv3"),
    ),
)
