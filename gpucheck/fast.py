"""How fast the GPU side is: programs under the stopwatch, one after another, each in a new process."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks import gpu
from benchmarks.rows import ROOT, Lab
from benchmarks.sides import TESTED, Arguments
from gpucheck.checks import FAST, Bench, Check, Finding
from pycaffe_ext.files import read_json
from pycaffe_ext.training.log import last_words, parse
from pycaffe_ext.training.table import read_rows

THREADS = 8  # of reading, beside the one that feeds the GPU
JOB, PATCHES, EPOCHS = "frames-ft-conv3", 600, 3  # frames: no detector is trained, which takes minutes
CURVE = 0.02  # how far an AUC may differ: both runs drop other values


def _lab(bench: Bench) -> Lab:
    """Made data are kept from check to check, beside their own folders."""
    return Lab(bench.folder.parent, THREADS, 1)


def training(bench: Bench) -> Finding:
    """AlexNet, data on the device, and the peak of memory."""
    rate, memory = gpu.rate_and_memory(gpu.on_noise(*bench.flags), _lab(bench), gpu.BATCH * gpu.STEPS)
    return Finding(
        f"{rate:.0f} images/s, {gpu.BATCH / rate * 1000:.1f} ms an iteration, {memory:.0f} MiB",
        None,
        {"images/s": rate, "MiB": memory},
    )


def plain(how: str, bench: Bench) -> Finding:
    """The same in plain PyTorch."""
    rate, memory = gpu.rate_and_memory(gpu.plain(how), _lab(bench), gpu.BATCH * gpu.STEPS)
    return Finding(f"{rate:.0f} images/s, {memory:.0f} MiB", None, {"images/s": rate, "MiB": memory})


def program(command: Callable[..., Arguments], batch: int, bench: Bench) -> Finding:
    """Any other training; `command` takes the flags."""
    rate = gpu.rate(command(*bench.flags), _lab(bench), batch * gpu.STEPS)
    return Finding(f"{rate:.0f} images/s, {batch / rate * 1000:.1f} ms an iteration", None, {"images/s": rate})


def scoring(bench: Bench) -> Finding:
    """`caffe test`."""
    rate = gpu.rate(gpu.scoring(*bench.flags), _lab(bench), gpu.BATCH, TESTED, gpu.STEPS)
    return Finding(f"{rate:.0f} images/s", None, {"images/s": rate})


# ---- a real job


def job(bench: Bench) -> Finding:
    """The job on the GPU, then on the CPU: its curve and its time."""
    (on_gpu, seconds), (on_cpu, slow) = (_run(bench, flags) for flags in (("--gpu", "0"), ()))
    rows = list(zip_longest(read_rows(on_gpu / "auc.csv"), read_rows(on_cpu / "auc.csv")))
    _write_curve(bench.folder.parent / "job.csv", rows)
    pairs = [(a.auc, b.auc) for a, b in rows if a and b]
    apart = max((abs(a - b) for a, b in pairs), default=1.0)
    first = [parse((folder / "train.log").read_text().splitlines()).losses[0] for folder in (on_gpu, on_cpu)]
    best = [read_json(folder / "result.json")["best"]["validation_auc"] for folder in (on_gpu, on_cpu)]
    said = (
        f"training {seconds:.0f} s on the GPU, {slow:.0f} s on the CPU; AUC {best[0]:.3f} and {best[1]:.3f},"
        f" {len(pairs)} snapshots at most {apart:.3f} apart"
    )
    figures = {
        "s on the GPU": seconds,
        "s on the CPU": slow,
        "AUC on the GPU": best[0],
        "AUC on the CPU": best[1],
        "largest difference of AUC": apart,
        "first loss on the GPU": first[0],
        "first loss on the CPU": first[1],
    }
    return Finding(said, apart <= CURVE and bool(pairs), figures)


def _run(bench: Bench, flags: Sequence[str]) -> tuple[Path, float]:
    """(the run's folder, seconds from the first iteration to the last score); the data are packed once for both."""
    name = "job-gpu" if flags else "job-cpu"
    runs = bench.folder / "runs"
    words = [
        sys.executable,
        ROOT / "tools" / "train_and_test.py",
        JOB,
        "--runs",
        runs,
        "--run",
        name,
        "--patches",
        PATCHES,
        "--epochs",
        EPOCHS,
        *(flags if bench.flags else ()),
    ]
    lines = []
    with subprocess.Popen(
        list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as program:
        for line in program.stdout or ():
            print(line, end="", flush=True)  # so that the report shows how far it came, should the check be killed
            lines.append(line)
    if program.returncode:
        raise AssertionError(last_words(lines))
    folder = runs / name
    return folder, (folder / "result.json").stat().st_mtime - (folder / "run.json").stat().st_mtime


def _write_curve(path: Path, rows: Sequence[tuple[Any, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("iteration", "GPU", "CPU"))
        writer.writerows(((a or b).iteration, a.auc if a else "", b.auc if b else "") for a, b in rows)


# ---- what figures mean side by side


def ratios(figures: dict[str, dict[str, float]]) -> list[tuple[str, float, float | None]]:
    """(what, ratio of images/s, goal) of each comparison whose two checks have figures."""
    rates = {name: values["images/s"] for name, values in figures.items() if "images/s" in values}
    return [(what, rates[a] / rates[b], goal) for what, a, b, goal in COMPARISONS if a in rates and b in rates]


COMPARISONS = (
    ("training from LMDB over training with the data on the device", "lmdb", "alexnet", 0.95),
    ("training over plain PyTorch", "alexnet", "plain", 1.0),
    ("training over plain PyTorch with torch.compile", "alexnet", "compiled", 1.0),
    ("plain PyTorch with CUDA graphs over it without", "graphs", "compiled", None),
    ("TF32 over float32", "tf32", "alexnet", None),
    ("bf16 over float32", "bf16", "alexnet", None),
    ("ft-conv3 with its frozen prefix stored over computing it", "prefix", "no-prefix", 1.0),
)


def _noise(name: str, what: str, *more: str, arch: str = "alexnet", batch: int = gpu.BATCH) -> Check:
    def command(*flags: str) -> Arguments:
        return gpu.on_noise(*flags, *more, arch=arch, batch=batch)

    return Check(name, FAST, what, 60, partial(program, command, batch), alone=True)


def _lmdb(name: str, what: str, *more: str, scheme: str = "scratch") -> Check:
    def command(*flags: str) -> Arguments:
        return gpu.on_lmdb(*flags, *more, scheme=scheme)

    return Check(name, FAST, what, 60, partial(program, command, gpu.BATCH), alone=True)


def _plain(name: str, what: str, how: str, seconds: float) -> Check:
    return Check(name, FAST, what, seconds, partial(plain, how), alone=True)


CHECKS = (
    Check("alexnet", FAST, f"AlexNet training, batch {gpu.BATCH}, data on the device", 60, training, alone=True),
    _lmdb("lmdb", "the same, fed from LMDB"),
    _plain("plain", "the same in plain PyTorch", "eager", 60),
    _plain("compiled", "the same in plain PyTorch with torch.compile", "compile", 90),
    _lmdb("prefix", "ft-conv3 from LMDB, frozen layers stored", scheme="ft-conv3"),
    _lmdb("no-prefix", "ft-conv3 from LMDB, frozen layers computed", "-cache_gb=0", scheme="ft-conv3"),
    Check("scoring", FAST, f"`caffe test` of AlexNet from LMDB, batch {gpu.BATCH}", 60, scoring, alone=True),
    Check("job", FAST, f"make {JOB} GPU=0 against GPU unset, {PATCHES} patches, {EPOCHS} epochs", 150, job, alone=True),
    _noise("tf32", "AlexNet training with TF32 (not faithful)", "-tf32"),
    _noise("bf16", "AlexNet training with bf16 (not faithful)", "-precision=bf16"),
    _noise("vgg16", "VGG-16 training, batch 32", arch="vgg16", batch=32),
    _noise("resnet50", "ResNet-50 training, batch 64", arch="resnet50", batch=64),
    _plain("graphs", "plain PyTorch with torch.compile and CUDA graphs", "graphs", 90),
)
