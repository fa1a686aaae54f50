"""Runs of a study side by side: what 2 workers gain on 2 cores, and what a study adds to each run.

    python -m benchmarks.workers --study studies/quick.yaml --prepared runs

Studies with one and with several workers are carried out in turns, each in a RUNS folder of its own, on the data that
the runs in `--prepared` have left. The gain is in wall time, and means something on an idle machine only. What a study
adds to a run is the processor time of the study's own process, in which the processes of the runs have no part, less
that of a repeat, which runs nothing: it reads the study and writes table and page, once for all runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.prepared import lay
from benchmarks.processor import Spent, spent
from benchmarks.rows import ROOT
from pycaffe_ext.command_line import study_file
from pycaffe_ext.errors import UserError, run_cli

LIMIT = 2.0  # seconds of processor time that a study may add to a run
Study = Callable[[int, Path], Spent]  # workers, RUNS -> what the study took, of its own what it took for the runs


def measure(prepared: Path, folder: Path, counts: Sequence[int], turns: int, study: Study) -> dict[int, list[Spent]]:
    """Number of workers -> what each of its studies took, the numbers in turns.

    prepared : RUNS folder whose data all studies find.   folder : gets the RUNS folders of the studies.
    """
    taken: dict[int, list[Spent]] = {count: [] for count in counts}
    for turn in range(turns):
        for count in counts:
            runs = folder / f"{count}-workers-{turn}"
            lay(prepared, runs)
            taken[count].append(study(count, runs))
    return taken


def text(taken: Mapping[int, Sequence[Spent]], runs: int) -> str:
    """A line a number of workers, medians; the gain, and what a study of that many `runs` adds to each."""
    walls = {count: median(one.wall for one in every) for count, every in taken.items()}
    added = {count: median(one.own for one in every) / runs for count, every in taken.items()}
    (first, *_) = walls
    rows = [f"{'workers':>8}{'wall (s)':>10}{'gain':>7}  added to a run (s of processor time)"]
    rows += [f"{n:8}{walls[n]:10.1f}{walls[first] / walls[n]:7.2f}{added[n]:9.2f}" for n in taken]
    kept = all(value <= LIMIT for value in added.values())
    return "\n".join([*rows, f"a study adds {'at most' if kept else 'MORE than'} {LIMIT:g} s to each of {runs} runs"])


def _study(file: Path, options: Sequence[str]) -> Study:
    def run(workers: int, runs: Path) -> Spent:
        runs.mkdir(parents=True, exist_ok=True)
        program = (sys.executable, ROOT / "tools" / "run_grid.py", f"--study={file}", f"--runs={runs}")
        first, again = (spent((*program, f"--workers={workers}", *options), runs / "study.log") for _ in range(2))
        return replace(first, own=first.own - again.own)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--study", required=True, help="a study file")
    parser.add_argument("--prepared", type=Path, required=True, help="a RUNS folder in which the study's data lie")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of workers")
    parser.add_argument("--turns", type=int, default=3, help="studies of each number")
    own, options = parser.parse_known_args()
    if own.turns < 1:
        raise UserError(f"--turns={own.turns}: at least 1")
    if not (own.prepared / "data").is_dir():
        raise UserError(f"--prepared={own.prepared}: no data lie in it; carry the study out there once")
    runs = len(study_file.read(own.study).cells)
    with tempfile.TemporaryDirectory() as folder:
        study = _study(Path(own.study).absolute(), options)
        taken = measure(own.prepared, Path(folder), own.workers, own.turns, study)
    print(text(taken, runs))


if __name__ == "__main__":
    run_cli(main)
