"""The two engines behind one command line, and the ways to take a sample of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.program import Program, seconds_of
from benchmarks.rows import Lab, Sample, Side
from pycaffe_ext.genuine import root

TRAINED = r"\] Iteration \d+\b.*loss = "  # after the forward and backward pass, before the update
TESTED = r"\] Batch \d+, loss = "
TIMED = r"\] Iteration: \d+ forward-backward time: "

Words = Sequence[str | Path]
Arguments = Callable[[Lab], Words]


def ours(arguments: Arguments) -> Arguments:
    return lambda lab: (sys.executable, "-m", "pycaffe_ext", *arguments(lab))


def genuine_caffe(arguments: Arguments) -> Arguments:
    return lambda lab: (root.command("caffe"), *arguments(lab))


def fresh_run(command: Arguments, pattern: str, skip: int, count: int, per_sample: int = 1) -> Side:
    """Each sample starts a new process: `skip` lines pass, then `count` lines are timed, then it is killed.

    A sample is (seconds for each of count * per_sample iterations, peak of resident memory in MiB).
    """

    def sample(lab: Lab) -> tuple[float, ...]:
        with Program(command(lab), lab.environment) as program:
            program.until(pattern, skip)
            seconds = program.until(pattern, count) / (count * per_sample)
            return seconds, program.peak()

    return each_time(sample)


def in_turns(command: Arguments, pattern: str, skip: int, count: int, value: Callable[[float], float] = float) -> Side:
    """One program for all samples, standing still while it is the other's turn: `count` lines are timed each time.

    `skip` lines pass first. A sample is (value(seconds for each line),).
    """

    @contextmanager
    def side(lab: Lab) -> Iterator[Sample]:
        with Program(command(lab), lab.environment) as program:
            program.until(pattern, skip)
            yield lambda: (value(program.until(pattern, count) / count),)

    return side


def whole_run(command: Arguments, before: Callable[[Lab], None] = lambda _lab: None) -> Side:
    """Each sample is the wall time of the whole program, (seconds,); `before` clears the way, untimed."""

    def sample(lab: Lab) -> tuple[float, ...]:
        words = command(lab)
        before(lab)
        return (seconds_of(words, lab.environment),)

    return each_time(sample)


def each_time(sample: Callable[[Lab], tuple[float, ...]]) -> Side:
    """A side that needs nothing kept between its samples."""

    @contextmanager
    def side(lab: Lab) -> Iterator[Sample]:
        yield lambda: sample(lab)

    return side
