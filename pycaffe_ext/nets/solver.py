"""The solver of Table II, its counts derived from the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pycaffe_ext import schemes
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.strings import portable

MAX_EPOCHS = 50  # the paper gives no limit: it stops at the highest validation AUC
MODES = {"cpu": caffe_pb2.SolverParameter.CPU, "gpu": caffe_pb2.SolverParameter.GPU}


@dataclass(frozen=True)
class Schedule:
    """How long a net is trained and how often it is looked at; all numbers are at least 1.

    train_count, val_count : patches of an epoch and of the validation
    display : iterations between two lines of the log
    """

    train_count: int
    val_count: int
    max_epochs: int = MAX_EPOCHS
    snapshots_per_epoch: int = 1
    display: int = 20


def solver(
    spec: NetSpec,
    schedule: Schedule,
    *,
    net: str,
    snapshot_prefix: str,
    mode: str = "cpu",
    seed: int = 0,
    base_lr: float = schemes.BASE_LR,
) -> caffe_pb2.SolverParameter:
    """SGD whose rate falls by GAMMA once an epoch; an epoch is ceil(schedule.train_count / batch_size) iterations.

    Validation (all patches; the last batch wraps around) and snapshot once an epoch. `mode` "cpu" or "gpu";
    `caffe --gpu=` overrides it. UserError for a count below 1 or a negative seed (Caffe would draw its own).
    """
    for name, count in asdict(schedule).items():
        if count < 1:
            raise UserError(f"{name} = {count}: at least 1 is needed")
    if seed < 0:
        raise UserError(f"seed = {seed}: allowed is 0 or more")
    epoch = iterations(schedule.train_count, spec.batch_size)
    return caffe_pb2.SolverParameter(
        type="SGD",
        net=portable(net),
        base_lr=base_lr,
        lr_policy=schemes.LR_POLICY,
        gamma=schemes.GAMMA,
        stepsize=epoch,
        momentum=schemes.MOMENTUM,
        weight_decay=schemes.WEIGHT_DECAY,
        regularization_type="L2",
        iter_size=1,
        max_iter=schedule.max_epochs * epoch,
        test_iter=[iterations(schedule.val_count, spec.val_batch_size)],
        test_interval=epoch,
        test_initialization=False,
        display=min(schedule.display, epoch),
        average_loss=1,
        snapshot=iterations(epoch, schedule.snapshots_per_epoch),
        snapshot_prefix=portable(snapshot_prefix),
        snapshot_format=caffe_pb2.SolverParameter.BINARYPROTO,
        snapshot_after_train=True,
        solver_mode=MODES[known(mode, MODES, "mode")],
        random_seed=seed,
    )


def iterations(count: int, batch_size: int) -> int:
    """Batches that see each of `count` patches at least once."""
    return -(-count // batch_size)
