"""Fine-tuning with a frozen prefix: an iteration after the first epoch, in the nine configurations of Table II.

An epoch is 4 iterations of batch 128. Every iteration of the genuine engine costs the same, so one of them is a sample;
ours is timed over a whole epoch where a prefix is frozen, over one iteration where nothing, or only conv1, is.
"""

from __future__ import annotations

from benchmarks import nets
from benchmarks.rows import Experiment, Lab, Row
from benchmarks.sides import TRAINED, Arguments, Words, genuine_caffe, in_turns, ours
from pycaffe_ext.schemes import FINE_TUNING

BATCH = 128
EPOCH = nets.RECORDS // BATCH
CONFIGURATIONS = (*FINE_TUNING, "scratch")
TARGETS = {"ft-fc8": 30.0, "ft-fc6": 7.0, "ft-conv3": 2.0}
NEARLY_ALL_LEARN = ("ft-conv1", "ft-conv2", "scratch")


def _training(scheme: str, *flags: str) -> Arguments:
    def arguments(lab: Lab) -> Words:
        return ("train", f"-solver={nets.solver(lab, nets.alexnet(lab, scheme, BATCH))}", *flags)

    return arguments


def _experiment(scheme: str) -> Experiment:
    what = f"{scheme}, batch {BATCH}: an iteration after the first epoch"
    epoch = 1 if scheme in NEARLY_ALL_LEARN else EPOCH
    return Experiment(
        rows=(Row(f"prefix-{scheme}", what, "s", target=TARGETS.get(scheme)),),
        rival=in_turns(genuine_caffe(_training(scheme)), TRAINED, skip=1, count=1),
        ours=in_turns(ours(_training(scheme)), TRAINED, skip=EPOCH + 1, count=epoch),
        needs="genuine",
    )


EXPERIMENTS = tuple(map(_experiment, CONFIGURATIONS))
