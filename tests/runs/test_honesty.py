"""Nothing of the test set reaches training, and each check fires when something does."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from pycaffe_ext import detector
from pycaffe_ext.applications.packed import Packed
from pycaffe_ext.applications.polyp import APPLICATION, MODEL
from pycaffe_ext.applications.preparation import draw_splits, found_folder, prepare
from pycaffe_ext.data import groups, synthetic
from pycaffe_ext.data.frames import Frame, fingerprint
from pycaffe_ext.data.pack import read_index
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest, read_json
from pycaffe_ext.proto import read_blobs
from pycaffe_ext.records import datum
from pycaffe_ext.runs import pipeline
from pycaffe_ext.runs.settings import Settings

pytestmark = pytest.mark.slow
ASKED = Settings.of("polyp", "ft-conv3", patches=120, test_views=1, batch=16, epochs=2)  # as the miniature's run


@pytest.fixture(scope="module")
def frames(miniature) -> Path:
    return miniature


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Path:
    """Frames of the same names that show something else."""
    folder = tmp_path_factory.mktemp("others")
    synthetic.write_sequences(folder, videos=8, frames=3, size=(144, 176), seed=9, workers=1, progress=False)
    return folder


@pytest.fixture(scope="module")
def packed(frames, miniature_run) -> Packed:
    return prepared(ASKED.with_request(data=str(frames)), miniature_run / "runs")


@pytest.fixture
def copied(packed, frames, tmp_path) -> Packed:
    """The packed folder once more, to be tampered with."""
    shutil.copytree(packed.found, tmp_path / "data" / packed.found.name)
    return replace(packed, folder=tmp_path / "data" / packed.found.name / packed.folder.name)


def prepared(settings: Settings, runs: Path) -> Packed:
    return prepare(APPLICATION, settings.request, 227, runs).packed


def repeat(copied: Packed, frames: Path) -> Packed:
    return prepared(ASKED.with_request(data=str(frames)), copied.found.parent.parent)


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(table: Path, rows: list[dict[str, str]]) -> None:
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def other_pictures(frames: Path, others: Path, packed: Packed, split: str, folder: Path) -> Path:
    """The same frames with other pictures and masks under the names of a split."""
    shutil.copytree(frames, folder)
    for row in rows_of(packed.found / "splits.csv"):
        if row["split"] == split:
            for part, suffix in (("images", "jpg"), ("masks", "png")):
                name = f"{part}/{row['frame']}.{suffix}"
                assert (others / name).read_bytes() != (folder / name).read_bytes() or part == "masks"
                shutil.copy(others / name, folder / name)
    return folder


def with_same_splits(data: Path, packed: Packed, runs: Path) -> Settings:
    """Settings for other frames, whose packed folder has the splits of `packed` already."""
    settings = ASKED.with_request(data=str(data))
    mark = fingerprint(APPLICATION.items(settings.request, runs).items)
    folder = found_folder(APPLICATION, settings.request, runs, mark)
    assert folder.name != packed.found.name
    folder.mkdir(parents=True)
    shutil.copy(packed.found / "splits.csv", folder)
    return settings


def of_splits(table: Path, packed: Packed, *splits: str) -> list[dict[str, str]]:
    split = {row["frame"]: row["split"] for row in rows_of(packed.found / "splits.csv")}
    return [row for row in rows_of(table) if split[row["frame"]] in splits]


LEARNED_FROM = (
    "mean.binaryproto",
    "mean.json",
    "patches_train.csv",
    "patches_val.csv",
    "train_lmdb/data.mdb",
    "val_lmdb/data.mdb",
)


def test_other_test_frames_change_nothing_but_the_test(frames, others, packed, miniature_run, tmp_path):
    """Detector, mean, balance, training and the choice of snapshot are the same to the last bit."""
    first, said = miniature_run / "runs" / "first", []
    data = other_pictures(frames, others, packed, "test", tmp_path / "frames")
    settings = with_same_splits(data, packed, tmp_path / "runs")
    second = pipeline.run(settings, tmp_path / "runs", "run", say=said.append)
    (folder,) = (tmp_path / "runs" / "data").glob("polyp-*/packed-*")
    assert digest(folder.parent / MODEL) == digest(packed.found / MODEL)
    for name in LEARNED_FROM:
        assert digest(folder / name) == digest(packed.folder / name), name
    records = [read_json(place / "data.json") for place in (folder, packed.folder)]
    assert records[0]["fitted"] == records[1]["fitted"] and list(records[0]["fitted"]) == [MODEL]
    tables = [place / "samples.csv" for place in (folder.parent, packed.found)]
    ours, theirs = (of_splits(table, packed, "train", "val") for table in tables)
    assert ours == theirs and len(ours) > 50
    ours, theirs = (of_splits(table, packed, "test") for table in tables)
    assert ours != theirs
    assert digest(folder / "test_lmdb/data.mdb") != digest(packed.folder / "test_lmdb/data.mdb")
    assert said[0] in (miniature_run / "out").read_text() and "transfer proved" in said[0]
    assert (first / "auc.csv").read_bytes() == (second / "auc.csv").read_bytes()
    assert read_json(first / "result.json")["best"] == read_json(second / "result.json")["best"]
    ours, theirs = read_blobs(first / "best.caffemodel"), read_blobs(second / "best.caffemodel")
    assert all(np.array_equal(a, b) for name in ours for a, b in zip(ours[name], theirs[name], strict=True))
    assert (first / "scores.csv").read_bytes() != (second / "scores.csv").read_bytes()


def test_other_training_frames_change_what_is_learned_from_them(frames, others, packed, tmp_path):
    """The comparison above can fail: here it does, for all that is made of training frames."""
    data = other_pictures(frames, others, packed, "train", tmp_path / "frames")
    done = prepared(with_same_splits(data, packed, tmp_path / "runs"), tmp_path / "runs")
    for name in ("mean.binaryproto", "train_lmdb/data.mdb"):
        assert digest(done.folder / name) != digest(packed.folder / name), name
    assert done.fitted != packed.fitted and digest(done.found / MODEL) != digest(packed.found / MODEL)


def test_what_is_untouched_passes(copied, frames):
    assert repeat(copied, frames) == copied


def test_a_group_moved_across_by_hand_is_noticed(copied, frames):
    table = copied.found / "splits.csv"
    rows = rows_of(table)
    shown = {row["group"] for row in rows if cv2.imread(str(frames / f"masks/{row['frame']}.png")).any()}
    moved = next(row["group"] for row in rows if row["split"] == "train" and row["group"] not in shown)
    write_rows(table, [row | {"split": "test"} if row["group"] == moved else row for row in rows])
    with pytest.raises(UserError, match="do not belong together"):
        repeat(copied, frames)
    (copied.found / "samples.csv").unlink()  # so that it is written again, in agreement with the edited table
    with pytest.raises(UserError, match=f"frame .* of group .* is packed for train|{MODEL}: not the model"):
        repeat(copied, frames)


def test_one_frame_of_a_group_moved_across_by_hand_is_noticed(copied, frames):
    table = copied.found / "splits.csv"
    rows = rows_of(table)
    row = next(row for row in rows if row["split"] == "train")
    write_rows(table, [other | {"split": "test"} if other is row else other for other in rows])
    with pytest.raises(UserError, match=f"group '{row['group']}' is both in"):
        repeat(copied, frames)


def test_a_near_duplicate_planted_across_is_named(frames, packed, tmp_path):
    """Splits that were drawn before the copy was there: packing looks at the pictures again."""
    shutil.copytree(frames, tmp_path / "frames")
    first = {row["split"]: row["frame"] for row in reversed(rows_of(packed.found / "splits.csv"))}
    picture = cv2.imread(str(frames / f"images/{first['train']}.jpg"))
    planted = tmp_path / f"frames/images/{first['test']}.jpg"
    cv2.imwrite(str(planted), cv2.GaussianBlur(picture, (3, 3), 0), [cv2.IMWRITE_JPEG_QUALITY, 60])
    settings = with_same_splits(tmp_path / "frames", packed, tmp_path / "runs")
    with pytest.raises(UserError, match=f"near-duplicate.*{first['train']} in train and {first['test']} in test"):
        prepared(settings, tmp_path / "runs")
    (folder,) = (tmp_path / "runs" / "data").glob("polyp-*")
    (folder / "splits.csv").unlink()  # drawn again, the two are one group
    items = APPLICATION.items(settings.request, tmp_path / "runs").items
    drawn = draw_splits(APPLICATION, settings.request, items)
    where = {frame.name: split for split, part in drawn.items() for frame in part}
    assert where[first["train"]] == where[first["test"]]


def test_a_chain_of_near_duplicates_is_one_group(tmp_path):
    """a is near b and b near c, but a not near c: all three are in one group, so none can be across."""
    hashes = np.zeros((3, 4), np.uint64)
    hashes[1, 0], hashes[2, 0] = 2**8 - 1, 2**16 - 1
    pairs = groups.near_duplicates(hashes)
    assert pairs.tolist() == [[0, 1], [1, 2]]
    assert groups.join_groups(["a", "b", "c"], pairs) == ["a", "a", "a"]


def test_blank_frames_may_be_on_both_sides(tmp_path):
    frames = []
    for name, level in (("a", 0), ("b", 1)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((90, 120, 3), level, np.uint8))
        frames.append(Frame(name, tmp_path / f"{name}.png", None, name))
    groups.check_near_duplicates({"train": frames[:1], "test": frames[1:]})


def test_exchanged_databases_are_noticed(copied, frames):
    train, val = copied.lmdb("train"), copied.lmdb("val")
    train.rename(train.with_name("kept"))
    val.rename(train)
    train.with_name("kept").rename(val)
    with pytest.raises(UserError, match="train_lmdb: patch 0 is .* says"):
        repeat(copied, frames)


def test_other_pixels_under_the_same_keys_are_noticed(copied, frames):
    """What training would read are test patches: keys and labels alone do not tell."""
    train = list(datum.read(copied.lmdb("train")))
    pixels = [patch for _, patch, _ in datum.read(copied.lmdb("test"))]
    shutil.rmtree(copied.lmdb("train"))
    with lmdb.open(str(copied.lmdb("train")), map_size=1 << 28) as base, base.begin(write=True) as transaction:
        for (key, _, label), patch in zip(train, pixels, strict=False):
            transaction.put(key.encode(), datum.to_bytes(patch, label))
    with pytest.raises(UserError, match="is not what its frame shows"):
        repeat(copied, frames)


def test_another_detector_is_noticed(copied, frames):
    detector.UNTRAINED_MODEL.save(copied.found / MODEL)
    with pytest.raises(UserError, match="not the model that proposed the samples"):
        repeat(copied, frames)


@pytest.mark.parametrize(
    ("column", "says"), [("label", "says .*patches packed again"), ("frame", "is packed for train; splits.csv")]
)
def test_an_edited_index_is_noticed(copied, frames, column, says):
    index = copied.index("train")
    rows, foreign = rows_of(index), next(read_index(copied.index("test")))["frame"]
    rows[7][column] = foreign if column == "frame" else str(1 - int(rows[7]["label"]))
    write_rows(index, rows)
    with pytest.raises(UserError, match=says):
        repeat(copied, frames)


def test_a_shortened_index_and_database_are_noticed(copied, frames):
    """Both agree with each other; the record of the packing knows better."""
    index, rows = copied.index("val"), rows_of(copied.index("val"))
    with lmdb.open(str(copied.lmdb("val")), map_size=1 << 28) as base, base.begin(write=True) as transaction:
        transaction.delete(rows[-1]["key"].encode())
    write_rows(index, rows[:-1])
    with pytest.raises(UserError, match="data.json says"):
        repeat(copied, frames)


def test_all_splits_must_have_room_before_the_first_is_packed(copied, frames, monkeypatch):
    for name in ("data.json", "patches_train.csv", "patches_val.csv", "patches_test.csv"):
        (copied.folder / name).unlink()
    before = {path: path.stat().st_mtime_ns for path in copied.folder.rglob("*")}
    most = max(copied.patches.values()) * (3 * 227 * 227 + 4096)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": most}))  # enough for any one split
    with pytest.raises(UserError, match=f"packing {sum(copied.patches.values())} patches needs"):
        repeat(copied, frames)
    assert before == {path: path.stat().st_mtime_ns for path in copied.folder.rglob("*")}
