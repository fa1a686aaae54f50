"""On a GPU: training against plain PyTorch with torch.compile, and reading against data that lie on the device."""

from __future__ import annotations

import sys

from benchmarks import machine, nets
from benchmarks.program import Program
from benchmarks.rows import ROOT, Experiment, Lab, Row, Side
from benchmarks.sides import TRAINED, Arguments, Words, each_time, ours

BATCH = 256
STEPS = 50  # between two lines of the log: a line waits for the device
PLAIN = "plain PyTorch, torch.compile"
ON_DEVICE = "ours, data on the device"


def _on_constants(lab: Lab) -> Words:
    net = nets.alexnet_on_constants(lab, BATCH)
    return ("train", f"-solver={nets.solver(lab, net, display=STEPS)}", "-gpu=0")


def _on_lmdb(lab: Lab) -> Words:
    net = nets.alexnet(lab, "scratch", BATCH)
    return ("train", f"-solver={nets.solver(lab, net, display=STEPS)}", "-gpu=0")


def _plain(lab: Lab) -> Words:
    return (sys.executable, ROOT / "benchmarks" / "plain_torch.py", BATCH, STEPS, nets.CLASSES)


def _rate_and_memory(command: Arguments) -> Side:
    """Each sample starts the program anew: (images/s over STEPS iterations, MiB of the device while it runs)."""

    def sample(lab: Lab) -> tuple[float, float]:
        before = machine.gpu_memory()
        with Program(command(lab), lab.environment) as program:
            program.until(TRAINED, 3)
            rate = BATCH * STEPS / program.until(TRAINED)
            return rate, machine.gpu_memory() - before

    return each_time(sample)


def _rate(command: Arguments) -> Side:
    def sample(lab: Lab) -> tuple[float]:
        with Program(command(lab), lab.environment) as program:
            program.until(TRAINED, 3)
            return (BATCH * STEPS / program.until(TRAINED),)

    return each_time(sample)


EXPERIMENTS = (
    Experiment(
        rows=(
            Row("gpu-train", f"AlexNet training on the GPU, float32, batch {BATCH}", "images/s", 1.0, better="more"),
            Row("gpu-memory", f"device memory of that training, batch {BATCH}", "MiB"),
        ),
        rival=_rate_and_memory(_plain),
        ours=_rate_and_memory(ours(_on_constants)),
        rival_name=PLAIN,
        needs="cuda",
    ),
    Experiment(
        rows=(Row("gpu-reading", f"the same training fed from LMDB, batch {BATCH}", "images/s", 0.95, better="more"),),
        rival=_rate(ours(_on_constants)),
        ours=_rate(ours(_on_lmdb)),
        rival_name=ON_DEVICE,
        needs="cuda",
    ),
)
