"""The first answer: what one image costs from a cold start, as a service or a notebook feels it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.program import Program
from benchmarks.rows import ROOT, Experiment, Lab, Row
from benchmarks.sides import Words, each_time
from pycaffe_ext import proto
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import writing_folder
from pycaffe_ext.genuine import root
from pycaffe_ext.nets import ARCHITECTURES, NetSpec

SCRIPT = ROOT / "benchmarks" / "first_answer.py"
WEIGHTS = ROOT.parent / "shared" / "weights"
REAL = {"squeezenet": "squeezenet_v1.1_caffe.caffemodel", "googlenet": "bvlc_googlenet.caffemodel"}
NETS = ("squeezenet", "googlenet", "resnet50", "alexnet")
CLASSES = 1000
LIMIT = 1.0  # seconds by which import and building may be above the genuine engine's


def deploy(lab: Lab, arch: str) -> Path:
    """The deploy net, one image of a thousand classes."""
    spec = NetSpec(app="polyp", scheme="scratch", classes=CLASSES, arch=arch)
    path = lab.folder / "nets" / f"first-{arch}.prototxt"
    proto.write_text(path, ARCHITECTURES[arch].deploy(spec))
    return path


def weights(lab: Lab, arch: str, net: Path) -> Path:
    """The published caffemodel where it is at hand, else one that the fillers make, once."""
    real = WEIGHTS / REAL.get(arch, "none")
    if real.exists():
        return real
    folder = lab.folder / f"weights-{arch}"
    if not folder.exists():
        with writing_folder(folder) as part, Program(_filling(net, part / "net.caffemodel"), lab.environment) as made:
            made.finish()
    return folder / "net.caffemodel"


def _filling(net: Path, out: Path) -> Words:
    """The command that writes the weights which the fillers draw: torch stays out of this process."""
    code = "import sys; from pycaffe_ext import caffe; caffe.Net(sys.argv[1], caffe.TEST).save(sys.argv[2])"
    return sys.executable, "-c", code, net, out


def _sample(lab: Lab, python: Words, arch: str) -> tuple[float, ...]:
    net = deploy(lab, arch)
    with Program([python[0], SCRIPT, net, weights(lab, arch, net), *python[1:]], lab.environment) as program:
        said = program.finish().splitlines()[-1]
    try:
        return tuple(map(float, said.split()))
    except ValueError:
        raise UserError(f"first-{arch}: expected four numbers, not {said!r}") from None


def _experiment(arch: str) -> Experiment:
    title = ARCHITECTURES[arch].title
    steps = (
        ("import", "importing pycaffe"),
        ("build", "its net, weights copied"),
        ("pass", "its first pass"),
        ("tenth", "its tenth pass"),
    )
    goals: tuple[dict[str, Any], ...] = ({"margin": LIMIT}, {"margin": LIMIT}, {"target": 1.0}, {"target": 1.0})
    return Experiment(
        rows=tuple(
            Row(f"first-{arch}-{step}", f"{title}, one image: {what}", "s", **goal)
            for (step, what), goal in zip(steps, goals, strict=True)
        ),
        rival=each_time(lambda lab: _sample(lab, (root.command("python"),), arch)),
        ours=each_time(lambda lab: _sample(lab, (sys.executable, "pycaffe_ext.caffe"), arch)),
        needs="genuine",
    )


EXPERIMENTS = tuple(map(_experiment, NETS))
