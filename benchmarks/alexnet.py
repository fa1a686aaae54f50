"""AlexNet at full width: a training iteration, a forward pass, the peak of memory, bf16."""

from __future__ import annotations

from benchmarks import nets
from benchmarks.rows import Experiment, Lab, Row
from benchmarks.sides import TESTED, TRAINED, Arguments, Words, fresh_run, genuine_caffe, in_turns, ours

BATCHES = (32, 64)


def _training(batch: int, *flags: str) -> Arguments:
    def arguments(lab: Lab) -> Words:
        return ("train", f"-solver={nets.solver(lab, nets.alexnet(lab, 'scratch', batch))}", *flags)

    return arguments


def _testing(batch: int) -> Arguments:
    def arguments(lab: Lab) -> Words:
        net = nets.alexnet(lab, "scratch", batch)
        return ("test", f"-model={net}", f"-weights={nets.no_weights(lab)}", "-iterations=100000")

    return arguments


def _train(batch: int) -> Experiment:
    """The first two iterations pass: the second is the first to meet the solver's history."""
    return Experiment(
        rows=(
            Row(f"train-{batch}", f"training iteration with its update, batch {batch}", "s", target=1.5),
            Row(f"memory-{batch}", f"peak memory of that training, batch {batch}", "MiB", target=1.0),
        ),
        rival=fresh_run(genuine_caffe(_training(batch)), TRAINED, skip=2, count=1),
        ours=fresh_run(ours(_training(batch)), TRAINED, skip=2, count=1),
        needs="genuine",
    )


def _forward(batch: int) -> Experiment:
    return Experiment(
        rows=(Row(f"forward-{batch}", f"forward pass alone (`caffe test`), batch {batch}", "s", target=1.5),),
        rival=in_turns(genuine_caffe(_testing(batch)), TESTED, skip=2, count=2),
        ours=in_turns(ours(_testing(batch)), TESTED, skip=2, count=2),
        needs="genuine",
    )


def _bf16(batch: int) -> Experiment:
    what = f"training iteration in bf16 (not faithful) against the genuine float32, batch {batch}"
    return Experiment(
        rows=(Row(f"bf16-{batch}", what, "s", target=2.2),),
        rival=in_turns(genuine_caffe(_training(batch)), TRAINED, skip=2, count=1),
        ours=in_turns(ours(_training(batch, "-precision=bf16")), TRAINED, skip=2, count=1),
        needs="genuine",
    )


EXPERIMENTS = (*map(_train, BATCHES), *map(_forward, BATCHES), _bf16(32))
