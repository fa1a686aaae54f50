"""The harness of `make bench` on fake programs: what it takes, keeps, tells and refuses."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from patience import in_some_try, wait_until

from benchmarks import derived, first, gpu, layers, machine, nets, suite, table
from benchmarks.measure import advantage, is_met, measure
from benchmarks.program import Program, seconds_of
from benchmarks.results import load, record, save
from benchmarks.rows import GENUINE, OURS, Experiment, Lab, Row
from benchmarks.sides import each_time, fresh_run, in_turns, whole_run
from pycaffe_ext import proto
from pycaffe_ext.errors import UserError

HERE = ("abc1234", "this machine")
TICKING = """
import time
for i in range(1000):
    print(f"] Iteration {i}, loss = 0.5", flush=True)
    time.sleep(SECONDS)
"""
TICK = r"\] Iteration \d+.*loss = "


def python(code):
    return lambda lab: (sys.executable, "-c", code)


def ticking(seconds):
    return python(TICKING.replace("SECONDS", str(seconds)))


def saying(values, log, name):
    """A side that "measures" the values in turn and writes its name to `log`."""
    left = iter(values)

    def sample(lab):
        log.append(name)
        return (next(left),)

    return each_time(sample)


def fake(name="speed", theirs=(9, 4, 2, 3), mine=(9, 1, 1, 2), log=None, **settings):
    log = [] if log is None else log
    row = Row(name, "a fake", "s", target=1.5, **settings)
    return Experiment((row,), ours=saying(mine, log, "B"), rival=saying(theirs, log, "A"))


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path, threads=1, runs=3)


def test_sides_take_turns_and_the_first_sample_of_each_is_thrown_away(lab):
    log, ticks = [], []
    samples = measure(fake(log=log), lab, lambda: ticks.append(1))
    assert log == ["A", "B"] * 4
    assert samples == {"speed": {GENUINE: [4, 2, 3], OURS: [1, 1, 2]}}
    assert len(ticks) == suite.samples_needed(fake(), lab) == 8


def test_advantage_is_that_of_medians_and_above_one_where_ours_is_better():
    assert advantage(Row("a", "", "s"), [8, 2, 3], [1, 1, 50]) == 3
    assert advantage(Row("a", "", "images/s", better="more"), [100, 1, 100], [250, 250, 1]) == 2.5


@pytest.mark.parametrize(("target", "met"), [(1.9, True), (2.0, True), (2.1, False), (None, None)])
def test_a_target_is_met_from_its_own_value_on(target, met):
    assert is_met(Row("a", "", "s", target=target), [4.0], [2.0]) is met


def test_a_limit_is_met_below_it_only():
    row = Row("a", "", "s", limit=0.5)
    assert is_met(row, [], [0.4, 0.4, 9.0]) is True
    assert is_met(row, [], [0.5]) is False


def test_a_rate_with_a_limit_must_reach_it():
    row = Row("a", "", "patches/s", better="more", limit=1500)
    assert is_met(row, [], [1500, 1400, 9000]) is True
    assert is_met(row, [], [1499.0]) is False


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0])
def test_what_is_no_positive_number_is_refused(lab, value):
    with pytest.raises(UserError, match="speed, ours: measured"):
        measure(fake(mine=(1, value, 1, 1)), lab)


def test_the_time_between_lines_is_measured_without_start_up(lab):
    slow_start = python("import time; time.sleep(1)\n" + TICKING.replace("SECONDS", "0.05"))

    def check():
        with fresh_run(slow_start, TICK, skip=1, count=2)(lab) as sample:
            seconds, peak = sample()
        assert 0.02 < seconds < 0.4  # 0.05, and leave for a busy machine; with the start-up it would be 0.5
        assert 1 < peak < 1000

    in_some_try(check)


def state(process):
    return Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_a_program_stands_still_while_it_is_the_others_turn(lab):
    def check():
        with Program(ticking(0.02)(lab), lab.environment) as program:
            program.until(TICK, 2)
            wait_until(lambda: state(program._process) == "T")
            time.sleep(0.2)
            assert state(program._process) == "T"
            assert program.until(TICK, 6) > 0.06  # nothing was worked out in advance

    in_some_try(check)


def test_in_turns_one_program_serves_all_samples(lab):
    started = lab.folder / "started"
    code = f"open({str(started)!r}, 'a').write('x')\n" + TICKING.replace("SECONDS", "0.02")

    def check():
        started.unlink(missing_ok=True)
        with in_turns(python(code), TICK, skip=1, count=2, value=lambda seconds: 1 / seconds)(lab) as sample:
            rates = [sample()[0] for _ in range(3)]
        assert started.read_text() == "x"
        assert all(5 < rate < 51 for rate in rates)

    in_some_try(check)


def test_no_program_outlives_its_with(lab):
    with pytest.raises(RuntimeError), Program(ticking(0.02)(lab), lab.environment) as program:
        program.until(TICK)
        raise RuntimeError
    assert not Path(f"/proc/{program._process.pid}").exists()


def test_peak_memory_is_that_of_the_program(lab):
    hungry = python("x = bytearray(200 << 20)\n" + TICKING.replace("SECONDS", "0.01"))
    with fresh_run(hungry, TICK, 1, 1)(lab) as big, fresh_run(ticking(0.01), TICK, 1, 1)(lab) as small:
        assert big()[1] - small()[1] == pytest.approx(200, abs=20)


def test_a_whole_run_is_timed_and_its_way_cleared_before(lab):
    cleared = []

    def check():
        cleared.clear()
        with whole_run(python("import time; time.sleep(0.2)"), cleared.append)(lab) as sample:
            assert 0.2 < sample()[0] < 2
        assert cleared == [lab]

    in_some_try(check)


DYING = "import sys; print('] Iteration 0, loss = 1', flush=True); sys.exit('F0101 x.cpp:1] Check failed: no such net')"


@pytest.mark.parametrize("use", ["until", "finish"])
def test_a_failing_program_is_one_line_with_its_last_words(lab, use):
    with pytest.raises(UserError) as error, Program(python(DYING)(lab), lab.environment) as program:
        program.until(TICK, 2) if use == "until" else program.finish()
    assert "ended with 1" in str(error.value) and "no such net" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(UserError, match="`/no/such/caffe` can't be started: no such file"):
        seconds_of(["/no/such/caffe"], {})


def test_a_program_that_hangs_is_ended(lab):
    silent = python("import time; time.sleep(600)")
    with pytest.raises(UserError, match="ended with -9"), Program(silent(lab), lab.environment, limit=0.3) as program:
        program.until(TICK)


def test_one_failure_stops_no_other_row(lab):
    broken = Experiment((Row("broken", "", "s"),), ours=whole_run(python("raise SystemExit('out of luck')")))
    failed = suite.run((broken, fake()), lab)
    assert list(failed) == ["broken"] and "out of luck" in failed["broken"]
    assert load("speed", lab.folder).samples[OURS] == [1, 1, 2]
    assert load("broken", lab.folder) is None


def test_partial_runs_are_put_together_in_one_table(lab, monkeypatch):
    experiments = (fake("first"), fake("second"), fake("third"))
    monkeypatch.setattr(machine.Stopwatch, "others", lambda _: 0.0)  # whatever else this machine is doing
    suite.run(experiments[:1], lab)
    monkeypatch.setattr(machine, "commit", lambda: "later")
    suite.run(experiments[1:2], lab)
    path = lab.folder / "BENCHMARKS.md"
    printed = suite.report(path, lab, {}, experiments)
    content = path.read_text()
    assert "| first [1]" in content and "| second [1]" not in content
    assert f"- [1] measured at commit {load('first', lab.folder).commit} on " in content
    assert "third: not measured yet" in content and "third" in printed


def result_of(row="speed", runs=5, others=0.0, commit=HERE[0], theirs=3.0, mine=1.0):
    made = record(row, {GENUINE: [theirs] * runs, OURS: [mine] * runs}, Lab(Path(), runs=runs), others)
    return replace(made, commit=commit, machine=HERE[1])


def test_a_missed_target_is_told_plainly():
    row = Row("speed", "what it is", "s", target=3.5)
    printed, content = table.render([(row, result_of())], {}, HERE)
    assert "| speed | what it is | 3 s (3 to 3) | 1 s (1 to 1) | 3.00x | 3.5x | missed |" in content
    assert "missed" in printed


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"runs": 4}, "fewer than 5 samples"),
        ({"others": 0.2}, "other programs had more than 5% of the cores"),
        ({"commit": "abc1234+"}, "changes that are not committed"),
        ({"commit": "other"}, "measured at commit other"),
    ],
)
def test_what_is_no_figure_to_publish_is_marked(settings, words):
    _, content = table.render([(Row("speed", "", "s"), result_of(**settings))], {}, HERE)
    assert words in content and "| speed [1]" in content


def test_a_clean_result_has_no_mark():
    _, content = table.render([(Row("speed", "", "s"), result_of())], {}, HERE)
    assert "[1]" not in content and "Left out" not in content


def test_benchmarks_md_is_whole_or_as_before(lab, monkeypatch):
    path = lab.folder / "BENCHMARKS.md"
    path.write_text("the old one")
    monkeypatch.setattr(table, "render", lambda *_: ("", 1 / 0))
    with pytest.raises(ZeroDivisionError):
        suite.report(path, lab, {}, (fake(),))
    monkeypatch.setattr(table, "render", lambda *_: ("", None))
    with pytest.raises(TypeError):
        suite.report(path, lab, {}, (fake(),))
    assert [file.name for file in lab.folder.iterdir()] == ["BENCHMARKS.md"] and path.read_text() == "the old one"


def test_a_garbled_result_is_named(lab):
    save(result_of(), lab.folder)
    (lab.folder / "results" / "speed.json").write_text(json.dumps({"row": "speed"}))
    with pytest.raises(UserError, match="speed.json: not the result of a row; remove it"):
        load("speed", lab.folder)


def test_the_nine_together_are_weighed_by_their_times():
    rows = derived.DERIVED[0].of
    results = {row: result_of(row, theirs=8.0, mine=0.5) for row in rows}
    results[rows[-1]] = result_of(rows[-1], theirs=8.0, mine=8.0, runs=4)
    made = derived.derive(derived.DERIVED[0], results)
    assert made.samples == {GENUINE: [4 * 72.0], OURS: [4 * 12.0]} and made.runs == 4


@pytest.mark.parametrize("lacking", ["a row", "one commit"])
def test_nothing_is_derived_from_what_does_not_belong_together(lacking):
    results = {row: result_of(row) for row in derived.DERIVED[0].of}
    if lacking == "a row":
        del results["prefix-ft-fc8"]
    else:
        results["prefix-ft-fc8"] = result_of("prefix-ft-fc8", commit="other")
    assert derived.derive(derived.DERIVED[0], results) is None


def test_rows_are_chosen_by_name_by_family_and_through_what_they_follow_from():
    def names(*words):
        return [row.name for experiment in suite.chosen(words) for row in experiment.rows]

    assert names("memory-32") == ["train-32", "memory-32"]
    assert names("gpu")[:4] == ["gpu-train", "gpu-memory", "gpu-eager", "gpu-reading"] and len(names("gpu")) == 10
    assert len(names("prefix-together")) == 9
    assert names("reading-share") == ["train-32", "memory-32", "reading"]
    with pytest.raises(UserError, match="unknown row 'train-33'; did you mean 'train-32'"):
        names("train-33")


def test_row_names_are_unique():
    names = [row.name for row in suite.all_rows()]
    assert len(names) == len(set(names))


def test_versions_are_read_from_a_package_list():
    status = (
        "Package: libopenblas0-pthread\nStatus: install ok installed\nVersion: 0.3.13\nDescription: fast\n more\n\n"
        "Package: other\nVersion: 9\n\nPackage: liblmdb0\nVersion: 0.9.24-1\n"
    )
    assert machine.debian_versions(status) == {"libopenblas0-pthread": "0.3.13", "liblmdb0": "0.9.24-1"}


def test_work_of_other_programs_is_told_from_ours():
    burn = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.5: sum(range(10000))"

    def check():
        watch = machine.Stopwatch()
        with subprocess.Popen([sys.executable, "-c", burn]) as process:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            not_yet_ours, before = watch.others(), time.perf_counter() - watch._begun  # nobody has waited for it
            process.wait()
            ours, after = watch.others(), time.perf_counter() - watch._begun
        assert (not_yet_ours * before - ours * after) * os.cpu_count() == pytest.approx(0.5, abs=0.2)

    in_some_try(check)


def test_the_solver_of_a_row_trains_and_does_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(nets, "records", lambda lab, count, side: tmp_path / "lmdb")
    lab = Lab(tmp_path)
    net = nets.alexnet(lab, "ft-fc6", 32)
    solver = proto.read_solver(nets.solver(lab, net))
    assert solver.display == 1 and not solver.test_iter and not solver.snapshot and not solver.snapshot_after_train
    learned = [layer.name for layer in proto.read_net(net).layer if layer.param and layer.param[0].lr_mult]
    assert learned == ["fc6", "fc7", "fc8_polyp"]
    assert not [layer for layer in proto.read_net(nets.on_noise(lab, 8)).layer if layer.type == "Data"]


def test_layer_times_are_the_means_at_the_end_of_the_log():
    log = [
        "I1123 02:00:00.000000  1 caffe.cpp:394] Iteration: 1 forward-backward time: 79 ms.",
        "I1123 02:00:00.000000  1 caffe.cpp:400]      conv1\tforward: 100.47 ms.",
        "I1123 02:00:00.000000  1 caffe.cpp:403]      conv1\tbackward: 1e-05 ms.",
        "I1123 02:00:00.000000  1 caffe.cpp:408] Average Forward pass: 7 ms.",
    ]
    assert layers.parse(log) == {("conv1", "forward"): 100.47, ("conv1", "backward"): 1e-05}


def test_a_gpu_rate_counts_images_and_only_its_own_memory(lab, monkeypatch):
    def check():
        used = iter([1000.0, 1750.0])
        monkeypatch.setattr(machine, "gpu_memory", lambda: next(used))
        rate, memory = gpu.rate_and_memory(ticking(0.05), lab, 100)
        assert memory == 750 and rate == pytest.approx(100 / 0.05, rel=0.5)
        assert gpu.rate(ticking(0.05), lab, 100, TICK, lines=2) == pytest.approx(100 / 0.05, rel=0.5)

    in_some_try(check)


@pytest.mark.slow
def test_plain_pytorch_trains_and_logs_as_caffe_does(lab):
    with Program(gpu.plain("eager", batch=1, steps=1)(lab), lab.environment) as program:
        program.until(TICK, 3)
        assert "nan" not in "".join(program.said)


@pytest.mark.parametrize(
    ("needs", "words"), [("genuine", "the genuine Caffe is not installed"), ("cuda", "no CUDA device here"), ("", "")]
)
def test_what_cannot_run_here_is_left_out_with_its_reason(lab, monkeypatch, needs, words):
    monkeypatch.setattr(suite.root, "installed", lambda: False)
    monkeypatch.setattr(machine, "gpus", lambda: ())
    experiments = (replace(fake(), needs=needs),)
    assert suite.run(experiments, lab) == {}
    printed = suite.report(lab.folder / "BENCHMARKS.md", lab, {}, experiments)
    assert words in printed and bool(load("speed", lab.folder)) is not bool(needs)


@pytest.mark.parametrize(("mine", "met"), [(2.0, True), (2.1, False), (0.5, True)])
def test_a_margin_is_what_ours_may_take_longer(mine, met):
    row = Row("a", "", "s", margin=1.0)
    assert is_met(row, [1.0], [mine]) is met
    assert table._target(row) == "at most 1 s more"


def test_the_first_answer_of_ours_is_four_times_and_its_net_has_one_image(tmp_path):
    lab = Lab(tmp_path, threads=1)
    net = first.deploy(lab, "squeezenet")
    assert list(proto.read_net(net).layer[0].input_param.shape[0].dim) == [1, 3, 227, 227]
    (experiment,) = [part for part in first.EXPERIMENTS if part.rows[0].name == "first-squeezenet-import"]
    with experiment.ours(lab) as sample:
        assert len(sample()) == len(experiment.rows) == 4
