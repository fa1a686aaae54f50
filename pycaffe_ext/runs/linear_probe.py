"""What a donor is worth on a data set before anything is trained: a linear classifier on what its last layer reads.

The training and validation patches of the runs to come are classified, each by a classifier that saw no patch of its
group, from the donor's features and from those of the same net with random weights.  No test patch is looked at.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pycaffe_ext import nets
from pycaffe_ext.applications import registry
from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.applications.preparation import prepare
from pycaffe_ext.data.columns import read_columns
from pycaffe_ext.data.items import Floats, Ints
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation import linear, roc
from pycaffe_ext.evaluation.intervals import Difference, Interval, area_interval, paired_difference
from pycaffe_ext.proto import caffe_pb2, write_text
from pycaffe_ext.runs import preflight, prototxts
from pycaffe_ext.runs.donors import Donor, find_donor, prove_transfer
from pycaffe_ext.runs.job import Say
from pycaffe_ext.runs.settings import Machine, Settings
from pycaffe_ext.threads import at_most
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.log import last_words
from pycaffe_ext.training.scoring import collect, values

SPLITS = ("train", "val")
FEATURES = "features"  # the blob that is read


@dataclass(frozen=True)
class Probe:
    """AUCs as in early stopping, with 95 % intervals for other groups.

    layer : whose input the features are.  count : numbers of a patch.  donor, random : (AUC, interval).
    """

    layer: str
    count: int
    patches: int
    groups: int
    donor: tuple[float, Interval]
    random: tuple[float, Interval]
    difference: Difference


def probe(settings: Settings, machine: Machine, runs: Path, say: Say = print) -> Probe:
    """The donor of a fine-tuning and the same net with random weights, on its training and validation patches.

    The data are prepared as for the run, which finds them there.  Raises UserError as a run does, and where a class has
    patches of fewer than two groups.
    """
    runs = runs.absolute()
    caffe = Caffe.from_setting(machine.caffe, machine.gpu, cache_gb=0)
    application, size = registry.load(settings.app), nets.architecture(settings.training.arch).input[-1]
    preflight.look(settings.request, runs / settings.name(), application, caffe)
    donor = find_donor(settings)
    if donor.file is None:
        raise UserError(f"{settings.title} starts from no donor; there is nothing to probe")
    prove_transfer(settings, donor, len(application.classes(settings.request)))
    with at_most(machine.threads), TemporaryDirectory(dir=_made(runs), prefix="probe-") as scratch:
        packed = prepare(application, settings.request, size, runs, say).packed
        net = _Net(settings, packed, donor, caffe, Path(scratch))
        label, group = net.labels_and_groups()
        both = [net.features(donor.file), net.features(net.random_weights())]
    merit, seed = application.metric.validation, settings.request.seed
    found = [linear.out_of_fold(features, label, group, seed) for features in both]
    value = [float(merit(one, label)) for one in found]
    drawn = [linear.by_group(merit, one, label, group, seed) for one in found]
    many = roc.effective_class_groups(label, group, np.unique(label))
    rows = [(auc, area_interval(auc, one, many)) for auc, one in zip(value, drawn, strict=True)]
    difference = paired_difference(value[0] - value[1], drawn[0] - drawn[1], many)
    return Probe(net.head, both[0].shape[1], len(label), np.unique(group).size, rows[0], rows[1], difference)


def text(found: Probe, donor: str) -> str:
    """For a reader: both AUCs and by how much the donor's is higher."""
    rows = [(donor, found.donor), ("random weights", found.random)]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  AUC {auc:.3f} [{low:.3f}, {high:.3f}]" for name, (auc, (low, high)) in rows]
    more = found.difference
    return "\n".join(
        [
            f"a linear classifier on the {found.count} numbers that {found.layer} reads, {found.patches} training and"
            f" validation patches of {found.groups} groups, each classified by one that saw none of its group:",
            *lines,
            f"difference {more.value:+.3f} [{more.low:+.3f}, {more.high:+.3f}], p {more.p:.2g} (by group)",
        ]
    )


def _made(runs: Path) -> Path:
    runs.mkdir(parents=True, exist_ok=True)
    return runs


class _Net:
    """The net of a fine-tuning whose last layer is left out, over the packed patches."""

    def __init__(self, settings: Settings, packed: Packed, donor: Donor, caffe: Caffe, folder: Path) -> None:
        self.settings, self.packed, self.caffe, self.folder = settings, packed, caffe, folder
        transform = prototxts.transform_of(settings, donor)
        transform.write(folder)
        self.spec = prototxts.net_spec(settings, packed, donor, None, transform, folder)
        self.head = self.spec.renewed(nets.architecture(self.spec.arch).heads[-1])

    def labels_and_groups(self) -> tuple[Ints, np.ndarray]:
        """(n,) label and (n,) group of the training patches, then the validation's, in the order of their LMDBs."""
        read = [read_columns(self.packed.index(split), {"label": int, "group": str}) for split in SPLITS]
        label, group = (np.concatenate([table[name] for table in read]) for name in ("label", "group"))
        return label, group

    def features(self, weights: Path) -> Floats:
        """(n, k) of the same patches."""
        return np.concatenate([self._features(split, weights) for split in SPLITS])

    def _features(self, split: str, weights: Path) -> Floats:
        batch, count = prototxts.SCORE_BATCH, self.packed.patches[split]
        model = self.folder / f"features_{split}.prototxt"
        net, blob = features_net(nets.score_net(self.spec, str(self.packed.lmdb(split)), batch), self.head)
        write_text(model, net)
        rows = batch * nets.iterations(count, batch)
        with closing(self.caffe.test(model, weights, rows // batch)) as lines:
            outputs = collect(lines)
        numbers = -(-outputs[blob].size // rows) if blob in outputs else 1
        return values(outputs, blob, rows * numbers, weights).reshape(rows, numbers)[:count]

    def random_weights(self) -> Path:
        """What the fillers give with the run's seed: the snapshot of a training that is not begun."""
        scratch = replace(self.spec, scheme="scratch")
        write_text(self.folder / "random.prototxt", nets.train_val(scratch))
        prefix = self.folder / "random"
        solver = nets.solver(
            scratch,
            nets.Schedule(1, 1),
            net=str(self.folder / "random.prototxt"),
            snapshot_prefix=str(prefix),
            seed=self.settings.training.seed,
        )
        for name in ("test_iter", "test_interval", "snapshot"):  # Caffe's last snapshot falls away at a multiple of it
            solver.ClearField(name)
        solver.max_iter = 0
        write_text(self.folder / "random_solver.prototxt", solver)
        log = self.folder / "random.log"
        with self.caffe.train(self.folder / "random_solver.prototxt", None, None, log) as process:
            if process.wait():
                said = log.read_text(errors="replace").splitlines()
                raise UserError(f"{self.caffe} train failed: {last_words(said)}")
        return Path(f"{prefix}_iter_0.caffemodel")


def features_net(score: caffe_pb2.NetParameter, head: str) -> tuple[caffe_pb2.NetParameter, str]:
    """A score net without its `head` and what follows, and the blob of its features: what the head reads, averaged over
    its places where it is a map.  `label` stays an output."""
    place = next(k for k, layer in enumerate(score.layer) if layer.name == head)
    (blob,) = score.layer[place].bottom
    cut = caffe_pb2.NetParameter(name=f"{score.name} features", layer=score.layer[:place])
    if score.layer[place].type != "Convolution":
        return cut, blob
    pooled = cut.layer.add(name=FEATURES, type="Pooling", bottom=[blob], top=[FEATURES])
    pooled.pooling_param.pool, pooled.pooling_param.global_pooling = caffe_pb2.PoolingParameter.AVE, True
    return cut, FEATURES
