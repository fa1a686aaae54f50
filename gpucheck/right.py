"""Whether the GPU computes what the CPU computes, from the same numbers; tests/ holds the rows."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.nets import noise_net
from gpucheck import toys
from gpucheck.checks import RIGHT, Bench, Check, Finding, judged
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.core.random import set_seed
from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.nets import ARCHITECTURES
from pycaffe_ext.proto import caffe_pb2, parse, read_blobs, write_text
from pycaffe_ext.training.log import last_words
from pycaffe_ext.training.log import parse as parse_log

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "lab"))

from cases import families
from engine_cases import errors_against, run_on
from oracle import exceeding, networks, solvers
from oracle.training import norm_errors, params, solver_param, train_ours

LAYERS, SOLVERS, FORWARD, STEP, RESUMED = 1e-4, 1e-4, 1e-4, 1e-3, 1e-4
EVERY_SOLVER = 23  # of 1 900 combinations of settings
HALVES = (0, 1)
ERROR = re.compile(r"^error: .*$", re.M)
Errors = dict[str, float]


def compared(rows: Iterable[tuple[str, Errors | Exception, float]], tolerance: float) -> Finding:
    """A finding about (name, errors or what went wrong, tolerance) of each row."""
    worst, failures, count = 0.0, [], 0
    for name, found, bound in rows:
        count += 1
        if isinstance(found, Exception):
            failures.append(f"{name}: {type(found).__name__}: {' '.join(str(found).split())[:200]}")
            continue
        worst = max(worst, *found.values())
        if wrong := exceeding(found, bound):
            failures.append(f"{name}: {', '.join(wrong)}")
    return judged(worst, tolerance, count, failures)


def _attempt(name: str, compute: partial[Errors], tolerance: float) -> tuple[str, Errors | Exception, float]:
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return name, compute(), tolerance
        except Exception as error:  # a row that breaks is a failed row, not the end of the check
            return name, error, tolerance


# ---- layers, solvers, nets


def layers(half: int, bench: Bench) -> Finding:
    """Every conformance case: values, gradients, parameters."""
    cases = [case for family in families().values() for case in family][half :: len(HALVES) * bench.thin]

    def both(case: object) -> Errors:
        return errors_against(run_on(case, bench.device)[1], run_on(case, torch.device("cpu"))[1])

    rows = (_attempt(case.name, partial(both, case), max(LAYERS, case.tolerance)) for case in cases)
    return compared(rows, LAYERS)


def all_solvers(bench: Bench) -> Finding:
    """Twenty iterations with each type of solver, every EVERY_SOLVER-th combination of the settings."""
    nets = {frozen: solvers.prepare(bench.folder / f"net{frozen:d}", frozen) for frozen in (False, True)}
    rows = [row for kind in solvers.TYPES for row in solvers.rows_of(kind)[:: EVERY_SOLVER * bench.thin]]

    def both(i: int, row: solvers.Row) -> Errors:
        place = row.write(bench.folder / str(i), nets[row.frozen])
        return norm_errors(*(train_ours(place, solvers.ITERATIONS, device) for device in (bench.device, "cpu")))

    named = ((f"{row.settings['type']}: {row.name}", partial(both, i, row)) for i, row in enumerate(rows))
    return compared((_attempt(name, compute, SOLVERS) for name, compute in named), SOLVERS)


def nets(what: str, bench: Bench) -> Finding:
    """The nine nets: every blob of a forward pass, or every parameter after a step."""
    one, tolerance = (_forward, FORWARD) if what == "forward" else (_step, STEP)
    rows = (_attempt(arch, partial(one, bench, arch), tolerance) for arch in _archs(bench))
    return compared(rows, tolerance)


def _archs(bench: Bench) -> list[str]:
    """The nets, the smallest first."""
    return list(ARCHITECTURES)[::-1][:: bench.thin]


def _prepared(bench: Bench, arch: str) -> Path:
    folder = bench.folder / arch
    folder.mkdir()
    networks.prepare(folder, arch)
    return folder


def _forward(bench: Bench, arch: str) -> Errors:
    folder = _prepared(bench, arch)
    mine, theirs = (
        networks.forward(folder, folder / "start.caffemodel", device=device) for device in (bench.device, "cpu")
    )
    return errors_against(mine, theirs)


def _step(bench: Bench, arch: str) -> Errors:
    folder = _prepared(bench, arch)
    write_text(folder / "solver.prototxt", solver_param(net="net.prototxt", **networks.STEP_SETTINGS))
    return norm_errors(*(train_ours(folder, 1, device) for device in (bench.device, "cpu")))


# ---- a step that waits for nothing, random numbers


def waits(bench: Bench) -> Finding:
    """Iterations of the nine nets during which CUDA refuses whatever waits for the device."""
    found = compared((_attempt(arch, partial(_unwaited, bench, arch), 0) for arch in _archs(bench)), 0)
    rows, failed = found.figures["rows"], found.figures["failed"]
    found.said = f"{rows - failed:g} of {rows:g} nets wait for nothing"
    return found


def _unwaited(bench: Bench, arch: str) -> Errors:
    solver = Solver(solver_param(net_param=noise_net(2, arch), base_lr=1e-6, lr_policy="fixed"), bench.device)
    solver.be_lean()
    with torch.no_grad():
        solver.iterate(0)  # the first one allocates, and fills histories
        with _refusing_to_wait(bench.device):
            solver.iterate(0)
    return {"waits": 0.0}


@contextlib.contextmanager
def _refusing_to_wait(device: torch.device) -> Iterator[None]:
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def drawn(bench: Bench) -> Finding:
    """Parameters, dropout, crops and mirrors come from the seed; parameters and crops are those of the CPU."""
    source = toys.database(bench.folder / "db", size=12)
    net = parse(toys.DROPPING.format(source=source), caffe_pb2.NetParameter())

    def run(seed: int, device: torch.device | str) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        set_seed(seed)
        made = Net(net, caffe_pb2.TRAIN, device=device)
        for _ in range(3):
            made.forward()
        return params(made), *(made.blobs[name].data.cpu().numpy() for name in ("data", "dropped"))

    first, again, other, cpu = run(1, bench.device), run(1, bench.device), run(2, bench.device), run(1, "cpu")
    kept = float((first[2] != 0).mean())
    facts = {
        "a seed repeats the dropout": np.array_equal(first[2], again[2]),
        "another seed drops others": not np.array_equal(first[2] == 0, other[2] == 0),
        "dropout keeps its share": abs(kept - 0.7) < 0.02,
        "parameters are the CPU's": all(np.array_equal(first[0][name], values) for name, values in cpu[0].items()),
        "crops and mirrors are the CPU's": np.array_equal(first[1], cpu[1]),
        "another seed crops otherwise": not np.array_equal(first[1], other[1]),
    }
    return _held(facts)


def _held(facts: dict[str, bool]) -> Finding:
    wrong = [name for name, holds in facts.items() if not holds]
    return Finding(
        f"{len(facts) - len(wrong)} of {len(facts)} hold",
        not wrong,
        {"held": len(facts) - len(wrong), "facts": len(facts)},
        [f"does not hold: {name}" for name in wrong],
    )


# ---- the commands


def caffe(bench: Bench, *arguments: str, flags: tuple[str, ...] | None = None) -> subprocess.CompletedProcess[str]:
    """The engine's command, on the check's device unless other flags are given."""
    words = [sys.executable, "-m", "pycaffe_ext", *arguments, *(bench.flags if flags is None else flags)]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=bench.folder)


def _trained(run: subprocess.CompletedProcess[str], weights: Path) -> dict[str, np.ndarray]:
    if run.returncode:
        raise AssertionError(last_words(run.stderr.splitlines()))
    blobs = read_blobs(weights)
    return {
        f"{name}:{i}": array for name, arrays in blobs.items() for i, array in enumerate(arrays) if array is not None
    }


def snapshots(bench: Bench) -> Finding:
    """What one device has written, the other goes on from, and ends where the first ended.

    The snapshot is taken where the database begins again, since that is where a resumed Caffe begins to read.
    """
    toys.database(bench.folder / "db")
    ways = {
        "GPU to CPU": (bench.flags, (), "BINARYPROTO"),
        "CPU to GPU": ((), bench.flags, "BINARYPROTO"),
        "GPU to CPU, HDF5": (bench.flags, (), "HDF5"),
    }
    rows = (_attempt(name, partial(_resumed, bench, *way), RESUMED) for name, way in ways.items())
    return compared(rows, RESUMED)


def _resumed(bench: Bench, begun: tuple[str, ...], resumed: tuple[str, ...], kind: str) -> Errors:
    solver = toys.solver(bench.folder, "resumed", max_iter=16, snapshot=8, snapshot_format=kind)
    end = ".h5" if kind == "HDF5" else ""
    weights = bench.folder / f"resumed_iter_16.caffemodel{end}"
    whole = _trained(caffe(bench, "train", f"-solver={solver}", flags=begun), weights)
    state = bench.folder / f"resumed_iter_8.solverstate{end}"
    return norm_errors(
        _trained(caffe(bench, "train", f"-solver={solver}", f"-snapshot={state}", flags=resumed), weights), whole
    )


def together(bench: Bench) -> Finding:
    """Two trainings on one GPU at once end as one does alone."""
    toys.database(bench.folder / "db")
    solver = {name: toys.solver(bench.folder, name, max_iter=200, snapshot=200) for name in ("alone", "a", "b")}
    words = [sys.executable, "-m", "pycaffe_ext", "train", *bench.flags]
    alone = _trained(caffe(bench, "train", f"-solver={solver['alone']}"), bench.folder / "alone_iter_200.caffemodel")
    pair = [
        subprocess.Popen([*words, f"-solver={solver[name]}"], stderr=subprocess.PIPE, text=True, cwd=bench.folder)
        for name in "ab"
    ]
    ends = [
        subprocess.CompletedProcess([], process.returncode, "", said)
        for process in pair
        for said in [process.communicate()[1]]
    ]
    rows = [
        _attempt(
            name,
            partial(
                lambda end, name: norm_errors(_trained(end, bench.folder / f"{name}_iter_200.caffemodel"), alone),
                end,
                name,
            ),
            RESUMED,
        )
        for name, end in zip("ab", ends, strict=True)
    ]
    return compared(rows, RESUMED)


def refused(bench: Bench) -> Finding:
    """What cannot be done is said in one line: GPUs that are not there, lists, labels that no class has."""
    toys.database(bench.folder / "db")
    good = f"-solver={toys.solver(bench.folder, 'good', max_iter=2)}"
    wrong = f"-solver={toys.solver(bench.folder, 'wrong', max_iter=4, classes=1)}"
    count = max(1, torch.cuda.device_count())
    orders = {
        "an id that is not there": ((good, f"-gpu={count}"), "is no GPU|finds no CUDA"),
        "a list with one that is not there": ((good, f"-gpu=0,{count}"), "is no GPU|finds no CUDA"),
        "no id at all": ((good, "-gpu=first"), "neither 'all' nor|finds no CUDA"),
        "a label that no class has": ((wrong, *bench.flags), "outside its range|labels must lie in"),
    }
    facts, said = {}, []
    for name, (arguments, says) in orders.items():
        run = caffe(bench, "train", *arguments, flags=())
        errors = ERROR.findall(run.stderr)
        facts[name] = run.returncode == 1 and len(errors) == 1 and bool(re.search(says, errors[0]))
        facts[f"{name}: no traceback"] = "Traceback" not in run.stderr
        if not facts[name]:
            said += [f"{name}: exit status {run.returncode}", *run.stderr.splitlines()[-6:]]
    finding = _held(facts)
    finding.notes += said
    return finding


def out_of_memory(bench: Bench) -> Finding:
    """With 3 GiB left, AlexNet with a batch of 4096 is refused with a batch that would fit, and that one runs."""
    ballast = _leave(bench.device, 3 << 30)
    run = caffe(bench, "train", f"-solver={toys.alexnet_solver(bench.folder, 4096)}")
    errors = ERROR.findall(run.stderr)
    advised = re.search(r"a batch of about (\d+) would fit", errors[-1] if errors else "")
    if run.returncode != 1 or len(errors) != 1 or not advised:
        return Finding("no one-line error with a batch that would fit", False, notes=run.stderr.splitlines()[-5:])
    batch = int(advised[1])
    again = caffe(bench, "train", f"-solver={toys.alexnet_solver(bench.folder, batch)}")
    del ballast
    losses = parse_log(again.stderr.splitlines()).losses
    fits = again.returncode == 0 and bool(losses)
    said = f"refused at 4096, {batch} advised, which {'fits' if fits else 'does not fit'}"
    return Finding(said, fits, {"advised_batch": batch}, [] if fits else ERROR.findall(again.stderr))


def _leave(device: torch.device, left: int) -> torch.Tensor:
    """Memory held so that only `left` bytes are free on the device."""
    free, _ = torch.cuda.mem_get_info(device)
    return torch.empty(max(1, free - left), dtype=torch.uint8, device=device)


CHECKS = (
    *(
        Check(
            f"layers-{half + 1}",
            RIGHT,
            "every layer type's conformance cases, values and gradients, against the CPU",
            120,
            partial(layers, half),
        )
        for half in HALVES
    ),
    Check("nets-forward", RIGHT, "the nine nets, every blob, TEST phase", 90, partial(nets, "forward")),
    Check("nets-step", RIGHT, "the nine nets, every parameter after a step", 90, partial(nets, "step")),
    Check("solvers", RIGHT, "20 iterations with each type of solver", 90, all_solvers),
    Check("waits", RIGHT, "an iteration of the nine nets waits for nothing on the GPU", 60, waits),
    Check("drawn", RIGHT, "parameters, dropout, crops and mirrors come from the seed", 40, drawn),
    Check("snapshots", RIGHT, "snapshots of one device resumed on the other", 150, snapshots),
    Check("together", RIGHT, "two trainings on one GPU at once", 120, together),
    Check("refused", RIGHT, "what cannot be done is said in one line", 120, refused),
    Check(
        "out-of-memory", RIGHT, "a batch that does not fit is refused with one that does", 60, out_of_memory, alone=True
    ),
)
