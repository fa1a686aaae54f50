"""Reading Caffe's own log lines (glog), as the genuine Caffe and the embedded engine write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# \S+ lets nan, -nan and inf through; NVIDIA's Caffe puts epochs between, "1.5/30ep"
TRAINING = re.compile(r"\] Iteration (\d+)(?: \(.*?\))?(?:, [\d.]+/[\d.]+ep)?, loss = (\S+)")
RATE = re.compile(r"\] Iteration (\d+), lr = (\S+)")
TESTING = re.compile(r"\] Iteration (\d+), Testing net \(#(\d+)\)")
TEST_OUTPUT = re.compile(r"\] +Test net output #\d+: (\S+) = (\S+)")
SNAPSHOT = re.compile(r"\] Snapshotting (?:solver state )?to .*?file (\S.*)$")
FATAL = re.compile(r"^F\d{4} \S+ +\d+ \S+\] (.*)$")
COMPLAINT = re.compile(r"^(?:error|ERROR): ")
STACK = re.compile(r"^(?:\*\*\*|\s+@ |\s*$|PC: @|Aborted|Segmentation)")


@dataclass
class Log:
    """What a train.log says, by iteration.  Of a log that was resumed, the later value of an iteration counts.

    `losses` may hold nan and inf.  `test_outputs` maps iteration -> output -> its values in order (one for a
    scalar such as loss); outputs of a second test net are called name#1.
    """

    losses: dict[int, float] = field(default_factory=dict)
    rates: dict[int, float] = field(default_factory=dict)
    test_outputs: dict[int, dict[str, list[float]]] = field(default_factory=dict)
    snapshots: list[str] = field(default_factory=list)
    finished: bool = False  # the last session ran to max_iter


def parse(lines: Iterable[str]) -> Log:
    """Parse log lines; lines that are cut off or belong to something else are passed over."""
    parser = _Parser()
    for line in lines:
        parser.take(line)
    log = parser.log
    log.test_outputs = {iteration: outputs for iteration, outputs in log.test_outputs.items() if outputs}
    return log


class _Parser:
    """A log as far as it has been read."""

    def __init__(self) -> None:
        self.log = Log()
        self._outputs: dict[str, list[float]] | None = None  # of the test that is under way
        self._suffix = ""  # of the names of its outputs
        self._stopped = False

    def take(self, line: str) -> None:
        if found := TRAINING.search(line):
            _put(self.log.losses, found)
        elif found := RATE.search(line):
            _put(self.log.rates, found)
        elif found := SNAPSHOT.search(line.rstrip()):
            self.log.snapshots.append(found[1])
        elif not self._take_test(line):
            self._take_end(line)

    def _take_test(self, line: str) -> bool:
        """Whether the line is one of a test."""
        if found := TESTING.search(line):
            iteration, net = map(int, found.groups())
            self._outputs, self._suffix = self.log.test_outputs.setdefault(iteration, {}), f"#{net}" if net else ""
            if net == 0:
                self._outputs.clear()
            return True
        if self._outputs is None or not (found := TEST_OUTPUT.search(line)):
            return False
        if (value := number(found[2])) is not None:
            self._outputs.setdefault(found[1] + self._suffix, []).append(value)
        return True

    def _take_end(self, line: str) -> None:
        if "] Optimization Done." in line:
            self.log.finished = not self._stopped
        elif "] Initializing solver from parameters" in line:
            self.log.finished = self._stopped = False
        elif "] Optimization stopped early." in line:
            self._stopped = True  # and yet Caffe says that it is done


def number(text: str) -> float | None:
    """The number that a log line ends in (nan, -nan and inf included), None for what a cut left over."""
    try:
        return float(text)
    except ValueError:
        return None


def last_words(lines: Iterable[str]) -> str:
    """The line that tells why a caffe died: its fatal check, else its error line, else the last line said."""
    said = [line.rstrip() for line in lines if not STACK.match(line)]
    for line in reversed(said):
        if found := FATAL.match(line):
            return found[1]
    complaints = [COMPLAINT.sub("", line) for line in said if COMPLAINT.match(line)]
    return (complaints or said or ["it said nothing"])[-1]


def _put(values: dict[int, float], found: re.Match[str]) -> None:
    if (value := number(found[2])) is not None:
        values[int(found[1])] = value
