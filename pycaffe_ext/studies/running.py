"""Carry out the runs of a grid: each by the process that `make APP-SCHEME` starts, one or several side by side.

A run that fails is reported and keeps no other from running.  What is finished is not run again; an interrupted run
goes on where it was.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import time

from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.settings import Machine, Settings, TestSet
from pycaffe_ext.studies.grid import Cell, Grid
from pycaffe_ext.studies.states import FAILED, FINISHED, RUNNING, STOPPED, Place, State
from pycaffe_ext.tether import Tethered

PROGRAM = (sys.executable, "-c", "from pycaffe_ext.command_line.main import run; run()")  # `pycaffe-ext`
GUESS = 2e9  # bytes that a run needs where no finished one says it
KEPT = 0.9  # share of the free memory that runs may take together
BRIEF = 2.0  # seconds to wait for a run's lock: who looks at its state holds it for a moment
PATIENCE = 0.5  # seconds between two looks for an interrupt
Say = Callable[[str], None]
Words = Callable[[Settings, Machine, Path, TestSet | None], Sequence[str]]  # the words after `pycaffe-ext` of a run


@dataclass(frozen=True)
class Job:
    """A run to carry out.  runs : where its folder and the study's lie, absolute.   command : the process, which starts
    in the folder `start`.   place : of its state."""

    cell: Cell
    runs: Path
    command: tuple[str, ...]
    place: Place
    start: Path

    @property
    def finished(self) -> bool:
        return self.cell.finished(self.runs)


Make = Callable[[Cell, Machine], Job]  # a cell's job on the machine, or the part of it, that its worker has


@dataclass(frozen=True)
class Share:
    """What one worker has of the machine: the settings of its runs.  workers : side by side."""

    workers: int
    machines: tuple[Machine, ...]


def job(grid: Grid, runs: Path, words: Words, cell: Cell, machine: Machine) -> Job:
    """The job of a cell on a machine."""
    command = (*PROGRAM, *words(cell.settings, machine, runs, cell.outside))
    there = runs.absolute()
    return Job(cell, there, command, Place(grid.folder(there), cell.settings.name()), Path.cwd())


class Crew:
    """The processes at work, so that an interrupt reaches all of them."""

    def __init__(self) -> None:
        self.stopped = False
        self._processes: set[Tethered] = set()
        self._lock = threading.Lock()

    @contextmanager
    def member(self, process: Tethered) -> Iterator[None]:
        with self._lock:
            self._processes.add(process)
            if self.stopped:
                process.send_to_all(signal.SIGINT)
        try:
            yield
        finally:
            with self._lock:
                self._processes.discard(process)

    def stop(self) -> None:
        """Ask every run to stop: it lets its Caffe write a snapshot."""
        with self._lock:
            self.stopped = True
            for process in self._processes:
                process.send_to_all(signal.SIGINT)


def carry_out(job: Job, crew: Crew | None = None, patience: float = BRIEF) -> State:
    """Run one job unless it is finished, or another worker still has it after `patience` seconds; its output goes to
    the state's log."""
    with job.place.claimed(patience) as mine:
        if not mine:
            return job.place.read() or job.place.begin()
        if job.finished:
            before = job.place.read()
            return (
                before if before and before.state == FINISHED else _end(job, replace(job.place.begin(), state=FINISHED))
            )
        state = job.place.begin()
        if crew and crew.stopped:
            return _end(job, replace(state, state=STOPPED))
        try:
            with job.place.log.open("ab") as log:
                status = _process(job, log.fileno(), crew)
        except OSError as error:
            return _end(job, replace(state, state=FAILED, last=str(error)))
        return _end(job, replace(state, state=_outcome(job, status), last=job.place.last_line()))


def _process(job: Job, output: int, crew: Crew | None) -> int:
    """The exit status.  An interrupt is handed on, and the run's own end waited for."""
    crew = crew or Crew()
    options = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT, "cwd": job.start}
    with Tethered(job.command, **options) as process, crew.member(process):
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.send_to_all(signal.SIGINT)
            process.wait()
            raise


def _outcome(job: Job, status: int) -> str:
    if status == 0 and job.finished:
        return FINISHED
    return STOPPED if status in (130, 143) else FAILED


def _end(job: Job, state: State) -> State:
    ended = replace(state, seconds=round(time() - state.began, 2))
    job.place.write(ended)
    return ended


def shared(machine: Machine, workers: int, memory: float, free: float | None = None) -> Share:
    """What each of the workers has: threads and the cache of frozen layers in equal shares, a GPU of its own.

    memory : bytes that a run needs.   free : bytes; None = asked.   With fewer than `workers` GPUs in GPU=, or too
    little memory or too few cores, UserError.
    """
    cores = machine.threads or os.cpu_count() or 1
    if workers < 1 or workers > cores:
        raise UserError(f"WORKERS={workers}: allowed is 1 to {cores}, the cores (or THREADS=) that runs share")
    if workers == 1:
        return Share(1, (machine,))
    free = free_memory() if free is None else free
    if workers * memory > KEPT * free:
        most = max(1, int(KEPT * free / memory))
        raise UserError(
            f"WORKERS={workers}: a run needs about {memory / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; give"
            f" WORKERS={most}"
        )
    cards = [card.strip() for card in (machine.gpu or "").split(",") if card.strip()]
    if machine.gpu and len(cards) < workers:
        raise UserError(f"WORKERS={workers}: each needs a GPU of its own, GPU={machine.gpu} names {len(cards)}")
    cache = machine.cache_gb if machine.cache_gb is not None else free / 4e9
    each = replace(machine, threads=max(1, cores // workers), cache_gb=round(cache / workers, 3))
    return Share(workers, tuple(replace(each, gpu=cards[i] if cards else None) for i in range(workers)))


def free_memory() -> float:
    """Bytes that programs could still take, of this machine."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(1024.0 * int(line.split()[1]) for line in file if line.startswith("MemAvailable"))


def run_all(cells: Sequence[Cell], make: Make, share: Share, say: Say) -> list[State]:
    """Carry out all cells, `share.workers` at a time, and say how each ended; the states of those that were run.

    Ctrl-C stops all runs, which go on another time.
    """
    crew, machines = Crew(), queue.SimpleQueue[Machine]()
    for machine in share.machines:
        machines.put(machine)

    def work(cell: Cell) -> State:
        machine = machines.get()
        try:
            return carry_out(make(cell, machine), crew)
        finally:
            machines.put(machine)

    with ThreadPoolExecutor(share.workers) as pool:
        pending = {pool.submit(work, cell): cell for cell in cells}
        try:
            return list(_reported(pending, len(cells), say))
        except BaseException:
            for future in pending:
                future.cancel()
            crew.stop()
            raise


def _reported(pending: dict[Future[State], Cell], total: int, say: Say) -> Iterator[State]:
    """The states in the order in which runs end.  Each run puts itself into a queue: to wait for any of all futures
    would look at every one of them again after each run."""
    ended = queue.SimpleQueue[Future[State]]()
    for future in pending:
        future.add_done_callback(ended.put)
    for done in range(1, len(pending) + 1):
        future = _next(ended)
        state = future.result()
        say(report(state, pending[future], done, total))
        yield state


def _next(ended: queue.SimpleQueue[Future[State]]) -> Future[State]:
    """The next run that ends; an interrupt is noticed while it waits."""
    while True:
        with suppress(queue.Empty):
            return ended.get(timeout=PATIENCE)


def report(state: State, cell: Cell, done: int, total: int) -> str:
    """A line for the terminal about a run that has ended."""
    head = f"[{done}/{total}] {cell.title}: "
    if state.state == FINISHED:
        return f"{head}finished in {state.seconds:.0f} s"
    if state.state == RUNNING:
        return f"{head}another worker has it, on {state.host}"
    return f"{head}{state.state}: {state.last or 'it printed nothing'}"
