"""The solver of Table II, its counts derived from the data."""

from __future__ import annotations

from pycaffe_ext import schemes
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.strings import portable

MAX_EPOCHS = 50  # the paper gives no limit: it stops at the highest validation AUC
MODES = {"cpu": caffe_pb2.SolverParameter.CPU, "gpu": caffe_pb2.SolverParameter.GPU}


def solver(
    spec: NetSpec,
    *,
    train_count: int,
    val_count: int,
    net: str,
    snapshot_prefix: str,
    max_epochs: int = MAX_EPOCHS,
    snapshots_per_epoch: int = 1,
    mode: str = "cpu",
    seed: int = 0,
    display: int = 20,
    base_lr: float = schemes.BASE_LR,
) -> caffe_pb2.SolverParameter:
    """SGD whose rate falls by GAMMA once an epoch; an epoch is ceil(train_count / batch_size) iterations.

    Validation (all val_count patches; the last batch wraps around) and snapshot once an epoch. `mode` "cpu" or "gpu";
    `caffe --gpu=` overrides it. UserError for a count below 1 or a negative seed (Caffe would draw its own).
    """
    counts = {
        "train_count": train_count,
        "val_count": val_count,
        "max_epochs": max_epochs,
        "display": display,
        "snapshots_per_epoch": snapshots_per_epoch,
    }
    for name, count in counts.items():
        if count < 1:
            raise UserError(f"{name} = {count}: at least 1 is needed")
    if seed < 0:
        raise UserError(f"seed = {seed}: allowed is 0 or more")
    epoch = iterations(train_count, spec.batch_size)
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
        max_iter=max_epochs * epoch,
        test_iter=[iterations(val_count, spec.val_batch_size)],
        test_interval=epoch,
        test_initialization=False,
        display=min(display, epoch),
        average_loss=1,
        snapshot=iterations(epoch, snapshots_per_epoch),
        snapshot_prefix=portable(snapshot_prefix),
        snapshot_format=caffe_pb2.SolverParameter.BINARYPROTO,
        snapshot_after_train=True,
        solver_mode=MODES[known(mode, MODES, "mode")],
        random_seed=seed,
    )


def iterations(count: int, batch_size: int) -> int:
    """Batches that see each of `count` patches at least once."""
    return -(-count // batch_size)
