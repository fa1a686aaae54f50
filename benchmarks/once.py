"""Work done once: what the schemes of Table II take together, apart, and storing nothing, in processor time.

    python -m benchmarks.once --patches 600 --test-views 1 --epochs 3 --width 1/8

Each scheme is the process of `make polyp-SCHEME`. Together, it finds the outputs of frozen layers that the schemes
before it have stored; apart, it stores its own; and with `CACHE_GB=0` it stores nothing, as the genuine Caffe does. The
data are prepared once before, and what that takes is counted by itself: runs that share nothing at all would prepare
them each. The results are compared; they must be the same.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.prepared import lay
from benchmarks.processor import spent
from benchmarks.rows import ROOT
from pycaffe_ext.errors import UserError, run_cli
from pycaffe_ext.runs.pipeline import FEATURES
from pycaffe_ext.runs.records import RESULT
from pycaffe_ext.schemes import FINE_TUNING

SCHEMES = (*FINE_TUNING, "scratch")  # in a study's order: the shallowest frozen prefix first
TARGET = 0.6
LOADED = "from pycaffe_ext.engine import cli, commands"  # what each process of the engine loads before it computes
BESIDES = 3  # processes of the engine in a run besides one a snapshot: the training, all validation samples, the test
NOTHING, APART, TOGETHER = "nothing", "apart", "together"  # what is stored; RUNS folders
Run = Callable[[str, Path], float]  # scheme, RUNS -> seconds of processor time; it stores nothing in NOTHING


@dataclass(frozen=True)
class Measured:
    """Seconds of processor time.   taken : NOTHING, APART, TOGETHER -> scheme -> of its run.   starts : scheme -> what
    the processes of the engine take of it to load.   preparing : the data, once."""

    taken: dict[str, dict[str, float]]
    starts: dict[str, float]
    preparing: float

    def total(self, how: str) -> float:
        return sum(self.taken[how].values())

    def ratio(self, how: str) -> float:
        """Of the schemes together to NOTHING or APART, the data being there."""
        return self.total(TOGETHER) / self.total(how)

    def ratio_of_work(self, how: str) -> float:
        """The same without the starts of processes."""
        starts = sum(self.starts.values())
        return (self.total(TOGETHER) - starts) / (self.total(how) - starts)

    def ratio_from_nothing(self, how: str) -> float:
        """The same where each scheme prepares the data too, and together they are prepared once."""
        return (self.total(TOGETHER) + self.preparing) / (self.total(how) + len(self.starts) * self.preparing)


def measure(folder: Path, schemes: Sequence[str], run: Run, load: float, preparing: float) -> Measured:
    """Carry out the schemes in each of the three ways, in turns, on what lies in `folder`/prepared/data.

    load : seconds that a process of the engine takes to load.   UserError if a result differs.
    """
    places = {how: folder / how for how in (NOTHING, APART, TOGETHER)}
    for place in places.values():
        lay(folder / "prepared", place)
    taken: dict[str, dict[str, float]] = {how: {} for how in places}
    starts = {}
    for scheme in schemes:
        shutil.rmtree(places[APART] / "data" / FEATURES, ignore_errors=True)
        for how, place in places.items():
            taken[how][scheme] = run(scheme, place)
        starts[scheme] = load * (BESIDES + _same_result(places.values(), scheme))
    return Measured(taken, starts, preparing)


def _same_result(places: Iterable[Path], scheme: str) -> int:
    """Of a scheme's runs, which must have come to the same: the number of snapshots that were scored."""
    one, *others = (json.loads((place / scheme / RESULT).read_text()) for place in places)
    if any(other != one for other in others):
        raise UserError(f"{scheme}: with stored outputs of frozen layers the result is another")
    return int(one["snapshots"])


def text(measured: Measured) -> str:
    """A line a scheme, and the ratios."""
    columns = [*measured.taken.values(), measured.starts]
    rows = ["".join([f"{'':12}", *(f"{name:>10}" for name in (*measured.taken, "starts")), "  (s)"])]
    for scheme in measured.starts:
        rows.append(f"{scheme:12}" + "".join(f"{column[scheme]:10.1f}" for column in columns))
    rows.append(f"{'all':12}" + "".join(f"{sum(column.values()):10.1f}" for column in columns))
    for how in (NOTHING, APART):
        rows.append(
            f"{TOGETHER} / {how}: {measured.ratio(how):.2f}; without the starts of processes"
            f" {measured.ratio_of_work(how):.2f}; data prepared each time, or once,"
            f" {measured.ratio_from_nothing(how):.2f} (target {TARGET})"
        )
    return "\n".join(rows)


def _prepare(folder: Path, options: Sequence[str], scheme: str) -> float:
    """Prepare the data by a run of the scheme; the seconds that preparing took, processor time: those of the run less
    those of a repeat on what is prepared."""
    first = _run(options)(scheme, folder / "prepared")
    shutil.rmtree(folder / "prepared" / "data" / FEATURES, ignore_errors=True)
    shutil.rmtree(folder / "prepared" / scheme)
    return first - _run(options)(scheme, folder / "prepared")


def _run(options: Sequence[str]) -> Run:
    def run(scheme: str, runs: Path) -> float:
        runs.mkdir(parents=True, exist_ok=True)
        program = (sys.executable, ROOT / "tools" / "train_and_test.py", f"polyp-{scheme}")
        stored = ("--cache-gb=0",) if runs.name == NOTHING else ()
        words: list[str | Path] = [*program, f"--runs={runs}", f"--run={scheme}", *options, *stored]
        return spent(words, runs / f"{scheme}.log").processor

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--schemes", nargs="+", default=SCHEMES, help="which, in their order")
    parser.add_argument("--folder", type=Path, help="where the runs go [a temporary folder]")
    own, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (own.folder or Path(temporary)).absolute()
        there = (folder / "prepared" / "data").exists()
        preparing = 0.0 if there else _prepare(folder, options, own.schemes[0])
        load = spent((sys.executable, "-c", LOADED), folder / "load.log").processor
        print(text(measure(folder, own.schemes, _run(options), load, preparing)))


if __name__ == "__main__":
    run_cli(main)
