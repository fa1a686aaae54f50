"""Another data set, whole, for every kind of application: found, labelled and packed without a split or a training."""

from __future__ import annotations

import csv
import fcntl
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from pycaffe_ext.applications import registry, sample_tables
from pycaffe_ext.applications.frames import MODEL
from pycaffe_ext.applications.preparation import LOCK, Prepared, prepare
from pycaffe_ext.data import groups, similar
from pycaffe_ext.data.pack import index_path
from pycaffe_ext.detector import quality
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs import external_data
from pycaffe_ext.runs.external_data import Outside, as_test_data, outside
from pycaffe_ext.runs.settings import DataRequest, TestSet

SIZE = 20


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(quality, "TREES", 10)
    monkeypatch.setenv("PYCAFFE_EXT_THREADS", "1")  # no processes of its own


def noise(seed: int) -> np.ndarray:
    """A picture that resembles no other one."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return cv2.resize(coarse, (44, 30), interpolation=cv2.INTER_CUBIC)


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def class_folders(folder: Path, counts: dict[str, int], start: int = 0) -> Path:
    for k, (name, count) in enumerate(counts.items()):
        for n in range(count):
            write(folder / name / f"{n}.png", noise(start + 1000 * k + n))
    return folder


def trained(request: DataRequest, runs: Path) -> Prepared:
    return prepare(registry.load(request.app), request, SIZE, runs)


def asked(request: DataRequest, folder: Path, runs: Path) -> Outside:
    found = outside(request, TestSet(str(folder)), runs)
    assert found is not None
    found.check(request)
    found.read()
    return found


def packed(other: Outside, own: Prepared, request: DataRequest):
    return external_data.prepare(other, own.packed, request, SIZE, lambda _: None)


def test_every_picture_of_a_small_set_with_splits_of_its_own_is_tested(tmp_path):
    """Two pictures a class are too few to be split; splits.csv would keep one of them for training."""
    request = DataRequest("folder", str(class_folders(tmp_path / "own", {"a": 8, "b": 8})), patches=40)
    small = class_folders(tmp_path / "small", {"a": 2, "b": 2}, start=100)
    (small / "splits.csv").write_text("frame,split,group\na/0,train,x\na/1,test,x\nb/0,val,y\nb/1,test,z\n")
    own = trained(request, tmp_path / "runs")
    done, resembling = packed(asked(request, small, tmp_path / "runs"), own, request)
    assert done.test.items == ("a/0", "a/1", "b/0", "b/1") and done.test.group.tolist() == ["x", "x", "y", "z"]
    assert done.test.samples.label.tolist() == [0, 0, 1, 1] and not resembling
    assert done.packed.patches == {"test": 4 * 9} and done.packed.folder.parent.parent == own.packed.found
    with index_path(done.packed.folder, "test").open() as file:
        assert len(list(csv.DictReader(file))) == 36


def test_near_duplicates_are_found_in_the_part_that_they_resemble(tmp_path):
    request = DataRequest("folder", str(class_folders(tmp_path / "own", {"a": 8, "b": 8})), patches=40)
    own = trained(request, tmp_path / "runs")
    rows, split, _ = sample_tables.read_items(own.packed.found)
    first = {part: next(row.name for row, one in zip(rows, split, strict=True) if one == part) for part in set(split)}
    other = class_folders(tmp_path / "other", {"a": 2, "b": 2}, start=100)
    for part, name in first.items():
        picture = cv2.imread(str(tmp_path / "own" / f"{name}.png"))
        write(other / "a" / f"copy of {part}.png", cv2.resize(picture, None, fx=2, fy=2))
    _, found = packed(asked(request, other, tmp_path / "runs"), own, request)
    assert {(row.item, row.part, row.nearest) for row in found} == {
        (f"a/copy of {part}", part, name) for part, name in first.items()
    }


def test_pairs_between_sets_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2**63, (300, 4), dtype=np.uint64)
    second = np.concatenate([rng.integers(0, 2**63, (50, 4), dtype=np.uint64), first[::7]])
    second[60:80, 2] ^= np.uint64(0b1111111)  # seven bits
    second[80:90, 1] ^= np.uint64(2**20 - 1)  # twenty
    near = [
        (i, j)
        for i in range(len(first))
        for j in range(len(second))
        if sum(int(a ^ b).bit_count() for a, b in zip(first[i], second[j], strict=True)) <= groups.NEAR
    ]
    found = np.concatenate(list(groups.near_pairs_between(first, second)))
    assert sorted(map(tuple, found.tolist())) == near and len(near) == 33
    places = np.arange(len(first)), np.arange(len(second))
    items = [[type("Item", (), {"name": f"{k}{i}"}) for i in own] for k, own in zip("ab", places, strict=True)]
    rows = similar.similar(items[0], (places[0], first), items[1], (places[1], second), np.full(len(second), "val"))
    assert [(row.item, row.nearest, row.pairs) for row in rows] == [(f"a{i}", f"b{j}", 1) for i, j in near]
    assert {row.bits for row in rows} == {0, 7}


def test_the_table_of_near_duplicates_is_read_as_it_was_written(tmp_path):
    rows = [similar.Similar("a,1", "val", 2, "b\u00e4", 3), similar.Similar("c", "train", 1, "d", 0)]
    similar.write(tmp_path / "similar.csv", rows)
    assert similar.read(tmp_path / "similar.csv") == rows
    similar.write(tmp_path / "similar.csv", [])
    assert similar.read(tmp_path / "similar.csv") == []


def test_frames_are_scored_by_the_forest_of_the_training_frames(tmp_path):
    """The same pictures get the same scores as in the own test; synthetic training data have no folder."""
    request = DataRequest(
        "frames", str(class_folders(tmp_path / "own", {"informative": 20, "uninformative": 20})), patches=40
    )
    own = trained(request, tmp_path / "runs")
    copy = tmp_path / "copy"
    for name in own.test.items:
        write(copy / f"{name}.png", cv2.imread(str(tmp_path / "own" / f"{name}.png")))
    done, resembling = packed(asked(request, copy, tmp_path / "runs"), own, request)
    assert dict(zip(done.test.items, done.test.samples.score.tolist(), strict=True)) == dict(
        zip(own.test.items, own.test.samples.score.tolist(), strict=True)
    )
    assert {row.part for row in resembling} == {"test"} and not (done.found.folder / MODEL).exists()


def test_synthetic_nets_are_tested_on_real_frames(tmp_path):
    request = DataRequest("polyp")
    write(tmp_path / "b" / "images" / "1.png", noise(1))
    write(tmp_path / "b" / "masks" / "1.png", cv2.circle(np.zeros((30, 44), np.uint8), (20, 15), 8, 255, -1))
    other = asked(request, tmp_path / "b", tmp_path / "runs")
    assert [item.name for item in other.collection.items] == ["1"] and other.name.startswith("b-")
    assert asked(DataRequest("frames", options=(("degrade", "0"),)), informative(tmp_path), tmp_path / "runs").name


def informative(folder: Path) -> Path:
    return class_folders(folder / "labelled", {"informative": 2, "uninformative": 1})


def test_other_classes_and_the_same_folder_are_refused(tmp_path):
    request = DataRequest("folder", str(class_folders(tmp_path / "own", {"a": 4, "b": 4})))
    for counts, words in (
        ({"a": 3, "c": 3}, "has no class 'b'"),
        ({"a": 3, "b": 3, "c": 3}, "class 'c' is not one of the nets'"),
    ):
        folder = class_folders(tmp_path / "-".join(counts), counts)
        with pytest.raises(UserError, match=f"TEST_DATA=.*: {words}"):
            asked(request, folder, tmp_path / "runs")
    with pytest.raises(UserError, match="is the same folder as DATA="):
        asked(request, tmp_path / "own", tmp_path / "runs")
    with pytest.raises(UserError, match="^TEST_DATASET=x: folder reads one layout only; leave TEST_DATASET= out"):
        Outside(registry.load("folder"), TestSet(str(tmp_path / "a-c"), "x").request(request), tmp_path).check(request)


def test_the_positive_class_is_that_of_the_nets_and_contradicting_labels_are_said(tmp_path):
    own = class_folders(tmp_path / "own", {"lesion": 8, "normal": 8})
    request = DataRequest("folder", str(own), patches=40, options=(("positive", "lesion"),))
    other = class_folders(tmp_path / "other", {"lesion": 2, "normal": 2}, start=100)
    write(other / "normal" / "copy.png", noise(100))
    done, _ = packed(asked(request, other, tmp_path / "runs"), trained(request, tmp_path / "runs"), request)
    labels = dict(zip(done.test.items, done.test.samples.label.tolist(), strict=True))
    assert labels["lesion/0"] == 1 and labels["normal/0"] == 0 and done.packed.classes == ("normal", "lesion")
    (warning,) = done.found.warnings
    assert "lesion/0.png = normal/copy.png" in warning
    with pytest.raises(UserError, match="^POSITIVE=lesion: no class of .*third"):
        asked(request, class_folders(tmp_path / "third", {"a": 2, "b": 2}), tmp_path / "runs")


def test_errors_speak_of_the_settings_that_were_given():
    text = "x: may be two (a, b); say which with DATASET=; DATA= is it; `make data-help DATASET=a` shows TEST_DATA=y"
    with pytest.raises(UserError) as error, as_test_data():
        raise UserError(text)
    assert str(error.value) == (
        "x: may be two (a, b); say which with TEST_DATASET=; TEST_DATA= is it; `make data-help DATASET=a` shows"
        " TEST_DATA=y"
    )


def test_a_class_without_a_sample_is_named(tmp_path):
    """Frames in which no candidate hits a polyp have no AUC."""
    request = DataRequest("folder", str(class_folders(tmp_path / "own", {"a": 8, "b": 8})), patches=40)
    own = trained(request, tmp_path / "runs")
    other = asked(request, class_folders(tmp_path / "other", {"a": 2, "b": 2}, start=100), tmp_path / "runs")
    other.__dict__["collection"] = type(other.collection)(
        [item for item in other.collection.items if item.label == 0], (), ()
    )
    with pytest.raises(UserError, match="^TEST_DATA=.*other: none of 2 samples in 2 images is of class b"):
        packed(other, own, request)
    assert not list(own.packed.found.glob("external-*/packed-*"))


def test_a_second_process_waits_and_uses_the_result(tmp_path):
    request = DataRequest("folder", str(class_folders(tmp_path / "own", {"a": 8, "b": 8})), patches=40)
    own = trained(request, tmp_path / "runs")
    other = asked(request, class_folders(tmp_path / "other", {"a": 2, "b": 2}, start=100), tmp_path / "runs")
    first, _ = packed(other, own, request)
    waits, results = threading.Event(), []

    def second() -> None:
        results.append(external_data.prepare(other, own.packed, request, SIZE, lambda _: waits.set())[0])

    with (first.found.folder / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        assert waits.wait(60) and not results
    thread.join(60)
    assert results[0].packed == first.packed


def test_a_changed_model_is_noticed(tmp_path):
    request = DataRequest(
        "frames", str(class_folders(tmp_path / "own", {"informative": 20, "uninformative": 20})), patches=40
    )
    own = trained(request, tmp_path / "runs")
    other = asked(request, informative(tmp_path), tmp_path / "runs")
    packed(other, own, request)
    quality.train(np.random.default_rng(0).random((20, 3)), np.arange(20) % 2, 0).save(own.packed.found / MODEL)
    with pytest.raises(UserError, match="not the model that proposed the samples"):
        packed(other, own, request)
