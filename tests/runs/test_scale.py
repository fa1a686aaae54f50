"""Much data in little memory: what grows with the data is numbers, not pictures; slices equal one piece."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pycaffe_ext.applications import preparation, slices
from pycaffe_ext.applications.polyp import APPLICATION, Polyp
from pycaffe_ext.applications.preparation import Prepared, prepare
from pycaffe_ext.applications.slices import score_slices
from pycaffe_ext.data import groups, synthetic
from pycaffe_ext.data.columns import read_columns
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.pack import database_path, index_path
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics.base import PatchScores
from pycaffe_ext.files import read_json
from pycaffe_ext.records import datum
from pycaffe_ext.records.database import WINDOW, window
from pycaffe_ext.runs import pipeline
from pycaffe_ext.runs.settings import Settings

SIDE = 227
LIMIT = 450  # MiB at most, for stages that would take more than 1 GB if they kept what they have seen

PEAK = """
import json, sys
from pathlib import Path
import cv2, numpy as np
sys.path.insert(0, sys.argv[2])
from packing_lab import material, samples, take_all
from pycaffe_ext.applications.polyp import labelled
from pycaffe_ext.data import pack, verify
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.programs.compute_image_mean import mean_image
from pycaffe_ext.threads import at_most

def peak():  # of this program alone: ru_maxrss begins with that of the process that started it
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024

folder = Path(sys.argv[1])
picture, mask = folder / "picture.jpg", folder / "mask.png"
rng = np.random.default_rng(0)
cv2.imwrite(str(picture), cv2.resize(rng.integers(0, 256, (9, 9, 3), np.uint8), (480, 400)))
large = np.zeros((1500, 1500), np.uint8)
large[500:900, 400:1000] = 255
cv2.imwrite(str(mask), large)
found = {}
frames = [Frame(str(i), mask, mask, str(i)) for i in range(200)]  # 1.8 GB of labelled masks
boxes = [np.array([[600, 600, 50, 50, 1], [10, 10, 20, 20, 0.5]], np.float32)] * len(frames)
assert labelled(frames, boxes).target.tolist() == [1, 0] * len(frames)
found["labelling"] = peak()
frames = [Frame(str(i), picture, None, str(i)) for i in range(8000 // 120)]
box = np.tile(np.float32([100, 100, 200, 150]), (len(frames), 1))
table = samples(np.arange(len(frames)), np.zeros(len(frames), int), box, np.arange(len(frames)) % 2)
with at_most(2):
    base, index = pack.pack(material(frames, table), take_all(table.label), folder, "train", progress=False)
found["packing"] = peak()
assert verify.verify(base, index) == 120 * len(frames)
found["verifying"] = peak()
mean_image(base, progress=False)
found["mean"] = peak()
found["database"] = (base / "data.mdb").stat().st_size / 2**20
print(json.dumps(found))
"""


@pytest.mark.slow
def test_no_stage_keeps_what_it_has_seen(tmp_path):
    order = [sys.executable, "-c", PEAK, str(tmp_path), str(Path(__file__).parents[1] / "lab")]
    done = subprocess.run(order, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found.pop("database") > 2.5 * LIMIT
    assert max(found.values()) < LIMIT, found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> tuple[Settings, Path]:
    """Settings for a miniature data set, and where its runs go."""
    folder = tmp_path_factory.mktemp("scale")
    synthetic.write_sequences(folder / "frames", videos=8, frames=2, size=(96, 112), workers=1, progress=False)
    settings = Settings.of("polyp", "ft-fc8", data=str(folder / "frames"), patches=120, test_views=7)
    prepare(APPLICATION, settings.request, SIDE, folder / "runs")
    return settings, folder / "runs"


def of_pixels(folder: Path):
    """A net's stand-in: a patch's probability depends on its pixels alone, in every bit."""

    def score(count: int):
        found = [(np.sin(patch.astype(float).sum()) ** 2, label) for _, patch, label in datum.read(folder)]
        assert len(found) == count
        probability, labels = np.array(found).T
        return np.stack([1 - probability, probability], axis=1), labels.astype(int)

    return score


def sliced(settings: Settings, runs: Path, step: int, monkeypatch) -> Prepared:
    """The same data with at most `step` test patches in a slice; the detector is not trained again."""
    monkeypatch.setattr(preparation, "SLICE", step)
    with monkeypatch.context() as patched:
        patched.setattr(Polyp, "propose", lambda *_: pytest.fail("candidates were proposed again"))
        return prepare(APPLICATION, settings.request, SIDE, runs)


def in_pieces(settings: Settings, runs: Path, run: Path, step: int, monkeypatch, score=None):
    """PatchScores, the evaluation and the packed data, with at most `step` patches in each slice."""
    run.mkdir(exist_ok=True)
    (run / "weights").write_text("weights")
    prepared = sliced(settings, runs, step, monkeypatch)
    done = prepared.packed
    folder = done.folder if done.slices == 1 else run
    score = score or of_pixels(database_path(folder, "test"))
    scores = score_slices(prepared.test_slices, done.folder, run, run / "weights", score)
    return scores, APPLICATION.metric.evaluate(prepared.test, scores), done


def equal(one: PatchScores, other: PatchScores) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


@pytest.mark.slow
def test_slices_equal_one_piece_bit_for_bit(prepared, tmp_path, monkeypatch):
    whole, expected, one = in_pieces(*prepared, tmp_path / "a", 50_000, monkeypatch)
    assert one.slices == 1 and one.splits == ("train", "val", "test") and one.lmdb("test").is_dir()
    for step in (150, 97):
        scores, found, done = in_pieces(*prepared, tmp_path / str(step), step, monkeypatch)
        assert done.slices == -(-(one.patches["test"] // 7) // (step // 7)) > 2
        assert done.patches == one.patches and done.facts == one.facts
        assert equal(scores, whole)
        np.testing.assert_array_equal(found.cases.score, expected.cases.score)
        assert found.frames == expected.frames
        assert done.splits == ("train", "val") and not done.lmdb("test").exists()
        assert not database_path(tmp_path / str(step), "test").exists()  # nor is anything left in the run's folder
        assert not index_path(tmp_path / str(step), "test").exists()


def test_the_mean_of_a_candidate_is_that_of_its_own_patches(prepared, tmp_path, monkeypatch):
    scores, found, done = in_pieces(*prepared, tmp_path / "a", 50_000, monkeypatch)
    expected = {}
    for key, patch, _ in datum.read(done.lmdb("test")):
        name, candidate, _ = key.split("_", 1)[1].rsplit("_", 2)
        expected.setdefault((name, int(candidate)), []).append(np.sin(patch.astype(float).sum()) ** 2)
    names = [found.name(row) for row in range(len(found.number))]
    assert set(expected) == set(names) and {len(values) for values in expected.values()} == {7}
    wanted = [np.mean(expected[name]) for name in names]
    np.testing.assert_allclose(found.cases.score, wanted, rtol=1e-12)
    assert len(scores.label) == done.patches["test"]


@pytest.mark.slow
def test_a_cut_off_test_goes_on_with_the_next_slice(prepared, tmp_path, monkeypatch):
    whole, _, _ = in_pieces(*prepared, tmp_path / "a", 150, monkeypatch)
    run, calls = tmp_path / "b", []

    def interrupted(count: int):
        calls.append(count)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return of_pixels(database_path(run, "test"))(count)

    with pytest.raises(KeyboardInterrupt):
        in_pieces(*prepared, run, 150, monkeypatch, interrupted)
    assert len(list(slices.store_of(run, "test").iterdir())) == 2
    scores, _, done = in_pieces(*prepared, run, 150, monkeypatch, interrupted)
    assert len(calls) == 3 + done.slices - 2
    assert equal(scores, whole)
    in_pieces(*prepared, run, 150, monkeypatch, interrupted)
    assert len(calls) == 3 + done.slices - 2  # all are kept
    store = slices.store_of(run, "test")
    slices.forget(run)
    assert not store.exists()


@pytest.mark.slow
def test_slices_of_other_weights_count_for_nothing(prepared, tmp_path, monkeypatch):
    _, _, done = in_pieces(*prepared, tmp_path / "a", 150, monkeypatch)
    tests, calls = sliced(*prepared, 150, monkeypatch).test_slices, []
    (tmp_path / "a" / "weights").write_text("other weights")

    def counting(count: int):
        calls.append(count)
        return of_pixels(database_path(tmp_path / "a", "test"))(count)

    score_slices(tests, done.folder, tmp_path / "a", tmp_path / "a" / "weights", counting)
    assert len(calls) == done.slices


@pytest.mark.slow
def test_a_run_by_slices_is_the_run_in_one_piece(prepared, monkeypatch):
    """With the engine: six digits of each score are in the log, and a sum may differ in the last."""
    settings, runs = prepared
    settings = replace(settings, training=replace(settings.training, epochs=1, batch=16))
    folders, third = [], prepare(APPLICATION, settings.request, SIDE, runs).packed.patches["test"] // 3
    for name, step, least in (("whole", 50_000, 1), ("sliced", third, 3)):
        assert sliced(settings, runs, step, monkeypatch).packed.slices >= least
        folders.append(pipeline.run(settings, runs, name, say=lambda text: None))
    one, other = ({path.name for path in folder.iterdir() if path.name[0] != "."} for folder in folders)
    assert one == other and not {slices.store_of(folders[0], "test").name, "test_lmdb", "patches_test.csv"} & one
    whole, pieces = (read_columns(f / "scores.csv", {"frame": str, "probability": float}) for f in folders)
    assert whole["frame"].tolist() == pieces["frame"].tolist()
    np.testing.assert_allclose(whole["probability"], pieces["probability"], atol=1e-5)
    results = [read_json(folder / "result.json") for folder in folders]
    assert results[0]["best"] == results[1]["best"] and results[0]["patches"] == results[1]["patches"]
    assert results[0]["test"]["patch_auc"] == pytest.approx(results[1]["test"]["patch_auc"], abs=1e-4)


def test_labels_that_caffe_reads_otherwise_are_noticed(prepared, tmp_path, monkeypatch):
    done = prepare(APPLICATION, prepared[0].request, SIDE, prepared[1]).packed

    def wrong(count: int):
        probability, labels = of_pixels(done.lmdb("test"))(count)
        return probability, 1 - labels

    with pytest.raises(UserError, match="Caffe read other labels"):
        in_pieces(*prepared, tmp_path / "a", 50_000, monkeypatch, wrong)


def test_a_table_is_read_without_keeping_its_rows(tmp_path):
    table, count = tmp_path / "table.csv", 100_000
    with table.open("w") as file:
        file.write("a,frame,more,n\n" + "".join(f"{i},video{i % 7}/frame,{'x' * 40},{i / 4}\n" for i in range(count)))
    tracemalloc.start()
    columns = read_columns(table, {"frame": str, "n": float, "a": int})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert columns["frame"][8] == "video1/frame" and columns["n"][-1] == (count - 1) / 4 and columns["a"][9] == 9
    assert peak < 250 * count  # dictionaries of strings take 700 bytes a row


@pytest.mark.parametrize("kind", ["all alike", "videos of one picture"])
def test_near_duplicates_are_joined_without_keeping_the_pairs(kind, monkeypatch):
    count = 7000  # all alike: 24 million pairs, 390 MB
    code = np.zeros(count, int) if kind == "all alike" else np.arange(count) // 700
    hashes = np.random.default_rng(0).integers(0, 2**64, (count, 4), dtype=np.uint64)[code]
    monkeypatch.setattr(groups, "hash_frames", lambda *_: (np.arange(count), hashes))
    frames = [Frame(f"{i:05d}", Path("x"), None, f"{i:05d}") for i in range(count)]
    tracemalloc.start()
    joined = groups.join_near_duplicates(frames)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [frame.group for frame in joined] == [f"{np.flatnonzero(code == c)[0]:05d}" for c in code]
    assert peak < 200e6


def test_a_window_goes_on_where_the_last_one_ended(tmp_path):
    import lmdb

    keys = [f"{i:06d}".encode() for i in range(2 * WINDOW + 5)]
    with lmdb.open(str(tmp_path), map_size=1 << 24) as base, base.begin(write=True) as transaction:
        for key in keys:
            transaction.put(key, key)
    found, last = [], None
    for expected in (WINDOW, WINDOW, 5, 0):
        with window(tmp_path, after=last) as entries:
            part = [bytes(key) for key, value in entries if bytes(value) == bytes(key)]
        assert len(part) == expected
        found, last = found + part, part[-1] if part else last
    assert found == keys
