"""Runs of a grid on several machines by Ray: each a task with its needs of cores, GPUs and memory.

Ray schedules, watches and retries; nothing here does.  Every machine has this package and the same paths: the runs'
folder, where data are packed once under a lock, and the data sets lie on a shared disk.  A run whose worker or machine
dies is retried by Ray; its state's lock on the shared disk, which dies with the process, keeps it from being at work
twice, and what it had trained is gone on with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.settings import Machine
from pycaffe_ext.studies.grid import Cell
from pycaffe_ext.studies.running import GUESS, Job, Make, carry_out, report
from pycaffe_ext.studies.states import FAILED, State

RETRIES = 5  # of a run whose worker or machine dies
PATIENCE = 60.0  # seconds in which what is left of a dead worker lets go of its run
THREADS = 1  # cores of a run where THREADS= does not say
Say = Callable[[str], None]


def run_all(cells: Sequence[Cell], make: Make, machine: Machine, memory: float, address: str, say: Say) -> list[State]:
    """Carry out all cells on the cluster at `address` (as ray.init takes it), and say how each ended.

    machine : what each run has: THREADS= cores, and a GPU where GPU= names one.   memory : bytes of a run, 0 = not
    known.  Raises UserError if Ray is not installed or not reached.
    """
    ray = _connected(address)
    needs: dict[str, Any] = {
        "num_cpus": machine.threads or THREADS,
        "memory": int(memory or GUESS),
        "max_retries": RETRIES,
    }
    if machine.gpu:
        needs["num_gpus"] = 1
    _check_room(ray, needs, address)
    own = Machine(machine.caffe, machine.gpu, machine.threads or THREADS, machine.cache_gb)
    task = ray.remote(**needs)(_carry_out)
    pending = {task.remote(make(cell, own), bool(machine.gpu)): cell for cell in cells}
    try:
        return list(_reported(ray, pending, len(cells), say))
    except BaseException:
        for reference in pending:
            ray.cancel(reference)
        raise


def _connected(address: str) -> Any:
    if not find_spec("ray"):
        raise UserError(f"ADDRESS={address} needs Ray: pip install 'pycaffe_ext[ray]', on every machine of the cluster")
    import ray

    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error")
        except (ConnectionError, ValueError, RuntimeError) as error:
            words = " ".join(str(error).split())
            raise UserError(f"ADDRESS={address}: no Ray cluster is reached there ({words[:200]})") from None
    return ray


def _carry_out(job: Job, on_gpu: bool) -> State:
    """In a worker: on a GPU that Ray gave it, which is the first that it sees."""
    if on_gpu:
        command = tuple("--gpu=0" if word.startswith("--gpu=") else word for word in job.command)
        job = replace(job, command=command)
    return carry_out(job, patience=PATIENCE)


def _check_room(ray: Any, needs: dict[str, Any], address: str) -> None:
    """UserError if no machine of the cluster could ever have a run: Ray would wait for one without an end."""
    wanted = {"CPU": needs["num_cpus"], "memory": needs["memory"], "GPU": needs.get("num_gpus", 0)}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(own.get(name, 0) >= amount for name, amount in wanted.items()) for own in machines):
        raise UserError(
            f"ADDRESS={address}: no machine of the cluster has {wanted['CPU']} cores, {wanted['GPU']} GPUs and"
            f" {wanted['memory'] / 1e9:.1f} GB for a run; lower THREADS=, or leave GPU= out"
        )


def _reported(ray: Any, pending: dict[Any, Cell], total: int, say: Say) -> Iterator[State]:
    left, done = list(pending), 0
    while left:
        (ended,), left = ray.wait(left, num_returns=1)
        done += 1
        cell = pending[ended]
        try:
            state: State = ray.get(ended)
        except ray.exceptions.RayError as error:
            last = " ".join(str(error).split())[:300]
            state = State(cell.settings.name(), FAILED, "", 0.0, last=f"its worker died {RETRIES + 1} times: {last}")
        say(report(state, cell, done, total))
        yield state
