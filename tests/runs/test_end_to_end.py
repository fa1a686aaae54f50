"""The main job as a user runs it, on miniature data: every file it promises, both engines, repeats, interruption."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from patience import LONG, wait_until
from programs import run_tool
from training_lab import SMALL

from pycaffe_ext.data import synthetic
from pycaffe_ext.donor import DONOR
from pycaffe_ext.genuine import root
from pycaffe_ext.proto import read_blobs, read_solver
from pycaffe_ext.runs import board, exporting
from pycaffe_ext.runs.pipeline import FEATURES

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "lab" / "small.py", "train_and_test"
FILES = {
    "run.json",
    "result.json",
    "train.log",
    "auc.csv",
    "validation.csv",
    "scores.csv",
    "scores_val.csv",
    "froc.csv",
    "roc.csv",
    "best.caffemodel",
    "froc.png",
    "convergence.png",
    "train_val.prototxt",
    "deploy.prototxt",
    "score_val.prototxt",
    "score_val_all.prototxt",
    "score_test.prototxt",
    "solver.prototxt",
    "snapshots",
} | {board.FOLDER for _ in range(board.installed())}

pytestmark = pytest.mark.slow


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *PROGRAM, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = run_tool("train_and_test", *arguments, cwd=folder)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def frames(miniature) -> Path:
    return miniature


@pytest.fixture(scope="module")
def finished(miniature_run, tmp_path_factory) -> Path:
    """A folder in which the job ran once with the embedded engine."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(miniature_run, folder, dirs_exist_ok=True)
    return folder


def test_every_promised_file_is_there_and_agrees_with_the_others(finished, frames):
    out = (finished / "out").read_text()
    assert "NOT ImageNet" in out and "transfer proved" in out
    assert "left out of pictures and videos: 1 .heic (spare/x.heic)" in out
    folder = finished / "runs" / "first"
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == FILES
    record, result = (json.loads((folder / name).read_text()) for name in ("run.json", "result.json"))
    assert record["settings"]["data"]["data"] == str(frames) and record["resolved"]["width"] == "1/8"
    assert all(len(value) == 64 for value in record["inputs"].values())
    left = [{"kind": ".heic", "files": 1, "example": "spare/x.heic"}]
    assert record["left_out"] == result["left_out"] == left
    rows = list(csv.DictReader((folder / "auc.csv").open()))
    best = max(rows, key=lambda row: float(row["auc"]))
    assert result["best"]["validation_auc"] == pytest.approx(float(best["auc"]))
    assert result["best"]["iteration"] == int(best["iteration"])
    scores = list(csv.DictReader((folder / "scores.csv").open()))
    assert len(scores) == result["test"]["candidates"] == result["patches"]["test"]
    assert 0 < sum(int(row["lesion"]) > 0 for row in scores) < len(scores)
    for name in ("froc.png", "convergence.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_threshold_is_chosen_on_all_validation_candidates_and_carried(finished):
    folder = finished / "runs" / "first"
    result, record = (json.loads((folder / name).read_text()) for name in ("result.json", "run.json"))
    found = Path(record["resolved"]["data"]).parent
    if not found.exists():  # the run was copied
        found = finished / "runs" / "data" / found.name
    items = list(csv.DictReader((found / "items.csv").open()))
    samples = list(csv.DictReader((found / "samples.csv").open()))
    network, detector = result["thresholds"]
    assert (network["scores"], detector["scores"]) == ("network", "detector")
    for row, column in ((network, "probability"), (detector, "detector")):
        for part, file, name in (("val", "scores_val.csv", "validation"), ("test", "scores.csv", "test")):
            own = {item["frame"]: int(item["targets"]) for item in items if item["split"] == part}
            scores = list(csv.DictReader((folder / file).open()))
            known = [(r["frame"], r["candidate"], r["target"]) for r in samples if r["frame"] in own]
            assert [(r["frame"], r["candidate"], r["lesion"]) for r in scores] == known, "all, as they occur"
            false = sorted((float(r[column]) for r in scores if r["lesion"] == "0"), reverse=True)
            above = [r for r in scores if float(r[column]) >= row["threshold"]]
            hits = {(r["frame"], r["lesion"]) for r in above if r["lesion"] != "0"}
            reached = row[name]
            assert (reached["hits"], reached["of"]) == (len(hits), sum(own.values()))
            assert reached["false_positives"] == sum(r["lesion"] == "0" for r in above)
            assert reached["negatives_or_frames"] == len(own)
            if part == "val" and len(false) > len(own):  # a false positive more would be beyond one a frame
                lower = [float(r[column]) for r in scores if false[len(own)] < float(r[column]) < row["threshold"]]
                assert reached["false_positives"] <= len(own)
                more = {(r["frame"], r["lesion"]) for r in scores if r["lesion"] != "0" and float(r[column]) in lower}
                assert more <= hits, "no threshold within the rate finds more"


def test_the_finished_run_is_exported(finished, tmp_path):
    pytest.importorskip("onnxruntime")
    found = exporting.export(finished / "runs" / "first", tmp_path / "out", count=10)
    assert len(found.differences) == 3 and all(value < 1e-5 for value in found.differences.values())


def test_frozen_layers_stay_the_donors_and_the_others_learn(finished):
    donor, tuned = read_blobs(DONOR), read_blobs(finished / "runs" / "first" / "best.caffemodel")
    for name in ("conv1", "conv2"):
        assert all(np.array_equal(a, b) for a, b in zip(donor[name], tuned[name], strict=True)), name
    for name in ("conv3", "conv4", "conv5", "fc6", "fc7"):
        assert not any(np.array_equal(a, b) for a, b in zip(donor[name], tuned[name], strict=True)), name
    assert "fc8_polyp" in tuned and "fc8_polyp" not in donor


def test_a_repeat_does_nothing_and_other_settings_are_refused(finished, frames):
    folder = finished / "runs" / "first"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = ("polyp-ft-conv3", "--data", str(frames), *SMALL, "--run", "first")
    status, out, _ = run(finished, *again, "--epochs", "2")
    assert status == 0 and "is finished" in out
    status, _, err = run(finished, *again, "--epochs", "3")
    assert status == 1 and "epochs: 2 -> 3" in err and err.count("\n") == 1
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_the_same_seed_gives_the_same_numbers(finished, frames, tmp_path):
    """Of the detector, the packing, the training and the test, all done once more."""
    status, _, err = run(tmp_path, "polyp-ft-conv3", "--data", str(frames), "--epochs", "2", *SMALL, "--run", "first")
    assert status == 0, err
    one, other = (folder / "runs" / "first" for folder in (finished, tmp_path))
    for name in ("auc.csv", "scores.csv"):
        assert (one / name).read_text() == (other / name).read_text()
    assert json.loads((one / "result.json").read_text()) == json.loads((other / "result.json").read_text())


def test_what_is_stored_of_frozen_layers_changes_no_number(finished, frames, tmp_path):
    """ft-fc7 finds what ft-conv3 stored, or stores nothing at all."""
    stored = finished / "runs" / "data" / FEATURES
    assert any(stored.iterdir())
    places = {}
    for name, more in (("found", ()), ("nothing", ("--cache-gb", "0"))):
        shutil.copytree(finished / "runs" / "data", tmp_path / name / "runs" / "data")
        order = ("polyp-ft-fc7", "--data", str(frames), "--epochs", "2", *SMALL, "--run", "first", *more)
        status, _, err = run(tmp_path / name, *order)
        assert status == 0, err
        places[name] = tmp_path / name / "runs" / "first"
    assert "Frozen prefix" in (places["found"] / "train.log").read_text()
    assert "Frozen prefix" not in (places["nothing"] / "train.log").read_text()
    one, other = places.values()
    for name in ("auc.csv", "scores.csv", "scores_val.csv"):
        assert (one / name).read_text() == (other / name).read_text(), name
    assert json.loads((one / "result.json").read_text()) == json.loads((other / "result.json").read_text())
    weights = [read_blobs(place / "best.caffemodel") for place in places.values()]
    assert all(np.array_equal(a, b) for layer in weights[0] for a, b in zip(*(w[layer] for w in weights), strict=True))


def test_an_interrupted_run_goes_on(finished, frames, tmp_path):
    length = ("--patches", "400", "--epochs", "4", "--patience", "4")  # long enough to be stopped in its course
    arguments = ("polyp-ft-conv1", "--data", str(frames), *SMALL, *length, "--run", "stopped")
    process, table = start(tmp_path, *arguments), tmp_path / "runs" / "stopped" / "auc.csv"
    wait_until(lambda: process.poll() is not None or (table.exists() and len(table.read_text().splitlines()) > 1))
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 130 and "go on" in err
    scored = table.read_text().splitlines()
    status, out, err = run(tmp_path, *arguments)
    assert status == 0, err
    assert table.read_text().splitlines()[: len(scored) - 1] == scored[:-1]
    assert len(table.read_text().splitlines()) == 5
    assert "Resuming from" in (table.parent / "train.log").read_text()
    record, result = (json.loads((table.parent / name).read_text()) for name in ("run.json", "result.json"))
    (one,) = record["resumes"]
    assert result["resumes"] == [one] and one["caffe"] == record["versions"]["caffe"]
    assert one["solverstate"].endswith(f"_iter_{one['iteration']}.solverstate") and one["iteration"] > 0
    assert datetime.fromisoformat(one["time"]).tzinfo
    said = f"resumed once at iteration {one['iteration']}: the numbers need not be what the seed gives undisturbed"
    assert f"this run was interrupted; {said}\n" in out and f"\ninterrupted: {said}\n" in out
    undisturbed = finished / "runs" / "first"
    assert all(json.loads((undisturbed / name).read_text())["resumes"] == [] for name in ("run.json", "result.json"))


def test_frames_that_changed_are_noticed(finished, frames, tmp_path):
    shutil.copytree(finished / "runs", tmp_path / "runs")
    shutil.copytree(frames, tmp_path / "frames")
    (tmp_path / "runs" / "first" / "result.json").unlink()
    record = tmp_path / "runs" / "first" / "run.json"
    record.write_text(record.read_text().replace(str(frames), "frames"))
    image = sorted((tmp_path / "frames").glob("images/*/*.jpg"))[0]
    shutil.copy(sorted((tmp_path / "frames").glob("images/*/*.jpg"))[1], image)
    status, _, err = run(tmp_path, "polyp-ft-conv3", "--data", "frames", "--epochs", "2", *SMALL, "--run", "first")
    assert status == 1 and "changed since this run began" in err and "items" in err


@pytest.mark.genuine
def test_the_genuine_caffe_does_the_same_job_from_the_same_files(finished, frames):
    settings = ("--data", str(frames), "--epochs", "2", *SMALL, "--run", "real")
    status, _, err = run(finished, "polyp-ft-conv3", *settings, "--caffe", str(root.command("caffe")))
    assert status == 0, err
    folder, embedded = finished / "runs" / "real", finished / "runs" / "first"
    assert "1.0.0" in json.loads((folder / "run.json").read_text())["versions"]["caffe"]
    assert len(list((finished / "runs" / "data").glob("polyp-*"))) == 1  # packed once, read by both
    solvers = [read_solver(place / "solver.prototxt") for place in (folder, embedded)]
    assert solvers[0].stepsize == solvers[1].stepsize and solvers[0].base_lr == solvers[1].base_lr
    assert set(read_blobs(folder / "best.caffemodel")) == set(read_blobs(embedded / "best.caffemodel"))


def broken(frames: Path, folder: Path, kind: str) -> None:
    """A copy of the frames with one fault."""
    shutil.copytree(frames, folder)
    image, mask = sorted(folder.glob("images/*/*.jpg"))[0], sorted(folder.glob("masks/*/*.png"))[0]
    if kind == "mask missing":
        mask.unlink()
    elif kind == "frame missing":
        image.unlink()
    elif kind == "frame truncated":
        image.write_bytes(image.read_bytes()[:500])
    elif kind == "sizes differ":
        synthetic.write_sequences(folder.parent / "other", videos=1, frames=1, size=(96, 96), workers=1, progress=False)
        shutil.copy(next((folder.parent / "other").glob("masks/*/*.png")), mask)
    elif kind == "no polyp":
        blank = next(path for path in folder.glob("masks/video003/*.png"))  # every fourth video shows none
        for path in folder.glob("masks/*/*.png"):
            shutil.copy(blank, path) if path != blank else None


@pytest.mark.parametrize("kind", ["mask missing", "frame missing", "frame truncated", "sizes differ", "no polyp"])
def test_faulty_frames_are_named_in_one_line(frames, tmp_path, kind):
    broken(frames, tmp_path / "frames", kind)
    status, _, err = run(tmp_path, "polyp-ft-fc8", "--data", "frames", *SMALL)
    last = err.strip().splitlines()[-1]
    assert status == 1 and last.startswith("error: ") and "Traceback" not in err
    assert "frames" in last
    assert not list(tmp_path.rglob("result.json")) and not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("polyp-ft-conv9",), "did you mean 'ft-conv"),
        (("polip-ft-conv3",), "did you mean 'polyp'"),
        (("pe-ft-conv3",), "volumes/ with masks/"),
        (("polyp-ft-fc8", "--data", "nowhere"), "nowhere"),
        (("polyp-ft-fc8", "--weights", "nowhere.caffemodel"), "no such weights"),
        (("polyp-ft-fc8", "--weights", "cut.caffemodel"), "cut.caffemodel"),
        (("polyp-ft-fc8", "--width", "2"), "2"),
        (("polyp-ft-fc8", "--caffe", "no-such-caffe"), "no-such-caffe"),
        (("polyp-ft-fc8", "--gpu", "0"), "gpu"),
        (("polyp-ft-fc8", "--runs", "a-file"), "a-file"),
    ],
)
def test_wrong_settings_are_told_in_one_line(frames, tmp_path, arguments, said):
    (tmp_path / "cut.caffemodel").write_bytes(DONOR.read_bytes()[:100_000])
    (tmp_path / "a-file").write_text("")
    if "--data" not in arguments:
        arguments = (*arguments, "--data", str(frames))
    status, _, err = run(tmp_path, *arguments, *SMALL, "--epochs", "1")
    last = err.strip().splitlines()[-1]
    assert status == 1 and last.startswith("error: ") and "Traceback" not in err
    assert said.lower() in last.lower()
    assert not list(tmp_path.rglob("result.json"))


def test_a_truncated_database_is_told(finished, frames, tmp_path):
    shutil.copytree(finished / "runs" / "data", tmp_path / "runs" / "data")
    data = next((tmp_path / "runs" / "data").glob("polyp-*/packed-*/train_lmdb/data.mdb"))
    os.truncate(data, data.stat().st_size // 2)
    status, _, err = run(tmp_path, "polyp-ft-fc8", "--data", str(frames), *SMALL, "--epochs", "1")
    last = err.strip().splitlines()[-1]
    assert status == 1 and last.startswith("error: ") and "Traceback" not in err and "train_lmdb" in last


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="a full disk needs root, to mount one")
def test_a_full_disk_is_told_and_leaves_no_half_written_file(frames, tmp_path):
    disk = tmp_path / "runs"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        status, _, err = run(tmp_path, "polyp-ft-fc8", "--data", str(frames), *SMALL, "--epochs", "1")
        last = err.strip().splitlines()[-1]
        assert status == 1 and last.startswith("error: ") and "space" in last and "Traceback" not in err
        assert not list(disk.rglob("*.part")) and not list(disk.rglob("result.json"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
