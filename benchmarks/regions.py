"""What DENSE=1 gains: the places of images scored patch by patch, and in whole regions.

    python -m benchmarks.regions --turns 5

The nets are those that are the same in both, with weights drawn at random; the images are the phantom's.  Each way is
what a test does: cutting, writing the LMDB, and `caffe test` with its start.  The two take turns, and their
probabilities must be equal within TOLERANCE.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from pycaffe_ext import caffe as pycaffe
from pycaffe_ext import nets
from pycaffe_ext.applications.imt import APPLICATION, phantom
from pycaffe_ext.data import pack
from pycaffe_ext.data.balance import take_all
from pycaffe_ext.data.boundaries import WallImage
from pycaffe_ext.data.items import Floats, Material, Samples
from pycaffe_ext.detector.walls import places
from pycaffe_ext.errors import UserError, run_cli
from pycaffe_ext.nets.dense import is_exact
from pycaffe_ext.proto import write_text
from pycaffe_ext.runs.dense import DenseNet, probabilities
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.scoring import ScoreNet, score

TOLERANCE, BATCH, CLASSES = 1e-4, 50, 3
PATCHES, REGIONS = "patch by patch", "in regions"
Way = Callable[[], Floats]  # -> (n, CLASSES) probabilities of the places


@dataclass(frozen=True)
class Measured:
    """taken : PATCHES, REGIONS -> seconds of each turn.   places : how many were scored."""

    taken: Mapping[str, Sequence[float]]
    places: int

    @property
    def gain(self) -> float:
        return median(self.taken[PATCHES]) / median(self.taken[REGIONS])


def measure(ways: Mapping[str, Way], turns: int) -> Measured:
    """Seconds of each way, in turns.   Raises UserError where the two differ by more than TOLERANCE."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        found = {}
        for name, way in ways.items():
            began = perf_counter()
            found[name] = way()
            taken[name].append(perf_counter() - began)
        away = float(np.abs(found[PATCHES] - found[REGIONS]).max())
        if not away <= TOLERANCE:
            raise UserError(f"{PATCHES} and {REGIONS} differ by {away:.2g}, at most {TOLERANCE:g} is allowed")
    return Measured(taken, len(found[PATCHES]))


def text(found: Mapping[str, Measured]) -> str:
    """A line a net: medians in ms a place, and the gain."""
    rows = [f"{'net':20}{'places':>8}{PATCHES + ' (ms)':>22}{REGIONS + ' (ms)':>18}{'gain':>8}"]
    for arch, one in found.items():
        each = {name: 1000 * median(seconds) / one.places for name, seconds in one.taken.items()}
        rows.append(f"{arch:20}{one.places:8}{each[PATCHES]:22.2f}{each[REGIONS]:18.3f}{one.gain:8.1f}")
    return "\n".join(rows)


def _ways(arch: str, items: Sequence[WallImage], samples: Samples, folder: Path) -> dict[str, Way]:
    """Both ways of a net with random weights."""
    own = nets.architecture(arch)
    spec, size = nets.NetSpec("imt", "scratch", CLASSES, arch=arch, mean_value=(100.0,)), own.input[-1]
    write_text(folder / "deploy.prototxt", own.deploy(spec))
    weights, model = folder / "w.caffemodel", folder / "score.prototxt"
    pycaffe.set_random_seed(0)
    pycaffe.Net(str(folder / "deploy.prototxt"), pycaffe.TEST).save(str(weights))
    write_text(model, own.score_net(spec, str(pack.database_path(folder, "test")), BATCH))
    material = Material(items, samples, APPLICATION.views, APPLICATION.cut, APPLICATION.words)

    def by_patch() -> Floats:
        chosen = take_all(samples.label, len(APPLICATION.views), 1)
        pack.pack(material, chosen, folder, "test", encoding="raw", size=size, progress=False)
        found, _ = score(Caffe(), ScoreNet(model, len(samples), BATCH, own.output(spec), CLASSES), weights)
        return np.asarray(found[pack.order_of_keys(len(samples), 0)])

    def in_regions() -> Floats:
        net = DenseNet(model, weights, own.output(spec), CLASSES, own.input)
        return probabilities(Caffe(), net, APPLICATION, items, samples, folder / "dense")

    return {PATCHES: by_patch, REGIONS: in_regions}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5, help="of each way [%(default)s]")
    parser.add_argument("--images", type=int, default=2, help="of a patient each [%(default)s]")
    given = parser.parse_args(argv)
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        items = phantom(Path(scratch), 0, given.images, 1)
        samples = places.samples_of(items, [places.wall_of(item) for item in items])
        for arch in filter(is_exact, nets.ARCHITECTURES):
            folder = Path(scratch) / arch
            folder.mkdir()
            found[arch] = measure(_ways(arch, items, samples, folder), given.turns)
    print(text(found))


if __name__ == "__main__":
    run_cli(main)
