"""Caffe's command line: train, test, time, device_query, with Caffe's flags and log lines.

PyTorch is imported only by a command that runs a net, so that help and mistakes answer at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from pycaffe_ext.collector import undisturbed
from pycaffe_ext.engine import options
from pycaffe_ext.errors import UserError, known
from pycaffe_ext.strings import portable

USAGE = """usage: caffe <command> <args>

commands:
  train           train or finetune a model
  test            score a model
  device_query    show GPU diagnostic information
  time            benchmark model execution time

flags (one dash or two; the value after = or a space):
"""
EFFECTS = ("snapshot", "stop", "none")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; `python -m pycaffe_ext --help` lists the flags")

    def format_help(self) -> str:
        lines = (f"  -{action.dest:<15} {action.help}" for action in self._actions if action.option_strings)
        return USAGE + "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    """The parser of Caffe's flags; Caffe's defaults."""
    out = _Parser(prog="caffe", add_help=False, allow_abbrev=False)
    out.add_argument("command", nargs="*")

    def flag(name: str, help: str, **settings: Any) -> None:
        settings.setdefault("default", "")
        out.add_argument(f"-{name}", f"--{name}", help=help, **settings)

    flag("solver", "the solver definition, a prototxt (train)")
    flag("model", "the model definition, a prototxt (test, time)")
    flag("weights", "pretrained weights to start from, separated by ','; not together with snapshot")
    flag("snapshot", "the solverstate to resume from (train)")
    flag("iterations", "the number of iterations to run (test, time; 50)", type=int, default=50)
    flag("gpu", "run on this GPU, e.g. 0, or all; on the CPU if absent")
    flag("phase", "TRAIN or TEST (time; TRAIN)")
    flag("level", "network level (0)", type=int, default=0)
    flag("stage", "network stages, separated by ','")
    flag("sigint_effect", "what SIGINT does: snapshot, stop or none (stop)", default="stop")
    flag("sighup_effect", "what SIGHUP does: snapshot, stop or none (snapshot)", default="snapshot")
    flag("minloglevel", "log lines below this level are left out: 0 INFO, 1 WARNING, 2 ERROR (0)", type=int, default=0)
    flag("logtostderr", "accepted for glog's sake: the log always goes to standard error", nargs="?")
    flag("alsologtostderr", "accepted for glog's sake, as logtostderr", nargs="?")
    flag("precision", "of convolutions: fp32 as Caffe, or bf16, faster, not faithful (fp32)", default=options.FAITHFUL)
    flag("tf32", "let a GPU round factors to TF32: faster, not faithful", action="store_true", default=False)
    flag(
        "cache_gb",
        "GB for the stored outputs of frozen layers, 0 for none (a quarter of the free memory; train)",
        type=float,
        default=None,
    )
    flag("cache_dir", "folder in which processes share those outputs (train, test); may be deleted at any time")
    flag("version", "print the version", action="store_true", default=False)
    flag("help", "print this help", action="store_true", default=False)
    return out


def main(arguments: list[str] | None = None) -> int:
    """Run one command; UserError for every mistake."""
    flags = parser().parse_intermixed_args(arguments)
    if flags.version:
        print("caffe version 1.0.0 (pycaffe_ext)")
        return 0
    if flags.help or len(flags.command) != 1:
        out = sys.stdout if flags.help else sys.stderr
        print("caffe: command line brew\n" + parser().format_help(), end="", file=out)
        return 0 if flags.help else 1
    command = COMMANDS[known(flags.command[0], COMMANDS, "command")]
    _check(flags)
    from pycaffe_ext import glog

    glog.set_min_level(flags.minloglevel)
    command(flags)
    return 0


def _check(flags: argparse.Namespace) -> None:
    known(flags.sigint_effect, EFFECTS, "effect for sigint_effect")
    known(flags.sighup_effect, EFFECTS, "effect for sighup_effect")
    if flags.iterations < 1:
        raise UserError(f"iterations must be at least 1, not {flags.iterations}")
    options.choose(flags.precision, flags.tf32, flags.cache_gb, flags.cache_dir)


def _need(flags: argparse.Namespace, name: str, what: str) -> str:
    value = getattr(flags, name)
    if not value:
        raise UserError(f"{flags.command[0]} needs --{name}=FILE, {what}")
    return value


def train(flags: argparse.Namespace) -> None:
    """Train or fine-tune, as `caffe train`."""
    path = _need(flags, "solver", "the solver definition")
    if flags.snapshot and flags.weights:
        raise UserError("give --snapshot to resume training or --weights to fine-tune, but not both")
    from pycaffe_ext.proto import caffe_pb2, read_solver
    from pycaffe_ext.proto.lines import naming_lines

    param = read_solver(path)
    param.train_state.level = flags.level
    param.train_state.stage.extend(flags.stage.split(","))
    asks_gpu = param.HasField("solver_mode") and param.solver_mode == caffe_pb2.SolverParameter.GPU
    gpu = flags.gpu or (str(param.device_id) if asks_gpu else "")
    if flags.snapshot:
        del param.weights[:]
    elif flags.weights:
        param.weights[:] = [portable(flags.weights)]
    with undisturbed():
        from pycaffe_ext.engine import commands

    with naming_lines(path):  # of a net that stands in the solver
        commands.train(param, gpu, flags.snapshot, flags.sigint_effect, flags.sighup_effect)


def test(flags: argparse.Namespace) -> None:
    """Score a net on batches of its own data, as `caffe test`."""
    model, weights = _need(flags, "model", "the model definition"), _need(flags, "weights", "the weights to score")
    with undisturbed():
        from pycaffe_ext.engine import commands

    commands.test(model, weights, flags.iterations, flags.gpu, flags.level, flags.stage.split(","))


def time(flags: argparse.Namespace) -> None:
    """Time each layer, as `caffe time`."""
    model = _need(flags, "model", "the model definition")
    phase = known(flags.phase or "TRAIN", ("TRAIN", "TEST"), "phase")
    with undisturbed():
        from pycaffe_ext.engine import commands

    commands.time(model, phase, flags.iterations, flags.gpu, flags.level, flags.stage.split(","))


def device_query(flags: argparse.Namespace) -> None:
    """Describe GPUs, as `caffe device_query`."""
    with undisturbed():
        from pycaffe_ext.engine import commands

    commands.device_query(flags.gpu)


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "train": train,
    "test": test,
    "device_query": device_query,
    "time": time,
}
