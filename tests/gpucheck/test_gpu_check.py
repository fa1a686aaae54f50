"""`make gpu-check` without a GPU: its checks with the CPU in the GPU's place, its runner on fake checks, its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import warm_engine
from patience import in_some_try, wait_until

from benchmarks import gpu
from benchmarks.rows import Lab
from gpucheck import fast, report, right, runner, suite
from gpucheck.checks import FAST, RIGHT, Bench, Check, Finding
from pycaffe_ext import proto
from pycaffe_ext.engine import devices
from pycaffe_ext.errors import UserError
from tools import gpu_check

PLACE = {"device": "a GPU", "driver": "1", "torch": "2"}
CPU = torch.device("cpu")


@pytest.fixture
def bench(tmp_path):
    return Bench(CPU, tmp_path, 60, flags=(), thin=7)


def named(name: str) -> Check:
    return next(check for check in suite.CHECKS if check.name == name)


# ---- what is right


@pytest.mark.parametrize("name", ["layers-1", "layers-2", "drawn", "solvers", "nets-forward", "nets-step", "waits"])
def test_a_check_finds_the_cpu_equal_to_itself(name, bench, monkeypatch):
    monkeypatch.setattr(right, "_archs", lambda _: ["lenet", "googlenet_torch"])  # the others differ in size
    found = named(name).run(bench)
    assert found.ok and found.said and all(isinstance(value, (int, float)) for value in found.figures.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["snapshots", "together", "refused"])
def test_a_check_of_commands_finds_the_cpu_equal_to_itself(name, bench, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", warm_engine.Popen)
    found = named(name).run(bench)
    assert found.ok, found.notes


def test_a_row_that_differs_or_breaks_is_a_failure_and_stops_no_other():
    def broken():
        raise RuntimeError("no kernel image")

    ways = {
        "same": lambda: {"y": 1e-6},
        "other": lambda: {"y": 1e-3},
        "broken": broken,
        "nan": lambda: {"y": float("nan")},
    }
    found = right.compared([right._attempt(name, way, 1e-4) for name, way in ways.items()], 1e-4)
    assert not found.ok and found.figures["failed"] == 3 and found.figures["rows"] == 4
    assert found.notes == ["other: y 0.001", "broken: RuntimeError: no kernel image", "nan: y nan"]
    assert not right.compared([], 1e-4).ok


def ended(status: int, said: str) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], status, "", said)


LOSS = "I1122 21:44:44.881639 1 solver.cpp:239] Iteration 0 (1 iter/s, 1s/1 iters), loss = 0.7\n"
REFUSAL = "error: GPU 0 is out of memory at layer 'conv1': 3 of 3 GB in use with a batch of 4096; {}\n"
ADVICE = "a batch of about 400 would fit, set batch_size"


@pytest.mark.parametrize(
    ("first", "second", "ok"),
    [
        (ended(1, REFUSAL.format(ADVICE)), ended(0, LOSS), True),
        (ended(1, REFUSAL.format(ADVICE)), ended(1, REFUSAL.format("not even a batch of 1 would fit")), False),
        (ended(1, "Traceback\ntorch.OutOfMemoryError: CUDA out of memory\n"), None, False),
        (ended(0, LOSS), None, False),
    ],
)
def test_out_of_memory_is_right_if_the_advised_batch_runs(first, second, ok, bench, monkeypatch):
    runs = iter([first, second])
    monkeypatch.setattr(right, "caffe", lambda *_: next(runs))
    monkeypatch.setattr(right, "_leave", lambda device, left: None)
    assert right.out_of_memory(bench).ok is ok


# ---- how fast


@pytest.mark.parametrize("check", [check for check in fast.CHECKS if check.name != "job"], ids=lambda check: check.name)
def test_what_is_timed_is_a_program_that_can_run(check, bench, monkeypatch):
    """Its files are there and are read; flags of the GPU are handed on; nothing is run."""
    seen = []

    def rate(command, lab, *rest):
        seen.append([str(word) for word in command(lab)])
        return 100.0

    monkeypatch.setattr(gpu, "rate", rate)
    monkeypatch.setattr(gpu, "rate_and_memory", lambda *rest: (rate(*rest), 5.0))
    monkeypatch.setattr(gpu.nets, "records", lambda lab, count, side: lab.folder / "lmdb")
    found = check.run(Bench(CPU, bench.folder / "own", 60))
    assert found.figures["images/s"] == 100 and found.ok is None
    (words,) = seen
    assert ("-gpu=0" in words) is ("plain_torch.py" not in words[1])
    for word in words:
        if word.startswith("-solver="):
            proto.read_net(proto.read_solver(word.split("=")[1]).net)
        elif word.startswith("-model="):
            proto.read_net(word.split("=")[1])


def test_a_program_is_timed_between_lines_of_its_log(tmp_path):
    code = "import time\nfor i in range(999): print(f'] Iteration {i}, loss = 1', flush=True); time.sleep(0.02)"

    def check():
        found = gpu.rate(lambda lab: (sys.executable, "-c", code), Lab(tmp_path), 10)
        assert found == pytest.approx(10 / 0.02, rel=0.5)

    in_some_try(check)


def run_folder(folder: Path, auc: float, loss: float) -> Path:
    folder.mkdir()
    lines = "".join(f"{i},{i / 10},0.5,0.6,{auc}\n" for i in (10, 20))
    (folder / "auc.csv").write_text(f"iteration,epoch,train_loss,validation_loss,auc\n{lines}")
    (folder / "train.log").write_text(LOSS.replace("0.7", str(loss)))
    (folder / "result.json").write_text(json.dumps({"best": {"validation_auc": auc}}))
    return folder


@pytest.mark.parametrize(("auc", "ok"), [(0.91, True), (0.95, False)])
def test_the_job_is_right_if_both_curves_agree(auc, ok, bench, monkeypatch):
    on_gpu, on_cpu = run_folder(bench.folder / "gpu", auc, 0.7), run_folder(bench.folder / "cpu", 0.9, 0.7)
    done = iter([(on_gpu, 20.0), (on_cpu, 90.0)])
    monkeypatch.setattr(fast, "_run", lambda *_: next(done))
    found = fast.job(Bench(CPU, bench.folder / "own", 60))
    assert found.ok is ok and found.figures["s on the GPU"] == 20 and "2 snapshots" in found.said


def test_ratios_are_those_of_rates_that_are_there():
    rates = {"alexnet": {"images/s": 200.0, "MiB": 1.0}, "plain": {"images/s": 100.0}, "lmdb": {}}
    assert fast.ratios(rates) == [("training over plain PyTorch", 2.0, 1.0)]
    names = {check.name for check in fast.CHECKS}
    assert all({a, b} <= names for _, a, b, _ in fast.COMPARISONS)


# ---- the runner


def check(name: str, section: str = RIGHT, seconds: float = 30, alone: bool = False) -> Check:
    return Check(name, section, f"what {name} is", seconds, lambda bench: Finding(""), alone)


def script(code: str):
    """A check's program: `FILE` is where its finding goes."""
    return lambda check, file, seconds: [sys.executable, "-c", code.replace("FILE", repr(str(file)))]


GOOD = 'open(FILE, "w").write(\'{"said": "fine", "ok": true}\')'
LEAVES_ONE = """
import os, subprocess, sys, time
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open(PID, "w").write(str(left.pid))
time.sleep(600)
"""


def test_a_check_that_crashes_is_a_finding():
    code = "print('boom'); raise SystemExit('error: no device')"
    done = runner.run_one(check("a"), script(code), runner.Deadline(60))
    assert done.finding.ok is False and done.finding.said == "died: no device"


def test_a_check_that_hangs_is_ended_with_all_that_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "GRACE", 0.1)
    pid = tmp_path / "pid"
    code = LEAVES_ONE.replace("PID", repr(str(pid)))

    def hang():
        done = runner.run_one(check("a", seconds=3), script(code), runner.Deadline(60))
        assert done.finding.ok is False and "not done after its 3 s" in done.finding.said and done.seconds < 20
        assert pid.exists(), "it had no time to start anything"

    in_some_try(hang)
    place = Path(f"/proc/{pid.read_text()}/stat")
    wait_until(lambda: not place.exists() or place.read_text().split()[2] == "Z")


def test_what_has_no_time_left_is_left_out_and_the_rest_is_reported_in_order():
    lines = []
    checks = [check("late", FAST, alone=True), check("good")]

    def ended(done: runner.Done, so_far: list[runner.Done]) -> None:
        lines.append(runner.line(done))
        assert [one.check.name for one in so_far] in (["good"], ["late", "good"])

    done = runner.run_all(checks, script(GOOD), runner.Deadline(1), ended)
    assert [one.check.name for one in done] == ["late", "good"]
    assert all(one.left_out and one.finding.ok is None for one in done) and len(lines) == 2
    done = runner.run_all(checks, script(GOOD), runner.Deadline(60), ended)
    assert all(one.finding.ok for one in done) and lines[2].startswith("ok       Right good")


def test_a_section_leaves_the_next_one_its_time(monkeypatch):
    monkeypatch.setitem(runner.SECTIONS, RIGHT, 1.0)
    checks = [check("right"), check("fast", FAST, alone=True)]
    right_done, fast_done = runner.run_all(checks, script(GOOD), runner.Deadline(60), lambda *_: None)
    assert right_done.left_out and fast_done.finding.ok


def test_a_check_runs_in_a_process_of_its_own(tmp_path, monkeypatch):
    from gpucheck import __main__ as one

    monkeypatch.setattr(devices, "gpu", lambda index: CPU)
    monkeypatch.setattr(
        one,
        "CHECKS",
        (
            Check("a", RIGHT, "", 9, lambda bench: Finding(str(bench.device), True)),
            Check("b", RIGHT, "", 9, lambda bench: 1 / 0),
        ),
    )
    for name, says in (("a", "cpu"), ("b", "ZeroDivisionError: division by zero")):
        one.main(name, str(tmp_path / name), "9", str(tmp_path / "work"))
        assert json.loads((tmp_path / name).read_text())["said"] == says


# ---- the report and the program


def some() -> list[runner.Done]:
    return [
        runner.Done(check("layers-1"), Finding("9 of 9", True, {"worst": 1e-6}), 3.2),
        runner.Done(check("solvers"), Finding("8 of 9", False, notes=["Adam | L1: fc 0.1"]), 4),
        runner.Done(check("alexnet", FAST), Finding("90 images/s", None, {"images/s": 90.0}), 5),
        runner.Done(check("lmdb", FAST), Finding("81 images/s", None, {"images/s": 81.0}), 5),
        runner.Done(check("job", FAST), Finding("the 480 s are over"), 0, left_out=True),
    ]


def test_the_report_holds_each_figure_and_what_failed(tmp_path):
    report.write(tmp_path, some(), PLACE, 321)
    text, content = (tmp_path / report.NAME).read_text(), json.loads((tmp_path / "gpu.json").read_text())
    assert "| device | a GPU |" in text and "| layers-1 | what layers-1 is | 9 of 9 | yes | 3 |" in text
    assert "| **no** |" in text and "- solvers: Adam | L1: fc 0.1" in text and "the 480 s are over" in text
    assert "| training from LMDB over training with the data on the device | 0.90 | at least 0.95 | missed |" in text
    assert content["checks"]["alexnet"]["figures"] == {"images/s": 90.0} and content["checks"]["job"]["left_out"]
    assert content["ratios"][0]["ratio"] == 0.9 and content["seconds"] == 321
    assert report.failures(some()) == [
        "solvers: 8 of 9",
        "training from LMDB over training with the data on the device: 0.90, the goal is 0.95",
    ]


def test_the_torch_of_the_report_is_that_of_the_project():
    assert f'"torch=={report.REQUIRED}"' in (gpu_check.ROOT / "pyproject.toml").read_text()
    assert report._torch_note(report.REQUIRED + "+cu130") == report.REQUIRED + "+cu130"
    assert "this machine's own" in report._torch_note("2.11.0+cu130")


def test_without_a_gpu_one_line_and_nothing_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(devices, "count", lambda: 0)
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--out", str(tmp_path / "new")])
    assert gpu_check.main() == 0
    assert capsys.readouterr().out.count("\n") == 1 and not (tmp_path / "new").exists()


@pytest.mark.parametrize(("finding", "status"), [(Finding("fine", True), 0), (Finding("wrong", False), 1)])
def test_with_a_gpu_a_line_for_each_check_and_the_report(finding, status, tmp_path, monkeypatch, capsys):
    """A fake device: the checks' own program is replaced, all else is what runs on a GPU."""
    monkeypatch.setattr(devices, "count", lambda: 1)
    monkeypatch.setattr(report, "place", lambda: PLACE)
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    monkeypatch.setattr(sys, "argv", ["gpu_check", "layers-1", "alexnet", "--out", str(tmp_path)])
    written = partial(script(f'import json; json.dump({vars(finding)}, open(FILE, "w"))'))
    real = runner.run_all
    monkeypatch.setattr(runner, "run_all", lambda checks, command, *rest: real(checks, written, *rest))
    assert gpu_check.main() == status
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 3 and "layers-1" in out[0] and "alexnet" in out[1] and "GPU.md written" in out[2]
    assert (tmp_path / "GPU.md").exists() and (tmp_path / "gpu.json").exists()


def test_a_run_that_is_cut_off_leaves_the_report_of_what_had_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "count", lambda: 1)
    monkeypatch.setattr(report, "place", lambda: PLACE)
    monkeypatch.setattr(sys, "argv", ["gpu_check", "layers-1", "alexnet", "--out", str(tmp_path)])

    def run(check: Check, *_: object) -> runner.Done:
        if check.name == "alexnet":
            raise KeyboardInterrupt
        return runner.Done(check, Finding("fine", True), 1)

    monkeypatch.setattr(runner, "run_one", run)
    with pytest.raises(KeyboardInterrupt):
        gpu_check.main()
    assert list(json.loads((tmp_path / "gpu.json").read_text())["checks"]) == ["layers-1"]


def test_the_job_says_how_far_it_came(bench, monkeypatch, capsys):
    monkeypatch.setattr(fast, "ROOT", bench.folder)
    (bench.folder / "tools").mkdir()
    (bench.folder / "tools" / "train_and_test.py").write_text("print('drawing frames'); raise SystemExit('no space')")
    with pytest.raises(AssertionError, match="no space"):
        fast._run(bench, ())
    assert "drawing frames" in capsys.readouterr().out


def test_a_misspelt_check_is_told():
    with pytest.raises(UserError, match="unknown check 'layer-1'; did you mean 'layers-1'"):
        suite.chosen(["layer-1"])
