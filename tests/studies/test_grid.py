"""Grids: every run once, side by side, resumed, reported; what fails keeps no other from running."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from dataclasses import replace
from time import time

import pytest
from grid_lab import Stubs, grid, result
from patience import wait_until

from pycaffe_ext import parts
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.records import RunRecord, write_result, write_run
from pycaffe_ext.runs.settings import Machine, TestSet
from pycaffe_ext.studies import running, status
from pycaffe_ext.studies.grid import Cell, Grid, check_distinct, in_order
from pycaffe_ext.studies.running import GUESS, Share, carry_out, run_all, shared
from pycaffe_ext.studies.states import FAILED, FINISHED, RUNNING, STATES, STOPPED, Place, sweep

ONE, TWO = Share(1, (Machine(),)), Share(2, (Machine(), Machine()))


def run(own: Grid, stubs: Stubs, share: Share = ONE, say=lambda line: None):
    return run_all([cell for cell in own.cells if not cell.finished(stubs.runs)], stubs, share, say)


def test_every_run_is_carried_out_once_and_a_failed_one_stops_no_other(tmp_path):
    own, said = grid(seeds=(0, 1)), []
    stubs = Stubs(own, tmp_path, {own.cells[1].settings.name(): "fail"})
    states = run(own, stubs, say=said.append)
    assert [state.state for state in states] == [FINISHED, FAILED, FINISHED, FINISHED]
    assert sorted(stubs.calls) == sorted(cell.settings.name() for cell in own.cells)
    assert said[1] == "[2/4] polyp-ft-fc7, FRACTION=1, seed 0: failed: training has diverged"
    assert "[4/4] polyp-ft-fc7, FRACTION=1, seed 1: finished in" in said[3]


def test_the_shallowest_frozen_prefix_is_first_within_its_data_and_chains_follow_their_first_link():
    schemes = ("lp-ft", "ft-fc8", "scratch", "ft-conv1", "ft-conv3")
    mixed = [*grid((0, 1), schemes).cells, *grid((0,), ("ft-fc8", "ft-fc7"), fraction="1/2").cells]
    found = [(cell.settings.scheme, cell.settings.seed, cell.settings.request.fraction) for cell in in_order(mixed)]
    ordered = ["ft-conv1", "scratch", "ft-conv3", "ft-fc8", "lp-ft"]
    assert found[:5] == [(scheme, 0, "1") for scheme in ordered]
    assert found[5:10] == [(scheme, 1, "1") for scheme in ordered]
    assert found[10:] == [("ft-fc7", 0, "1/2"), ("ft-fc8", 0, "1/2")]


def test_a_repeat_runs_only_what_is_not_finished(tmp_path):
    own = grid(seeds=(0, 1))
    run(own, Stubs(own, tmp_path, {own.cells[1].settings.name(): "fail"}))
    again = Stubs(own, tmp_path)
    (state,) = run(own, again)
    assert state.state == FINISHED and state.attempts == 2
    assert len(again.calls) == 5 and again.calls[-1] == own.cells[1].settings.name()
    assert run(own, again) == []


def test_a_run_that_ends_well_but_leaves_no_result_has_failed(tmp_path):
    own = grid(schemes=("ft-fc8",))
    (state,) = run(own, Stubs(own, tmp_path, {"*": "lie"}))
    assert state.state == FAILED and state.last == "ended well, but left nothing"


def test_a_program_that_is_not_there_is_a_failure(tmp_path):
    own = grid(schemes=("ft-fc8",))
    job = replace(Stubs(own, tmp_path)(own.cells[0], Machine()), command=("/no/such/program",))
    state = carry_out(job)
    assert state.state == FAILED and "No such file" in state.last


def test_runs_are_side_by_side(tmp_path):
    """Each of two ends only when the other is at work too."""
    own = grid()
    states = run(own, Stubs(own, tmp_path, {"*": "meet"}), TWO)
    assert [state.state for state in states] == [FINISHED, FINISHED]


def test_each_worker_has_its_own_part_of_the_machine(tmp_path):
    own = grid(seeds=range(3))
    stubs = Stubs(own, tmp_path)
    run(own, stubs, Share(2, (Machine(gpu="0"), Machine(gpu="1"))))
    assert len(stubs.machines) == 6 and {machine.gpu for machine in stubs.machines} <= {"0", "1"}


def test_an_interrupt_reaches_every_run_and_they_go_on_another_time(tmp_path):
    own = grid(seeds=(0, 1))
    stubs = Stubs(own, tmp_path, {"*": "wait"})

    def interrupt() -> None:
        wait_until(lambda: len(list(tmp_path.glob("*.here"))) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(own, stubs, TWO)
    thread.join()
    kinds = [status.progress(own, tmp_path).kinds[i] for i in range(4)]
    assert sorted(kinds) == [STOPPED, STOPPED, status.WAITING, status.WAITING] and len(stubs.calls) == 2
    states = run(own, Stubs(own, tmp_path))
    assert {state.state for state in states} == {FINISHED} and len(stubs.calls) == 6


def test_what_another_worker_has_is_not_run_twice(tmp_path):
    own = grid(schemes=("ft-fc8",))
    stubs = Stubs(own, tmp_path)
    job = stubs(own.cells[0], Machine())
    with job.place.claimed() as mine:
        job.place.begin()
        assert mine and carry_out(job, patience=0).state == RUNNING and stubs.calls == []
    assert carry_out(job).state == FINISHED and carry_out(job).state == FINISHED
    assert stubs.calls == [own.cells[0].settings.name()]


def test_a_look_at_the_states_keeps_no_worker_from_its_run(tmp_path):
    """Who looks whether a lock is held holds it for a moment; a worker that comes just then waits."""
    own = grid(schemes=("ft-fc8",))
    stubs = Stubs(own, tmp_path)
    job = stubs(own.cells[0], Machine())
    job.place.lock.parent.mkdir(parents=True)
    with job.place.lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        release = threading.Timer(0.3, fcntl.flock, (file, fcntl.LOCK_UN))
        release.start()
        assert carry_out(job).state == FINISHED
        release.join()


def test_the_state_of_a_worker_that_was_killed_is_not_running(tmp_path):
    place = Place(tmp_path, "x")
    with place.claimed():
        place.begin()
        state = place.read()
        assert state and state.state == RUNNING
    state = place.read()  # nothing holds it, and it never ended
    assert state and state.state == STOPPED


def test_a_machine_is_shared_out():
    share = shared(Machine(gpu="0,1", threads=7, cache_gb=3), 2, GUESS, free=1e11)
    assert [(m.gpu, m.threads, m.cache_gb) for m in share.machines] == [("0", 3, 1.5), ("1", 3, 1.5)]
    share = shared(Machine(threads=4), 4, GUESS, free=1e11)
    assert [(m.gpu, m.threads, m.cache_gb) for m in share.machines] == [(None, 1, 6.25)] * 4
    assert shared(Machine(gpu="0,1"), 1, GUESS).machines == (Machine(gpu="0,1"),)  # one run is as make's


@pytest.mark.parametrize(
    ("machine", "workers", "free", "words"),
    [
        (Machine(threads=2), 3, 1e11, "WORKERS=3: allowed is 1 to 2"),
        (Machine(threads=2), 0, 1e11, "WORKERS=0: allowed is 1 to 2"),
        (Machine(threads=4), 4, 5e9, "WORKERS=4: a run needs about 2.0 GB and 5.0 GB are free; give WORKERS=2"),
        (Machine(threads=4, gpu="0"), 2, 1e11, "WORKERS=2: each needs a GPU of its own, GPU=0 names 1"),
    ],
)
def test_more_workers_than_the_machine_has_room_for(machine, workers, free, words):
    with pytest.raises(UserError, match=words):
        shared(machine, workers, GUESS, free=free)


def test_a_run_is_finished_when_its_external_test_is(tmp_path):
    cell = Cell(grid().cells[0].settings, TestSet("far"))
    write_result(cell.folder(tmp_path), result())
    assert not cell.finished(tmp_path) and replace(cell, outside=None).finished(tmp_path)


def test_two_cells_of_one_folder_are_refused(tmp_path):
    cell = grid().cells[0]
    with pytest.raises(UserError, match=r"mine.yaml, line 7: polyp-ft-fc8.* is there twice, also from line 1"):
        check_distinct(grid().file, [cell, replace(cell, line=7)])


def test_the_status_counts_tells_the_time_left_and_the_best(tmp_path):
    own = grid(seeds=range(3))
    names = [cell.settings.name() for cell in own.cells]
    cost = {"prepare": 10.0, "test": 10.0}
    for name, cell, auc, train in zip(names, own.cells, (0.7, 0.9), (80.0, 180.0), strict=False):
        write_result(tmp_path / name, result(auc))
        resolved = dict.fromkeys(("width", "batch", "data", "donor"), "")
        spent = {**cost, "train": train}
        record = RunRecord(cell.settings.record(), {}, resolved, {}, [], [], {}, {"caffe": "x"}, cost=spent)
        write_run(tmp_path / name, record)
    failing, working = Place(own.folder(tmp_path), names[2]), Place(own.folder(tmp_path), names[3])
    failing.write(replace(failing.begin(), state=FAILED, last="training has diverged"))
    with working.claimed():
        began = working.begin().began
        found = status.progress(own, tmp_path)
        text = status.text(found, tmp_path, now=began + 50)
    assert "6 runs, 2 finished, 1 running, 1 failed, 2 waiting" in text
    assert status.remaining(found, began + 50) == pytest.approx(100 + 150 + 150)  # of 150 s each, one 50 s at work
    assert "failed: polyp-ft-fc8, FRACTION=1, seed 1: training has diverged" in text
    assert "running for 50 s" in text and "no epoch scored yet" in text
    assert "0.9000" in text and "0.7000" not in text and "0.500 [0.250, 0.750]" in text


def test_the_best_of_each_data_set_is_its_own(tmp_path):
    sets = [grid((0, 1), data=data, fraction=part) for data in ("a/kvasir", "b/clinic", None) for part in ("1", "1/4")]
    own = replace(sets[0], cells=tuple(cell for part in sets for cell in part.cells))
    for i, cell in enumerate(own.cells):
        write_result(cell.folder(tmp_path), result(0.5 + 0.01 * i))
    found = status.progress(own, tmp_path)
    best = [("polyp", data, part) for data in ("kvasir", "clinic", "synthetic") for part in ("1", "1/4")]
    assert [row[:3] for row in status.best_so_far(found)] == best
    assert [row[5] for row in status.best_so_far(found)] == [f"{0.5 + 0.01 * i:.4f}" for i in range(3, 24, 4)]
    assert "best so far  data" in status.text(found, tmp_path, time())


def test_the_time_left_is_not_guessed_from_nothing(tmp_path):
    own = grid()
    assert "time left: unknown before the first run is finished" in status.text(
        status.progress(own, tmp_path), tmp_path, time()
    )


def test_the_process_of_a_run_is_the_commands(tmp_path):
    from pycaffe_ext.command_line.words import run_words

    own = grid(fraction="1/4", data="some/where")
    job = running.job(own, tmp_path, run_words, own.cells[0], Machine(threads=1))
    assert job.command[: len(running.PROGRAM)] == running.PROGRAM
    expected = ["run", "polyp-ft-fc8", "--data=some/where", "--fraction=1/4", "--threads=1", f"--runs={tmp_path}"]
    assert list(job.command[len(running.PROGRAM) :]) == expected


def test_a_state_is_written_without_a_look_at_all_others(tmp_path, monkeypatch):
    """To list the states at each of two writes a run would take longer with each run."""
    own = grid(seeds=(0, 1, 2))
    looked = []
    monkeypatch.setattr(parts, "sweep", looked.append)
    states = run(own, Stubs(own, tmp_path))
    assert {state.state for state in states} == {FINISHED}
    assert [folder for folder in looked if folder.name == STATES] == []


def test_what_a_killed_worker_left_among_the_states_is_removed_once_for_a_study(tmp_path, capsys):
    left = tmp_path / STATES / ".polyp-scratch.json.999999-abcdef.part"
    left.parent.mkdir()
    left.write_text("half")
    sweep(tmp_path)
    sweep(tmp_path / "not there")
    assert list(left.parent.iterdir()) == [] and "polyp-scratch.json" in capsys.readouterr().err
