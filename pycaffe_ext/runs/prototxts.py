"""The nets and solvers of a run, and its own prototxts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pycaffe_ext import nets
from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.data.pack import database_path
from pycaffe_ext.proto import caffe_pb2, write_text
from pycaffe_ext.runs import transforms
from pycaffe_ext.runs.donors import Donor, Transfer, net_of
from pycaffe_ext.runs.job import Run
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.runs.transforms import Transform
from pycaffe_ext.training.chain import Link

EPOCH_ITERATIONS = 50  # the least per epoch, else the net's own batch is halved
SCORE_BATCH = 50
ALL_SAMPLES = {"val": "score_val_all.prototxt", "test": "score_test.prototxt"}  # score nets of all samples of a split


def transform_of(settings: Settings, donor: Donor) -> Transform:
    """What MEAN=, SCALE= and the donor's card make of the patches."""
    arch = nets.architecture(settings.training.arch)
    return transforms.choose(settings.training, donor.card, donor.whose, arch.input[-1], arch.scale)


def net_spec(
    settings: Settings, data: Packed, donor: Donor, transfer: Transfer | None, transform: Transform, folder: Path
) -> nets.NetSpec:
    """The net of a run in `folder`.  transfer : of a fine-tuning."""
    training = settings.training
    return replace(
        net_of(settings, donor, len(data.classes)),
        batch_size=training.batch or batch_size(data.epoch_patches, training.arch),
        val_batch_size=SCORE_BATCH,
        train_source=str(data.lmdb("train")),
        val_source=str(data.lmdb("val")),
        mean_file=str(transform.mean_file(folder, data.mean_file) or ""),
        mean_value=transform.mean_value,
        scale=transform.scale,
        fresh=frozenset(transfer.fresh if transfer else ()),
    )


def batch_size(epoch_patches: int, arch: str) -> int:
    """The net's own batch (AlexNet's: 256), halved until an epoch has EPOCH_ITERATIONS iterations, but not below 16."""
    size = nets.architecture(arch).batch_size
    while size > 16 and nets.iterations(epoch_patches, size) < EPOCH_ITERATIONS:
        size //= 2
    return size


def emit(job: Run) -> None:
    """Write the run's own prototxts, and its mean image if it has one."""
    job.transform.write(job.folder)
    write_text(job.folder / "deploy.prototxt", _deploy(job))
    for name, source in _scored(job).items():
        write_text(job.folder / name, nets.score_net(job.spec, str(source), SCORE_BATCH))
    for link in job.links:
        _emit_link(job, link)


def _emit_link(job: Run, link: Link) -> None:
    """The net and the solver of one training."""
    net, spec = link.folder / "train_val.prototxt", replace(job.spec, scheme=link.scheme)
    write_text(net, nets.train_val(spec))
    parameters = nets.solver(
        spec,
        nets.Schedule(job.data.epoch_patches, job.data.patches["val"], job.settings.training.epochs),
        net=str(net),
        mode="gpu" if job.machine.gpu else "cpu",
        snapshot_prefix=str(link.folder / "snapshots" / job.settings.job),
        seed=job.settings.training.seed,
        base_lr=job.settings.training.base_lr,
    )
    write_text(link.solver, parameters)


def _deploy(job: Run) -> caffe_pb2.NetParameter:
    """The net to use.  What its input was in training stands in its Input layer, where a person or a program finds it:
    Caffe reads and ignores it there, for an Input layer is filled by its caller."""
    net = nets.deploy(job.spec)
    net.layer[0].transform_param.CopyFrom(nets.architecture(job.spec.arch).transform(job.spec))
    return net


def _scored(job: Run) -> dict[str, Path]:
    """Score net -> the LMDB that it reads."""
    return {
        "score_val.prototxt": database_path(job.data.folder, "val"),
        ALL_SAMPLES["val"]: database_path(job.folder, "val"),
        ALL_SAMPLES["test"]: database_path(job.test_folder, "test"),
    }
