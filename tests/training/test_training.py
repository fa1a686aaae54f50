"""The caffe command, scoring, snapshots on disk, the stopping rule, and the tool for finished snapshot folders."""

import math
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import genuine_python
import numpy as np
import pytest
import training_lab as lab
from patience import wait_until
from programs import run_tool
from scipy.special import softmax

from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics.base import positive
from pycaffe_ext.evaluation.metrics.detection import QUOTED_RATES, Detection
from pycaffe_ext.proto import caffe_pb2, read_net, to_text, write_text, write_weights_h5
from pycaffe_ext.runs import summary
from pycaffe_ext.runs.records import Best, ResultRecord
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.training import afterwards, early_stopping, snapshots
from pycaffe_ext.training.command import EMBEDDED, Caffe, stop
from pycaffe_ext.training.resumes import resume
from pycaffe_ext.training.score_model import describe, entries, from_train_val
from pycaffe_ext.training.scoring import ScoreNet, cross_entropy, score

TOOL = Path(__file__).parents[2] / "tools" / "score_snapshots.py"


def python(code, *more):
    """A command that runs this Python code in place of caffe."""
    return Caffe((sys.executable, "-c", code, *more))


# The command


def test_setting_is_split_as_a_shell_would():
    assert Caffe.from_setting(None).command == Caffe.from_setting("").command == EMBEDDED
    assert Caffe.from_setting("'/opt/my caffe/bin' -x", "0").command == ("/opt/my caffe/bin", "-x")
    with pytest.raises(UserError, match="CAFFE=caffe': no closing quotation"):
        Caffe.from_setting("caffe'")


def test_only_the_embedded_engine_gets_its_own_flags(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(Caffe, "_start", lambda self, arguments, **_: started.append(arguments))
    for setting, precision in ((None, "bf16"), ("caffe", "fp32")):
        Caffe.from_setting(setting, None, precision, 2.5).train(Path("s"), None, None, tmp_path / "log")
    assert started == [["train", "--solver=s", "--precision=bf16", "--cache_gb=2.5"], ["train", "--solver=s"]]
    started.clear()
    for setting in (None, "caffe"):
        caffe = Caffe.from_setting(setting, cache_gb=1, cache_dir=Path("features"))
        for command in (caffe.train(Path("s"), None, None, tmp_path / "log"), caffe.test(Path("m"), Path("w"), 3)):
            with suppress(AttributeError, TypeError):  # the stand-in starts nothing that could be read
                next(command)
    flags = ["--cache_gb=1", "--cache_dir=features"]
    test = ["test", "--model=m", "--weights=w", "--iterations=3"]
    assert started == [["train", "--solver=s", *flags], [*test, *flags], ["train", "--solver=s"], test]
    with pytest.raises(UserError, match="PRECISION=bf16 is for the embedded engine; leave CAFFE=caffe out"):
        Caffe.from_setting("caffe", None, "bf16")


@pytest.mark.parametrize("bound", [float("nan"), float("inf"), -1.0])
def test_a_bound_of_the_store_that_is_none_is_refused_before_any_work(bound):
    with pytest.raises(UserError, match="cache_gb must be 0"):
        Caffe.from_setting(None, None, "fp32", bound)


@pytest.mark.parametrize("precision, marked", [("fp32", False), ("bf16", True)])
def test_a_summary_says_when_the_numbers_are_not_caffes(precision, marked):
    point = {"sensitivity": 0.5, "exact_95": [0.4, 0.6], "group_bootstrap_95": None}
    points = {"lesion": [{"at_most_false_positives_per_frame": rate, **point} for rate in QUOTED_RATES]}
    test = {"patch_auc_95_delong": [0.7, 0.9], "patch_auc": 0.8, "lesions": 1, "frames": 2, "candidates": 3}
    lines = Detection().text({**test, "network": points, "detector": points})
    result = ResultRecord(
        "polyp-ft-fc8", "none", Best(60, 1.0, 0.8), 1, "epochs", {}, {}, [], test, ["froc.png"], precision=precision
    )

    def text(*resumed):
        return summary.text(replace(result, resumes=[*resumed]), Path("runs"), lines)

    assert ("NOT FAITHFUL TO CAFFE" in text()) == marked and "0.500, exact 95 % [0.400, 0.600]" in text()
    assert "interrupted" not in text() and "files: runs/result.json, froc.png" in text()
    nine, zero = (resume(at, state, "lab") for at, state in ((9, Path("s_iter_9.solverstate")), (0, None)))
    assert "\ninterrupted: begun again from iteration 0 once\n" in text(nine, zero)
    assert "once; resumed 2 times at iteration 9 and 9: the numbers need not be" in text(nine, zero, nine, nine)


def test_another_precision_is_another_run():
    settings, fast = Settings.of("polyp", "ft-fc8"), Settings.of("polyp", "ft-fc8", precision="bf16")
    assert fast.differences(settings) == ["precision: fp32 -> bf16"] and fast.name() != settings.name()


@pytest.mark.parametrize("name", ["data", "weights", "mean"])
def test_one_path_is_one_run_however_it_is_spelt(name, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    spelt = ["../d/two", "../d/two/", "./../d/./two", "../d//two"]
    made = [Settings.of("polyp", "ft-fc8", **{name: text}) for text in spelt]
    assert len({own.name() for own in made}) == 1 and made[1].differences(made[-1]) == []
    whole = [Settings.of("polyp", "ft-fc8", **{name: str(tmp_path / "d" / "two") + end}) for end in ("", "/")]
    monkeypatch.chdir(tmp_path)
    whole.append(Settings.of("polyp", "ft-fc8", **{name: str(tmp_path / "d" / "two")}))
    assert len({own.name() for own in whole}) == 1
    assert Settings.of("polyp", "ft-fc8", **{name: "../d/three"}).name() != made[0].name()


def test_names_of_donors_and_values_are_no_paths(tmp_path, monkeypatch):
    names = []
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        names.append(Settings.of("polyp", "ft-fc8", weights="bvlc_alexnet", mean="104,117,123").name())
    assert names[0] == names[1]


def test_a_command_that_is_not_there(tmp_path):
    for command in ("no-such-caffe", str(tmp_path)):
        with pytest.raises(UserError, match="cannot be started .*leave CAFFE unset"):
            Caffe((command,)).version()


def test_version_says_so_or_why_not():
    assert python("print('caffe version 1.0.0')").version() == "caffe version 1.0.0"
    with pytest.raises(UserError, match="error: no GPU here"):
        python("import sys; sys.exit('error: no GPU here')").version()


def test_train_appends_its_log_and_passes_caffes_flags(tmp_path):
    caffe = Caffe((sys.executable, "-c", "import sys; print(sys.argv[1:]); print('x', file=sys.stderr)"), gpu="0,1")
    for options in ({"weights": Path("w"), "snapshot": None}, {"weights": None, "snapshot": Path("s")}):
        assert caffe.train(Path("net.prototxt"), log=tmp_path / "log", **options).wait() == 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0] == "['train', '--solver=net.prototxt', '--weights=w', '--gpu=0,1']"
    assert lines[2] == "['train', '--solver=net.prototxt', '--snapshot=s', '--gpu=0,1']"
    assert lines[1] == lines[3] == "x"
    with pytest.raises(ValueError, match="not both"):
        caffe.train(Path("s"), Path("w"), Path("s"), tmp_path / "log")


def test_stop_asks_first_and_kills_a_deaf_one(tmp_path):
    polite = python(
        "import time\ntry: print('up', flush=True); time.sleep(600)\nexcept KeyboardInterrupt: print('saved')"
    )
    deaf = python("import signal, time; signal.signal(2, signal.SIG_IGN); print('up', flush=True); time.sleep(600)")
    process = polite.train(Path("s"), None, None, tmp_path / "polite")
    wait_until(lambda: (tmp_path / "polite").read_text())
    assert stop(process) == 0 and (tmp_path / "polite").read_text() == "up\nsaved\n"
    process = deaf.train(Path("s"), None, None, tmp_path / "deaf")
    wait_until(lambda: (tmp_path / "deaf").read_text())
    assert stop(process, patience=0.2) == -9
    assert process.end() == -9


def test_test_streams_and_fails_with_the_last_words(tmp_path):
    lines = python("print('a'); print('b')").test(Path("m"), Path("w"), 1, tmp_path / "log")
    assert next(lines) == "a\n" and list(lines) == ["b\n"]
    assert (tmp_path / "log").read_text() == "a\nb\n"
    names = python(r"import sys; sys.stdout.buffer.write(b'\xb5\xc4\n')")
    assert len(list(names.test(Path("m"), Path("w"), 1, tmp_path / "log"))) == 1
    assert (tmp_path / "log").read_bytes() == b"\xb5\xc4\n"
    failing = "print('F1122 21:44:44.8 12 io.cpp:39] Check failed: no file'); raise SystemExit(134)"
    with pytest.raises(UserError, match="test failed on w: Check failed: no file"):
        list(python(failing).test(Path("m"), Path("w"), 1))


def test_a_dropped_test_ends_its_process(tmp_path):
    code = f"import os, time; print(os.getpid()); time.sleep(600)  # {tmp_path}"
    lines = python(code).test(Path("m"), Path("w"), 1)
    pid = next(lines).strip()
    lines.close()
    assert not Path(f"/proc/{pid}").exists() or sys.platform != "linux"


# Scoring


def printing(values, labels, batch):
    """A caffe test that prints these raw values (n, classes) and labels in batches, starting over at the end."""
    code = f"""
import sys
values, labels, batch = {values!r}, {labels!r}, {batch}
n = int([a for a in sys.argv if a.startswith("--iterations=")][0].split("=")[1])
for b in range(n):
    at = [i % len(labels) for i in range(b * batch, (b + 1) * batch)]
    for i in at:
        for v in values[i]: print(f"I1122 23:29:24.352378 1 caffe.cpp:304] Batch {{b}}, fc8_polyp = {{v}}")
    for i in at: print(f"I1122 23:29:24.352378 1 caffe.cpp:304] Batch {{b}}, label = {{labels[i]}}")
print("I1122 23:29:24.352378 1 caffe.cpp:321] fc8_polyp = 77")
"""
    return python(code)


def go(caffe, count, batch, classes=2):
    return score(
        caffe, ScoreNet(Path("score.prototxt"), count, batch, "fc8_polyp", classes), Path("x_iter_7.caffemodel")
    )


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 7])
def test_score_drops_the_wrapped_tail(batch):
    values = [[0.5, -1.0, 2.0], [30.0, 0.0, -30.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [-2.0, 5.0, 1.0]]
    labels = [2, 0, 1, 0, 1]
    probabilities, got = go(printing(values, labels, batch), 5, batch, classes=3)
    assert probabilities.dtype == np.float64 and probabilities.shape == (5, 3)
    np.testing.assert_allclose(probabilities, softmax(np.array(values), axis=1), rtol=1e-12)
    assert got.tolist() == labels
    assert cross_entropy(probabilities, got) == pytest.approx(-np.log(probabilities[range(5), labels]).mean())


def test_saturated_outputs_keep_their_order():
    probabilities, _ = go(printing([[30.0, -30.0], [31.0, -30.0], [-30.0, 31.0]], [0, 0, 1], 1), 3, 1)
    scores = positive(probabilities)
    assert 0 < scores[1] < scores[0] < scores[2]


def test_classes_but_the_first_are_one_positive_class():
    np.testing.assert_allclose(positive(np.array([[0.2, 0.3, 0.5]])), [0.8])


@pytest.mark.parametrize(
    "caffe, message",
    [
        (printing([[0.0, "-nan"]], [0], 1), "x_iter_7.caffemodel: fc8_polyp is not finite"),
        (printing([[0.0, "inf"]], [0], 1), "x_iter_7.caffemodel: fc8_polyp is not finite"),
        (printing([[0.0]], [0], 1), "1 values of fc8_polyp, 2 expected"),
        (printing([[0.0, 1.0]], [2], 1), "labels outside 0..1"),
        (printing([[0.0, 1.0]], [0.5], 1), "labels outside 0..1"),
        (python("print('I1122 1 1 caffe.cpp:304] Batch 0, prob = 1')"), r"0 values of fc8_polyp, 2 expected .*prob"),
        (python("raise SystemExit('error: cut off')"), "test failed on x_iter_7.caffemodel: cut off"),
    ],
)
def test_score_refuses_what_it_cannot_trust(caffe, message):
    with pytest.raises(UserError, match=message):
        go(caffe, 1, 1)


# Snapshots


def make_snapshot(prefix, iteration, h5=False, state=True):
    weights = Path(f"{prefix}_iter_{iteration}.caffemodel" + ".h5" * h5)
    write_weights_h5(weights, {"fc": [np.ones(3)]})
    if state:
        content = caffe_pb2.SolverState(iter=iteration, learned_net=str(weights), current_step=1)
        content.history.add(data=[1, 2, 3], shape=caffe_pb2.BlobShape(dim=[3]))
        Path(f"{prefix}_iter_{iteration}.solverstate").write_bytes(content.SerializeToString())
    return weights


def test_listing_is_by_number_and_of_one_prefix(tmp_path):
    for iteration in (9, 100, 20):
        make_snapshot(tmp_path / "net", iteration)
    make_snapshot(tmp_path / "net", 300, state=False)
    make_snapshot(tmp_path / "net_b", 1)
    found = snapshots.listing(tmp_path / "net")
    assert [s.iteration for s in found] == [9, 20, 100, 300]
    assert [s.complete for s in found] == [True, True, True, False]
    assert snapshots.prefixes(tmp_path) == [str(tmp_path / "net"), str(tmp_path / "net_b")]
    assert snapshots.listing(tmp_path / "nowhere" / "net") == []


def test_every_cut_of_the_state_is_noticed(tmp_path):
    make_snapshot(tmp_path / "net", 10)
    make_snapshot(tmp_path / "net", 20)
    state = tmp_path / "net_iter_20.solverstate"
    content = state.read_bytes()
    assert snapshots.resumable(tmp_path / "net")[0].iteration == 20
    for end in range(len(content)):
        state.write_bytes(content[:end])
        found, problems = snapshots.resumable(tmp_path / "net")
        assert found.iteration == 10 and len(problems) == 1, end


def test_a_state_without_its_weights_is_no_start(tmp_path):
    make_snapshot(tmp_path / "net", 10)
    (tmp_path / "net_iter_10.caffemodel").write_bytes(b"\x0a")
    assert snapshots.resumable(tmp_path / "net")[0] is None
    make_snapshot(tmp_path / "net", 10)
    state = tmp_path / "net_iter_10.solverstate"
    state.write_bytes(caffe_pb2.SolverState(iter=10, learned_net="/gone", current_step=0).SerializeToString())
    assert "was the folder moved" in snapshots.resumable(tmp_path / "net")[1][0]
    state.write_bytes(caffe_pb2.SolverState(iter=11, current_step=0).SerializeToString())
    assert "says iteration 11" in snapshots.resumable(tmp_path / "net")[1][0]


def test_thinning_keeps_the_best_and_the_newest(tmp_path):
    for iteration in (10, 20, 30):
        make_snapshot(tmp_path / "net", iteration)
    snapshots.thin(snapshots.listing(tmp_path / "net"), best=10, newest=30)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["net_iter_10.caffemodel", "net_iter_30.caffemodel", "net_iter_30.solverstate"]


@pytest.mark.parametrize("command", lab.ENGINES)
def test_hdf5_snapshots_of_an_engine(tmp_path, command):
    lab.write_net(tmp_path)
    solver = lab.write_solver(tmp_path, max_iter=6, snapshot=3)
    solver.write_text(solver.read_text() + "snapshot_format: HDF5\n")
    assert Caffe(command).train(solver, None, None, tmp_path / "log").wait() == 0
    prefix = tmp_path / "snapshots" / "solver"
    found, problems = snapshots.resumable(prefix)
    assert (found.iteration, problems) == (6, [])
    assert [s.complete for s in snapshots.listing(prefix)] == [True, True]
    found.state.write_bytes(found.state.read_bytes()[:-100])
    earlier, problems = snapshots.resumable(prefix)
    assert earlier.iteration == 3 and "solver_iter_6.solverstate.h5 is cut off" in problems[0]
    earlier.weights.write_bytes(earlier.weights.read_bytes()[:-100])
    assert snapshots.resumable(prefix)[0] is None


# The stopping rule


def brute_force_stop(aucs, patience):
    for i in range(len(aucs)):
        seen = aucs[: i + 1]
        if i - seen.index(max(seen)) >= patience:
            return i
    return None


def test_rule_against_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(300):
        aucs = rng.integers(0, 5, rng.integers(1, 9)).tolist()
        table = {10 * i: auc / 5 for i, auc in enumerate(aucs)}
        assert early_stopping.best(table) == 10 * aucs.index(max(aucs))
        for patience in (1, 2, 3):
            expected = brute_force_stop(aucs, patience)
            assert early_stopping.stopping_point(table, patience) == (None if expected is None else 10 * expected)
        assert early_stopping.stopping_point(table, None) is None


def test_rule_refuses_undefined_numbers():
    with pytest.raises(UserError, match=r"undefined at iterations \[20\]"):
        early_stopping.best({10: 0.9, 20: math.nan})
    with pytest.raises(UserError, match="no snapshot"):
        early_stopping.best({})
    with pytest.raises(UserError, match="PATIENCE=0"):
        early_stopping.should_stop({10: 0.5}, 0)


# Score nets and the tool


def test_score_net_of_a_train_val_net(tmp_path):
    lab.write_net(tmp_path)
    net = from_train_val(read_net(tmp_path / "net.prototxt"), Path("elsewhere"), batch_size=3)
    assert [layer.name for layer in net.layer] == ["data", "conv1", "relu1", "fc8_polyp"]
    model = describe(net)
    assert (str(model.source), model.batch_size, model.head, model.classes) == ("elsewhere", 3, "fc8_polyp", 2)
    assert entries(tmp_path / "val") == 50
    with pytest.raises(UserError, match="no LMDB"):
        entries(tmp_path)
    with pytest.raises(UserError, match="no InnerProduct or Convolution layer fc9 .*fc8_polyp"):
        describe(net, "fc9")


def tool(*arguments):
    return run_tool("score_snapshots", *arguments)


def test_tool_needs_snapshots(tmp_path):
    run = tool(tmp_path, "--net", "x", "--lmdb", "y")
    assert run.returncode == 1 and run.stderr.startswith("error: ") and "no snapshots" in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("command", lab.ENGINES)
def test_tool_scores_what_any_caffe_wrote(tmp_path, command):
    lab.write_net(tmp_path)
    solver = lab.write_solver(tmp_path, max_iter=20)
    caffe = Caffe(command)
    assert caffe.train(solver, None, None, tmp_path / "log").wait() == 0
    out = tmp_path / "out"
    arguments = ["--lmdb", tmp_path / "val", "--caffe", str(caffe), "--out", out]
    run = tool(tmp_path / "snapshots", "--net", tmp_path / "net.prototxt", *arguments)
    assert run.returncode == 0, run.stderr
    rows = (out / "auc.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["10", "20"]
    best = max(rows, key=lambda row: float(row.split(",")[-1])).split(",")[0]
    kept = tmp_path / "snapshots" / f"solver_iter_{best}.caffemodel"
    assert (out / "best.caffemodel").read_bytes() == kept.read_bytes()
    assert len(list((tmp_path / "snapshots").iterdir())) == 4
    write_text(tmp_path / "score.prototxt", from_train_val(read_net(tmp_path / "net.prototxt"), tmp_path / "val"))
    again = tool(tmp_path / "snapshots", "--model", tmp_path / "score.prototxt", *arguments[2:])
    assert again.returncode == 0 and again.stdout == run.stdout


@pytest.mark.genuine
@pytest.mark.parametrize("command", lab.ENGINES)
def test_probabilities_equal_those_of_pycaffe(tmp_path, command):
    labels = lab.write_net(tmp_path)
    caffe = Caffe(command)
    assert caffe.train(lab.write_solver(tmp_path, max_iter=20), None, None, tmp_path / "log").wait() == 0
    net = from_train_val(read_net(tmp_path / "net.prototxt"), tmp_path / "val")
    weights = tmp_path / "snapshots" / "solver_iter_20.caffemodel"
    write_text(tmp_path / "score.prototxt", net)
    probabilities, got = score(caffe, ScoreNet(tmp_path / "score.prototxt", 50, 8, "fc8_polyp", 2), weights)
    assert got.tolist() == labels.tolist()
    oracle = f"""
import caffe, numpy
net = caffe.Net({str(tmp_path / "score.prototxt")!r}, {str(weights)!r}, caffe.TEST)
numpy.save({str(tmp_path / "oracle.npy")!r}, numpy.concatenate(
    [net.forward()["fc8_polyp"].copy() for _ in range(7)]))
"""
    genuine_python.run("-c", oracle)
    raw = np.load(tmp_path / "oracle.npy")[:50].astype(np.float64)
    np.testing.assert_allclose(probabilities, softmax(raw, axis=1), rtol=1e-4)


def test_score_nets_print_as_prototxt(tmp_path):
    lab.write_net(tmp_path)
    net = from_train_val(read_net(tmp_path / "net.prototxt"), tmp_path / "val")
    assert "TRAIN" not in to_text(net) and "SoftmaxWithLoss" not in to_text(net)


def test_snapshots_that_lack_a_hidden_layer_are_refused(tmp_path):
    """Caffe would leave that layer at random, and its AUC would mean nothing."""
    weights = tmp_path / "x_iter_1.caffemodel.h5"
    write_weights_h5(weights, {"conv1": [np.zeros((2, 1, 3, 3))], "fc8": [np.zeros((2, 8))]})
    afterwards._check_layers(weights, ["conv1", "fc8"])
    with pytest.raises(UserError, match=r"has no layers fc6, fc7 \(it has conv1, fc8\); is this its net"):
        afterwards._check_layers(weights, ["conv1", "fc6", "fc7", "fc8"])
